//! Parts of a text that are to be hidden, and the text without them.

use std::borrow::Cow;
use std::ops::Range;

/// Text that stands where something was hidden.
pub const STARS: &str = "***";

/// Byte ranges of a text that are to be hidden, in any order.
#[derive(Debug, Default)]
pub struct Spans(Vec<Range<usize>>);

impl Spans {
    /// Adds a range that starts and ends between characters.
    pub fn push(&mut self, range: Range<usize>) {
        if range.start < range.end {
            self.0.push(range);
        }
    }

    /// Returns the text with every range replaced by stars; ranges that touch become one.
    pub fn apply(mut self, text: &str) -> Cow<'_, str> {
        self.0.sort_unstable_by_key(|range| (range.start, range.end));
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(self.0.len());
        for range in self.0 {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged.retain(|range| text.get(range.clone()).is_some_and(|hidden| hidden != STARS));
        if merged.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut end = 0;
        for range in merged {
            masked.push_str(&text[end..range.start]);
            masked.push_str(STARS);
            end = range.end;
        }
        masked.push_str(&text[end..]);
        Cow::Owned(masked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str, ranges: &[Range<usize>]) -> String {
        let mut spans = Spans::default();
        ranges.iter().for_each(|range| spans.push(range.clone()));
        spans.apply(text).into_owned()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(masked("a secret b", &[4..6, 2..4, 5..8]), "a *** b");
        assert_eq!(masked("ab", &[0..1, 1..2]), "***");
        assert_eq!(masked("ab", std::slice::from_ref(&(1..1))), "ab");
    }

    #[test]
    fn what_is_hidden_stays_as_it_is() {
        let mut spans = Spans::default();
        spans.push(0..3);
        assert!(matches!(spans.apply("*** x"), Cow::Borrowed("*** x")));
    }
}
