//! What can go wrong with the queue.

use std::time::Duration;

use crate::domain::{Failure, FailureKind, Prerequisite};

/// Why the queue did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The settings are wrong.
    #[error("settings of the queue: {0}")]
    Config(String),
    /// No connection could be made.
    #[error("NATS at {address} cannot be reached: {reason}. Start it, or set NATS_URL")]
    Connect {
        /// Where, without credentials.
        address: String,
        /// What the client says.
        reason: String,
    },
    /// The server is too old, and would ignore settings without a word.
    #[error(
        "NATS at {address} is version {version}; 2.10 or newer is needed: older ones lack idempotent updates of consumers and \
         per-consumer limits, and drop settings that they do not know without an error"
    )]
    TooOld {
        /// Where, without credentials.
        address: String,
        /// What it says it is.
        version: String,
    },
    /// The server runs without JetStream.
    #[error("NATS at {address} has no JetStream ({reason}): start nats-server with -js, or enable it for this account")]
    NoJetStream {
        /// Where, without credentials.
        address: String,
        /// What the server says.
        reason: String,
    },
    /// The server is away, or did not answer in time. Whether a publish got through is not known then.
    #[error("{what}: {reason}")]
    Unavailable {
        /// What was tried.
        what: String,
        /// What happened.
        reason: String,
    },
    /// A stream has reached its limit and takes nothing more.
    #[error("stream {stream} is full: let the workers catch up, or raise its max_bytes")]
    Full {
        /// Which one.
        stream: String,
    },
    /// The message is larger than the server takes.
    #[error("a message to {subject} is too large for NATS: {reason}")]
    TooLarge {
        /// Where it should have gone.
        subject: String,
        /// The limit in words.
        reason: String,
    },
    /// A name that cannot be part of a subject.
    #[error("{0:?} cannot be part of a subject: use 1 to 40 lower-case letters, digits, '-' or '_'")]
    Subject(String),
    /// The dead letter is not there (any more).
    #[error("there is no dead letter {0}")]
    NoDeadLetter(u64),
    /// The dead letter cannot be replayed.
    #[error("dead letter {sequence} cannot be replayed: {reason}")]
    NotReplayable {
        /// Which one.
        sequence: u64,
        /// Why not.
        reason: &'static str,
    },
    /// A message that is not what it should be.
    #[error(transparent)]
    Envelope(#[from] super::envelope::EnvelopeError),
}

impl QueueError {
    pub(super) fn unavailable(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Unavailable { what: what.into(), reason: reason.to_string() }
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        let kind = match &error {
            QueueError::Connect { .. } | QueueError::Unavailable { .. } => FailureKind::Unavailable { retry_after: None },
            // Space is made by work that gets done, which takes its time.
            QueueError::Full { .. } => FailureKind::Unavailable { retry_after: Some(Duration::from_secs(30)) },
            QueueError::Config(_)
            | QueueError::TooOld { .. }
            | QueueError::NoJetStream { .. }
            | QueueError::TooLarge { .. }
            | QueueError::Subject(_)
            | QueueError::NoDeadLetter(_)
            | QueueError::NotReplayable { .. }
            | QueueError::Envelope(_) => FailureKind::BadInput,
        };
        let is_away = matches!(error, QueueError::Connect { .. } | QueueError::Unavailable { .. });
        let failure = Self::new(kind, error);
        if is_away { failure.lacking(Prerequisite::Nats) } else { failure }
    }
}
