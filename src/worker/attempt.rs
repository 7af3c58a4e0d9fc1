//! One delivery of one job, seen to its end: claim, heartbeat, deadline, panic, verdict, acknowledgement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::{Worker, hopeless, prerequisites};
use crate::domain::{Authority, Failure, FailureKind, Job, Outcome, Prerequisite, Progress, RunId, TenantId, Verdict};
use crate::ingest;
use crate::jobs::{self, Ctx};
use crate::queue::{Delivery, QueueError, envelope};
use crate::runs::{self, AttemptToken, Claim};
use crate::tenants::{self, Ledger};

/// Where the steps of a run are told besides the event stream.
pub type Told = Arc<dyn Fn(&Progress) + Send + Sync>;

type Tell = Arc<dyn Fn(Progress) + Send + Sync>;

/// How long an attempt waits for its handler to be gone, and for its last steps to be told.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a run may wait for something that is away before its attempts count: with the longest waits most of a day.
const MAX_WAITS: u32 = 200;

/// Sees one delivery to its end. Never fails: whatever happens becomes an acknowledgement of one kind or another.
pub async fn deliver(worker: &Worker, delivery: Delivery) {
    let (job, traceparent) = match envelope::decode(&delivery.subject, &delivery.payload) {
        // A producer that publishes straight to NATS has masked nothing.
        Ok((job, traceparent)) => (Job { payload: ingest::masked(job.payload), ..job }, traceparent),
        Err(error) => return bury(worker, &delivery, &error.to_string()).await,
    };
    let span = tracing::info_span!("job", run = %job.run_id, kind = %job.kind, tenant = %job.tenant);
    if let Some(traceparent) = &traceparent {
        crate::telemetry::set_parent(&span, traceparent);
    }
    async {
        let acknowledged = match accept(worker, &job, &delivery, traceparent.as_deref()).await {
            Ok((job, waits_for)) => match prerequisites::must_wait(worker, job.kind, waits_for) {
                Some(wait) => delivery.nak(wait).await,
                None => attempt(worker, &job, &delivery).await,
            },
            Err(failure) => turn_down(worker, &job, &delivery, failure).await,
        };
        if let Err(error) = acknowledged {
            tracing::warn!(%error, "the acknowledgement failed; the message will come again, and the run's row will tell that it is done");
        }
    }
    .instrument(span)
    .await;
}

/// A producer that publishes straight to NATS gets the same row and the same checks as one that comes over HTTP. Returns what is to be done: of a
/// run that has a row, what the row says, for its message may be anybody's., and what the run waits for.
async fn accept(worker: &Worker, job: &Job, delivery: &Delivery, traceparent: Option<&str>) -> Result<(Job, Option<Prerequisite>), Failure> {
    if !tenants::exists(&worker.app.db, &job.tenant).await? {
        return Err(Failure::bad_input(format!("there is no tenant {}", job.tenant)));
    }
    crate::app::App::check(job.kind, &job.payload)?;
    let job = Job { payload: ingest::recompute_fingerprint(job.payload.clone()), ..job.clone() };
    let arrived = runs::arrived(&worker.app.db, &job, traceparent, delivery.sequence).await?;
    if arrived.is_new {
        return Ok((job, None));
    }
    match runs::get(&worker.app.db, &job.tenant, job.run_id).await? {
        Some(view) if view.kind == job.kind.as_str() => Ok((Job { payload: view.payload, ..job }, arrived.waits_for)),
        Some(view) => Err(Failure::bad_input(format!("the run {} is a job of the kind {}, not {}", job.run_id, view.kind, job.kind))),
        None => Ok((job, arrived.waits_for)),
    }
}

/// No attempt can be made. What is only away is waited for; what will never be a run is not delivered for ever.
async fn turn_down(worker: &Worker, job: &Job, delivery: &Delivery, failure: Failure) -> Result<(), QueueError> {
    if !hopeless(&failure, delivery.deliveries) {
        tracing::warn!(%failure, "the run could not be looked up; the message is handed back");
        return delivery.nak(Duration::from_secs(5)).await;
    }
    let why = failure.to_string();
    bury(worker, delivery, &why).await;
    // If the message had a row, that row waits for nothing now.
    if let Err(error) = worker.app.refuse(job, &why).await {
        tracing::warn!(%error, "the end of the run could not be written");
    }
    Ok(())
}

async fn attempt(worker: &Worker, job: &Job, delivery: &Delivery) -> Result<(), QueueError> {
    let (token, number) = match runs::claim(&worker.app.db, job, &worker.instance, lease(worker)).await {
        Ok(Claim::Granted { token, attempt }) => (token, attempt),
        Ok(Claim::Finished) => return delivery.ack().await,
        Ok(Claim::Held { for_ }) => return delivery.nak(for_.max(Duration::from_millis(200))).await,
        Err(error) => return turn_down(worker, job, delivery, error.into()).await,
    };
    if number > job.kind.max_attempts() && !worker.app.has_outcome(job).await {
        // An attempt that ends with its process hands nothing back, so nobody has judged those before; a job that takes its worker down
        // each time must not do so for ever.
        let why = format!("{} attempts were cut off without a word: their worker died or lost its connections", number - 1);
        tracing::error!(why, "the run is given up");
        return give_up(worker, job, token, number - 1, delivery, Failure::bug(anyhow::anyhow!(why))).await;
    }
    let beat = || async {
        if let Err(error) = delivery.progress().await {
            tracing::warn!(%error, "a heartbeat did not reach NATS");
        }
    };
    let failure = match execute(worker, job, token, number, None, beat).await {
        Ok(_) => return delivery.ack().await,
        Err(failure) => failure,
    };
    if let Some(wait) = hold(worker, job, token, &failure, delivery).await {
        return delivery.nak(wait).await;
    }
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
            give_up(worker, job, token, number, delivery, failure).await
        }
    }
}

/// Lets a run wait for what it lacks; the attempt does not count. Returns how long. `None`: nothing is away, or the run has waited so often
/// that it is to be judged.
async fn hold(worker: &Worker, job: &Job, token: AttemptToken, failure: &Failure, delivery: &Delivery) -> Option<Duration> {
    let lacking = failure.prerequisite?;
    let wait = prerequisites::is_away(worker, lacking, failure, delivery).await?;
    match runs::hold(&worker.app.db, &job.tenant, job.run_id, token, lacking, MAX_WAITS).await {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => {
            tracing::warn!(%error, "it could not be written down that the run waits; its lease will run out");
            return None;
        }
    }
    tracing::warn!(%failure, lacking = lacking.as_str(), wait_ms = wait.as_millis() as u64, "the run waits for what is away");
    let said = format!("{} is away: {failure}. The run waits, and the attempt does not count", lacking.as_str());
    worker.app.tell(&job.tenant, job.run_id, &Progress::new("waiting", said)).await;
    Some(wait)
}

/// The dead letter first, then the row, then the message: a crash in between repeats a step, and each is done once.
async fn give_up(
    worker: &Worker,
    job: &Job,
    token: AttemptToken,
    attempts: u32,
    delivery: &Delivery,
    failure: Failure,
) -> Result<(), QueueError> {
    if let Ok(false) = runs::extend(&worker.app.db, &job.tenant, job.run_id, token, lease(worker)).await {
        tracing::info!("another attempt holds the run; it is not this one's to give up");
        return Ok(());
    }
    worker.app.queue.dead_letter(delivery, &failure.to_string(), attempts).await?;
    match worker.app.give_up(job, token, &failure).await {
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
        let _ = worker.app.sandbox.remove_run(job.run_id, &job.tenant).await;
    }
    let waits = runs::waits(&worker.app.db, &job.tenant, job.run_id).await?;
    // Whoever watches a run wants its end now; a run in the queue waits for Claude if Claude is away.
    let is_patient = told.is_none() && waits < MAX_WAITS;
    let (progress, telling) = teller(worker, &job.tenant, job.run_id, told);
    let authority = authority(worker, job).await?;
    // An attempt that did not count is one all the same for whoever is paid.
    let ctx = context(worker, job, number + waits, authority, is_patient, progress);
    let deadline = ctx.deadline;
    (ctx.progress)(Progress::new("picked_up", format!("attempt {number} by worker {}", worker.instance)));
    // Aborted on every way out of here, also when this future is dropped.
    let mut handler = AbortOnDropHandle::new(tokio::spawn({
        let job = job.clone();
        async move { jobs::run(&ctx, &job).await }.in_current_span()
    }));
    let outcome = tokio::select! {
        ended = &mut handler => ended.unwrap_or_else(|error| Err(Failure::bug(anyhow::anyhow!("the handler panicked: {error}")))),
        lost = keep(worker, job, token, beat) => Err(lost),
        () = tokio::time::sleep_until(deadline.into()) => {
            Err(Failure::new(FailureKind::Deadline, anyhow::anyhow!("the job's time of {} s is up", job.kind.deadline().as_secs())))
        }
        () = worker.abort.cancelled() => Err(Failure::new(FailureKind::Draining, anyhow::anyhow!("the worker is stopping"))),
    };
    if !handler.is_finished() {
        handler.abort();
        let _ = tokio::time::timeout(PATIENCE, &mut handler).await;
    }
    // The last step of a run is told by whoever ends it, and must not overtake those before.
    let _ = tokio::time::timeout(PATIENCE, telling).await;
    match outcome {
        Ok(outcome) => settle(worker, job, token, &outcome).await,
        Err(failure) => {
            // A handler that was cut off could not close its container. If the run is another attempt's by now, so is what has its label:
            // then the container that was ours goes as its owner is dropped.
            if job.kind.needs_sandbox() && failure.kind != FailureKind::Fenced {
                let _ = worker.app.sandbox.remove_run(job.run_id, &job.tenant).await;
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

async fn authority(worker: &Worker, job: &Job) -> Result<Authority, Failure> {
    let mut tx = worker.app.db.tenant(&job.tenant).await?;
    Ok(runs::authority(&mut tx, job).await?)
}

fn context(worker: &Worker, job: &Job, number: u32, authority: Authority, is_patient: bool, progress: Tell) -> Ctx {
    let app = &worker.app;
    let settings = app.settings(&job.tenant);
    let ledger = Ledger::new(app.db.clone(), job.tenant.clone(), job.run_id, number, &settings);
    Ctx {
        tenant: job.tenant.clone(),
        run: job.run_id,
        authority,
        settings,
        knowledge: app.knowledge.clone().paid_by(jobs::purse(ledger.clone())),
        ledger,
        sources: app.sources.clone(),
        claude: app.claude.clone(),
        is_patient,
        sandbox: app.sandbox.clone(),
        instance: worker.instance.to_string(),
        deadline: Instant::now() + job.kind.deadline(),
        progress,
    }
}

/// Steps are told in order by one task, so that a handler never waits for NATS.
/// The task ends when the handler is gone and all is told.
fn teller(worker: &Worker, tenant: &TenantId, run: RunId, told: Option<Told>) -> (Tell, JoinHandle<()>) {
    let (sender, mut steps) = tokio::sync::mpsc::unbounded_channel::<Progress>();
    let (app, tenant) = (worker.app.clone(), tenant.clone());
    let telling = tokio::spawn(async move {
        while let Some(step) = steps.recv().await {
            app.tell(&tenant, run, &step).await;
        }
    });
    let tell = Arc::new(move |step: Progress| {
        tracing::info!(step = step.step, "{}", step.message);
        if let Some(told) = &told {
            told(&step);
        }
        // The receiver lives as long as this sender; a closed channel means the runtime is going down.
        let _ = sender.send(step);
    });
    (tell, telling)
}
