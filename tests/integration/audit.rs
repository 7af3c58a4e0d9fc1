//! The audit: dated by the server, linked entry by entry, and checked by a command that names the first entry that does not fit.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use chrono::Utc;
use odoo_agent::db::Db;
use odoo_agent::domain::TenantId;
use odoo_agent::tenants::audit::{self, Fault, Head, Verified};
use odoo_agent::tenants::{self, keys};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::{self, TestDb};

async fn tenant(db: &Db, name: &str) -> TenantId {
    let tenant = support::tenant(name);
    tenants::ensure(db, &tenant).await.unwrap();
    tenant
}

async fn note(db: &Db, tenant: &TenantId, subject: &str) {
    let mut tx = db.tenant(tenant).await.unwrap();
    audit::write(&mut tx, "worker", "fix.applied", subject, &json!({ "files": ["ü", 1.50], "nul": "\0" })).await.unwrap();
    tx.commit().await.unwrap();
}

/// A database with five entries of one tenant and one of another.
async fn five() -> (TestDb, TenantId) {
    let test = support::database().await;
    let (a, b) = (tenant(&test.db, "a").await, tenant(&test.db, "b").await);
    note(&test.db, &b, "0").await;
    for subject in ["1", "2", "3", "4", "5"] {
        note(&test.db, &a, subject).await;
    }
    (test, a)
}

async fn as_owner(test: &TestDb, sql: &str) {
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut owner).await.unwrap();
}

async fn verified(test: &TestDb, tenant: &TenantId) -> Verified {
    audit::verify(&test.db, tenant, None).await.unwrap()
}

/// What is said after the owner of the tables has done this.
async fn fault_after(sql: &str) -> (i64, Fault) {
    let (test, a) = five().await;
    as_owner(&test, sql).await;
    let verified = verified(&test, &a).await;
    let other = audit::verify(&test.db, &support::tenant("b"), None).await.unwrap();
    assert_eq!((other.entries, other.fault), (1, None), "another tenant's chain is its own");
    (verified.entries, verified.fault.unwrap_or_else(|| panic!("nothing was found after {sql}")))
}

#[tokio::test]
async fn entries_are_linked_in_their_order() {
    let (test, a) = five().await;
    let found = verified(&test, &a).await;
    assert_eq!((found.entries, found.head.number, &found.fault), (5, 5, &None));
    let listed = audit::list(&test.db, &a, 2).await.unwrap();
    assert_eq!(listed.iter().map(|entry| (entry.number, entry.subject.as_str())).collect::<Vec<_>>(), [(5, "5"), (4, "4")]);
    let nobody = audit::verify(&test.db, &tenant(&test.db, "new").await, None).await.unwrap();
    assert_eq!((nobody.entries, nobody.fault), (0, None));
}

#[tokio::test]
async fn several_entries_of_one_transaction_are_linked_too() {
    let test = support::database().await;
    let a = tenant(&test.db, "a").await;
    let mut tx = test.db.tenant(&a).await.unwrap();
    for subject in ["1", "2", "3"] {
        audit::write(&mut tx, "worker", "x", subject, &Value::Null).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut undone = test.db.tenant(&a).await.unwrap();
    audit::write(&mut undone, "worker", "x", "undone", &Value::Null).await.unwrap();
    drop(undone);
    note(&test.db, &a, "4").await;
    let found = verified(&test, &a).await;
    assert_eq!((found.entries, found.fault), (4, None));
    let listed = audit::list(&test.db, &a, 10).await.unwrap();
    assert_eq!(listed.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>(), ["4", "3", "2", "1"]);
}

#[tokio::test]
async fn insert_is_dated_and_linked_by_the_server_whatever_it_says() {
    let (test, a) = five().await;
    let before = Utc::now() - chrono::TimeDelta::minutes(5);
    let mut tx = test.db.tenant(&a).await.unwrap();
    sqlx::query(
        "insert into audit (id, tenant_id, at, actor, action, subject, detail, number, previous, hash)
         values (gen_random_uuid(), 'a', '2001-01-01', 'nobody', 'key.created', 'x', '{}', 1, sha256('x'), sha256('y'))",
    )
    .execute(tx.conn())
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let newest = audit::list(&test.db, &a, 1).await.unwrap().remove(0);
    assert_eq!((newest.number, newest.actor.as_str()), (6, "nobody"));
    assert!(newest.at > before && newest.at < Utc::now() + chrono::TimeDelta::minutes(5), "{}", newest.at);
    assert_eq!(verified(&test, &a).await.fault, None);
    let mut tx = test.db.tenant(&a).await.unwrap();
    let foreign = sqlx::query("insert into audit (id, tenant_id, actor, action, subject) values (gen_random_uuid(), 'b', 'x', 'x', 'x')");
    assert!(foreign.execute(tx.conn()).await.is_err());
    for forbidden in ["update audit_heads set number = 0", "delete from audit_heads", "select audit_link(gen_random_uuid(), 'a')"] {
        let mut tx = test.db.tenant(&a).await.unwrap();
        assert!(sqlx::query(forbidden).execute(tx.conn()).await.is_err(), "{forbidden}");
    }
}

#[tokio::test]
async fn entry_that_was_changed_is_named() {
    for (change, reason) in [
        ("update audit set actor = 'somebody else' where tenant_id = 'a' and number = 3", "was changed"),
        ("update audit set at = at - interval '1 microsecond' where tenant_id = 'a' and number = 3", "was changed"),
        ("update audit set detail = '{}' where tenant_id = 'a' and number = 3", "was changed"),
        ("update audit set previous = sha256('x') where tenant_id = 'a' and number = 3", "was changed"),
        (
            // Whoever knows how hashes are made still has to make those of all entries after it.
            "update audit set actor = 'somebody else' where tenant_id = 'a' and number = 2;
             update audit e set hash = sha256(e.previous || convert_to(audit_text(e), 'UTF8')) where tenant_id = 'a' and number = 2",
            "follows another entry",
        ),
    ] {
        let (entries, fault) = fault_after(change).await;
        assert_eq!((entries, fault.number), (2, Some(3)), "{change}: {fault:?}");
        assert!(fault.reason.contains(reason) && fault.id.is_some(), "{change}: {fault:?}");
    }
}

#[tokio::test]
async fn entry_that_is_missing_is_named() {
    for (change, number, reason) in [
        ("delete from audit where tenant_id = 'a' and number = 2", 2, "after 1 comes 3"),
        ("delete from audit where tenant_id = 'a' and number = 1", 1, "after 0 comes 2"),
        ("delete from audit where tenant_id = 'a' and number > 3", 4, "all up to 5"),
        ("delete from audit where tenant_id = 'a'", 1, "all up to 5"),
    ] {
        let (entries, fault) = fault_after(change).await;
        assert_eq!((entries, fault.number, fault.id), (number - 1, Some(number), None), "{change}: {fault:?}");
        assert!(fault.reason.contains(reason), "{change}: {fault:?}");
    }
}

#[tokio::test]
async fn entry_that_was_put_in_is_named() {
    let insert = "insert into audit (id, tenant_id, actor, action, subject, detail, number, previous, hash)
                  values (gen_random_uuid(), 'a', 'x', 'x', 'put in', '{}',";
    for (values, number) in [("null, null, null)", None), ("6, sha256('x'), sha256('y'))", Some(6))] {
        let (entries, fault) =
            fault_after(&format!("set session_replication_role = replica; {insert} {values}; set session_replication_role = origin")).await;
        assert_eq!((entries, fault.number, fault.id.is_some()), (5, number, true), "{fault:?}");
    }
}

#[tokio::test]
async fn audit_that_was_written_anew_does_not_fit_a_noted_end() {
    let (test, a) = five().await;
    let noted = verified(&test, &a).await.head;
    note(&test.db, &a, "6").await;
    assert_eq!(audit::verify(&test.db, &a, Some(&noted)).await.unwrap().fault, None);
    as_owner(
        &test,
        "update audit set actor = 'somebody else' where tenant_id = 'a' and number = 2;
         update audit set number = null, previous = null, hash = null where tenant_id = 'a'; delete from audit_heads where tenant_id = 'a';
         do $$ declare e record; begin for e in select id from audit where tenant_id = 'a' order by at loop
           perform audit_link(e.id, 'a'); end loop; end $$",
    )
    .await;
    assert_eq!(verified(&test, &a).await.fault, None, "alone it is whole");
    let fault = audit::verify(&test.db, &a, Some(&noted)).await.unwrap().fault.unwrap();
    assert!(fault.number == Some(5) && fault.reason.contains("written anew"), "{fault:?}");
    let ahead = Head { number: 7, hash: noted.hash };
    assert_eq!(audit::verify(&test.db, &a, Some(&ahead)).await.unwrap().fault.unwrap().number, Some(7));
}

#[tokio::test]
async fn entries_written_at_the_same_time_make_one_chain() {
    let test = support::database().await;
    let (a, b) = (tenant(&test.db, "a").await, tenant(&test.db, "b").await);
    let all = (0..40).map(|at| {
        let (db, tenant) = (test.db.clone(), if at % 4 == 0 { b.clone() } else { a.clone() });
        async move { note(&db, &tenant, &at.to_string()).await }
    });
    futures::future::join_all(all).await;
    for (tenant, entries) in [(&a, 30), (&b, 10)] {
        let found = verified(&test, tenant).await;
        assert_eq!((found.entries, found.head.number, found.fault), (entries, entries, None));
    }
}

#[tokio::test]
async fn long_audit_is_read_in_pages() {
    let test = support::database().await;
    let a = tenant(&test.db, "a").await;
    let mut tx = test.db.tenant(&a).await.unwrap();
    sqlx::query(
        "insert into audit (id, tenant_id, actor, action, subject) select gen_random_uuid(), 'a', 'x', 'x', n::text from generate_series(1, 2500) n",
    )
    .execute(tx.conn())
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(verified(&test, &a).await.entries, 2_500);
    as_owner(&test, "update audit set subject = 'other' where number = 2400").await;
    let found = verified(&test, &a).await;
    assert_eq!((found.entries, found.fault.unwrap().number), (2_399, Some(2_400)));
}

#[tokio::test]
async fn command_lists_and_verifies() {
    let test = support::app(&[], |_| {}).await;
    let acme = support::tenant("acme");
    keys::create(&test.app.db, &acme, "ci").await.unwrap();
    let listed = support::json(&test.command(&["audit", "list", "--tenant", "acme", "--json"]).output().unwrap());
    assert_eq!(listed["entries"][0]["action"], "key.created");
    let output = test.command(&["audit", "verify", "--json"]).output().unwrap();
    assert!(output.status.success());
    let verified = support::json(&output);
    let of_acme = verified["tenants"].as_array().unwrap().iter().find(|one| one["tenant"] == "acme").unwrap().clone();
    assert_eq!((&of_acme["entries"], &of_acme["fault"]), (&json!(1), &Value::Null));
    let noted = of_acme["head"].as_str().unwrap();
    assert!(test.command(&["audit", "verify", "--tenant", "acme", "--noted", noted]).output().unwrap().status.success());

    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    sqlx::query("update audit set subject = 'another key' where tenant_id = 'acme'").execute(&mut owner).await.unwrap();
    let output = test.command(&["audit", "verify", "--tenant", "acme"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("entry 1") && text.contains("was changed"), "{text}");
    let bad = test.command(&["audit", "verify", "--tenant", "acme", "--noted", "12"]).output().unwrap();
    assert!(bad.status.code() == Some(2) && String::from_utf8_lossy(&bad.stderr).contains("NUMBER:HASH"));
}
