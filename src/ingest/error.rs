//! What can be wrong with what was sent, and what the sender can do about it.

use super::format::{MAX_BODY, MAX_LINE, MAX_RECORDS};
use crate::domain::Failure;

/// Why bytes could not be taken as logs. Sending the same again cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// Nothing in it.
    #[error("the body is empty: send log text, JSON lines or a JSON array of records")]
    Empty,
    /// More than `MAX_BODY`.
    #[error("the body has {size} bytes, at most {MAX_BODY} are taken: cut it at line ends and send several requests")]
    TooLarge {
        /// Bytes that were sent.
        size: usize,
    },
    /// No text.
    #[error("the body is not UTF-8 text (byte {offset}): {hint}")]
    Binary {
        /// Where it was seen first, counted from 0.
        offset: usize,
        /// What it looks like, and what to do.
        hint: &'static str,
    },
    /// A line longer than `MAX_LINE`.
    #[error("line {line} has {len} bytes, at most {MAX_LINE} are taken: send one record a line, and leave out attachments")]
    LineTooLong {
        /// Counted from 1.
        line: usize,
        /// Bytes of the line.
        len: usize,
    },
    /// A content type that holds no logs.
    #[error("content type {0:?} is not taken: use text/plain, application/x-ndjson or application/json")]
    ContentType(String),
    /// A name that is no format.
    #[error("{0:?} is no format: use odoo-text, odoo-ndjson or odoo-json")]
    Format(String),
    /// More than `MAX_RECORDS`.
    #[error("more than {MAX_RECORDS} records in one request: send several requests")]
    TooManyRecords,
    /// The whole of it is not the JSON that it was said to be.
    #[error("the body is no JSON array: {0}; send an array of strings or objects, or JSON lines as application/x-ndjson")]
    Json(String),
    /// One record that could not be read; the others were.
    #[error("record {record}: {what}")]
    Record {
        /// Counted from 1.
        record: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        Self::bad_input(error.to_string())
    }
}
