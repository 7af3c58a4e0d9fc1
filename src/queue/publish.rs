//! What is put into the streams. A publish has succeeded when JetStream has said so, and not before.

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;

use super::masked::{MASKED_HEADER, masked};
use super::topology::TRIAGE;
use super::{Queue, QueueError, StreamName, envelope};
use crate::domain::{EventId, Job, Release, TenantId};

/// The header of a raw event that names the release it came from.
pub(super) const RELEASE_HEADER: &str = "Odoo-Release";

/// The header that names a raw event whose `Nats-Msg-Id` is another: one that is published again.
pub(super) const EVENT_HEADER: &str = "Odoo-Event-Id";

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its number in the stream.
    pub sequence: u64,
    /// Whether the stream had a message of this id already, within the duplicate window.
    pub duplicate: bool,
}

impl Queue {
    /// Publishes a job. Its run id makes a second publish within the duplicate window a duplicate.
    pub async fn publish_job(&self, job: &Job, traceparent: Option<&str>) -> Result<Published, QueueError> {
        let published = self.publish_job_as(job, traceparent, job.run_id.to_string()).await?;
        if !published.duplicate || self.is_on_subject(StreamName::Jobs, published.sequence, &job_subject(job)).await? {
            return Ok(published);
        }
        // Ids are remembered for all subjects of a stream together: another tenant has used this one, and must not keep the message out.
        self.publish_job_as(job, traceparent, format!("{}-{}", job.run_id, uuid::Uuid::new_v4())).await
    }

    /// Publishes a job again whose message, `lost`, is gone. The first id may still be remembered, so the message gets another one: the
    /// same for whoever else misses the same message.
    pub async fn republish_job(&self, job: &Job, traceparent: Option<&str>, lost: Option<u64>) -> Result<Published, QueueError> {
        let id = format!("again-{}-{}-{}", job.tenant, job.run_id, lost.unwrap_or_default());
        let published = self.publish_job_as(job, traceparent, id).await?;
        // The message that was published again is gone too, and the server still remembers its id.
        if published.duplicate && lost == Some(published.sequence) {
            return self.publish_job_as(job, traceparent, format!("{}-{}", job.run_id, uuid::Uuid::new_v4())).await;
        }
        Ok(published)
    }

    async fn publish_job_as(&self, job: &Job, traceparent: Option<&str>, id: String) -> Result<Published, QueueError> {
        let message = PublishMessage::build()
            .payload(envelope::encode(job, traceparent)?.into())
            .message_id(id)
            .header("content-type", envelope::CONTENT_TYPE)
            .header(MASKED_HEADER, "1");
        self.publish(StreamName::Jobs, &job_subject(job), message).await
    }

    /// Whether the message that took an id is on this subject. One that is gone says nothing, and counts as not there.
    async fn is_on_subject(&self, stream: StreamName, sequence: u64, subject: &str) -> Result<bool, QueueError> {
        match self.stream(stream).await?.get_raw_message(sequence).await {
            Ok(message) => Ok(self.bare_subject(&message.subject) == subject),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
            Err(error) => Err(QueueError::unavailable(format!("looking for message {sequence}"), error)),
        }
    }

    /// Publishes a raw event as it came, but for its secrets. `format` names the decoder: `webhook`, `sentry`, `otlp`, `odoo_log`.
    pub async fn publish_raw(&self, tenant: &TenantId, format: &str, event: EventId, payload: Bytes) -> Result<Published, QueueError> {
        self.publish_raw_of(tenant, format, event, payload, None).await
    }

    /// The same, with the release that was running when it happened.
    pub async fn publish_raw_of(
        &self,
        tenant: &TenantId,
        format: &str,
        event: EventId,
        payload: Bytes,
        release: Option<&Release>,
    ) -> Result<Published, QueueError> {
        let subject = format!("ingest.{tenant}.{}", token(format)?);
        let payload = masked(payload).await?;
        let message = |id: String| {
            let message = PublishMessage::build().payload(payload.clone()).message_id(id).header(MASKED_HEADER, "1").header(EVENT_HEADER, event.to_string());
            release.into_iter().fold(message, |message, release| message.header(RELEASE_HEADER, release.as_str()))
        };
        let published = match self.publish(StreamName::Ingest, &subject, message(event.to_string())).await {
            Err(QueueError::Full { .. }) if self.drop_acked().await? => {
                self.publish(StreamName::Ingest, &subject, message(event.to_string())).await?
            }
            outcome => outcome?,
        };
        if !published.duplicate || self.is_on_subject(StreamName::Ingest, published.sequence, &subject).await? {
            return Ok(published);
        }
        // Another tenant has used this id, or the event was taken out of the stream; triage counts it once whatever happens.
        self.publish(StreamName::Ingest, &subject, message(format!("{event}-{}", uuid::Uuid::new_v4()))).await
    }

    /// Deletes the raw events that triage is done with. They are kept as long as there is room, no longer.
    async fn drop_acked(&self) -> Result<bool, QueueError> {
        let name = self.name(StreamName::Ingest.as_str());
        let failed = |error: &dyn std::fmt::Display| QueueError::unavailable(format!("making room in stream {name}"), error);
        let stream = self.js.get_stream(&name).await.map_err(|error| failed(&error))?;
        let triage = stream.consumer_info(self.name(TRIAGE)).await.map_err(|error| failed(&error))?;
        let floor = triage.ack_floor.stream_sequence;
        if floor < stream.cached_info().state.first_sequence {
            return Ok(false);
        }
        let purged = stream.purge().sequence(floor + 1).await.map_err(|error| failed(&error))?;
        tracing::info!(stream = %name, messages = purged.purged, "deleted raw events that were triaged, to make room");
        Ok(purged.purged > 0)
    }

    pub(super) async fn publish(&self, stream: StreamName, subject: &str, message: PublishMessage) -> Result<Published, QueueError> {
        self.online()?;
        let subject = self.subject(subject);
        let message = message.expected_stream(self.name(stream.as_str()));
        let sent = async { self.js.send_publish(subject.clone(), message).await?.await };
        match sent.await {
            Ok(ack) => Ok(Published { sequence: ack.sequence, duplicate: ack.duplicate }),
            Err(error) => Err(match (error.kind(), server_error(&error)) {
                (PublishErrorKind::MaxPayloadExceeded, _) => QueueError::TooLarge { subject, reason: error.to_string() },
                (_, Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)) => QueueError::TooLarge { subject, reason: error.to_string() },
                (_, Some(ErrorCode::STREAM_STORE_FAILED)) => QueueError::Full { stream: self.name(stream.as_str()) },
                _ => QueueError::unavailable(format!("publishing to {subject}"), error),
            }),
        }
    }
}

fn job_subject(job: &Job) -> String {
    format!("jobs.{}.{}", job.kind, job.tenant)
}

fn server_error(error: &jetstream::context::PublishError) -> Option<ErrorCode> {
    std::error::Error::source(error)?.downcast_ref::<jetstream::Error>().map(jetstream::Error::error_code)
}

/// A word that may stand between the dots of a subject.
fn token(text: &str) -> Result<&str, QueueError> {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if (1..=40).contains(&text.len()) && text.bytes().all(valid) {
        Ok(text)
    } else {
        Err(QueueError::Subject(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_cannot_leave_its_place() {
        for bad in ["", "a.b", "*", ">", "a b", "A", "\n", &"a".repeat(41)] {
            assert!(token(bad).is_err(), "{bad:?}");
        }
        assert!(token("odoo_log").is_ok());
    }
}
