//! Confidence that is earned: by labelled cases, and by what became of fixes.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use chrono::Utc;
use odoo_agent::domain::{
    ErrorClass, ErrorReport, EventId, Fingerprint, GroupId, Job, JobKind, RunId, RunState, Source, Submitter, TenantId,
};
use odoo_agent::knowledge::confidence::{Actor, Earned, Feedback, FeedbackKind, Recorded, record};
use odoo_agent::runs::groups::{self, GroupState, Occurrence};
use odoo_agent::runs::{self, Claim};
use odoo_agent::tenants::{self, keys};
use odoo_agent::tickets::Resolution;
use odoo_agent::worker::{Arrival, triage};
use odoo_agent::{ingest, odoo};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::support::{self, TestApp};

const CLASS: ErrorClass = ErrorClass::ViewTypeTree;

const E1: &str = "00000000000000000000000000000001";
const E2: &str = "00000000000000000000000000000002";
const E3: &str = "00000000000000000000000000000003";

struct Shop {
    test: TestApp,
    tenant: TenantId,
}

impl Shop {
    async fn open() -> Self {
        let (test, tenant) = (support::app(&[], |_| {}).await, support::tenant("acme"));
        tenants::ensure(&test.app.db, &tenant).await.unwrap();
        Self { test, tenant }
    }

    async fn key(&self) -> Uuid {
        self.key_with("read,run").await
    }

    async fn key_with(&self, scopes: &str) -> Uuid {
        let new = keys::NewKey::named("ci").with_scopes(scopes.parse().unwrap());
        keys::create(&self.test.app.db, &self.tenant, new).await.unwrap().0.0
    }

    /// The group of an error, as triage makes it of an event; `kin` of two that it takes for one.
    async fn group(&self, error: &str, kin: Option<&str>) -> GroupId {
        let report = ErrorReport { fingerprint: error.parse().unwrap(), ..report() };
        let kin: Option<Fingerprint> = kin.map(|kin| kin.parse().unwrap());
        self.occurred(&report, kin.as_ref()).await.group
    }

    /// A run, asked for by somebody, that ended with a fix of this error by this source. Triage asks for those of groups.
    async fn fixed(&self, result: Value, by: Submitter) -> RunId {
        let group = match by {
            Submitter::Event => Some(self.group(result["error"]["fingerprint"].as_str().unwrap(), None).await),
            Submitter::Operator | Submitter::Key(_) | Submitter::Queue => None,
        };
        let job = Job { run_id: RunId::generate(), tenant: self.tenant.clone(), kind: JobKind::DebugError, payload: json!({ "log": "x" }) };
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        assert!(runs::insert_as(&mut tx, &job, None, group, by).await.unwrap());
        tx.commit().await.unwrap();
        let lease = std::time::Duration::from_secs(60);
        let Claim::Granted { token, .. } = runs::claim(&self.test.app.db, &job, "w", lease).await.unwrap() else { panic!("it is held") };
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        runs::finish(&mut tx, job.run_id, token, RunState::Done, &result, None).await.unwrap();
        tx.commit().await.unwrap();
        job.run_id
    }

    async fn fixed_by(&self, source: &str, fingerprint: &str) -> RunId {
        self.fixed(result(source, None, fingerprint), Submitter::Event).await
    }

    async fn say(&self, run: RunId, kind: FeedbackKind, by: Actor) -> Recorded {
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        let recorded = record(&mut tx, &Feedback { run, kind, by }).await.unwrap();
        tx.commit().await.unwrap();
        recorded
    }

    async fn earned(&self, source: &str) -> Earned {
        let source = Source::try_from(source.to_owned()).unwrap();
        self.test.app.knowledge.earned(&self.tenant, &source, CLASS).await.unwrap()
    }

    async fn rate(&self, source: &str) -> f64 {
        self.earned(source).await.confidence().value()
    }

    /// Makes everything that was said of fixes so many days older.
    async fn days_pass(&self, days: i32) {
        let mut owner = PgConnection::connect(&self.test.owner_url).await.unwrap();
        let moved = sqlx::query("update fix_feedback set at = at - make_interval(days => $1)").bind(days);
        moved.execute(&mut owner).await.unwrap();
    }
}

fn result(source: &str, origin: Option<&str>, fingerprint: &str) -> Value {
    json!({
        "outcome": "fixed",
        "source": source,
        "origin": origin,
        "patch": "diff",
        "error": { "class": CLASS, "fingerprint": fingerprint },
    })
}

#[tokio::test]
async fn only_outcomes_move_the_confidence() {
    let shop = Shop::open().await;
    let run = shop.fixed_by("rule:x", E1).await;
    assert_eq!(shop.rate("rule:x").await, 0.5, "a proof that nobody used raises nothing");
    assert_eq!(shop.say(run, FeedbackKind::Confirmed, Actor::Operator).await, Recorded::Stored);
    assert_eq!(shop.say(run, FeedbackKind::Confirmed, Actor::Program).await, Recorded::Known);
    assert_eq!(shop.rate("rule:x").await, 2.0 / 3.0);
    // The same error once more, merged this time: one error counts once.
    let again = shop.fixed_by("rule:x", E1).await;
    shop.say(again, FeedbackKind::Merged, Actor::Program).await;
    assert_eq!(shop.rate("rule:x").await, 2.0 / 3.0);
    let other = shop.fixed_by("rule:x", E2).await;
    shop.say(other, FeedbackKind::Rejected, Actor::Operator).await;
    assert_eq!(shop.rate("rule:x").await, 0.5);
    shop.say(again, FeedbackKind::CameBack, Actor::Program).await;
    let earned = shop.earned("rule:x").await;
    assert_eq!((earned.confirmed, earned.merged, earned.rejected, earned.came_back, earned.good, earned.bad), (1, 1, 1, 1, 0, 2));
    assert_eq!(earned.confidence().value(), 0.25);
    assert_eq!(shop.say(RunId::generate(), FeedbackKind::Confirmed, Actor::Operator).await, Recorded::NoFix);
    let other = support::tenant("other");
    let elsewhere = shop.test.app.knowledge.earned(&other, &Source::Rule("x".to_owned()), CLASS).await.unwrap();
    assert_eq!(elsewhere.confidence().value(), 0.5, "each tenant has a record of its own");
}

#[tokio::test]
async fn joined_rules_take_the_smaller_confidence_and_share_their_outcomes() {
    let shop = Shop::open().await;
    let alone = shop.fixed_by("rule:a", E1).await;
    shop.say(alone, FeedbackKind::Merged, Actor::Operator).await;
    assert_eq!((shop.rate("rule:a").await, shop.rate("rule:b").await, shop.rate("rule:a+b").await), (2.0 / 3.0, 0.5, 0.5));
    let both = shop.fixed_by("rule:a+b", E2).await;
    shop.say(both, FeedbackKind::RolledBack, Actor::Operator).await;
    assert_eq!((shop.rate("rule:a").await, shop.rate("rule:b").await), (0.5, 1.0 / 3.0));
    assert_eq!(shop.earned("rule:a+b").await.source, Source::Rule("b".to_owned()));
}

#[tokio::test]
async fn recalled_fix_counts_for_its_maker() {
    let shop = Shop::open().await;
    for (origin, error) in [(Some("rule:x"), E1), (Some("person"), E2), (None, E3)] {
        let run = shop.fixed(result("recall", origin, error), Submitter::Event).await;
        shop.say(run, FeedbackKind::Merged, Actor::Operator).await;
    }
    for source in ["rule:x", "person", "claude"] {
        assert_eq!(shop.earned(source).await.merged, 1, "{source}");
    }
}

#[tokio::test]
async fn applied_fix_counts_once_its_error_stayed_away() {
    let shop = Shop::open().await;
    let run = shop.fixed_by("rule:x", E1).await;
    shop.say(run, FeedbackKind::Applied, Actor::Program).await;
    shop.days_pass(6).await;
    assert_eq!((shop.earned("rule:x").await.applied_and_kept, shop.rate("rule:x").await), (0, 0.5));
    shop.days_pass(1).await;
    assert_eq!((shop.earned("rule:x").await.applied_and_kept, shop.rate("rule:x").await), (1, 2.0 / 3.0));
    shop.say(run, FeedbackKind::RolledBack, Actor::Operator).await;
    let earned = shop.earned("rule:x").await;
    assert_eq!((earned.applied_and_kept, earned.rolled_back, earned.good, earned.bad), (0, 1, 0, 1));
}

impl Shop {
    /// A ticket about this error is resolved with a correction, with this key.
    async fn corrected(&self, error: &str, key: Uuid) {
        let about = self.fixed_by("rule:x", error).await;
        let ticket = odoo_agent::domain::Ticket {
            title: "t".to_owned(),
            body: "b".to_owned(),
            evidence: json!({ "report": { "fingerprint": error } }),
            patch: None,
        };
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        let ticket = odoo_agent::tickets::postgres::file(&mut tx, about, &ticket).await.unwrap();
        tx.commit().await.unwrap();
        let diff = "--- a/m/a.py\n+++ b/m/a.py\n@@ -1 +1 @@\n-a\n+b\n";
        let said = Resolution::new("See the diff.", Some(diff)).unwrap();
        self.test.app.resolve_ticket(&self.tenant, ticket, &said, Some(key)).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn whoever_brought_a_fix_does_not_confirm_it() {
    let shop = Shop::open().await;
    let (own, other) = (shop.key().await, shop.key().await);
    let run = shop.fixed(result("claude", None, E1), Submitter::Key(own)).await;
    assert_eq!(shop.say(run, FeedbackKind::Confirmed, Actor::Key(own)).await, Recorded::OwnFix);
    assert_eq!(shop.say(run, FeedbackKind::Confirmed, Actor::Key(other)).await, Recorded::Stored);

    // A correction that came with a key, recalled for a run that triage asked for.
    shop.corrected(E2, own).await;
    let run = shop.fixed(result("recall", Some("person"), E2), Submitter::Event).await;
    assert_eq!(shop.say(run, FeedbackKind::Confirmed, Actor::Key(own)).await, Recorded::OwnFix);
    let rotated = keys::rotate(&shop.test.app.db, &shop.tenant, keys::KeyId(own), std::time::Duration::ZERO).await.unwrap().unwrap();
    let successor = Actor::Key(rotated.id.0);
    assert_eq!(shop.say(run, FeedbackKind::Confirmed, successor).await, Recorded::OwnFix, "a new key is no other person");
    // Its own approval has it written, which is kept and counts for nothing.
    assert_eq!(shop.say(run, FeedbackKind::Applied, successor).await, Recorded::OwnFix);
    shop.days_pass(30).await;
    assert_eq!((shop.earned("person").await.applied_and_kept, shop.rate("person").await), (0, 0.5));
    assert_eq!(shop.say(run, FeedbackKind::Confirmed, Actor::Operator).await, Recorded::Stored);
    assert_eq!(shop.rate("person").await, 2.0 / 3.0);
    shop.say(run, FeedbackKind::CameBack, Actor::Program).await;
    assert_eq!(shop.earned("person").await.came_back, 1, "that it came back counts all the same");
}

#[tokio::test]
async fn correction_by_a_key_that_sends_events_teaches_nothing() {
    let shop = Shop::open().await;
    let sender = shop.key_with("ingest,read,run").await;
    for error in [E1, E2, E3] {
        shop.corrected(error, sender).await;
        let run = shop.fixed(result("recall", Some("person"), error), Submitter::Event).await;
        assert_eq!(shop.say(run, FeedbackKind::Applied, Actor::Program).await, Recorded::OwnFix);
    }
    shop.days_pass(30).await;
    assert_eq!((shop.earned("person").await.applied_and_kept, shop.rate("person").await), (0, 0.5));
}

#[tokio::test]
async fn made_up_errors_teach_nothing() {
    let shop = Shop::open().await;
    let key = shop.key().await;
    // Eleven errors that nobody has seen, each under a fingerprint of its own, fixed by a correction and applied a month ago.
    for n in 0..11 {
        let by = [Submitter::Key(key), Submitter::Queue, Submitter::Operator][n % 3];
        let run = shop.fixed(result("recall", Some("person"), &format!("{n:032x}")), by).await;
        shop.say(run, FeedbackKind::Applied, Actor::Program).await;
        shop.say(run, FeedbackKind::Confirmed, Actor::Operator).await;
    }
    shop.days_pass(30).await;
    let earned = shop.earned("person").await;
    assert_eq!((earned.good, earned.confidence().value()), (0, 0.5), "{earned:?}");
    // A bad outcome counts, whoever asked for the run.
    let run = shop.fixed(result("recall", Some("person"), E1), Submitter::Key(key)).await;
    shop.say(run, FeedbackKind::RolledBack, Actor::Operator).await;
    assert_eq!(shop.rate("person").await, 1.0 / 3.0);
}

#[tokio::test]
async fn group_teaches_once() {
    let shop = Shop::open().await;
    let kin = "f".repeat(32);
    let group = shop.group(E1, Some(&kin)).await;
    assert_eq!(shop.group(E2, Some(&kin)).await, group, "triage takes the two for one");
    for error in [E1, E2, E1] {
        let run = shop.fixed_by("rule:x", error).await;
        shop.say(run, FeedbackKind::Merged, Actor::Operator).await;
    }
    let earned = shop.earned("rule:x").await;
    assert_eq!((earned.merged, earned.good), (3, 1), "{earned:?}");
}

fn report() -> ErrorReport {
    odoo::reports(&support::log_of("p_tree")).remove(0)
}

impl Shop {
    async fn seen(&self) -> groups::Recorded {
        self.occurred(&report(), None).await
    }

    async fn occurred(&self, report: &ErrorReport, kin: Option<&Fingerprint>) -> groups::Recorded {
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        let occurrence =
            Occurrence { event: EventId::generate(), ordinal: 0, report, kin, times: 1, received_at: Utc::now(), release: None };
        let recorded = groups::record(&mut tx, &occurrence).await.unwrap();
        tx.commit().await.unwrap();
        recorded
    }
}

#[tokio::test]
async fn error_that_comes_back_is_a_bad_outcome() {
    let shop = Shop::open().await;
    let group = shop.seen().await.group;
    let run = shop.fixed_by("rule:x", report().fingerprint.as_str()).await;
    shop.say(run, FeedbackKind::Applied, Actor::Program).await;
    shop.test.app.set_group_state(&shop.tenant, group, GroupState::Fixed).await.unwrap().unwrap();
    assert_eq!(shop.earned("rule:x").await.came_back, 0);
    let arrival = Arrival { received: Utc::now(), release: None };
    let log = support::log_of("p_tree").into();
    triage(&shop.test.app, &shop.tenant, EventId::generate(), ingest::Format::Text, log, &arrival).await.unwrap();
    let earned = shop.earned("rule:x").await;
    assert_eq!((earned.came_back, earned.bad), (1, 1));
    shop.days_pass(30).await;
    assert_eq!(shop.earned("rule:x").await.applied_and_kept, 0);
}

#[tokio::test]
async fn opening_a_fixed_group_by_hand_says_that_its_fix_was_none() {
    let shop = Shop::open().await;
    let group = shop.seen().await.group;
    let run = shop.fixed_by("rule:x", report().fingerprint.as_str()).await;
    shop.say(run, FeedbackKind::Applied, Actor::Program).await;
    for state in [GroupState::Open, GroupState::Fixed, GroupState::Ignored] {
        shop.test.app.set_group_state(&shop.tenant, group, state).await.unwrap().unwrap();
        assert_eq!(shop.earned("rule:x").await.came_back, 0);
    }
    for state in [GroupState::Fixed, GroupState::Open] {
        shop.test.app.set_group_state(&shop.tenant, group, state).await.unwrap().unwrap();
    }
    assert_eq!(shop.earned("rule:x").await.came_back, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_shown_for_every_source() {
    let shop = Shop::open().await;
    let run = shop.fixed_by("rule:tree_to_list", E1).await;
    shop.say(run, FeedbackKind::Merged, Actor::Operator).await;
    let mut command = shop.test.command(&["confidence", "--tenant", "acme", "--json"]);
    let shown = support::json(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap());
    let rows = shown["sources"].as_array().unwrap();
    let row = |source: &str, class: Value| rows.iter().find(|row| row["source"] == source && row["class"] == class).unwrap();
    for source in ["claude", "person", "rule:attrs_to_expressions"] {
        let row = row(source, Value::Null);
        let count = |key: &str| row[key].as_f64().unwrap();
        assert_eq!(count("confidence"), (count("right") + 1.0) / (count("tried") + 2.0), "{row:#}");
    }
    let row = row("rule:tree_to_list", json!(CLASS));
    assert_eq!((&row["merged"], &row["good"], &row["bad"]), (&json!(1), &json!(1), &json!(0)), "{row:#}");
    let mut command = shop.test.command(&["confidence", "--tenant", "acme"]);
    let text = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(String::from_utf8(text.stdout).unwrap().contains("cases right, 1 merged"));
}
