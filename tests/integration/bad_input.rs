//! What should not come in: each gets a clear answer, nothing is lost, nothing falls over.

use std::process::Output;

use odoo_agent::api;
use odoo_agent::queue::StreamName;
use odoo_agent::tenants::keys;
use odoo_agent::worker::Worker;
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support;

async fn fix(log: &[u8], addons: Option<&std::path::Path>) -> Output {
    let dir = support::temp_dir();
    let file = dir.path().join("log");
    std::fs::write(&file, log).unwrap();
    let fixture = support::addons(&["p_tree"]);
    let addons = addons.unwrap_or(fixture.path()).display().to_string();
    // No server is reached before the input is checked: an address where nothing listens would show it.
    let mut command = support::program(&["fix", "--json", "--log", file.to_str().unwrap(), "--addons", &addons]);
    command.env("DATABASE_URL", "postgres://127.0.0.1:1/none").env("NATS_URL", "nats://127.0.0.1:1");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn refused(output: &Output, word: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(word), "{said}");
    assert!(output.stdout.is_empty(), "stdout is for results");
}

#[tokio::test]
async fn fix_refuses_what_is_no_log() {
    refused(&fix(b"", None).await, "empty");
    refused(&fix(b"\x7fELF\x00\x00\x01\x02\xff\xfe", None).await, "text");
    refused(&fix(b"2026-11-22 19:10:18,973 648 INFO t odoo: all is well\n", None).await, "no Odoo error");
    refused(&fix(&vec![b'x'; 50 << 20], None).await, "line");
    let nowhere = std::path::Path::new("/nonexistent/addons");
    refused(&fix(support::log_of("p_tree").as_bytes(), Some(nowhere)).await, "/nonexistent/addons");
}

#[tokio::test]
async fn unknown_commands_and_settings_are_usage() {
    for args in
        [&["fly"][..], &["fix"], &["status", "no-uuid"], &["submit", "rm_rf", "/dev/null"], &["--config", "/nonexistent.toml", "doctor"]]
    {
        let mut command = support::program(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_names_what_is_wrong() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let test = support::app(&[], |_| {}).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(api::serve(test.app.clone(), listener, std::future::pending()));
    let worker = Worker::new(test.app.clone());
    tokio::spawn(async move { worker.run(std::future::pending::<()>()).await });
    let (_, key) = keys::create(&test.app.db, &support::tenant("acme"), "test").await.unwrap();
    let client = Client::new();
    let post = async |path: &str, body: Vec<u8>| {
        let response = client.post(format!("{url}{path}")).bearer_auth(key.expose_secret()).body(body).send().await.unwrap();
        let (status, kind) = (response.status(), response.headers()["content-type"].to_str().unwrap().to_owned());
        (status, kind, response.json::<Value>().await.unwrap())
    };

    for (path, body, expected) in [
        ("/ingest/odoo", Vec::new(), StatusCode::BAD_REQUEST),
        ("/ingest/odoo", b"\x00\x01\x02\xff\xfe\xfd".to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("/ingest/odoo", vec![b'x'; 50 << 20], StatusCode::PAYLOAD_TOO_LARGE),
        ("/ingest/odoo", vec![b'x'; 2 << 20], StatusCode::PAYLOAD_TOO_LARGE),
        ("/jobs", b"not json".to_vec(), StatusCode::BAD_REQUEST),
        ("/jobs", br#"{"kind":"rm_rf","payload":{}}"#.to_vec(), StatusCode::BAD_REQUEST),
        ("/jobs", br#"{"kind":"debug_error","payload":{"log":"x","shell":"id"}}"#.to_vec(), StatusCode::BAD_REQUEST),
        ("/jobs", vec![b'['; 100_000], StatusCode::BAD_REQUEST),
        ("/nowhere", b"x".to_vec(), StatusCode::NOT_FOUND),
    ] {
        let length = body.len();
        let (status, kind, problem) = post(path, body).await;
        assert_eq!((status, kind.as_str()), (expected, "application/problem+json"), "{path}, {length} bytes: {problem}");
        assert!(problem["detail"].as_str().unwrap().len() < 1000, "an answer does not echo megabytes");
    }

    // A log without an error is accepted: shippers send everything. It is read, and said to hold none.
    let (status, _, accepted) = post("/ingest/odoo", b"2026-11-22 19:10:18,973 648 INFO t odoo: all is well\n".to_vec()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let event = accepted["events"][0].as_str().unwrap().to_owned();
    let read = support::until("the event to be read", async || {
        let response = client.get(format!("{url}/ingest/{event}")).bearer_auth(key.expose_secret()).send().await.unwrap();
        let read: Value = response.json().await.unwrap();
        (read["state"] == "read").then_some(read)
    })
    .await;
    assert_eq!(read["errors"][0]["verdict"], "no_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_is_no_job_goes_to_the_dead_letters() {
    let test = support::app(&[], |_| {}).await;
    let client = support::nats_client().await;
    let jetstream = async_nats::jetstream::new(client);
    let prefix = &test.app.config.queue.prefix;
    let valid = json!({ "log": support::log_of("p_tree") });
    let event = |id: &str, kind: &str| {
        json!({ "specversion": "1.0", "id": id, "source": "test", "type": format!("odoo.job.{kind}.v1"), "data": valid }).to_string()
    };
    let id = odoo_agent::domain::RunId::generate().to_string();
    for (subject, body) in [
        ("jobs.debug_error.acme", "garbage".to_owned()),
        ("jobs.debug_error.acme", event("no-uuid", "debug_error")),
        ("jobs.debug_error.acme", event(&id, "backup")),
        ("jobs.debug_error.nobody", event(&id, "debug_error")),
    ] {
        jetstream.publish(format!("{prefix}.{subject}"), body.into()).await.unwrap().await.unwrap();
    }
    let worker = Worker::new(test.app.clone());
    let running = tokio::spawn(async move { worker.run(std::future::pending::<()>()).await });
    support::until("four dead letters", async || (test.app.queue.depth(StreamName::Dead).await.unwrap().messages == 4).then_some(())).await;
    running.abort();
}
