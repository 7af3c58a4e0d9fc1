//! The HTTP door: `/v1` for programs, `/mcp` for Claude, `/healthz` and `/readyz` for whoever watches.
//!
//! It turns requests into calls of [`App`] and answers into JSON; it never touches a database or a queue itself.

mod auth;
mod dead;
mod error;
mod events;
mod groups;
mod health;
mod ingest;
mod jobs;
mod mcp;
mod search;
mod tickets;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, header};
use axum::routing::{any, get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::TraceLayer;

use crate::app::App;

/// How long open connections may go on after the program was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Every route.
pub fn router(app: App) -> Router {
    let key = HeaderName::from_static(auth::KEY_HEADER);
    Router::new()
        .route("/v1/ingest/odoo", post(ingest::odoo))
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
        .route("/v1/dead", get(dead::list))
        .route("/v1/dead/{letter}", get(dead::letter).delete(dead::delete))
        .route("/v1/dead/{letter}/replay", post(dead::replay))
        .route("/v1/search", post(search::search))
        .route("/v1/definitions", get(search::definitions))
        .route("/mcp", any(mcp::serve))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
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
