//! What can be asked for, and the policy that every kind of job carries.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::outcome::StoredOutcome;
use super::{ErrorReport, Grade, InvalidId, OdooVersion, Offer, Patch, ProvenPatch, RunId, Source, TenantId};

/// The kinds of job. A closed set: a kind without a handler does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Find and prove a fix for one error.
    DebugError,
    /// Bring sources into the knowledge base.
    Reindex,
    /// Find what is known about an error or a question.
    SearchKnowledge,
}

impl JobKind {
    /// Every kind, for what must be set up once for each.
    pub const ALL: &'static [Self] = &[Self::DebugError, Self::Reindex, Self::SearchKnowledge];

    /// The name in subjects, types, rows and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DebugError => "debug_error",
            Self::Reindex => "reindex",
            Self::SearchKnowledge => "search_knowledge",
        }
    }

    /// The longest that one attempt may take.
    pub const fn deadline(self) -> Duration {
        match self {
            Self::DebugError => Duration::from_secs(30 * 60),
            Self::Reindex => Duration::from_secs(6 * 3600),
            Self::SearchKnowledge => Duration::from_secs(60),
        }
    }

    /// How many attempts are made before the job becomes a dead letter.
    pub const fn max_attempts(self) -> u32 {
        match self {
            Self::DebugError => 6,
            Self::Reindex | Self::SearchKnowledge => 3,
        }
    }

    /// Whether the handler cannot do its work without a sandbox.
    pub const fn needs_sandbox(self) -> bool {
        match self {
            Self::DebugError => true,
            Self::Reindex | Self::SearchKnowledge => false,
        }
    }

    /// An example of the payload.
    pub const fn example(self) -> &'static str {
        match self {
            Self::DebugError => include_str!("../../jobs/debug_error/example.json"),
            Self::Reindex => include_str!("../../jobs/reindex/example.json"),
            Self::SearchKnowledge => include_str!("../../jobs/search_knowledge/example.json"),
        }
    }

    /// The JSON Schema (draft 2020-12) of the payload.
    pub const fn schema(self) -> &'static str {
        match self {
            Self::DebugError => include_str!("../../jobs/debug_error/schema.json"),
            Self::Reindex => include_str!("../../jobs/reindex/schema.json"),
            Self::SearchKnowledge => include_str!("../../jobs/search_knowledge/schema.json"),
        }
    }
}

impl std::fmt::Display for JobKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobKind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.chars().take(80).collect()))
    }
}

/// A kind of job that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("there is no job kind {0:?}; there are: debug_error, reindex, search_knowledge")]
pub struct UnknownKind(String);

/// One thing to do, for one tenant. `payload` is what `jobs/<kind>/schema.json` describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The run that does it.
    pub run_id: RunId,
    /// Who asked.
    pub tenant: TenantId,
    /// What is asked for.
    pub kind: JobKind,
    /// The details.
    pub payload: Value,
}

/// What a handler hands back: what came out, what is to be done about it, and which jobs follow. It does none of that itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredOutcome")]
pub struct Outcome {
    /// What is stored on the run and shown by `status`.
    pub result: Value,
    /// What is done once, in the transaction that ends the run.
    pub effects: Vec<Effect>,
    /// Jobs that follow.
    pub next: Vec<Job>,
}

/// Something that happens at most once a run, whatever is delivered twice.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Write a proven patch below this folder.
    Apply {
        /// The addons folder.
        root: PathBuf,
        /// What is written.
        proven: Box<ProvenPatch>,
        /// What identifies the rest of the addon as it was when the proof was made.
        tested: String,
        /// The ticket to file if the sources have changed since.
        otherwise: Ticket,
    },
    /// Keep a patch that is shown and not written, for a person to approve.
    Offer(Box<Offer>),
    /// File a ticket.
    Ticket(Ticket),
    /// Keep in the knowledge base how it went.
    Remember(Box<Lesson>),
}

/// What a person needs to go on where the program stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// One line.
    pub title: String,
    /// Markdown: the cause, the place, what was tried.
    pub body: String,
    /// The same for programs.
    pub evidence: Value,
    /// A patch that a person is to judge, as a unified diff.
    pub patch: Option<String>,
}

/// How a run went, in the form in which it is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// The error.
    pub report: ErrorReport,
    /// The series that it was reproduced on.
    pub version: OdooVersion,
    /// Where the best candidate came from, if there was one.
    pub source: Option<Source>,
    /// How it was graded.
    pub grade: Option<Grade>,
    /// The candidate.
    pub patch: Option<Patch>,
    /// What it does, in a sentence; or why there is none.
    pub summary: String,
    /// Versions of what made it: rule set, prompt.
    pub made_by: Value,
    /// The names of what Claude was shown out of the knowledge base; empty if it was not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<String>,
}

/// Where a run stands. It never goes backwards from an end state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The row is written; the message may or may not be.
    Queued,
    /// An attempt holds it.
    Running,
    /// The handler came to an end: a fix or a ticket. `result` says which.
    Done,
    /// Given up: the dead letter says why.
    Failed,
}

impl RunState {
    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

impl FromStr for RunState {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        [Self::Queued, Self::Running, Self::Done, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| InvalidId::of_state(text))
    }
}

/// One step of a run, as its followers see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The step: `queued picked_up read recall deduce ask reproduce sandbox verify scanned dependents refused apply index ticket done failed`,
    /// or `note`.
    pub step: String,
    /// One sentence for people.
    pub message: String,
    /// Numbers and names for programs.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

impl Progress {
    /// A step with its sentence.
    pub fn new(step: &str, message: impl Into<String>) -> Self {
        Self { step: step.to_owned(), message: message.into(), detail: Value::Null }
    }

    /// The same with details for programs.
    #[must_use]
    pub fn with(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    /// Whether no further step follows.
    pub fn is_final(&self) -> bool {
        self.step == "done" || self.step == "failed"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_name() {
        for kind in JobKind::ALL {
            assert_eq!(kind.as_str().parse::<JobKind>().unwrap(), *kind);
            assert!(serde_json::from_str::<Value>(kind.schema()).is_ok());
        }
        let unknown = "rm_rf".parse::<JobKind>().unwrap_err().to_string();
        assert!(JobKind::ALL.iter().all(|kind| unknown.contains(kind.as_str())), "{unknown}");
    }
}
