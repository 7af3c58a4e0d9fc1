//! What a crash left undone: runs that were written but not published, containers that nobody owns.

use std::time::Duration;

use super::Worker;
use crate::app::App;
use crate::domain::Failure;
use crate::runs;

/// How old an unpublished run must be before it is taken for forgotten.
const AGE: Duration = Duration::from_secs(5);

/// Reconciles now and then.
pub async fn every(worker: Worker, period: Duration) {
    loop {
        if let Err(error) = reconcile(worker.app(), AGE).await {
            tracing::warn!(%error, "runs could not be reconciled");
        }
        match worker.app.sandbox.sweep().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "containers that nobody owned were removed"),
            Err(error) => tracing::debug!(%error, "no containers were swept"),
        }
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = worker.stop.cancelled() => return,
        }
    }
}

/// Publishes what was written at least `age` ago and never published. JetStream drops what it has already.
pub async fn reconcile(app: &App, age: Duration) -> Result<usize, Failure> {
    let forgotten = runs::unpublished(&app.db, age, 100).await?;
    for (job, traceparent) in &forgotten {
        // What the queue will never take is ended by this, so that it does not come up each time.
        let _ = app.publish(job, traceparent.as_deref()).await;
    }
    Ok(forgotten.len())
}
