//! What a person said mends an error, tried when the error comes again: proven like anything else, or not at all.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use odoo_agent::domain::{ErrorReport, Fingerprint, Grade, Job, JobKind, Lesson, RunId, Source, TenantId, Ticket, TicketId};
use odoo_agent::knowledge::{self, Correction};
use odoo_agent::runs::groups::{self, Occurrence};
use odoo_agent::tickets::{Resolution, postgres as tickets};
use odoo_agent::{odoo, runs, tenants};
use serde_json::{Value, json};

use crate::support::{self, TestApp};

/// Mends `p_limit`.
const MENDS: &str = "--- a/p_limit/__init__.py\n+++ b/p_limit/__init__.py\n@@ -1,7 +1,7 @@\n from odoo import models\n \n # The most partners that one may have.\n\
                     -LIMIT = int(\"ten\")\n+LIMIT = 10\n \n \n class A(models.Model):\n";

struct Shop {
    test: TestApp,
    addons: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        Self { test: support::app(&[], |_| {}).await, addons: support::addons(&["p_limit"]) }
    }

    async fn run(&self, args: &[&str]) -> Value {
        let mut command = self.test.command(args);
        support::json(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
    }

    async fn fix(&self, more: &[&str]) -> Value {
        let log = support::fixture("logs/p_limit.log");
        let args = ["fix", "--json", "--log", log.to_str().unwrap(), "--addons", self.addons.path().to_str().unwrap()];
        self.run(&[&args, more].concat()).await
    }

    /// Says to the ticket of this run that the diff mends its error.
    async fn resolve(&self, ended: &Value, diff: &str) {
        assert_ne!(ended["outcome"], "fixed", "{ended:#}");
        let patch = self.addons.path().join("said.diff");
        std::fs::write(&patch, diff).unwrap();
        let ticket = ended["ticket"]["id"].as_str().unwrap();
        let args = ["ticket", "resolve", ticket, "--text", "See the diff.", "--patch", patch.to_str().unwrap(), "--json"];
        assert_eq!(self.run(&args).await["correction"], diff);
    }

    fn read(&self) -> String {
        std::fs::read_to_string(self.addons.path().join("p_limit/__init__.py")).unwrap()
    }
}

fn diff(path: &str, from: &str, to: &str) -> String {
    format!("--- a/{path}\n+++ b/{path}\n@@ -4 +4 @@\n-{from}\n+{to}\n")
}

fn new_file(path: &str) -> String {
    format!("--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+LIMIT = 10\n")
}

#[tokio::test]
async fn correction_is_proven_when_the_error_comes_again() {
    let shop = Shop::open().await;
    let first = shop.fix(&[]).await;
    shop.resolve(&first, MENDS).await;
    let shown = shop.fix(&["--apply"]).await;
    // Whoever it came from, it is applied only once its record is good enough.
    assert_eq!((&shown["outcome"], &shown["grade"]), (&"fixed".into(), &"proven".into()), "{shown:#}");
    assert!(shown["not_applied"].is_string() && shown["applied"].is_null(), "{shown:#}");
    assert!(shown["confidence"].as_f64().unwrap() < 0.9 && shop.read().contains("int("), "{shown:#}");
    let again = shop.fix(&[]).await;
    assert_eq!((&again["outcome"], &again["grade"]), (&"fixed".into(), &"proven".into()), "{again:#}");
    assert_eq!((&again["source"], &again["origin"]), (&"recall".into(), &"person".into()), "{again:#}");
    assert!(again["patch"].as_str().unwrap().contains("+LIMIT = 10"), "{again:#}");
    assert!(again["summary"].as_str().unwrap().contains(first["ticket"]["id"].as_str().unwrap()), "{again:#}");
    assert!(again["confidence"].as_f64().unwrap() < 0.9, "the same error met twice is no better proof: {again:#}");
}

#[tokio::test]
async fn correction_that_does_not_do_changes_nothing() {
    let shop = Shop::open().await;
    let untouched = shop.read();
    let mut ended = shop.fix(&[]).await;
    for (said, told) in [
        (diff("p_limit/__init__.py", "LIMIT = int(\"eleven\")", "LIMIT = 11"), "does not fit p_limit/__init__.py"),
        (new_file("base/limit.py"), "base/limit.py is not inside the addon p_limit"),
        // It is run, and leaves the error where it was.
        (new_file("p_limit/tests/test_limit.py"), "(recall): refuted"),
        (diff("p_limit/__init__.py", "LIMIT = int(\"ten\")", "LIMIT = eval(\"10\")"), "security scan: p_limit/__init__.py:4"),
        // No folder can be named as a file is.
        (new_file("p_limit/__init__.py/limit.py"), "(recall): not run"),
        (diff("p_limit/__init__.py", "LIMIT = int(\"ten\")", "LIMIT = int(\"twelve\")"), "(recall): refuted"),
    ] {
        shop.resolve(&ended, &said).await;
        ended = shop.fix(&["--apply"]).await;
        assert_ne!(ended["outcome"], "fixed", "{ended:#}");
        assert!(ended["ticket"]["body"].as_str().unwrap().contains(told), "{told}: {ended:#}");
        // One that does is proven, and held back all the same.
        assert!(ended["grade"] != "proven" || ended["applicability"] == "unsafe", "{ended:#}");
        assert!(ended["applied"].is_null(), "{ended:#}");
        assert_eq!(shop.read(), untouched);
        assert!(!shop.addons.path().join("base").exists());
    }
    // None of them stands in the way of one that does.
    shop.resolve(&ended, MENDS).await;
    let mended = shop.fix(&[]).await;
    assert_eq!((&mended["grade"], &mended["origin"]), (&"proven".into(), &"person".into()), "{mended:#}");
}

/// An error of the addon `shop`, reached by way of `entry`.
fn report(entry: &str) -> ErrorReport {
    odoo::reports(&format!(
        "2026-11-22 18:58:03,295 56 ERROR live odoo.http: Exception during request handling.\nTraceback (most recent call last):\n\
         \u{20} File \"/opt/custom/shop/controllers/main.py\", line 12, in {entry}\n    return order.confirm()\n\
         \u{20} File \"/opt/custom/shop/models/order.py\", line 40, in confirm\n    self._check(values['qty'])\nKeyError: 'qty'\n"
    ))
    .remove(0)
}

struct Known {
    test: TestApp,
    tenant: TenantId,
}

impl Known {
    async fn open() -> Self {
        let test = support::app(&[], |_| {}).await;
        let tenant = support::tenant("acme");
        tenants::ensure(&test.app.db, &tenant).await.unwrap();
        Self { test, tenant }
    }

    /// A ticket about this error, to which this correction was given.
    async fn said(&self, evidence: Value, diff: &str) -> TicketId {
        let (run, mut tx) = (self.run().await, self.test.app.db.tenant(&self.tenant).await.unwrap());
        let ticket = Ticket { title: "no fix".to_owned(), body: "look".to_owned(), evidence, patch: None };
        let ticket = tickets::file(&mut tx, run, &ticket).await.unwrap();
        tx.commit().await.unwrap();
        self.resolve(ticket, Some(diff)).await;
        ticket
    }

    async fn resolve(&self, ticket: TicketId, diff: Option<&str>) {
        let word = Resolution::new("See the diff.", diff).unwrap();
        assert!(self.test.app.resolve_ticket(&self.tenant, ticket, &word, None).await.unwrap().is_some());
    }

    async fn run(&self) -> RunId {
        let job = Job { run_id: RunId::generate(), tenant: self.tenant.clone(), kind: JobKind::DebugError, payload: json!({ "log": "x" }) };
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        runs::insert(&mut tx, &job, None, None).await.unwrap();
        tx.commit().await.unwrap();
        job.run_id
    }

    /// A run that ended with this made by a person or not, and found that these do not help.
    async fn learnt(&self, report: &ErrorReport, origin: Option<&str>, refuted: &[&str]) {
        let (run, mut tx) = (self.run().await, self.test.app.db.tenant(&self.tenant).await.unwrap());
        let lesson = Lesson {
            report: report.clone(),
            version: "19.0".parse().unwrap(),
            source: Some(Source::Recall),
            grade: Some(Grade::Proven),
            patch: None,
            summary: "asks first".to_owned(),
            made_by: json!({ "origin": origin, "refuted": refuted }),
            shown: Vec::new(),
        };
        knowledge::remember(&mut tx, run, &lesson).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn corrections(&self, tenant: &TenantId, of: &Fingerprint, version: &str) -> Vec<Correction> {
        self.test.app.knowledge.corrections(tenant, of, &version.parse().unwrap()).await.unwrap()
    }
}

fn change(n: usize) -> String {
    diff("shop/models/order.py", "x = 0", &format!("x = {n}"))
}

#[tokio::test]
async fn corrections_are_of_the_same_error_and_series() {
    let known = Known::open().await;
    let (checkout, nightly) = (report("checkout"), report("nightly"));
    assert_ne!(checkout.fingerprint, nightly.fingerprint);
    let named = async |of: &ErrorReport, version: &str| -> Vec<String> {
        known.corrections(&known.tenant, &of.fingerprint, version).await.into_iter().map(|one| one.diff).collect()
    };
    let ticket = known.said(json!({ "report": checkout, "odoo_version": "19.0" }), &change(1)).await;
    known.said(json!({ "report": checkout, "odoo_version": "18.0" }), &change(2)).await;
    known.said(json!({ "report": nightly, "odoo_version": "19.0" }), &change(3)).await;
    assert_eq!((named(&checkout, "19.0").await, named(&checkout, "18.0").await), (vec![change(1)], vec![change(2)]));
    assert_eq!(named(&checkout, "17.0").await, [""; 0]);
    let other = support::tenant("other");
    tenants::ensure(&known.test.app.db, &other).await.unwrap();
    assert_eq!(known.corrections(&other, &checkout.fingerprint, "19.0").await, []);

    // A run that was given up may not know its series.
    known.said(json!({ "payload": { "report": checkout } }), &change(4)).await;
    assert_eq!(named(&checkout, "17.0").await, [change(4)]);
    assert_eq!(named(&checkout, "19.0").await, [change(4), change(1)], "the latest word first");

    // Another way in, which groups count as the same error: its own word goes first, however old.
    let kin: Fingerprint = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let mut tx = known.test.app.db.tenant(&known.tenant).await.unwrap();
    for report in [&checkout, &nightly] {
        let (event, received_at) = (odoo_agent::domain::EventId::generate(), chrono::Utc::now());
        let occurrence = Occurrence { event, ordinal: 0, report, kin: Some(&kin), times: 1, received_at, release: None };
        groups::record(&mut tx, &occurrence).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(named(&nightly, "19.0").await, [change(3), change(4), change(1)]);

    // The latest word counts, the same one is named once, and there is an end.
    known.resolve(ticket, None).await;
    assert_eq!(named(&checkout, "19.0").await, [change(4), change(3)]);
    known.resolve(ticket, Some(&change(3))).await;
    assert_eq!(named(&checkout, "19.0").await.len(), 2);
    for n in 5..9 {
        known.said(json!({ "report": checkout, "odoo_version": "19.0" }), &change(n)).await;
    }
    assert_eq!(named(&checkout, "19.0").await, [change(8), change(7), change(6)]);
}

#[tokio::test]
async fn refuted_correction_goes_last_until_it_is_said_again() {
    let known = Known::open().await;
    let report = report("checkout");
    let evidence = json!({ "report": report, "odoo_version": "19.0" });
    let tickets = [known.said(evidence.clone(), &change(1)).await, known.said(evidence, &change(2)).await];
    let named = async || -> Vec<(String, bool)> {
        let found = known.corrections(&known.tenant, &report.fingerprint, "19.0").await;
        found.into_iter().map(|one| (one.diff, one.is_refuted)).collect()
    };
    let name = known.corrections(&known.tenant, &report.fingerprint, "19.0").await.remove(0).name;
    known.learnt(&report, None, &[&name, "garbage"]).await;
    assert_eq!(named().await, [(change(1), false), (change(2), true)]);
    known.resolve(tickets[1], Some(&change(2))).await;
    assert_eq!(named().await, [(change(2), false), (change(1), false)]);
}
