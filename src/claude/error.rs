//! What can go wrong with a call, and what was billed for it nevertheless.

use std::time::Duration;

use crate::domain::{Cost, Failure, FailureKind, Prerequisite};

/// Why there is no answer. Texts say what to do; none holds the key or the prompt.
#[derive(Debug, thiserror::Error)]
pub enum ClaudeError {
    /// A setting is wrong, the key included. No call helps before a person has changed it.
    #[error("Claude is not set up: {0}")]
    Config(String),
    /// The API refuses the request as such (400, 413 and the like).
    #[error("Claude refuses the request with status {status}: {message}")]
    BadRequest {
        /// HTTP status.
        status: u16,
        /// The API's own words.
        message: String,
    },
    /// The account may spend no more.
    #[error("Claude's account has no money left to spend: {0}; raise the limit in its console")]
    SpendLimit(String),
    /// The API is busy or broken, and stayed so.
    #[error("Claude answers with status {status}: {message}; it is tried again later")]
    Busy {
        /// HTTP status.
        status: u16,
        /// The API's own words.
        message: String,
        /// The wait that it asked for.
        retry_after: Option<Duration>,
    },
    /// The API did not answer lately; it is not asked again before some time has passed.
    #[error("Claude did not answer lately; it is asked again in {} s", .0.as_secs().max(1))]
    Away(Duration),
    /// No connection, or one that broke.
    #[error("Claude cannot be reached: {0}")]
    Connection(String),
    /// One try took longer than configured.
    #[error("Claude did not answer within {seconds} s")]
    Timeout {
        /// The limit that was hit.
        seconds: u64,
        /// The price of the prompt, estimated.
        cost: Cost,
    },
    /// The job's own time was up.
    #[error("the time of the job was up before Claude answered")]
    Deadline {
        /// The price of the prompt if it was sent, estimated.
        cost: Cost,
    },
    /// An answer that is none.
    #[error("Claude's answer cannot be read: {problem} (request {})", request_id.as_deref().unwrap_or("unknown"))]
    Unreadable {
        /// What is wrong with it.
        problem: String,
        /// The API's name for the call.
        request_id: Option<String>,
        /// What was billed; the upper bound if the answer does not say.
        cost: Cost,
    },
    /// The answer was cut at the token limit.
    #[error("Claude's answer was cut at its token limit; raise `max_tokens` or ask about less")]
    Truncated {
        /// What was billed.
        cost: Cost,
    },
    /// Claude declined to answer.
    #[error("Claude declined to answer this question")]
    Refused {
        /// What was billed.
        cost: Cost,
    },
    /// Prompt and answer do not fit into the context window.
    #[error("the question does not fit into Claude's context window; send fewer or smaller files")]
    ContextExceeded {
        /// What was billed.
        cost: Cost,
    },
    /// The answer ended for a reason that this program never asks for.
    #[error("Claude stopped for the reason {reason:?}, which is not expected here")]
    Stopped {
        /// The API's word: `pause_turn`, `tool_use` or a new one.
        reason: String,
        /// What was billed.
        cost: Cost,
    },
}

impl ClaudeError {
    /// What was billed although there is no answer, as far as it is known.
    pub fn cost(&self) -> Cost {
        match self {
            Self::Timeout { cost, .. }
            | Self::Deadline { cost }
            | Self::Unreadable { cost, .. }
            | Self::Truncated { cost }
            | Self::Refused { cost }
            | Self::ContextExceeded { cost }
            | Self::Stopped { cost, .. } => *cost,
            Self::Config(_) | Self::BadRequest { .. } | Self::SpendLimit(_) | Self::Busy { .. } | Self::Away(_) | Self::Connection(_) => {
                Cost::default()
            }
        }
    }

    /// The wait that the other side asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Away(wait) => Some(*wait),
            _ => None,
        }
    }

    /// Whether the API is away or busy, so that the same question may be answered later. A try that took too long counts as neither: it may
    /// be for the question.
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Away(_) | Self::Connection(_))
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::Config(_) | Self::BadRequest { .. } | Self::Refused { .. } | Self::ContextExceeded { .. } | Self::Stopped { .. } => {
                FailureKind::BadInput
            }
            Self::SpendLimit(_) | Self::Truncated { .. } => FailureKind::Budget,
            Self::Deadline { .. } => FailureKind::Deadline,
            Self::Busy { .. } | Self::Away(_) | Self::Connection(_) | Self::Timeout { .. } | Self::Unreadable { .. } => {
                FailureKind::Unavailable { retry_after: self.retry_after() }
            }
        }
    }
}

impl From<reqwest::Error> for ClaudeError {
    fn from(error: reqwest::Error) -> Self {
        // The outer text only repeats the URL; what happened stands in the innermost cause.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::Connection(cause.to_string())
    }
}

impl From<ClaudeError> for Failure {
    fn from(error: ClaudeError) -> Self {
        let (kind, is_outage) = (error.kind(), error.is_outage());
        let failure = Failure::new(kind, error);
        if is_outage { failure.lacking(Prerequisite::Claude) } else { failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_trouble_is_tried_again() {
        let kind = |error: ClaudeError| Failure::from(error).kind;
        let wait = Some(Duration::from_secs(7));
        assert_eq!(
            kind(ClaudeError::Busy { status: 429, message: String::new(), retry_after: wait }),
            FailureKind::Unavailable { retry_after: wait }
        );
        assert_eq!(kind(ClaudeError::SpendLimit(String::new())), FailureKind::Budget);
        assert_eq!(kind(ClaudeError::Config(String::new())), FailureKind::BadInput);
        assert_eq!(kind(ClaudeError::Deadline { cost: Cost::default() }), FailureKind::Deadline);
    }

    #[test]
    fn billed_errors_carry_their_cost() {
        let cost = Cost { usd: 0.5, ..Cost::default() };
        assert_eq!(ClaudeError::Refused { cost }.cost(), cost);
        assert_eq!(ClaudeError::Connection(String::new()).cost(), Cost::default());
    }
}
