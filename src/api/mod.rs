//! The HTTP door: `/v1` for programs, `/mcp` for Claude, `/healthz` and `/readyz` for whoever watches.
//!
//! It turns requests into calls of [`App`] and answers into JSON; it never touches a database or a queue itself.

mod approve;
mod auth;
mod error;
mod events;
mod groups;
mod health;
mod ingest;
mod jobs;
mod keys;
mod mcp;
mod routes;
mod search;
mod tickets;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, header};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::TraceLayer;

use self::routes::Routes;
use crate::app::App;
use crate::domain::Scope;

pub use self::routes::Route;

/// How long open connections may go on after the program was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Every route, with the scope that a caller's key needs for it.
fn routes() -> Routes {
    Routes::default()
        .post("/v1/ingest/odoo", Scope::Ingest, ingest::odoo)
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
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http())
        .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION, key]))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .with_state(app)
}

/// Serves on a listener until `shutdown` is done.
pub async fn serve(app: App, listener: TcpListener, shutdown: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    tracing::info!(%address, "the API listens");
    let stopping = CancellationToken::new();
    let told = stopping.clone();
    let served = axum::serve(listener, router(app)).with_graceful_shutdown(async move {
        shutdown.await;
        told.cancel();
    });
    tokio::select! {
        served = served => served?,
        // Whoever follows a run that has not begun would hold up the end of the program until it has.
        () = async { stopping.cancelled().await; tokio::time::sleep(GRACE).await } => tracing::info!("open connections are cut"),
    }
    Ok(())
}
