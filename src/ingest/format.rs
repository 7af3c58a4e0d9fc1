//! Which format a body has, and whether it may be taken at all.

use std::fmt;
use std::str::FromStr;

use super::IngestError;

/// Bytes that one request may have.
pub const MAX_BODY: usize = 16 * 1024 * 1024;
/// Bytes that one line may have.
pub const MAX_LINE: usize = 768 * 1024;
/// Records that one request may have.
pub const MAX_RECORDS: usize = 10_000;

/// How logs are wrapped. The name is the last token of the subject `ingest.<tenant>.<format>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The log as Odoo writes it.
    Text,
    /// One JSON value a line.
    JsonLines,
    /// One JSON array of records.
    JsonArray,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Text, Self::JsonLines, Self::JsonArray];

    /// The name in subjects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "odoo-text",
            Self::JsonLines => "odoo-ndjson",
            Self::JsonArray => "odoo-json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = IngestError;
    fn from_str(text: &str) -> Result<Self, IngestError> {
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or_else(|| IngestError::Format(shown(text)))
    }
}

/// The format that the content type names; where it says nothing useful, the one that the body looks like.
pub fn detect(content_type: Option<&str>, body: &[u8]) -> Result<Format, IngestError> {
    let declared = content_type.unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/plain" => Ok(Format::Text),
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/json-lines"
        | "application/stream+json" => Ok(Format::JsonLines),
        // Shippers often say application/json for JSON lines too.
        "application/json" if first_char(body) == Some(b'[') => Ok(Format::JsonArray),
        "application/json" => Ok(Format::JsonLines),
        // What clients send when nobody told them better.
        "" | "application/octet-stream" | "application/x-www-form-urlencoded" => Ok(sniff(body)),
        _ => Err(IngestError::ContentType(shown(declared))),
    }
}

/// Whether a body may be taken: not empty, not too large, text, and no endless line (an array may stand in one line).
pub fn check(body: &[u8]) -> Result<(), IngestError> {
    if body.len() > MAX_BODY {
        return Err(IngestError::TooLarge { size: body.len() });
    }
    let Some(first) = first_char(body) else { return Err(IngestError::Empty) };
    check_text(body)?;
    if first == b'[' { Ok(()) } else { check_lines(body) }
}

/// Whether a file may be read as a log: the same as [`check`], but for the size, which is the caller's to limit.
pub fn check_file(content: &[u8]) -> Result<(), IngestError> {
    if first_char(content).is_none() {
        return Err(IngestError::Empty);
    }
    check_text(content)?;
    check_lines(content)
}

/// Whether every line is short enough.
pub(super) fn check_lines(text: &[u8]) -> Result<(), IngestError> {
    match text.split(|byte| *byte == b'\n').enumerate().find(|(_, line)| line.len() > MAX_LINE) {
        Some((index, line)) => Err(IngestError::LineTooLong { line: index + 1, len: line.len() }),
        None => Ok(()),
    }
}

fn check_text(body: &[u8]) -> Result<(), IngestError> {
    let hint = match body {
        [0x1f, 0x8b, ..] => Some("it looks like gzip; send it uncompressed"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("it looks like zstd; send it uncompressed"),
        [b'P', b'K', 3, 4, ..] => Some("it looks like a zip file; send the log inside it"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("it looks like UTF-16; convert it to UTF-8"),
        _ => None,
    };
    if let Some(hint) = hint {
        return Err(IngestError::Binary { offset: 0, hint });
    }
    if let Some(offset) = body.iter().position(|byte| *byte == 0) {
        return Err(IngestError::Binary { offset, hint: "it has NUL bytes; send the log as text" });
    }
    let invalid: usize = body.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    // A log in an older encoding has a stray byte here and there and stays readable; every fourth byte is something else.
    if invalid * 4 > body.len() {
        let offset = body.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
        return Err(IngestError::Binary { offset, hint: "most of it cannot be read; send the log as UTF-8 text" });
    }
    Ok(())
}

fn sniff(body: &[u8]) -> Format {
    let text = strip_bom(body).trim_ascii_start();
    match text.first() {
        Some(b'{') if matches!(next_char(&text[1..]), Some(b'"' | b'}')) => Format::JsonLines,
        Some(b'[') if matches!(next_char(&text[1..]), Some(b'"' | b'{' | b']')) => Format::JsonArray,
        _ => Format::Text,
    }
}

/// The body without the mark that some editors put before UTF-8.
pub(super) fn strip_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

fn first_char(body: &[u8]) -> Option<u8> {
    next_char(strip_bom(body))
}

fn next_char(body: &[u8]) -> Option<u8> {
    body.trim_ascii_start().first().copied()
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_survive_their_round_trip() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("odoo_text".parse::<Format>(), Err(IngestError::Format("odoo_text".to_owned())));
    }

    #[test]
    fn content_type_decides() {
        for (content_type, body, format) in [
            (Some("text/plain; charset=utf-8"), r#"{"a": 1}"#, Format::Text),
            (Some("Application/X-NDJSON"), "", Format::JsonLines),
            (Some("application/json"), " [1]", Format::JsonArray),
            (Some("application/json"), "\u{feff}[1]", Format::JsonArray),
            (Some("application/json"), r#"{"log": "x"}"#, Format::JsonLines),
            (Some("application/x-www-form-urlencoded"), "2026-01-31 12:00:00,123 1 INFO", Format::Text),
            (None, r#"{"log": "x"}"#, Format::JsonLines),
            (None, r#"[ {"log": "x"}]"#, Format::JsonArray),
            (None, "[2026-01-31] started", Format::Text),
            (None, "{not json", Format::Text),
            (None, "", Format::Text),
        ] {
            assert_eq!(detect(content_type, body.as_bytes()), Ok(format), "{content_type:?} {body:?}");
        }
        assert_eq!(detect(Some("image/png"), b""), Err(IngestError::ContentType("image/png".to_owned())));
    }

    #[test]
    fn readable_bodies_pass() {
        check(b"2026-01-31 12:00:00,123 1 INFO ? odoo: hi\n").unwrap();
        check(b"caf\xe9 in latin-1 is still a log").unwrap();
        check(format!("[{:?}]", "x".repeat(2 * MAX_LINE)).as_bytes()).unwrap();
    }

    #[test]
    fn unreadable_bodies_are_named() {
        assert_eq!(check(b""), Err(IngestError::Empty));
        assert_eq!(check(b" \r\n\t"), Err(IngestError::Empty));
        assert_eq!(check(&vec![b'a'; MAX_BODY + 1]), Err(IngestError::TooLarge { size: MAX_BODY + 1 }));
        assert!(matches!(check(b"abc\0def"), Err(IngestError::Binary { offset: 3, .. })));
        assert!(matches!(check(b"ok \x80\x81\x82\x83"), Err(IngestError::Binary { offset: 3, .. })));
        assert!(check(b"\x1f\x8b\x08\x00").unwrap_err().to_string().contains("gzip"));
        assert!(check(b"\xff\xfeh\0i\0").unwrap_err().to_string().contains("UTF-16"));
        let long = format!("short\n{}\n", "x".repeat(MAX_LINE + 1));
        assert_eq!(check(long.as_bytes()), Err(IngestError::LineTooLong { line: 2, len: MAX_LINE + 1 }));
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(body: Vec<u8>, content_type: Option<String>) {
            let _ = check(&body);
            let _ = detect(content_type.as_deref(), &body);
        }
    }
}
