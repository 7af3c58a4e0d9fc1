//! Dead letters: what was given up, with the reason; listed, replayed and dropped, for one tenant at a time.

use async_nats::HeaderMap;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::masked::{MASKED_HEADER, masked};
use super::publish::{EVENT_HEADER, RELEASE_HEADER};
use super::{Delivery, Published, Queue, QueueError, StreamName};
use crate::domain::{Release, TenantId};
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
    /// The id of a raw event.
    pub event: Option<String>,
    /// The release that a raw event came from.
    pub release: Option<String>,
}

impl DeadLetter {
    /// What the message was: a kind of job, or `ingest`.
    pub fn kind(&self) -> &str {
        self.subject.split('.').nth(1).unwrap_or_default()
    }

    /// Whose it is, as its subject says.
    pub fn tenant(&self) -> &str {
        self.subject.split('.').nth(2).unwrap_or_default()
    }
}

/// A message that is given up.
pub(super) struct Lost<'a> {
    pub(super) subject: &'a str,
    pub(super) sequence: u64,
    pub(super) published: DateTime<Utc>,
    pub(super) payload: Bytes,
    pub(super) event: Option<&'a str>,
    pub(super) release: Option<&'a str>,
}

impl Queue {
    /// Writes a delivery to the dead letters. To be done before `term`; doing it twice within the duplicate window is once.
    pub async fn dead_letter(&self, delivery: &Delivery, reason: &str, attempts: u32) -> Result<Published, QueueError> {
        let lost = Lost {
            subject: &delivery.subject,
            sequence: delivery.sequence,
            published: delivery.published,
            payload: delivery.payload.clone(),
            event: delivery.message_id.as_deref(),
            release: delivery.release.as_ref().map(Release::as_str),
        };
        self.bury(lost, reason, attempts).await
    }

    pub(super) async fn bury(&self, lost: Lost<'_>, reason: &str, attempts: u32) -> Result<Published, QueueError> {
        let mut headers = HeaderMap::new();
        headers.insert(REASON, one_line(&odoo::mask(reason)).as_str());
        headers.insert(ORIGIN, lost.subject);
        headers.insert(ATTEMPTS, attempts.to_string().as_str());
        for (name, value) in [(EVENT_HEADER, lost.event), (RELEASE_HEADER, lost.release)] {
            if let Some(value) = value {
                headers.insert(name, one_line(value).as_str());
            }
        }
        let room = self.client.max_payload().saturating_sub(HEADER_ROOM);
        let mut payload = masked(lost.payload).await?;
        if payload.len() > room {
            headers.insert(CUT, payload.len().to_string().as_str());
            payload.truncate(room);
        }
        // The number alone would not do: a stream that was deleted and made again starts over.
        let id = blake3::hash(format!("{} {} {}", lost.subject, lost.sequence, lost.published).as_bytes());
        let message = PublishMessage::build().headers(headers).payload(payload).message_id(format!("dead-{}", id.to_hex()));
        self.publish(StreamName::Dead, &dead_subject(lost.subject), message).await
    }

    /// The dead letters, oldest first, at most `limit`, from number `from` on.
    pub async fn dead_letters(&self, from: u64, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        self.dead_letters_on("dead.>", from, limit).await
    }

    /// The dead letters of one tenant, oldest first, at most `limit`, from number `from` on.
    pub async fn dead_letters_of(&self, tenant: &TenantId, from: u64, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        self.dead_letters_on(&format!("dead.*.{tenant}"), from, limit).await
    }

    async fn dead_letters_on(&self, subject: &str, from: u64, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let stream = self.stream(StreamName::Dead).await?;
        let mut letters = Vec::new();
        let mut next = from.max(1);
        while letters.len() < limit {
            match stream.raw_message_builder().sequence(next).next_by_subject(self.subject(subject)).send().await {
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

    /// A dead letter of this tenant. `None`: there is none of this number, or it is another tenant's.
    pub async fn dead_letter_of(&self, tenant: &TenantId, sequence: u64) -> Result<Option<DeadLetter>, QueueError> {
        let letter = self.letter_at(&self.stream(StreamName::Dead).await?, sequence).await?;
        Ok(letter.filter(|letter| letter.tenant() == tenant.as_str()))
    }

    async fn letter_at(&self, stream: &Stream, sequence: u64) -> Result<Option<DeadLetter>, QueueError> {
        match stream.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(self.read_letter(message))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(QueueError::unavailable(format!("reading dead letter {sequence}"), error)),
        }
    }

    /// Deletes a dead letter. `false`: it is gone already.
    pub async fn drop_dead_letter(&self, sequence: u64) -> Result<bool, QueueError> {
        let stream = self.stream(StreamName::Dead).await?;
        if self.letter_at(&stream, sequence).await?.is_none() {
            return Ok(false);
        }
        let deleted = stream.delete_message(sequence).await;
        deleted.map_err(|error| QueueError::unavailable(format!("deleting dead letter {sequence}"), error))
    }

    /// Publishes a dead letter's message again where it came from, and deletes the letter.
    pub async fn replay(&self, sequence: u64) -> Result<Published, QueueError> {
        let stream = self.stream(StreamName::Dead).await?;
        let letter = self.letter_at(&stream, sequence).await?.ok_or(QueueError::NoDeadLetter(sequence))?;
        if letter.cut {
            return Err(QueueError::NotReplayable { sequence, reason: "its message was too large and had to be cut" });
        }
        let target = match letter.origin.split('.').next() {
            Some("jobs") => StreamName::Jobs,
            Some("ingest") => StreamName::Ingest,
            _ => return Err(QueueError::NotReplayable { sequence, reason: "it does not say where it came from" }),
        };
        // Not the first id: within the duplicate window the message would be dropped, and its letter with it. A raw event keeps its own in
        // a header, so that what was counted of it before is not counted again.
        let id = format!("replay-{sequence}-{}", letter.at.timestamp_nanos_opt().unwrap_or_default());
        let mut again = PublishMessage::build().payload(letter.payload).header(MASKED_HEADER, "1").message_id(id);
        if target == StreamName::Ingest {
            for (name, value) in [(EVENT_HEADER, &letter.event), (RELEASE_HEADER, &letter.release)] {
                if let Some(value) = value {
                    again = again.header(name, value.as_str());
                }
            }
        }
        let published = self.publish(target, &letter.origin, again).await?;
        let deleted = stream.delete_message(sequence).await;
        deleted.map_err(|error| QueueError::unavailable(format!("deleting dead letter {sequence}"), error))?;
        Ok(published)
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
            event: header(EVENT_HEADER),
            release: header(RELEASE_HEADER),
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
