//! Pulls jobs and raw events, and sees each to its end.
//!
//! The worker owns acknowledgement; it never decides what a job means (`jobs`) or whether a failure may be retried (`domain::Failure`).

mod attempt;
mod prerequisites;
mod pull;
mod reconcile;
mod triage;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::domain::{Failure, FailureKind, JobKind};

pub use attempt::{Told, execute};
pub use reconcile::{reconcile, recover};
pub use triage::{Arrival, triage};

/// How long running jobs may go on after the program was told to stop.
const GRACE: Duration = Duration::from_secs(20);

/// How often what runs left behind is embedded.
const EMBED_EVERY: Duration = Duration::from_secs(30);

/// After how many deliveries a message that meets a fault of ours each time is given up. Outages do not count: they end.
const MAX_FAULTS: u64 = 20;

/// Whether delivering the message once more cannot help.
fn hopeless(failure: &Failure, deliveries: u64) -> bool {
    failure.kind == FailureKind::BadInput || (failure.kind == FailureKind::Bug && deliveries >= MAX_FAULTS)
}

/// A worker of one process.
#[derive(Clone)]
pub struct Worker {
    app: App,
    /// Unique for each start of a process, so that a restarted one is never taken for the one that died.
    instance: Arc<str>,
    /// Stop taking new work.
    stop: CancellationToken,
    /// Hand back what is still running.
    abort: CancellationToken,
    /// What is away.
    breakers: Arc<prerequisites::Breakers>,
}

impl Worker {
    /// A worker over these adapters.
    pub fn new(app: App) -> Self {
        let instance = format!("{}-{}", std::process::id(), uuid::Uuid::now_v7().simple());
        Self {
            app,
            instance: instance.into(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            breakers: Arc::new(prerequisites::Breakers::new()),
        }
    }

    /// The adapters.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Cuts off what runs now: every attempt under way ends with `FailureKind::Draining`, its container removed.
    pub fn hand_back(&self) {
        self.abort.cancel();
    }

    /// Works until `shutdown` is done, then drains: takes nothing new, lets what runs go on for a while, hands the rest back.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let tasks = TaskTracker::new();
        for kind in JobKind::ALL {
            tasks.spawn(pull::jobs(self.clone(), *kind));
        }
        tasks.spawn(pull::raw_events(self.clone()));
        tasks.spawn(reconcile::every(self.clone(), Duration::from_secs(10)));
        tasks.spawn(prerequisites::watch(self.clone()));
        tasks.spawn(keep_warm(self.clone()));
        tasks.spawn(keep_embedded(self.clone()));
        tasks.close();
        shutdown.await;
        tracing::info!("draining: no new work is taken");
        self.stop.cancel();
        if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
            tracing::info!("handing back what still runs");
            self.abort.cancel();
            tasks.wait().await;
        }
    }
}

/// Embeds what runs leave behind: not in the transaction that ends a run, which nothing slow may hold up.
async fn keep_embedded(worker: Worker) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EMBED_EVERY) => {}
            () = worker.stop.cancelled() => return,
        }
        if let Err(error) = worker.app.embed_outcomes().await {
            tracing::warn!(%error, "what runs left behind was not embedded; it is found by its words");
        }
    }
}

/// Keeps sandboxes waiting for the series that the tenants have.
async fn keep_warm(worker: Worker) {
    let series: BTreeSet<_> = worker.app.config.tenants.values().map(|settings| settings.odoo_version.clone()).collect();
    let series: Vec<_> = series.into_iter().collect();
    worker.app.sandbox.keep_warm(&series, worker.stop.cancelled()).await;
}
