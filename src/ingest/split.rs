//! Long logs in parts.

use crate::odoo::is_head;

/// Cuts a log into parts of at most `max` bytes, at heads of entries. Only an entry that alone is longer is cut inside: at a
/// line end, or at a character if the line alone is longer. The parts joined are the log; a part may exceed a `max` of less
/// than four bytes, so as to hold one character.
pub fn split(text: &str, max: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, more) = rest.split_at(cut(rest, max));
        parts.push(part);
        rest = more;
    }
    parts
}

/// Where the first part of a text that is not empty ends: more than 0, and a character boundary.
fn cut(text: &str, max: usize) -> usize {
    if text.len() <= max {
        return text.len();
    }
    let bytes = text.as_bytes();
    let mut line_end = None;
    let mut end = max;
    while let Some(newline) = bytes[..end].iter().rposition(|byte| *byte == b'\n') {
        if is_head(&bytes[newline + 1..]) {
            return newline + 1;
        }
        line_end = line_end.or(Some(newline + 1));
        end = newline;
    }
    let char_end = || match text.floor_char_boundary(max) {
        0 => text.chars().next().map_or(text.len(), char::len_utf8),
        boundary => boundary,
    };
    line_end.unwrap_or_else(char_end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENTRY: &str = "2026-01-31 12:00:00,123 4242 ERROR db odoo.http: boom\nTraceback:\n  line\n";

    #[test]
    fn short_log_stays_whole() {
        assert_eq!(split(ENTRY, ENTRY.len()), [ENTRY]);
        assert!(split("", 10).is_empty());
    }

    #[test]
    fn entries_stay_whole() {
        let log = ENTRY.repeat(5);
        let parts = split(&log, ENTRY.len() * 2 + 30);
        assert_eq!(parts, [ENTRY.repeat(2), ENTRY.repeat(2), ENTRY.to_owned()]);
    }

    #[test]
    fn long_entry_is_cut_at_lines() {
        let log = format!("{ENTRY}  more\n  more\n{ENTRY}");
        let parts = split(&log, ENTRY.len());
        assert_eq!(parts, [ENTRY, "  more\n  more\n", ENTRY]);
    }

    #[test]
    fn long_line_is_cut_at_characters() {
        assert_eq!(split("äöü", 3), ["ä", "ö", "ü"]);
        assert_eq!(split("äö", 0), ["ä", "ö"]);
    }

    fn logs() -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof![Just(ENTRY.to_owned()), Just("\n".to_owned()), any::<String>()], 0..20)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(log in logs(), max in 0usize..400) {
            let parts = split(&log, max);
            prop_assert_eq!(parts.concat(), log.as_str());
            prop_assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= max.max(4)));
        }

        #[test]
        fn a_cut_stands_at_a_head_where_it_can(entries in 1usize..30, max in ENTRY.len()..400) {
            let log = ENTRY.repeat(entries);
            prop_assert!(split(&log, max).iter().all(|part| is_head(part.as_bytes())));
        }
    }
}
