//! Nothing accepted is lost and nothing is stuck: lost messages, dead letters, parts that are away, programs that are killed.

use std::process::{Child, Stdio};
use std::time::Duration;

use chrono::Utc;
use futures::StreamExt;
use odoo_agent::api;
use odoo_agent::domain::{EventId, Job, JobKind, Prerequisite, RunId, RunState};
use odoo_agent::ingest::Format;
use odoo_agent::queue::{Published, StreamName};
use odoo_agent::runs::{self, Claim, RunView};
use odoo_agent::tenants::keys;
use odoo_agent::worker::{self, Arrival, Worker};
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::claude::{FakeClaude, Script, Usage};
use crate::support::{self, TestApp};

/// A program that no failing test leaves behind.
struct Process(Child);

impl Process {
    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A worker in this process, until the drop.
fn work_here(test: &TestApp) -> DropGuard {
    let stop = CancellationToken::new();
    let (worker, stopped) = (Worker::new(test.app.clone()), stop.clone());
    tokio::spawn(async move { worker.run(stopped.cancelled_owned()).await });
    stop.drop_guard()
}

fn search(tenant: &str) -> Job {
    let payload = json!({ "text": format!("a tree is a list {}", uuid::Uuid::new_v4()) });
    Job { run_id: RunId::generate(), tenant: support::tenant(tenant), kind: JobKind::SearchKnowledge, payload }
}

fn debug(tenant: &str) -> Job {
    let payload = json!({ "log": support::log_of("p_tree") });
    Job { run_id: RunId::generate(), tenant: support::tenant(tenant), kind: JobKind::DebugError, payload }
}

async fn view(test: &TestApp, job: &Job) -> RunView {
    test.app.run(&job.tenant, job.run_id).await.unwrap().unwrap()
}

async fn ended(test: &TestApp, job: &Job) -> RunView {
    support::until("the run to end", async || Some(view(test, job).await).filter(|view| view.state.is_final())).await
}

/// What `NATS` does with a lost disk, as far as the jobs go.
async fn purge_jobs(test: &TestApp) {
    let js = async_nats::jetstream::new(support::nats_client().await);
    let name = format!("{}_JOBS", test.app.config.queue.prefix);
    js.get_stream(name).await.unwrap().purge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_whose_messages_are_gone_are_published_again() {
    let test = support::app(&[], |_| {}).await;
    let jobs: Vec<_> = (0..20).map(|n| search(if n % 2 == 0 { "acme" } else { "other" })).collect();
    for job in &jobs {
        test.app.submit(job, None).await.unwrap();
    }
    // One of them is held by a worker that is never heard of again.
    assert!(matches!(runs::claim(&test.app.db, &jobs[0], "gone", Duration::ZERO).await.unwrap(), Claim::Granted { .. }));
    assert_eq!(worker::recover(&test.app, Duration::ZERO).await.unwrap(), 0, "every message is there");
    purge_jobs(&test).await;
    assert_eq!(worker::recover(&test.app, Duration::from_secs(3600)).await.unwrap(), 0, "they were looked at a moment ago");
    assert_eq!(worker::recover(&test.app, Duration::ZERO).await.unwrap(), 20);
    assert_eq!(worker::recover(&test.app, Duration::ZERO).await.unwrap(), 0, "they are there again");
    assert_eq!(test.app.queue.depth(StreamName::Jobs).await.unwrap().messages, 20);
    // Gone a second time, within the time for which the server remembers ids.
    purge_jobs(&test).await;
    assert_eq!(worker::recover(&test.app, Duration::ZERO).await.unwrap(), 20);

    let _worker = work_here(&test);
    for job in &jobs {
        assert_eq!(ended(&test, job).await.state, RunState::Done);
    }
    assert_eq!(worker::recover(&test.app, Duration::ZERO).await.unwrap(), 0, "what has ended waits for nothing");
}

/// A stream that was made again counts from 1: a number that it has may be that of another message.
#[tokio::test(flavor = "multi_thread")]
async fn another_message_under_the_same_number_is_not_taken_for_it() {
    let test = support::app(&[], |_| {}).await;
    let (lost, other) = (search("acme"), search("other"));
    test.app.submit(&lost, None).await.unwrap();
    let js = async_nats::jetstream::new(support::nats_client().await);
    js.delete_stream(format!("{}_JOBS", test.app.config.queue.prefix)).await.unwrap();
    test.app.queue.ensure_topology().await.unwrap();
    test.app.submit(&other, None).await.unwrap();
    assert_eq!(worker::recover(&test.app, Duration::ZERO).await.unwrap(), 1);
    let _worker = work_here(&test);
    for job in [&lost, &other] {
        assert_eq!(ended(&test, job).await.state, RunState::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn second_delivery_of_a_run_has_no_effect() {
    let test = support::app(&[], |_| {}).await;
    let job = search("acme");
    test.app.submit(&job, None).await.unwrap();
    // Somebody takes a message for lost that is not.
    assert!(test.app.republish(&job.tenant, job.run_id, Some(77)).await.unwrap());
    assert_eq!(test.app.queue.depth(StreamName::Jobs).await.unwrap().messages, 2);
    let _worker = work_here(&test);
    assert_eq!(ended(&test, &job).await.attempts, 1);
    support::until("both messages to be acknowledged", async || {
        (test.app.queue.depth(StreamName::Jobs).await.unwrap().messages == 0).then_some(())
    })
    .await;
    assert_eq!(view(&test, &job).await.attempts, 1);
}

/// An API with a key for each of two tenants, stopped when dropped.
struct Door {
    url: String,
    keys: [String; 2],
    client: reqwest::Client,
    _stop: DropGuard,
}

async fn door(test: &TestApp) -> Door {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(api::serve(test.app.clone(), listener, stop.clone().cancelled_owned()));
    let key = async |tenant: &str| {
        let (_, key) = keys::create(&test.app.db, &support::tenant(tenant), "test").await.unwrap();
        key.expose_secret().to_owned()
    };
    let keys = [key("acme").await, key("other").await];
    Door { url, keys, client: reqwest::Client::new(), _stop: stop.drop_guard() }
}

impl Door {
    async fn ask(&self, who: usize, method: reqwest::Method, path: &str) -> (StatusCode, Value) {
        let answer = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.keys[who]).send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn ingest(&self, headers: &[(&'static str, &str)], body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}/v1/ingest/odoo", self.url)).bearer_auth(&self.keys[0]).body(body);
        let answer = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

async fn audited(test: &TestApp, tenant: &str) -> Vec<String> {
    let mut tx = test.app.db.tenant(&support::tenant(tenant)).await.unwrap();
    sqlx::query_scalar("select action from audit where action like 'dead.%' order by at").fetch_all(tx.conn()).await.unwrap()
}

/// A run that failed for lack of Docker, with its dead letter. Nothing works on it.
async fn given_up(test: &TestApp, job: &Job) {
    test.app.submit(job, None).await.unwrap();
    let delivery = test.app.queue.jobs(job.kind).next(Duration::from_secs(10)).await.unwrap().unwrap();
    let Claim::Granted { token, .. } = runs::claim(&test.app.db, job, "w", Duration::from_secs(60)).await.unwrap() else { panic!("held") };
    let failure = odoo_agent::domain::Failure::unavailable(std::io::Error::other("no socket")).lacking(Prerequisite::Docker);
    test.app.queue.dead_letter(&delivery, "no socket", 6).await.unwrap();
    test.app.give_up(job, token, &failure).await.unwrap();
    delivery.term().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_replayed_and_dropped_by_their_tenant() {
    use reqwest::Method;
    let test = support::app(&[], |_| {}).await;
    let door = door(&test).await;
    let (job, dropped) = (search("acme"), search("acme"));
    given_up(&test, &job).await;
    given_up(&test, &dropped).await;
    let (status, page) = door.ask(0, Method::GET, "/v1/dead?limit=1").await;
    assert_eq!(status, StatusCode::OK);
    let letter = &page["letters"][0];
    assert_eq!((&letter["run_id"], &letter["reason"], &letter["attempts"]), (&json!(job.run_id), &json!("no socket"), &json!(6)));
    assert!(page["next"].is_u64(), "{page}");
    let (id, other) = (letter["id"].as_u64().unwrap(), page["next"].as_u64().unwrap());
    let (_, shown) = door.ask(0, Method::GET, &format!("/v1/dead/{id}")).await;
    assert!(shown["message"].as_str().unwrap().contains("a tree is a list"), "{shown}");

    // Another tenant's are no different from none.
    assert_eq!(door.ask(1, Method::GET, "/v1/dead").await.1["letters"], json!([]));
    for (method, path) in [(Method::GET, ""), (Method::POST, "/replay"), (Method::DELETE, "")] {
        assert_eq!(door.ask(1, method, &format!("/v1/dead/{id}{path}")).await.0, StatusCode::NOT_FOUND);
    }
    for bad in ["0", "x", "-1", "99999999999999999999", "4711"] {
        assert_eq!(door.ask(0, Method::GET, &format!("/v1/dead/{bad}")).await.0, StatusCode::NOT_FOUND, "{bad}");
    }
    assert_eq!(door.ask(0, Method::GET, "/v1/dead?limit=0").await.0, StatusCode::BAD_REQUEST);

    let (status, replayed) = door.ask(0, Method::POST, &format!("/v1/dead/{id}/replay")).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{replayed}");
    let again = Job { run_id: serde_json::from_value(replayed["run_id"].clone()).unwrap(), ..job.clone() };
    assert_ne!(again.run_id, job.run_id);
    assert_eq!(door.ask(0, Method::POST, &format!("/v1/dead/{id}/replay")).await.0, StatusCode::NOT_FOUND, "it is gone");
    assert_eq!(door.ask(0, Method::DELETE, &format!("/v1/dead/{other}")).await.0, StatusCode::NO_CONTENT);
    assert_eq!(door.ask(0, Method::GET, "/v1/dead").await.1["letters"], json!([]));
    assert_eq!(audited(&test, "acme").await, ["dead.replayed", "dead.dropped"]);

    let _worker = work_here(&test);
    let done = ended(&test, &again).await;
    assert_eq!((done.state, done.replay_of), (RunState::Done, Some(job.run_id)));
    assert_eq!(view(&test, &job).await.state, RunState::Failed, "what was told of the first stays true");
    assert_eq!(view(&test, &dropped).await.state, RunState::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_handled_on_the_command_line() {
    let test = support::app(&[], |_| {}).await;
    let job = search("acme");
    given_up(&test, &job).await;
    let run = |args: &'static [&'static str]| {
        let mut command = test.command(args);
        async move { tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap() }
    };
    let listed = support::json(&run(&["dead", "list", "--tenant", "acme", "--json"]).await);
    assert_eq!(listed["letters"][0]["id"], 1, "{listed}");
    assert_eq!(support::json(&run(&["dead", "list", "--json"]).await)["letters"], json!([]), "those of another tenant");
    assert_eq!(support::json(&run(&["dead", "list", "--all", "--json"]).await)["letters"].as_array().unwrap().len(), 1);
    let shown = run(&["dead", "show", "1", "--tenant", "acme"]).await;
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("no socket") && shown.contains(&job.run_id.to_string()), "{shown}");
    let missing = run(&["dead", "replay", "7", "--tenant", "acme"]).await;
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("dead list"), "{missing:?}");
    let replayed = support::json(&run(&["dead", "replay", "1", "--tenant", "acme", "--json"]).await);
    let again = Job { run_id: serde_json::from_value(replayed["run_id"].clone()).unwrap(), ..job };
    assert_eq!(view(&test, &again).await.state, RunState::Queued);
    assert_eq!(audited(&test, "acme").await, ["dead.replayed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_kind_of_job_becomes_a_dead_letter() {
    let test = support::app(&[], |_| {}).await;
    let prefix = test.app.config.queue.prefix.clone();
    let js = async_nats::jetstream::new(support::nats_client().await);
    js.publish(format!("{prefix}.jobs.rm_rf.acme"), "{}".into()).await.unwrap().await.unwrap();
    let good = search("acme");
    test.app.submit(&good, None).await.unwrap();
    support::until("the message to be moved", async || (test.app.queue.bury_unclaimed().await.unwrap() == 1).then_some(())).await;
    let letters = test.app.queue.dead_letters(1, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].subject.as_str()), (1, "dead.rm_rf.acme"));
    assert!(letters[0].reason.contains("rm_rf") && letters[0].reason.contains("debug_error"), "{}", letters[0].reason);
    assert_eq!(test.app.queue.depth(StreamName::Jobs).await.unwrap().messages, 1, "what a consumer takes stays");
    let _worker = work_here(&test);
    assert_eq!(ended(&test, &good).await.state, RunState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_waits_while_docker_is_away_and_other_jobs_go_on() {
    let addons = support::addons(&["p_tree"]);
    let folder = support::temp_dir();
    let socket = folder.path().join("docker.sock");
    let host = format!("unix://{}", socket.display());
    let test = support::app(&[addons.path()], |config| config.sandbox.docker_host = Some(host)).await;
    let (waits, too, goes_on) = (debug("acme"), debug("other"), search("acme"));
    test.app.submit(&waits, None).await.unwrap();
    test.app.submit(&too, None).await.unwrap();
    let _worker = work_here(&test);
    let seen = support::until("the run to wait", async || Some(view(&test, &waits).await).filter(|view| view.waits_for.is_some())).await;
    assert_eq!((seen.state, seen.attempts, seen.waits_for.as_deref()), (RunState::Queued, 0, Some("docker")));
    test.app.submit(&goes_on, None).await.unwrap();
    assert_eq!(ended(&test, &goes_on).await.state, RunState::Done);

    std::os::unix::fs::symlink("/var/run/docker.sock", &socket).unwrap();
    for job in [&waits, &too] {
        let done = ended(&test, job).await;
        assert_eq!((done.state, done.attempts, done.waits_for), (RunState::Done, 1, None), "{:?}", done.error);
        assert_eq!(done.result.unwrap()["outcome"], "fixed");
    }
    assert!(test.app.queue.dead_letters(1, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn run_waits_for_a_claude_that_is_away() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Without a script it answers that it is broken.
    let fake = FakeClaude::start().await;
    let (addons, url) = (support::addons(&["p_limit"]), fake.url.clone());
    let test = support::app(&[addons.path()], |config| {
        config.claude.api_key = Some("sk-ant-test".to_owned().into());
        config.claude.base_url = url;
    })
    .await;
    let job = Job { payload: json!({ "log": support::log_of("p_limit") }), ..debug("acme") };
    test.app.submit(&job, None).await.unwrap();
    let _worker = work_here(&test);
    let seen = support::until("the run to wait", async || Some(view(&test, &job).await).filter(|view| view.waits_for.is_some())).await;
    assert_eq!((seen.state, seen.attempts, seen.waits_for.as_deref()), (RunState::Queued, 0, Some("claude")));
    let edit = json!({ "path": "p_limit/__init__.py", "find": "int(\"ten\")", "replace": "10" });
    let answer = json!({ "cause": "`ten` is no number.", "fixable": true, "edits": [edit], "summary": "Write the number." });
    fake.reply(Script::Ok(answer, Usage::default()));
    let done = ended(&test, &job).await;
    assert_eq!((done.state, done.attempts, done.waits_for), (RunState::Done, 1, None), "{:?}", done.error);
    assert_eq!(done.result.unwrap()["outcome"], "fixed");
}

#[tokio::test(flavor = "multi_thread")]
async fn next_occurrence_starts_the_run_that_failed_because_something_was_away() {
    let test = support::app(&[], |_| {}).await;
    let tenant = support::tenant("acme");
    let occur = async |at| {
        let arrival = Arrival { received: at, release: None };
        let body = bytes::Bytes::from(support::log_of("p_tree"));
        worker::triage(&test.app, &tenant, EventId::generate(), Format::Text, body, &arrival).await.unwrap()
    };
    let first = occur(Utc::now()).await;
    let [run] = first[..] else { panic!("{first:?}") };
    assert!(occur(Utc::now()).await.is_empty(), "the run waits");
    let job = Job { run_id: run, ..debug("acme") };
    let fail = async |job: &Job, failure: odoo_agent::domain::Failure| {
        let Claim::Granted { token, .. } = runs::claim(&test.app.db, job, "w", Duration::from_secs(60)).await.unwrap() else {
            panic!("held")
        };
        test.app.give_up(job, token, &failure).await.unwrap();
    };
    let early = Utc::now();
    fail(&job, odoo_agent::domain::Failure::unavailable(std::io::Error::other("no socket")).lacking(Prerequisite::Docker)).await;
    assert!(occur(early).await.is_empty(), "it occurred before the run failed and is only read now");
    let again = occur(Utc::now()).await;
    assert_eq!(again.len(), 1, "another run");
    assert_ne!(again[0], run);
    assert!(occur(Utc::now()).await.is_empty(), "one at a time");
    let group = test.app.run(&tenant, again[0]).await.unwrap().unwrap().group.unwrap();
    let group = test.app.group(&tenant, group).await.unwrap().unwrap();
    assert_eq!((group.state.as_str(), group.last_run, group.count), ("open", Some(again[0]), 5));
    let mut tx = test.app.db.tenant(&tenant).await.unwrap();
    let returned: i64 = sqlx::query_scalar("select count(*) from fix_feedback").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(returned, 0, "nothing came back after a fix");
    drop(tx);

    // What fails for what it asks for fails again.
    fail(&Job { run_id: again[0], ..job }, odoo_agent::domain::Failure::bad_input("no")).await;
    assert!(occur(Utc::now()).await.is_empty());
}

async fn containers(run: RunId) -> usize {
    let docker = bollard::Docker::connect_with_local_defaults().unwrap().negotiate_version().await.unwrap();
    let filters = std::collections::HashMap::from([("name".to_owned(), vec![format!("odoo-agent.run-{run}.")])]);
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    docker.list_containers(Some(options)).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_fix_leaves_no_container_and_no_running_run() {
    let addons = support::addons(&["p_tree"]);
    let test = support::app(&[], |config| config.queue.ack_wait = Duration::from_secs(5)).await;
    let log = support::fixture("logs/p_tree.log");
    let args = ["fix", "--json", "--log", log.to_str().unwrap(), "--addons", addons.path().to_str().unwrap()];
    let fix = Process(test.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let tenant = support::tenant("default");
    let run = support::until("the sandbox to run", async || {
        let mut tx = test.app.db.tenant(&tenant).await.unwrap();
        let run: Option<uuid::Uuid> = sqlx::query_scalar("select id from runs").fetch_optional(tx.conn()).await.unwrap();
        let run = RunId(run?);
        (containers(run).await == 1).then_some(run)
    })
    .await;
    fix.signal(nix::sys::signal::Signal::SIGKILL);
    // Nobody sweeps here: the container ends with the connection of whoever made it.
    support::until("the container to be gone", async || (containers(run).await == 0).then_some(())).await;
    support::until("the run to be ended", async || (worker::recover(&test.app, Duration::ZERO).await.unwrap() == 1).then_some(())).await;
    let ended = test.app.run(&tenant, run).await.unwrap().unwrap();
    assert_eq!(ended.state, RunState::Failed);
    assert!(ended.error.unwrap().contains("killed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_of_a_living_fix_is_left_alone() {
    let test = support::app(&[], |_| {}).await;
    let job = debug("default");
    let lease = Duration::from_secs(60);
    let Claim::Granted { token, .. } = runs::claim_in_process(&test.app.db, &job, "fix", lease).await.unwrap() else { panic!("held") };
    assert_eq!(worker::recover(&test.app, Duration::ZERO).await.unwrap(), 0);
    assert_eq!(view(&test, &job).await.state, RunState::Running);
    // Between two attempts the run waits, and no worker is to take it.
    runs::release(&test.app.db, &job.tenant, job.run_id, token, true).await.unwrap();
    assert_eq!(worker::recover(&test.app, Duration::ZERO).await.unwrap(), 0);
    assert_eq!(test.app.queue.depth(StreamName::Jobs).await.unwrap().messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_sent_again_counts_once() {
    let test = support::app(&[], |config| config.queue.duplicate_window = Duration::from_millis(200)).await;
    let door = door(&test).await;
    // Large enough for several parts.
    let line = json!({ "message": support::log_of("p_nameerr"), "padding": "x".repeat(200_000) }).to_string();
    let body = format!("{line}\n").repeat(8);
    let headers = [("idempotency-key", "batch-1"), ("content-type", "application/x-ndjson")];
    let (status, first) = door.ingest(&headers, body.clone()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{first}");
    assert!(first["events"].as_array().unwrap().len() > 1, "{first}");
    let _worker = work_here(&test);
    let tenant = support::tenant("acme");
    let counted = async || {
        let mut tx = test.app.db.tenant(&tenant).await.unwrap();
        sqlx::query_scalar::<_, Option<i64>>("select sum(count)::bigint from errors").fetch_one(tx.conn()).await.unwrap().unwrap_or(0)
    };
    support::until("every error to be counted", async || (counted().await == 8).then_some(())).await;
    // Also when the server has forgotten the ids and takes the messages again.
    let stored = async || test.app.queue.depth(StreamName::Ingest).await.unwrap().messages;
    let before = stored().await;
    support::until("the ids to be forgotten", async || {
        let (status, again) = door.ingest(&headers, body.clone()).await;
        assert_eq!((status, &again), (StatusCode::ACCEPTED, &first));
        (stored().await > before).then_some(())
    })
    .await;
    let after = door.ingest(&[("content-type", "text/plain")], support::log_of("p_hook")).await.1;
    let event: EventId = serde_json::from_value(after["events"][0].clone()).unwrap();
    support::until("what came later to be read", async || {
        let read = test.app.event(&tenant, event).await.unwrap();
        (!read.is_empty()).then_some(())
    })
    .await;
    assert_eq!(counted().await, 9, "the second time counted nothing");

    let (status, refused) = door.ingest(&headers, format!("{body}{line}\n")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    let id = uuid::Uuid::new_v4().to_string();
    let (_, one) = door.ingest(&[("x-odoo-event-id", &id)], support::log_of("p_hook")).await;
    let (_, two) = door.ingest(&[("x-odoo-event-id", &id)], support::log_of("p_hook")).await;
    assert_eq!(one, two);
    for bad in [&[("x-odoo-event-id", "7")][..], &[("idempotency-key", "")], &[("idempotency-key", "a"), ("x-odoo-event-id", &id)]] {
        assert_eq!(door.ingest(bad, support::log_of("p_hook")).await.0, StatusCode::BAD_REQUEST, "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_event_is_counted_once() {
    let test = support::app(&[], |_| {}).await;
    let tenant = support::tenant("acme");
    let event = EventId::generate();
    let body = bytes::Bytes::from(support::log_of("p_nameerr"));
    let published: Published = test.app.queue.publish_raw(&tenant, "odoo-text", event, body).await.unwrap();
    assert!(!published.duplicate);
    let delivery = test.app.queue.raw_events().next(Duration::from_secs(10)).await.unwrap().unwrap();
    test.app.queue.dead_letter(&delivery, "a fault that is mended", 20).await.unwrap();
    delivery.term().await.unwrap();
    let letter = test.app.dead_letters(Some(&tenant), 1, 10).await.unwrap().letters.remove(0);
    let replayed = test.app.replay_dead_letter(Some(&tenant), letter.id, odoo_agent::app::Actor::Operator).await.unwrap().unwrap();
    assert_eq!(replayed.event, Some(event.to_string()));
    let _worker = work_here(&test);
    let read = support::until("the event to be read", async || {
        let read = test.app.event(&tenant, event).await.unwrap();
        (!read.is_empty()).then_some(read)
    })
    .await;
    assert_eq!((read.len(), read[0].verdict.as_str()), (1, "grouped"), "under its own id");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_worker_holds_no_delivery_twice() {
    let test = support::app(&[], |config| config.queue.ack_wait = Duration::from_secs(6)).await;
    let first = Process(test.command(&["work"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let js = async_nats::jetstream::new(support::nats_client().await);
    let prefix = test.app.config.queue.prefix.clone();
    let jobs = js.get_stream(format!("{prefix}_JOBS")).await.unwrap();
    let consumer = async || jobs.consumer_info(format!("{prefix}_search_knowledge")).await.unwrap();
    support::until("the worker to wait for jobs", async || (consumer().await.num_waiting > 0).then_some(())).await;
    first.signal(nix::sys::signal::Signal::SIGSTOP);
    let job = search("acme");
    test.app.submit(&job, None).await.unwrap();
    let _second = work_here(&test);
    assert_eq!(ended(&test, &job).await.state, RunState::Done);
    // Once to the one that stands still, if its request was open still, and once to the other.
    let delivered = consumer().await.delivered.consumer_sequence;
    assert!(delivered <= 2, "delivered {delivered} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_is_a_message_that_is_stored() {
    let test = support::app(&[], |_| {}).await;
    let door = door(&test).await;
    assert_eq!(door.ask(0, reqwest::Method::GET, "/readyz").await.0, StatusCode::OK);
    let js = async_nats::jetstream::new(support::nats_client().await);
    let name = format!("{}_INGEST", test.app.config.queue.prefix);
    let state = js.get_stream(&name).await.unwrap().cached_info().state.clone();
    assert_eq!((state.messages, state.last_sequence), (0, 1), "it was stored and taken back");
    // The connection is as good as before, but nothing is stored any more.
    js.delete_stream(&name).await.unwrap();
    let refused = support::until("the answer of a moment ago to be old", async || {
        let (status, problem) = door.ask(0, reqwest::Method::GET, "/readyz").await;
        (status != StatusCode::OK).then_some((status, problem))
    })
    .await;
    assert_eq!(refused.0, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.1);
}

/// The steps of a run end, also of one that waited.
#[tokio::test(flavor = "multi_thread")]
async fn steps_say_what_a_run_waits_for() {
    let folder = support::temp_dir();
    let addons = support::addons(&["p_tree"]);
    let host = format!("unix://{}", folder.path().join("no.sock").display());
    let test = support::app(&[addons.path()], |config| config.sandbox.docker_host = Some(host)).await;
    let job = debug("acme");
    test.app.submit(&job, None).await.unwrap();
    let _worker = work_here(&test);
    let mut steps = Box::pin(test.app.follow(&job.tenant, job.run_id, None).await.unwrap());
    let waiting = async {
        loop {
            let (_, step) = steps.next().await.unwrap().unwrap();
            if step.step == "waiting" {
                return step;
            }
        }
    };
    let step = tokio::time::timeout(Duration::from_secs(120), waiting).await.unwrap();
    assert!(step.message.contains("docker") && step.message.contains("does not count"), "{}", step.message);
}
