//! What a crash or a lost disk left undone: runs that were written but not published, runs whose message is gone, runs of commands that were
//! killed, messages that no consumer takes, containers that nobody owns.

use std::time::Duration;

use super::Worker;
use crate::app::App;
use crate::domain::Failure;
use crate::queue::Expected;
use crate::runs;

/// How old an unpublished run must be before it is taken for forgotten.
const AGE: Duration = Duration::from_secs(5);
/// How long nobody may have looked for the message of a run before it is looked for.
const UNSEEN_FOR: Duration = Duration::from_secs(20);
/// The most runs that one round looks at.
const MOST: u32 = 200;

/// Reconciles now and then.
pub async fn every(worker: Worker, period: Duration) {
    loop {
        if let Err(error) = reconcile(worker.app(), AGE).await {
            tracing::warn!(%error, "runs could not be reconciled");
        }
        if let Err(error) = recover(worker.app(), UNSEEN_FOR).await {
            tracing::warn!(%error, "it could not be seen whether the messages of waiting runs are there");
        }
        match worker.app.queue.bury_unclaimed().await {
            Ok(0) => {}
            Ok(buried) => tracing::warn!(buried, "messages that no consumer takes went to the dead letters"),
            Err(error) => tracing::warn!(%error, "messages that no consumer takes could not be looked for"),
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

/// Publishes runs again whose message is gone, and ends those of commands that were killed; only runs that nobody has looked at for this
/// long. Returns how many were published or ended. A second delivery of a run does no harm: only one attempt is granted at a time.
pub async fn recover(app: &App, unseen_for: Duration) -> Result<usize, Failure> {
    let mut recovered = 0;
    let mut expected = Vec::new();
    for waiting in runs::waiting(&app.db, unseen_for, MOST).await? {
        if waiting.in_process {
            recovered += usize::from(app.end_abandoned(&waiting.tenant, waiting.run).await?);
        } else if let Some(place) = runs::look_for_message(&app.db, &waiting).await? {
            expected.push(Expected { run: place.run, tenant: place.tenant, kind: place.kind, sequence: place.sequence });
        }
    }
    for gone in app.queue.missing_jobs(expected).await? {
        tracing::warn!(run = %gone.run, tenant = %gone.tenant, "the message of a run is gone; publishing it again");
        recovered += usize::from(app.republish(&gone.tenant, gone.run, gone.sequence).await?);
    }
    Ok(recovered)
}
