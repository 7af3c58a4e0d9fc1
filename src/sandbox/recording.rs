//! From the messages of a recorder to a [`Record`]. They come from a process that also runs the code under test, so nothing in them is
//! believed to be well formed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::container::Stop;
use super::record::{Check, Record, TestResult, Written};

/// The most bytes of messages of one run; the fork server has the same limit.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most sentences about tampering that are kept.
const MAX_SENTENCES: usize = 200;

/// How the messages came, as the fork server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Channel {
    /// In order, each with the number of the run.
    Whole,
    /// Some were not taken.
    Cut,
    /// Something else than the recorder wrote to the channel.
    Forged,
}

/// One message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Started(Vec<String>),
    Collected(Vec<(String, String)>),
    Test(TestResult),
    Tampering(String),
    Fault(String),
    Lines(BTreeMap<String, BTreeSet<u32>>),
    Lambdas(BTreeMap<String, BTreeSet<u32>>),
    Loaded(BTreeSet<String>),
    Written(Vec<Written>),
    Check(Check),
    LeftOut(Vec<String>),
    End { code: i64, returned: bool },
}

/// The messages of one run so far.
#[derive(Debug, Default)]
pub(super) struct Recording {
    record: Record,
    started: bool,
    collected: BTreeSet<(String, String)>,
    /// The exit code that the last message told.
    end: Option<i64>,
    bytes: usize,
    /// Whether something was said that a recorder does not say.
    broken: bool,
}

impl Recording {
    /// Takes one message.
    pub(super) fn take(&mut self, payload: &[u8]) {
        self.bytes = self.bytes.saturating_add(payload.len());
        if self.broken || self.bytes > MAX_BYTES {
            self.broken = true;
            return;
        }
        match serde_json::from_slice(payload) {
            Ok(event) if self.end.is_none() => self.add(event),
            _ => self.broken = true,
        }
    }

    fn add(&mut self, event: Event) {
        let record = &mut self.record;
        match event {
            // Told once, before anything else.
            Event::Started(modules) if self.started || modules.is_empty() => self.broken = true,
            Event::Started(_) => self.started = true,
            Event::Collected(tests) => self.collected.extend(tests),
            Event::Test(test) => record.tests.push(test),
            Event::Tampering(sentence) => note(&mut record.tampering, sentence),
            Event::Fault(what) => {
                tracing::info!(what, "the recorder of a sandbox run has missed something");
                self.broken = true;
            }
            Event::Lines(lines) => {
                for (path, lines) in lines {
                    record.lines.entry(path).or_default().extend(lines);
                }
            }
            Event::Lambdas(lambdas) => {
                for (path, lines) in lambdas {
                    record.lambdas.entry(path).or_default().extend(lines);
                }
            }
            Event::Loaded(files) => record.loaded.extend(files),
            Event::Written(values) => record.written.extend(values),
            Event::Check(check) => record.smoke.push(check),
            Event::LeftOut(names) => record.left_out.extend(names),
            Event::End { code, returned: true } => self.end = Some(code),
            Event::End { .. } => self.broken = true,
        }
    }

    /// The record of a run that ended like this; `None` if there is none that can be read.
    pub(super) fn finish(mut self, stop: Stop, channel: Option<Channel>) -> Option<Record> {
        if channel == Some(Channel::Forged) {
            note(&mut self.record.tampering, "something else than the recorder wrote to the recorder's channel".to_owned());
        } else if !self.started {
            return None;
        }
        let ended: BTreeSet<_> = self.record.tests.iter().map(|test| (test.module.clone(), test.name.clone())).collect();
        let by_itself = matches!((stop, self.end), (Stop::Exited(code), Some(told)) if code == told);
        self.record.complete =
            by_itself && self.started && !self.broken && channel == Some(Channel::Whole) && self.collected.is_subset(&ended);
        Some(self.record)
    }
}

fn note(sentences: &mut Vec<String>, sentence: String) {
    if sentences.len() < MAX_SENTENCES && !sentences.contains(&sentence) {
        sentences.push(sentence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::TestOutcome;

    const WHOLE: &[&str] = &[
        r#"{"started": ["m"]}"#,
        r#"{"collected": [["m", "TestA.test_one"], ["m", "TestA.test_two"]]}"#,
        r#"{"test": {"module": "m", "name": "TestA.test_one", "outcome": "passed"}}"#,
        r#"{"test": {"module": "m", "name": "TestA.test_two", "outcome": "failed"}}"#,
        r#"{"lines": {"m/models/a.py": [1, 2]}}"#,
        r#"{"lines": {"m/models/a.py": [2, 7]}}"#,
        r#"{"loaded": ["m/views/v.xml"]}"#,
        r#"{"written": [{"during": "loading", "odoo_model": "m.a", "field": "x", "value": "1", "path": "m/models/a.py", "line": 7}]}"#,
        r#"{"check": {"name": "view m.form", "error": "KeyError: 'x'", "path": "m/views/v.xml"}}"#,
        r#"{"end": {"code": 1, "returned": true}}"#,
    ];

    fn finish(messages: &[&str], stop: Stop, channel: Option<Channel>) -> Option<Record> {
        let mut recording = Recording::default();
        for message in messages {
            recording.take(message.as_bytes());
        }
        recording.finish(stop, channel)
    }

    fn is_complete(messages: &[&str], stop: Stop, channel: Channel) -> bool {
        finish(messages, stop, Some(channel)).is_some_and(|record| record.complete)
    }

    #[test]
    fn whole_recording_becomes_a_complete_record() {
        let record = finish(WHOLE, Stop::Exited(1), Some(Channel::Whole)).unwrap();
        assert!(record.complete && record.tampering.is_empty());
        assert_eq!(record.tests.iter().map(|test| test.outcome).collect::<Vec<_>>(), [TestOutcome::Passed, TestOutcome::Failed]);
        assert_eq!(record.lines["m/models/a.py"], BTreeSet::from([1, 2, 7]));
        assert!(record.loaded.contains("m/views/v.xml") && record.written[0].line == 7);
        assert_eq!(record.smoke[0].error.as_deref(), Some("KeyError: 'x'"));
    }

    #[test]
    fn what_is_missing_makes_a_record_incomplete() {
        assert!(is_complete(WHOLE, Stop::Exited(1), Channel::Whole));
        for left_out in [0, 2, 3, WHOLE.len() - 1] {
            let messages: Vec<&str> = WHOLE.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, message)| *message).collect();
            assert!(!is_complete(&messages, Stop::Exited(1), Channel::Whole), "without message {left_out}");
        }
        assert!(!is_complete(WHOLE, Stop::Exited(0), Channel::Whole), "another exit code than was told");
        assert!(!is_complete(WHOLE, Stop::Deadline, Channel::Whole));
        assert!(!is_complete(WHOLE, Stop::Exited(1), Channel::Cut));
    }

    #[test]
    fn nothing_counts_after_the_end() {
        let more = [WHOLE, &[r#"{"test": {"module": "m", "name": "TestB.test_x", "outcome": "passed"}}"#]].concat();
        let record = finish(&more, Stop::Exited(1), Some(Channel::Whole)).unwrap();
        assert!(!record.complete && record.tests.len() == 2);
    }

    #[test]
    fn forged_channel_is_tampering() {
        let record = finish(&[], Stop::Exited(0), Some(Channel::Forged)).unwrap();
        assert!(!record.complete && record.tampering[0].contains("channel"), "{record:?}");
    }

    #[test]
    fn garbage_is_no_complete_record() {
        assert_eq!(finish(&[], Stop::Exited(0), Some(Channel::Whole)), None);
        assert_eq!(finish(&["{}", "null", "\u{0}"], Stop::Exited(0), None), None);
        for garbage in ["", "{", "[]", "{\"test\": 7}", "{\"unknown\": 1}", "{\"fault\": \"x\"}", "{\"started\": []}", &"[".repeat(100_000)]
        {
            let messages = [&WHOLE[..2], &[garbage], &WHOLE[2..]].concat();
            assert!(!is_complete(&messages, Stop::Exited(1), Channel::Whole), "{garbage:.20}");
        }
        let long = format!(r#"{{"tampering": "{}"}}"#, "x".repeat(MAX_BYTES));
        let messages = [&WHOLE[..2], &[long.as_str()], &WHOLE[2..]].concat();
        assert!(!is_complete(&messages, Stop::Exited(1), Channel::Whole));
    }
}
