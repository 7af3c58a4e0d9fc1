//! What a run has written, taken back.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use std::path::Path;
use std::process::Output;

use chrono::Utc;
use odoo_agent::addons::{self, Folder};
use odoo_agent::app::{Actor, Rollback};
use odoo_agent::domain::{
    Applicability, Effect, ErrorReport, EventId, Evidence, FileChange, Grade, GroupId, Job, JobKind, Lesson, Outcome, Patch, ProvenPatch,
    RunId, Source, TenantId, Ticket,
};
use odoo_agent::odoo;
use odoo_agent::runs::groups::{self, Occurrence};
use odoo_agent::runs::{self, Claim};
use serde_json::{Value, json};

use crate::support::{self, TestApp};

async fn run(app: &TestApp, args: &[&str]) -> Output {
    let mut command = app.command(args);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file());
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())).collect();
    files.sort();
    files
}

#[tokio::test]
async fn applied_fix_is_taken_back_once() {
    let app = support::app(&[], |_| {}).await.with_threshold(0.5);
    let addons = support::addons(&["p_tree"]);
    let folder = addons.path().join("p_tree");
    let untouched = files(&folder);
    let log = support::fixture("logs/p_tree.log");
    let fix = ["fix", "--json", "--apply", "--log", log.to_str().unwrap(), "--addons", addons.path().to_str().unwrap()];
    let result = support::json(&run(&app, &fix).await);
    assert!(result["applied"].is_object(), "{result:#}");
    let id = result["run_id"].as_str().unwrap();
    let applied = files(&folder);

    // Somebody works on the file: nothing is touched.
    let view = folder.join("v.xml");
    std::fs::write(&view, std::fs::read_to_string(&view).unwrap() + "<!-- mine -->\n").unwrap();
    let refused = run(&app, &["rollback", id]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("p_tree/v.xml was changed after the fix was applied"), "{said}");
    assert!(std::fs::read_to_string(&view).unwrap().ends_with("<!-- mine -->\n") && folder.join("v.xml.bak").exists());
    std::fs::write(&view, &applied.iter().find(|(name, _)| name == "v.xml").unwrap().1).unwrap();

    let done = run(&app, &["rollback", id, "--json"]).await;
    let shown = support::json(&done);
    assert_eq!((done.status.code(), &shown["restored"]), (Some(0), &json!(["p_tree/v.xml"])), "{shown:#}");
    assert_eq!(files(&folder), untouched);
    let again = run(&app, &["rollback", id]).await;
    assert_eq!(again.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&again.stdout).contains("was rolled back already"), "{again:?}");
    let status = run(&app, &["status", id]).await;
    assert_eq!(status.status.code(), Some(1), "what was taken back is not fixed");
    assert!(String::from_utf8_lossy(&status.stdout).contains("rolled back"), "{status:?}");

    // It counts against whoever made it, and is not written a second time by a machine.
    let again = support::json(&run(&app, &fix).await);
    assert_eq!((&again["outcome"], &again["confidence_counts"]["rolled_back"]), (&json!("fixed"), &json!(1)), "{again:#}");
    assert!(again["not_applied"].as_str().unwrap().contains(id), "{again:#}");
    assert_eq!(files(&folder), untouched);
}

#[tokio::test]
async fn run_that_wrote_nothing_cannot_be_taken_back() {
    let shop = Shop::open().await;
    let wrong = |output: Output, word: &str| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(word), "{said}");
    };
    wrong(run(&shop.test, &["rollback", &RunId::generate().to_string(), "--tenant", "acme"]).await, "no run");
    let ended = shop.settled(Vec::new()).await;
    wrong(run(&shop.test, &["rollback", &ended.to_string(), "--tenant", "acme"]).await, "has written nothing");
    wrong(run(&shop.test, &["rollback", &ended.to_string(), "--tenant", "other"]).await, "no run");
}

struct Shop {
    test: TestApp,
    tenant: TenantId,
    report: ErrorReport,
    group: GroupId,
    addons: tempfile::TempDir,
}

impl Shop {
    /// A tenant whose error is in a group.
    async fn open() -> Self {
        let tenant = support::tenant("acme");
        let test = support::app(&[], |config| config.tenants.get_mut(&tenant).unwrap().apply = true).await;
        let report = odoo::reports(&support::log_of("p_tree")).remove(0);
        let event = EventId::generate();
        let occurrence = Occurrence { event, ordinal: 0, report: &report, kin: None, times: 1, received_at: Utc::now(), release: None };
        let mut tx = test.app.db.tenant(&tenant).await.unwrap();
        let group = groups::record(&mut tx, &occurrence).await.unwrap().group;
        tx.commit().await.unwrap();
        Self { test, tenant, report, group, addons: support::addons(&["p_tree"]) }
    }

    /// A fix that changes one file and creates another.
    fn apply(&self) -> Effect {
        let module = "p_tree".parse().unwrap();
        let addon = Folder::open(self.addons.path()).unwrap().read(&module).unwrap();
        let before = std::fs::read_to_string(self.addons.path().join("p_tree/v.xml")).unwrap();
        let change = FileChange {
            path: "p_tree/v.xml".parse().unwrap(),
            after: before.replace("<tree>", "<list>").replace("</tree>", "</list>"),
            before: Some(before),
        };
        let made = FileChange { path: "p_tree/security/b.csv".parse().unwrap(), before: None, after: "x\n".to_owned() };
        let patch = Patch::new(vec![change, made]).unwrap();
        let evidence = Evidence { grade: Grade::Proven, applicability: Applicability::Safe, ..Evidence::default() };
        let tested = addons::tested(&addon, &patch);
        let otherwise = Ticket { title: "t".to_owned(), body: "b".to_owned(), evidence: Value::Null, patch: None };
        let proven = Box::new(ProvenPatch::new(patch, evidence).unwrap());
        Effect::Apply { root: self.addons.path().to_owned(), proven, tested, otherwise }
    }

    /// A run for the group that has ended with these effects.
    async fn settled(&self, effects: Vec<Effect>) -> RunId {
        let payload = json!({ "report": self.report, "group": self.group });
        let job = Job { run_id: RunId::generate(), tenant: self.tenant.clone(), kind: JobKind::DebugError, payload };
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        runs::insert(&mut tx, &job, None, Some(self.group)).await.unwrap();
        tx.commit().await.unwrap();
        let lease = std::time::Duration::from_secs(60);
        let Claim::Granted { token, .. } = runs::claim(&self.test.app.db, &job, "w", lease).await.unwrap() else { panic!("it is held") };
        let error = json!({ "class": self.report.class, "fingerprint": self.report.fingerprint });
        let result = json!({
            "outcome": "fixed", "applicability": "safe", "grade": "proven", "source": "rule:x", "origin": null, "patch": "diff", "error": error,
        });
        self.test.app.settle(&job, token, &Outcome { result, effects, next: Vec::new() }).await.unwrap();
        job.run_id
    }

    async fn state(&self) -> (String, i32) {
        let group = self.test.app.group(&self.tenant, self.group).await.unwrap().unwrap();
        (group.state, group.openings)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn group_is_open_again_and_the_rollback_is_audited() {
    let shop = Shop::open().await;
    let folder = shop.addons.path().join("p_tree");
    let untouched = files(&folder);
    let run = shop.settled(vec![shop.apply()]).await;
    assert_eq!(shop.state().await, ("fixed".to_owned(), 1));
    assert!(folder.join("security/b.csv").exists());

    let done = shop.test.app.roll_back(&shop.tenant, run, Actor::Operator).await.unwrap();
    let Rollback::Done(done) = done else { panic!("{done:?}") };
    assert_eq!((done.restored.len(), done.removed.len()), (1, 1));
    assert_eq!(files(&folder), untouched);
    assert!(!folder.join("security").exists());
    assert_eq!(shop.state().await, ("open".to_owned(), 2));
    let again = shop.test.app.roll_back(&shop.tenant, run, Actor::Operator).await.unwrap();
    assert!(matches!(again, Rollback::Before(_)), "{again:?}");

    let mut tx = shop.test.app.db.tenant(&shop.tenant).await.unwrap();
    let audited: Vec<(String, String)> =
        sqlx::query_as("select actor, subject from audit where action = 'fix.rolled_back'").fetch_all(tx.conn()).await.unwrap();
    assert_eq!(audited, [("operator".to_owned(), run.to_string())]);
    let said: Vec<String> = sqlx::query_scalar("select kind from fix_feedback order by at").fetch_all(tx.conn()).await.unwrap();
    assert_eq!(said, ["applied", "rolled_back"], "a fix that was taken back has not come back by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn fix_that_was_taken_back_is_not_recalled() {
    let shop = Shop::open().await;
    let Effect::Apply { proven, .. } = shop.apply() else { panic!("it applies") };
    let lesson = Lesson {
        report: shop.report.clone(),
        version: "19.0".parse().unwrap(),
        source: Some(Source::Rule("x".to_owned())),
        grade: Some(Grade::Proven),
        patch: Some(proven.patch().clone()),
        summary: "s".to_owned(),
        made_by: json!({}),
        shown: Vec::new(),
    };
    let run = shop.settled(vec![shop.apply(), Effect::Remember(Box::new(lesson))]).await;
    let recalled = async || {
        let version = "19.0".parse().unwrap();
        shop.test.app.knowledge.recall(&shop.tenant, &shop.report.fingerprint, &version).await.unwrap().len()
    };
    assert_eq!(recalled().await, 1);
    shop.test.app.roll_back(&shop.tenant, run, Actor::Operator).await.unwrap();
    assert_eq!(recalled().await, 0);
    let taken_back = shop.test.app.knowledge.taken_back(&shop.tenant, &shop.report.fingerprint).await.unwrap();
    assert_eq!(taken_back, Some(run));
}

#[tokio::test(flavor = "multi_thread")]
async fn fix_of_sources_that_have_changed_is_proposed() {
    let shop = Shop::open().await;
    let apply = shop.apply();
    let view = shop.addons.path().join("p_tree/v.xml");
    std::fs::write(&view, "<odoo/>").unwrap();
    let run = shop.settled(vec![apply]).await;
    let result = shop.test.app.run(&shop.tenant, run).await.unwrap().unwrap().result.unwrap();
    assert_eq!(result["outcome"], "proposed", "{result:#}");
    assert!(result["not_applied"].as_str().unwrap().contains("changed since the fix was proven"), "{result:#}");
    assert!(result["ticket"]["id"].is_string() && result["applied"].is_null());
    assert_eq!((std::fs::read_to_string(&view).unwrap().as_str(), shop.state().await.0.as_str()), ("<odoo/>", "open"));
}
