//! What can go wrong with making vectors, and what was billed for it nevertheless.

use std::time::Duration;

use crate::domain::{Cost, Failure, FailureKind};

/// Why there are no vectors. Texts say what to do; none holds a key or a text that was to be embedded.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// A setting is wrong, the key included.
    #[error("the embedder is not set up: {0}")]
    Config(String),
    /// The files of the local embedder are damaged or of another kind.
    #[error("the local embedder in {folder} cannot be used: {problem}; remove the folder and run `make setup`")]
    Weights {
        /// Where they are.
        folder: String,
        /// What is wrong with them.
        problem: String,
    },
    /// The API refuses the request as such.
    #[error("the embedder refuses the request with status {status}: {message}")]
    BadRequest {
        /// HTTP status.
        status: u16,
        /// The API's own words.
        message: String,
    },
    /// The API is busy or broken, and stayed so.
    #[error("the embedder answers with status {status}: {message}; it is tried again later")]
    Busy {
        /// HTTP status.
        status: u16,
        /// The API's own words.
        message: String,
        /// The wait that it asked for.
        retry_after: Option<Duration>,
    },
    /// The account may spend no more.
    #[error("the embedder's account has no money left to spend: {0}")]
    SpendLimit(String),
    /// No connection, or one that broke.
    #[error("the embedder cannot be reached: {0}")]
    Connection(String),
    /// One try took longer than configured.
    #[error("the embedder did not answer within {seconds} s")]
    Timeout {
        /// The limit that was hit.
        seconds: u64,
    },
    /// An answer that is none.
    #[error("the embedder's answer cannot be used: {problem}")]
    Unreadable {
        /// What is wrong with it.
        problem: String,
        /// What was billed.
        cost: Cost,
    },
    /// Some of several requests went well before this.
    #[error("{source}")]
    Partly {
        /// Why the others did not.
        source: Box<EmbedError>,
        /// What was billed before.
        cost: Cost,
    },
    /// A fault of ours.
    #[error("the embedder broke: {0}")]
    Bug(&'static str),
}

impl EmbedError {
    /// What was billed although there are no vectors, as far as it is known.
    pub fn cost(&self) -> Cost {
        match self {
            Self::Unreadable { cost, .. } => *cost,
            Self::Partly { source, cost } => {
                let mut sum = *cost;
                sum += source.cost();
                sum
            }
            _ => Cost::default(),
        }
    }

    /// The wait that the other side asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Partly { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Connection(_) | Self::Timeout { .. })
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::Config(_) | Self::Weights { .. } | Self::BadRequest { .. } => FailureKind::BadInput,
            Self::SpendLimit(_) => FailureKind::Budget,
            Self::Busy { .. } | Self::Connection(_) | Self::Timeout { .. } | Self::Unreadable { .. } => {
                FailureKind::Unavailable { retry_after: self.retry_after() }
            }
            Self::Partly { source, .. } => source.kind(),
            Self::Bug(_) => FailureKind::Bug,
        }
    }
}

impl From<reqwest::Error> for EmbedError {
    fn from(error: reqwest::Error) -> Self {
        // The outer text only repeats the URL; what happened stands in the innermost cause.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::Connection(cause.to_string())
    }
}

impl From<EmbedError> for Failure {
    fn from(error: EmbedError) -> Self {
        Failure::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_billed_before_counts() {
        let cost = Cost { input_tokens: 3, ..Cost::default() };
        let last = Box::new(EmbedError::Unreadable { problem: String::new(), cost });
        assert_eq!(EmbedError::Partly { source: last, cost }.cost().input_tokens, 6);
    }

    #[test]
    fn wait_reaches_the_queue() {
        let wait = Some(Duration::from_secs(9));
        let busy = Box::new(EmbedError::Busy { status: 429, message: String::new(), retry_after: wait });
        let failure = Failure::from(EmbedError::Partly { source: busy, cost: Cost::default() });
        assert_eq!(failure.kind, FailureKind::Unavailable { retry_after: wait });
        assert_eq!(Failure::from(EmbedError::Config(String::new())).kind, FailureKind::BadInput);
    }
}
