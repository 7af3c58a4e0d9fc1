//! The store against a real PostgreSQL, as the application's role: who sees what, and what happens once.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use odoo_agent::db::{APP_ROLE, Db, DbError, TenantTx};
use odoo_agent::domain::{
    Cost, ErrorClass, ErrorReport, EventId, FailureKind, Fault, FileChange, Grade, GroupId, Job, JobKind, ObjectRef, OdooVersion, Patch,
    Raised, RunId, RunState, Scopes, Source, TenantId,
};
use odoo_agent::domain::{Lesson, Ticket};
use odoo_agent::knowledge::confidence::{self, Actor, Feedback, FeedbackKind, Recorded};
use odoo_agent::knowledge::index::{self, Options, Origin};
use odoo_agent::knowledge::{self, Embedder, HashEmbedder, Knowledge};
use odoo_agent::runs::groups::{self, EventVerdict, Occurrence};
use odoo_agent::runs::{self, AttemptToken, Claim};
use odoo_agent::tenants::keys::{self, Authenticated};
use odoo_agent::tenants::{self, Account, Settings, audit, budget, usage};
use odoo_agent::tickets::postgres as tickets;
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(30);
const FINGERPRINT: &str = "0123456789abcdef0123456789abcdef";

async fn tenant(db: &Db, name: &str) -> TenantId {
    let tenant: TenantId = name.parse().unwrap();
    tenants::ensure(db, &tenant).await.unwrap();
    tenant
}

fn job(tenant: &TenantId) -> Job {
    Job { run_id: RunId::generate(), tenant: tenant.clone(), kind: JobKind::DebugError, payload: json!({"log": "nul \u{0} in it"}) }
}

async fn submitted(db: &Db, tenant: &TenantId, group: Option<GroupId>) -> Job {
    let job = job(tenant);
    let mut tx = db.tenant(tenant).await.unwrap();
    assert!(runs::insert(&mut tx, &job, Some("00-trace"), group).await.unwrap());
    tx.commit().await.unwrap();
    job
}

async fn granted(db: &Db, job: &Job, lease: Duration) -> (AttemptToken, u32) {
    match runs::claim(db, job, "worker-1", lease).await.unwrap() {
        Claim::Granted { token, attempt } => (token, attempt),
        other => panic!("{other:?}"),
    }
}

async fn finished(db: &Db, job: &Job, token: AttemptToken) -> Result<(), DbError> {
    let mut tx = db.tenant(&job.tenant).await.unwrap();
    runs::finish(&mut tx, job.run_id, token, RunState::Done, &json!({"outcome": "fixed"}), None).await?;
    tx.commit().await
}

fn report() -> ErrorReport {
    ErrorReport {
        fingerprint: FINGERPRINT.parse().unwrap(),
        class: ErrorClass::ViewTypeTree,
        subclass: None,
        fault: Fault::Code,
        title: "ParseError: Invalid view type: 'tree'".to_owned(),
        occurred_at: None,
        level: "ERROR".to_owned(),
        logger: "odoo.modules.loading".to_owned(),
        database: None,
        odoo_version: Some("19.0".parse().unwrap()),
        module: Some("demo_addon".parse().unwrap()),
        owner: Default::default(),
        location: None,
        object: ObjectRef::default(),
        chain: vec![Raised {
            exception: "odoo.tools.convert.ParseError".to_owned(),
            message: "Invalid view type: 'tree'.\nYou might have used list\u{0}".to_owned(),
            frames: vec![],
        }],
        text: "a log with a NUL \u{0} in it".to_owned(),
    }
}

async fn recorded(db: &Db, tenant: &TenantId, event: EventId, ordinal: i32) -> groups::Recorded {
    let mut tx = db.tenant(tenant).await.unwrap();
    let occurrence = Occurrence { event, ordinal, report: &report(), kin: None, times: 1, received_at: Utc::now(), release: None };
    let recorded = groups::record(&mut tx, &occurrence).await.unwrap();
    tx.commit().await.unwrap();
    recorded
}

fn patch(after: &str) -> Patch {
    let before = Some("<tree/>\n".to_owned());
    Patch::new(vec![FileChange { path: "demo_addon/views/v.xml".parse().unwrap(), before, after: after.to_owned() }]).unwrap()
}

async fn remember(tx: &mut TenantTx, run: RunId, source: &Source, grade: Grade, patch: Option<&Patch>) {
    let lesson = Lesson {
        report: report(),
        version: "19.0".parse::<OdooVersion>().unwrap(),
        source: Some(source.clone()),
        grade: Some(grade),
        patch: patch.cloned(),
        summary: "tree to list".to_owned(),
        made_by: json!({"rules": 1}),
        shown: Vec::new(),
    };
    knowledge::remember(tx, run, &lesson).await.unwrap();
}

/// Leaves at least one row in every table that has a tenant.
async fn fill_everything(db: &Db, tenant: &TenantId) -> Job {
    let group = recorded(db, tenant, EventId::generate(), 0).await.group;
    let job = submitted(db, tenant, Some(group)).await;
    granted(db, &job, LEASE).await;
    keys::create(db, tenant, "ci").await.unwrap();
    let mut tx = db.tenant(tenant).await.unwrap();
    usage::record(&mut tx, job.run_id, "ask", &Cost { usd: 0.5, ..Cost::default() }).await.unwrap();
    tickets::file(&mut tx, job.run_id, &ticket()).await.unwrap();
    audit::write(&mut tx, "worker", "fix.applied", &job.run_id.to_string(), &json!({})).await.unwrap();
    remember(&mut tx, job.run_id, &Source::Claude, Grade::Proven, Some(&patch("<list/>\n"))).await;
    knowledge::used(&mut tx, &["a".to_owned()], true).await.unwrap();
    tx.commit().await.unwrap();
    let ended = submitted(db, tenant, None).await;
    let result = json!({ "source": "claude", "patch": "diff", "error": { "class": "view_type_tree", "fingerprint": FINGERPRINT } });
    let (token, _) = granted(db, &ended, LEASE).await;
    let mut tx = db.tenant(tenant).await.unwrap();
    runs::finish(&mut tx, ended.run_id, token, RunState::Done, &result, None).await.unwrap();
    assert!(runs::note_request(&mut tx, uuid::Uuid::new_v4(), &[7; 32]).await.unwrap());
    let merged = Feedback { run: ended.run_id, kind: FeedbackKind::Merged, by: Actor::Operator };
    assert_eq!(confidence::record(&mut tx, &merged).await.unwrap(), Recorded::Stored);
    tx.commit().await.unwrap();
    index_addon(db, tenant).await;
    job
}

/// A small addon of the tenant's own in the knowledge base.
async fn index_addon(db: &Db, tenant: &TenantId) {
    let dir = crate::support::temp_dir();
    let addon = dir.path().join("demo_addon");
    std::fs::create_dir(&addon).unwrap();
    std::fs::write(addon.join("__manifest__.py"), "{'name': 'Demo', 'depends': ['base']}").unwrap();
    std::fs::write(addon.join("demo.py"), "class Demo(models.Model):\n    _name = 'demo.demo'\n\n    def go(self):\n        return 1\n")
        .unwrap();
    let tree = crate::support::tree(dir.path(), Origin::Custom);
    let options = Options { tenant: tenant.clone(), embedder: Some(Arc::new(Embedder::Hash(HashEmbedder))), progress: Arc::new(|_| {}) };
    index::run(db, &tree, &options).await.unwrap();
}

fn ticket() -> Ticket {
    Ticket { title: "A view\u{0}".to_owned(), body: "## What".to_owned(), evidence: json!({"grade": "consistent"}), patch: None }
}

async fn count(tx: &mut TenantTx, table: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table} where tenant_id is not null"));
    sqlx::query_scalar(sql).fetch_one(tx.conn()).await.unwrap()
}

#[tokio::test]
async fn tenant_sees_nothing_of_another() {
    let test = crate::support::database().await;
    let (a, b) = (tenant(&test.db, "a").await, tenant(&test.db, "b").await);
    let job = fill_everything(&test.db, &a).await;

    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    let with_tenant: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.columns where table_schema = 'public' and column_name = 'tenant_id' order by 1",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    let expected = [
        "api_keys",
        "audit",
        "audit_heads",
        "error_counts",
        "error_fingerprints",
        "errors",
        "fix_feedback",
        "ingest_events",
        "ingest_requests",
        "knowledge",
        "knowledge_changes",
        "knowledge_files",
        "knowledge_modules",
        "knowledge_sources",
        "knowledge_symbols",
        "knowledge_terms",
        "knowledge_uses",
        "knowledge_vectors",
        "runs",
        "tenant_knowledge",
        "tickets",
        "usage",
    ];
    assert_eq!(with_tenant, expected);
    for table in &with_tenant {
        assert!(count(&mut test.db.tenant(&a).await.unwrap(), table).await > 0, "the test leaves {table} empty");
        assert_eq!(count(&mut test.db.tenant(&b).await.unwrap(), table).await, 0, "{table} leaks");
        let mut nobody = test.db.system().await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table} where tenant_id is not null"));
        assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(nobody.conn()).await.unwrap(), 0, "{table} leaks to nobody");
    }
    let tenants = sqlx::query_scalar::<_, i64>("select count(*) from tenants");
    assert_eq!(tenants.fetch_one(test.db.tenant(&b).await.unwrap().conn()).await.unwrap(), 1);
    assert!(runs::get(&test.db, &b, job.run_id).await.unwrap().is_none());
}

#[tokio::test]
async fn tenant_cannot_write_for_another() {
    let test = crate::support::database().await;
    let (a, b) = (tenant(&test.db, "a").await, tenant(&test.db, "b").await);
    let job_of_a = submitted(&test.db, &a, None).await;

    let mut tx = test.db.tenant(&b).await.unwrap();
    assert!(matches!(runs::insert(&mut tx, &job(&a), None, None).await, Err(DbError::Refused(_))));
    let mut tx = test.db.tenant(&b).await.unwrap();
    let changed = sqlx::query("update runs set error = 'mine now'").execute(tx.conn()).await.unwrap();
    assert_eq!(changed.rows_affected(), 0);
    // Unique keys and foreign keys look past row-level security; naming another's run must not get through there either.
    assert!(matches!(tickets::file(&mut tx, job_of_a.run_id, &ticket()).await, Err(DbError::Refused(_))));
    // The id of a run is the tenant's own: whoever uses another's has a run of its own.
    let stolen = Job { tenant: b, ..job_of_a.clone() };
    assert!(matches!(runs::claim(&test.db, &stolen, "w", LEASE).await, Ok(Claim::Granted { .. })));
    assert_eq!(runs::get(&test.db, &a, job_of_a.run_id).await.unwrap().unwrap().state, RunState::Queued);
}

#[tokio::test]
async fn app_role_cannot_lift_row_security() {
    let test = crate::support::database().await;
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    let row = sqlx::query(
        "select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb as powerful,
                exists (select from pg_class where relowner = pg_roles.oid) or exists (select from pg_proc where proowner = pg_roles.oid) as owns
           from pg_roles where rolname = $1",
    )
    .bind(APP_ROLE)
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert!(!row.get::<bool, _>("powerful") && !row.get::<bool, _>("owns"));
    let unprotected: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
           and not (relrowsecurity and relforcerowsecurity) order by 1",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(unprotected, ["_sqlx_migrations", "tenant_signing_key"], "the owner's own");

    for forbidden in [
        "alter table runs disable row level security",
        "drop policy tenant_only on runs",
        "create table mine (x int)",
        "delete from audit",
        "update audit set actor = 'nobody'",
        "delete from runs",
        "update runs set tenant_id = 'b'",
        "update api_keys set key_hash = sha256('x')",
        "update api_keys set scopes = '{apply}'",
        "update runs set submitter = 'operator'",
        "select * from _sqlx_migrations",
        "set local role odoo_agent_lookup; set local row_security = off; select * from audit",
    ] {
        // As a login that is a plain member would be: a superuser's connection could go back to itself.
        let mut conn = PgConnection::connect(&test.owner_url).await.unwrap();
        sqlx::raw_sql("set session authorization odoo_agent_app").execute(&mut conn).await.unwrap();
        let error = sqlx::raw_sql(forbidden).execute(&mut conn).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{forbidden}: {error}");
    }
}

#[tokio::test]
async fn lease_decides_who_may_claim() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    let job = submitted(&test.db, &a, None).await;

    let (first, attempt) = granted(&test.db, &job, LEASE).await;
    assert_eq!(attempt, 1);
    match runs::claim(&test.db, &job, "worker-2", LEASE).await.unwrap() {
        Claim::Held { for_ } => assert!(for_ > Duration::from_secs(20) && for_ <= LEASE),
        other => panic!("{other:?}"),
    }
    assert!(runs::extend(&test.db, &a, job.run_id, first, Duration::ZERO).await.unwrap());
    let (second, attempt) = granted(&test.db, &job, LEASE).await;
    assert_eq!(attempt, 2);
    assert!(!runs::extend(&test.db, &a, job.run_id, first, LEASE).await.unwrap());
    assert!(!runs::release(&test.db, &a, job.run_id, first, true).await.unwrap());

    assert!(runs::release(&test.db, &a, job.run_id, second, false).await.unwrap());
    let (third, attempt) = granted(&test.db, &job, LEASE).await;
    assert_eq!(attempt, 2, "an attempt cut off by a shutdown does not count");
    finished(&test.db, &job, third).await.unwrap();
    assert_eq!(runs::claim(&test.db, &job, "worker-3", LEASE).await.unwrap(), Claim::Finished);
}

#[tokio::test]
async fn only_one_of_many_is_granted() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    let job = job(&a);
    let claims = futures::future::join_all((0..20).map(|_| runs::claim(&test.db, &job, "w", LEASE))).await;
    assert_eq!(claims.iter().filter(|claim| matches!(claim, Ok(Claim::Granted { attempt: 1, .. }))).count(), 1);
    assert_eq!(claims.iter().filter(|claim| matches!(claim, Ok(Claim::Held { .. }))).count(), 19);
}

#[tokio::test]
async fn late_finisher_is_fenced() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    let job = submitted(&test.db, &a, None).await;
    let (late, _) = granted(&test.db, &job, Duration::ZERO).await;
    let (current, _) = granted(&test.db, &job, LEASE).await;

    let mut tx = test.db.tenant(&a).await.unwrap();
    assert!(matches!(runs::fenced(&mut tx, job.run_id, late).await, Err(DbError::Fenced(_))));
    drop(tx);
    assert!(matches!(finished(&test.db, &job, late).await, Err(DbError::Fenced(_))));
    finished(&test.db, &job, current).await.unwrap();
    assert!(matches!(finished(&test.db, &job, current).await, Err(DbError::Fenced(_))));

    let run = runs::get(&test.db, &a, job.run_id).await.unwrap().unwrap();
    assert_eq!((run.state, run.attempts, run.result), (RunState::Done, 2, Some(json!({"outcome": "fixed"}))));
}

#[tokio::test]
async fn run_has_one_ticket() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    let job = submitted(&test.db, &a, None).await;
    let mut tx = test.db.tenant(&a).await.unwrap();
    let id = tickets::file(&mut tx, job.run_id, &ticket()).await.unwrap();
    let again = Ticket { title: "Another".to_owned(), ..ticket() };
    assert_eq!(tickets::file(&mut tx, job.run_id, &again).await.unwrap(), id);
    tx.commit().await.unwrap();
    let filed = tickets::get(&test.db, &a, id).await.unwrap().unwrap();
    assert_eq!((filed.run, filed.ticket.title.as_str()), (job.run_id, "A view\u{fffd}"));
}

#[tokio::test]
async fn unpublished_runs_are_found_again() {
    let test = crate::support::database().await;
    let (a, b) = (tenant(&test.db, "a").await, tenant(&test.db, "b").await);
    let (of_a, of_b, sent) =
        (submitted(&test.db, &a, None).await, submitted(&test.db, &b, None).await, submitted(&test.db, &b, None).await);
    runs::mark_published(&test.db, &b, sent.run_id, 1).await.unwrap();

    assert!(runs::unpublished(&test.db, Duration::from_secs(60), 10).await.unwrap().is_empty(), "they may still be on their way");
    let waiting = runs::unpublished(&test.db, Duration::ZERO, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|(job, _)| job.run_id).collect::<Vec<_>>(), [of_a.run_id, of_b.run_id]);
    assert_eq!((&waiting[1].0.tenant, waiting[1].1.as_deref()), (&b, Some("00-trace")));
    assert_eq!(runs::unpublished(&test.db, Duration::ZERO, 1).await.unwrap().len(), 1);

    let mut tx = test.db.tenant(&a).await.unwrap();
    assert!(!runs::insert(&mut tx, &of_a, None, None).await.unwrap(), "a second submit of the same run changes nothing");
    assert!(matches!(
        runs::claim(&test.db, &job(&"ghost".parse().unwrap()), "w", LEASE).await,
        Err(DbError::Missing { what: "tenant", .. })
    ));
}

#[tokio::test]
async fn many_at_once_make_one_group() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    let all = futures::future::join_all((0..200).map(|_| recorded(&test.db, &a, EventId::generate(), 0))).await;
    assert_eq!(all.iter().filter(|recorded| recorded.opened == Some(1)).count(), 1);
    assert!(all.iter().all(|recorded| recorded.group == all[0].group && recorded.counted));
    let group = groups::get(&test.db, &a, all[0].group).await.unwrap().unwrap();
    assert_eq!((group.count, group.openings, group.state.as_str()), (200, 1, "open"));
}

#[tokio::test]
async fn second_delivery_is_told_the_same() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    let (opener, other) = (EventId::generate(), EventId::generate());
    let first = recorded(&test.db, &a, opener, 0).await;
    recorded(&test.db, &a, other, 0).await;
    let again = recorded(&test.db, &a, opener, 0).await;
    assert_eq!((again.group, again.opened, again.counted), (first.group, Some(1), false));
    assert_eq!(recorded(&test.db, &a, other, 0).await.opened, None);
    assert_eq!(groups::get(&test.db, &a, first.group).await.unwrap().unwrap().count, 2);

    let job = submitted(&test.db, &a, Some(first.group)).await;
    let mut tx = test.db.tenant(&a).await.unwrap();
    groups::record_verdict(&mut tx, opener, 1, EventVerdict::Undecodable, Some("no UTF-8 \u{0}")).await.unwrap();
    tx.commit().await.unwrap();
    let rows = groups::event(&test.db, &a, opener).await.unwrap();
    assert_eq!((rows.len(), rows[0].group, rows[0].run), (2, Some(first.group), Some(job.run_id)));
    assert_eq!((rows[1].verdict.as_str(), rows[1].group), ("undecodable", None));

    assert!(recorded(&test.db, &a, opener, 1).await.counted, "a newer version can read what an older one could not");
    assert_eq!(groups::event(&test.db, &a, opener).await.unwrap()[1].group, Some(first.group));
}

#[tokio::test]
async fn fixed_group_opens_again() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    let group = recorded(&test.db, &a, EventId::generate(), 0).await.group;
    let mut tx = test.db.tenant(&a).await.unwrap();
    assert!(groups::mark_fixed(&mut tx, group).await.unwrap());
    assert!(!groups::mark_fixed(&mut tx, group).await.unwrap());
    tx.commit().await.unwrap();
    let all = futures::future::join_all((0..10).map(|_| recorded(&test.db, &a, EventId::generate(), 0))).await;
    assert_eq!(all.iter().filter_map(|recorded| recorded.opened).collect::<Vec<_>>(), [2]);
    assert_eq!(groups::get(&test.db, &a, group).await.unwrap().unwrap().state, "open");
}

#[tokio::test]
async fn key_opens_its_tenant_until_revoked() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    let (id, secret) = keys::create(&test.db, &a, "ci").await.unwrap();
    let valid = Authenticated::Valid { tenant: a.clone(), key: id, scopes: Scopes::usual() };
    assert_eq!(keys::authenticate(&test.db, secret.expose_secret()).await.unwrap(), valid);
    assert!(keys::list(&test.db, &a).await.unwrap()[0].last_used_at.is_some());
    for bad in ["", "oak_", "garbage", &format!("oak_{}", "0".repeat(64)), &"x".repeat(1_000_000)] {
        assert_eq!(keys::authenticate(&test.db, bad).await.unwrap(), Authenticated::Unknown);
    }
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    let dump: String = sqlx::query_scalar("select row_to_json(api_keys)::text from api_keys").fetch_one(&mut owner).await.unwrap();
    let (found_by, kept_secret) = secret.expose_secret().rsplit_once('_').unwrap();
    assert!(!dump.contains(kept_secret), "the key itself is stored");
    let short_id = found_by.strip_prefix("oak_").unwrap();
    assert_eq!(keys::list(&test.db, &a).await.unwrap()[0].short_id.as_deref(), Some(short_id), "a leaked key is found");
    for named in [short_id, found_by, &id.0.to_string()] {
        assert_eq!(keys::find(&test.db, &a, named).await.unwrap(), Some(id), "{named}");
    }

    assert!(keys::revoke(&test.db, &a, id).await.unwrap());
    assert!(!keys::revoke(&test.db, &a, id).await.unwrap());
    assert_eq!(keys::authenticate(&test.db, secret.expose_secret()).await.unwrap(), Authenticated::Revoked);
}

#[tokio::test]
async fn step_is_charged_once() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    let job = submitted(&test.db, &a, None).await;
    let cost = Cost { usd: 0.25, input_tokens: 10, output_tokens: 5, cache_read_tokens: 1 };
    let mut tx = test.db.tenant(&a).await.unwrap();
    assert!(usage::record(&mut tx, job.run_id, "ask", &cost).await.unwrap());
    assert!(!usage::record(&mut tx, job.run_id, "ask", &cost).await.unwrap());
    assert!(usage::record(&mut tx, job.run_id, "ask again", &cost).await.unwrap());
    assert!(usage::record(&mut tx, job.run_id, "nan", &Cost { usd: f64::NAN, ..cost }).await.is_err());
    tx.commit().await.unwrap();
    assert_eq!(runs::get(&test.db, &a, job.run_id).await.unwrap().unwrap().cost.usd, 0.5);
    assert_eq!(usage::spent_today(&test.db, &a).await.unwrap(), 0.5);

    let settings = Settings { max_usd_per_job: 0.75, ..Settings::default() };
    assert_eq!(budget::check(&test.db, &a, job.run_id, &settings).await.unwrap().job_usd, 0.25);
    let settings = Settings { max_usd_per_day: 0.5, ..settings };
    assert!(budget::check(&test.db, &a, job.run_id, &settings).await.is_err());
}

#[tokio::test]
async fn payment_without_a_run_is_charged_once() {
    let test = crate::support::database().await;
    let (a, b) = (tenant(&test.db, "a").await, tenant(&test.db, "b").await);
    let job = submitted(&test.db, &a, None).await;
    // Less than a millionth of a dollar: it must not be rounded away.
    let cost = Cost { usd: 4e-7, input_tokens: 20, ..Cost::default() };
    let payment = Uuid::now_v7();
    let mut tx = test.db.tenant(&a).await.unwrap();
    assert!(usage::record_payment(&mut tx, payment, "search/embed", &cost).await.unwrap());
    assert!(!usage::record_payment(&mut tx, payment, "search/embed", &cost).await.unwrap());
    assert!(usage::record_payment(&mut tx, Uuid::now_v7(), "nul \0 in it", &cost).await.unwrap());
    for usd in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        assert!(usage::record_payment(&mut tx, Uuid::now_v7(), "garbage", &Cost { usd, ..cost }).await.is_err());
    }
    assert!(usage::record(&mut tx, job.run_id, "ask", &Cost { input_tokens: u64::MAX, ..cost }).await.unwrap());
    assert!(usage::record(&mut tx, job.run_id, "ask again", &Cost { input_tokens: u64::MAX, ..cost }).await.unwrap());
    tx.commit().await.unwrap();
    assert!((usage::spent_today(&test.db, &a).await.unwrap() - 16e-7).abs() < 1e-12);
    assert!((usage::spent_by_run(&test.db, &a, job.run_id).await.unwrap() - 8e-7).abs() < 1e-12);
    assert!((runs::get(&test.db, &a, job.run_id).await.unwrap().unwrap().cost.usd - 8e-7).abs() < 1e-12);
    assert_eq!(usage::spent_today(&test.db, &b).await.unwrap(), 0.0, "another tenant's is untouched");
    let ghost: TenantId = "ghost".parse().unwrap();
    assert!(matches!(usage::spent_today(&test.db, &ghost).await, Err(DbError::Missing { what: "tenant", .. })));
    let mut tx = test.db.tenant(&ghost).await.unwrap();
    assert!(matches!(usage::record_payment(&mut tx, Uuid::now_v7(), "search/embed", &cost).await, Err(DbError::Refused(_))));

    let settings = Settings { max_usd_per_job: 0.0, max_usd_per_day: 2e-6, ..Settings::default() };
    assert!((budget::check_day(&test.db, &a, &settings).await.unwrap() - 4e-7).abs() < 1e-12, "the limit of a run is none of it");
    let account = Account::new(test.db.clone(), a.clone(), settings);
    assert!(account.check(3e-7).await.is_ok());
    assert_eq!(account.check(5e-7).await.unwrap_err().kind, FailureKind::Budget);
    account.charge("search/embed", &cost).await.unwrap();
    let spent = account.check(0.0).await.unwrap_err();
    assert!(spent.kind == FailureKind::Budget && spent.to_string().contains("max_usd_per_day"), "{spent}");
}

#[tokio::test]
async fn row_of_usage_has_one_payer() {
    let test = crate::support::database().await;
    let (a, b) = (tenant(&test.db, "a").await, tenant(&test.db, "b").await);
    let job = submitted(&test.db, &a, None).await;
    let columns = "insert into usage (tenant_id, run_id, payment, step, usd, input_tokens, output_tokens, cache_read_tokens)";
    for (tenant, run, payment) in [(&a, None, None), (&a, Some(job.run_id.0), Some(Uuid::nil())), (&b, None, Some(Uuid::nil()))] {
        let mut tx = test.db.tenant(&a).await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("{columns} values ($1, $2, $3, 'x', 0, 0, 0, 0)"));
        let refused = sqlx::query(sql).bind(tenant.as_str()).bind(run).bind(payment).execute(tx.conn()).await;
        assert!(refused.is_err(), "{tenant} {run:?} {payment:?}");
    }
}

#[tokio::test]
async fn stored_settings_win() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    assert!(!tenants::ensure(&test.db, &a).await.unwrap());
    assert!(tenants::exists(&test.db, &a).await.unwrap());
    assert!(!tenants::exists(&test.db, &"ghost".parse().unwrap()).await.unwrap());
    assert!(tenants::store_settings(&test.db, &a, &json!({"threshold": 2})).await.is_err());
    tenants::store_settings(&test.db, &a, &json!({"apply": true})).await.unwrap();
    let defaults = Settings { threshold: 0.99, ..Settings::default() };
    assert_eq!(tenants::settings(&test.db, &a, &defaults).await.unwrap(), Settings { apply: true, ..defaults });
}

#[tokio::test]
async fn proven_fix_is_recalled() {
    let test = crate::support::database().await;
    let a = tenant(&test.db, "a").await;
    let (one, two) = (submitted(&test.db, &a, None).await, submitted(&test.db, &a, None).await);
    let (good, bad) = (patch("<list/>\n"), patch("<kanban/>\n"));
    let rule = Source::Rule("tree_to_list".to_owned());
    for (run, source, grade, patch) in [
        (one.run_id, &rule, Grade::Proven, &good),
        (one.run_id, &Source::Claude, Grade::Refuted, &bad),
        (two.run_id, &Source::Recall, Grade::Proven, &good),
    ] {
        let mut tx = test.db.tenant(&a).await.unwrap();
        remember(&mut tx, run, source, grade, Some(patch)).await;
        remember(&mut tx, run, source, grade, Some(patch)).await;
        tx.commit().await.unwrap();
    }
    let version = "19.0".parse().unwrap();
    let fixes =
        Knowledge::new(test.db.clone(), Embedder::Hash(HashEmbedder)).recall(&a, &FINGERPRINT.parse().unwrap(), &version).await.unwrap();
    assert_eq!(fixes.len(), 1, "one patch, proven twice");
    assert_eq!((&fixes[0].patch, fixes[0].run, &fixes[0].source), (&good, two.run_id, &Source::Recall));
    assert!(
        Knowledge::new(test.db.clone(), Embedder::Hash(HashEmbedder))
            .recall(&a, &FINGERPRINT.parse().unwrap(), &"18.0".parse().unwrap())
            .await
            .unwrap()
            .is_empty()
    );
}
