//! The HTTP door: `/v1` for programs, `/mcp` for Claude, `/healthz` and `/readyz` for whoever watches.
//!
//! It turns requests into calls of [`App`] and answers into JSON; it never touches a database or a queue itself.

mod auth;
mod body;
mod connections;
mod error;
mod events;
mod exchange;
mod groups;
mod health;
mod ingest;
mod jobs;
mod mcp;
mod search;
mod serve;
mod tickets;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::TraceLayer;

use crate::app::App;

pub use serve::serve;

/// Every route.
pub fn router(app: App) -> Router {
    let key = HeaderName::from_static(auth::KEY_HEADER);
    Router::new()
        .route(exchange::INGEST, post(ingest::odoo))
        .route("/v1/ingest/{event}", get(ingest::event))
        .route("/v1/groups", get(groups::list))
        .route("/v1/groups/{group}", get(groups::group))
        .route("/v1/groups/{group}/split", post(groups::split))
        .route("/v1/groups/{group}/state", post(groups::state))
        .route("/v1/tickets", get(tickets::list))
        .route("/v1/tickets/{ticket}", get(tickets::ticket))
        .route("/v1/tickets/{ticket}/resolve", post(tickets::resolve))
        .route("/v1/jobs", post(jobs::submit))
        .route("/v1/jobs/{run}", get(jobs::status))
        .route("/v1/jobs/{run}/events", get(events::follow))
        .route("/v1/search", post(search::search))
        .route("/v1/definitions", get(search::definitions))
        .route("/mcp", any(mcp::serve))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        // Bodies are read by the handlers, each against its own limit.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(body::Bodies::new(app.clone()), body::within_bounds))
        // Limits hold for what comes out of it.
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .layer(from_fn(body::hear_out))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http())
        .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION, key]))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .with_state(app)
}
