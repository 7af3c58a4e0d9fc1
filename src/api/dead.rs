//! Dead letters: seen, tried again and dropped.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::Problem;
use crate::app::{Actor, App, DeadView};
use crate::ingest;

/// How many letters a page has if the request does not say.
const PAGE: usize = 50;

/// What the query of a list may hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    from: Option<u64>,
    limit: Option<usize>,
}

type Asked = Result<Query<Filter>, QueryRejection>;

/// `GET /v1/dead`: a page, the oldest first, without the messages.
pub async fn list(caller: Caller, State(app): State<App>, filter: Asked) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::bad_request(error.body_text()))?;
    let page = app.dead_letters(Some(&caller.0), filter.from.unwrap_or(1), filter.limit.unwrap_or(PAGE)).await?;
    Ok(Json(json!(page)))
}

/// `GET /v1/dead/{id}`: the reason, and the message with its secrets masked.
pub async fn letter(caller: Caller, State(app): State<App>, Path(letter): Path<String>) -> Result<Json<Value>, Problem> {
    let found = app.dead_letter(Some(&caller.0), id(&letter)?).await?.ok_or_else(missing)?;
    Ok(Json(whole(&found)))
}

/// `POST /v1/dead/{id}/replay`: tries it again, as another run where the first one failed.
pub async fn replay(caller: Caller, State(app): State<App>, Path(letter): Path<String>) -> Result<(StatusCode, Json<Value>), Problem> {
    let replayed = app.replay_dead_letter(Some(&caller.0), id(&letter)?, Actor::Key(caller.1)).await?.ok_or_else(missing)?;
    Ok((StatusCode::ACCEPTED, Json(json!(replayed))))
}

/// `DELETE /v1/dead/{id}`: deletes it for good.
pub async fn delete(caller: Caller, State(app): State<App>, Path(letter): Path<String>) -> Result<StatusCode, Problem> {
    let dropped = app.drop_dead_letter(Some(&caller.0), id(&letter)?, Actor::Key(caller.1)).await?;
    if dropped { Ok(StatusCode::NO_CONTENT) } else { Err(missing()) }
}

fn whole(letter: &DeadView) -> Value {
    let mut shown = json!(letter);
    shown["message"] = json!(ingest::shown(&letter.message));
    shown
}

/// What is no number names no letter either.
fn id(text: &str) -> Result<u64, Problem> {
    text.parse().ok().filter(|id| *id > 0).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::not_found("dead letter")
}
