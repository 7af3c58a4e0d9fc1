//! Text from outside as a person or a program may see it.

use crate::odoo;

/// The most bytes of a message that are shown.
const MAX_SHOWN: usize = 64 * 1024;

/// Returns the start of a message as text with its secrets masked; bytes that are no UTF-8 are replaced.
pub fn shown(message: &[u8]) -> String {
    // Masked before it is cut: half a secret is no longer recognised as one.
    let text = String::from_utf8_lossy(message);
    let masked = odoo::mask(&text);
    masked[..masked.floor_char_boundary(MAX_SHOWN)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_masked_and_cut() {
        let text = shown(format!("postgres://odoo:hunter22@db/prod \u{fffd} {}", "ü".repeat(100_000)).as_bytes());
        assert!(!text.contains("hunter22") && text.len() <= MAX_SHOWN, "{}", text.len());
        assert_eq!(shown(b"\xff\x00a"), "\u{fffd}\0a");
    }
}
