//! Bad luck: a worker that dies in the middle, one that comes back late, a shutdown.

use std::process::{Child, Stdio};
use std::time::Duration;

use futures::StreamExt;
use odoo_agent::domain::{Job, JobKind, RunId, RunState};
use odoo_agent::queue::StreamName;
use serde_json::json;

use crate::support::{self, TestApp};

/// A worker in a process of its own, which no failing test leaves behind.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn worker(test: &TestApp) -> Process {
    Process(test.command(&["work"]).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap())
}

async fn submit(test: &TestApp) -> Job {
    let payload = json!({ "log": support::log_of("p_tree") });
    let job = Job { run_id: RunId::generate(), tenant: support::tenant("acme"), kind: JobKind::DebugError, payload };
    test.app.submit(&job, None).await.unwrap();
    job
}

/// Waits for a step of the run.
async fn step(test: &TestApp, job: &Job, name: &str) {
    let mut steps = Box::pin(test.app.follow(&job.tenant, job.run_id, None).await.unwrap());
    let seen = async { while steps.next().await.unwrap().unwrap().1.step != name {} };
    tokio::time::timeout(Duration::from_secs(300), seen).await.unwrap_or_else(|_| panic!("no step {name}"));
}

async fn containers(run: RunId) -> usize {
    let docker = bollard::Docker::connect_with_local_defaults().unwrap().negotiate_version().await.unwrap();
    let filters = std::collections::HashMap::from([("name".to_owned(), vec![format!("odoo-agent.run-{run}.")])]);
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    docker.list_containers(Some(options)).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_worker_is_followed_by_another() {
    let addons = support::addons(&["p_tree"]);
    let test = support::app(&[addons.path()], |config| config.queue.ack_wait = Duration::from_secs(5)).await;
    let job = submit(&test).await;
    let first = worker(&test);
    step(&test, &job, "reproduce").await;
    assert_eq!(containers(job.run_id).await, 1, "the sandbox runs");
    drop(first);

    let second = worker(&test);
    step(&test, &job, "done").await;
    let view = test.app.run(&job.tenant, job.run_id).await.unwrap().unwrap();
    assert_eq!((view.state, view.attempts), (RunState::Done, 2));
    assert_eq!(view.result.unwrap()["outcome"], "fixed");
    assert_eq!(containers(job.run_id).await, 0, "no container is left behind");
    let mut tx = test.app.db.tenant(&job.tenant).await.unwrap();
    let lessons: i64 = sqlx::query_scalar("select count(*) from tenant_knowledge").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(lessons, 1, "one effect");
    drop(tx);
    support::until("the message to be acknowledged", async || {
        (test.app.queue.depth(StreamName::Jobs).await.unwrap().messages == 0).then_some(())
    })
    .await;
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_worker_hands_its_job_back() {
    let addons = support::addons(&["p_tree"]);
    let test = support::app(&[addons.path()], |_| {}).await;
    let job = submit(&test).await;
    let mut first = worker(&test);
    step(&test, &job, "picked_up").await;
    let pid = nix::unistd::Pid::from_raw(first.0.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || first.0.wait().unwrap()).await.unwrap();
    assert!(ended.success(), "a drained worker ends well");
    let view = test.app.run(&job.tenant, job.run_id).await.unwrap().unwrap();
    assert_ne!(view.state, RunState::Running, "the run is finished or handed back");
    assert_eq!(containers(job.run_id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_attempt_is_fenced() {
    let test = support::app(&[], |_| {}).await;
    let payload = json!({ "log": support::log_of("p_tree") });
    let job = Job { run_id: RunId::generate(), tenant: support::tenant("acme"), kind: JobKind::DebugError, payload };
    test.app.submit(&job, None).await.unwrap();
    let claim = async |name: &str, lease: Duration| match odoo_agent::runs::claim(&test.app.db, &job, name, lease).await.unwrap() {
        odoo_agent::runs::Claim::Granted { token, .. } => token,
        other => panic!("{other:?}"),
    };
    let late = claim("one", Duration::ZERO).await;
    let current = claim("two", Duration::from_secs(60)).await;
    let outcome = odoo_agent::domain::Outcome { result: json!({ "outcome": "ticket" }), effects: Vec::new(), next: Vec::new() };
    let refused = test.app.settle(&job, late, &outcome).await.unwrap_err();
    assert_eq!(refused.kind, odoo_agent::domain::FailureKind::Fenced);
    test.app.settle(&job, current, &outcome).await.unwrap();
    assert_eq!(test.app.run(&job.tenant, job.run_id).await.unwrap().unwrap().state, RunState::Done);
}

fn job_for(tenant: &str) -> Job {
    let payload = json!({ "log": support::log_of("p_tree") });
    Job { run_id: RunId::generate(), tenant: support::tenant(tenant), kind: JobKind::DebugError, payload }
}

/// A worker in this process, until the drop.
fn work_here(test: &TestApp) -> tokio_util::sync::DropGuard {
    let stop = tokio_util::sync::CancellationToken::new();
    let (worker, stopped) = (odoo_agent::worker::Worker::new(test.app.clone()), stop.clone());
    tokio::spawn(async move { worker.run(stopped.cancelled_owned()).await });
    stop.drop_guard()
}

async fn dead_letters(test: &TestApp, count: usize) -> Vec<odoo_agent::queue::DeadLetter> {
    support::until("the dead letters", async || {
        let letters = test.app.queue.dead_letters(1, 10).await.unwrap();
        (letters.len() >= count).then_some(letters)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_kills_its_workers_is_given_up() {
    let test = support::app(&[], |_| {}).await;
    let job = job_for("acme");
    test.app.submit(&job, None).await.unwrap();
    for _ in 0..job.kind.max_attempts() {
        // A worker that takes it and is never heard of again.
        odoo_agent::runs::claim(&test.app.db, &job, "gone", Duration::ZERO).await.unwrap();
    }
    let _worker = work_here(&test);
    let letters = dead_letters(&test, 1).await;
    assert!(letters[0].reason.contains("cut off"), "{}", letters[0].reason);
    let view = support::until("the run to end", async || {
        let view = test.app.run(&job.tenant, job.run_id).await.unwrap().unwrap();
        view.state.is_final().then_some(view)
    })
    .await;
    assert_eq!(view.state, RunState::Failed);
    assert!(view.result.unwrap()["ticket"]["id"].is_string(), "what is given up is a ticket for a person");
}

/// A run id means something for its tenant alone: whoever uses another's, also one that can be guessed, keeps nobody out.
#[tokio::test(flavor = "multi_thread")]
async fn run_id_of_another_tenant_is_no_way_in() {
    let test = support::app(&[], |_| {}).await;
    let job = job_for("acme");
    let job = Job { kind: JobKind::SearchKnowledge, payload: json!({ "text": "a tree is a list" }), ..job };
    // The squatter is first, in the stream too: the server remembers ids for all subjects of a stream together.
    let other = Job { tenant: support::tenant("other"), ..job.clone() };
    test.app.queue.publish_job(&other, None).await.unwrap();
    assert!(!test.app.submit(&job, None).await.unwrap().duplicate);
    let _worker = work_here(&test);
    for job in [&job, &other] {
        let view = support::until("both runs to end", async || {
            test.app.run(&job.tenant, job.run_id).await.unwrap().filter(|view| view.state.is_final())
        })
        .await;
        assert_eq!(view.state, RunState::Done, "{:?}", view.error);
    }
    assert!(test.app.queue.dead_letters(1, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn job_too_large_for_the_queue_is_refused_once() {
    let test = support::app(&[], |_| {}).await;
    let job = Job { payload: json!({ "log": "é".repeat(4 * 1024 * 1024 - 100) }), ..job_for("acme") };
    let refused = test.app.submit(&job, None).await.unwrap_err();
    assert_eq!(refused.kind, odoo_agent::domain::FailureKind::BadInput);
    assert_eq!(test.app.run(&job.tenant, job.run_id).await.unwrap().unwrap().state, RunState::Failed);
    assert_eq!(odoo_agent::worker::reconcile(&test.app, Duration::ZERO).await.unwrap(), 0, "it does not come up again");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_fix_leaves_nothing_behind() {
    let addons = support::addons(&["p_tree"]);
    let test = support::app(&[], |_| {}).await;
    let log = support::fixture("logs/p_tree.log");
    let args = ["fix", "--json", "--log", log.to_str().unwrap(), "--addons", addons.path().to_str().unwrap()];
    let child = test.command(&args).spawn().unwrap();
    let tenant = support::tenant("default");
    let run = support::until("the sandbox to run", async || {
        let mut tx = test.app.db.tenant(&tenant).await.unwrap();
        let run: Option<uuid::Uuid> = sqlx::query_scalar("select id from runs").fetch_optional(tx.conn()).await.unwrap();
        let run = RunId(run?);
        (containers(run).await == 1).then_some(run)
    })
    .await;
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    // The engine may still be at it when the program has ended.
    support::until("the container to be gone", async || (containers(run).await == 0).then_some(())).await;
    assert_eq!(test.app.run(&tenant, run).await.unwrap().unwrap().state, RunState::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn fenced_attempt_leaves_the_container_of_the_next_one() {
    let addons = support::addons(&["p_tree"]);
    let test = support::app(&[addons.path()], |config| config.queue.ack_wait = Duration::from_secs(5)).await;
    let job = job_for("acme");
    let claim = async |name: &str, lease: Duration| match odoo_agent::runs::claim(&test.app.db, &job, name, lease).await.unwrap() {
        odoo_agent::runs::Claim::Granted { token, attempt } => (token, attempt),
        other => panic!("{other:?}"),
    };
    let (late, number) = claim("one", Duration::from_millis(1)).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (worker, first) = (odoo_agent::worker::Worker::new(test.app.clone()), job.clone());
    let attempt = tokio::spawn(async move { odoo_agent::worker::execute(&worker, &first, late, number, None, || async {}).await });
    support::until("the first sandbox", async || (containers(job.run_id).await == 1).then_some(())).await;
    claim("two", Duration::from_secs(60)).await;
    let owner = odoo_agent::sandbox::Owner {
        run: job.run_id,
        tenant: job.tenant.clone(),
        instance: "two".to_owned(),
        deadline: chrono::Utc::now() + Duration::from_secs(600),
    };
    let sandbox = test.app.sandbox.open(&"19.0".parse().unwrap(), &owner).await.unwrap();
    let failure = attempt.await.unwrap().unwrap_err();
    assert_eq!(failure.kind, odoo_agent::domain::FailureKind::Fenced, "{failure}");
    support::until("its own container to be gone", async || (containers(job.run_id).await <= 1).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(containers(job.run_id).await, 1, "the other's container runs on");
    sandbox.close().await.unwrap();
}
