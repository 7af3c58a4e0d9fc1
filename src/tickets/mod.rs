//! Tickets: what a person gets when a fix is not applied, with the patch and the evidence, and what the person says to it. One file for
//! each sink.
//! Never files a second ticket for the same run.

pub mod postgres;
mod resolution;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::{Cursor, RunId, Ticket};

pub use crate::domain::TicketId;
pub use resolution::{BadResolution, MAX_CORRECTION, MAX_TEXT, Resolution};

/// The most tickets of one page.
pub const MAX_PAGE: u32 = 200;

/// How a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    /// Somebody is to see to it.
    Open,
    /// A person has said what mended it.
    Closed,
}

impl TicketState {
    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl FromStr for TicketState {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Open, Self::Closed].into_iter().find(|state| state.as_str() == text);
        known.ok_or("it is no state of a ticket: use open or closed")
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
    /// When the latest word to it was said.
    pub closed_at: Option<DateTime<Utc>>,
    /// What a person says mended it.
    pub resolution: Option<String>,
    /// The change that mended it, as a unified diff.
    pub correction: Option<String>,
    /// What it says.
    #[serde(flatten)]
    pub ticket: Ticket,
}

/// A ticket in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TicketLine {
    /// The ticket.
    pub id: TicketId,
    /// The run that filed it.
    pub run: RunId,
    /// `open` or `closed`.
    pub state: String,
    /// When it was filed.
    pub created_at: DateTime<Utc>,
    /// When the latest word to it was said.
    pub closed_at: Option<DateTime<Utc>>,
    /// One line.
    pub title: String,
}

/// Which tickets are wanted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Only in this state.
    pub state: Option<TicketState>,
    /// At most so many, 1 to [`MAX_PAGE`]; 50 if nothing is said.
    pub limit: Option<u32>,
    /// Only what comes after, as the page before said.
    pub after: Option<Cursor>,
}

/// Tickets, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TicketPage {
    /// The tickets of this page.
    pub tickets: Vec<TicketLine>,
    /// What `after` must be for the next page; `None`: this is the last.
    pub next: Option<Cursor>,
}
