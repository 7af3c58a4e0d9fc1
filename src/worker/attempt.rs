//! One delivery of one job, seen to its end: claim, heartbeat, deadline, panic, verdict, acknowledgement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use serde_json::Value;
use tracing::Instrument;

use super::Worker;
use crate::domain::{Failure, FailureKind, Job, Outcome, Progress, RunId, TenantId, Verdict};
use crate::jobs::{self, Ctx};
use crate::queue::{Delivery, envelope};
use crate::runs::{self, AttemptToken, Claim};
use crate::tenants::{self, Ledger};

/// Where the steps of a run are told besides the event stream.
pub type Told = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Sees one delivery to its end. Never fails: whatever happens becomes an acknowledgement of one kind or another.
pub async fn deliver(worker: &Worker, delivery: Delivery) {
    let (job, traceparent) = match envelope::decode(&delivery.subject, &delivery.payload) {
        Ok(decoded) => decoded,
        Err(error) => return bury(worker, &delivery, &error.to_string()).await,
    };
    let span = tracing::info_span!("job", run = %job.run_id, kind = %job.kind, tenant = %job.tenant);
    if let Some(traceparent) = &traceparent {
        crate::telemetry::set_parent(&span, traceparent);
    }
    async {
        let acknowledged = match accept(worker, &job, traceparent.as_deref()).await {
            Ok(()) => attempt(worker, &job, &delivery).await,
            Err(failure) if failure.kind == FailureKind::BadInput => {
                bury(worker, &delivery, &failure.to_string()).await;
                Ok(())
            }
            Err(failure) => {
                tracing::warn!(%failure, "the run could not be looked up; the message is handed back");
                delivery.nak(Duration::from_secs(5)).await
            }
        };
        if let Err(error) = acknowledged {
            tracing::warn!(%error, "the acknowledgement failed; the message will come again, and the run's row will tell that it is done");
        }
    }
    .instrument(span)
    .await;
}

/// A producer that publishes straight to NATS gets the same row and the same checks as one that comes over HTTP.
async fn accept(worker: &Worker, job: &Job, traceparent: Option<&str>) -> Result<(), Failure> {
    if !tenants::exists(&worker.app.db, &job.tenant).await? {
        return Err(Failure::bad_input(format!("there is no tenant {}", job.tenant)));
    }
    crate::app::App::check(job.kind, &job.payload)?;
    let mut tx = worker.app.db.tenant(&job.tenant).await?;
    runs::insert(&mut tx, job, traceparent, None).await?;
    tx.commit().await?;
    runs::mark_published(&worker.app.db, &job.tenant, job.run_id).await?;
    Ok(())
}

async fn attempt(worker: &Worker, job: &Job, delivery: &Delivery) -> Result<(), crate::queue::QueueError> {
    let (token, number) = match runs::claim(&worker.app.db, job, &worker.instance, lease(worker)).await {
        Ok(Claim::Granted { token, attempt }) => (token, attempt),
        Ok(Claim::Finished) => return delivery.ack().await,
        Ok(Claim::Held { for_ }) => return delivery.nak(for_.max(Duration::from_millis(200))).await,
        Err(error) => {
            tracing::warn!(%error, "the run could not be claimed");
            return delivery.nak(Duration::from_secs(5)).await;
        }
    };
    let beat = || async {
        if let Err(error) = delivery.progress().await {
            tracing::warn!(%error, "a heartbeat did not reach NATS");
        }
    };
    let failure = match execute(worker, job, token, number, None, beat).await {
        Ok(_) => return delivery.ack().await,
        Err(failure) => failure,
    };
    match failure.verdict(job.kind, number, rand::random()) {
        Verdict::LetGo => {
            tracing::info!(%failure, "another attempt holds the run");
            Ok(())
        }
        Verdict::Retry(wait) => {
            tracing::warn!(%failure, attempt = number, wait_ms = wait.as_millis() as u64, "the attempt failed and will be made again");
            let counts = failure.kind != FailureKind::Draining;
            if let Err(error) = runs::release(&worker.app.db, &job.tenant, job.run_id, token, counts).await {
                tracing::warn!(%error, "the run could not be released; its lease will run out");
            }
            delivery.nak(wait).await
        }
        Verdict::GiveUp => {
            tracing::error!(%failure, attempt = number, "the run is given up");
            give_up(worker, job, token, delivery, &failure.to_string()).await
        }
    }
}

/// The dead letter first, then the row, then the message: a crash in between repeats a step, and each is done once.
async fn give_up(worker: &Worker, job: &Job, token: AttemptToken, delivery: &Delivery, why: &str) -> Result<(), crate::queue::QueueError> {
    let attempts = u32::try_from(delivery.deliveries).unwrap_or(u32::MAX);
    worker.app.queue.dead_letter(delivery, why, attempts).await?;
    match worker.app.give_up(job, token, why).await {
        Err(error) if error.kind == FailureKind::Fenced => return Ok(()),
        Err(error) => {
            tracing::warn!(%error, "the end of the run could not be written");
            return delivery.nak(Duration::from_secs(5)).await;
        }
        Ok(()) => {}
    }
    delivery.term().await
}

/// A message that no run can be made of goes to the dead letters, whole.
async fn bury(worker: &Worker, delivery: &Delivery, why: &str) {
    tracing::error!(subject = delivery.subject, why, "the message is no job; it goes to the dead letters");
    let buried = async {
        worker.app.queue.dead_letter(delivery, why, 1).await?;
        delivery.term().await
    };
    if let Err(error) = buried.await {
        tracing::warn!(%error, "the dead letter could not be written; the message will come again");
    }
}

fn lease(worker: &Worker) -> Duration {
    // A little shorter than the time after which JetStream delivers again, so that the second delivery is granted the run.
    worker.app.config.queue.ack_wait.mul_f64(0.9)
}

/// Runs the handler of a claimed run and settles its outcome, with a heartbeat, a deadline and a net under panics.
/// `beat` is called as often as the lease is renewed.
pub async fn execute<B, F>(
    worker: &Worker,
    job: &Job,
    token: AttemptToken,
    number: u32,
    told: Option<Told>,
    beat: B,
) -> Result<Value, Failure>
where
    B: Fn() -> F,
    F: Future<Output = ()>,
{
    if let Some(outcome) = runs::kept_outcome(&worker.app.db, &job.tenant, job.run_id).await? {
        return worker.app.settle(job, token, &outcome).await;
    }
    if job.kind.needs_sandbox() {
        // What an attempt that died left behind. The engine may be away; opening a sandbox will say so.
        let _ = worker.app.sandbox.remove_run(job.run_id).await;
    }
    let ctx = context(worker, job, number, told);
    (ctx.progress)(Progress::new("picked_up", format!("attempt {number} by worker {}", worker.instance)));
    let handler = tokio::spawn({
        let (ctx, job) = (ctx.clone(), job.clone());
        async move { jobs::run(&ctx, &job).await }.in_current_span()
    });
    let abort = handler.abort_handle();
    let outcome = tokio::select! {
        ended = handler => ended.unwrap_or_else(|error| Err(Failure::bug(anyhow::anyhow!("the handler panicked: {error}")))),
        lost = keep(worker, job, token, beat) => Err(lost),
        () = tokio::time::sleep_until(ctx.deadline.into()) => {
            Err(Failure::new(FailureKind::Deadline, anyhow::anyhow!("the job's time of {} s is up", job.kind.deadline().as_secs())))
        }
        () = worker.abort.cancelled() => Err(Failure::new(FailureKind::Draining, anyhow::anyhow!("the worker is stopping"))),
    };
    match outcome {
        Ok(outcome) => settle(worker, job, token, &outcome).await,
        Err(failure) => {
            abort.abort();
            if job.kind.needs_sandbox() {
                // A handler that was cut off could not close its container.
                let _ = worker.app.sandbox.remove_run(job.run_id).await;
            }
            Err(failure)
        }
    }
}

/// A panic while settling must not take the loop down either.
async fn settle(worker: &Worker, job: &Job, token: AttemptToken, outcome: &Outcome) -> Result<Value, Failure> {
    std::panic::AssertUnwindSafe(worker.app.settle(job, token, outcome))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(Failure::bug(anyhow::anyhow!("settling the run panicked"))))
}

/// Renews the lease and the delivery until the run is lost to another attempt.
async fn keep<B, F>(worker: &Worker, job: &Job, token: AttemptToken, beat: B) -> Failure
where
    B: Fn() -> F,
    F: Future<Output = ()>,
{
    let lease = lease(worker);
    loop {
        tokio::time::sleep(lease / 3).await;
        beat().await;
        match runs::extend(&worker.app.db, &job.tenant, job.run_id, token, lease).await {
            Ok(true) => {}
            Ok(false) => return Failure::new(FailureKind::Fenced, anyhow::anyhow!("another attempt has taken over the run")),
            Err(error) => tracing::warn!(%error, "the lease could not be renewed"),
        }
    }
}

fn context(worker: &Worker, job: &Job, number: u32, told: Option<Told>) -> Ctx {
    let app = &worker.app;
    let settings = app.settings(&job.tenant);
    Ctx {
        tenant: job.tenant.clone(),
        run: job.run_id,
        ledger: Ledger::new(app.db.clone(), job.tenant.clone(), job.run_id, number, &settings),
        settings,
        knowledge: app.knowledge.clone(),
        claude: app.claude.clone(),
        sandbox: app.sandbox.clone(),
        instance: worker.instance.to_string(),
        deadline: Instant::now() + job.kind.deadline(),
        progress: teller(worker, &job.tenant, job.run_id, told),
    }
}

/// Steps are told in order by one task, so that a handler never waits for NATS.
fn teller(worker: &Worker, tenant: &TenantId, run: RunId, told: Option<Told>) -> Arc<dyn Fn(Progress) + Send + Sync> {
    let (sender, mut steps) = tokio::sync::mpsc::unbounded_channel::<Progress>();
    let (app, tenant) = (worker.app.clone(), tenant.clone());
    tokio::spawn(async move {
        while let Some(step) = steps.recv().await {
            app.tell(&tenant, run, &step).await;
        }
    });
    Arc::new(move |step| {
        tracing::info!(step = step.step, "{}", step.message);
        if let Some(told) = &told {
            told(&step);
        }
        // The receiver lives as long as this sender; a closed channel means the runtime is going down.
        let _ = sender.send(step);
    })
}
