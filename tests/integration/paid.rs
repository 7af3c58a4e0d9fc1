//! Vectors that somebody else bills: whatever has them made, the tenant's account says so, and its limit holds.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use std::sync::Arc;

use odoo_agent::api;
use odoo_agent::config::Config;
use odoo_agent::domain::{Job, JobKind, RunId, TenantId};
use odoo_agent::knowledge::{Embedder, Filters, Knowledge, KnownError, Query};
use odoo_agent::tenants::{keys, usage};
use odoo_agent::worker::Worker;
use reqwest::Client;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::Row;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::embed::{Answer, Far, Purse, far, vectors};
use crate::support::{self, TestApp, tenant};

/// What an answer of ten tokens costs at a dollar a million.
const TEN: f64 = 10e-6;

/// An app over an embedder that bills.
struct Paid {
    test: TestApp,
    far: Arc<Far>,
}

async fn paid(script: Vec<Answer>, change: impl FnOnce(&mut Config)) -> Paid {
    let (far, embedder) = far(script).await;
    let base_url = embedder.base_url.clone().unwrap();
    let mut test = support::app(&[], |config| {
        config.knowledge.embedder = embedder;
        change(config);
    })
    .await;
    let own = [("KIND", "voyage"), ("BASE_URL", &base_url), ("DIMS", "2"), ("USD_PER_MILLION_TOKENS", "1.0")];
    test.env.extend(own.map(|(name, value)| (format!("ODOO_AGENT_KNOWLEDGE__EMBEDDER__{name}"), value.to_owned())));
    Paid { test, far }
}

/// A limit for the tenant `acme`.
fn limit(usd: f64) -> impl FnOnce(&mut Config) {
    move |config| config.tenants.get_mut(&tenant("acme")).unwrap().max_usd_per_day = usd
}

impl Paid {
    fn requests(&self) -> usize {
        self.far.seen.lock().unwrap().len()
    }

    /// What was charged to a tenant: steps with their dollars and whether a run pays, in their order.
    async fn charged(&self, of: &str) -> Vec<(String, f64, bool)> {
        let mut tx = self.test.app.db.tenant(&tenant(of)).await.unwrap();
        let rows = sqlx::query("select step, usd::float8, run_id is not null from usage order by at").fetch_all(tx.conn()).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    async fn spent(&self, of: &str) -> f64 {
        usage::spent_today(&self.test.app.db, &tenant(of)).await.unwrap()
    }

    /// Something to find and to embed, for both tenants.
    async fn keep(&self, of: &str, id: &str) {
        let text = format!("KeyError: 'pickup_{id}'");
        let error = KnownError { id: id.to_owned(), version: None, text, solution: "Ask for it.".to_owned() };
        self.test.app.knowledge.keep_errors(&tenant(of), &[error]).await.unwrap();
    }

    async fn door(&self) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/search", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(api::serve(self.test.app.clone(), listener, stop.clone().cancelled_owned()));
        let key = async |of: &str| keys::create(&self.test.app.db, &tenant(of), "test").await.unwrap().1.expose_secret().to_owned();
        Door { url, acme: key("acme").await, other: key("other").await, client: Client::new(), _stop: stop.drop_guard() }
    }
}

/// The API; stopped when dropped.
struct Door {
    url: String,
    acme: String,
    other: String,
    client: Client,
    _stop: DropGuard,
}

impl Door {
    async fn search(&self, key: &str, text: &str) -> Vec<Value> {
        let request = json!({ "text": text }).to_string();
        let answer = self.client.post(&self.url).bearer_auth(key).body(request).send().await.unwrap();
        let answer: Value = answer.error_for_status().unwrap().json().await.unwrap();
        answer["results"].as_array().unwrap().clone()
    }
}

fn near(charged: &[(String, f64, bool)], wanted: &[(&str, f64, bool)]) -> bool {
    charged.len() == wanted.len()
        && charged
            .iter()
            .zip(wanted)
            .all(|((step, usd, run), (name, dollars, of_run))| step.ends_with(name) && (usd - dollars).abs() < 1e-12 && run == of_run)
}

#[tokio::test(flavor = "multi_thread")]
async fn search_is_charged_to_who_asks() {
    let paid = paid(Vec::new(), |_| {}).await;
    let door = paid.door().await;
    paid.keep("acme", "first").await;
    assert!(!door.search(&door.acme, "what about pickup_first").await.is_empty());
    let charged = paid.charged("acme").await;
    assert!(near(&charged, &[("search/embed", TEN, false)]), "{charged:?}");
    assert!(!door.search(&door.acme, "what about pickup_first").await.is_empty());
    assert_eq!((paid.requests(), paid.charged("acme").await.len()), (1, 1), "the same search again is answered out of the cache");
    assert!(paid.charged("other").await.is_empty());
    door.search(&door.other, "what about pickup_first").await;
    door.search(&door.acme, "and pickup_second").await;
    assert!((paid.spent("acme").await - 2.0 * TEN).abs() < 1e-12 && (paid.spent("other").await - TEN).abs() < 1e-12);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_at_the_limit_is_answered_by_words() {
    // The first answer takes all but a little of it; what is left is less than the next may cost.
    let paid = paid(vec![(200, Vec::new(), vectors(1, 2, 495))], limit(500e-6)).await;
    let door = paid.door().await;
    paid.keep("acme", "first").await;
    assert!(!door.search(&door.acme, "pickup_first").await.is_empty());
    for text in ["where is pickup_first", "KeyError: 'pickup_first'", "where is pickup_first"] {
        let found = door.search(&door.acme, text).await;
        assert_eq!(found[0]["ref"], "first", "{text}");
    }
    assert_eq!(paid.requests(), 1, "nothing was asked of the embedder");
    assert!((paid.spent("acme").await - 495e-6).abs() < 1e-12);
    door.search(&door.other, "where is pickup_first").await;
    assert_eq!(paid.requests(), 2, "another tenant's money is its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_without_meaning_is_not_kept() {
    let database = support::database().await;
    let acme = tenant("acme");
    odoo_agent::tenants::ensure(&database.db, &acme).await.unwrap();
    let (far, config) = far(Vec::new()).await;
    let purse = Purse::with(0.0);
    let embedder = Embedder::open(&config, std::path::Path::new("/nowhere")).unwrap();
    let knowledge = Knowledge::new(database.db.clone(), embedder).paid_by(purse.clone());
    let query = Query { text: "where is the pickup".to_owned(), filters: Filters::default(), limit: 10 };
    knowledge.search(&acme, &query).await.unwrap();
    assert!(far.seen.lock().unwrap().is_empty());
    *purse.left.lock().unwrap() = 1.0;
    for _ in 0..2 {
        knowledge.search(&acme, &query).await.unwrap();
    }
    assert_eq!((far.seen.lock().unwrap().len(), purse.payments.lock().unwrap().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn useless_answers_are_billed_within_reason() {
    let script = [(1, 3, 10), (1, 2, u64::MAX), (3, 2, 20)];
    let paid = paid(script.map(|(count, dims, tokens)| (200, Vec::new(), vectors(count, dims, tokens))).into(), |_| {}).await;
    let door = paid.door().await;
    paid.keep("acme", "first").await;
    // A number of tokens that no text has: counted by its bytes, three a token.
    for (text, usd) in [("pickup_first of", TEN), ("pickup_first in", 5e-6), ("pickup_first at", 20e-6)] {
        let before = paid.spent("acme").await;
        assert_eq!(door.search(&door.acme, text).await[0]["ref"], "first");
        assert!((paid.spent("acme").await - before - usd).abs() < 1e-12, "{text}: {:?}", paid.charged("acme").await);
    }
    assert_eq!((paid.requests(), paid.charged("acme").await.len()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_wait_for_money() {
    let paid = paid(Vec::new(), limit(0.0)).await;
    for of in ["acme", "other"] {
        paid.keep(of, "first").await;
    }
    assert!(paid.test.app.embed_outcomes().await.unwrap() > 0, "the tenants after it do not wait with it");
    assert!(paid.charged("acme").await.is_empty());
    let charged = paid.charged("other").await;
    assert!(near(&charged, &[("outcomes/embed", TEN, false)]), "{charged:?}");
    assert_eq!(paid.test.app.embed_outcomes().await.unwrap(), 0);
    assert_eq!((paid.requests(), paid.charged("other").await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn search_of_a_job_is_charged_to_its_run() {
    let paid = paid(Vec::new(), |_| {}).await;
    let app = &paid.test.app;
    let stop = CancellationToken::new();
    let (worker, stopped) = (Worker::new(app.clone()), stop.clone());
    tokio::spawn(async move { worker.run(stopped.cancelled_owned()).await });
    let _stop = stop.drop_guard();
    let acme: TenantId = tenant("acme");
    let payload = json!({ "text": "where is the pickup" });
    let job = Job { run_id: RunId::generate(), tenant: acme.clone(), kind: JobKind::SearchKnowledge, payload };
    app.submit(&job, None).await.unwrap();
    let ended = support::until("the run to end", async || app.run(&acme, job.run_id).await.unwrap().filter(|run| run.state.is_final()));
    let cost = ended.await.cost;
    assert!((cost.usd - TEN).abs() < 1e-12 && cost.input_tokens == 10, "{cost:?}");
    let charged = paid.charged("acme").await;
    assert!(near(&charged, &[("search/embed/0", TEN, true)]), "{charged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_index_are_charged() {
    let paid = paid(Vec::new(), |_| {}).await;
    let dir = support::temp_dir();
    std::fs::create_dir_all(dir.path().join("addons/shop")).unwrap();
    std::fs::write(dir.path().join("addons/shop/__manifest__.py"), "{'name': 'Shop'}").unwrap();
    std::fs::write(dir.path().join("addons/shop/m.py"), "class Desk(models.Model):\n    _name = 'shop.desk'\n").unwrap();
    let errors = dir.path().join("errors.jsonl");
    std::fs::write(&errors, "{\"id\": \"a\", \"text\": \"KeyError: 'pickup'\", \"solution\": \"Ask.\"}\n").unwrap();
    let (addons, errors) = (dir.path().join("addons").display().to_string(), errors.display().to_string());
    let run = async |args: &[&str], limit: &str| {
        let mut command = paid.test.command(args);
        command.env("ODOO_AGENT_TENANTS__ACME__MAX_USD_PER_DAY", limit);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let sources = ["index", "custom", "--path", &addons, "--version", "19.0", "--tenant", "acme", "--json"];
    let known = ["index", "errors", "--path", &errors, "--tenant", "acme", "--json"];
    for args in [&sources[..], &known[..]] {
        let refused = run(args, "0").await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("max_usd_per_day"), "{said}");
    }
    assert!(paid.requests() == 0 && paid.charged("acme").await.is_empty());
    let report = support::json(&run(&sources, "1").await);
    assert!((report["usd"].as_f64().unwrap() - TEN).abs() < 1e-12, "{report}");
    support::json(&run(&known, "1").await);
    let searched = run(&["search", "where is the pickup", "--tenant", "acme", "--json"], "1").await;
    assert!(searched.status.success());
    let charged = paid.charged("acme").await;
    assert!(near(&charged, &[("index/embed", TEN, false), ("index/embed", TEN, false), ("search/embed", TEN, false)]), "{charged:?}");
    run(&["search", "where is the pickup", "--tenant", "nobody", "--json"], "1").await;
    assert_eq!(paid.requests(), 3, "who is not there has no money");
}
