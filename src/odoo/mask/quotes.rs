//! Quotes in the forms that they take where texts are written into other texts.

use std::ops::Range;

/// The most bytes of a value that are looked at for its end.
const REACH: usize = 16 * 1024;

/// Quotes that are written as something else.
const WRITTEN: &[&str] = &["&quot;", "&#34;", "&#39;", "&apos;", "%22", "%27", "\\u0022", "\\u0027", "“", "«"];

/// An opening quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote<'t> {
    /// As it stands in the text, with the backslashes before it.
    pub text: &'t str,
    backslashes: usize,
}

impl<'t> Quote<'t> {
    /// Returns the quote that stands at this place, if one does.
    pub fn at(text: &'t str, at: usize) -> Option<Self> {
        let rest = text.get(at..)?;
        if let Some(written) = WRITTEN.iter().find(|written| rest.starts_with(**written)) {
            return Some(Self { text: &rest[..written.len()], backslashes: 0 });
        }
        let backslashes = rest.bytes().take_while(|byte| *byte == b'\\').take(16).count();
        let is_quote = matches!(rest.as_bytes().get(backslashes), Some(b'"' | b'\'' | b'`'));
        is_quote.then(|| Self { text: &rest[..=backslashes], backslashes })
    }

    /// Returns what stands between this quote, which ends at `from`, and the one that closes it on the same line.
    pub fn content(&self, text: &str, from: usize) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let limit = bytes.len().min(from + REACH);
        let quote = self.text.as_bytes()[self.text.len() - 1];
        if self.backslashes == 0 && self.text.len() > 1 {
            let closing = match self.text {
                "“" => "”",
                "«" => "»",
                written => written,
            };
            let rest = text.get(from..text.floor_char_boundary(limit))?;
            let line = rest.split('\n').next().unwrap_or_default();
            return line.find(closing).map(|end| from..from + end);
        }
        let mut backslashes = 0;
        for (at, byte) in bytes.iter().enumerate().take(limit).skip(from) {
            match *byte {
                b'\\' => backslashes += 1,
                b'\n' => return None,
                byte if byte == quote && self.closes(backslashes) => return Some(from..at - backslashes.min(self.backslashes)),
                _ => backslashes = 0,
            }
        }
        None
    }

    /// A quote with more backslashes before it is one of the value; one with fewer ends what this quote is written in.
    const fn closes(&self, backslashes: usize) -> bool {
        if self.backslashes == 0 { backslashes.is_multiple_of(2) } else { backslashes <= self.backslashes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> Option<&str> {
        let quote = Quote::at(text, 0)?;
        quote.content(text, quote.text.len()).map(|range| &text[range])
    }

    #[test]
    fn quotes_end_where_they_are_closed() {
        for (text, inside) in [
            (r#""a b" c"#, "a b"),
            (r#""a\"b" c"#, r#"a\"b"#),
            (r#""a\\" c"#, r"a\\"),
            (r#"\"a'b\", \"c\""#, "a'b"),
            (r#"\"a\\\"b\""#, r#"a\\\"b"#),
            ("&quot;x&quot;", "x"),
            ("%22x%22%3A", "x"),
            ("«x» y", "x"),
        ] {
            assert_eq!(content(text), Some(inside), "{text}");
        }
        assert_eq!((content("'a\nb'"), content("a")), (None, None));
    }
}
