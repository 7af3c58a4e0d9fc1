//! The tools for Claude, behind the same keys.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;

use super::auth::Caller;
use super::error::Problem;
use super::ingest::read;
use crate::app::App;
use crate::mcp;

/// `/mcp`: MCP as streamable HTTP. The key of each request says whose it is; nothing is kept for the next.
pub async fn serve(caller: Caller, State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = read(&parts.headers, body, mcp::MAX_BODY).await?;
    Ok(mcp::over_http(app, caller.0, caller.2, Request::from_parts(parts, Body::from(body))).await)
}
