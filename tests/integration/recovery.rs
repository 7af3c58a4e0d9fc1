//! Bad luck: a worker that dies in the middle, one that comes back late, a shutdown.

use std::process::{Child, Stdio};
use std::time::Duration;

use futures::StreamExt;
use odoo_agent::domain::{Job, JobKind, RunId, RunState};
use odoo_agent::queue::StreamName;
use serde_json::json;

use crate::support::{self, TestApp};

fn worker(test: &TestApp) -> Child {
    test.command(&["work"]).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
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
    let filters = std::collections::HashMap::from([("label".to_owned(), vec![format!("odoo-agent.run={run}")])]);
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    docker.list_containers(Some(options)).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_worker_is_followed_by_another() {
    let addons = support::addons(&["p_tree"]);
    let test = support::app(&[addons.path()], |config| config.queue.ack_wait = Duration::from_secs(5)).await;
    let job = submit(&test).await;
    let mut first = worker(&test);
    step(&test, &job, "reproduce").await;
    assert_eq!(containers(job.run_id).await, 1, "the sandbox runs");
    first.kill().unwrap();
    first.wait().unwrap();

    let mut second = worker(&test);
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
    second.kill().unwrap();
    second.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_worker_hands_its_job_back() {
    let addons = support::addons(&["p_tree"]);
    let test = support::app(&[addons.path()], |_| {}).await;
    let job = submit(&test).await;
    let mut first = worker(&test);
    step(&test, &job, "picked_up").await;
    let pid = nix::unistd::Pid::from_raw(first.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || first.wait().unwrap()).await.unwrap();
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
