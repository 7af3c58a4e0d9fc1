//! What is pulled out of the streams.

use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::message::Message;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;

use super::masked::{MASKED_HEADER, masked};
use super::publish::RELEASE_HEADER;
use super::topology::TRIAGE;
use super::{Queue, QueueError, StreamName};
use crate::domain::{JobKind, Release};

/// The pause after an error, so that a caller in a loop does not spin.
const PAUSE: Duration = Duration::from_millis(250);

/// One delivery of a message. Dropped without an answer, the message comes again after `ack_wait`.
pub struct Delivery {
    /// The subject, without the prefix.
    pub subject: String,
    /// The message, its secrets masked.
    pub payload: Bytes,
    /// Which delivery of the message this is, from 1. Lost workers and hand-backs count.
    pub deliveries: u64,
    /// The number of the message in its stream.
    pub sequence: u64,
    /// When the stream took it.
    pub published: DateTime<Utc>,
    /// The `Nats-Msg-Id`, if it has one.
    pub message_id: Option<String>,
    /// The release that a raw event came from, if whoever published it said so in a form that a release has.
    pub release: Option<Release>,
    /// Whether its secrets are masked. What others publish is as they sent it.
    is_masked: bool,
    queue: Queue,
    message: Message,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the payload: a log line is no place for a log.
        f.debug_struct("Delivery").field("subject", &self.subject).field("deliveries", &self.deliveries).finish_non_exhaustive()
    }
}

impl Delivery {
    fn new(queue: &Queue, message: Message) -> Result<Self, QueueError> {
        let info = message.info().map_err(|error| QueueError::unavailable("reading a delivery", error))?;
        let nanos = i64::try_from(info.published.unix_timestamp_nanos()).unwrap_or_default();
        let (deliveries, sequence) = (u64::try_from(info.delivered).unwrap_or(1), info.stream_sequence);
        let id = message.headers.as_ref().and_then(|headers| headers.get(async_nats::header::NATS_MESSAGE_ID));
        let release =
            message.headers.as_ref().and_then(|headers| headers.get(RELEASE_HEADER)).and_then(|value| value.as_str().parse().ok());
        Ok(Self {
            release,
            is_masked: message.headers.as_ref().is_some_and(|headers| headers.get(MASKED_HEADER).is_some()),
            queue: queue.clone(),
            subject: queue.bare_subject(&message.subject).to_owned(),
            payload: message.payload.clone(),
            deliveries,
            sequence,
            published: DateTime::from_timestamp_nanos(nanos),
            message_id: id.map(|id| id.as_str().to_owned()),
            message,
        })
    }

    /// Done: it is not delivered again. Waits until the server has noted it.
    pub async fn ack(&self) -> Result<(), QueueError> {
        self.erase_if_unmasked().await;
        self.answer(AckKind::Ack, "acking").await
    }

    /// Hands it back, to be delivered again after `delay`.
    pub async fn nak(&self, delay: Duration) -> Result<(), QueueError> {
        self.answer(AckKind::Nak(Some(delay)), "handing back").await
    }

    /// Still at work: starts `ack_wait` anew. To be called well within it, from a task of its own.
    pub async fn progress(&self) -> Result<(), QueueError> {
        self.message
            .ack_with(AckKind::Progress)
            .await
            .map_err(|error| QueueError::unavailable(format!("holding message {} of {}", self.sequence, self.subject), error))
    }

    /// Hopeless: it is not delivered again. Its dead letter is to be written before.
    pub async fn term(&self) -> Result<(), QueueError> {
        self.erase_if_unmasked().await;
        self.answer(AckKind::Term, "ending").await
    }

    /// Overwrites a message on the disk that others published: it may hold secrets, and what is needed of it is kept elsewhere by now. To be
    /// done before the answer, after which nobody would come back to it.
    async fn erase_if_unmasked(&self) {
        if self.is_masked {
            return;
        }
        if let Err(error) = self.erase().await {
            // Not acknowledged it would come again for ever, and be erased no sooner.
            tracing::warn!(%error, "a message that others published stays on the disk until the stream drops it");
        }
    }

    async fn erase(&self) -> Result<(), QueueError> {
        let failed = |error: &dyn std::fmt::Display| {
            QueueError::unavailable(format!("erasing message {} of {}", self.sequence, self.subject), error)
        };
        let name = self.message.info().map_err(|error| failed(&error))?.stream.to_owned();
        let stream = self.queue.js.get_stream_no_info(&name).await.map_err(|error| failed(&error))?;
        stream.delete_message(self.sequence).await.map(drop).map_err(|error| failed(&error))
    }

    async fn answer(&self, kind: AckKind, verb: &str) -> Result<(), QueueError> {
        self.message
            .double_ack_with(kind)
            .await
            .map_err(|error| QueueError::unavailable(format!("{verb} message {} of {}", self.sequence, self.subject), error))
    }
}

/// A consumer to pull from. After an error or an outage it finds its way back; the caller just calls again.
pub struct Pull {
    queue: Queue,
    stream: StreamName,
    name: String,
    consumer: Option<Consumer<pull::Config>>,
    /// A request that is open at the server. It outlives a dropped `next`, or a message on its way to it would be stranded.
    open: Option<(pull::Batch, watch::Receiver<u64>)>,
    failed: bool,
}

impl Queue {
    /// The jobs of one kind.
    pub fn jobs(&self, kind: JobKind) -> Pull {
        Pull::new(self, StreamName::Jobs, kind.as_str())
    }

    /// The raw events, for triage.
    pub fn raw_events(&self) -> Pull {
        Pull::new(self, StreamName::Ingest, TRIAGE)
    }
}

impl Pull {
    fn new(queue: &Queue, stream: StreamName, name: &str) -> Self {
        Self { queue: queue.clone(), stream, name: queue.name(name), consumer: None, open: None, failed: false }
    }

    /// The next message, or `None` if none came for `wait` (at least 1 s). The future may be dropped without losing a message.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Delivery>, QueueError> {
        if self.failed {
            tokio::time::sleep(PAUSE).await;
        }
        let outcome = self.try_next(wait).await;
        self.failed = outcome.is_err();
        if self.failed {
            self.open = None;
            self.consumer = None;
        }
        outcome
    }

    async fn try_next(&mut self, wait: Duration) -> Result<Option<Delivery>, QueueError> {
        if self.open.is_none() {
            let batch = self.consumer().await?.batch().max_messages(1).expires(wait.max(Duration::from_secs(1))).messages().await;
            let batch = batch.map_err(|error| self.broken(&error))?;
            let mut connections = self.queue.connections.clone();
            connections.mark_unchanged();
            self.open = Some((batch, connections));
        }
        let Some((batch, connections)) = &mut self.open else { return Ok(None) };
        let item = tokio::select! {
            biased;
            item = batch.next() => item,
            // The server forgets open requests with the connection that they came by.
            _ = connections.changed() => None,
        };
        self.open = None;
        match item {
            Some(Ok(message)) => {
                let mut delivery = Delivery::new(&self.queue, message)?;
                // Anybody may say that a message is masked; what is masked stays as it is.
                delivery.payload = masked(delivery.payload).await?;
                Ok(Some(delivery))
            }
            Some(Err(error)) => Err(self.broken(&error)),
            None => self.queue.online().map(|()| None),
        }
    }

    /// Stops pulling, and hands back a message that has come but was not taken.
    pub async fn close(mut self) {
        let Some((mut batch, _)) = self.open.take() else { return };
        while let Some(Some(Ok(message))) = batch.next().now_or_never() {
            if let Err(error) = message.double_ack_with(AckKind::Nak(None)).await {
                tracing::debug!(%error, "a message could not be handed back; it comes again after ack_wait");
            }
        }
    }

    async fn consumer(&mut self) -> Result<&Consumer<pull::Config>, QueueError> {
        self.queue.online()?;
        if self.consumer.is_none() {
            if self.failed {
                // Whatever it was, a stream or consumer that somebody deleted is back after this.
                self.queue.ensure_topology().await?;
            }
            let found = self.queue.js.get_consumer_from_stream(&self.name, self.queue.name(self.stream.as_str())).await;
            let found = found.map_err(|error| self.broken(&error))?;
            self.consumer = Some(found);
        }
        self.consumer.as_ref().ok_or_else(|| self.broken(&"gone"))
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> QueueError {
        QueueError::unavailable(format!("pulling from consumer {}", self.name), error)
    }
}
