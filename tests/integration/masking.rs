//! Canaries at every door, and then looked for in every table, stream and file: nothing that came in is stored with its secrets.

use std::path::Path;
use std::time::Duration;

use odoo_agent::api;
use odoo_agent::app::App;
use odoo_agent::config::Config;
use odoo_agent::domain::RunId;
use odoo_agent::queue::StreamName;
use odoo_agent::stack::Stack;
use odoo_agent::tenants::keys;
use odoo_agent::worker::Worker;
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpListener;

use crate::support;

/// What every canary holds; a number before it tells the door.
const CANARY: &str = "cAn4Ry7x";

/// An error as Odoo logs it, with a canary in each form of secret that an attack found stored, and in those that were masked before.
fn log(door: u32) -> String {
    let c = format!("Zq{door:02}{CANARY}");
    let forms = [
        format!("{{\\\"password\\\": \\\"{c}\\\"}}"),
        format!("token={c}"),
        format!("Cookie: frontend_lang=en; session_id={c}; other={c}"),
        format!("csrf_token={c}"),
        format!("https://hooks.slack.com/services/T0/B0/{c}"),
        format!("https://api.telegram.org/bot123456789:AA{c}{c}{c}/sendMessage"),
        format!("pwd={c}"),
        format!("authenticate('db','admin','{c}')"),
        format!("smtp_pass: {c}"),
        format!("<password>{c}</password>"),
        format!("redirect=password%3D{c}"),
        format!("connected with password {c}"),
        format!("params: ['{c}']"),
        format!("('X-Auth-Token','{c}')"),
        format!("postgres://odoo:{c}@db/shop"),
        format!("Authorization: Bearer {c}{c}"),
        format!("mail to {c}@example.com"),
        format!("DETAIL:  Failing row contains (1, {c}, null)."),
    ];
    let text = forms.join(" | ");
    format!(
        "2026-11-20 09:14:02,201 4127 ERROR shop odoo.http: Exception during request handling.\nTraceback (most recent call last):\n  \
         File \"/mnt/addons/canary_{door}/models/thing.py\", line 12, in go\n    self.connect(password='{c}')\nValueError: door {door}: {text}\n"
    )
}

struct Door {
    app: App,
    client: Client,
    url: String,
    key: String,
}

impl Door {
    async fn post(&self, path: &str, body: String) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key);
        let canary = format!("Zq80{CANARY}");
        let response = request.header("idempotency-key", format!("{canary}{}", body.len())).header("traceparent", canary).body(body);
        let response = response.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn job(&self, kind: &str, payload: Value) -> String {
        let (status, answer) = self.post("/v1/jobs", json!({ "kind": kind, "payload": payload }).to_string()).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        answer["run_id"].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Value {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.key).send().await.unwrap().json().await.unwrap()
    }

    /// The run once it has ended, whichever way.
    async fn ended(&self, run: &str) -> Value {
        support::until("the run to end", async || {
            let view = self.get(&format!("/v1/jobs/{run}")).await;
            matches!(view["state"].as_str(), Some("done" | "failed")).then_some(view)
        })
        .await
    }

    async fn read(&self, event: &str) {
        support::until("the event to be read", async || (self.get(&format!("/v1/ingest/{event}")).await["state"] == "read").then_some(()))
            .await;
    }

    async fn through_http(&self) {
        let record = |door| json!({ "level": "ERROR", "message": log(door), "password": format!("Zq{door:02}{CANARY}") });
        for body in [log(1), format!("{}\n{}\n", record(2), record(3)), json!([record(4)]).to_string()] {
            let (status, accepted) = self.post("/v1/ingest/odoo", body).await;
            assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
            self.read(accepted["events"][0].as_str().unwrap()).await;
        }
        let by_log = self.job("debug_error", json!({ "log": log(5) })).await;
        let mut report = json!(odoo_agent::odoo::reports(&support::log_of("p_tree"))[0]);
        for (place, door) in [("text", 6), ("title", 7), ("logger", 8)] {
            report[place] = json!(format!("{} {}", report[place].as_str().unwrap(), log(door)));
        }
        report["chain"][0]["message"] = json!(log(9));
        let by_report = self.job("debug_error", json!({ "report": report })).await;
        let unread = self.job("debug_error", json!({ "log": format!("no error, but password=Zq10{CANARY}") })).await;
        let searched = self.job("search_knowledge", json!({ "text": log(11) })).await;
        let (status, found) = self.post("/v1/search", json!({ "text": log(12) }).to_string()).await;
        assert_eq!(status, StatusCode::OK, "{found}");
        for run in [by_log, by_report, unread, searched] {
            self.ended(&run).await;
        }
        let tickets = self.get("/v1/tickets").await;
        let ticket = tickets["tickets"][0]["id"].as_str().unwrap();
        let diff = format!("--- a/p_tree/a.py\n+++ b/p_tree/a.py\n@@ -1 +1,2 @@\n x = 1\n+api_token = 'Zq14{CANARY}'\n");
        let said = json!({ "resolution": log(13), "correction": diff });
        let (status, answer) = self.post(&format!("/v1/tickets/{ticket}/resolve"), said.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    /// Whoever publishes straight to NATS has masked nothing.
    async fn through_nats(&self, url: &str) {
        let (token, address) = url.trim_start_matches("nats://").split_once('@').unwrap();
        let client = async_nats::ConnectOptions::with_token(token.to_owned()).connect(address).await.unwrap();
        let jetstream = async_nats::jetstream::new(client);
        let id = RunId::generate();
        let event = |id: &str, payload: Value| {
            json!({ "specversion": "1.0", "id": id, "source": "test", "type": "odoo.job.debug_error.v1", "data": payload }).to_string()
        };
        for (subject, body) in [
            ("jobs.debug_error.acme", event(&id.to_string(), json!({ "log": log(20) }))),
            ("jobs.debug_error.acme", format!("garbage with token=Zq21{CANARY}")),
            ("jobs.debug_error.acme", event("no-uuid", json!({ "log": log(22) }))),
            ("jobs.debug_error.nobody", event(&RunId::generate().to_string(), json!({ "log": log(23) }))),
            ("ingest.acme.odoo-text", log(24)),
            ("ingest.acme.odoo-ndjson", format!("{{\"broken\": \"password=Zq25{CANARY}\n")),
            ("ingest.nobody.odoo-text", log(26)),
        ] {
            jetstream.publish(subject, body.into()).await.unwrap().await.unwrap();
        }
        self.ended(&id.to_string()).await;
        support::until("everything to be read", async || {
            let mut waiting = 0;
            for stream in [StreamName::Ingest, StreamName::Jobs] {
                let depth = self.app.queue.depth(stream).await.unwrap();
                waiting += depth.consumers.iter().map(|(_, pending, unacked)| pending + unacked).sum::<u64>();
            }
            (waiting == 0).then_some(())
        })
        .await;
    }
}

/// The canaries in bytes, each once.
fn canaries(bytes: &[u8]) -> Vec<String> {
    let found = bytes.windows(CANARY.len()).enumerate().filter(|(_, window)| *window == CANARY.as_bytes());
    let mut found: Vec<String> =
        found.map(|(at, _)| String::from_utf8_lossy(&bytes[at.saturating_sub(40)..at + CANARY.len()]).into_owned()).collect();
    found.dedup();
    found
}

async fn in_tables(owner_url: &str) -> Vec<String> {
    let mut owner = PgConnection::connect(owner_url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        let rows = sqlx::AssertSqlSafe(format!("select t::text from {table} t where t::text like '%{CANARY}%'"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut owner).await.unwrap();
        found.extend(rows.iter().flat_map(|row| canaries(row.as_bytes())).map(|canary| format!("{table}: {canary}")));
    }
    found
}

fn in_files(folder: &Path) -> Vec<String> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let mut found = Vec::new();
    for file in files {
        // A file that a server has deleted meanwhile holds nothing.
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        found.extend(canaries(&bytes).into_iter().map(|canary| format!("{}: {canary}", file.path().display())));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_door_lets_a_secret_onto_the_disk() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = support::temp_dir();
    let mut config = Config::load(None).unwrap();
    config.data_dir = dir.path().to_owned();
    (config.queue.url, config.database.url) = (None, None);
    config.claude.api_key = None;
    config.sandbox.pool.most = 0;
    config.sandbox.templates.after = 0;
    config.tenants.entry(support::tenant("acme")).or_default();
    let stack = Stack::start(&config.stack()).await.unwrap();
    config.queue.url = stack.nats_url().map(ToOwned::to_owned);
    config.database.url = stack.app_database_url().map(|url| url.to_owned().into());
    config.database.migration_url = stack.owner_database_url().map(|url| url.to_owned().into());
    let app = App::connect(config).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(api::serve(app.clone(), listener, std::future::pending()));
    let worker = Worker::new(app.clone());
    tokio::spawn(async move { worker.run(std::future::pending::<()>()).await });
    let (_, key) = keys::create(&app.db, &support::tenant("acme"), "test").await.unwrap();
    let door = Door { app: app.clone(), client: Client::new(), url, key: key.expose_secret().to_owned() };

    door.through_http().await;
    door.through_nats(stack.nats_url().unwrap()).await;

    assert_eq!(in_tables(stack.owner_database_url().unwrap()).await, Vec::<String>::new());
    let letters = app.queue.dead_letters(0, 100).await.unwrap();
    assert!(letters.len() >= 5, "{letters:?}");
    for letter in &letters {
        assert!(canaries(&letter.payload).is_empty() && canaries(letter.reason.as_bytes()).is_empty(), "{letter:?}");
    }
    assert!(app.queue.depth(StreamName::Events).await.unwrap().messages > 0);
    let mut owner = PgConnection::connect(stack.owner_database_url().unwrap()).await.unwrap();
    // What waits in memory is written too.
    sqlx::query("checkpoint").execute(&mut owner).await.unwrap();
    drop((door, owner));
    stack.stop(Duration::from_secs(10)).await;
    assert_eq!(in_files(dir.path()), Vec::<String>::new());
}
