//! Raw events in, and what became of them.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::BodyFault;
use super::error::Problem;
use crate::app::App;
use crate::domain::{EventId, InvalidId, Release};
use crate::ingest::{self, IngestError};

/// The header that names what was running; `?release=` does too.
const RELEASE_HEADER: &str = "x-odoo-release";
/// The header for the id that the sender gives to an event.
const EVENT_HEADER: &str = "x-odoo-event-id";

/// What the query of an ingest may hold. Shippers add parameters of their own, so others are let through.
#[derive(Deserialize)]
pub struct Query {
    release: Option<String>,
}

/// `POST /v1/ingest/odoo`: log text, JSON lines or a JSON array. 202 means stored.
pub async fn odoo(
    caller: Caller,
    State(app): State<App>,
    query: Result<axum::extract::Query<Query>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let query = query.map_err(|error| Problem::bad_request(error.body_text()))?.0;
    let release = release(&query, &headers)?;
    let body = read(&headers, body, ingest::MAX_BODY).await?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (format, parts) = ingest::parts(content_type, &body)?;
    let format = format.to_string();
    let events = match name(&headers)? {
        Some(name) => app.ingest_named(&caller.0, &name, &format, parts, release.as_ref()).await?.ok_or_else(Problem::reused_key)?,
        None => app.ingest(&caller.0, &format, parts, release.as_ref()).await?,
    };
    Ok((StatusCode::ACCEPTED, Json(json!({ "events": events }))))
}

/// The name that the sender gives to the request, so that it can be sent again: a key of its own, or the id of the event that it tells of.
fn name(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    match (idempotency_key(headers)?, headers.get(EVENT_HEADER)) {
        (Some(_), Some(_)) => Err(Problem::bad_request("send Idempotency-Key or X-Odoo-Event-Id, not both")),
        (Some(key), None) => Ok(Some(format!("key/{key}"))),
        (None, Some(event)) => {
            let event: Option<EventId> = event.to_str().ok().and_then(|event| event.trim().parse().ok());
            let event = event.ok_or_else(|| Problem::bad_request("X-Odoo-Event-Id must be a UUID"))?;
            Ok(Some(format!("event/{event}")))
        }
        (None, None) => Ok(None),
    }
}

/// The `Idempotency-Key` of a request.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    key.map(Some).ok_or_else(|| Problem::bad_request("Idempotency-Key must be 1 to 255 visible ASCII characters"))
}

/// The release that the request names. An empty one is none: that is what a shipper sends whose variable is not set.
fn release(query: &Query, headers: &HeaderMap) -> Result<Option<Release>, Problem> {
    let in_header = match headers.get(RELEASE_HEADER) {
        Some(value) => Some(value.to_str().map_err(|_| Problem::bad_request("X-Odoo-Release must be visible ASCII characters"))?),
        None => None,
    };
    let named = query.release.as_deref().or(in_header).map(str::trim).filter(|release| !release.is_empty());
    named.map(str::parse).transpose().map_err(|error: InvalidId| Problem::bad_request(error.to_string()))
}

/// `GET /v1/ingest/{event}`: pending until triage has read it, then the groups and runs that it led to.
pub async fn event(caller: Caller, State(app): State<App>, Path(event): Path<String>) -> Result<Json<Value>, Problem> {
    let event: EventId = event.parse().map_err(|_| Problem::not_found("event"))?;
    let errors = app.event(&caller.0, event).await?;
    let state = if errors.is_empty() { "pending" } else { "read" };
    Ok(Json(json!({ "event": event, "state": state, "errors": errors })))
}

/// Reads a body up to `limit` bytes; a length that is announced to be more is refused before it is sent.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::too_large(format!("at most {limit} bytes; send a long log in several requests"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(fault) = inner.downcast_ref::<BodyFault>() {
                return fault.into();
            }
            if inner.to_string().contains("length limit exceeded") {
                return too_large();
            }
            cause = inner.source();
        }
        Problem::bad_request("the body ended early, or is not what Content-Encoding says")
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
