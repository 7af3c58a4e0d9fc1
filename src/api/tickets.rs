//! Tickets: seen, and resolved by a person.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::Problem;
use super::ingest::read;
use crate::app::{App, Resolution, TicketFilter};
use crate::domain::TicketId;

/// The largest resolution with its correction, in bytes: as a text of JSON a diff takes more.
const MAX_BODY: usize = 4 * 1024 * 1024;

type Asked = Result<Query<TicketFilter>, QueryRejection>;

/// `GET /v1/tickets`: a page, the newest first.
pub async fn list(caller: Caller, State(app): State<App>, filter: Asked) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(Json(json!(app.tickets(&caller.0, &filter).await?)))
}

/// `GET /v1/tickets/{ticket}`: what it says, the evidence, and what a person said to it.
pub async fn ticket(caller: Caller, State(app): State<App>, Path(ticket): Path<String>) -> Result<Json<Value>, Problem> {
    let found = app.ticket(&caller.0, id(&ticket)?).await?.ok_or_else(|| Problem::not_found("ticket"))?;
    Ok(Json(json!(found)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveRequest {
    resolution: String,
    correction: Option<String>,
}

/// `POST /v1/tickets/{ticket}/resolve`: what mended it, known from then on.
pub async fn resolve(
    caller: Caller,
    State(app): State<App>,
    Path(ticket): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let ticket = id(&ticket)?;
    let body = read(&headers, body, MAX_BODY).await?;
    let request: ResolveRequest = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!(
            "the body must be {{\"resolution\": …, \"correction\": a unified diff, if there is one}} as JSON: {error}"
        ))
    })?;
    let said = Resolution::new(&request.resolution, request.correction.as_deref());
    let said = said.map_err(|error| Problem::bad_request(error.to_string()))?;
    let found = app.resolve_ticket(&caller.0, ticket, &said, Some(caller.1)).await?.ok_or_else(|| Problem::not_found("ticket"))?;
    Ok(Json(json!(found)))
}

/// What is no id names no ticket either.
fn id(text: &str) -> Result<TicketId, Problem> {
    text.parse().map_err(|_| Problem::not_found("ticket"))
}
