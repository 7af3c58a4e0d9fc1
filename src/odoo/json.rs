//! Logs that are written or shipped as JSON, brought into Odoo's own layout, so that one parser reads them all.

use std::borrow::Cow;

use chrono::DateTime;

use super::cut;
use super::log::without_prefix;
use super::record::{Entry, Record};

/// A longer line is left as it is: no logger writes one.
const LINE_MAX: usize = 1024 * 1024;
/// Docker cuts what a container prints at this many bytes; the piece before the cut has no newline.
const DOCKER_PIECE: usize = 16 * 1024;
/// A shipper's JSON may hold a logger's.
const DEPTH: usize = 2;
/// Lines that are looked at for a prefix before JSON.
const LOOKED_AT: usize = 20;

/// The log with its JSON records in Odoo's layout; what is none stays as it is. A record that names no time gets the start of 1970,
/// which [`super::log::entries`] takes for no time.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..DEPTH {
        let Some(read) = once(&text) else { break };
        text = Cow::Owned(read);
    }
    text
}

fn once(text: &str) -> Option<String> {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with("[{") || start.starts_with("[\"") || start.starts_with("[\n") {
        if let Ok(records) = serde_json::from_str::<Vec<Record>>(start) {
            return Some(written(records));
        }
    } else if start.starts_with('{') && is_printed(start) {
        // Objects printed over several lines, one after the other.
        let mut records = serde_json::Deserializer::from_str(start).into_iter::<Record>();
        let read: Vec<_> = records.by_ref().map_while(Result::ok).collect();
        let rest = start.get(records.byte_offset()..).unwrap_or_default();
        return (!read.is_empty()).then(|| written(read) + rest);
    }
    let prefixed =
        text.lines().filter(|line| !line.trim().is_empty()).take(LOOKED_AT).any(|line| without_prefix(line).is_some_and(is_object));
    if !(prefixed || start.starts_with('{') || text.contains("\n{")) {
        return None;
    }
    let mut writer = Writer::default();
    for line in text.split_inclusive('\n') {
        let object = if prefixed { without_prefix(line).unwrap_or(line) } else { line };
        match Some(object)
            .filter(|object| is_object(object) && object.len() <= LINE_MAX)
            .and_then(|object| serde_json::from_str(object).ok())
        {
            Some(Record::Entry(entry)) if entry.is_log() => writer.entry(&entry),
            _ => writer.plain(line),
        }
    }
    writer.found.then_some(writer.text)
}

fn is_object(line: &str) -> bool {
    let line = line.trim_end();
    line.starts_with('{') && line.ends_with('}')
}

/// Whether the first object does not end on its line.
fn is_printed(text: &str) -> bool {
    text.lines().next().is_some_and(|line| !is_object(line) && cut::head(line, 200).trim_end().len() < 200)
}

fn written(records: Vec<Record>) -> String {
    let mut writer = Writer::default();
    for record in records {
        match record {
            Record::Entry(entry) => writer.entry(&entry),
            Record::Text(text) => writer.plain(&(text + "\n")),
            Record::Other => {}
        }
    }
    writer.text
}

#[derive(Default)]
struct Writer {
    text: String,
    /// Whether anything was JSON.
    found: bool,
    /// Whether the last piece of output was cut by Docker.
    cut: bool,
}

impl Writer {
    fn entry(&mut self, entry: &Entry) {
        self.found = true;
        if let Some(line) = entry.bare_line() {
            self.cut = line.len() == DOCKER_PIECE && !line.ends_with('\n');
            self.text.push_str(line);
            if !self.cut && !line.ends_with('\n') {
                self.text.push('\n');
            }
        } else if let Some(text) = entry.text(DateTime::UNIX_EPOCH) {
            self.plain(&text);
            self.text.push('\n');
        }
    }

    fn plain(&mut self, text: &str) {
        if std::mem::take(&mut self.cut) {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "2026-01-31 12:00:00,123 7 ERROR shop odoo.http: boom";
    const TRACE: &str =
        "Traceback (most recent call last):\n  File \"/opt/custom/shop/models/a.py\", line 3, in go\n    self.x()\nKeyError: 'a'";

    #[test]
    fn each_loggers_record_becomes_an_entry() {
        let trace = serde_json::to_string(TRACE).unwrap();
        for record in [
            format!(
                r#"{{"asctime": "2026-01-31 12:00:00,123", "process": 7, "levelname": "ERROR", "dbname": "shop", "name": "odoo.http", "message": "boom", "exc_info": {trace}}}"#
            ),
            format!(
                r#"{{"version": "1.1", "host": "h", "short_message": "boom", "full_message": {trace}, "timestamp": 1769860800.123, "level": 3, "_logger": "odoo.http", "_pid": 7, "_dbname": "shop"}}"#
            ),
        ] {
            assert_eq!(decoded(&record), format!("{HEAD}\n{TRACE}\n"), "{record}");
            assert_eq!(decoded(&format!("web-1  | {record}\nplain\n")), format!("{HEAD}\n{TRACE}\nplain\n"), "{record}");
        }
    }

    #[test]
    fn output_of_containers_and_the_journal_is_joined() {
        for (key, extra) in
            [("log", r#""stream": "stderr", "time": "2026-01-31T12:00:00Z""#), ("MESSAGE", r#""PRIORITY": "6", "_PID": "7""#)]
        {
            let lines: String =
                format!("{HEAD}\n{TRACE}").lines().map(|line| format!("{{\"{key}\": {}, {extra}}}\n", serde_json::json!(line))).collect();
            assert_eq!(decoded(&lines), format!("{HEAD}\n{TRACE}\n"));
        }
        let inner = format!(
            "{}\n",
            serde_json::json!({"levelname": "ERROR", "message": "boom", "asctime": "2026-01-31 12:00:00,123", "name": "odoo.http", "dbname": "shop", "process": 7})
        );
        let outer = serde_json::json!({"log": inner, "stream": "stderr", "time": "2026-01-31T12:00:00Z"}).to_string();
        assert_eq!(decoded(&outer), format!("{HEAD}\n"));
    }

    #[test]
    fn arrays_and_printed_objects_are_read() {
        let record = serde_json::json!({"levelname": "ERROR", "message": "boom", "asctime": "2026-01-31 12:00:00,123", "name": "odoo.http", "dbname": "shop", "process": 7});
        assert_eq!(decoded(&serde_json::json!([record, HEAD]).to_string()), format!("{HEAD}\n{HEAD}\n"));
        let printed = serde_json::to_string_pretty(&record).unwrap();
        assert_eq!(decoded(&format!("{printed}\n{printed}\n")), format!("{HEAD}\n{HEAD}\n"));
    }

    #[test]
    fn other_objects_stay() {
        for text in ["{\"a\": 1}\n", "{'python': 'dict'}\n", "x\n{\"message\": \"no log\"}\n", "{\n", "[1, 2]\n", "{\"level\": 3}"] {
            assert_eq!(decoded(text), text);
        }
    }

    #[test]
    fn docker_pieces_are_joined() {
        let long = "x".repeat(DOCKER_PIECE);
        let text = format!("{}\n{}\n", serde_json::json!({"log": long, "stream": "s"}), serde_json::json!({"log": "y\n", "stream": "s"}));
        assert_eq!(decoded(&text), format!("{long}y\n"));
    }
}
