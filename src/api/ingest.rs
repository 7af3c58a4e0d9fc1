//! Raw events in, and what became of them.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::Problem;
use crate::app::App;
use crate::domain::{EventId, GroupId};
use crate::ingest::{self, IngestError};

/// `POST /v1/ingest/odoo`: log text, JSON lines or a JSON array. 202 means stored.
pub async fn odoo(caller: Caller, State(app): State<App>, headers: HeaderMap, body: Body) -> Result<impl IntoResponse, Problem> {
    let body = read(&headers, body, ingest::MAX_BODY).await?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (format, parts) = ingest::parts(content_type, &body)?;
    let events = app.ingest(&caller.0, &format.to_string(), parts).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "events": events }))))
}

/// `GET /v1/ingest/{event}`: pending until triage has read it, then the groups and runs that it led to.
pub async fn event(caller: Caller, State(app): State<App>, Path(event): Path<String>) -> Result<Json<Value>, Problem> {
    let event: EventId = event.parse().map_err(|_| Problem::not_found("event"))?;
    let errors = app.event(&caller.0, event).await?;
    let state = if errors.is_empty() { "pending" } else { "read" };
    Ok(Json(json!({ "event": event, "state": state, "errors": errors })))
}

/// `GET /v1/groups/{group}`: how often, since when, and the newest run.
pub async fn group(caller: Caller, State(app): State<App>, Path(group): Path<String>) -> Result<Json<Value>, Problem> {
    let group: GroupId = group.parse().map_err(|_| Problem::not_found("group"))?;
    let found = app.group(&caller.0, group).await?.ok_or_else(|| Problem::not_found("group"))?;
    Ok(Json(json!(found)))
}

/// Reads a body up to `limit` bytes; a length that is announced to be more is refused before it is sent.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::too_large(format!("at most {limit} bytes; send a long log in several requests"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(inner) = cause {
            if inner.to_string().contains("length limit exceeded") {
                return too_large();
            }
            cause = inner.source();
        }
        Problem::bad_request("the body ended early")
    })
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::TooLarge { .. } | IngestError::LineTooLong { .. } => Self::too_large(error.to_string()),
            IngestError::Binary { .. } | IngestError::ContentType(_) => Self::unsupported(error.to_string()),
            _ => Self::bad_request(error.to_string()),
        }
    }
}
