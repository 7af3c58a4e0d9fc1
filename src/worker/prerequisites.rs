//! What jobs cannot do without: while it is away they wait, and their attempts do not count.

use std::time::{Duration, Instant};

use super::Worker;
use crate::domain::{Breaker, Failure, FailureKind, JobKind, Prerequisite};
use crate::queue::Delivery;

/// How often it is looked whether a prerequisite is back, once its breaker lets a probe through.
const LOOK: Duration = Duration::from_millis(500);
/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(10);
/// How long a run waits at least for Claude.
const CLAUDE: Duration = Duration::from_secs(5);

/// The circuit breakers of what a worker can look for without doing a job. Claude has its own: to ask costs money.
#[derive(Debug)]
pub(super) struct Breakers {
    docker: Breaker,
}

impl Breakers {
    pub(super) fn new() -> Self {
        Self { docker: Breaker::new(1) }
    }
}

/// Whether no job of this kind can do its work now.
pub(super) fn is_closed_to(worker: &Worker, kind: JobKind) -> bool {
    kind.needs_sandbox() && worker.breakers.docker.is_open()
}

/// Waits while no job of this kind can do its work. Nothing is pulled meanwhile, so that it stays in the queue.
pub(super) async fn until_open(worker: &Worker, kind: JobKind) {
    while is_closed_to(worker, kind) {
        tokio::time::sleep(LOOK).await;
    }
}

/// How long a run must wait before its next attempt, because what it lacks is still away.
pub(super) fn must_wait(worker: &Worker, kind: JobKind, waits_for: Option<Prerequisite>) -> Option<Duration> {
    let docker = &worker.breakers.docker;
    if is_closed_to(worker, kind) || (waits_for == Some(Prerequisite::Docker) && docker.is_open()) {
        return Some(docker.remaining(Instant::now()).unwrap_or(LOOK).max(LOOK));
    }
    match waits_for {
        Some(Prerequisite::Claude) => worker.app.claude_away_for(),
        _ => None,
    }
}

/// How long to wait before the next attempt of a run that failed for lack of a prerequisite. `None`: it is there after all, so the
/// attempt counts like any other; a job that takes its engine down each time must not do so for ever.
pub(super) async fn is_away(worker: &Worker, lacking: Prerequisite, failure: &Failure, delivery: &Delivery) -> Option<Duration> {
    match lacking {
        Prerequisite::Docker => {
            let breaker = &worker.breakers.docker;
            if probe_docker(worker).await {
                return None;
            }
            breaker.failed(Instant::now(), None);
            Some(breaker.remaining(Instant::now()).unwrap_or(LOOK))
        }
        // Where the run stands is written in PostgreSQL, so that it must be back before the message is handed back.
        Prerequisite::Database => until_database(worker, delivery).await.then_some(LOOK),
        Prerequisite::Claude => {
            let asked = match failure.kind {
                FailureKind::Unavailable { retry_after } => retry_after,
                _ => None,
            };
            Some(CLAUDE.max(asked.unwrap_or_default()).max(worker.app.claude_away_for().unwrap_or_default()))
        }
        Prerequisite::Nats => None,
    }
}

/// Holds the delivery until PostgreSQL answers. `false`: the worker is to stop.
async fn until_database(worker: &Worker, delivery: &Delivery) -> bool {
    let patience = (worker.app.config.queue.ack_wait / 3).min(PROBE);
    loop {
        if tokio::time::timeout(patience, worker.app.db.ping()).await.is_ok_and(|answer| answer.is_ok()) {
            return true;
        }
        if worker.stop.is_cancelled() {
            return false;
        }
        if let Err(error) = delivery.progress().await {
            tracing::debug!(%error, "a heartbeat did not reach NATS");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Looks whether what is away is back.
pub(super) async fn watch(worker: Worker) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = worker.stop.cancelled() => return,
        }
        let breaker = &worker.breakers.docker;
        if !breaker.is_open() || breaker.admit(Instant::now()).is_err() {
            continue;
        }
        if probe_docker(&worker).await {
            tracing::info!("the Docker engine answers again; jobs that need it go on");
            breaker.succeeded();
        } else {
            breaker.failed(Instant::now(), None);
        }
    }
}

async fn probe_docker(worker: &Worker) -> bool {
    tokio::time::timeout(PROBE, worker.app.sandbox.ping()).await.is_ok_and(|answer| answer.is_ok())
}
