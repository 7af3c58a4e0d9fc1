//! A search as doors and jobs take it, and the answer as they give it.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{BadQuery, Filters, Hit, Knowledge, Query, Span, pack};
use crate::db::DbError;
use crate::domain::{Failure, TenantId};

/// The most tokens that are packed.
pub const MAX_TOKENS: usize = 100_000;

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

impl Knowledge {
    /// Checks a request and answers it.
    pub async fn answer(&self, tenant: &TenantId, request: Request) -> Result<Answer, NoAnswer> {
        let Request { text, filters, limit, pack: tokens } = request;
        let query = Query { text, filters, limit };
        query.check()?;
        let started = Instant::now();
        let results = self.search(tenant, &query).await?;
        let took_ms = started.elapsed().as_secs_f64() * 1000.0;
        let spans = tokens.map(|tokens| pack(&results, tokens.min(MAX_TOKENS)));
        Ok(Answer { took_ms, results, spans })
    }
}
