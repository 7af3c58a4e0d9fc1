//! Faults that are reported in several wordings: by PostgreSQL or by Odoo for it, by one version or another, in another language, by the
//! browser. The table says which phrases belong together; a text belongs to the groups whose phrases it has. Pure.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// Group and phrase, one pair a line. `*` in a phrase stands for anything within a line.
const TABLE: &str = include_str!("wordings.csv");
/// The bytes of a text that are read: its end, where the error stands.
const MAX_BYTES: usize = 48 * 1024;
/// The bytes of a line that are read.
const MAX_LINE: usize = 4 * 1024;
/// The most groups that one text belongs to.
const MAX_GROUPS: usize = 12;
/// What the word that stands for a group starts with. Nothing that people or programs write does.
const MARK: &str = "qzwq";

struct Phrase {
    group: &'static str,
    /// What stands in the text, in this order.
    parts: Vec<String>,
}

struct Wordings {
    phrases: Vec<Phrase>,
    /// Finds the longest part of every phrase; the pattern's number is the phrase's.
    longest: AhoCorasick,
}

#[expect(clippy::expect_used, reason = "the table is a constant, and a test reads it")]
static WORDINGS: LazyLock<Wordings> = LazyLock::new(|| {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(TABLE.as_bytes());
    let mut phrases = Vec::new();
    for (nth, row) in reader.records().enumerate() {
        let row = row.expect("a row of the table");
        let start = row.position().and_then(|at| usize::try_from(at.byte()).ok()).unwrap_or(nth);
        // The name of a group lives as long as the table does.
        let group = TABLE[start..].trim_start().split(',').next().expect("a group");
        let parts =
            folded(row.get(1).expect("a phrase")).split('*').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        phrases.push(Phrase { group, parts });
    }
    let longest = phrases.iter().map(|phrase: &Phrase| phrase.parts.iter().max_by_key(|part| part.len()).map_or("", String::as_str));
    let longest = AhoCorasick::new(longest).expect("the phrases of the table");
    Wordings { phrases, longest }
});

/// The groups that a text belongs to, the first said first.
pub(super) fn groups(text: &str) -> Vec<&'static str> {
    let text = &text[text.ceil_char_boundary(text.len().saturating_sub(MAX_BYTES))..];
    let mut groups = Vec::new();
    for line in text.lines() {
        let line = folded(&line[..line.floor_char_boundary(MAX_LINE)]);
        let mut looked_at = Vec::new();
        for found in WORDINGS.longest.find_overlapping_iter(&line) {
            let phrase = &WORDINGS.phrases[found.pattern().as_usize()];
            if groups.contains(&phrase.group) || looked_at.contains(&found.pattern()) {
                continue;
            }
            looked_at.push(found.pattern());
            if says(&line, &phrase.parts) {
                groups.push(phrase.group);
            }
        }
        if groups.len() >= MAX_GROUPS {
            break;
        }
    }
    groups.truncate(MAX_GROUPS);
    groups
}

/// One word for every group of a text, to be found by.
pub(super) fn marks(groups: &[&str]) -> String {
    groups.iter().map(|group| mark(group)).collect::<Vec<_>>().join(" ")
}

/// The name of the group that a word stands for, for people.
pub(super) fn named(word: &str) -> Option<String> {
    let group = WORDINGS.phrases.iter().map(|phrase| phrase.group).find(|group| word.starts_with(MARK) && mark(group) == word)?;
    Some(group.replace('_', " "))
}

fn mark(group: &str) -> String {
    group.chars().filter(char::is_ascii_alphabetic).fold(MARK.to_owned(), |mut word, c| {
        word.push(c);
        word
    })
}

fn says(line: &str, parts: &[String]) -> bool {
    let mut at = 0;
    parts.iter().all(|part| match line[at..].find(part.as_str()) {
        Some(found) => {
            at += found + part.len();
            true
        }
        None => false,
    })
}

/// Case, quotes and spaces are not printed alike everywhere.
fn folded(text: &str) -> String {
    let text = text.replace("&#39;", "'").replace("&quot;", "'").to_lowercase();
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '`' | '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' => folded.push('\''),
            c if c.is_whitespace() => {
                if !folded.ends_with(' ') {
                    folded.push(' ');
                }
            }
            c => folded.push(c),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Groups whose phrases are of another group too: a narrow fault is one of the wider sort.
    const ALSO: &[(&str, &[&str])] = &[
        ("collections_removed", &["python_import_name", "python_library"]),
        ("db_connection_refused", &["connection_refused"]),
        ("db_not_initialised", &["undefined_table"]),
        ("external_id", &["import_no_match"]),
        ("false_attribute", &["false_value"]),
        ("false_iteration", &["false_value"]),
        ("false_subscript", &["false_value"]),
        ("filestore_missing", &["file_missing_data"]),
        ("hook_signature", &["missing_argument", "signature"]),
        ("js_not_iterable", &["js_empty_value"]),
        ("js_null_property", &["js_empty_value"]),
        ("js_undefined_property", &["js_empty_value"]),
        ("jsonb_column", &["datatype_mismatch", "undefined_function"]),
        ("lock_not_available", &["concurrency"]),
        ("lxml_html_clean", &["python_library"]),
        ("missing_argument", &["signature"]),
        ("model_missing", &["undefined_table"]),
        ("none_arithmetic", &["none_value"]),
        ("none_attribute", &["none_value"]),
        ("none_call", &["none_value", "not_callable"]),
        ("none_compare", &["none_value"]),
        ("none_iteration", &["none_value"]),
        ("none_subscript", &["none_attribute", "none_value"]),
        ("partner_merge", &["record_rule"]),
        ("pypdf_removed", &["python_library"]),
        ("python_two", &["name_undefined", "python_library"]),
        ("serialization", &["concurrency"]),
        ("undefined_column", &["undefined_table"]),
        ("view_button", &["action_missing"]),
        ("view_recursive", &["recursion_hierarchy"]),
        ("werkzeug_removed", &["python_import_name"]),
        ("wkhtmltopdf_missing", &["file_missing_data"]),
        ("wkhtmltopdf_network", &["connection_refused"]),
    ];

    #[test]
    fn every_phrase_is_of_its_group() {
        let mut astray = BTreeSet::new();
        for phrase in &WORDINGS.phrases {
            let found = groups(&phrase.parts.join(" 7x "));
            assert!(found.contains(&phrase.group), "{} {:?}", phrase.group, phrase.parts);
            let wider = ALSO.iter().find(|(group, _)| *group == phrase.group).map_or(&[][..], |(_, wider)| wider);
            // Phrases that stand in two groups tell of both.
            let shared: Vec<&str> = WORDINGS.phrases.iter().filter(|other| other.parts == phrase.parts).map(|other| other.group).collect();
            let others = found.into_iter().filter(|group| !shared.contains(group) && !wider.contains(group));
            astray.extend(others.map(|group| (phrase.group, group, phrase.parts.join(" * "))));
        }
        assert!(astray.is_empty(), "{astray:#?}");
    }

    #[test]
    fn the_table_is_well_formed() {
        let mut marks = BTreeMap::new();
        for phrase in &WORDINGS.phrases {
            assert!(phrase.group.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", phrase.group);
            assert!(!phrase.parts.is_empty() && phrase.parts.concat().len() >= 7, "{}: {:?} says too little", phrase.group, phrase.parts);
            assert_eq!(*marks.entry(mark(phrase.group)).or_insert(phrase.group), phrase.group);
        }
        assert!(marks.len() >= 120 && WORDINGS.phrases.len() >= 500);
    }

    #[test]
    fn wordings_of_one_fault_meet() {
        for (group, texts) in [
            (
                "not_null",
                &[
                    "psycopg2.errors.NotNullViolation: null value in column \"name\" of relation \"x\" violates not-null constraint",
                    "ERREUR:  une valeur NULL dans la colonne « a » de la relation « b » viole la contrainte NOT NULL",
                    "- Create/update: a mandatory field is not set.",
                    "Missing required value for the field 'Name' (name).",
                ][..],
            ),
            (
                "date_datetime",
                &[
                    "TypeError: can't compare datetime.datetime to datetime.date",
                    "TypeError: '<' not supported between instances of 'datetime.datetime' and 'datetime.date'",
                ],
            ),
            (
                "js_undefined_property",
                &[
                    "TypeError: Cannot read properties of undefined (reading 'id')",
                    "TypeError: Cannot read property 'id' of undefined",
                    "TypeError: undefined is not an object (evaluating 'a.id')",
                ],
            ),
            ("connections_exhausted", &["FATAL:  sorry, too many clients already", "PoolError: The Connection Pool Is Full"]),
        ] {
            for text in texts {
                assert!(groups(text).contains(&group), "{text}");
            }
        }
        assert!(groups("Please add a field to the invoice form\nand print it").is_empty());
    }

    #[test]
    fn parts_stand_in_one_line() {
        assert!(groups("field \"x\" does not exist in model \"y\"").contains(&"view_field_missing"));
        assert!(!groups("field \"x\" does not\nexist in model \"y\"").contains(&"view_field_missing"));
    }

    #[test]
    fn marks_are_single_words() {
        let marked = marks(&["not_null", "unique"]);
        let words = crate::knowledge::lexical::words(&marked);
        assert_eq!(words.iter().filter_map(|word| named(word)).collect::<Vec<_>>(), ["not null", "unique"]);
        assert_eq!((named("partner"), named(MARK)), (None, None));
    }

    #[test]
    fn garbage_has_few_groups() {
        let every = TABLE.replace('*', " ");
        for text in ["", "\0*,\"", &"é«»".repeat(100_000), &"'nonetype' object ".repeat(50_000), &every] {
            assert!(groups(text).len() <= MAX_GROUPS, "{:?}", text.chars().take(20).collect::<String>());
        }
    }
}
