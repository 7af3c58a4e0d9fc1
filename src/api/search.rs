//! What is known, to be searched.

use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::Problem;
use super::ingest::read;
use crate::app::App;
use crate::knowledge::{Filters, Query, pack};

/// The largest request, in bytes: a log with its traceback.
const MAX_BODY: usize = 512 * 1024;
/// The most tokens that are packed.
const MAX_TOKENS: usize = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    text: String,
    #[serde(default)]
    filters: Filters,
    #[serde(default = "ten")]
    limit: usize,
    /// Answers as spans for a prompt, within so many tokens.
    pack: Option<usize>,
}

const fn ten() -> usize {
    10
}

/// `POST /v1/search`: `{"text": …, "filters": {…}, "limit": 10, "pack": 4000}`.
pub async fn search(caller: Caller, State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Json<Value>, Problem> {
    let body = read(&headers, body, MAX_BODY).await?;
    let Request { text, filters, limit, pack: tokens } = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!("the body must be {{\"text\": …, \"filters\": {{…}}, \"limit\": …, \"pack\": …}} as JSON: {error}"))
    })?;
    let started = Instant::now();
    let results = app.search(&caller.0, &Query { text, filters, limit }).await?;
    let took_ms = started.elapsed().as_secs_f64() * 1000.0;
    let mut answer = json!({ "took_ms": took_ms, "results": results });
    if let Some(tokens) = tokens {
        answer["spans"] = json!(pack(&results, tokens.min(MAX_TOKENS)));
    }
    Ok(Json(answer))
}
