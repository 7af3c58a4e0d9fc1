//! The way to PostgreSQL: the pool, the migrations, and [`TenantTx`], which binds row-level security to one tenant.
//! Never hands out a connection without a transaction that knows whose it is.

mod error;
mod migrations;
mod signing;

use std::borrow::Cow;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Row as _, SqlSafeStr as _, Transaction};

use crate::domain::TenantId;

pub use error::DbError;
pub use migrations::{migrate, store_signing_key};
use signing::{Scope, SigningKey};

/// The role that every connection becomes. It owns nothing, so that row-level security holds for it.
pub const APP_ROLE: &str = "odoo_agent_app";
/// The role that a connection becomes to write what everybody sees: the rows without a tenant.
pub const INDEXER_ROLE: &str = "odoo_agent_indexer";

/// How long to wait for a connection before PostgreSQL counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that was used so short a time ago is taken to be there still.
const SURELY_THERE: Duration = Duration::from_secs(1);
/// The most bytes of one JSON value that is stored.
const MAX_JSON_BYTES: usize = 8 * 1024 * 1024;

/// Where PostgreSQL is.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `postgres://…` for daily work: a login that is a member of [`APP_ROLE`]. `None`: the embedded stack.
    #[serde(deserialize_with = "secret")]
    pub url: Option<SecretString>,
    /// The owner's `postgres://…`, used by migrations only. `None`: the same as `url`.
    #[serde(deserialize_with = "secret")]
    pub migration_url: Option<SecretString>,
    /// The secret that says whose a transaction is: 64 hexadecimal digits. `None`: the one that the database holds, read as the owner.
    #[serde(deserialize_with = "secret")]
    pub signing_key: Option<SecretString>,
    /// The most connections that this process opens.
    pub max_connections: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: None, migration_url: None, signing_key: None, max_connections: 16 }
    }
}

impl Config {
    /// The address that migrations use.
    pub fn owner_url(&self) -> Option<&SecretString> {
        self.migration_url.as_ref().or(self.url.as_ref())
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// A pool of connections, all of them in the application's role.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
    signing_key: SigningKey,
}

impl Db {
    /// Connects, and refuses a server on which row-level security would not hold.
    pub async fn connect(config: &Config) -> Result<Self, DbError> {
        let url = config.url.as_ref().ok_or_else(|| DbError::Setup("no address is set; set DATABASE_URL".to_owned()))?;
        let options = options(url)?;
        // The pool would try again and again, and in the end say nothing of the reason; one connection alone says it at once.
        let mut first = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&options))
            .await
            .map_err(|_| DbError::Unavailable(sqlx::Error::PoolTimedOut))?
            .map_err(explain_connect)?;
        become_app(&mut first).await.map_err(explain_connect)?;
        check_role(&mut first).await?;
        let signing_key = signing::key_of(config).await?;
        signing_key.check(&mut first).await?;
        first.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections.max(1))
            // A search reads at two places at once where it can.
            .min_connections(config.max_connections.clamp(1, 2))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|conn, _| Box::pin(become_app(conn)))
            .test_before_acquire(false)
            .before_acquire(|conn, about| Box::pin(is_there(conn, about.idle_for)))
            .connect_lazy_with(options);
        Ok(Self { pool, signing_key })
    }

    /// A transaction that sees only this tenant's rows and those of nobody, and writes only its own.
    pub async fn tenant(&self, tenant: &TenantId) -> Result<TenantTx, DbError> {
        self.bound(tenant, Scope::Tenant).await
    }

    /// A transaction, in the name of this tenant, that sees and writes only rows of nobody: the shared knowledge.
    pub async fn indexer(&self, tenant: &TenantId) -> Result<TenantTx, DbError> {
        self.bound(tenant, Scope::Index).await
    }

    /// A transaction of no tenant: it sees no row of any, and can only call the functions that look across them.
    pub async fn system(&self) -> Result<SystemTx, DbError> {
        // The number ends what the proof of the transaction before this one was good for.
        let statement = format!("begin; set local role {APP_ROLE}; set local odoo_agent.tenant = ''; select public.tenant_nonce()");
        let conn = self.connection().await?;
        Ok(SystemTx { tx: Transaction::begin(conn, Some(AssertSqlSafe(statement).into_sql_str())).await? })
    }

    /// Whether PostgreSQL answers.
    pub async fn ping(&self) -> Result<(), DbError> {
        let mut tx = self.system().await?;
        sqlx::query!("select 1 as one").fetch_one(tx.conn()).await?;
        Ok(())
    }

    /// Closes every connection, after what is under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where connections are taken; TenantTx and SystemTx are made of them")]
    async fn connection(&self) -> Result<PoolConnection<Postgres>, DbError> {
        Ok(self.pool.acquire().await?)
    }

    async fn bound(&self, tenant: &TenantId, scope: Scope) -> Result<TenantTx, DbError> {
        let conn = self.connection().await?;
        Ok(TenantTx { tx: self.begin(conn, tenant, scope).await?, tenant: tenant.clone(), scope, db: self.clone() })
    }

    /// Begins a transaction and proves whose it is, in two round trips: the proof is good for a number that the server has just given to
    /// this session. Not prepared, so that no statement of another transaction can have put another in its place.
    async fn begin(
        &self,
        mut conn: PoolConnection<Postgres>,
        tenant: &TenantId,
        scope: Scope,
    ) -> Result<Transaction<'static, Postgres>, DbError> {
        let nonce = match sqlx::raw_sql("select public.tenant_nonce()").fetch_one(&mut *conn).await {
            Ok(row) => row.try_get(0)?,
            Err(error) => {
                // A session that cannot be given a number is of no use to anybody; another takes its place.
                conn.close_on_drop();
                return Err(error.into());
            }
        };
        let proof = self.signing_key.proof(scope, tenant, nonce);
        // The name of a tenant is letters, digits, `-` and `_`: it cannot end the literal.
        let statement = format!(
            "begin; set local role {}; set local odoo_agent.tenant = '{tenant}'; set local odoo_agent.proof = '{proof}'",
            scope.role()
        );
        Ok(Transaction::begin(conn, Some(AssertSqlSafe(statement).into_sql_str())).await?)
    }
}

/// Whether a connection out of the pool can be used. One that was used a moment ago is not asked: that would be a round trip for nothing.
async fn is_there(conn: &mut PgConnection, idle: Duration) -> Result<bool, sqlx::Error> {
    if idle > SURELY_THERE {
        conn.ping().await?;
    }
    Ok(true)
}

async fn check_role(conn: &mut PgConnection) -> Result<(), DbError> {
    let role = sqlx::query!(
        r#"select current_user::text as "name!", rolsuper as "superuser!", rolbypassrls as "bypass!",
                      exists (select from pg_class where relowner = pg_roles.oid) as "owns!",
                      has_database_privilege(current_database(), 'temporary') as "temporary!", current_database()::text as "database!",
                      pg_has_role(session_user, (select relowner from pg_class where oid = to_regclass('public.tenants')), 'MEMBER') as is_owner,
                      to_regclass('public.tenants') is not null as "migrated!"
                 from pg_roles where rolname = current_user"#
    )
    .fetch_one(conn)
    .await?;
    if role.name != APP_ROLE || role.superuser || role.bypass || role.owns {
        return Err(DbError::Setup(format!(
            "connections run as {:?}, which is not bound by row-level security; they must run as {APP_ROLE}, no superuser, \
                 without BYPASSRLS, owner of nothing",
            role.name
        )));
    }
    if !role.migrated {
        return Err(DbError::Setup("the database holds no tables; run the migrations first".to_owned()));
    }
    if role.temporary {
        return Err(DbError::Setup(format!(
            "{APP_ROLE} may make temporary tables, which would stand before the program's own; as the owner of the database: \
                 REVOKE TEMPORARY ON DATABASE {:?} FROM PUBLIC, {APP_ROLE}",
            role.database
        )));
    }
    if role.is_owner == Some(true) {
        tracing::warn!(
            "the login of database.url can become the owner of the tables, so that nothing but the program itself keeps tenants apart; \
             give daily work a login of its own and name the owner in database.migration_url"
        );
    }
    Ok(())
}

/// The limits keep a forgotten lock or a runaway query from holding up everybody else. An index of vectors by itself looks at its nearest few,
/// and whoever is left of them after the filters may be nobody: it goes on until there are enough. What is read is mostly in memory, and in small pieces: to
/// jump costs little more than to go on, and neither workers nor compiled code are worth their start.
async fn become_app(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    // Several statements in one round trip; the macros check only one at a time.
    sqlx::raw_sql(
        "set role odoo_agent_app; set statement_timeout = '60s'; set lock_timeout = '30s'; set idle_in_transaction_session_timeout = '120s';
         set hnsw.iterative_scan = 'relaxed_order'; set random_page_cost = 1.1;
         set max_parallel_workers_per_gather = 0; set jit = off",
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn explain_connect(error: sqlx::Error) -> DbError {
    let code = error.as_database_error().and_then(|refusal| refusal.code().map(Cow::into_owned));
    match code.as_deref() {
        Some("22023") => DbError::Setup(format!("the role {APP_ROLE} does not exist; run the migrations first")),
        Some("42501") => DbError::Setup(format!("the login is no member of {APP_ROLE}; as the owner: GRANT {APP_ROLE} TO the login")),
        Some("3D000") => DbError::Setup(format!("{error}; create it first")),
        Some("28P01" | "28000") => DbError::Setup(format!("{error}; check the user and the password in the address")),
        _ => error.into(),
    }
}

fn options(url: &SecretString) -> Result<PgConnectOptions, DbError> {
    // The parser's own error may repeat the address, and that holds a password.
    let parsed: Result<PgConnectOptions, _> = url.expose_secret().parse();
    let options =
        parsed.map_err(|_| DbError::Setup("the address cannot be read; use postgres://user:password@host:port/database".to_owned()))?;
    Ok(options.application_name("odoo-agent"))
}

/// A transaction of one tenant: the only way to a connection. Dropped without [`TenantTx::commit`], it undoes everything.
#[derive(Debug)]
pub struct TenantTx {
    tx: Transaction<'static, Postgres>,
    tenant: TenantId,
    scope: Scope,
    db: Db,
}

impl TenantTx {
    /// Whose it is.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The connection, for as long as the transaction lasts.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Another transaction of the same tenant, for what can be read at the same time. `None` where no connection is idle: who holds one does not
    /// wait for a second, or all might wait for each other.
    pub async fn beside(&self) -> Option<Self> {
        let conn = self.db.pool.try_acquire()?;
        let tx = self.db.begin(conn, &self.tenant, self.scope).await.ok()?;
        Some(Self { tx, tenant: self.tenant.clone(), scope: self.scope, db: self.db.clone() })
    }

    /// Makes everything permanent.
    pub async fn commit(self) -> Result<(), DbError> {
        Ok(self.tx.commit().await?)
    }
}

/// A transaction of no tenant. See [`Db::system`].
#[derive(Debug)]
pub struct SystemTx {
    tx: Transaction<'static, Postgres>,
}

impl SystemTx {
    /// The connection, for as long as the transaction lasts.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Makes everything permanent.
    pub async fn commit(self) -> Result<(), DbError> {
        Ok(self.tx.commit().await?)
    }
}

/// Text that PostgreSQL can hold: log text may carry the NUL character, which it cannot.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The same for a whole value, with a limit on its size.
pub(crate) fn storable_json<T: Serialize>(what: &'static str, value: &T) -> Result<Value, DbError> {
    let mut value = serde_json::to_value(value).map_err(|error| DbError::unreadable(what, error))?;
    let bytes = serde_json::to_string(&value).map_err(|error| DbError::unreadable(what, error))?;
    if bytes.len() > MAX_JSON_BYTES {
        return Err(DbError::TooLarge(bytes.len()));
    }
    // Only a text with this escape can hold a NUL; most have none and need no second walk.
    if bytes.contains("\\u0000") {
        without_nul(&mut value);
    }
    Ok(value)
}

fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) => *text = storable(text),
        Value::Array(items) => items.iter_mut().for_each(without_nul),
        Value::Object(map) => {
            *map = std::mem::take(map)
                .into_iter()
                .map(|(key, mut inner)| {
                    without_nul(&mut inner);
                    (storable(&key), inner)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Reads a stored text back into its type.
pub(crate) fn stored<T>(what: &'static str, text: &str) -> Result<T, DbError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| DbError::unreadable(what, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_never_reaches_the_database() {
        let value = storable_json("x", &serde_json::json!({"a\0": ["b\0c", {"d": "\0"}], "n": 1})).unwrap();
        assert_eq!(value, serde_json::json!({"a\u{fffd}": ["b\u{fffd}c", {"d": "\u{fffd}"}], "n": 1}));
    }

    #[test]
    fn too_large_a_value_is_refused() {
        assert!(matches!(storable_json("x", &"a".repeat(MAX_JSON_BYTES)), Err(DbError::TooLarge(_))));
    }

    #[test]
    fn bad_address_does_not_show_its_password() {
        let error = options(&SecretString::from("postgres://me:hunter2@[bad")).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn config_keeps_its_secret_out_of_debug() {
        let config: Config = serde_json::from_value(serde_json::json!({"url": "postgres://u:hunter2@h/d"})).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.max_connections, 16);
    }
}
