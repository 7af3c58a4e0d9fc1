//! What is known, to be searched.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

use super::auth::Caller;
use super::error::Problem;
use super::ingest::read;
use crate::app::{App, SearchAnswer, SearchRequest};

/// The largest request, in bytes: a log with its traceback.
const MAX_BODY: usize = 512 * 1024;

/// `POST /v1/search`: `{"text": …, "filters": {…}, "limit": 10, "pack": 4000}`.
pub async fn search(caller: Caller, State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Json<SearchAnswer>, Problem> {
    let body = read(&headers, body, MAX_BODY).await?;
    let request: SearchRequest = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!("the body must be {{\"text\": …, \"filters\": {{…}}, \"limit\": …, \"pack\": …}} as JSON: {error}"))
    })?;
    Ok(Json(app.answer(&caller.0, request).await?))
}
