//! The streams and consumers as they should be, and the way there.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use serde::Serialize;

use super::{Queue, QueueError};
use crate::domain::JobKind;

/// Unacked deliveries of one consumer. Handed-back messages that wait count as well, so it must not be near the number of workers.
const MAX_ACK_PENDING: i64 = 5000;
/// More steps than this one run does not make; the oldest go first.
const MAX_EVENTS_PER_RUN: i64 = 10_000;

/// The streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamName {
    /// Raw events.
    Ingest,
    /// Jobs.
    Jobs,
    /// Progress.
    Events,
    /// Dead letters.
    Dead,
}

impl StreamName {
    /// Every stream.
    pub const ALL: &'static [Self] = &[Self::Ingest, Self::Jobs, Self::Events, Self::Dead];

    /// Its name, before the prefix.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "INGEST",
            Self::Jobs => "JOBS",
            Self::Events => "EVENTS",
            Self::Dead => "DEAD",
        }
    }

    /// Raw events share their stream with the probe: whether it takes a message is what matters.
    const fn subjects(self) -> &'static [&'static str] {
        match self {
            Self::Ingest => &["ingest.*.*", PROBE],
            Self::Jobs => &["jobs.*.*"],
            Self::Events => &["events.*.*"],
            Self::Dead => &["dead.*.*"],
        }
    }
}

/// How much is in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// The stream, with its prefix.
    pub stream: String,
    /// Messages in it.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many bytes it takes.
    pub max_bytes: i64,
    /// Each consumer: its name, what it has still to deliver, and what is delivered but not acked.
    pub consumers: Vec<(String, u64, u64)>,
}

/// The subject of the probe, which no consumer takes.
pub(super) const PROBE: &str = "probe.ready";

/// The consumer that triage pulls from.
pub(super) const TRIAGE: &str = "triage";

impl Queue {
    /// Creates the streams and consumers, or brings them to what this version wants. To be called at every start; where
    /// nothing is to be done, nothing is.
    pub async fn ensure_topology(&self) -> Result<(), QueueError> {
        self.online()?;
        for name in StreamName::ALL {
            self.ensure_stream(*name).await?;
        }
        self.ensure_consumer(StreamName::Ingest, TRIAGE, "ingest.*.*").await?;
        for kind in JobKind::ALL {
            self.ensure_consumer(StreamName::Jobs, kind.as_str(), &format!("jobs.{kind}.*")).await?;
        }
        Ok(())
    }

    async fn ensure_stream(&self, name: StreamName) -> Result<(), QueueError> {
        let full_name = self.name(name.as_str());
        let failed = |error: &dyn std::fmt::Display| QueueError::unavailable(format!("setting up stream {full_name}"), error);
        match self.js.get_stream(&full_name).await {
            Ok(stream) => {
                let found = stream.cached_info().config.clone();
                let wanted = self.wanted(name, found.clone());
                if wanted == found {
                    return Ok(());
                }
                tracing::info!(stream = %full_name, "bringing the settings of a stream up to date");
                self.js.update_stream(wanted).await.map(drop).map_err(|error| failed(&error))
            }
            Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND) => {
                let fresh = stream::Config { storage: StorageType::File, num_replicas: 1, ..stream::Config::default() };
                match self.js.create_stream(self.wanted(name, fresh)).await {
                    Ok(_) => Ok(()),
                    Err(error) => Err(match error.kind() {
                        CreateStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED => {
                            QueueError::Config(format!(
                                "NATS has not enough storage for stream {full_name}: lower its max_bytes, or give NATS more"
                            ))
                        }
                        CreateStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP => QueueError::Config(
                            format!("another stream on this server has the subjects of {full_name}: set a prefix for the queue"),
                        ),
                        _ => failed(&error),
                    }),
                }
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// What we care about, laid over what is there: replicas and placement are for whoever runs the server to choose.
    fn wanted(&self, name: StreamName, found: stream::Config) -> stream::Config {
        let settings = &self.config;
        let base = stream::Config {
            name: self.name(name.as_str()),
            subjects: name.subjects().iter().map(|subject| self.subject(subject)).collect(),
            duplicate_window: settings.duplicate_window,
            retention: RetentionPolicy::Limits,
            ..found
        };
        match name {
            StreamName::Ingest => stream::Config {
                max_bytes: settings.ingest_max_bytes,
                max_age: settings.ingest_max_age,
                discard: DiscardPolicy::New,
                ..base
            },
            StreamName::Jobs => stream::Config {
                max_bytes: settings.jobs_max_bytes,
                retention: RetentionPolicy::WorkQueue,
                discard: DiscardPolicy::New,
                ..base
            },
            StreamName::Events => stream::Config {
                max_bytes: settings.events_max_bytes,
                max_age: settings.events_max_age,
                max_messages_per_subject: MAX_EVENTS_PER_RUN,
                discard: DiscardPolicy::Old,
                ..base
            },
            StreamName::Dead => stream::Config { max_bytes: settings.dead_max_bytes, discard: DiscardPolicy::Old, ..base },
        }
    }

    async fn ensure_consumer(&self, stream: StreamName, name: &str, filter: &str) -> Result<(), QueueError> {
        let name = self.name(name);
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: self.subject(filter),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.config.ack_wait,
            // Without end: a message that is no longer delivered would stay in the stream unseen. The worker counts and gives up.
            max_deliver: -1,
            max_ack_pending: MAX_ACK_PENDING,
            ..pull::Config::default()
        };
        self.js
            .create_consumer_on_stream(config, self.name(stream.as_str()))
            .await
            .map(drop)
            .map_err(|error| QueueError::unavailable(format!("setting up consumer {name}"), error))
    }

    /// How much is in a stream, and how far its consumers are.
    pub async fn depth(&self, name: StreamName) -> Result<Depth, QueueError> {
        use futures::TryStreamExt as _;
        self.online()?;
        let full_name = self.name(name.as_str());
        let failed = |error: &dyn std::fmt::Display| QueueError::unavailable(format!("asking for stream {full_name}"), error);
        let stream = self.js.get_stream(&full_name).await.map_err(|error| failed(&error))?;
        let mut consumers = Vec::new();
        if matches!(name, StreamName::Ingest | StreamName::Jobs) {
            let mut found = stream.consumers();
            while let Some(consumer) = found.try_next().await.map_err(|error| failed(&error))? {
                consumers.push((consumer.name, consumer.num_pending, consumer.num_ack_pending as u64));
            }
        }
        let info = stream.cached_info();
        Ok(Depth {
            stream: full_name.clone(),
            messages: info.state.messages,
            bytes: info.state.bytes,
            max_bytes: info.config.max_bytes,
            consumers,
        })
    }
}
