//! A person's word for a patch.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::Problem;
use super::ingest::read;
use crate::app::{App, Approved};
use crate::domain::{Approval, Approver, Loss, PatchDigest, RunId, Scope, TicketId};

/// The largest approval, in bytes: as many losses as a patch may have.
const MAX_BODY: usize = 512 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveRequest {
    digest: PatchDigest,
    losses: Option<Vec<Loss>>,
}

/// `POST /v1/jobs/{run}/approve`: the patch of the run is written, whatever its grade.
pub async fn run(
    caller: Caller,
    State(app): State<App>,
    Path(run): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let run: RunId = run.parse().map_err(|_| Problem::not_found("run"))?;
    let approval = approval(&caller, &headers, body).await?;
    answer("run", app.approve(&caller.0, run, &approval).await?)
}

/// `POST /v1/tickets/{ticket}/approve`: the same for the run that filed the ticket.
pub async fn ticket(
    caller: Caller,
    State(app): State<App>,
    Path(ticket): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let ticket: TicketId = ticket.parse().map_err(|_| Problem::not_found("ticket"))?;
    let approval = approval(&caller, &headers, body).await?;
    answer("ticket", app.approve_ticket(&caller.0, ticket, &approval).await?)
}

async fn approval(caller: &Caller, headers: &HeaderMap, body: Body) -> Result<Approval, Problem> {
    let by = Approver::from_key(caller.1, &caller.2).ok_or_else(|| Problem::forbidden(Scope::Approve, &caller.2))?;
    let body = read(headers, body, MAX_BODY).await?;
    let request: ApproveRequest = serde_json::from_slice(&body).map_err(|error| {
        let form = "{\"digest\": …, \"losses\": […]}, both as the result of the run has them";
        Problem::bad_request(format!("the body must be {form}, as JSON: {error}"))
    })?;
    Ok(Approval { by, digest: request.digest, losses: request.losses })
}

fn answer(what: &str, approved: Approved) -> Result<Json<Value>, Problem> {
    let told = |result: &Value, duplicate: bool| {
        let [run, applied, approved] = ["run_id", "applied", "approved"].map(|key| &result[key]);
        Ok(Json(json!({ "run_id": run, "applied": applied, "approved": approved, "duplicate": duplicate })))
    };
    match approved {
        Approved::Done(result) => told(&result, false),
        Approved::Before(result) => told(&result, true),
        Approved::Refused(why) => Err(Problem::conflict(why)),
        Approved::Missing => Err(Problem::not_found(what)),
    }
}
