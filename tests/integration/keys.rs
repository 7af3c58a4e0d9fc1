//! API keys: how long they live, what takes their place, and which scope each route asks for.

use std::time::Duration;

use odoo_agent::api::{self, Route};
use odoo_agent::db::Db;
use odoo_agent::domain::{Scope, Scopes, TenantId};
use odoo_agent::tenants;
use odoo_agent::tenants::keys::{self, Authenticated, NewKey};
use reqwest::{Client, Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::support::{self, TestApp};

async fn tenant(db: &Db, name: &str) -> TenantId {
    let tenant = support::tenant(name);
    tenants::ensure(db, &tenant).await.unwrap();
    tenant
}

#[tokio::test]
async fn key_expires() {
    let test = support::database().await;
    let a = tenant(&test.db, "a").await;
    let new = NewKey::named("ci").valid_for(Duration::from_secs(3600));
    let (id, secret) = keys::create(&test.db, &a, new).await.unwrap();
    assert!(matches!(keys::authenticate(&test.db, secret.expose_secret()).await.unwrap(), Authenticated::Valid { key, .. } if key == id));
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    sqlx::query("update api_keys set expires_at = now()").execute(&mut owner).await.unwrap();
    assert_eq!(keys::authenticate(&test.db, secret.expose_secret()).await.unwrap(), Authenticated::Expired);
    assert_eq!(keys::list(&test.db, &a).await.unwrap()[0].state, "expired");
    assert!(keys::rotate(&test.db, &a, id, Duration::ZERO).await.unwrap().is_none(), "an expired key has no successor");
}

#[tokio::test]
async fn rotated_key_overlaps_with_its_successor() {
    let test = support::database().await;
    let (a, b) = (tenant(&test.db, "a").await, tenant(&test.db, "b").await);
    let scopes: Scopes = "read,apply".parse().unwrap();
    let new = NewKey::named("ci").with_scopes(scopes.clone()).valid_for(Duration::from_secs(90 * 24 * 3600));
    let (old, secret) = keys::create(&test.db, &a, new).await.unwrap();
    assert!(keys::rotate(&test.db, &b, old, Duration::ZERO).await.unwrap().is_none(), "another tenant's is none");
    let day = Duration::from_secs(24 * 3600);
    let rotated = keys::rotate(&test.db, &a, old, day).await.unwrap().unwrap();
    for (secret, id) in [(&secret, old), (&rotated.secret, rotated.id)] {
        let valid = Authenticated::Valid { tenant: a.clone(), key: id, scopes: scopes.clone() };
        assert_eq!(keys::authenticate(&test.db, secret.expose_secret()).await.unwrap(), valid);
    }
    let listed = keys::list(&test.db, &a).await.unwrap();
    let [first, second] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((&first.name, &first.scopes), (&second.name, &second.scopes));
    let life = |key: &keys::KeyView| key.expires_at.unwrap() - key.created_at;
    assert_eq!((life(first).num_days(), life(second).num_days()), (1, 90), "the old one ends with the overlap, the new one lives as long");
    // Nothing prolongs a life.
    let again = keys::rotate(&test.db, &a, old, 30 * day).await.unwrap().unwrap();
    assert_eq!(again.old_expires_at, rotated.old_expires_at);
    let now = keys::rotate(&test.db, &a, old, Duration::ZERO).await.unwrap();
    assert!(now.is_some());
    assert_eq!(keys::authenticate(&test.db, secret.expose_secret()).await.unwrap(), Authenticated::Expired);
}

#[tokio::test]
async fn key_of_an_earlier_version_keeps_what_it_could_do() {
    let test = support::database().await;
    let a = tenant(&test.db, "a").await;
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    // Its row as the migration leaves it.
    let kept: String = sqlx::query_scalar("select pg_get_constraintdef(oid) from pg_constraint where conname = 'api_keys_scopes'")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert!(kept.contains("approve"), "{kept}");
    let key = format!("oak_{}", "0a".repeat(32));
    sqlx::query("insert into api_keys (id, tenant_id, name, key_hash, scopes) values ($1, 'a', 'old', sha256(convert_to($2, 'UTF8')), '{ingest,read,run}')")
        .bind(Uuid::now_v7())
        .bind(&key)
        .execute(&mut owner)
        .await
        .unwrap();
    let Authenticated::Valid { tenant, scopes, .. } = keys::authenticate(&test.db, &key).await.unwrap() else { panic!("it is not valid") };
    assert_eq!((tenant, scopes), (a.clone(), Scopes::usual()));
    let without_scopes = sqlx::query("insert into api_keys (id, tenant_id, name, key_hash) values ($1, 'a', 'x', sha256('x'))");
    assert!(without_scopes.bind(Uuid::now_v7()).execute(&mut owner).await.is_err(), "nobody gets scopes by saying nothing");
}

struct Door {
    test: TestApp,
    url: String,
    client: Client,
    _stop: DropGuard,
}

impl Door {
    async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let test = support::app(&[], |_| {}).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(api::serve(test.app.clone(), listener, stop.clone().cancelled_owned()));
        Self { test, url, client: Client::new(), _stop: stop.drop_guard() }
    }

    async fn key(&self, scopes: Scopes) -> (keys::KeyId, String) {
        let new = NewKey::named("test").with_scopes(scopes);
        let (id, secret) = keys::create(&self.test.app.db, &support::tenant("acme"), new).await.unwrap();
        (id, secret.expose_secret().to_owned())
    }

    async fn call(&self, route: &Route, key: Option<&str>) -> reqwest::Response {
        let id = Uuid::nil().to_string();
        let path: Vec<_> = route.path.split('/').map(|part| if part.starts_with('{') { &id } else { part }).collect();
        let method = if route.method == "ANY" { Method::POST } else { route.method.parse().unwrap() };
        let request = self.client.request(method, format!("{}{}", self.url, path.join("/"))).body("{}");
        key.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth).send().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_its_scope() {
    let door = Door::open().await;
    let table = api::route_table();
    assert!(table.len() > 15, "{table:?}");
    for scope in Scope::ALL {
        let (_, lacking) = door.key(Scope::ALL.iter().copied().filter(|other| other != scope).collect()).await;
        let (_, having) = door.key([*scope].into_iter().collect()).await;
        for route in table.iter().filter(|route| route.scope == Some(*scope)) {
            let refused = door.call(route, Some(&lacking)).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{route:?}");
            let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
            assert!(challenge.contains("insufficient_scope") && challenge.contains(scope.as_str()), "{challenge}");
            assert_eq!(refused.headers()["content-type"], "application/problem+json");
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["missing_scope"], json!(scope), "{problem}");
            assert!(problem["detail"].as_str().unwrap().contains(&format!("`{scope}`")), "{problem}");
            let let_in = door.call(route, Some(&having)).await.status();
            assert!(![StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED].contains(&let_in), "{route:?}: {let_in}");
            assert!(let_in.as_u16() < 500, "{route:?}: {let_in}");
            assert_eq!(door.call(route, None).await.status(), StatusCode::UNAUTHORIZED, "{route:?}");
        }
    }
    for route in table.iter().filter(|route| route.scope.is_none()) {
        assert_eq!(door.call(route, None).await.status(), StatusCode::OK, "{route:?}");
    }
}

#[test]
fn documentation_lists_every_route_with_its_scope() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).unwrap();
    for Route { method, path, scope } in api::route_table() {
        let method = if method == "ANY" { "POST" } else { method };
        let scope = scope.map_or("–".to_owned(), |scope| format!("`{scope}`"));
        let row = text.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{method} {path}`")));
        let row = row.unwrap_or_else(|| panic!("docs/api.md has no row for `{method} {path}`"));
        assert_eq!(row.split('|').nth(2).map(str::trim), Some(scope.as_str()), "docs/api.md: {row:.120}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_that_is_over_is_told_so() {
    let door = Door::open().await;
    let (route, db) = (Route { method: "GET", path: "/v1/groups", scope: Some(Scope::Read) }, &door.test.app.db);
    let acme = support::tenant("acme");
    let (revoked, secret) = door.key(Scopes::usual()).await;
    assert_eq!(door.call(&route, Some(&secret)).await.status(), StatusCode::OK);
    assert!(keys::revoke(db, &acme, revoked).await.unwrap());
    let (old, expired) = door.key(Scopes::usual()).await;
    keys::rotate(db, &acme, old, Duration::ZERO).await.unwrap().unwrap();
    for (secret, word) in [(secret, "revoked"), (expired, "expired")] {
        let response = support::until("the key to be worthless", async || {
            let response = door.call(&route, Some(&secret)).await;
            (response.status() == StatusCode::UNAUTHORIZED).then_some(response)
        })
        .await;
        let problem: Value = response.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_sees_and_revokes_keys_of_its_tenant() {
    let door = Door::open().await;
    let (_, admin) = door.key([Scope::Admin].into_iter().collect()).await;
    let (leaked, secret) = door.key(Scopes::usual()).await;
    let (elsewhere, _) = keys::create(&door.test.app.db, &support::tenant("other"), "x").await.unwrap();
    let listed = door.client.get(format!("{}/v1/keys", door.url)).bearer_auth(&admin).send().await.unwrap().text().await.unwrap();
    let short_id = secret.split('_').nth(1).unwrap();
    assert!(listed.contains(short_id) && !listed.contains(secret.rsplit('_').next().unwrap()), "{listed}");
    assert!(!listed.contains(&elsewhere.0.to_string()), "{listed}");
    let revoke =
        async |named: &str| door.client.delete(format!("{}/v1/keys/{named}", door.url)).bearer_auth(&admin).send().await.unwrap().status();
    assert_eq!(revoke(&elsewhere.0.to_string()).await, StatusCode::NOT_FOUND);
    assert_eq!(revoke(short_id).await, StatusCode::OK);
    assert_eq!(revoke(&leaked.0.to_string()).await, StatusCode::NOT_FOUND, "it is revoked already");
    assert_eq!(keys::authenticate(&door.test.app.db, &secret).await.unwrap(), Authenticated::Revoked);
}
