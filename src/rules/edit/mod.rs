//! Changes to a text that leave every other byte as it was: spans found by a parser, replaced back to front.
//! Never writes a syntax tree back as text.

pub mod classes;
pub mod domain;
pub mod imports;
pub mod manifest;
pub mod python;
pub mod scopes;
pub mod xml;

use std::ops::Range;

/// The largest file that a rule reads. Hand-written sources are far smaller; what is larger is left alone.
pub const MAX_FILE: usize = 1024 * 1024;

/// One span and what takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Bytes of the text as it was.
    pub range: Range<usize>,
    /// The new text.
    pub text: String,
}

impl Edit {
    /// Puts `text` where `range` was.
    pub fn new(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, text: text.into() }
    }

    /// Takes `range` away.
    pub fn remove(range: Range<usize>) -> Self {
        Self::new(range, "")
    }
}

/// The text after the edits. `None` if there are none, two of them overlap, or one does not fit the text: then nothing was understood.
pub fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    edits.dedup();
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for edit in &edits {
        if edit.range.start < done {
            return None;
        }
        result.push_str(text.get(done..edit.range.start)?);
        result.push_str(&edit.text);
        text.get(edit.range.clone())?;
        done = edit.range.end;
    }
    result.push_str(text.get(done..)?);
    (result != text).then_some(result)
}

/// The start of the line that holds this byte.
pub fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// What stands between the start of the line and this byte, if that is only white space.
pub fn indent(text: &str, at: usize) -> Option<&str> {
    let before = &text[line_start(text, at)..at];
    before.chars().all(|c| c == ' ' || c == '\t').then_some(before)
}

/// The whole lines that hold the span, newline included, if nothing else stands on them; otherwise the span.
pub fn whole_lines(text: &str, range: Range<usize>) -> Range<usize> {
    let after = &text[range.end..];
    let rest = after.find('\n').map_or(after.len(), |newline| newline + 1);
    if indent(text, range.start).is_some() && after[..rest].trim().is_empty() {
        line_start(text, range.start)..range.end + rest
    } else {
        range
    }
}

/// How alike two names are, 0 to 1.
fn likeness(a: &str, b: &str) -> f64 {
    strsim::normalized_levenshtein(a, b)
}

/// The one name that is clearly meant: at least 0.85 alike and more alike than every other.
pub fn near_miss<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Levenshtein is quadratic; real names are short.
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .filter(|name| *name != wanted && name.len() <= 200 && wanted.len() <= 200)
        .map(|name| (likeness(wanted, name), name))
        .filter(|(score, _)| *score >= 0.85)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    match scored.as_slice() {
        [(_, only)] => Some(only),
        [first, second, ..] if first.0 > second.0 => Some(first.1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_edits_are_refused() {
        assert_eq!(apply("abcdef", vec![Edit::new(0..3, "x"), Edit::new(2..4, "y")]), None);
        assert_eq!(apply("abcdef", vec![Edit::new(4..99, "y")]), None);
        assert_eq!(apply("äb", vec![Edit::new(0..1, "y")]), None);
        assert_eq!(apply("abc", vec![]), None);
    }

    #[test]
    fn edits_come_in_any_order() {
        assert_eq!(apply("abcdef", vec![Edit::new(4..5, "E"), Edit::remove(0..1)]).as_deref(), Some("bcdEf"));
    }

    #[test]
    fn near_miss_wants_a_clear_winner() {
        assert_eq!(near_miss("product_stat", ["product_state", "product_template"]), Some("product_state"));
        assert_eq!(near_miss("abcdefghi1", ["abcdefghi2", "abcdefghi3"]), None);
        assert_eq!(near_miss("x", ["y"]), None);
    }
}
