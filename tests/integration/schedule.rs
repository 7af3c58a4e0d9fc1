//! The cron table and the jobs that it submits: each tick once, and only what its tenant may index.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use chrono::{DateTime, Utc};
use odoo_agent::app::App;
use odoo_agent::config::Config;
use odoo_agent::domain::{FailureKind, Job, JobKind, RunId, RunState};
use odoo_agent::knowledge::SourceSettings;
use odoo_agent::runs::RunView;
use odoo_agent::scheduler::{Scheduler, Table};
use odoo_agent::worker::Worker;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{self, tenant};

const TABLE: &str = "[[job]]\nname = 'hourly'\ncron = '0 * * * *'\nkind = 'reindex'\npayload = { source = 'shop' }\ntenant = 'acme'\nmissed = 'once'\n\
                     [[job]]\nname = 'unknown'\ncron = '0 * * * *'\nkind = 'reindex'\npayload = { source = 'nowhere' }\ntenant = 'acme'\nmissed = 'once'\n";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn folder(settings: &str, path: &std::path::Path) -> SourceSettings {
    toml::from_str(&format!("from = 'folder'\nversions = ['19.0']\npath = '{}'\n{settings}", path.display())).unwrap()
}

/// Settings with a source of everybody's and one of acme's.
fn sources(path: &std::path::Path) -> impl FnOnce(&mut Config) {
    let (shop, shared) = (folder("doc_type = 'custom'\ntenant = 'acme'", path), folder("doc_type = 'oca'", path));
    move |config| {
        config.knowledge.sources.insert("shop".to_owned(), shop);
        config.knowledge.sources.insert("shared".to_owned(), shared);
    }
}

fn addon() -> tempfile::TempDir {
    let dir = support::temp_dir();
    std::fs::create_dir(dir.path().join("shop")).unwrap();
    std::fs::write(dir.path().join("shop/__manifest__.py"), "{'name': 'Shop'}").unwrap();
    dir
}

#[tokio::test]
async fn two_schedulers_fire_each_tick_once() {
    let dir = addon();
    let app = support::app(&[], sources(dir.path())).await.app;
    let since = at("2026-11-28T10:30:00Z");
    let scheduler = || Scheduler::new(TABLE.parse::<Table>().unwrap(), since);
    let (mut one, mut two) = (scheduler(), scheduler());
    let nothing = at("2026-11-28T10:59:59Z");
    assert_eq!(one.tick(&app, nothing).await, 0);
    let tick = at("2026-11-28T11:00:10Z");
    let (first, second) = tokio::join!(one.tick(&app, tick), two.tick(&app, tick));
    assert_eq!(first + second, 1, "a source that nobody has is left out");
    assert_eq!(one.tick(&app, tick).await, 0);
    // One that starts later makes up for the latest of the hours that nobody saw, and only for that.
    let later = at("2026-11-28T15:20:00Z");
    assert_eq!(scheduler().tick(&app, later).await, 1);
    assert_eq!(one.tick(&app, later).await + two.tick(&app, later).await, 0);
}

const EVERYBODY: &str =
    "[[job]]\nname = 'tickets'\ncron = '0 * * * *'\nkind = 'reindex'\npayload = { source = 'tickets' }\ntenant = '*'\nmissed = 'once'\n";

#[tokio::test]
async fn every_tenant_gets_its_own_run() {
    let mut app = support::app(&[], |_| {}).await.app;
    // One that the settings name and the database refuses: there is no such tenant in it.
    let mut config = (*app.config).clone();
    config.tenants.entry(tenant("absent")).or_default();
    // The operator is one of them even where the settings do not name it.
    assert!(config.tenants.remove(&config.operator).is_some());
    app.config = std::sync::Arc::new(config);
    let scheduler = || Scheduler::new(EVERYBODY.parse::<Table>().unwrap(), at("2026-11-28T10:30:00Z"));
    let (mut one, mut two) = (scheduler(), scheduler());
    let tick = at("2026-11-28T11:00:10Z");
    let (first, second) = tokio::join!(one.tick(&app, tick), two.tick(&app, tick));
    assert_eq!(first + second, 3, "acme, default and other; who is refused keeps nobody from theirs");
    for of in ["acme", "default", "other"] {
        let mut tx = app.db.tenant(&tenant(of)).await.unwrap();
        let payloads: Vec<Value> = sqlx::query_scalar("select payload from runs").fetch_all(tx.conn()).await.unwrap();
        assert_eq!(payloads, [json!({ "source": "tickets" })], "{of}");
    }
    assert_eq!(one.tick(&app, tick).await + scheduler().tick(&app, tick).await, 0);
    assert_eq!(two.tick(&app, at("2026-11-28T12:00:10Z")).await, 3, "the next tick is another");
}

/// The run of a job, once it has come to its end.
async fn ended(app: &App, of: &str, payload: Value) -> RunView {
    let job = Job { run_id: RunId::generate(), tenant: tenant(of), kind: JobKind::Reindex, payload };
    app.submit(&job, None).await.unwrap();
    support::until("the run ends", async || app.run(&job.tenant, job.run_id).await.unwrap().filter(|run| run.state.is_final())).await
}

#[tokio::test]
async fn tenants_reindex_only_their_own() {
    let dir = addon();
    let app = support::app(&[], sources(dir.path())).await.app;
    let stop = CancellationToken::new();
    let worker = Worker::new(app.clone());
    let working = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop.cancelled_owned()).await }
    });
    let own = ended(&app, "acme", json!({ "source": "shop" })).await;
    assert_eq!(own.state, RunState::Done, "{own:?}");
    let report = &own.result.unwrap()["reports"][0];
    assert_eq!((&report["doc_type"], &report["files"]["new"]), (&json!("custom"), &json!(1)));
    let shared = ended(&app, "default", json!({ "source": "shared" })).await;
    assert_eq!(shared.state, RunState::Done, "{shared:?}");
    for (of, source) in [("other", "shop"), ("default", "shop"), ("acme", "shared"), ("acme", "core"), ("acme", "nowhere")] {
        let refused = ended(&app, of, json!({ "source": source })).await;
        assert_eq!(refused.state, RunState::Failed, "{of} {source}");
        assert!(refused.error.unwrap().contains("no source that"), "one that is another's is as unknown as one that is not there");
    }
    let wrong_series = ended(&app, "acme", json!({ "source": "shop", "version": "18.0" })).await;
    assert_eq!(wrong_series.state, RunState::Failed);
    stop.cancel();
    working.await.unwrap();
}

#[tokio::test]
async fn jobs_cannot_name_folders() {
    let app = support::app(&[], |_| {}).await.app;
    for payload in [
        json!({ "source": "../etc" }),
        json!({ "source": "/etc" }),
        json!({ "source": "x", "path": "/etc" }),
        json!({ "source": "x", "url": "https://example.org" }),
        json!({}),
    ] {
        let job = Job { run_id: RunId::generate(), tenant: tenant("acme"), kind: JobKind::Reindex, payload };
        assert_eq!(app.submit(&job, None).await.unwrap_err().kind, FailureKind::BadInput, "{:?}", job.payload);
    }
}

#[tokio::test]
async fn tickets_become_knowledge_of_their_tenant() {
    let app = support::app(&[], |_| {}).await.app;
    let acme = tenant("acme");
    let job = Job { run_id: RunId::generate(), tenant: acme.clone(), kind: JobKind::DebugError, payload: json!({ "log": "x" }) };
    let mut tx = app.db.tenant(&acme).await.unwrap();
    odoo_agent::runs::insert(&mut tx, &job, None, None).await.unwrap();
    let ticket = odoo_agent::domain::Ticket {
        title: "KeyError in the pickup".to_owned(),
        body: "look".to_owned(),
        evidence: json!({}),
        patch: None,
    };
    odoo_agent::tickets::postgres::file(&mut tx, job.run_id, &ticket).await.unwrap();
    tx.commit().await.unwrap();
    let index = async |of: &odoo_agent::domain::TenantId| app.knowledge.index_tickets(of, std::sync::Arc::new(|_| {})).await;
    assert_eq!(index(&acme).await.unwrap(), 1);
    assert_eq!(index(&acme).await.unwrap(), 0, "it is there already");
    assert_eq!(index(&tenant("other")).await.unwrap(), 0);
}
