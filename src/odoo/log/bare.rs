//! Text without a head: a traceback that somebody pasted, or only what an exception says.

use std::borrow::Cow;

use super::super::cut;
use super::super::pattern::Pattern;
use super::{Entry, HEAD_MAX, clean, without_prefix};

/// An exception as Python prints it. Only names that tell what they are: `Note: …` is none.
static RAISED: Pattern = Pattern::new(concat!(
    r"^(?:(?:psycopg2?|odoo|openerp|werkzeug|lxml|requests|urllib3|binascii|xmlrpc|json|jinja2)(?:\.\w+)*\.[A-Z]\w*|",
    r"(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Warning|Violation|Failure|Denied|Detected|NotAvailable|Undefined\w+|Ambiguous\w+|Timeout|ParseError))",
    r"(?:: |:?$)"
));
/// The cause, where a list names it after the text.
static CAUSE: Pattern = Pattern::new(r"^    cause: (?:[a-z_][\w.]* )?([A-Z]\w*) (.*)$");

/// Texts of one list, so that no input makes more entries than a log has lines.
const TEXTS_MAX: usize = 10_000;

/// The errors of a text that has no head: a traceback is one, a list of texts is one each, and each line that starts with an exception
/// starts one.
pub(super) fn entries(text: &str) -> Vec<Entry<'_>> {
    let is_traceback = text.contains("Traceback (most recent call last):") || text.contains("  File \"");
    if is_traceback {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return vec![entry(clean(text, without_prefix(first).is_some()))];
    }
    // `## what was tried => what it said`.
    let listed = text.starts_with("## ") || text.contains("\n## ");
    let mut texts: Vec<Vec<&str>> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        let bare = without_prefix(line).unwrap_or(line);
        let starts = match listed {
            true => line.strip_prefix("## ").and_then(|line| line.split_once(" => ")).map(|(_, said)| said),
            false => RAISED.is_match(cut::head(bare, HEAD_MAX)).then_some(bare),
        };
        match starts {
            Some(said) => {
                open = texts.len() < TEXTS_MAX && RAISED.is_match(cut::head(said, HEAD_MAX));
                if open {
                    texts.push(vec![said]);
                }
            }
            None if open => texts.last_mut().into_iter().for_each(|said| said.push(line)),
            None => {}
        }
    }
    texts.into_iter().map(|lines| entry(Cow::Owned(traceback(&lines)))).collect()
}

fn entry(message: Cow<'_, str>) -> Entry<'_> {
    Entry { at: None, pid: None, level: "ERROR", database: None, logger: "", message }
}

/// What was said, in the form of a traceback without frames.
fn traceback(lines: &[&str]) -> String {
    const START: &str = "Traceback (most recent call last):\n";
    let cause = lines.iter().find_map(|line| CAUSE.groups::<2>(cut::head(line, HEAD_MAX)));
    let said: Vec<_> = lines.iter().filter(|line| !CAUSE.is_match(cut::head(line, HEAD_MAX))).copied().collect();
    let said = clean(&said.join("\n"), false).into_owned();
    match cause {
        Some([exception, message]) => {
            let between = "The above exception was the direct cause of the following exception:";
            format!("{START}{exception}: {message}\n\n{between}\n\n{START}{said}")
        }
        None => format!("{START}{said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        entries(text).into_iter().map(|entry| entry.message.replace("Traceback (most recent call last):\n", "")).collect()
    }

    #[test]
    fn exception_alone_is_an_error() {
        assert_eq!(messages("ValueError: Expected singleton: res.partner(6, 7)\n"), ["ValueError: Expected singleton: res.partner(6, 7)"]);
        let deleted = "odoo.exceptions.MissingError: Record does not exist.\n(Record: res.partner(8,), User: 1)";
        assert_eq!(messages(deleted), [deleted]);
        assert_eq!(messages("web-1  | KeyError: 'a'\n"), ["KeyError: 'a'"]);
        assert_eq!(messages("StopIteration"), [""; 0]);
        assert_eq!(messages("Note: this\nis: nothing\n"), [""; 0]);
    }

    #[test]
    fn each_text_of_a_list_is_an_error() {
        let list = "## a => KeyError: 'x'\n## b => NO ERROR None\n## c => ValueError: no\n\n    cause: builtins KeyError 'y'\n";
        let between = "\n\nThe above exception was the direct cause of the following exception:\n\n";
        assert_eq!(messages(list), ["KeyError: 'x'".to_owned(), format!("KeyError: 'y'{between}ValueError: no")]);
    }

    #[test]
    fn long_lines_are_survived() {
        assert_eq!(messages(&format!("## a => ValueError: {}", "é".repeat(5_000))).len(), 1);
        assert_eq!(messages(&format!("ValueError: {}", "é".repeat(500_000))).len(), 1);
    }
}
