//! The HTTP door: `/v1` for programs, `/mcp` for Claude, `/healthz` and `/readyz` for whoever watches.
//!
//! It turns requests into calls of [`App`] and answers into JSON; it never touches a database or a queue itself.

mod approve;
mod auth;
mod body;
mod connections;
mod dead;
mod error;
mod events;
mod exchange;
mod groups;
mod health;
mod ingest;
mod jobs;
mod keys;
mod mcp;
mod routes;
mod search;
mod serve;
mod tickets;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, header};
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::TraceLayer;

use self::routes::Routes;
use crate::app::App;
use crate::domain::Scope;

pub use self::routes::Route;

pub use serve::serve;

/// Every route, with the scope that a caller's key needs for it.
fn routes() -> Routes {
    Routes::default()
        .post(exchange::INGEST, Scope::Ingest, ingest::odoo)
        .get("/v1/ingest/{event}", Scope::Read, ingest::event)
        .get("/v1/groups", Scope::Read, groups::list)
        .get("/v1/groups/{group}", Scope::Read, groups::group)
        .post("/v1/groups/{group}/split", Scope::Run, groups::split)
        .post("/v1/groups/{group}/state", Scope::Run, groups::state)
        .get("/v1/tickets", Scope::Read, tickets::list)
        .get("/v1/tickets/{ticket}", Scope::Read, tickets::ticket)
        .post("/v1/tickets/{ticket}/resolve", Scope::Run, tickets::resolve)
        .post("/v1/tickets/{ticket}/approve", Scope::Approve, approve::ticket)
        .post("/v1/jobs", Scope::Run, jobs::submit)
        .get("/v1/jobs/{run}", Scope::Read, jobs::status)
        .get("/v1/jobs/{run}/events", Scope::Read, events::follow)
        .post("/v1/jobs/{run}/approve", Scope::Approve, approve::run)
        .get("/v1/dead", Scope::Read, dead::list)
        .get("/v1/dead/{letter}", Scope::Read, dead::letter)
        .delete("/v1/dead/{letter}", Scope::Admin, dead::delete)
        .post("/v1/dead/{letter}/replay", Scope::Run, dead::replay)
        .post("/v1/search", Scope::Read, search::search)
        .get("/v1/definitions", Scope::Read, search::definitions)
        .get("/v1/keys", Scope::Admin, keys::list)
        .delete("/v1/keys/{key}", Scope::Admin, keys::revoke)
        .any("/mcp", Scope::Read, mcp::serve)
        .open("/healthz", health::alive)
        .open("/readyz", health::ready)
}

/// The routes as the documentation lists them.
pub fn route_table() -> Vec<Route> {
    routes().into_table()
}

/// Every route.
pub fn router(app: App) -> Router {
    let key = HeaderName::from_static(auth::KEY_HEADER);
    routes()
        .into_router()
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
