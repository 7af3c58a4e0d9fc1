//! The last step of the cascade: Claude is shown the error and the sources, and offers edits.
//!
//! What it offers is a proposal and no more: edits that make no patch are refused here, a patch that may not be is refused by `guard`,
//! and the rest still needs its proof. It never applies anything, and it gives Claude no tool that could.

mod edits;
mod prompt;

use std::sync::LazyLock;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::claude::{Claude, ClaudeError, Request};
use crate::domain::{Cost, Diagnosis, ErrorReport, OdooVersion, Patch};
use crate::knowledge::Span;
use crate::odoo::Addon;

/// The version of the prompt and its answer's schema, stored with what came of it. Raise it when either changes.
pub const PROMPT_VERSION: u32 = 3;

const SYSTEM: &str = include_str!("../../jobs/debug_error/prompt.md");
/// The most characters of Claude's own words that are kept.
const MAX_WORDS: usize = 2_000;

/// The schema of the answer. The API takes no limits of length in it, so those are checked on what comes back.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let edit = json!({
        "type": "object",
        "properties": {
            "path": { "type": "string", "description": "The file, starting with the addon's folder." },
            "find": { "type": "string", "description": "Exact text that occurs once in the file; empty for a new or empty file." },
            "replace": { "type": "string", "description": "What stands there instead." }
        },
        "required": ["path", "find", "replace"],
        "additionalProperties": false
    });
    json!({
        "type": "object",
        "properties": {
            "cause": { "type": "string" },
            "fixable": { "type": "boolean" },
            "edits": { "type": "array", "items": edit },
            "summary": { "type": "string" }
        },
        "required": ["cause", "fixable", "edits", "summary"],
        "additionalProperties": false
    })
});

#[derive(Deserialize)]
struct Answer {
    cause: String,
    fixable: bool,
    #[serde(default)]
    edits: Vec<edits::Edit>,
    #[serde(default)]
    summary: String,
}

/// A fix that Claude offers and that passed the checks on its form. It may be forbidden still, and is not proven.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The change.
    pub patch: Patch,
    /// What is changed and why, for the person who reviews it.
    pub summary: String,
}

/// What came of one question.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The fix, if one was offered and none of its edits was refused.
    pub proposal: Option<Proposal>,
    /// What Claude says about the error.
    pub diagnosis: Diagnosis,
    /// What the call cost.
    pub cost: Cost,
    /// Why the edits were refused, one sentence each; empty if they were not.
    pub refused: Vec<String>,
}

/// What Claude is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The error.
    pub report: &'a ErrorReport,
    /// The addon to mend, then what it depends on.
    pub addons: &'a [Addon],
    /// The series.
    pub version: &'a OdooVersion,
    /// What the knowledge base has about it.
    pub related: &'a [Span],
    /// What was tried before and how it failed, oldest first.
    pub notes: &'a [String],
}

/// The most that one try of this question can cost, in US dollars: to be held against the budget before [`ask`] is called.
pub fn estimate(claude: &Claude, question: Question<'_>) -> f64 {
    claude.estimate(&request(question, Instant::now()))
}

/// Asks Claude for a fix of the first of the addons.
pub async fn ask(claude: &Claude, question: Question<'_>, deadline: Instant) -> Result<Asked, ClaudeError> {
    let Question { report, addons, .. } = question;
    let Some(addon) = addons.first() else {
        let diagnosis = diagnosis(report, &report.title, "there are no sources of an addon to look at");
        return Ok(Asked { proposal: None, diagnosis, cost: Cost::default(), refused: Vec::new() });
    };
    let reply = claude.complete(&request(question, deadline)).await?;
    let answer: Answer = serde_json::from_value(reply.json).map_err(|error| ClaudeError::Unreadable {
        problem: format!("it does not fit the schema: {error}"),
        request_id: reply.request_id,
        cost: reply.cost,
    })?;
    Ok(judged(report, addon, &answer, reply.cost))
}

fn request<'a>(question: Question<'_>, deadline: Instant) -> Request<'a> {
    Request { system: SYSTEM, user: prompt::question(question), schema: &SCHEMA, max_tokens: None, deadline }
}

fn judged(report: &ErrorReport, addon: &Addon, answer: &Answer, cost: Cost) -> Asked {
    let (patch, refused) = match (answer.fixable, edits::to_patch(addon, &answer.edits)) {
        (false, _) => (None, Vec::new()),
        (true, Ok(patch)) => (Some(patch), Vec::new()),
        (true, Err(refused)) => (None, refused),
    };
    let summary = words(&answer.summary);
    let why_not_fixed = match (&patch, refused.is_empty()) {
        (Some(_), _) => "a fix was offered; its proof decides".to_owned(),
        (None, true) => format!("Claude sees no edit of {} that mends it: {summary}", addon.name()),
        (None, false) => format!("the fix that Claude offered is not allowed: {}", refused.join("; ")),
    };
    let diagnosis = diagnosis(report, &words(&answer.cause), &why_not_fixed);
    Asked { proposal: patch.map(|patch| Proposal { patch, summary }), diagnosis, cost, refused }
}

fn diagnosis(report: &ErrorReport, cause: &str, why_not_fixed: &str) -> Diagnosis {
    Diagnosis { cause: cause.to_owned(), location: report.location.clone(), suspects: Vec::new(), why_not_fixed: why_not_fixed.to_owned() }
}

/// Claude has read hostile text, so its words are cleaned like that text before a person sees them.
fn words(text: &str) -> String {
    prompt::visible(text).trim().chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests;
