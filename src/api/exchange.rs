//! One request and its answer: who asks, what is used of the limits, and what is held until the answer is sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::connections::{Busy, Connection};
use super::error::Problem;
use crate::app::{Allowance, App, OverLimit, Standing, Use};
use crate::domain::TenantId;

/// The route for raw events.
pub(super) const INGEST: &str = "/v1/ingest/odoo";

/// One request and its answer. All clones are the same.
#[derive(Clone)]
pub(super) struct Exchange(Arc<Inner>);

struct Inner {
    ingest: bool,
    connection: Option<Connection>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    allowance: Option<Allowance>,
    tenant: Option<TenantId>,
    /// Room for its body, and its turn.
    permits: Vec<OwnedSemaphorePermit>,
    busy: Option<Busy>,
}

impl Exchange {
    pub(super) fn new(parts: &Parts) -> Self {
        let ingest = parts.method == Method::POST && parts.uri.path() == INGEST;
        let connection = parts.extensions.get::<Connection>().cloned();
        Self(Arc::new(Inner { ingest, connection, state: Mutex::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it brings raw events.
    pub(super) fn is_ingest(&self) -> bool {
        self.0.ingest
    }

    pub(super) fn allowance(&self) -> Option<Allowance> {
        self.state().allowance.clone()
    }

    pub(super) fn tenant(&self) -> Option<TenantId> {
        self.state().tenant.clone()
    }

    /// Holds this until the answer begins.
    pub(super) fn hold(&self, permit: OwnedSemaphorePermit) {
        self.state().permits.push(permit);
    }

    /// Gives back what only the work on the request needed, and returns what lasts until the answer is sent.
    pub(super) fn answered(&self) -> Option<Busy> {
        let mut state = self.state();
        state.permits.clear();
        state.busy.take()
    }

    fn counted(&self) -> Use {
        if self.0.ingest { Use::Ingests } else { Use::Requests }
    }

    /// Writes how the limits stand into the headers of an answer (draft-ietf-httpapi-ratelimit-headers).
    pub(super) fn tell_limits(&self, headers: &mut HeaderMap) {
        let Some(allowance) = self.allowance() else { return };
        let standing = [allowance.standing(self.counted()), allowance.standing(Use::Bytes)].concat();
        let list = |item: &dyn Fn(&Standing) -> String| standing.iter().map(item).collect::<Vec<_>>().join(", ");
        let policy = list(&|Standing { policy, quota, window, bytes, .. }| {
            let unit = if *bytes { ";qu=\"content-bytes\"" } else { "" };
            format!("\"{policy}\";q={quota};w={window}{unit}")
        });
        let now = list(&|Standing { policy, left, reset, .. }| format!("\"{policy}\";r={left};t={reset}"));
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", now)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// Lets a request of a caller whose key is valid in, or says when to come again. To be called once the key is known, before the body is read.
pub(super) async fn admit(parts: &Parts, app: &App, tenant: &TenantId, key: Uuid) -> Result<(), Problem> {
    let Some(exchange) = parts.extensions.get::<Exchange>() else { return Ok(()) };
    if let Some(connection) = &exchange.0.connection {
        let busy = connection.busy(tenant).ok_or(OverLimit { policy: "connections", retry_after: 1 })?;
        exchange.state().busy = Some(busy);
    }
    let allowance = app.limits.of(tenant, key);
    {
        let mut state = exchange.state();
        state.allowance = Some(allowance.clone());
        state.tenant = Some(tenant.clone());
    }
    allowance.take(exchange.counted(), 1, exchange.is_ingest()).await?;
    if !exchange.is_ingest() {
        exchange.hold(allowance.turn().await?);
    }
    Ok(())
}

impl From<OverLimit> for Problem {
    fn from(OverLimit { policy, retry_after }: OverLimit) -> Self {
        let detail = format!("the limit {policy:?} is reached; send the request again after {retry_after} seconds");
        Self::too_many(detail, retry_after)
    }
}
