//! A body as log texts, one a record. A record that cannot be read does not sink the others.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

use super::format::{MAX_BODY, MAX_RECORDS, check_lines, strip_bom};
use super::{Format, IngestError};
use crate::odoo::{JsonEntry as Entry, Record, is_head};

/// Docker cuts what a container prints at this many bytes; the piece before the cut has no newline.
const DOCKER_PIECE: usize = 16 * 1024;

/// One log text per record, in their order: of plain text one, of JSON one a record, where lines of container output that
/// belong to one entry count as one. Records that name no time get the time at which they were received.
/// The outer error is about the whole body, an inner one about one record.
pub fn texts_received(format: Format, body: &[u8], received: DateTime<Utc>) -> Result<Vec<Result<String, IngestError>>, IngestError> {
    if body.len() > MAX_BODY {
        return Err(IngestError::TooLarge { size: body.len() });
    }
    let body = strip_bom(body);
    if body.trim_ascii().is_empty() {
        return Err(IngestError::Empty);
    }
    let records = match format {
        Format::Text => {
            check_lines(body)?;
            return Ok(vec![Ok(String::from_utf8_lossy(body).into_owned())]);
        }
        Format::JsonLines => json_lines(body)?,
        Format::JsonArray => json_array(body)?,
    };
    let mut joiner = Joiner { received, texts: Vec::new(), open: None };
    for (index, record) in records.into_iter().enumerate() {
        joiner.add(index + 1, record);
    }
    joiner.close();
    if joiner.texts.is_empty() { Err(IngestError::Empty) } else { Ok(joiner.texts) }
}

type Parsed = Result<Record, String>;

fn json_lines(body: &[u8]) -> Result<Vec<Parsed>, IngestError> {
    check_lines(body)?;
    let text = String::from_utf8_lossy(body);
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    // One record, printed over several lines by a person or a pretty printer.
    if lines().next().is_some_and(|line| serde_json::from_str::<IgnoredAny>(line).is_err())
        && let Ok(record) = serde_json::from_str(&text)
    {
        return Ok(vec![Ok(record)]);
    }
    if lines().nth(MAX_RECORDS).is_some() {
        return Err(IngestError::TooManyRecords);
    }
    Ok(lines().map(|line| serde_json::from_str(line).map_err(|error| format!("it is no JSON: {error}"))).collect())
}

fn json_array(body: &[u8]) -> Result<Vec<Parsed>, IngestError> {
    let text = String::from_utf8_lossy(body);
    let mut many = false;
    let mut json = serde_json::Deserializer::from_str(&text);
    let read = Records { many: &mut many }.deserialize(&mut json).and_then(|records| json.end().map(|()| records));
    match read {
        Ok(records) => Ok(records.into_iter().map(Ok).collect()),
        Err(_) if many => Err(IngestError::TooManyRecords),
        Err(error) => Err(IngestError::Json(error.to_string())),
    }
}

/// Reads the array record by record, so that one with millions of them is given up early.
struct Records<'a> {
    many: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = Vec<Record>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = Vec<Record>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = seq.next_element()? {
            if records.len() == MAX_RECORDS {
                *self.many = true;
                return Err(A::Error::custom("too many records"));
            }
            records.push(record);
        }
        Ok(records)
    }
}

/// Puts the lines of one entry together again.
struct Joiner {
    received: DateTime<Utc>,
    texts: Vec<Result<String, IngestError>>,
    open: Option<Open>,
}

struct Open {
    text: String,
    first: usize,
    /// Bytes of the last piece, if no newline ended it.
    unended: Option<usize>,
}

impl Joiner {
    fn add(&mut self, number: usize, record: Parsed) {
        match record {
            Ok(Record::Entry(entry)) => match entry.bare_line() {
                Some(line) => self.line(number, line),
                None => self.entry(number, &entry),
            },
            Ok(Record::Text(text)) => {
                let text = (!text.trim().is_empty()).then_some(text);
                self.put(number, text.ok_or_else(|| "it is an empty string".to_owned()));
            }
            Ok(Record::Other) => self.put(number, Err("it is neither a string nor an object".to_owned())),
            Err(what) => self.put(number, Err(what)),
        }
    }

    fn entry(&mut self, number: usize, entry: &Entry) {
        let text = entry.text(self.received);
        self.put(number, text.ok_or_else(|| "it has no text: give it a key `message`, `msg`, `log` or `MESSAGE`".to_owned()));
    }

    fn line(&mut self, number: usize, line: &str) {
        let content = line.strip_suffix('\n').unwrap_or(line);
        let unended = (content.len() == line.len()).then_some(line.len());
        match &mut self.open {
            Some(open) if !is_head(content.as_bytes()) => {
                if open.unended != Some(DOCKER_PIECE) {
                    open.text.push('\n');
                }
                open.text.push_str(content);
                open.unended = unended;
            }
            _ => {
                self.close();
                self.open = Some(Open { text: content.to_owned(), first: number, unended });
            }
        }
    }

    fn put(&mut self, number: usize, text: Result<String, String>) {
        self.close();
        self.push(number, text);
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.push(open.first, Ok(open.text));
        }
    }

    fn push(&mut self, record: usize, text: Result<String, String>) {
        let text = text.and_then(|text| match check_lines(text.as_bytes()) {
            Ok(()) => Ok(text),
            Err(error) => Err(error.to_string()),
        });
        self.texts.push(text.map_err(|what| IngestError::Record { record, what }));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MAX_LINE;
    use super::*;

    const HEAD: &str = "2026-01-31 12:00:00,123 7 ERROR db odoo.http: boom";

    fn texts(format: Format, body: &[u8]) -> Result<Vec<Result<String, IngestError>>, IngestError> {
        texts_received(format, body, DateTime::UNIX_EPOCH)
    }

    fn read(format: Format, body: &str) -> Vec<String> {
        texts(format, body.as_bytes()).unwrap().into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn plain_text_is_one() {
        let log = format!("{HEAD}\nTraceback\n{HEAD}\n");
        assert_eq!(read(Format::Text, &log), [log.as_str()]);
        assert_eq!(read(Format::Text, &format!("\u{feff}{log}")), [log]);
        assert_eq!(texts(Format::Text, b"caf\xe9").unwrap(), [Ok("caf\u{fffd}".to_owned())]);
    }

    #[test]
    fn records_are_one_each() {
        let records = [format!("{HEAD:?}"), r#"{"level": "ERROR", "time": "2026-01-31T12:00:00Z", "msg": "boom"}"#.to_owned()];
        let expected = [HEAD.to_owned(), "2026-01-31 12:00:00,000 0 ERROR ? odoo: boom".to_owned()];
        assert_eq!(read(Format::JsonLines, &records.join("\n\n")), expected);
        assert_eq!(read(Format::JsonArray, &format!("[{}]", records.join(","))), expected);
    }

    #[test]
    fn docker_lines_of_an_entry_are_joined() {
        let line = |log: &str| serde_json::json!({"log": log, "stream": "stderr", "time": "2026-01-31T12:00:00Z"}).to_string();
        let body = [line(&format!("{HEAD}\n")), line("Traceback\n"), line("  x\n"), line(&format!("{HEAD}\n")), line("y")].join("\n");
        assert_eq!(read(Format::JsonLines, &body), [format!("{HEAD}\nTraceback\n  x"), format!("{HEAD}\ny")]);
    }

    #[test]
    fn docker_pieces_of_a_line_are_joined() {
        let piece = "x".repeat(DOCKER_PIECE);
        let body = serde_json::json!([{"log": piece}, {"log": "yz\n"}, {"log": "next"}]).to_string();
        assert_eq!(read(Format::JsonArray, &body), [format!("{piece}yz\nnext")]);
    }

    #[test]
    fn bad_record_does_not_sink_the_others() {
        let body = "{\"msg\": \"one\"}\n{broken\n7\n[1]\n{\"user\": 1}\n\"\"\nnull\n{\"msg\": \"two\"}\n";
        let texts = texts(Format::JsonLines, body.as_bytes()).unwrap();
        assert_eq!((&texts[0], &texts[7]), (&Ok("one".to_owned()), &Ok("two".to_owned())));
        for (index, text) in texts[1..7].iter().enumerate() {
            assert!(matches!(text, Err(IngestError::Record { record, .. }) if *record == index + 2), "{text:?}");
        }
    }

    #[test]
    fn printed_object_is_one_record() {
        assert_eq!(read(Format::JsonLines, "{\n  \"message\": \"boom\"\n}\n"), ["boom"]);
    }

    #[test]
    fn missing_time_is_the_time_of_receipt() {
        let received = DateTime::from_timestamp(1_769_860_800, 0).unwrap();
        let texts = texts_received(Format::JsonLines, br#"{"level": "ERROR", "msg": "boom"}"#, received).unwrap();
        assert_eq!(texts, [Ok("2026-01-31 12:00:00,000 0 ERROR ? odoo: boom".to_owned())]);
    }

    #[test]
    fn bad_bodies_are_refused() {
        assert_eq!(texts(Format::Text, b" \n"), Err(IngestError::Empty));
        assert_eq!(texts(Format::JsonArray, b"[]"), Err(IngestError::Empty));
        assert!(matches!(texts(Format::JsonArray, b"{}"), Err(IngestError::Json(_))));
        assert!(matches!(texts(Format::JsonArray, b"[1] 2"), Err(IngestError::Json(_))));
        assert!(matches!(texts(Format::JsonArray, "[".repeat(100_000).as_bytes()), Err(IngestError::Json(_))));
        assert_eq!(texts(Format::Text, &vec![b'a'; MAX_BODY + 1]), Err(IngestError::TooLarge { size: MAX_BODY + 1 }));
        assert!(matches!(texts(Format::JsonLines, &vec![b'a'; MAX_LINE + 1]), Err(IngestError::LineTooLong { line: 1, .. })));
    }

    #[test]
    fn records_are_limited() {
        let fits = vec!["1"; MAX_RECORDS];
        assert_eq!(texts(Format::JsonLines, fits.join("\n").as_bytes()).unwrap().len(), MAX_RECORDS);
        assert_eq!(texts(Format::JsonLines, format!("{}\n1", fits.join("\n")).as_bytes()), Err(IngestError::TooManyRecords));
        assert_eq!(texts(Format::JsonArray, format!("[{},1]", fits.join(",")).as_bytes()), Err(IngestError::TooManyRecords));
    }

    #[test]
    fn long_line_in_an_array_is_named() {
        let body = serde_json::json!(["fine", "x".repeat(MAX_LINE + 1)]).to_string();
        let texts = texts(Format::JsonArray, body.as_bytes()).unwrap();
        assert_eq!(texts[0], Ok("fine".to_owned()));
        assert!(texts[1].as_ref().unwrap_err().to_string().starts_with("record 2: line 1 has"));
    }

    fn nearly_json() -> impl Strategy<Value = String> {
        let token = prop_oneof![
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just(","),
            Just(":"),
            Just("\n"),
            Just("1e999"),
            Just("null"),
            Just("\"log\""),
            Just("\"message\""),
            Just("\"time\""),
            Just("\"exc_info\""),
            Just("\"level\""),
            Just("\"\\ud800\""),
            Just("-1")
        ];
        proptest::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body: Vec<u8>) {
            for format in Format::ALL {
                let _ = texts(format, &body);
            }
        }

        #[test]
        fn nearly_json_never_panics(body in nearly_json()) {
            for format in Format::ALL {
                let _ = texts(format, body.as_bytes());
            }
        }

        #[test]
        fn any_object_gives_one_result(message: String, level: String, time: String, logger: String) {
            let record = serde_json::json!({"message": message, "level": level, "time": time, "logger": logger, "exc_info": [message]});
            prop_assert_eq!(texts(Format::JsonLines, record.to_string().as_bytes()).unwrap().len(), 1);
        }
    }
}
