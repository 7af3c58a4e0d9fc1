//! Dead letters: what was given up, with the reason; listed, and replayed.

use async_nats::HeaderMap;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::masked::{MASKED_HEADER, masked};
use super::{Delivery, Published, Queue, QueueError, StreamName};
use crate::odoo;

const REASON: &str = "Odoo-Reason";
const ORIGIN: &str = "Odoo-Original-Subject";
const ATTEMPTS: &str = "Odoo-Attempts";
const CUT: &str = "Odoo-Payload-Cut";
const LONGEST_REASON: usize = 2000;
/// Room for the headers within the largest message that the server takes.
const HEADER_ROOM: usize = 8 * 1024;

/// One dead letter.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Its number, by which it is replayed.
    pub sequence: u64,
    /// `dead.<kind>.<tenant>`.
    pub subject: String,
    /// Where the message was published first.
    pub origin: String,
    /// Why it was given up.
    pub reason: String,
    /// After how many attempts.
    pub attempts: u32,
    /// When.
    pub at: DateTime<Utc>,
    /// The message as it was, but for its secrets.
    pub payload: Bytes,
    /// Whether the payload had to be cut to fit; then it cannot be replayed.
    pub cut: bool,
}

impl Queue {
    /// Writes a delivery to the dead letters. To be done before `term`; doing it twice within the duplicate window is once.
    pub async fn dead_letter(&self, delivery: &Delivery, reason: &str, attempts: u32) -> Result<Published, QueueError> {
        let mut headers = HeaderMap::new();
        headers.insert(REASON, one_line(&odoo::mask(reason)).as_str());
        headers.insert(ORIGIN, delivery.subject.as_str());
        headers.insert(ATTEMPTS, attempts.to_string().as_str());
        let room = self.client.max_payload().saturating_sub(HEADER_ROOM);
        let mut payload = masked(delivery.payload.clone()).await?;
        if payload.len() > room {
            headers.insert(CUT, payload.len().to_string().as_str());
            payload.truncate(room);
        }
        // The number alone would not do: a stream that was deleted and made again starts over.
        let id = blake3::hash(format!("{} {} {}", delivery.subject, delivery.sequence, delivery.published).as_bytes());
        let message = PublishMessage::build().headers(headers).payload(payload).message_id(format!("dead-{}", id.to_hex()));
        self.publish(StreamName::Dead, &dead_subject(&delivery.subject), message).await
    }

    /// The dead letters, oldest first, at most `limit`, from number `from` on.
    pub async fn dead_letters(&self, from: u64, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let stream = self.dead_stream().await?;
        let mut letters = Vec::new();
        let mut next = from.max(1);
        while letters.len() < limit {
            match stream.raw_message_builder().sequence(next).next_by_subject(self.subject("dead.>")).send().await {
                Ok(message) => {
                    next = message.sequence + 1;
                    letters.push(self.read_letter(message));
                }
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => break,
                Err(error) => return Err(QueueError::unavailable("listing the dead letters", error)),
            }
        }
        Ok(letters)
    }

    /// Publishes a dead letter's message again where it came from, and deletes the letter.
    pub async fn replay(&self, sequence: u64) -> Result<Published, QueueError> {
        let stream = self.dead_stream().await?;
        let failed = |error: &dyn std::fmt::Display| QueueError::unavailable(format!("replaying dead letter {sequence}"), error);
        let message = match stream.get_raw_message(sequence).await {
            Ok(message) => message,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Err(QueueError::NoDeadLetter(sequence)),
            Err(error) => return Err(failed(&error)),
        };
        let letter = self.read_letter(message);
        if letter.cut {
            return Err(QueueError::NotReplayable { sequence, reason: "its message was too large and had to be cut" });
        }
        let target = match letter.origin.split('.').next() {
            Some("jobs") => StreamName::Jobs,
            Some("ingest") => StreamName::Ingest,
            _ => return Err(QueueError::NotReplayable { sequence, reason: "it does not say where it came from" }),
        };
        // Not the first id: within the duplicate window the message would be dropped, and its letter with it.
        let again = PublishMessage::build()
            .payload(letter.payload)
            .header(MASKED_HEADER, "1")
            .message_id(format!("replay-{sequence}-{}", letter.at.timestamp_nanos_opt().unwrap_or_default()));
        let published = self.publish(target, &letter.origin, again).await?;
        stream.delete_message(sequence).await.map_err(|error| failed(&error))?;
        Ok(published)
    }

    async fn dead_stream(&self) -> Result<Stream, QueueError> {
        self.online()?;
        self.js
            .get_stream(self.name(StreamName::Dead.as_str()))
            .await
            .map_err(|error| QueueError::unavailable("opening the dead letters", error))
    }

    fn read_letter(&self, message: StreamMessage) -> DeadLetter {
        let header = |name| message.headers.get(name).map(|value| value.as_str().to_owned());
        DeadLetter {
            sequence: message.sequence,
            subject: self.bare_subject(&message.subject).to_owned(),
            origin: header(ORIGIN).unwrap_or_default(),
            reason: header(REASON).unwrap_or_default(),
            attempts: header(ATTEMPTS).and_then(|text| text.parse().ok()).unwrap_or_default(),
            at: DateTime::from_timestamp_nanos(i64::try_from(message.time.unix_timestamp_nanos()).unwrap_or_default()),
            cut: header(CUT).is_some(),
            payload: message.payload,
        }
    }
}

/// `jobs.<kind>.<tenant>` → `dead.<kind>.<tenant>`; `ingest.<tenant>.<format>` → `dead.ingest.<tenant>`.
fn dead_subject(origin: &str) -> String {
    match origin.split('.').collect::<Vec<_>>()[..] {
        ["jobs", kind, tenant] => format!("dead.{kind}.{tenant}"),
        [first, tenant, _] => format!("dead.{first}.{tenant}"),
        _ => "dead.unknown.unknown".to_owned(),
    }
}

/// A header is one line of bounded length.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = line.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= LONGEST_REASON).last().unwrap_or(0);
    line[..end].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letter_is_filed_by_kind_and_tenant() {
        assert_eq!(dead_subject("jobs.debug_error.acme"), "dead.debug_error.acme");
        assert_eq!(dead_subject("ingest.acme.sentry"), "dead.ingest.acme");
        assert_eq!(dead_subject("x"), "dead.unknown.unknown");
    }

    #[test]
    fn reason_cannot_forge_a_header() {
        assert_eq!(one_line("boom\r\nNats-Rollup: all"), "boom  Nats-Rollup: all");
        assert!(one_line(&"é".repeat(5000)).len() <= LONGEST_REASON);
        assert_eq!(one_line("\u{0}\n"), "");
    }
}
