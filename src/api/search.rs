//! What is known, to be searched; and what is defined where.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::Problem;
use super::ingest::read;
use crate::app::{App, DefinitionQuestion, SearchAnswer, SearchRequest};

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

/// `GET /v1/definitions?kind=view&name=sale.view_order_form&version=19.0`: every place that defines or extends it, in the order of Odoo.
pub async fn definitions(
    caller: Caller,
    State(app): State<App>,
    question: Result<Query<DefinitionQuestion>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(question) = question.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(Json(json!({ "definitions": app.defined(&caller.0, &question).await? })))
}
