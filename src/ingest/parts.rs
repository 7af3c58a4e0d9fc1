//! One request, cut into messages that any NATS server takes.

use bytes::Bytes;
use serde_json::Value;

use super::{Format, IngestError, MAX_LINE, MAX_RECORDS, check, detect, split};

/// The largest message, in bytes. NATS takes 1 MiB by default, headers included.
const MAX_PART: usize = MAX_LINE;

/// Checks a body and cuts it where records end. An array becomes JSON lines, so that it can be cut too.
pub fn parts(content_type: Option<&str>, body: &[u8]) -> Result<(Format, Vec<Bytes>), IngestError> {
    let format = detect(content_type, body)?;
    match format {
        Format::Text => {
            check(body)?;
            let text = String::from_utf8_lossy(body);
            Ok((format, split(&text, MAX_PART).into_iter().map(|part| Bytes::copy_from_slice(part.as_bytes())).collect()))
        }
        Format::JsonLines => {
            check(body)?;
            let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
            Ok((format, packed(lines.collect())?))
        }
        Format::JsonArray => {
            let records: Vec<Value> = serde_json::from_slice(body).map_err(|error| IngestError::Json(error.to_string()))?;
            Ok((Format::JsonLines, packed(records.iter().map(|record| record.to_string().into_bytes()).collect())?))
        }
    }
}

/// As many whole lines a part as fit.
fn packed(lines: Vec<Vec<u8>>) -> Result<Vec<Bytes>, IngestError> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut records = 0;
    for (index, line) in lines.into_iter().enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        records += 1;
        if records > MAX_RECORDS {
            return Err(IngestError::TooManyRecords);
        }
        if line.len() > MAX_LINE {
            return Err(IngestError::LineTooLong { line: index + 1, len: line.len() });
        }
        if part.len() + line.len() + 1 > MAX_PART && !part.is_empty() {
            parts.push(Bytes::from(std::mem::take(&mut part)));
        }
        part.extend_from_slice(&line);
        part.push(b'\n');
    }
    if !part.is_empty() {
        parts.push(Bytes::from(part));
    }
    if parts.is_empty() { Err(IngestError::Empty) } else { Ok(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_becomes_lines() {
        let (format, parts) = parts(Some("application/json"), br#"["a\nb", {"message": "c"}]"#).unwrap();
        assert_eq!(format, Format::JsonLines);
        assert_eq!(parts, [Bytes::from_static(b"\"a\\nb\"\n{\"message\":\"c\"}\n")]);
    }

    #[test]
    fn no_part_is_larger_than_a_message() {
        let line = format!("{}\n", serde_json::json!({ "message": "x".repeat(300_000) }));
        let (_, cut) = parts(Some("application/x-ndjson"), line.repeat(7).as_bytes()).unwrap();
        assert!(cut.len() > 1 && cut.iter().all(|part| part.len() <= MAX_PART));
        assert_eq!(cut.iter().map(Bytes::len).sum::<usize>(), line.len() * 7);
    }

    #[test]
    fn garbage_is_named() {
        assert!(matches!(parts(None, b""), Err(IngestError::Empty)));
        assert!(matches!(parts(None, b"\x00\x01\xff"), Err(IngestError::Binary { .. })));
        assert!(matches!(parts(None, &vec![b'x'; MAX_LINE + 1]), Err(IngestError::LineTooLong { line: 1, .. })));
        assert!(parts(Some("application/json"), b"[1, 2").is_err());
    }
}
