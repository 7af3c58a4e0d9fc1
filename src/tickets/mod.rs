//! Tickets: what a person gets when a fix is not applied, with the patch and the evidence. One file for each sink.
//! Never files a second ticket for the same run.

pub mod postgres;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{RunId, Ticket};

/// Names a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketId(pub Uuid);

impl std::fmt::Display for TicketId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A ticket that was filed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TicketView {
    /// The ticket.
    pub id: TicketId,
    /// The run that filed it.
    pub run: RunId,
    /// `open` or `closed`.
    pub state: String,
    /// When it was filed.
    pub created_at: DateTime<Utc>,
    /// What it says.
    #[serde(flatten)]
    pub ticket: Ticket,
}
