//! For whoever watches.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::Problem;
use crate::app::App;

/// `GET /healthz`: the process answers.
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /readyz`: PostgreSQL answers, and JetStream takes a message.
pub async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.ready().await?;
    Ok(Json(json!({ "status": "ready" })))
}
