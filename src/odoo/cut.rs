//! Cutting text without breaking a character.

use std::borrow::Cow;

/// The start of a text, at most `max` bytes.
pub(super) fn head(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// The end of a text, at most `max` bytes.
pub(super) fn tail(text: &str, max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(max))..]
}

/// A text of at most about `first + last` bytes: both ends are kept, because the head says where and the tail says what.
pub(super) fn middle(text: &str, first: usize, last: usize) -> Cow<'_, str> {
    if text.len() <= first + last {
        return Cow::Borrowed(text);
    }
    let (start, end) = (head(text, first), tail(text, last));
    let left_out = text.len() - start.len() - end.len();
    Cow::Owned(format!("{start}\n[… {left_out} bytes left out …]\n{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_never_splits_a_character() {
        let text = "ä€😀".repeat(50);
        for max in 0..text.len() {
            assert!(text.starts_with(head(&text, max)));
            assert!(text.ends_with(tail(&text, max)));
            assert!(middle(&text, max / 2, max / 3).len() <= max + 40);
        }
    }
}
