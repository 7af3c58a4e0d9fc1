//! The knowledge base on a real PostgreSQL: what is found, who finds it, and what that costs others.

use std::io::Write as _;

use odoo_agent::api;
use odoo_agent::domain::{FailureKind, Job, JobKind, RunId, TenantId};
use odoo_agent::knowledge::{Filters, Hit, KnownError, Query};
use odoo_agent::tenants::keys;
use odoo_agent::worker::Worker;
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::mcp;
use crate::support::{self, TestApp};

pub fn known(id: &str, text: &str, solution: &str) -> KnownError {
    KnownError { id: id.to_owned(), version: None, text: text.to_owned(), solution: solution.to_owned() }
}

pub async fn keep(test: &TestApp, tenant: &TenantId, errors: &[KnownError]) {
    test.app.knowledge.keep_errors(tenant, errors).await.unwrap();
}

async fn found(test: &TestApp, tenant: &TenantId, text: &str) -> Vec<Hit> {
    let query = Query { text: text.to_owned(), filters: Filters::default(), limit: 10 };
    test.app.search(tenant, &query).await.unwrap().to_vec()
}

fn refs(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.r#ref.as_str()).collect()
}

pub const SINGLETON: &str = "Traceback (most recent call last):\n  File \"/srv/addons/shop/models/o.py\", line 3, in f\n    self.partner_id.name\nValueError: Expected singleton: res.partner(6, 7)";
const FOREIGN: &str =
    "psycopg2.errors.ForeignKeyViolation: update or delete on table \"a\" violates foreign key constraint \"b\" on table \"c\"";

#[tokio::test]
async fn the_same_fault_is_found_under_other_names() {
    let test = support::app(&[], |_| {}).await;
    let acme = support::tenant("acme");
    keep(
        &test,
        &acme,
        &[
            known("loop", SINGLETON, "Loop over the records."),
            known("loop-2", "ValueError: Expected singleton: sale.order()", "Loop over the records."),
            known("archive", FOREIGN, "Archive it instead."),
        ],
    )
    .await;
    let hits = found(&test, &acme, "ValueError: Expected singleton: stock.picking(1, 2, 3)").await;
    assert_eq!(refs(&hits)[..2].iter().collect::<std::collections::BTreeSet<_>>().len(), 2);
    assert!(refs(&hits)[..2].iter().all(|name| name.starts_with("loop")), "{:?}", refs(&hits));
    assert!(hits[0].text.contains("Solution: Loop") && !hits[0].why.is_empty() && hits[0].score >= hits[1].score);
    // Written over, not added.
    keep(&test, &acme, &[known("loop", SINGLETON, "Call it for each.")]).await;
    let hits = found(&test, &acme, SINGLETON).await;
    assert_eq!(hits.iter().filter(|hit| hit.r#ref == "loop").count(), 1);
    assert!(hits.iter().any(|hit| hit.text.contains("Call it for each")), "what was kept of an answer outlived a change");
}

#[tokio::test]
async fn answers_are_kept_until_something_changes() {
    let test = support::app(&[], |_| {}).await;
    let (acme, other) = (support::tenant("acme"), support::tenant("other"));
    keep(&test, &acme, &[known("loop", SINGLETON, "Loop.")]).await;
    found(&test, &acme, SINGLETON).await;
    let before = test.app.knowledge.cache_counts();
    found(&test, &acme, SINGLETON).await;
    assert_eq!(test.app.knowledge.cache_counts(), (before.0 + 1, before.1 + 1));
    // The same query of somebody else is another query.
    assert!(found(&test, &other, SINGLETON).await.is_empty());
    assert_eq!(test.app.knowledge.cache_counts(), (before.0 + 2, before.1 + 1));
    keep(&test, &acme, &[known("new", SINGLETON, "Something else.")]).await;
    assert_eq!(found(&test, &acme, SINGLETON).await.len(), 2);
}

pub struct Door {
    pub test: TestApp,
    url: String,
    pub base: String,
    _stop: DropGuard,
}

pub async fn door() -> Door {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let test = support::app(&[], |_| {}).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(api::serve(test.app.clone(), listener, stop.clone().cancelled_owned()));
    Door { test, url: format!("{base}/search"), base, _stop: stop.drop_guard() }
}

/// `path` is below `/v1/`.
pub async fn get(door: &Door, tenant: &str, path: &str) -> (StatusCode, Value) {
    let (_, key) = keys::create(&door.test.app.db, &support::tenant(tenant), "test").await.unwrap();
    let response = Client::new().get(format!("{}/{path}", door.base)).bearer_auth(key.expose_secret()).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn post(door: &Door, tenant: &str, body: String) -> (StatusCode, Value) {
    let (_, key) = keys::create(&door.test.app.db, &support::tenant(tenant), "test").await.unwrap();
    let response = Client::new().post(&door.url).bearer_auth(key.expose_secret()).body(body).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_door_shows_what_another_tenant_knows() {
    let door = door().await;
    let acme = support::tenant("acme");
    keep(&door.test, &acme, &[known("secret-fix", SINGLETON, "The secret solution of acme.")]).await;
    let (status, answer) = post(&door, "acme", json!({ "text": SINGLETON }).to_string()).await;
    assert_eq!((status, answer["results"][0]["ref"].as_str()), (StatusCode::OK, Some("secret-fix")));

    let nothing = |text: &str| assert!(!text.contains("secret"), "{text}");
    for body in [
        json!({ "text": SINGLETON }),
        json!({ "text": "secret solution of acme", "filters": { "doc_type": "errors" }, "pack": 4000 }),
        json!({ "text": SINGLETON, "filters": { "kind": ["known_error"], "module": [] }, "limit": 100 }),
    ] {
        let (status, answer) = post(&door, "other", body.to_string()).await;
        assert_eq!(status, StatusCode::OK);
        nothing(&answer.to_string());
    }
    for arguments in
        [json!({ "text": SINGLETON }), json!({ "text": "secret solution of acme", "limit": 100, "filters": { "doc_type": "errors" } })]
    {
        let own = mcp::asked_over_http(&door, "acme", "search_odoo_knowledge", arguments.clone()).await;
        assert!(own.to_string().contains("secret-fix"), "{own}");
        nothing(&mcp::asked_over_http(&door, "other", "search_odoo_knowledge", arguments.clone()).await.to_string());
        nothing(&mcp::asked_over_stdio(&door.test, "other", "search_odoo_knowledge", arguments).await.to_string());
    }
    for tenant in ["other", "default"] {
        let mut batch = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
        writeln!(batch, "{}", json!({ "qid": 1, "text": SINGLETON })).unwrap();
        for args in [
            vec!["search", SINGLETON, "--tenant", tenant, "--json"],
            vec!["search", "--batch", batch.path().to_str().unwrap(), "--tenant", tenant, "--json"],
        ] {
            let output = door.test.command(&args).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            nothing(&String::from_utf8_lossy(&output.stdout));
        }
    }
    // Straight at the tables, in the role and the transaction of another tenant, and of none.
    let mut tx = door.test.app.db.tenant(&support::tenant("other")).await.unwrap();
    let mut nobody = door.test.app.db.system().await.unwrap();
    for table in ["knowledge", "tenant_knowledge", "knowledge_vectors", "knowledge_terms", "knowledge_symbols", "knowledge_changes"] {
        let sql = || sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(format!("select count(*) from {table} where tenant_id is not null")));
        assert_eq!(sql().fetch_one(tx.conn()).await.unwrap(), 0, "{table} leaks");
        assert_eq!(sql().fetch_one(nobody.conn()).await.unwrap(), 0, "{table} leaks to nobody");
    }
    // The function that looks into the index of everybody's words: with the very words, and with those that stand in the index.
    let mut own = door.test.app.db.tenant(&acme).await.unwrap();
    let words: Vec<i32> = sqlx::query_scalar("select lexemes from tenant_knowledge").fetch_one(own.conn()).await.unwrap();
    for (conn, of, seen) in [(own.conn(), "acme", 1), (tx.conn(), "other", 0), (nobody.conn(), "nobody", 0)] {
        let sql = "select count(*) from knowledge_own_words('error', $1, '{1:1}/536870912', 100, null, null, null, null)";
        assert_eq!(sqlx::query_scalar::<_, i64>(sql).bind(&words).fetch_one(conn).await.unwrap(), seen, "{of}");
    }
    let sql = "select knowledge_own_terms('acme', 'error', $1)::int8[] <> knowledge_own_terms('other', 'error', $1)::int8[]";
    assert!(sqlx::query_scalar::<_, bool>(sql).bind(&words).fetch_one(tx.conn()).await.unwrap(), "two tenants share an index entry");
}

/// The run of a search that was submitted over HTTP, once it has come to its end.
async fn searched(door: &Door, of: &str, payload: Value) -> Value {
    let (_, key) = keys::create(&door.test.app.db, &support::tenant(of), "test").await.unwrap();
    let jobs = format!("{}/jobs", door.base);
    let body = json!({ "kind": "search_knowledge", "payload": payload }).to_string();
    let response = Client::new().post(&jobs).bearer_auth(key.expose_secret()).body(body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let submitted: Value = response.json().await.unwrap();
    let url = format!("{jobs}/{}", submitted["run_id"].as_str().unwrap());
    support::until("the search ends", async || {
        let run: Value = Client::new().get(&url).bearer_auth(key.expose_secret()).send().await.unwrap().json().await.unwrap();
        ["done", "failed"].contains(&run["state"].as_str().unwrap()).then_some(run)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn search_jobs_see_what_their_tenant_sees() {
    let door = door().await;
    keep(&door.test, &support::tenant("acme"), &[known("secret-fix", SINGLETON, "The secret solution of acme.")]).await;
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (worker, stop) = (Worker::new(door.test.app.clone()), stop.clone());
        async move { worker.run(stop.cancelled_owned()).await }
    });
    let payload = json!({ "text": SINGLETON, "filters": { "doc_type": "errors" }, "limit": 5, "pack": 1000 });
    let own = searched(&door, "acme", payload.clone()).await;
    let result = &own["result"];
    assert_eq!((&own["state"], &result["results"][0]["ref"]), (&json!("done"), &json!("secret-fix")), "{own}");
    assert!(result["spans"][0]["text"].as_str().unwrap().contains("secret solution") && result["took_ms"].is_number(), "{own}");
    for payload in [payload, json!({ "text": "secret solution of acme" })] {
        let others = searched(&door, "other", payload).await;
        assert_eq!((&others["state"], &others["result"]["results"]), (&json!("done"), &json!([])), "{others}");
        assert!(!others.to_string().contains("secret-fix"), "{others}");
    }
    stop.cancel();
    working.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_a_search_job_is_refused() {
    let test = support::app(&[], |_| {}).await;
    for payload in [
        json!({}),
        json!({ "text": " \n" }),
        json!({ "text": "x".repeat(300_000) }),
        json!({ "text": "x", "limit": 0 }),
        json!({ "text": "x", "limit": 1_000_000 }),
        json!({ "text": "x", "pack": 1e9 }),
        json!({ "text": "x", "tenant": "acme" }),
        json!({ "text": "x", "filters": { "kind": "methods" } }),
        json!({ "text": "x", "filters": { "module": vec!["m"; 5_000] } }),
        json!({ "text": "x", "filters": { "version": "19" } }),
    ] {
        let job = Job { run_id: RunId::generate(), tenant: support::tenant("acme"), kind: JobKind::SearchKnowledge, payload };
        assert_eq!(test.app.submit(&job, None).await.unwrap_err().kind, FailureKind::BadInput, "{:.200}", job.payload.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_a_search_is_named() {
    let door = door().await;
    for (body, says) in [
        ("{".to_owned(), "must be"),
        (json!({ "text": "  " }).to_string(), "empty"),
        (json!({ "text": "x", "filters": { "doc_type": "cores" } }).to_string(), "cores"),
        (json!({ "text": "x", "filters": { "kind": "methods" } }).to_string(), "methods"),
        (json!({ "text": "x", "filters": { "modul": "sale" } }).to_string(), "modul"),
        (json!({ "text": "x", "filters": { "module": vec!["m"; 5_000] } }).to_string(), "5000"),
        (json!({ "text": "x", "limit": 0 }).to_string(), "limit"),
        (json!({ "text": "x", "limit": 1_000_000 }).to_string(), "limit"),
    ] {
        let (status, problem) = post(&door, "acme", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    let (status, _) = post(&door, "acme", json!({ "text": "x".repeat(600 * 1024) }).to_string()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    for text in [
        "\u{0}\u{1}' ; drop table runs; --",
        "🦀",
        "%s %(x)s {y}",
        &"a b ".repeat(50_000),
        "Traceback (most recent call last):\n  File \"",
        "《》没有",
    ] {
        let (status, answer) = post(&door, "acme", json!({ "text": text, "limit": 100 }).to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

#[tokio::test]
async fn batch_names_the_line_that_is_wrong() {
    let test = support::app(&[], |_| {}).await;
    let mut batch = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    writeln!(batch, "{}\n\n{{\"qid\": 2}}", json!({ "qid": 1, "text": "x" })).unwrap();
    let output = test.command(&["search", "--batch", batch.path().to_str().unwrap(), "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 3"), "{}", String::from_utf8_lossy(&output.stderr));
    let first: Value = serde_json::from_slice(output.stdout.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!((first["qid"].as_i64(), first["results"].as_array().map(Vec::len)), (Some(1), Some(0)));
}
