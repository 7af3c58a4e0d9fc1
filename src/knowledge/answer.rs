//! A search as doors and jobs take it, and the answer as they give it.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{BadQuery, Filters, Hit, Knowledge, Query, Span, pack};
use crate::db::DbError;
use crate::domain::{Failure, TenantId};

/// The most tokens that are packed.
pub const MAX_TOKENS: usize = 100_000;

/// The bytes of the longest text of a request.
const MAX_TEXT: usize = 512 * 1024;

/// What is looked for, and in which form the answer is wanted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// A traceback, a message, a question, what a module does; or several of them.
    pub text: String,
    /// What an answer must be.
    #[serde(default)]
    pub filters: Filters,
    /// The most answers.
    #[serde(default = "ten")]
    pub limit: usize,
    /// Answers also as spans for a prompt, within so many tokens.
    pub pack: Option<usize>,
}

const fn ten() -> usize {
    10
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// The answers, best first.
    pub results: Arc<Vec<Hit>>,
    /// The same for a prompt, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spans: Option<Vec<Span>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The request is wrong.
    #[error(transparent)]
    Query(#[from] BadQuery),
    /// The database does not answer.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<NoAnswer> for Failure {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Query(error) => Self::bad_input(error.to_string()),
            NoAnswer::Db(error) => error.into(),
        }
    }
}

impl Request {
    /// Returns the query and the tokens of its spans. Every door takes the same and says the same of anything else.
    pub fn checked(self) -> Result<(Query, Option<usize>), BadQuery> {
        let Self { text, filters, limit, pack } = self;
        if text.len() > MAX_TEXT {
            return Err(BadQuery::Field("text", format!("at most {MAX_TEXT} bytes; of a log send the end")));
        }
        if pack.is_some_and(|tokens| !(1..=MAX_TOKENS).contains(&tokens)) {
            return Err(BadQuery::Field("pack", format!("use 1 to {MAX_TOKENS}")));
        }
        // A NUL separates words and cannot be stored.
        let text = if text.contains('\0') { text.replace('\0', " ") } else { text };
        let query = Query { text, filters, limit };
        query.check()?;
        Ok((query, pack))
    }
}

impl Knowledge {
    /// Checks a request and answers it.
    pub async fn answer(&self, tenant: &TenantId, request: Request) -> Result<Answer, NoAnswer> {
        let (query, tokens) = request.checked()?;
        let started = Instant::now();
        let results = self.search(tenant, &query).await?;
        let took_ms = started.elapsed().as_secs_f64() * 1000.0;
        let spans = tokens.map(|tokens| pack(&results, tokens));
        Ok(Answer { took_ms, results, spans })
    }
}
