//! The loops that fetch. They survive everything, and take only what there is room for.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{Worker, attempt, triage};
use crate::domain::JobKind;

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
        let delivery = tokio::select! {
            delivery = pull.next() => delivery,
            () = worker.stop.cancelled() => break,
        };
        let worker = worker.clone();
        tasks.spawn(async move {
            attempt::deliver(&worker, delivery).await;
            drop(permit);
        });
    }
    tasks.close();
    tasks.wait().await;
}

/// Pulls raw events, one after the other: grouping is a matter of milliseconds.
pub async fn raw_events(worker: Worker) {
    let mut pull = worker.app.queue.raw_events();
    loop {
        tokio::select! {
            delivery = pull.next() => triage::deliver(&worker, delivery).await,
            () = worker.stop.cancelled() => break,
        }
    }
}
