//! What an error says, without where and to whom it happened: the same fault in another database, path, language of names gives nearly the
//! same text. Pure.

use std::sync::LazyLock;

use regex::Regex;

/// The bytes of a text that are read: its end, where the error stands.
const MAX_BYTES: usize = 48 * 1024;

/// Lines that every error of their kind has and that tell nothing.
const NOISE: [&str; 11] = [
    "traceback (most recent call last)",
    "the above exception was the direct cause",
    "during handling of the above exception",
    "odoo server error",
    "rpc_error",
    "occured on",
    "view error context",
    "error context",
    "odoo client error",
    "odoo.http exception during",
    "odoo.http: exception during",
];

struct Masks {
    head: Regex,
    frame: Regex,
    path: Regex,
    dotted: Regex,
    names: Regex,
    numbers: Regex,
}

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test reads them")]
static MASKS: LazyLock<Masks> = LazyLock::new(|| {
    let pattern = |text: &str| Regex::new(text).expect("a constant pattern");
    Masks {
        head: pattern(
            r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]?\d*\S*\s+(?:\d+\s+)?(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\s+\S+\s+([\w.]+):\s*",
        ),
        frame: pattern(r#"^\s+File "[^"]*", line \d+"#),
        path: pattern(r"(?:[A-Za-z]:)?(?:[\\/][\w.@+-]+){2,}[\\/]?|\bhttps?://\S+|\b[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|local|example)\b"),
        dotted: pattern(r"\b[a-z_]\w*(?:\.\w+)+\b|\b\w+_\w+\b|\b[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+\b"),
        names: pattern(r#"'[^'\n]{0,80}'|"[^"\n]{0,80}"|“[^”\n]{0,80}”|«[^»\n]{0,80}»|`[^`\n]{0,80}`"#),
        numbers: pattern(r"\b\w*\d[\w-]*\b"),
    }
});

/// The lines that say what went wrong: no frames, no heads, no rituals.
pub(super) fn said(text: &str) -> String {
    let text = &text[text.ceil_char_boundary(text.len().saturating_sub(MAX_BYTES))..];
    let mut lines = Vec::new();
    let mut in_frame = false;
    for line in text.lines() {
        if MASKS.frame.is_match(line) {
            in_frame = true;
            continue;
        }
        // What follows a frame and is set in is its source line, and what marks a part of it.
        if in_frame && line.starts_with("    ") {
            continue;
        }
        in_frame = false;
        let line = MASKS.head.replace(line, "$1 ");
        let lower = line.trim().to_lowercase();
        if !lower.is_empty() && !NOISE.iter().any(|noise| lower.starts_with(noise)) {
            lines.push(line.trim().to_owned());
        }
    }
    lines.join("\n")
}

/// The same without names, numbers, paths and hosts. What an exception is called stays.
pub(super) fn essence(text: &str) -> String {
    let said = said(text);
    let said = MASKS.path.replace_all(&said, " ");
    let said = MASKS.names.replace_all(&said, |found: &regex::Captures<'_>| kept(&found[0]).to_owned());
    let said = MASKS.dotted.replace_all(&said, |found: &regex::Captures<'_>| kept(&found[0]).to_owned());
    MASKS.numbers.replace_all(&said, " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Of a name only what tells the fault: an exception, and the types of Python itself.
fn kept(name: &str) -> &str {
    let bare = name.trim_matches(|c: char| !c.is_alphanumeric());
    let last = bare.rsplit('.').next().unwrap_or(bare);
    let is_fault = [
        "Error",
        "Exception",
        "Warning",
        "Violation",
        "Failure",
        "NoneType",
        "datetime",
        "bool",
        "str",
        "dict",
        "list",
        "tuple",
        "float",
        "int",
        "date",
    ];
    let named = is_fault.contains(&last) || (last.starts_with(char::is_uppercase) && is_fault[..5].iter().any(|end| last.ends_with(end)));
    if named || bare.contains(' ') { bare } else { " " }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_went_wrong_is_left() {
        let log = "2026-11-22 18:58:03,295 56 ERROR shop odoo.http: Exception during request handling.\nTraceback (most recent call last):\n  File \"/srv/odoo/addons/sale/models/x.py\", line 12, in f\n    return self.g()\n           ^^^^^^^^\nValueError: Expected singleton: res.partner(6, 7)";
        assert_eq!(said(log), "ValueError: Expected singleton: res.partner(6, 7)");
        assert_eq!(essence(log), "ValueError: Expected singleton: ( , )");
    }

    #[test]
    fn names_paths_and_hosts_go() {
        let text = "Field \"x_foo\" does not exist in “res.partner” at /opt/odoo/addons/x.py on erp.example.com INV/2026/00017";
        assert_eq!(essence(text), "Field does not exist in at on INV");
    }

    #[test]
    fn garbage_is_bounded() {
        for text in ["", "\0", "'", &"é".repeat(200_000), &"'a ".repeat(100_000)] {
            assert!(essence(text).len() <= MAX_BYTES + 4);
        }
    }
}
