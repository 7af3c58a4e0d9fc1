//! Who may have a patch written: the tenant's settings with the key's scope, or a person who has seen it. Never who only says so.

use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;
use odoo_agent::addons::{self, Folder};
use odoo_agent::api;
use odoo_agent::domain::{
    Applicability, Effect, ErrorReport, EventId, Evidence, FileChange, Grade, GroupId, Job, JobKind, Location, Loss, LossKind, Offer,
    Outcome, Patch, ProvenPatch, RunId, Scopes, Submitter, TenantId, Ticket,
};
use odoo_agent::odoo;
use odoo_agent::runs::groups::{self, Occurrence};
use odoo_agent::runs::{self, Claim};
use odoo_agent::tenants::keys::{self, KeyId, NewKey};
use odoo_agent::worker::Worker;
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::support::{self, TestApp};

/// An API over real servers, a tenant, and its addon with an error that is in a group.
struct Shop {
    test: TestApp,
    tenant: TenantId,
    report: ErrorReport,
    group: GroupId,
    addons: tempfile::TempDir,
    url: String,
    client: Client,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Shop {
    async fn open(may_apply: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (tenant, addons) = (support::tenant("acme"), support::addons(&["p_tree"]));
        let test = support::app(&[addons.path()], |config| config.tenants.get_mut(&tenant).unwrap().apply = may_apply).await;
        let report = odoo::reports(&support::log_of("p_tree")).remove(0);
        let event = EventId::generate();
        let occurrence = Occurrence { event, ordinal: 0, report: &report, kin: None, times: 1, received_at: Utc::now(), release: None };
        let mut tx = test.app.db.tenant(&tenant).await.unwrap();
        let group = groups::record(&mut tx, &occurrence).await.unwrap().group;
        tx.commit().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(api::serve(test.app.clone(), listener, stop.clone().cancelled_owned()));
        let guard = stop.clone().drop_guard();
        Self { test, tenant, report, group, addons, url, client: Client::new(), stop, _stop: guard }
    }

    /// A worker in this process.
    fn work(&self) {
        let (worker, stop) = (Worker::new(self.test.app.clone()), self.stop.clone());
        tokio::spawn(async move { worker.run(stop.cancelled_owned()).await });
    }

    async fn key_of(&self, tenant: &str, scopes: &str) -> (Uuid, String) {
        let new = NewKey::named("test").with_scopes(scopes.parse::<Scopes>().unwrap());
        let (id, secret) = keys::create(&self.test.app.db, &support::tenant(tenant), new).await.unwrap();
        (id.0, secret.expose_secret().to_owned())
    }

    async fn key(&self, scopes: &str) -> (Uuid, String) {
        self.key_of("acme", scopes).await
    }

    async fn post(&self, key: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(key).body(body.to_string());
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    fn view(&self) -> PathBuf {
        self.addons.path().join("p_tree/v.xml")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.view()).unwrap()
    }

    fn patch(&self) -> Patch {
        let before = self.text();
        let change = FileChange {
            path: "p_tree/v.xml".parse().unwrap(),
            after: before.replace("<tree>", "<list>").replace("</tree>", "</list>"),
            before: Some(before),
        };
        Patch::new(vec![change]).unwrap()
    }

    fn tested(&self, patch: &Patch) -> String {
        addons::tested(&Folder::open(self.addons.path()).unwrap().read(&"p_tree".parse().unwrap()).unwrap(), patch)
    }

    /// What an automatic fix is written by.
    fn apply(&self) -> Effect {
        let patch = self.patch();
        let evidence = Evidence { grade: Grade::Proven, applicability: Applicability::Safe, ..Evidence::default() };
        let (root, tested) = (self.addons.path().to_owned(), self.tested(&patch));
        Effect::Apply { root, proven: Box::new(ProvenPatch::new(patch, evidence).unwrap()), tested, otherwise: ticket() }
    }

    /// A run, asked for by somebody, that ends with these effects; its result.
    async fn settled(&self, by: Submitter, payload: Value, effects: Vec<Effect>, more: Value) -> (RunId, Value) {
        let job = Job { run_id: RunId::generate(), tenant: self.tenant.clone(), kind: JobKind::DebugError, payload };
        let group = matches!(by, Submitter::Event).then_some(self.group);
        let db = &self.test.app.db;
        let mut tx = db.tenant(&self.tenant).await.unwrap();
        assert!(runs::insert_as(&mut tx, &job, None, group, by).await.unwrap());
        tx.commit().await.unwrap();
        (job.run_id, self.end(&job, effects, more).await)
    }

    async fn end(&self, job: &Job, effects: Vec<Effect>, more: Value) -> Value {
        let claimed = runs::claim(&self.test.app.db, job, "w", Duration::from_secs(60)).await.unwrap();
        let Claim::Granted { token, .. } = claimed else { panic!("it is held") };
        let error = json!({ "class": self.report.class, "fingerprint": self.report.fingerprint });
        let mut result = json!({
            "run_id": job.run_id, "outcome": "fixed", "applicability": "safe", "grade": "proven", "source": "rule:x", "origin": null,
            "patch": "diff", "error": error, "losses": [], "applied": null, "not_applied": null,
        });
        result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.test.app.settle(job, token, &Outcome { result, effects, next: Vec::new() }).await.unwrap()
    }

    /// A run of the group that proposes a patch with a loss; the digest of the patch, and what it loses.
    async fn proposed(&self) -> (RunId, String, Value) {
        let loss = Loss {
            kind: LossKind::Node,
            place: Location { path: "p_tree/v.xml".to_owned(), line: Some(7) },
            what: "the tree is gone".to_owned(),
        };
        let patch = self.patch();
        let evidence = Evidence { grade: Grade::Consistent, losses: vec![loss], ..Evidence::default() };
        let tested = self.tested(&patch);
        let offer = Offer { root: self.addons.path().to_owned(), patch, evidence, tested };
        let (digest, losses) = (offer.digest().to_string(), json!(offer.evidence.losses));
        let more = json!({ "outcome": "proposed", "grade": "consistent", "applicability": "unsafe", "losses": losses, "digest": digest });
        let payload = json!({ "report": self.report, "group": self.group });
        let effects = vec![Effect::Offer(Box::new(offer)), Effect::Ticket(ticket())];
        let (run, _) = self.settled(Submitter::Event, payload, effects, more).await;
        (run, digest, losses)
    }

    async fn fingerprints(&self) -> Vec<String> {
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        let asked = "select distinct payload -> 'report' ->> 'fingerprint' from runs where payload ? 'report'";
        sqlx::query_scalar(asked).fetch_all(tx.conn()).await.unwrap()
    }
}

fn ticket() -> Ticket {
    Ticket { title: "t".to_owned(), body: "b".to_owned(), evidence: Value::Null, patch: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn payload_and_settings_do_not_let_a_key_without_the_scope_write() {
    let shop = Shop::open(true).await;
    let untouched = shop.text();
    let (plain, _) = shop.key("ingest,read,run").await;
    let (revoked, _) = shop.key("run,apply").await;
    keys::revoke(&shop.test.app.db, &shop.tenant, KeyId(revoked)).await.unwrap();
    let (expired, _) = shop.key("run,apply").await;
    keys::rotate(&shop.test.app.db, &shop.tenant, KeyId(expired), Duration::ZERO).await.unwrap().unwrap();
    let all = [
        (Submitter::Key(plain), json!({ "log": "x", "apply": true }), "scope `apply`"),
        (Submitter::Key(revoked), json!({ "log": "x" }), "revoked"),
        (Submitter::Key(expired), json!({ "log": "x" }), "expired"),
        (Submitter::Queue, json!({ "log": "x", "apply": true }), "straight from the queue"),
        (Submitter::Event, json!({ "log": "x", "apply": false }), "`apply: false`"),
        (Submitter::Operator, json!({ "log": "x", "apply": false }), "nobody asked"),
    ];
    for (by, payload, says) in all {
        let (_, result) = shop.settled(by, payload, vec![shop.apply()], json!({})).await;
        assert!(result["applied"].is_null() && result["not_applied"].as_str().unwrap().contains(says), "{by:?}: {result:#}");
        assert_eq!((&result["outcome"], result["ticket"]["id"].is_string()), (&json!("fixed"), true), "{by:?}: {result:#}");
        assert_eq!(shop.text(), untouched, "{by:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_alone_stop_every_payload() {
    let shop = Shop::open(false).await;
    let untouched = shop.text();
    let (may, _) = shop.key("run,apply").await;
    for by in [Submitter::Key(may), Submitter::Event, Submitter::Queue] {
        let (_, result) = shop.settled(by, json!({ "log": "x", "apply": true }), vec![shop.apply()], json!({})).await;
        assert!(result["not_applied"].as_str().unwrap().contains("tenants.acme.apply"), "{by:?}: {result:#}");
        assert_eq!(shop.text(), untouched, "{by:?}");
    }
    // The operator needs no settings.
    let (_, result) = shop.settled(Submitter::Operator, json!({ "log": "x", "apply": true }), vec![shop.apply()], json!({})).await;
    assert!(result["applied"].is_object() && shop.text() != untouched, "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_with_the_scope_writes_where_the_settings_allow_it() {
    let shop = Shop::open(true).await;
    let (may, _) = shop.key("run,apply").await;
    let (_, result) = shop.settled(Submitter::Key(may), json!({ "log": "x" }), vec![shop.apply()], json!({})).await;
    assert!(result["applied"].is_object() && shop.text().contains("<list>"), "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_names_a_run_of_the_operator_gets_nothing_of_it() {
    let shop = Shop::open(true).await;
    let untouched = shop.text();
    let asked = json!({ "log": support::log_of("p_nameerr"), "apply": true });
    let job = Job { run_id: RunId::generate(), tenant: shop.tenant.clone(), kind: JobKind::DebugError, payload: asked };
    let mut tx = shop.test.app.db.tenant(&shop.tenant).await.unwrap();
    runs::insert_as(&mut tx, &job, None, None, Submitter::Operator).await.unwrap();
    tx.commit().await.unwrap();
    runs::mark_published(&shop.test.app.db, &job.tenant, job.run_id).await.unwrap();
    let forged = Job { payload: json!({ "log": support::log_of("p_tree"), "apply": true }), ..job.clone() };
    let result = shop.end(&forged, vec![shop.apply()], json!({})).await;
    assert!(result["applied"].is_null() && result["not_applied"].is_string(), "{result:#}");
    assert_eq!(shop.text(), untouched);

    // A worker does what the row says, whatever the message holds.
    let other = Job { run_id: RunId::generate(), ..job.clone() };
    let mut tx = shop.test.app.db.tenant(&shop.tenant).await.unwrap();
    runs::insert_as(&mut tx, &other, None, None, Submitter::Operator).await.unwrap();
    tx.commit().await.unwrap();
    runs::mark_published(&shop.test.app.db, &other.tenant, other.run_id).await.unwrap();
    shop.test.app.queue.publish_job(&Job { run_id: other.run_id, ..forged }, None).await.unwrap();
    shop.work();
    let result = support::until("the run to end", async || {
        let view = shop.test.app.run(&shop.tenant, other.run_id).await.unwrap().unwrap();
        view.state.is_final().then(|| view.result.unwrap())
    })
    .await;
    assert_eq!(result["error"]["class"], "name_undefined", "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_fingerprints_are_recomputed_at_every_door() {
    let shop = Shop::open(false).await;
    let (_, key) = shop.key("ingest,read,run").await;
    let forged = |n: u32| {
        let mut report = json!(shop.report);
        report["fingerprint"] = json!(format!("{n:032x}"));
        json!({ "report": report, "module": "nothing_of_this_name" })
    };
    for n in 0..11 {
        let (status, accepted) = shop.post(&key, "/v1/jobs", &json!({ "kind": "debug_error", "payload": forged(n) })).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    }
    let run_id = RunId::generate();
    let straight = Job { run_id, tenant: shop.tenant.clone(), kind: JobKind::DebugError, payload: forged(11) };
    shop.test.app.queue.publish_job(&straight, None).await.unwrap();
    shop.work();
    let result = support::until("the job from the queue to end", async || {
        let view = shop.test.app.run(&shop.tenant, run_id).await.unwrap()?;
        view.state.is_final().then(|| view.result.unwrap())
    })
    .await;
    assert_eq!(result["error"]["fingerprint"], json!(shop.report.fingerprint), "{result:#}");
    assert_eq!(shop.fingerprints().await, [shop.report.fingerprint.to_string()], "twelve errors are one");
}

#[tokio::test(flavor = "multi_thread")]
async fn report_that_cannot_be_read_leaves_no_ticket() {
    let shop = Shop::open(false).await;
    let (_, key) = shop.key("run").await;
    let report = json!({ "fingerprint": "0".repeat(32), "class": "view_type_tree", "title": "x" });
    let (status, problem) = shop.post(&key, "/v1/jobs", &json!({ "kind": "debug_error", "payload": { "report": report } })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("/report"), "{problem}");
    assert_eq!(shop.fingerprints().await, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn proposal_is_written_once_a_person_accepts_it() {
    let shop = Shop::open(false).await;
    let (run, digest, losses) = shop.proposed().await;
    let (untouched, path) = (shop.text(), format!("/v1/jobs/{run}/approve"));
    let body = json!({ "digest": digest, "losses": losses });
    let (person, approve) = shop.key("read,approve").await;
    let (_, plain) = shop.key("ingest,read,run,apply,admin").await;
    let (_, stranger) = shop.key_of("other", "approve").await;

    let refused = async |key: &str, body: &Value, status: StatusCode, says: &str| {
        let (found, problem) = shop.post(key, &path, body).await;
        assert_eq!(found, status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
        assert_eq!(shop.text(), untouched);
    };
    refused(&plain, &body, StatusCode::FORBIDDEN, "`approve`").await;
    refused(&stranger, &body, StatusCode::NOT_FOUND, "no such run").await;
    refused(&approve, &json!({ "digest": "0".repeat(64), "losses": losses }), StatusCode::CONFLICT, &digest).await;
    refused(&approve, &json!({ "digest": digest }), StatusCode::CONFLICT, "`losses`").await;
    refused(&approve, &json!({ "digest": digest, "losses": [] }), StatusCode::CONFLICT, "the tree is gone").await;
    refused(&approve, &json!({ "digest": "x", "losses": [] }), StatusCode::BAD_REQUEST, "hexadecimal").await;
    refused(&approve, &json!({ "losses": [] }), StatusCode::BAD_REQUEST, "digest").await;

    let (status, done) = shop.post(&approve, &path, &body).await;
    assert_eq!((status, &done["duplicate"], &done["approved"]["key"]), (StatusCode::OK, &json!(false), &json!(person)), "{done:#}");
    assert!(shop.text().contains("<list>"));
    assert_eq!(std::fs::read_to_string(shop.view().with_file_name("v.xml.bak")).unwrap(), untouched);
    let result = shop.test.app.run(&shop.tenant, run).await.unwrap().unwrap().result.unwrap();
    assert_eq!((&result["outcome"], &result["approved"]["digest"]), (&json!("proposed"), &json!(digest)), "{result:#}");
    let group = shop.test.app.group(&shop.tenant, shop.group).await.unwrap().unwrap();
    assert_eq!(group.state, "fixed");
    let mut tx = shop.test.app.db.tenant(&shop.tenant).await.unwrap();
    let audited: Vec<(String, String, Value)> =
        sqlx::query_as("select actor, subject, detail from audit where action = 'fix.approved'").fetch_all(tx.conn()).await.unwrap();
    let [(actor, subject, detail)] = audited.as_slice() else { panic!("{audited:?}") };
    assert_eq!((actor, subject, &detail["approved"]["digest"]), (&format!("key {person}"), &run.to_string(), &json!(digest)));
    let announced: Vec<(String,)> =
        sqlx::query_as("select actor from audit where action = 'fix.approving'").fetch_all(tx.conn()).await.unwrap();
    assert_eq!(announced, [(format!("key {person}"),)], "told before the first file was written");
    let open: i64 = sqlx::query_scalar("select count(*) from tickets where state = 'open'").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(open, 0, "nobody has to look at it any more");
    drop(tx);

    let (status, again) = shop.post(&approve, &path, &body).await;
    assert_eq!((status, &again["duplicate"], &again["applied"]), (StatusCode::OK, &json!(true), &done["applied"]), "{again:#}");
    shop.test.app.roll_back(&shop.tenant, run, odoo_agent::app::Actor::Operator).await.unwrap();
    assert_eq!(shop.text(), untouched, "what was approved is taken back like any other");
    refused(&approve, &body, StatusCode::CONFLICT, "taken back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_of_sources_that_have_changed_is_refused() {
    let shop = Shop::open(false).await;
    let (run, digest, losses) = shop.proposed().await;
    let (_, approve) = shop.key("approve").await;
    let body = json!({ "digest": digest, "losses": losses });
    // Another file of the addon, then the one that the patch changes.
    let beside = shop.addons.path().join("p_tree/new.py");
    std::fs::write(&beside, "x = 1\n").unwrap();
    let (status, problem) = shop.post(&approve, &format!("/v1/jobs/{run}/approve"), &body).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    std::fs::remove_file(&beside).unwrap();
    std::fs::write(shop.view(), "<odoo/>").unwrap();
    let (status, problem) = shop.post(&approve, &format!("/v1/jobs/{run}/approve"), &body).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("changed"), "{problem}");
    assert_eq!(shop.text(), "<odoo/>");
}

#[tokio::test(flavor = "multi_thread")]
async fn folder_outside_the_settings_is_for_the_operator_alone() {
    let shop = Shop::open(false).await;
    let (run, digest, losses) = shop.proposed().await;
    // The run was one of `fix`, in a folder that the person at the keyboard named.
    let mut tx = shop.test.app.db.tenant(&shop.tenant).await.unwrap();
    let elsewhere = support::addons(&["p_tree"]);
    sqlx::query("update runs set outcome = jsonb_set(outcome, '{effects,0,offer,root}', $2) where id = $1")
        .bind(run.0)
        .bind(json!(elsewhere.path()))
        .execute(tx.conn())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let (_, approve) = shop.key("approve").await;
    let (status, problem) = shop.post(&approve, &format!("/v1/jobs/{run}/approve"), &json!({ "digest": digest, "losses": losses })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("settings"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_sees_a_patch_before_it_is_accepted() {
    let shop = Shop::open(false).await;
    let (run, digest, _) = shop.proposed().await;
    let untouched = shop.text();
    let page = shop.test.app.tickets(&shop.tenant, &odoo_agent::app::TicketFilter::default()).await.unwrap();
    let ticket = page.tickets[0].id.to_string();
    let approve = async |args: &[&str]| {
        let mut command = shop.test.command(&[&["approve", "--tenant", "acme"], args].concat());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let seen = approve(&[&ticket]).await;
    let text = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert_eq!(seen.status.code(), Some(1), "{text}");
    let hint = format!("odoo-agent approve {run} --digest {digest} --accept-losses");
    assert!(text.contains("the tree is gone") && text.contains("consistent") && text.contains(&hint), "{text}");
    let bare = approve(&[&run.to_string(), "--digest", &digest]).await;
    assert_eq!(bare.status.code(), Some(2), "{}", String::from_utf8_lossy(&bare.stderr));
    assert_eq!(shop.text(), untouched);
    let done = support::json(&approve(&[&run.to_string(), "--digest", &digest, "--accept-losses", "--json"]).await);
    assert_eq!((&done["approved"]["by"], &done["applied"]["files"]), (&json!("operator"), &json!(["p_tree/v.xml"])), "{done:#}");
    assert!(shop.text().contains("<list>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn fix_of_a_submitted_job_waits_for_its_approval() {
    let shop = Shop::open(false).await;
    let untouched = shop.text();
    let (_, key) = shop.key("read,run,apply").await;
    let (_, person) = shop.key("approve").await;
    let payload = json!({ "log": support::log_of("p_tree"), "odoo_version": "19.0", "apply": true });
    let (status, accepted) = shop.post(&key, "/v1/jobs", &json!({ "kind": "debug_error", "payload": payload })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    shop.work();
    let run: RunId = accepted["run_id"].as_str().unwrap().parse().unwrap();
    let result = support::until("the run to end", async || {
        let view = shop.test.app.run(&shop.tenant, run).await.unwrap().unwrap();
        view.state.is_final().then(|| view.result.unwrap())
    })
    .await;
    assert_eq!((&result["outcome"], &result["grade"], &result["applied"]), (&json!("fixed"), &json!("proven"), &Value::Null), "{result:#}");
    assert!(result["not_applied"].as_str().unwrap().contains("tenants.acme.apply"), "{result:#}");
    assert_eq!(shop.text(), untouched);
    let path = format!("/v1/tickets/{}/approve", result["ticket"]["id"].as_str().unwrap());
    let (status, done) = shop.post(&person, &path, &json!({ "digest": result["digest"] })).await;
    assert_eq!((status, &done["run_id"]), (StatusCode::OK, &json!(run)), "{done:#}");
    assert!(shop.text().contains("<list"), "{}", shop.text());
}
