//! Places in a text as lines.

use super::MAX_TEXT;

/// A text that knows where its lines begin.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// The line of a byte, counted from 1.
    pub(super) fn at(&self, byte: usize) -> u32 {
        number(self.starts.partition_point(|start| *start <= byte))
    }

    /// The last line, an empty one after the last newline left out.
    pub(super) fn last(&self) -> u32 {
        let open = usize::from(self.text.ends_with('\n'));
        number((self.starts.len() - open).max(1))
    }

    /// What stands in these lines, as much of it as one piece may have.
    pub(super) fn text(&self, first: u32, last: u32) -> &'t str {
        let begin = |line: u32| self.starts.get((line as usize).saturating_sub(1)).copied().unwrap_or(self.text.len());
        let text = self.text.get(begin(first)..begin(last.saturating_add(1))).unwrap_or_default();
        capped(text.trim_end_matches(['\n', '\r']))
    }
}

/// A count as a line number.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// As much of a text as one piece may have, up to the end of a line if it has one.
pub(super) fn capped(text: &str) -> &str {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    text.rfind('\n').map_or(text, |end| &text[..end])
}

/// The first so many characters of a text in one line.
pub(super) fn short(text: &str, most: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() > most {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one() {
        let lines = Lines::of("a\nbb\n\nc\n");
        assert_eq!((lines.at(0), lines.at(2), lines.at(5), lines.last()), (1, 2, 3, 4));
        assert_eq!((lines.text(2, 4), lines.text(9, 12), Lines::of("").last()), ("bb\n\nc", "", 1));
    }

    #[test]
    fn large_text_ends_with_a_line() {
        let text = format!("{}\n{}", "a".repeat(40_000), "é".repeat(40_000));
        assert_eq!(capped(&text).len(), 40_000);
        assert!(capped(&"é".repeat(40_000)).len() <= MAX_TEXT);
        assert_eq!(short(" a  b\nc", 10), "a b c");
        assert_eq!(short("abcdef", 3), "abc…");
    }
}
