//! The part of the owner of the tables: migrations, and the secret that proofs are made with.

use secrecy::SecretString;
use sqlx::{Connection as _, PgConnection};

use super::signing::SigningKey;
use super::{DbError, explain_connect, options};

/// Iterative index scans, without which a filtered search comes back short.
const MIN_PGVECTOR: (u32, u32) = (0, 8);
const MIN_POSTGRES: i32 = 150_000;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Rights on the database itself, which neither a dump nor a copy of it takes along.
const RIGHTS: &str = "do $$ begin
    execute format('revoke temporary on database %I from public, odoo_agent_app, odoo_agent_indexer, odoo_agent_lookup', current_database());
end $$";

/// Brings the database up to date on a short connection of its own. Two at once wait for each other. `false`: this login may not
/// create tables, so somebody else sees to it.
pub async fn migrate(url: &SecretString) -> Result<bool, DbError> {
    let mut conn = PgConnection::connect_with(&options(url)?).await.map_err(explain_connect)?;
    let allowed = sqlx::query!(r#"select has_schema_privilege('public', 'create') as "create!""#).fetch_one(&mut conn).await?.create;
    let result = if allowed { migrate_on(&mut conn).await } else { Ok(()) };
    let closed = conn.close().await;
    result?;
    closed?;
    Ok(allowed)
}

/// Stores a secret from the settings in the place of the one that the database made for itself. Transactions of programs that hold another
/// one are refused from now on.
pub async fn store_signing_key(url: &SecretString, secret: &SecretString) -> Result<(), DbError> {
    let key = SigningKey::parse(secret)?;
    let mut conn = PgConnection::connect_with(&options(url)?).await.map_err(explain_connect)?;
    sqlx::query("select public.set_tenant_signing_key($1)").bind(key.expose_secret()).execute(&mut conn).await?;
    Ok(conn.close().await?)
}

async fn migrate_on(conn: &mut PgConnection) -> Result<(), DbError> {
    let server = sqlx::query!(
        r#"select current_setting('server_version_num')::int as "number!", current_setting('server_version') as "text!",
                  (select coalesce(installed_version, default_version) from pg_available_extensions where name = 'vector') as pgvector"#
    )
    .fetch_one(&mut *conn)
    .await?;
    if server.number < MIN_POSTGRES {
        return Err(DbError::Setup(format!("it is version {}; 15 or newer is needed", server.text)));
    }
    match server.pgvector {
        None => return Err(DbError::Setup("the extension pgvector is not installed on the server; install it".to_owned())),
        Some(found) if version_pair(&found) < MIN_PGVECTOR => {
            return Err(DbError::Setup(format!("pgvector is version {found}; 0.8 or newer is needed (ALTER EXTENSION vector UPDATE)")));
        }
        Some(_) => {}
    }
    MIGRATIONS.run(&mut *conn).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => explain_migration(error),
        other => DbError::Setup(other.to_string()),
    })?;
    sqlx::raw_sql(RIGHTS).execute(&mut *conn).await?;
    Ok(())
}

/// The usual reason is that pgvector is installed but only a superuser may enable it.
fn explain_migration(error: sqlx::Error) -> DbError {
    let refusal = error.as_database_error().filter(|refusal| refusal.code().is_some_and(|code| code == "42501"));
    if refusal.is_some() {
        return DbError::Setup(format!("{error}; the owner needs CREATEROLE, and a superuser may have to CREATE EXTENSION vector first"));
    }
    error.into()
}

fn version_pair(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
