//! Errors in groups: what joins, what is split by hand, in which release it came back, how often of late; over the database, HTTP and the
//! commands.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use odoo_agent::api;
use odoo_agent::app::{GroupFilter, GroupState, GroupView};
use odoo_agent::domain::{EventId, FailureKind, GroupId, RunId, Submitter, TenantId, Ticket};
use odoo_agent::ingest::Format;
use odoo_agent::runs::groups::{self, Direction};
use odoo_agent::tenants::keys;
use odoo_agent::tickets::{self, Resolution};
use odoo_agent::worker::{Arrival, Worker, triage};
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{self, TestApp};

/// A log with one error, raised in `confirm` of the addon `shop`, reached by way of `entry`.
fn log(entry: &str, last: &str) -> String {
    format!(
        "2026-11-22 18:58:03,295 56 ERROR live odoo.http: Exception during request handling.\n\
         Traceback (most recent call last):\n\
         \u{20} File \"/opt/custom/shop/controllers/main.py\", line 12, in {entry}\n\
         \u{20}   return order.confirm()\n\
         \u{20} File \"/opt/custom/shop/models/order.py\", line 40, in confirm\n\
         \u{20}   self._check(values['qty'])\n\
         {last}\n"
    )
}

const LAST: &str = "KeyError: 'qty'";

struct Shop {
    test: TestApp,
    tenant: TenantId,
}

async fn shop() -> Shop {
    Shop { test: support::app(&[], |_| {}).await, tenant: support::tenant("acme") }
}

impl Shop {
    /// One event with this log, through triage; the runs that it started.
    async fn at(&self, event: EventId, log: &str, received: DateTime<Utc>, release: Option<&str>) -> Vec<RunId> {
        let arrival = Arrival { received, release: release.map(|release| release.parse().unwrap()) };
        triage(&self.test.app, &self.tenant, event, Format::Text, Bytes::from(log.to_owned()), &arrival).await.unwrap()
    }

    async fn send(&self, log: &str) -> Vec<RunId> {
        self.at(EventId::generate(), log, Utc::now(), None).await
    }

    async fn all(&self) -> Vec<GroupView> {
        self.test.app.groups(&self.tenant, &GroupFilter::default()).await.unwrap().groups
    }

    async fn only(&self) -> GroupView {
        let all = self.all().await;
        assert_eq!(all.len(), 1, "{all:#?}");
        self.get(all[0].id).await
    }

    async fn get(&self, group: GroupId) -> GroupView {
        self.test.app.group(&self.tenant, group).await.unwrap().unwrap()
    }

    async fn mark(&self, group: GroupId, state: GroupState) -> GroupView {
        self.test.app.set_group_state(&self.tenant, group, state).await.unwrap().unwrap()
    }

    /// The fix that a run found is applied. `false`: that closed no group.
    async fn fixed_by(&self, run: RunId) -> bool {
        let mut tx = self.test.app.db.tenant(&self.tenant).await.unwrap();
        let closed = groups::mark_fixed_by(&mut tx, run).await.unwrap();
        tx.commit().await.unwrap();
        closed
    }

    async fn split(&self, group: &GroupView, fingerprint: &str) -> GroupView {
        self.test.app.split_group(&self.tenant, group.id, &fingerprint.parse().unwrap(), Submitter::Operator).await.unwrap().unwrap()
    }
}

fn counts(group: &GroupView) -> Vec<i64> {
    group.fingerprints.iter().map(|print| print.count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_way_in_joins_the_group() {
    let shop = shop().await;
    let event = EventId::generate();
    assert_eq!(shop.send(&log("checkout", LAST)).await.len(), 1);
    assert_eq!(shop.at(event, &log("nightly", LAST), Utc::now(), None).await, [], "its group has a job already");
    shop.at(event, &log("nightly", LAST), Utc::now(), None).await;
    shop.send(&log("nightly", LAST)).await;
    let group = shop.only().await;
    assert_eq!((group.count, group.openings, counts(&group)), (3, 1, vec![2, 1]), "a second delivery counts once");
    assert_ne!(group.fingerprint, group.fingerprints[0].fingerprint, "its own fingerprint is that of the first");

    shop.send(&log("nightly", "KeyError: 'price'")).await;
    shop.send(&log("nightly", "ValueError: 'qty'")).await;
    assert_eq!(shop.all().await.len(), 3, "another name, another exception");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ways_in_at_once_make_one_group() {
    let shop = shop().await;
    let logs: Vec<_> = (0..60).map(|n| log(["buy", "sell", "ship", "pack", "move", "send"][n % 6], LAST)).collect();
    let runs = futures::future::join_all(logs.iter().map(|log| shop.send(log))).await;
    assert_eq!(runs.iter().map(Vec::len).sum::<usize>(), 1, "the group opens once");
    let group = shop.only().await;
    assert_eq!((group.count, counts(&group)), (60, vec![10; 6]));
}

#[tokio::test(flavor = "multi_thread")]
async fn split_is_for_good() {
    let shop = shop().await;
    let event = EventId::generate();
    let old = Utc::now() - TimeDelta::hours(30);
    shop.at(event, &log("checkout", LAST), old, None).await;
    for _ in 0..3 {
        shop.send(&log("nightly", LAST)).await;
    }
    let whole = shop.only().await;
    let (nightly, checkout) = (whole.fingerprints[0].clone(), whole.fingerprint.clone());
    assert_ne!(nightly.fingerprint, checkout);

    // The first of the group: what stays needs another name.
    let own = shop.split(&whole, &checkout).await;
    let rest = shop.get(whole.id).await;
    assert_eq!((own.count, own.openings, own.state.as_str(), own.fingerprints[0].apart), (1, 1, "open", true));
    assert_eq!((rest.count, rest.fingerprint.as_str(), counts(&rest)), (3, nightly.fingerprint.as_str(), vec![3]));
    assert_eq!((own.trend.last_24h, own.trend.previous_24h, own.trend.direction), (0, 1, Direction::Quiet), "counts go along");
    assert_eq!((rest.trend.last_24h, rest.trend.previous_24h, rest.trend.direction), (3, 0, Direction::New));
    assert_eq!((own.last_seen.timestamp(), rest.first_seen), (old.timestamp(), nightly.first_seen));
    assert_eq!(own.last_run, Some(RunId::of_group(own.id, 1)), "what was hidden gets a job of its own");
    assert_eq!((rest.openings, rest.last_run), (2, Some(RunId::of_group(rest.id, 2))), "the job it had was about what left");
    assert_eq!(shop.test.app.event(&shop.tenant, event).await.unwrap()[0].group, Some(own.id));

    shop.send(&log("checkout", LAST)).await;
    shop.send(&log("nightly", LAST)).await;
    assert_eq!((shop.get(own.id).await.count, shop.get(rest.id).await.count), (2, 4));
    shop.send(&log("elsewhere", LAST)).await;
    assert_eq!(shop.all().await.len(), 3, "where a person saw two errors, nothing is joined any more");

    let app = &shop.test.app;
    let again = app.split_group(&shop.tenant, own.id, &checkout.parse().unwrap(), Submitter::Operator).await.unwrap_err();
    assert_eq!(again.kind, FailureKind::BadInput);
    assert!(app.split_group(&shop.tenant, whole.id, &checkout.parse().unwrap(), Submitter::Operator).await.unwrap().is_none());
    assert!(
        app.split_group(&support::tenant("other"), rest.id, &nightly.fingerprint.parse().unwrap(), Submitter::Operator)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fix_closes_the_group_that_its_error_is_in() {
    let shop = shop().await;
    let runs = shop.send(&log("checkout", LAST)).await;
    shop.send(&log("nightly", LAST)).await;
    let whole = shop.only().await;
    let own = shop.split(&whole, &whole.fingerprint).await;
    let states = async || (shop.get(own.id).await.state, shop.get(whole.id).await.state);
    assert!(shop.fixed_by(runs[0]).await);
    assert_eq!(states().await, ("fixed".to_owned(), "open".to_owned()), "the run was opened for what is split off now");
    assert!(!shop.fixed_by(runs[0]).await, "it is closed already");
    assert!(shop.fixed_by(RunId::of_group(whole.id, 2)).await);
    assert_eq!(states().await, ("fixed".to_owned(), "fixed".to_owned()));
    assert!(!shop.fixed_by(RunId::generate()).await);
    assert_eq!(shop.send(&log("nightly", LAST)).await, [RunId::of_group(whole.id, 3)], "an opening has a run of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn person_who_resolves_the_ticket_closes_the_group() {
    let shop = shop().await;
    let run = shop.send(&log("checkout", LAST)).await[0];
    let mut tx = shop.test.app.db.tenant(&shop.tenant).await.unwrap();
    let ticket = Ticket { title: "no fix".to_owned(), body: String::new(), evidence: json!({}), patch: None };
    let ticket = tickets::postgres::file(&mut tx, run, &ticket).await.unwrap();
    tx.commit().await.unwrap();
    let said = Resolution::new("It asks for the quantity now.", None).unwrap();
    shop.test.app.resolve_ticket(&shop.tenant, ticket, &said, None).await.unwrap().unwrap();
    assert_eq!(shop.only().await.state, "fixed");
    assert_eq!(shop.send(&log("checkout", LAST)).await.len(), 1, "who comes back is looked at, with what was said");
    let group = shop.mark(shop.only().await.id, GroupState::Ignored).await;
    shop.test.app.resolve_ticket(&shop.tenant, ticket, &said, None).await.unwrap().unwrap();
    assert_eq!(shop.get(group.id).await.state, "ignored", "what a person ignores stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_gets_a_job_only_if_none_is_about_it() {
    let shop = shop().await;
    let first = shop.send(&log("checkout", LAST)).await;
    shop.send(&log("nightly", LAST)).await;
    shop.send(&log("elsewhere", LAST)).await;
    let whole = shop.only().await;
    let others: Vec<_> = whole.fingerprints.iter().map(|print| &print.fingerprint).filter(|print| **print != whole.fingerprint).collect();

    let own = shop.split(&whole, others[0]).await;
    let rest = shop.get(whole.id).await;
    assert_eq!(
        (own.last_run, rest.openings, rest.last_run),
        (Some(RunId::of_group(own.id, 1)), 1, Some(first[0])),
        "its job is about it still"
    );
    shop.mark(rest.id, GroupState::Ignored).await;
    shop.split(&rest, &whole.fingerprint).await;
    let rest = shop.get(whole.id).await;
    assert_eq!((rest.openings, rest.last_run), (1, Some(first[0])), "nobody wants to hear of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn job_of_the_newest_opening_is_what_counts() {
    let shop = shop().await;
    let first = shop.send(&log("checkout", LAST)).await;
    assert!(shop.fixed_by(first[0]).await);
    let second = shop.send(&log("nightly", LAST)).await;
    let whole = shop.only().await;
    let nightly = whole.fingerprints.iter().find(|print| print.fingerprint != whole.fingerprint).unwrap();
    let own = shop.split(&whole, &nightly.fingerprint).await;
    let rest = shop.get(whole.id).await;
    assert_eq!((rest.openings, rest.last_run), (3, Some(RunId::of_group(rest.id, 3))), "it was opened again by what left");
    assert!(shop.fixed_by(second[0]).await);
    assert_eq!((shop.get(own.id).await.state.as_str(), shop.get(rest.id).await.state.as_str()), ("fixed", "open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_groups_the_oldest_takes_in() {
    let shop = shop().await;
    shop.send(&log("checkout", LAST)).await;
    let oldest = shop.only().await.id;
    shop.mark(oldest, GroupState::Ignored).await;
    shop.send(&log("nightly", LAST)).await;
    shop.mark(oldest, GroupState::Open).await;
    assert_eq!(shop.send(&log("elsewhere", LAST)).await, []);
    let group = shop.get(oldest).await;
    assert_eq!((shop.all().await.len(), counts(&group)), (2, vec![1, 1]));

    shop.split(&group, &group.fingerprint).await;
    assert_eq!(shop.send(&log("again", LAST)).await.len(), 1, "split by hand: nothing is joined");
    assert_eq!(shop.all().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn split_and_count_at_once_lose_nothing() {
    let shop = shop().await;
    shop.send(&log("checkout", LAST)).await;
    shop.send(&log("nightly", LAST)).await;
    let whole = shop.only().await;
    let nightly = log("nightly", LAST);
    let more = futures::future::join_all((0..40).map(|_| shop.send(&nightly)));
    let print = whole.fingerprints.iter().find(|print| print.fingerprint != whole.fingerprint).unwrap();
    let (own, _) = tokio::join!(shop.split(&whole, &print.fingerprint), more);
    let (own, rest) = (shop.get(own.id).await, shop.get(whole.id).await);
    assert_eq!((own.count, rest.count), (41, 1));
    assert_eq!((counts(&own), counts(&rest)), (vec![41], vec![1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn fixed_error_tells_the_release_it_came_back_in() {
    let shop = shop().await;
    let send = async |entry: &str, release: Option<&str>| shop.at(EventId::generate(), &log(entry, LAST), Utc::now(), release).await;
    send("checkout", None).await;
    send("checkout", Some("19.0.1.0")).await;
    send("checkout", Some("19.0.1.1")).await;
    let group = shop.only().await;
    let mut tx = shop.test.app.db.tenant(&shop.tenant).await.unwrap();
    assert!(groups::mark_fixed(&mut tx, group.id).await.unwrap());
    tx.commit().await.unwrap();
    let fixed = shop.only().await;
    assert_eq!((fixed.state.as_str(), fixed.releases.fixed.as_deref(), fixed.releases.reopened), ("fixed", Some("19.0.1.1"), None));

    let runs = send("nightly", Some("19.0.2.0")).await;
    assert_eq!(runs, [RunId::of_group(group.id, 2)], "it came back, though by another way");
    let back = shop.only().await;
    assert_eq!((back.state.as_str(), back.openings), ("open", 2));
    let releases = [&back.releases.first, &back.releases.last, &back.releases.fixed, &back.releases.reopened].map(|one| one.as_deref());
    assert_eq!(releases, [Some("19.0.1.0"), Some("19.0.2.0"), Some("19.0.1.1"), Some("19.0.2.0")]);
    let prints: Vec<_> = back.fingerprints.iter().map(|print| (print.first_release.as_deref(), print.last_release.as_deref())).collect();
    assert_eq!(prints, [(Some("19.0.1.0"), Some("19.0.1.1")), (Some("19.0.2.0"), Some("19.0.2.0"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_group_stays_shut_and_takes_nobody_in() {
    let shop = shop().await;
    shop.send(&log("checkout", LAST)).await;
    let group = shop.only().await.id;
    assert_eq!(shop.mark(group, GroupState::Ignored).await.state, "ignored");
    assert_eq!(shop.send(&log("checkout", LAST)).await, []);
    assert_eq!((shop.get(group).await.state.as_str(), shop.get(group).await.count), ("ignored", 2));
    assert_eq!(shop.send(&log("nightly", LAST)).await.len(), 1, "nobody would see it in a group that is ignored");
    assert_eq!(shop.send(&log("elsewhere", LAST)).await, [], "a third way in joins the second");
    assert_eq!(shop.all().await.len(), 2);

    assert_eq!((shop.mark(group, GroupState::Open).await.openings, shop.mark(group, GroupState::Open).await.openings), (1, 1));
    shop.mark(group, GroupState::Fixed).await;
    assert_eq!(shop.mark(group, GroupState::Open).await.openings, 2, "a fix that a person takes back was none");
    shop.mark(group, GroupState::Ignored).await;
    shop.mark(group, GroupState::Fixed).await;
    assert_eq!(shop.send(&log("checkout", LAST)).await, [RunId::of_group(group, 3)]);
    let nobody = shop.test.app.set_group_state(&support::tenant("other"), group, GroupState::Ignored).await.unwrap();
    assert!(nobody.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn trend_counts_days_and_forgets_after_thirty() {
    let shop = shop().await;
    let ago = |hours| Utc::now() - TimeDelta::hours(hours);
    for (hours, times) in [(31 * 24, 2), (30, 1), (1, 9)] {
        for _ in 0..times {
            shop.at(EventId::generate(), &log("checkout", LAST), ago(hours), None).await;
        }
    }
    let group = shop.only().await;
    assert_eq!((group.trend.last_24h, group.trend.previous_24h, group.trend.direction), (9, 1, Direction::Rising));
    assert_eq!(group.count, 12);
    let mut tx = shop.test.app.db.tenant(&shop.tenant).await.unwrap();
    let kept: i64 = sqlx::query_scalar("select sum(count)::bigint from error_counts").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(kept, 10, "what is older than 30 days is deleted, but for the group's own count");
}

/// An API with a worker behind it; stopped when dropped.
struct Door {
    shop: Shop,
    url: String,
    key: String,
    client: Client,
    _stop: tokio_util::sync::DropGuard,
}

async fn door() -> Door {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shop = shop().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(api::serve(shop.test.app.clone(), listener, stop.clone().cancelled_owned()));
    let (worker, stopped) = (Worker::new(shop.test.app.clone()), stop.clone());
    tokio::spawn(async move { worker.run(stopped.cancelled_owned()).await });
    let (_, key) = keys::create(&shop.test.app.db, &shop.tenant, "test").await.unwrap();
    Door { shop, url, key: key.expose_secret().to_owned(), client: Client::new(), _stop: stop.drop_guard() }
}

impl Door {
    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.key).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        let answer = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key).body(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Until this many occurrences are counted in all.
    async fn counted(&self, wanted: i64) {
        support::until("the events to be counted", async || {
            let all = self.shop.all().await;
            (all.iter().map(|group| group.count).sum::<i64>() == wanted).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_in_pages() {
    let door = door().await;
    for (n, last) in ["KeyError: 'a'", "KeyError: 'b'", "NameError: name 'c' is not defined"].iter().enumerate() {
        let received = Utc::now() - TimeDelta::minutes(n as i64);
        door.shop.at(EventId::generate(), &log("checkout", last), received, None).await;
    }
    let all = door.shop.all().await;
    let (status, first) = door.get("/v1/groups?limit=2").await;
    assert_eq!((status, first["groups"].as_array().unwrap().len()), (StatusCode::OK, 2));
    assert_eq!((&first["groups"][0]["id"], &first["groups"][1]["id"]), (&json!(all[0].id), &json!(all[1].id)), "the last seen first");
    assert!(first["groups"][0].get("report").is_none());
    let (_, second) = door.get(&format!("/v1/groups?limit=2&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!((&second["groups"][0]["id"], &second["next"]), (&json!(all[2].id), &Value::Null));
    assert_eq!(second["groups"].as_array().unwrap().len(), 1);

    let ids = async |query: &str| door.get(&format!("/v1/groups?{query}")).await.1["groups"].as_array().unwrap().len();
    assert_eq!((ids("class=name_undefined").await, ids("module=shop").await, ids("module=sale").await), (1, 3, 0));
    assert_eq!((ids("state=open").await, ids("state=fixed").await), (3, 0));
    for bad in ["limit=0", "limit=201", "limit=x", "limit=-1", "state=x", "class=x", "module=../x", "after=x", "after=1.2", "color=red"] {
        let (status, problem) = door.get(&format!("/v1/groups?{bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {problem}");
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn release_comes_with_the_log() {
    let door = door().await;
    let (status, _) = door.post("/v1/ingest/odoo?release=shop%4019.0.1.0&source=x", log("checkout", LAST)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    door.counted(1).await;
    let request = door.client.post(format!("{}/v1/ingest/odoo", door.url)).bearer_auth(&door.key).header("x-odoo-release", "v2");
    assert_eq!(request.body(log("checkout", LAST)).send().await.unwrap().status(), StatusCode::ACCEPTED);
    door.counted(2).await;
    door.post("/v1/ingest/odoo?release=", log("checkout", LAST)).await;
    door.counted(3).await;
    let group = door.shop.only().await;
    assert_eq!((group.releases.first.as_deref(), group.releases.last.as_deref()), (Some("shop@19.0.1.0"), Some("v2")));

    for bad in ["%00", "a%20b", "-x", "%C3%A9", &"a".repeat(65), "%27;drop"] {
        let (status, problem) = door.post(&format!("/v1/ingest/odoo?release={bad}"), log("checkout", LAST)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn group_is_split_and_marked_over_http() {
    let door = door().await;
    for entry in ["checkout", "nightly", "nightly"] {
        door.shop.send(&log(entry, LAST)).await;
    }
    let group = door.shop.only().await;
    let path = format!("/v1/groups/{}", group.id);
    let (_, shown) = door.get(&path).await;
    assert_eq!((&shown["count"], &shown["trend"]["direction"]), (&json!(3), &json!("new")));
    let nightly = &shown["fingerprints"][0];
    assert_eq!((&nightly["count"], &nightly["apart"]), (&json!(2), &json!(false)));
    let wish = json!({ "fingerprint": nightly["fingerprint"] }).to_string();

    let (_, key) = keys::create(&door.shop.test.app.db, &support::tenant("other"), "test").await.unwrap();
    let foreign = |call: reqwest::RequestBuilder| call.bearer_auth(key.expose_secret()).send();
    let at = |tail: &str| format!("{}{path}{tail}", door.url);
    assert_eq!(foreign(door.client.get(at(""))).await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(foreign(door.client.post(at("/split")).body(wish.clone())).await.unwrap().status(), StatusCode::NOT_FOUND);
    let ignore = door.client.post(at("/state")).body(r#"{"state": "ignored"}"#);
    assert_eq!(foreign(ignore).await.unwrap().status(), StatusCode::NOT_FOUND);
    let theirs: Value = foreign(door.client.get(format!("{}/v1/groups", door.url))).await.unwrap().json().await.unwrap();
    assert_eq!(theirs, json!({ "groups": [], "next": null }));

    for bad in ["", "{}", "[]", "\u{0}", r#"{"fingerprint": "x"}"#, r#"{"fingerprint": 1, "x": 2}"#] {
        assert_eq!(door.post(&format!("{path}/split"), bad).await.0, StatusCode::BAD_REQUEST, "{bad:?}");
        assert_eq!(door.post(&format!("{path}/state"), bad).await.0, StatusCode::BAD_REQUEST, "{bad:?}");
    }
    assert_eq!(door.post(&format!("{path}/split"), " ".repeat(5000)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(door.post("/v1/groups/x/split", wish.clone()).await.0, StatusCode::NOT_FOUND);

    let (status, own) = door.post(&format!("{path}/split"), wish.clone()).await;
    assert_eq!((status, &own["count"], &own["fingerprints"][0]["apart"]), (StatusCode::CREATED, &json!(2), &json!(true)));
    // The job is the key's, so that nothing is written for a key that may not apply.
    let mut tx = door.shop.test.app.db.tenant(&door.shop.tenant).await.unwrap();
    let by_key: i64 = sqlx::query_scalar("select count(*) from runs where submitter = 'key'").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(by_key, 1);
    drop(tx);
    assert_eq!(door.post(&format!("{path}/split"), wish).await.0, StatusCode::NOT_FOUND, "it is not in this group any more");
    let (status, marked) = door.post(&format!("{path}/state"), r#"{"state": "ignored"}"#).await;
    assert_eq!((status, &marked["state"], &marked["count"]), (StatusCode::OK, &json!("ignored"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_list_show_split_and_mark() {
    let shop = Shop { tenant: support::tenant("default"), ..shop().await };
    for entry in ["checkout", "nightly"] {
        shop.send(&log(entry, LAST)).await;
    }
    let group = shop.only().await.id.to_string();
    let run = async |args: Vec<String>| {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let mut command = shop.test.command(&args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let listed = support::json(&run(words("group list --json --module shop")).await);
    assert_eq!((&listed["groups"][0]["id"], &listed["next"]), (&json!(group), &Value::Null));
    let shown = support::json(&run(words(&format!("group show {group} --json"))).await);
    let print = shown["fingerprints"][1]["fingerprint"].as_str().unwrap().to_owned();
    let own = support::json(&run(words(&format!("group split {group} {print} --json"))).await);
    assert_ne!(own["id"], json!(group));
    let text = String::from_utf8(run(words(&format!("group mark {group} ignored"))).await.stdout).unwrap();
    assert!(text.contains("ignored") && text.contains("KeyError: 'qty'") && text.contains("trend       new: 1"), "{text}");
    let text = String::from_utf8(run(words("group list")).await.stdout).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    for wrong in [format!("group show {group} --tenant other"), "group list --class x".to_owned(), format!("group split {group} {print}")] {
        assert_eq!(run(words(&wrong)).await.status.code(), Some(2), "{wrong}");
    }
}
