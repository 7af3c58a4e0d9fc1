//! The loops that fetch. They survive everything, and take only what there is room for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{Worker, attempt, prerequisites, triage};
use crate::domain::JobKind;
use crate::queue::{Delivery, Pull};

/// How long one request for a message stays open at the server: a part of the time after which a delivery is made again. A worker that
/// stands still leaves its open request behind; a message that goes there waits for one `ack_wait`, and the one that it comes again as
/// must not meet the same request.
fn patience(worker: &Worker) -> Duration {
    (worker.app.config.queue.ack_wait / 5).clamp(Duration::from_secs(1), Duration::from_secs(10))
}

/// Pulls one kind of job, each on its own task, at most as many at once as the settings say.
pub async fn jobs(worker: Worker, kind: JobKind) {
    let mut pull = worker.app.queue.jobs(kind);
    let room = Arc::new(Semaphore::new(worker.app.config.worker.concurrency));
    let tasks = TaskTracker::new();
    loop {
        let permit = tokio::select! {
            permit = room.clone().acquire_owned() => permit,
            () = worker.stop.cancelled() => break,
        };
        tokio::select! {
            () = prerequisites::until_open(&worker, kind) => {}
            () = worker.stop.cancelled() => break,
        }
        let delivery = tokio::select! {
            delivery = next(&mut pull, patience(&worker)) => delivery,
            () = worker.stop.cancelled() => break,
        };
        let worker = worker.clone();
        tasks.spawn(async move {
            attempt::deliver(&worker, delivery).await;
            drop(permit);
        });
    }
    pull.close().await;
    tasks.close();
    tasks.wait().await;
}

/// Pulls raw events, one after the other: grouping is a matter of milliseconds.
pub async fn raw_events(worker: Worker) {
    let mut pull = worker.app.queue.raw_events();
    loop {
        tokio::select! {
            delivery = next(&mut pull, patience(&worker)) => triage::deliver(&worker, delivery).await,
            () = worker.stop.cancelled() => break,
        }
    }
    pull.close().await;
}

/// Waits for a message, through silence and outages alike. May be dropped without losing one.
async fn next(pull: &mut Pull, patience: Duration) -> Delivery {
    let mut broken = false;
    loop {
        match pull.next(patience).await {
            Ok(Some(delivery)) => return delivery,
            Ok(None) => broken = false,
            Err(error) => {
                // Said once an outage, not four times a second.
                if !broken {
                    tracing::warn!(%error, "nothing can be pulled; trying again until it can");
                }
                broken = true;
            }
        }
    }
}
