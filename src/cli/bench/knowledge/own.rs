//! A PostgreSQL of the measurement's own, in a folder of its own, so that nothing that is known anywhere is touched or gets in the way.

use anyhow::Context as _;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::cli::connect::PATIENCE;
use crate::config::Config;
use crate::db::{self, Db};
use crate::domain::TenantId;
use crate::stack::{self, Stack};
use crate::tenants;

/// The server.
pub(in crate::cli::bench) struct Own {
    stack: Stack,
    owner: String,
    app: String,
    _folder: tempfile::TempDir,
}

/// A migrated database with one tenant.
pub(in crate::cli::bench) struct Database {
    /// As the program uses it.
    pub(in crate::cli::bench) db: Db,
    owner: String,
}

impl Own {
    pub(in crate::cli::bench) async fn start(config: &Config) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("odoo-agent-bench").permissions(super::super::open_to_all()).tempdir()?;
        let wanted = stack::Config {
            data_dir: folder.path().to_owned(),
            runtime_dir: config.runtime_dir.clone(),
            nats: false,
            postgres: true,
            sync: stack::SyncInterval::default(),
        };
        let stack = Box::pin(Stack::start(&wanted)).await.context("the embedded stack did not start")?;
        let owner = stack.owner_database_url().context("the stack has no PostgreSQL")?.to_owned();
        let app = stack.app_database_url().context("the stack has no PostgreSQL")?.to_owned();
        Ok(Self { stack, owner, app, _folder: folder })
    }

    pub(in crate::cli::bench) async fn database(&self, name: &str, tenant: &TenantId) -> anyhow::Result<Database> {
        self.administer(format!("create database {name}")).await?;
        let owner = within(&self.owner, name);
        db::migrate(&SecretString::from(owner.clone())).await?;
        let config =
            db::Config { url: Some(within(&self.app, name).into()), migration_url: Some(owner.clone().into()), ..db::Config::default() };
        let db = Db::connect(&config).await?;
        tenants::ensure(&db, tenant).await?;
        Ok(Database { db, owner })
    }

    /// The application's address of a database.
    pub(in crate::cli::bench) fn app_url(&self, name: &str) -> String {
        within(&self.app, name)
    }

    pub(in crate::cli::bench) async fn drop_database(&self, name: &str) -> anyhow::Result<()> {
        self.administer(format!("drop database {name} with (force)")).await
    }

    async fn administer(&self, statement: String) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.owner).await?;
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    pub(in crate::cli::bench) async fn stop(self) {
        self.stack.stop(PATIENCE).await;
    }
}

impl Database {
    /// A connection that no row-level security binds: what loads, and what people would have without this program.
    pub(in crate::cli::bench) async fn plain(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.owner).await?)
    }
}

/// The same address with another database.
fn within(url: &str, name: &str) -> String {
    let (path, query) = url.split_once('?').map_or((url, String::new()), |(path, query)| (path, format!("?{query}")));
    let server = path.rsplit_once('/').map_or(path, |(server, _)| server);
    format!("{server}/{name}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_changes() {
        assert_eq!(within("postgres://a@localhost/b?host=/x/y", "c"), "postgres://a@localhost/c?host=/x/y");
        assert_eq!(within("postgres://a@localhost/b", "c"), "postgres://a@localhost/c");
    }
}
