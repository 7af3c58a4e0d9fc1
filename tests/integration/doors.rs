//! The HTTP door: events in, groups and jobs out; keys, tenants and limits.

use std::time::Duration;

use futures::StreamExt;
use odoo_agent::api;
use odoo_agent::domain::{Progress, RunId};
use odoo_agent::tenants::keys;
use odoo_agent::worker::Worker;
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{self, TestApp};

/// An API (and, if wanted, a worker) over real servers, stopped when dropped.
struct Door {
    test: TestApp,
    url: String,
    key: String,
    client: Client,
    _stop: DropGuard,
}

async fn door(worker: bool) -> Door {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let test = support::app(&[], |_| {}).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(api::serve(test.app.clone(), listener, stop.clone().cancelled_owned()));
    if worker {
        let (worker, stop) = (Worker::new(test.app.clone()), stop.clone());
        tokio::spawn(async move { worker.run(stop.cancelled_owned()).await });
    }
    let (_, key) = keys::create(&test.app.db, &support::tenant("acme"), "test").await.unwrap();
    Door { test, url, key: key.expose_secret().to_owned(), client: Client::new(), _stop: stop.drop_guard() }
}

impl Door {
    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key).body(body).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.key).send().await.unwrap()
    }

    async fn errors_of(&self, event: &str) -> Vec<Value> {
        support::until("the event to be read", async || {
            let read: Value = self.get(&format!("/v1/ingest/{event}")).await.json().await.unwrap();
            (read["state"] == "read").then(|| read["errors"].as_array().unwrap().clone())
        })
        .await
    }
}

async fn problem(response: reqwest::Response, status: StatusCode) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert!(!problem["detail"].as_str().unwrap().is_empty());
    problem
}

fn event_of(accepted: &Value) -> String {
    accepted["events"][0].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_equal_logs_are_one_group_and_one_job() {
    let door = door(true).await;
    let log = support::log_of("p_nameerr");
    let posts = futures::stream::iter(0..1000).map(|_| async {
        let response = door.post("/v1/ingest/odoo", log.clone()).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        event_of(&response.json().await.unwrap())
    });
    let events: Vec<_> = posts.buffer_unordered(16).collect().await;
    assert_eq!(events.len(), 1000);

    let errors = door.errors_of(&events[999]).await;
    let (group, run) = (errors[0]["group"].as_str().unwrap(), errors[0]["run"].as_str().unwrap());
    let found: Value = support::until("all events to be counted", async || {
        let found: Value = door.get(&format!("/v1/groups/{group}")).await.json().await.unwrap();
        (found["count"] == 1000).then_some(found)
    })
    .await;
    assert_eq!(found["class"], "name_undefined");
    let mut tx = door.test.app.db.tenant(&support::tenant("acme")).await.unwrap();
    let runs: i64 = sqlx::query_scalar("select count(*) from runs").fetch_one(tx.conn()).await.unwrap();
    let groups: i64 = sqlx::query_scalar("select count(*) from errors").fetch_one(tx.conn()).await.unwrap();
    assert_eq!((runs, groups), (1, 1));

    // No addons folder is set for this tenant: the job ends as a ticket that says so.
    let result = support::until("the run to end", async || {
        let view: Value = door.get(&format!("/v1/jobs/{run}")).await.json().await.unwrap();
        (view["state"] == "done").then(|| view["result"].clone())
    })
    .await;
    assert_eq!(result["outcome"], "ticket");
    assert!(result["why"].as_str().unwrap().contains("addons"), "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_a_run_can_be_followed() {
    let door = door(true).await;
    let accepted: Value = door.post("/v1/ingest/odoo", support::log_of("p_tree")).await.json().await.unwrap();
    let errors = door.errors_of(&event_of(&accepted)).await;
    let run = errors[0]["run"].as_str().unwrap();
    let body = door.get(&format!("/v1/jobs/{run}/events")).await.text().await.unwrap();
    let steps: Vec<Progress> =
        body.lines().filter_map(|line| line.strip_prefix("data:")).map(|data| serde_json::from_str(data).unwrap()).collect();
    let names: Vec<_> = steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(names, ["grouped", "queued", "picked_up", "read", "done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn formats_lead_to_the_same_group() {
    let door = door(true).await;
    let log = support::log_of("p_hook");
    let line = json!({ "message": log }).to_string();
    let post = |kind: &'static str, body: String| {
        let request =
            door.client.post(format!("{}/v1/ingest/odoo", door.url)).bearer_auth(&door.key).header("content-type", kind).body(body);
        async { event_of(&request.send().await.unwrap().json::<Value>().await.unwrap()) }
    };
    let events = [
        post("text/plain", log.clone()).await,
        post("application/x-ndjson", format!("{line}\n{line}\n")).await,
        post("application/json", format!("[{line}]")).await,
    ];
    let mut groups = Vec::new();
    for event in &events {
        groups.extend(door.errors_of(event).await.iter().map(|error| error["group"].clone()));
    }
    assert_eq!(groups.len(), 3);
    groups.dedup();
    assert_eq!(groups.len(), 1);
    let found: Value = door.get(&format!("/v1/groups/{}", groups[0].as_str().unwrap())).await.json().await.unwrap();
    assert_eq!(found["count"], 4, "one of text, two of lines, one of the array");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_tenants_are_kept_apart() {
    let door = door(false).await;
    let client = &door.client;
    let url = format!("{}/v1/ingest/odoo", door.url);
    problem(client.post(&url).body("x").send().await.unwrap(), StatusCode::UNAUTHORIZED).await;
    for wrong in ["oak_wrong", "", "x", &"a".repeat(5000), &format!("{}x", door.key)] {
        problem(client.post(&url).bearer_auth(wrong).body("x").send().await.unwrap(), StatusCode::UNAUTHORIZED).await;
    }
    let request = json!({ "kind": "debug_error", "payload": { "log": support::log_of("p_tree") } });
    let mine: Value = door.post("/v1/jobs", request.to_string()).await.json().await.unwrap();
    let run = mine["run_id"].as_str().unwrap();
    assert_eq!(door.get(&format!("/v1/jobs/{run}")).await.status(), StatusCode::OK);

    let (_, other) = keys::create(&door.test.app.db, &support::tenant("other"), "test").await.unwrap();
    for path in [format!("/v1/jobs/{run}"), format!("/v1/jobs/{run}/events")] {
        let response = client.get(format!("{}{path}", door.url)).bearer_auth(other.expose_secret()).send().await.unwrap();
        problem(response, StatusCode::NOT_FOUND).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn same_idempotency_key_is_the_same_run() {
    let door = door(false).await;
    let send = async |key: &str, log: &str| {
        let body = json!({ "kind": "debug_error", "payload": { "log": log } }).to_string();
        let request = door.client.post(format!("{}/v1/jobs", door.url)).bearer_auth(&door.key).header("idempotency-key", key).body(body);
        request.send().await.unwrap()
    };
    let first: Value = send("k1", "a").await.json().await.unwrap();
    let again: Value = send("k1", "a").await.json().await.unwrap();
    assert_eq!((&first["run_id"], &first["duplicate"], &again["duplicate"]), (&again["run_id"], &false.into(), &true.into()));
    problem(send("k1", "b").await, StatusCode::UNPROCESSABLE_ENTITY).await;
    let second: Value = send("k2", "a").await.json().await.unwrap();
    assert_ne!(second["run_id"], first["run_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_alive_from_ready() {
    let door = door(false).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(door.client.get(format!("{}{path}", door.url)).send().await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn written_but_unpublished_run_is_published_later() {
    let test = support::app(&[], |_| {}).await;
    let job = odoo_agent::domain::Job {
        run_id: RunId::generate(),
        tenant: support::tenant("acme"),
        kind: odoo_agent::domain::JobKind::DebugError,
        payload: json!({ "log": support::log_of("p_tree") }),
    };
    // What a crash between the row and the publish leaves behind.
    let mut tx = test.app.db.tenant(&job.tenant).await.unwrap();
    odoo_agent::runs::insert(&mut tx, &job, None, None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(odoo_agent::worker::reconcile(&test.app, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(odoo_agent::worker::reconcile(&test.app, Duration::ZERO).await.unwrap(), 0);
    let mut pull = test.app.queue.jobs(job.kind);
    let delivery = pull.next(Duration::from_secs(20)).await.unwrap().unwrap();
    assert_eq!(delivery.subject, "jobs.debug_error.acme");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_whose_last_step_was_lost_ends_for_its_followers() {
    let door = door(false).await;
    let request = json!({ "kind": "debug_error", "payload": { "log": support::log_of("p_tree") } });
    let mine: Value = door.post("/v1/jobs", request.to_string()).await.json().await.unwrap();
    let run: RunId = mine["run_id"].as_str().unwrap().parse().unwrap();
    // The worker died between its commit and the last step.
    let payload = request["payload"].clone();
    let job =
        odoo_agent::domain::Job { run_id: run, tenant: support::tenant("acme"), kind: odoo_agent::domain::JobKind::DebugError, payload };
    assert!(odoo_agent::runs::refuse(&door.test.app.db, &job, "gone").await.unwrap());
    let body = tokio::time::timeout(Duration::from_secs(30), async { door.get(&format!("/v1/jobs/{run}/events")).await.text().await });
    let body = body.await.expect("the stream ends").unwrap();
    assert!(body.contains("event: queued") && body.contains("event: failed"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn follower_does_not_hold_up_the_end() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let test = support::app(&[], |_| {}).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(api::serve(test.app.clone(), listener, stop.clone().cancelled_owned()));
    let (_, key) = keys::create(&test.app.db, &support::tenant("acme"), "test").await.unwrap();
    let body = json!({ "kind": "debug_error", "payload": { "log": support::log_of("p_tree") } }).to_string();
    let post = Client::new().post(format!("{url}/v1/jobs")).bearer_auth(key.expose_secret()).body(body);
    let mine: Value = post.send().await.unwrap().json().await.unwrap();
    let follow = format!("{url}/v1/jobs/{}/events", mine["run_id"].as_str().unwrap());
    let mut following = Client::new().get(follow).bearer_auth(key.expose_secret()).send().await.unwrap();
    assert!(following.chunk().await.unwrap().is_some());
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(30), serving).await.expect("the API stops").unwrap().unwrap();
}
