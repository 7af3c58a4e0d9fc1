//! Jobs in, and how they stand.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::auth::Caller;
use super::error::Problem;
use super::ingest::{idempotency_key, read};
use crate::app::App;
use crate::domain::{Job, JobKind, RunId, Submitter, TenantId};
use crate::ingest;

/// The largest request for a job, in bytes.
const MAX_BODY: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    kind: String,
    payload: Value,
}

/// `POST /v1/jobs`: `{"kind": …, "payload": …}`. With an `Idempotency-Key` the same request again leads to the same run.
pub async fn submit(caller: Caller, State(app): State<App>, headers: HeaderMap, body: Body) -> Result<impl IntoResponse, Problem> {
    let body = read(&headers, body, MAX_BODY).await?;
    let request: Request = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("the body must be {{\"kind\": …, \"payload\": …}} as JSON: {error}")))?;
    let kind: JobKind = request.kind.parse().map_err(|error| Problem::bad_request(format!("{error}")))?;
    let key = idempotency_key(&headers)?;
    let run_id = key.map_or_else(RunId::generate, |key| keyed(&caller.0, kind, key));
    let payload = ingest::recompute_fingerprint(ingest::masked(request.payload));
    let job = Job { run_id, tenant: caller.0, kind, payload };
    let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok()).filter(|value| is_trace(value));
    let submitted = app.submit_as(&job, traceparent, Submitter::Key(caller.1)).await?;
    if submitted.duplicate {
        let first = app.run(&job.tenant, run_id).await?.ok_or_else(|| Problem::not_found("run"))?;
        if first.payload != job.payload {
            return Err(Problem::reused_key());
        }
    }
    let place = format!("/v1/jobs/{run_id}");
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(json!(submitted))))
}

/// Whether a `traceparent` may be kept: hexadecimal digits and dashes, which is all that it is made of.
fn is_trace(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// The same tenant, kind and key always name the same run, for as long as its row is kept.
fn keyed(tenant: &TenantId, kind: JobKind, key: &str) -> RunId {
    RunId(Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("odoo-agent:{tenant}/{kind}/{key}").as_bytes()))
}

/// `GET /v1/jobs/{run}`.
pub async fn status(caller: Caller, State(app): State<App>, Path(run): Path<String>) -> Result<Json<Value>, Problem> {
    let run: RunId = run.parse().map_err(|_| Problem::not_found("run"))?;
    let view = app.run(&caller.0, run).await?.ok_or_else(|| Problem::not_found("run"))?;
    Ok(Json(json!(view)))
}
