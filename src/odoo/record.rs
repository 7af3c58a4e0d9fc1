//! One JSON record of a log shipper: the keys that loggers and shippers use, everything else is skipped while reading.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::head::is_head;

/// What a record holds of a log entry.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// What was logged.
    pub message: Option<String>,
    /// One line of a container's output (`log` of Docker, `MESSAGE` of the journal), which may be a part of an entry.
    pub line: Option<String>,
    time: Option<String>,
    level: Option<String>,
    logger: Option<String>,
    database: Option<String>,
    traceback: Option<String>,
    /// The whole text of GELF: the message again with what belongs to it, or only what belongs to it.
    full: Option<String>,
    pid: Option<String>,
}

/// A record: a text, or an object with keys that are known.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    /// A log text as it is.
    Text(String),
    /// An object.
    Entry(Box<Entry>),
    /// Some other JSON value.
    Other,
}

impl Entry {
    /// Where the value of this key belongs. Names are those of Python's loggers, Docker, journald, ECS, Fluent Bit and Vector.
    fn slot(&mut self, key: &str) -> Option<&mut Option<String>> {
        // GELF marks what is not its own with an underscore.
        Some(match key.strip_prefix('_').unwrap_or(key) {
            "message" | "msg" | "short_message" => &mut self.message,
            "full_message" => &mut self.full,
            "log" | "MESSAGE" => &mut self.line,
            "timestamp" | "time" | "asctime" | "@timestamp" => &mut self.time,
            "level" | "levelname" | "level_name" | "severity" | "log.level" => &mut self.level,
            "name" | "logger" | "logger_name" | "log.logger" => &mut self.logger,
            "db" | "dbname" | "database" => &mut self.database,
            "exc_info" | "exc_text" | "traceback" | "stack_trace" | "error.stack_trace" => &mut self.traceback,
            "pid" | "process" | "process.pid" => &mut self.pid,
            _ => return None,
        })
    }

    /// The line, if this is no more than a line of output: no level, no logger, no traceback of its own.
    pub(crate) fn bare_line(&self) -> Option<&str> {
        let bare = self.message.is_none() && self.level.is_none() && self.logger.is_none() && self.traceback.is_none();
        self.line.as_deref().filter(|_| bare)
    }

    /// Whether this is what a logger or a shipper writes, and not some object that happens to have one of its keys.
    pub(crate) fn is_log(&self) -> bool {
        let said = self.message.is_some() || self.traceback.is_some();
        self.line.is_some() || (said && (self.level.is_some() || self.logger.is_some() || self.time.is_some()))
    }

    /// The entry as Odoo would have written it, or `None` if it says nothing. `received` stands in for a time that is missing.
    pub(crate) fn text(&self, received: DateTime<Utc>) -> Option<String> {
        let short = self.message.as_deref().or(self.line.as_deref()).unwrap_or_default().trim_end();
        let full = self.full.as_deref().unwrap_or_default().trim_end();
        let message = if !full.is_empty() && full.starts_with(short) { full } else { short };
        let traceback = self.traceback.as_deref().unwrap_or(if full == message { "" } else { full });
        let traceback = traceback.trim_end().trim_start_matches('\n');
        // `NoneType: None` is what Python's formatter prints where there was no exception.
        let traceback = if matches!(traceback, "NoneType: None" | "None" | "null") { "" } else { traceback };
        if message.trim().is_empty() && traceback.is_empty() {
            return None;
        }
        let traceback = if message.contains(traceback) { "" } else { traceback };
        let separator = if traceback.is_empty() { "" } else { "\n" };
        let bare = self.time.is_none() && self.level.is_none() && self.logger.is_none();
        if bare || is_head(message.as_bytes()) {
            return Some(format!("{message}{separator}{traceback}"));
        }
        let time = self.time.as_deref().and_then(read_time).unwrap_or(received).format("%Y-%m-%d %H:%M:%S,%3f");
        let pid = self.pid.as_deref().filter(|pid| pid.len() < 20 && pid.bytes().all(|b| b.is_ascii_digit())).unwrap_or("0");
        let level = level(self.level.as_deref(), !traceback.is_empty() || message.contains("Traceback (most recent call last)"));
        let database = word(self.database.as_deref(), "?");
        let logger = word(self.logger.as_deref(), "odoo");
        Some(format!("{time} {pid} {level} {database} {logger}: {message}{separator}{traceback}"))
    }
}

/// The level in Odoo's words. Without one, what carries a traceback is an error.
fn level(given: Option<&str>, traceback: bool) -> &'static str {
    match given.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "debug" | "trace" | "10" | "7" => "DEBUG",
        "info" | "information" | "notice" | "20" | "6" | "5" => "INFO",
        "warning" | "warn" | "30" | "4" => "WARNING",
        "error" | "err" | "exception" | "40" | "3" => "ERROR",
        "critical" | "fatal" | "crit" | "alert" | "emerg" | "emergency" | "panic" | "50" | "2" | "1" | "0" => "CRITICAL",
        _ if traceback => "ERROR",
        _ => "INFO",
    }
}

/// A database or logger as one word of bounded length, so that the head stays a head.
fn word(given: Option<&str>, otherwise: &str) -> String {
    let given = given.map_or("", str::trim);
    let clean = |c: char| if c.is_whitespace() || c.is_control() || c == ':' { '_' } else { c };
    if given.is_empty() { otherwise.to_owned() } else { given.chars().take(200).map(clean).collect() }
}

/// RFC 3339, the formats of Python's logging (taken as UTC), or seconds, milli-, micro- or nanoseconds since 1970.
fn read_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        // `NaN as i64` would be 0, which is a time.
        if !number.is_finite() {
            return None;
        }
        let seconds = match number.abs() {
            small if small < 1e11 => number,
            millis if millis < 1e14 => number / 1e3,
            micros if micros < 1e17 => number / 1e6,
            _ => number / 1e9,
        };
        return DateTime::from_timestamp_millis((seconds * 1e3).round() as i64).filter(plausible);
    }
    let rfc3339 = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    let with_zone = rfc3339.map(|time| time.with_timezone(&Utc));
    let naive = |format| NaiveDateTime::parse_from_str(&text.replacen(',', ".", 1), format).map(|time| time.and_utc());
    with_zone.or_else(|_| naive("%Y-%m-%d %H:%M:%S%.f")).or_else(|_| naive("%Y-%m-%dT%H:%M:%S%.f")).ok().filter(plausible)
}

/// A year of four digits: more would not fit the head.
fn plausible(time: &DateTime<Utc>) -> bool {
    (0..253_402_300_800).contains(&time.timestamp())
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an object")
    }

    fn visit_str<E>(self, text: &str) -> Result<Record, E> {
        Ok(Record::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut entry = Box::<Entry>::default();
        while let Some(key) = map.next_key::<String>()? {
            match entry.slot(&key) {
                Some(slot) if slot.is_none() => *slot = map.next_value::<Scalar>()?.0,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Record::Entry(entry))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Record, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Record::Other)
    }

    fn visit_unit<E>(self) -> Result<Record, E> {
        Ok(Record::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Record, E> {
        Ok(Record::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Record, E> {
        Ok(Record::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Record, E> {
        Ok(Record::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Record, E> {
        Ok(Record::Other)
    }
}

/// A value that has a text: a string, a number, lines of strings, or bytes as numbers (the journal sends text with escape
/// sequences so). Anything else is `None`.
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar((!text.trim().is_empty()).then(|| text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(Some(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar(Some(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar(Some(number.to_string())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        let mut text = Vec::new();
        while let Some(piece) = seq.next_element::<Piece>()? {
            match piece {
                Piece::Line(line) => {
                    text.extend_from_slice(line.as_bytes());
                    if !line.ends_with('\n') {
                        text.push(b'\n');
                    }
                }
                Piece::Byte(byte) => text.push(byte),
                Piece::Other(IgnoredAny) => {}
            }
        }
        Ok(Scalar((!text.is_empty()).then(|| String::from_utf8_lossy(&text).trim_end().to_owned())))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Byte(u8),
    Line(String),
    Other(IgnoredAny),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(json: &str) -> Option<String> {
        match serde_json::from_str(json).unwrap() {
            Record::Entry(entry) => entry.text(DateTime::UNIX_EPOCH),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn entry_is_rebuilt_in_odoos_layout() {
        let text = text_of(
            r#"{"timestamp": "2026-01-31T12:00:00.123+01:00", "levelname": "error", "name": "odoo.sql_db", "dbname": "prod",
                "process": 4242, "message": "bad query", "exc_info": "Traceback (most recent call last):\n  x\nKeyError: 'a'\n",
                "extra": {"deep": [1, {"a": null}]}}"#,
        );
        let expected =
            "2026-01-31 11:00:00,123 4242 ERROR prod odoo.sql_db: bad query\nTraceback (most recent call last):\n  x\nKeyError: 'a'";
        assert_eq!(text.as_deref(), Some(expected));
    }

    #[test]
    fn gaps_get_odoos_defaults() {
        let text = text_of(r#"{"severity": "warn", "msg": "careful", "pid": "MainProcess", "exc_info": "NoneType: None"}"#).unwrap();
        assert_eq!(text, "1970-01-01 00:00:00,000 0 WARNING ? odoo: careful");
        let text = text_of(r#"{"time": 1769860800.5, "traceback": ["Traceback (most recent call last):\n", "KeyError: 'a'"]}"#).unwrap();
        assert_eq!(text, "2026-01-31 12:00:00,500 0 ERROR ? odoo: \nTraceback (most recent call last):\nKeyError: 'a'");
    }

    #[test]
    fn head_in_the_message_is_kept() {
        let text = text_of(r#"{"level": "info", "message": "2026-01-31 12:00:00,123 7 ERROR db odoo.http: boom\n"}"#);
        assert_eq!(text.as_deref(), Some("2026-01-31 12:00:00,123 7 ERROR db odoo.http: boom"));
    }

    #[test]
    fn traceback_is_not_repeated() {
        let text = text_of(r#"{"message": "boom\nTraceback\nKeyError", "exc_text": "Traceback\nKeyError\n"}"#);
        assert_eq!(text.as_deref(), Some("boom\nTraceback\nKeyError"));
    }

    #[test]
    fn names_cannot_break_the_head() {
        let text = text_of(r#"{"level": "ERROR", "db": "a b\nc", "logger": "x: y", "message": "m"}"#);
        assert_eq!(text.as_deref(), Some("1970-01-01 00:00:00,000 0 ERROR a_b_c x__y: m"));
    }

    #[test]
    fn journal_bytes_are_text() {
        assert_eq!(text_of(r#"{"MESSAGE": [27, 91, 104, 105]}"#).as_deref(), Some("\u{1b}[hi"));
    }

    #[test]
    fn nothing_said_is_nothing() {
        assert_eq!(text_of(r#"{"level": "ERROR", "message": "  ", "exc_info": null}"#), None);
        assert_eq!(text_of("{}"), None);
    }

    #[test]
    fn times_are_read() {
        let expected = DateTime::from_timestamp_millis(1_769_860_800_123);
        for text in [
            "2026-01-31T12:00:00.123Z",
            "2026-01-31T13:00:00.123+0100",
            "2026-01-31 12:00:00,123",
            "2026-01-31T12:00:00.123",
            "1769860800.123",
            "1769860800123",
            "1769860800123000",
            "1769860800123000000",
        ] {
            assert_eq!(read_time(text), expected, "{text}");
        }
        for text in ["", "yesterday", "NaN", "inf", "-1", "1e300", "99999-01-01T00:00:00Z"] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn times_never_panic(text: String, number: f64) {
            let _ = read_time(&text);
            let _ = read_time(&number.to_string());
        }
    }
}
