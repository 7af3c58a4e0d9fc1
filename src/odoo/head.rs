//! The head of a log entry, as Odoo's formatter writes it: `%(asctime)s %(pid)s %(levelname)s %(dbname)s %(name)s: …`.

/// Whether an entry starts here: `2026-01-31 12:00:00,123 4242 ERROR …`.
pub(crate) fn is_head(line: &[u8]) -> bool {
    const TIME: &[u8] = b"dddd-dd-dd dd:dd:dd,ddd ";
    let Some((time, rest)) = line.split_at_checked(TIME.len()) else { return false };
    let fits = time.iter().zip(TIME).all(|(byte, pattern)| if *pattern == b'd' { byte.is_ascii_digit() } else { byte == pattern });
    let pid = rest.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    // A terminal gets the level in colours: an escape sequence stands before it.
    fits && pid > 0 && rest.get(pid) == Some(&b' ') && rest.get(pid + 1).is_some_and(|byte| byte.is_ascii_uppercase() || *byte == 0x1b)
}

#[cfg(test)]
mod tests {
    use super::is_head;

    #[test]
    fn odoo_heads_are_seen() {
        assert!(is_head(b"2026-01-31 12:00:00,123 4242 ERROR db odoo.http: boom"));
        assert!(is_head(b"2026-01-31 12:00:00,123 1 \x1b[1;31mERROR db odoo.http: boom"));
    }

    #[test]
    fn other_lines_are_not() {
        for line in [
            "",
            "Traceback (most recent call last):",
            "2026-01-31 12:00:00 4242 ERROR db x: y",
            "2026-01-31 12:00:00,123 ERROR db x: y",
            "2026-01-31 12:00:00,123 4242 error",
            "2026-01-31 12:00:00,123 4242 ",
            "2026-01-31 12:00:00,123 4242",
            "  2026-01-31 12:00:00,123 4242 ERROR",
        ] {
            assert!(!is_head(line.as_bytes()), "{line:?}");
        }
    }
}
