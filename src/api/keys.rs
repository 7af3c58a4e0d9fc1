//! The keys of a tenant: seen, and made worthless. They are made at the command line alone, so that no key can make one that may do more.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::Problem;
use crate::app::{App, KeyId};

/// `GET /v1/keys`: every key of the tenant, without its secret.
pub async fn list(caller: Caller, State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "keys": app.keys(&caller.0).await? })))
}

/// `DELETE /v1/keys/{key}`: the key, named by its id or its short id, is worthless at once.
pub async fn revoke(caller: Caller, State(app): State<App>, Path(key): Path<String>) -> Result<Json<Value>, Problem> {
    let revoked = app.revoke_key(&caller.0, &key, KeyId(caller.1)).await?;
    let revoked = revoked.ok_or_else(|| Problem::not_found("key that is not revoked"))?;
    Ok(Json(json!({ "revoked": revoked })))
}
