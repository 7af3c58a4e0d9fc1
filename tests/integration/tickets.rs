//! Tickets over HTTP and the commands: filed by a run, resolved by a person, and found first by the next search for the same error.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use std::io::Write as _;
use std::sync::Arc;

use odoo_agent::api;
use odoo_agent::domain::{ErrorReport, FileChange, Grade, Job, JobKind, Lesson, Patch, RunId, Source, TenantId, Ticket};
use odoo_agent::tenants::keys;
use odoo_agent::tickets::{Resolution, TicketId, postgres as tickets};
use odoo_agent::worker::Worker;
use odoo_agent::{knowledge, odoo, runs};
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{self, TestApp};

const DIFF: &str =
    "--- a/p_tree/v.xml\n+++ b/p_tree/v.xml\n@@ -1,3 +1,3 @@\n <odoo>\n-    <tree/>\n+    <list class=\"amber\"/>\n </odoo>\n";

/// An API with a worker behind it; stopped when dropped.
struct Door {
    test: TestApp,
    tenant: TenantId,
    base: String,
    key: String,
    other: String,
    client: Client,
    _stop: DropGuard,
}

async fn door() -> Door {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let test = support::app(&[], |_| {}).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(api::serve(test.app.clone(), listener, stop.clone().cancelled_owned()));
    let (worker, stopped) = (Worker::new(test.app.clone()), stop.clone());
    tokio::spawn(async move { worker.run(stopped.cancelled_owned()).await });
    let tenant = support::tenant("acme");
    let key = async |of: &TenantId| keys::create(&test.app.db, of, "test").await.unwrap().1.expose_secret().to_owned();
    let (key, other) = (key(&tenant).await, key(&support::tenant("other")).await);
    Door { test, tenant, base, key, other, client: Client::new(), _stop: stop.drop_guard() }
}

impl Door {
    async fn get(&self, key: &str, path: &str) -> (StatusCode, Value) {
        let answer = self.client.get(format!("{}{path}", self.base)).bearer_auth(key).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn post(&self, key: &str, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        let answer = self.client.post(format!("{}{path}", self.base)).bearer_auth(key).body(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn resolve(&self, ticket: &str, resolution: &str, correction: Option<&str>) -> Value {
        let body = json!({ "resolution": resolution, "correction": correction }).to_string();
        let (status, answer) = self.post(&self.key, &format!("/tickets/{ticket}/resolve"), body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn search(&self, key: &str, request: Value) -> Vec<Value> {
        let (status, answer) = self.post(key, "/search", request.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["results"].as_array().unwrap().clone()
    }

    /// The ticket of a run that this log leads to: without addons, no run can mend anything.
    async fn filed(&self, log: &str) -> String {
        let (status, _) = self.post(&self.key, "/ingest/odoo", log.to_owned()).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        support::until("the ticket to be filed", async || {
            let (_, page) = self.get(&self.key, "/tickets?state=open").await;
            page["tickets"].get(0).map(|ticket| ticket["id"].as_str().unwrap().to_owned())
        })
        .await
    }

    /// Remembers a fix of this error, as a run of its own that ends with it.
    async fn remember(&self, report: &ErrorReport, grade: Grade) {
        let run = run_of(&self.test, &self.tenant).await;
        let change =
            FileChange { path: "p_tree/v.xml".parse().unwrap(), before: Some("<tree/>\n".to_owned()), after: "<list/>\n".to_owned() };
        let lesson = Lesson {
            report: report.clone(),
            version: "19.0".parse().unwrap(),
            source: Some(Source::Claude),
            grade: Some(grade),
            patch: Some(Patch::new(vec![change]).unwrap()),
            summary: "tree to list".to_owned(),
            made_by: json!({}),
            shown: Vec::new(),
        };
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        knowledge::remember(&mut tx, run, &lesson).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The best fix for this has stood in prompts that led to proofs, which moves it up.
    async fn praise(&self, log: &str) {
        let hits = self.search(&self.key, json!({ "text": log, "filters": { "kind": "fix" } })).await;
        let fix = hits[0]["ref"].as_str().unwrap().to_owned();
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        for _ in 0..9 {
            knowledge::used(&mut tx, std::slice::from_ref(&fix), true).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// How many tickets the daily job found new or changed.
    async fn daily(&self) -> String {
        let job =
            Job { run_id: RunId::generate(), tenant: self.tenant.clone(), kind: JobKind::Reindex, payload: json!({ "source": "tickets" }) };
        self.test.app.submit(&job, None).await.unwrap();
        let ended = support::until("the daily job ends", async || {
            self.test.app.run(&job.tenant, job.run_id).await.unwrap().filter(|run| run.state.is_final())
        });
        ended.await.result.unwrap()["summary"].as_str().unwrap().to_owned()
    }
}

async fn run_of(test: &TestApp, tenant: &TenantId) -> RunId {
    let job = Job { run_id: RunId::generate(), tenant: tenant.clone(), kind: JobKind::DebugError, payload: json!({ "log": "x" }) };
    let mut tx = test.app.db.tenant(tenant).await.unwrap();
    runs::insert(&mut tx, &job, None, None).await.unwrap();
    tx.commit().await.unwrap();
    // Else a worker takes it as soon as it is old enough to count as forgotten, and files a ticket for it.
    runs::mark_published(&test.app.db, tenant, job.run_id).await.unwrap();
    job.run_id
}

/// Files a ticket about nothing in particular.
async fn file(test: &TestApp, tenant: &TenantId, title: &str) -> TicketId {
    let run = run_of(test, tenant).await;
    let ticket = Ticket { title: title.to_owned(), body: "look".to_owned(), evidence: json!({}), patch: None };
    let mut tx = test.app.db.tenant(tenant).await.unwrap();
    let id = tickets::file(&mut tx, run, &ticket).await.unwrap();
    tx.commit().await.unwrap();
    id
}

fn kinds(hits: &[Value]) -> Vec<&str> {
    hits.iter().map(|hit| hit["kind"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn correction_is_found_before_a_proven_fix() {
    let door = door().await;
    let log = support::log_of("p_tree");
    let ticket = door.filed(&log).await;
    let report = odoo::reports(&log).remove(0);
    for _ in 0..3 {
        door.remember(&report, Grade::Proven).await;
    }
    assert_eq!(door.daily().await, "1 tickets are new or have changed");
    let asked = [
        json!({ "text": log }),
        json!({ "text": log, "filters": { "version": "19.0" }, "limit": 1 }),
        json!({ "text": log, "filters": { "doc_type": ["errors", "tickets"] } }),
        json!({ "text": report.title }),
    ];
    assert_eq!(door.search(&door.key, asked[0].clone()).await[0]["kind"], "fix", "nobody has answered the ticket yet");

    let resolved = door.resolve(&ticket, "Write it as a list, in amber.", Some(DIFF)).await;
    assert_eq!((&resolved["state"], &resolved["correction"]), (&json!("closed"), &json!(DIFF)));
    for embedded in [false, true] {
        if embedded {
            assert!(door.test.app.embed_outcomes().await.unwrap() > 0);
        }
        for request in &asked {
            let hits = door.search(&door.key, request.clone()).await;
            assert_eq!(hits[0]["ref"], json!(ticket), "{request}: {:?}", kinds(&hits));
            let text = hits[0]["text"].as_str().unwrap();
            let places: Vec<_> = ["in amber", "class=\"amber\"", "**Why it was not mended"].map(|part| text.find(part).unwrap()).into();
            assert!(places.is_sorted(), "{text}");
            assert!(hits.windows(2).all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64()), "{hits:#?}");
        }
        assert!(kinds(&door.search(&door.key, asked[0].clone()).await).contains(&"fix"), "the fix is an answer still");
    }
    door.praise(&log).await;
    assert_eq!(door.search(&door.key, asked[0].clone()).await[0]["ref"], json!(ticket));
    assert_eq!(door.daily().await, "0 tickets are new or have changed");
}

/// A log with one error of the addon `shop`, reached by way of `entry`.
fn log_by(entry: &str) -> String {
    format!(
        "2026-11-22 18:58:03,295 56 ERROR live odoo.http: Exception during request handling.\nTraceback (most recent call last):\n\
         \u{20} File \"/opt/custom/shop/controllers/main.py\", line 12, in {entry}\n    return order.confirm()\n\
         \u{20} File \"/opt/custom/shop/models/order.py\", line 40, in confirm\n    self._check(values['qty'])\nKeyError: 'qty'\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn correction_holds_for_every_way_into_the_error() {
    let door = door().await;
    let ticket = door.filed(&log_by("checkout")).await;
    // Another way in is another fingerprint, but the same group.
    door.post(&door.key, "/ingest/odoo", log_by("nightly")).await;
    support::until("both to be counted", async || {
        let (_, page) = door.get(&door.key, "/groups").await;
        (page["groups"].as_array().unwrap().len() == 1 && page["groups"][0]["count"] == 2).then_some(())
    })
    .await;
    let nightly = odoo::reports(&log_by("nightly")).remove(0);
    for _ in 0..3 {
        door.remember(&nightly, Grade::Proven).await;
    }
    door.praise(&log_by("nightly")).await;
    door.resolve(&ticket, "Ask for the quantity first.", None).await;
    for text in [log_by("nightly"), nightly.title] {
        let hits = door.search(&door.key, json!({ "text": text })).await;
        assert_eq!(hits[0]["ref"], json!(ticket), "{text}: {:?}", kinds(&hits));
    }

    // A word about another error does not push its fix aside.
    let other = log_by("checkout").replace("KeyError: 'qty'", "ZeroDivisionError: division by zero");
    door.remember(&odoo::reports(&other).remove(0), Grade::Proven).await;
    let hits = door.search(&door.key, json!({ "text": other })).await;
    assert_eq!(hits[0]["kind"], "fix", "{hits:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_word_counts_and_all_are_audited() {
    let door = door().await;
    let log = support::log_of("p_tree");
    let ticket = door.filed(&log).await;
    let first = door.resolve(&ticket, "Ask the vendor of heliotrope.", Some(DIFF)).await;
    let second = door.resolve(&ticket, "  The password=hunter22 was in the chartreuse file.\n", None).await;
    assert_eq!((&second["correction"], &second["created_at"]), (&Value::Null, &first["created_at"]));
    assert!(second["closed_at"].as_str() > first["closed_at"].as_str());
    assert!(second["resolution"].as_str().unwrap().contains("chartreuse"));

    let hits = door.search(&door.key, json!({ "text": log })).await;
    assert_eq!(hits.iter().filter(|hit| hit["kind"] == "ticket").count(), 1, "written over, not added");
    assert_eq!(door.search(&door.key, json!({ "text": "what is said of chartreuse?" })).await[0]["ref"], json!(ticket));
    assert_eq!(door.daily().await, "0 tickets are new or have changed");

    let mut tx = door.test.app.db.tenant(&door.tenant).await.unwrap();
    let audited: Vec<Value> =
        sqlx::query_scalar("select detail from audit where action = 'ticket.resolved' and actor = 'person' order by at")
            .fetch_all(tx.conn())
            .await
            .unwrap();
    assert_eq!((audited.len(), &audited[0]["files"], &audited[1]["files"]), (2, &json!(["p_tree/v.xml"]), &json!([])));
    assert!(audited[0]["resolution"].as_str().unwrap().contains("heliotrope"));
    assert_eq!(audited[0]["correction"], json!(DIFF), "a correction that was written over is lost");
    for shown in [json!(audited[1]), second, json!(hits)] {
        assert!(!shown.to_string().contains("hunter22") && !shown.to_string().contains("class=\\\"amber"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sees_or_resolves_a_ticket() {
    let door = door().await;
    let log = support::log_of("p_tree");
    let ticket = door.filed(&log).await;
    door.resolve(&ticket, "The secret word is amber.", Some(DIFF)).await;
    door.test.app.embed_outcomes().await.unwrap();

    let path = format!("/tickets/{ticket}");
    assert_eq!(door.get(&door.other, &path).await.0, StatusCode::NOT_FOUND);
    let theirs = door.post(&door.other, &format!("{path}/resolve"), r#"{"resolution": "mine"}"#).await;
    assert_eq!(theirs.0, StatusCode::NOT_FOUND);
    assert_eq!(door.get(&door.other, "/tickets").await.1, json!({ "tickets": [], "next": null }));
    for text in [log.as_str(), "the secret word is amber", &ticket] {
        assert_eq!(door.search(&door.other, json!({ "text": text, "pack": 4000 })).await, Vec::<Value>::new());
    }
    let definitions = "/definitions?kind=view&name=p_tree.v&version=19.0";
    assert_eq!(door.get(&door.other, definitions).await, door.get(&door.key, definitions).await);
    for key in ["", "oak_wrong"] {
        assert_eq!(door.get(key, &path).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(door.post(key, &format!("{path}/resolve"), "{}").await.0, StatusCode::UNAUTHORIZED);
    }
    // Not straight at the tables either.
    let id: TicketId = ticket.parse().unwrap();
    let mut tx = door.test.app.db.tenant(&support::tenant("other")).await.unwrap();
    let word = Resolution::new("mine", None).unwrap();
    assert!(tickets::resolve(&mut tx, id, &word, None).await.unwrap().is_none());
    assert!(!knowledge::keep_ticket(&mut tx, id).await.unwrap());
    tx.commit().await.unwrap();
    assert!(door.get(&door.key, &path).await.1["resolution"].as_str().unwrap().contains("amber"), "it is as it was");
    let theirs = door.test.app.knowledge.index_tickets(&support::tenant("other"), Arc::new(|_| {})).await;
    assert_eq!(theirs.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_resolves_nothing() {
    let door = door().await;
    let ticket = file(&door.test, &door.tenant, "open").await;
    let path = format!("/tickets/{ticket}/resolve");
    for bad in ["", "{}", "[]", "\u{0}", "{\"resolution\": 1}", "{\"resolution\": \"x\", \"state\": \"open\"}", "{\"correction\": \"x\"}"] {
        let (status, problem) = door.post(&door.key, &path, bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad:?}");
        assert!(problem["detail"].as_str().unwrap().contains("\"resolution\""), "{problem}");
    }
    let climbing = DIFF.replace("p_tree/v.xml", "p_tree/../../v.xml");
    for (resolution, correction, says) in [
        (" \n", None, "empty"),
        (&*"x".repeat(20_001), None, "20001 characters"),
        ("x", Some("see my mail"), "no unified diff"),
        ("x", Some(climbing.as_str()), "p_tree/../../v.xml"),
        ("x", Some(&*DIFF.replace("a/p_tree", "/etc").replace("b/p_tree", "/etc")), "/etc/v.xml"),
        ("x", Some(&*DIFF.repeat(10_000)), "bytes; at most 1048576"),
    ] {
        let body = json!({ "resolution": resolution, "correction": correction }).to_string();
        let (status, problem) = door.post(&door.key, &path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{says}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    assert_eq!(door.post(&door.key, &path, " ".repeat(5 * 1024 * 1024)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    for unknown in ["x", "%00", &RunId::generate().to_string()] {
        let path = format!("/tickets/{unknown}");
        assert_eq!(door.get(&door.key, &path).await.0, StatusCode::NOT_FOUND, "{unknown}");
        let resolved = door.post(&door.key, &format!("{path}/resolve"), r#"{"resolution": "x"}"#).await;
        assert_eq!(resolved.0, StatusCode::NOT_FOUND, "{unknown}");
    }
    let (_, shown) = door.get(&door.key, &format!("/tickets/{ticket}")).await;
    assert_eq!((&shown["state"], &shown["resolution"], &shown["closed_at"]), (&json!("open"), &Value::Null, &Value::Null));
    assert_eq!(door.search(&door.key, json!({ "text": "open" })).await, Vec::<Value>::new());
    // As much as may be said.
    let body = json!({ "resolution": "\u{1F980}".repeat(20_000), "correction": DIFF.replace("amber", &"\u{0}é".repeat(300_000)) });
    assert_eq!(door.post(&door.key, &path, body.to_string()).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_listed_in_pages() {
    let door = door().await;
    let mut ids = Vec::new();
    for title in ["first", "second", "third"] {
        ids.push(file(&door.test, &door.tenant, title).await.to_string());
    }
    door.resolve(&ids[1], "It was the weather.", None).await;
    let (status, first) = door.get(&door.key, "/tickets?limit=2").await;
    let listed = |page: &Value| page["tickets"].as_array().unwrap().iter().map(|ticket| ticket["id"].clone()).collect::<Vec<_>>();
    assert_eq!((status, listed(&first)), (StatusCode::OK, vec![json!(ids[2]), json!(ids[1])]), "the newest first");
    assert!(first["tickets"][0].get("body").is_none());
    file(&door.test, &door.tenant, "meanwhile").await;
    let (_, second) = door.get(&door.key, &format!("/tickets?limit=2&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!((listed(&second), &second["next"]), (vec![json!(ids[0])], &Value::Null));
    assert_eq!(listed(&door.get(&door.key, "/tickets?state=closed").await.1), [json!(ids[1])]);
    assert_eq!(listed(&door.get(&door.key, "/tickets?state=open").await.1).len(), 3);
    for bad in ["limit=0", "limit=201", "limit=x", "state=x", "state=resolved", "after=x", "after=1.2", "color=red"] {
        let (status, problem) = door.get(&door.key, &format!("/tickets?{bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn word_said_during_the_daily_run_stays() {
    let test = support::app(&[], |_| {}).await;
    let acme = support::tenant("acme");
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(file(&test, &acme, &format!("ticket {n}")).await);
    }
    let daily = async || test.app.knowledge.index_tickets(&acme, Arc::new(|_| {})).await.unwrap();
    let word = Resolution::new("It was the weather.", None).unwrap();
    let resolved = futures::future::join_all(ids.iter().map(|id| test.app.resolve_ticket(&acme, *id, &word, None)));
    let (_, resolved) = tokio::join!(daily(), resolved);
    assert!(resolved.iter().all(|one| one.as_ref().unwrap().is_some()));
    let mut tx = test.app.db.tenant(&acme).await.unwrap();
    let count = "select count(*) from tenant_knowledge where doc_type = 'tickets' and content like '%the weather%' and quality = 1";
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(tx.conn()).await.unwrap(), 20);
    assert_eq!(daily().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_list_show_and_resolve() {
    let test = support::app(&[], |_| {}).await;
    let ticket = file(&test, &support::tenant("default"), "[shop] KeyError").await.to_string();
    let mut patch = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    patch.write_all(DIFF.as_bytes()).unwrap();
    let patch = patch.path().to_str().unwrap().to_owned();
    let run = async |args: &[&str], input: &str| {
        let mut command = test.command(args);
        command.stdin(std::process::Stdio::piped());
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // A command that reads nothing has closed it already.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        })
        .await
        .unwrap()
    };
    let listed = support::json(&run(&["ticket", "list", "--json", "--state", "open"], "").await);
    assert_eq!((&listed["tickets"][0]["id"], &listed["next"]), (&json!(ticket), &Value::Null));
    for wrong in [
        vec!["ticket", "resolve", &ticket],
        vec!["ticket", "resolve", &ticket, "--text", "x", "--file", "-"],
        vec!["ticket", "resolve", &ticket, "--text", " "],
        vec!["ticket", "resolve", &ticket, "--file", "-", "--patch", "-"],
        vec!["ticket", "resolve", &ticket, "--text", "x", "--patch", "/nonexistent"],
        vec!["ticket", "resolve", &ticket, "--text", "x", "--tenant", "other"],
        vec!["ticket", "show", &ticket, "--tenant", "other"],
        vec!["ticket", "show", "x"],
        vec!["ticket", "list", "--state", "x"],
    ] {
        assert_eq!(run(&wrong, "\u{7f}").await.status.code(), Some(2), "{wrong:?}");
    }
    let resolved =
        support::json(&run(&["ticket", "resolve", &ticket, "--file", "-", "--patch", &patch, "--json"], "Ask\u{1b}[31m first.").await);
    assert_eq!((&resolved["state"], &resolved["correction"]), (&json!("closed"), &json!(DIFF)));
    let resolved = run(&["ticket", "resolve", &ticket, "--text", "Ask twice.", "--patch", "-"], DIFF).await;
    let shown = run(&["ticket", "show", &ticket], "").await;
    assert_eq!(resolved.stdout, shown.stdout);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("Ask twice.") && text.contains("class=\"amber\"") && text.contains("[shop] KeyError"), "{text}");
    let text = String::from_utf8(run(&["ticket", "list"], "").await.stdout).unwrap();
    assert!(text.lines().count() == 1 && text.contains("closed"), "{text}");
}
