//! What is put into the streams. A publish has succeeded when JetStream has said so, and not before.

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;

use super::masked::{MASKED_HEADER, masked};
use super::topology::TRIAGE;
use super::{Queue, QueueError, StreamName, envelope};
use crate::domain::{EventId, Job, Release, TenantId};

/// The header of a raw event that names the release it came from.
pub(super) const RELEASE_HEADER: &str = "Odoo-Release";

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
        let message = PublishMessage::build()
            .payload(envelope::encode(job, traceparent)?.into())
            .message_id(job.run_id.to_string())
            .header("content-type", envelope::CONTENT_TYPE)
            .header(MASKED_HEADER, "1");
        self.publish(StreamName::Jobs, &format!("jobs.{}.{}", job.kind, job.tenant), message).await
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
        let message = || {
            let message = PublishMessage::build().payload(payload.clone()).message_id(event.to_string()).header(MASKED_HEADER, "1");
            release.into_iter().fold(message, |message, release| message.header(RELEASE_HEADER, release.as_str()))
        };
        match self.publish(StreamName::Ingest, &subject, message()).await {
            Err(QueueError::Full { .. }) if self.drop_acked().await? => self.publish(StreamName::Ingest, &subject, message()).await,
            outcome => outcome,
        }
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
