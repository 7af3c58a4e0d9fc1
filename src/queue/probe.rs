//! Whether JetStream takes a message now. A connection that is up says nothing of the disk behind it.

use std::time::{Duration, Instant};

use async_nats::jetstream::message::PublishMessage;

use super::topology::PROBE;
use super::{Queue, QueueError, StreamName};

/// How long an answer counts: whoever asks more often gets the same one.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer.
#[derive(Debug, Default)]
pub(super) struct Probed {
    last: Option<(Instant, Option<String>)>,
}

impl Queue {
    /// Publishes a message of a few bytes into the stream of raw events and deletes it; fails if JetStream does not store it. A stream that has
    /// reached its limit has answered.
    pub async fn probe(&self) -> Result<(), QueueError> {
        let mut probed = self.probed.lock().await;
        let fresh = probed.last.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
        if let Some((_, outcome)) = fresh {
            return outcome.as_ref().map_or(Ok(()), |reason| Err(QueueError::unavailable("JetStream takes no message", reason)));
        }
        let outcome = match self.publish(StreamName::Ingest, PROBE, PublishMessage::build().payload("ready".into())).await {
            Ok(published) => self.take_back(published.sequence).await,
            Err(QueueError::Full { .. }) => Ok(()),
            Err(error) => Err(error),
        };
        probed.last = Some((Instant::now(), outcome.as_ref().err().map(ToString::to_string)));
        outcome
    }

    async fn take_back(&self, sequence: u64) -> Result<(), QueueError> {
        let deleted = self.stream(StreamName::Ingest).await?.delete_message(sequence).await;
        deleted.map(drop).map_err(|error| QueueError::unavailable("deleting the message of the probe", error))
    }
}
