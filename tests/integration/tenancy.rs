//! What whoever can only put statements into the application's connection does not get: another tenant's rows, the shared knowledge to write,
//! the hashes of keys, the rights of the owner.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use odoo_agent::db::{self, Db, DbError, TenantTx};
use odoo_agent::domain::{Job, JobKind, RunId, TenantId};
use odoo_agent::tenants::{self, keys};
use odoo_agent::{knowledge, runs};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::support::{self, TestDb};

/// The tables that hold rows of tenants and of nobody.
const SHARED: &[&str] = &[
    "knowledge_vectors",
    "knowledge_sources",
    "knowledge_files",
    "knowledge_symbols",
    "knowledge_modules",
    "knowledge_terms",
    "knowledge_changes",
];

async fn tenant(db: &Db, name: &str) -> TenantId {
    let tenant = support::tenant(name);
    tenants::ensure(db, &tenant).await.unwrap();
    tenant
}

async fn run_of(db: &Db, tenant: &TenantId) -> RunId {
    let job = Job { run_id: RunId::generate(), tenant: tenant.clone(), kind: JobKind::DebugError, payload: json!({"log": "secret"}) };
    let mut tx = db.tenant(tenant).await.unwrap();
    runs::insert(&mut tx, &job, None, None).await.unwrap();
    tx.commit().await.unwrap();
    job.run_id
}

/// The same database over one connection, so that transactions follow each other on it.
async fn one_connection(test: &TestDb) -> Db {
    let config = db::Config {
        url: Some(test.url.clone().into()),
        signing_key: Some(test.signing_key.clone().into()),
        max_connections: 1,
        ..db::Config::default()
    };
    Db::connect(&config).await.unwrap()
}

async fn setting(tx: &mut TenantTx, name: &str) -> String {
    sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(tx.conn()).await.unwrap()
}

/// Sets both settings by a statement such as could be put into a query, then counts the runs that are seen.
async fn runs_seen_as(conn: &mut PgConnection, tenant: &str, proof: &str) -> Result<i64, sqlx::Error> {
    sqlx::query("select set_config('odoo_agent.tenant', $1, true), set_config('odoo_agent.proof', $2, true)")
        .bind(tenant)
        .bind(proof)
        .execute(&mut *conn)
        .await?;
    sqlx::query_scalar("select count(*) from runs").fetch_one(conn).await
}

fn is_refused(result: &Result<i64, sqlx::Error>) -> bool {
    let code =
        result.as_ref().err().and_then(sqlx::Error::as_database_error).and_then(|refusal| refusal.code().map(|code| code.to_string()));
    // No right, or no number was given to this session yet.
    code.is_some_and(|code| code == "42501" || code == "55000")
}

#[tokio::test]
async fn definer_cannot_be_led_to_objects_of_the_caller() {
    let test = support::database().await;
    for attack in [
        "create function pg_temp.evil(x pg_catalog.text) returns pg_catalog.bool language plpgsql as $f$ begin
           if current_user <> 'odoo_agent_app' then execute 'alter role odoo_agent_app bypassrls'; end if; return true; end $f$;
         create domain pg_temp.text as pg_catalog.text check (pg_temp.evil(value));
         select knowledge_vector_index('attack@1', 8)",
        "create temporary table audit (x int)",
        "create temporary table odoo_knowledge (x int); select knowledge_settle()",
        "create function public.evil() returns int language sql as 'select 1'",
    ] {
        let mut conn = PgConnection::connect(&test.url).await.unwrap();
        let refused = sqlx::raw_sql(attack).execute(&mut conn).await;
        assert!(is_refused(&refused.map(|_| 0)), "{attack}");
    }
    // Nor where temporary objects could be made again: the functions look for theirs last.
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    sqlx::raw_sql(
        "do $$ begin execute format('grant temporary on database %I to odoo_agent_app, odoo_agent_indexer', current_database()); end $$",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    let mut conn = PgConnection::connect(&test.url).await.unwrap();
    sqlx::raw_sql(
        "create function pg_temp.evil(x pg_catalog.text) returns pg_catalog.bool language plpgsql as $f$ begin
           if current_user not in ('odoo_agent_app', 'odoo_agent_indexer') then raise exception 'RUNNING AS %', current_user; end if;
           return true; end $f$;
         create domain pg_temp.text as pg_catalog.text check (pg_temp.evil(value));
         set role odoo_agent_indexer; select knowledge_vector_index('attack@1', 8); select knowledge_settle()",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    let bypass: bool = sqlx::query_scalar("select rolbypassrls or rolsuper from pg_roles where rolname = 'odoo_agent_app'")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert!(!bypass);
}

#[tokio::test]
async fn naming_another_tenant_shows_none_of_its_rows() {
    let test = support::database().await;
    let (a, b) = (tenant(&test.db, "a").await, tenant(&test.db, "b").await);
    run_of(&test.db, &b).await;

    // A statement that was put into a query of the tenant a.
    let mut tx = test.db.tenant(&a).await.unwrap();
    let own = setting(&mut tx, "odoo_agent.proof").await;
    assert!(is_refused(&runs_seen_as(tx.conn(), "b", &own).await));
    for proof in ["", "tenant ", "tenant 00", "index", &format!("tenant {}", "0".repeat(64))] {
        let mut tx = test.db.tenant(&a).await.unwrap();
        assert!(is_refused(&runs_seen_as(tx.conn(), "b", proof).await), "{proof}");
    }
    // In a transaction of nobody.
    let mut nobody = test.db.system().await.unwrap();
    assert!(is_refused(&runs_seen_as(nobody.conn(), "b", &own).await));
    // A connection of their own, with the login of the application and everything that its role may call.
    let mut thief = PgConnection::connect(&test.url).await.unwrap();
    for statement in ["select 1::bigint", "select tenant_nonce()"] {
        let mut tx = thief.begin().await.unwrap();
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *tx).await.unwrap();
        assert!(is_refused(&runs_seen_as(&mut tx, "b", &own).await), "{statement}");
    }
    for secret in
        ["select secret from tenant_signing_key", "select inner_pad from tenant_signing_key", "select last_value from tenant_nonces"]
    {
        let refused = sqlx::query(AssertSqlSafe(secret)).execute(&mut thief).await.map(|_| 0);
        assert!(is_refused(&refused), "{secret}");
    }
    for change in ["select setval('tenant_nonces', 1)", "select set_tenant_signing_key('\\x00')", "select nextval('tenant_nonces')"] {
        assert!(is_refused(&sqlx::query(AssertSqlSafe(change)).execute(&mut thief).await.map(|_| 0)), "{change}");
    }
}

#[tokio::test]
async fn proof_is_worth_nothing_after_its_transaction_and_in_another_session() {
    let test = support::database().await;
    let db = one_connection(&test).await;
    let (a, b) = (tenant(&db, "a").await, tenant(&db, "b").await);
    run_of(&db, &b).await;
    let mut tx = db.tenant(&b).await.unwrap();
    let stolen = setting(&mut tx, "odoo_agent.proof").await;
    assert_eq!(runs_seen_as(tx.conn(), "b", &stolen).await.unwrap(), 1, "it is good while its transaction lasts");
    let mut elsewhere = test.db.tenant(&a).await.unwrap();
    assert!(is_refused(&runs_seen_as(elsewhere.conn(), "b", &stolen).await), "in another session");
    tx.commit().await.unwrap();

    let mut tx = db.tenant(&a).await.unwrap();
    assert!(is_refused(&runs_seen_as(tx.conn(), "b", &stolen).await), "in the next transaction of the session");
    drop(tx);
    let mut tx = db.system().await.unwrap();
    assert!(is_refused(&runs_seen_as(tx.conn(), "b", &stolen).await), "in one of nobody");
    drop(tx);
    let mut tx = db.tenant(&a).await.unwrap();
    sqlx::raw_sql("discard sequences").execute(tx.conn()).await.unwrap();
    assert!(is_refused(&runs_seen_as(tx.conn(), "b", &stolen).await), "after the session has forgotten its number");
}

#[tokio::test]
async fn tenant_reads_what_is_shared_and_writes_none_of_it() {
    let test = support::database().await;
    let a = tenant(&test.db, "a").await;
    index_core(&test.db, &a).await;
    let mut tx = test.db.tenant(&a).await.unwrap();
    for table in SHARED.iter().chain(&["odoo_knowledge"]) {
        let whose = if *table == "odoo_knowledge" { "true" } else { "tenant_id is null" };
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table} where {whose}"))).fetch_one(tx.conn()).await.unwrap();
        assert!(count > 0, "{table} is not read, or the test leaves it empty");
    }
    drop(tx);
    let column = |table: &str| match table {
        "knowledge_vectors" | "knowledge_terms" => "corpus = corpus",
        "knowledge_sources" | "knowledge_symbols" => "name = name",
        "knowledge_files" => "chunks = chunks",
        "knowledge_modules" => "depends = depends",
        "knowledge_changes" => "number = number",
        _ => "title = title",
    };
    for table in SHARED.iter().chain(&["odoo_knowledge"]) {
        for statement in [
            format!("update {table} set {}", column(table)),
            format!("delete from {table}"),
            format!("insert into {table} select * from {table} limit 1"),
            format!("with gone as (delete from {table} returning 1) select count(*) from gone"),
        ] {
            for become_indexer in [false, true] {
                let mut tx = test.db.tenant(&a).await.unwrap();
                if become_indexer {
                    // As a statement in a query can, and with the proof of the tenant for another purpose.
                    sqlx::query("select set_config('role', 'odoo_agent_indexer', true)").execute(tx.conn()).await.unwrap();
                    let proof = setting(&mut tx, "odoo_agent.proof").await;
                    if statement.starts_with("with") {
                        let forged = proof.replace("tenant ", "index ");
                        sqlx::query("select set_config('odoo_agent.proof', $1, true)").bind(forged).execute(tx.conn()).await.unwrap();
                    }
                }
                let done = sqlx::query(AssertSqlSafe(statement.clone())).execute(tx.conn()).await;
                // A row that may be read and not changed is passed over; the count at the end sees to the last statement.
                let is_held = done.as_ref().map_or_else(is_denied, |done| done.rows_affected() == 0 || statement.starts_with("with"));
                assert!(is_held, "{statement}, as the indexer: {become_indexer}: {done:?}");
                if done.is_ok() {
                    tx.commit().await.unwrap();
                }
            }
        }
    }
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    for table in SHARED.iter().chain(&["odoo_knowledge"]) {
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}"))).fetch_one(&mut owner).await.unwrap();
        assert!(count > 0, "{table} was emptied");
    }
}

fn is_denied(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "42501")
}

/// A small tree of shared sources.
async fn index_core(db: &Db, tenant: &TenantId) {
    use knowledge::index::{self, Options, Origin};
    let dir = support::temp_dir();
    let addon = dir.path().join("demo");
    std::fs::create_dir(&addon).unwrap();
    std::fs::write(addon.join("__manifest__.py"), "{'name': 'Demo', 'depends': ['base']}").unwrap();
    std::fs::write(addon.join("demo.py"), "class Demo(models.Model):\n    _name = 'demo.demo'\n\n    def go(self):\n        return 1\n")
        .unwrap();
    let embedder = knowledge::Embedder::Hash(knowledge::HashEmbedder);
    let options = Options { tenant: tenant.clone(), embedder: Some(std::sync::Arc::new(embedder)), progress: std::sync::Arc::new(|_| {}) };
    index::run(db, &support::tree(dir.path(), Origin::Core), &options).await.unwrap();
}

#[tokio::test]
async fn indexer_sees_and_writes_rows_of_nobody_alone() {
    let test = support::database().await;
    let a = tenant(&test.db, "a").await;
    run_of(&test.db, &a).await;
    let mut tx = test.db.tenant(&a).await.unwrap();
    sqlx::query("insert into knowledge_changes (tenant_id, number) values ('a', 7)").execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = test.db.indexer(&a).await.unwrap();
    let seen: i64 =
        sqlx::query_scalar("select count(*) from knowledge_changes where tenant_id is not null").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(seen, 0);
    sqlx::query("update knowledge_changes set number = number + 1").execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    let own: i64 = sqlx::query_scalar("select number from knowledge_changes where tenant_id = 'a'").fetch_one(&mut owner).await.unwrap();
    assert_eq!(own, 7);
    for forbidden in [
        "select * from runs",
        "select * from tenant_knowledge",
        "insert into audit (id, tenant_id, actor, action, subject) values (gen_random_uuid(), 'a', 'x', 'x', 'x')",
        "insert into knowledge_changes (tenant_id, number) values ('a', 1)",
    ] {
        let mut tx = test.db.indexer(&a).await.unwrap();
        let error = sqlx::query(AssertSqlSafe(forbidden)).execute(tx.conn()).await.unwrap_err();
        assert!(is_denied(&error), "{forbidden}: {error}");
    }
}

#[tokio::test]
async fn hash_of_a_key_is_not_read_by_its_tenant() {
    let test = support::database().await;
    let a = tenant(&test.db, "a").await;
    keys::create(&test.db, &a, "ci").await.unwrap();
    for query in ["select key_hash from api_keys", "select * from api_keys", "select 1 from api_keys where key_hash = '\\x00'"] {
        let mut tx = test.db.tenant(&a).await.unwrap();
        let error = sqlx::query(AssertSqlSafe(query)).execute(tx.conn()).await.unwrap_err();
        assert!(is_denied(&error), "{query}: {error}");
    }
    assert_eq!(keys::list(&test.db, &a).await.unwrap().len(), 1);
}

#[tokio::test]
async fn waiting_runs_of_all_tenants_are_told_by_their_ids() {
    let test = support::database().await;
    let a = tenant(&test.db, "a").await;
    let run = run_of(&test.db, &a).await;
    let mut nobody = test.db.system().await.unwrap();
    let row = sqlx::query("select * from unpublished_runs(interval '0', 10)").fetch_one(nobody.conn()).await.unwrap();
    let columns: Vec<&str> = row.columns().iter().map(sqlx::Column::name).collect();
    assert_eq!((columns, row.get::<uuid::Uuid, _>("id")), (vec!["id", "tenant_id"], run.0));
}

#[tokio::test]
async fn indexes_are_used_under_the_policies_and_the_tenant_is_asked_for_once() {
    let test = support::database().await;
    let a = tenant(&test.db, "a").await;
    index_core(&test.db, &a).await;
    run_of(&test.db, &a).await;
    // In a table of a handful of rows it would be the cheaper one, whatever the policies say.
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    sqlx::query("drop index odoo_knowledge_filter").execute(&mut owner).await.unwrap();
    for (query, index) in [
        ("select id from odoo_knowledge where corpus = 'code' and lexemes && array[1, 2, 3]", "odoo_knowledge_lexemes_code"),
        ("select id from runs order by created_at desc limit 20", "Index Scan using runs_tenant"),
        ("select texts from knowledge_terms where tenant_id is null and corpus = 'code' and term = 0", "knowledge_terms_corpus_term"),
        ("select id from tenant_knowledge where corpus = 'error' and odoo_version = '19.0'", "Index Cond: (tenant_id = "),
        ("select name from knowledge_symbols where name = 'go' and kind = 'method'", "knowledge_symbols_name"),
    ] {
        let mut tx = test.db.tenant(&a).await.unwrap();
        sqlx::raw_sql("set local enable_seqscan = off").execute(tx.conn()).await.unwrap();
        let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("explain {query}"))).fetch_all(tx.conn()).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{query}:\n{plan}");
        assert!(!plan.contains("current_tenant()"), "the tenant is asked for by row:\n{query}:\n{plan}");
    }
}

#[tokio::test]
async fn other_signing_key_is_refused_at_once() {
    let test = support::database().await;
    let connect = |key: Option<&str>, owner: Option<&str>| {
        let config = db::Config {
            url: Some(test.url.clone().into()),
            migration_url: owner.map(|url| url.to_owned().into()),
            signing_key: key.map(|key| key.to_owned().into()),
            ..db::Config::default()
        };
        async move { Db::connect(&config).await }
    };
    let other = "ab".repeat(32);
    for (key, owner, said) in
        [(Some(other.as_str()), None, "not the secret"), (Some("hunter2"), None, "64 hex"), (None, None, "migration_url")]
    {
        let error = connect(key, owner).await.unwrap_err();
        assert!(matches!(error, DbError::Setup(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(said) && text.contains("database.signing_key") && !text.contains("hunter2"), "{text}");
    }
    let a = tenant(&connect(None, Some(&test.owner_url)).await.unwrap(), "a").await;
    // Another one, which a setting brings: from now on it alone is taken.
    db::store_signing_key(&test.owner_url.clone().into(), &other.clone().into()).await.unwrap();
    let db = connect(Some(&other), None).await.unwrap();
    assert!(!tenants::ensure(&db, &a).await.unwrap());
    let mut stale = test.db.tenant(&a).await.unwrap();
    let refused = sqlx::query("select count(*) from runs").execute(stale.conn()).await.unwrap_err();
    assert!(is_denied(&refused), "{refused}");
}
