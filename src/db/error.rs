//! What can go wrong between us and PostgreSQL, and whether another try may help.

use super::MAX_JSON_BYTES;
use crate::domain::{Failure, FailureKind, Prerequisite, RunId};

/// What can go wrong between us and PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// It is away, full or busy; the same may work later.
    #[error("PostgreSQL is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// It refused what we sent.
    #[error("PostgreSQL refused a statement: {0}")]
    Refused(#[source] sqlx::Error),
    /// A text holds what no text in PostgreSQL can hold.
    #[error("a text holds a NUL character or is no UTF-8, and cannot be looked up or stored: leave it out")]
    Text(#[source] sqlx::Error),
    /// It is not what the program needs.
    #[error("PostgreSQL is not set up for odoo-agent: {0}")]
    Setup(String),
    /// Another attempt holds the run, or it has ended.
    #[error("run {0} is no longer this attempt's: another one took over or it has ended")]
    Fenced(RunId),
    /// The caller named something that is not there.
    #[error("there is no {what} {id:?}")]
    Missing {
        /// What sort of thing.
        what: &'static str,
        /// The name that was given.
        id: String,
    },
    /// A value is more than is ever stored.
    #[error("a value of {0} bytes is too large to be stored; the limit is {MAX_JSON_BYTES}")]
    TooLarge(usize),
    /// A stored value can no longer be read, or a value cannot be stored.
    #[error("the {what} in the database cannot be read or written: {reason}")]
    Unreadable {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl DbError {
    pub(crate) fn unreadable(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Unreadable { what, reason: reason.to_string() }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        let later = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => true,
            // Connection lost, out of resources, operator's intervention, and the conflicts that a second try resolves.
            sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| {
                ["08", "53", "57"].iter().any(|class| code.starts_with(class)) || ["40001", "40P01", "55P03"].contains(&code.as_ref())
            }),
            _ => false,
        };
        let text =
            matches!(&error, sqlx::Error::Database(refusal) if refusal.code().is_some_and(|code| code == "22021" || code == "22P05"));
        if later {
            Self::Unavailable(error)
        } else if text {
            Self::Text(error)
        } else {
            Self::Refused(error)
        }
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        let kind = match &error {
            DbError::Unavailable(_) => FailureKind::Unavailable { retry_after: None },
            DbError::Fenced(_) => FailureKind::Fenced,
            DbError::Missing { .. } | DbError::TooLarge(_) | DbError::Text(_) => FailureKind::BadInput,
            DbError::Refused(_) | DbError::Setup(_) | DbError::Unreadable { .. } => FailureKind::Bug,
        };
        let failure = Self::new(kind, error);
        if matches!(kind, FailureKind::Unavailable { .. }) { failure.lacking(Prerequisite::Database) } else { failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_connection_is_worth_another_try() {
        let lost = Failure::from(DbError::from(sqlx::Error::PoolTimedOut));
        assert_eq!(lost.kind, FailureKind::Unavailable { retry_after: None });
        assert_eq!(Failure::from(DbError::from(sqlx::Error::RowNotFound)).kind, FailureKind::Bug);
    }
}
