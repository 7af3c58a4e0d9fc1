//! Groups of errors: seen, and put right by hand.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::Problem;
use super::ingest::read;
use crate::app::{App, GroupFilter, GroupState};
use crate::domain::{Fingerprint, GroupId, Submitter};

/// The largest request about a group, in bytes.
const MAX_BODY: usize = 4 * 1024;

type Asked = Result<Query<GroupFilter>, QueryRejection>;

/// `GET /v1/groups`: a page, the last seen first.
pub async fn list(caller: Caller, State(app): State<App>, filter: Asked) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(Json(json!(app.groups(&caller.0, &filter).await?)))
}

/// `GET /v1/groups/{group}`: how often, since when, in which releases, under which fingerprints, and the newest run.
pub async fn group(caller: Caller, State(app): State<App>, Path(group): Path<String>) -> Result<Json<Value>, Problem> {
    let found = app.group(&caller.0, id(&group)?).await?.ok_or_else(|| Problem::not_found("group"))?;
    Ok(Json(json!(found)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitRequest {
    fingerprint: Fingerprint,
}

/// `POST /v1/groups/{group}/split`: a fingerprint becomes a group of its own, which is the answer.
pub async fn split(
    caller: Caller,
    State(app): State<App>,
    Path(group): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let from = id(&group)?;
    let request: SplitRequest = request(&headers, body, "{\"fingerprint\": …}").await?;
    let own = app.split_group(&caller.0, from, &request.fingerprint, Submitter::Key(caller.1)).await?;
    let own = own.ok_or_else(|| Problem::not_found("group, or it does not have this fingerprint"))?;
    let place = format!("/v1/groups/{}", own.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(json!(own))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateRequest {
    state: GroupState,
}

/// `POST /v1/groups/{group}/state`: ignored, fixed by hand, or open again.
pub async fn state(
    caller: Caller,
    State(app): State<App>,
    Path(group): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let group = id(&group)?;
    let request: StateRequest = request(&headers, body, "{\"state\": \"open\", \"fixed\" or \"ignored\"}").await?;
    let found = app.set_group_state(&caller.0, group, request.state).await?.ok_or_else(|| Problem::not_found("group"))?;
    Ok(Json(json!(found)))
}

/// What is no id names no group either.
fn id(text: &str) -> Result<GroupId, Problem> {
    text.parse().map_err(|_| Problem::not_found("group"))
}

async fn request<T: DeserializeOwned>(headers: &HeaderMap, body: Body, form: &str) -> Result<T, Problem> {
    let body = read(headers, body, MAX_BODY).await?;
    serde_json::from_slice(&body).map_err(|error| Problem::bad_request(format!("the body must be {form} as JSON: {error}")))
}
