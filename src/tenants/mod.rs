//! Tenants: their settings, keys, what they have spent and may still spend, and what was done in their name.
//! Never keeps a key, only its hash; never decides what a job does when the money is gone.

mod account;
pub mod audit;
pub mod budget;
pub mod keys;
mod ledger;
mod settings;
pub mod usage;

pub use account::Account;
pub use ledger::Ledger;
pub use settings::Settings;

use crate::db::{Db, DbError, storable_json, stored};
use crate::domain::TenantId;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Makes the tenant if there is none of that name. `true`: it is new.
pub async fn ensure(db: &Db, tenant: &TenantId) -> Result<bool, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let made = sqlx::query!("insert into tenants (id) values ($1) on conflict do nothing", tenant.as_str()).execute(tx.conn()).await?;
    tx.commit().await?;
    Ok(made.rows_affected() == 1)
}

/// Whether there is such a tenant.
pub async fn exists(db: &Db, tenant: &TenantId) -> Result<bool, DbError> {
    let mut tx = db.system().await?;
    let row = sqlx::query!(r#"select tenant_exists($1) as "exists!""#, tenant.as_str()).fetch_one(tx.conn()).await?;
    Ok(row.exists)
}

/// Every tenant, by name.
pub async fn all(db: &Db) -> Result<Vec<TenantId>, DbError> {
    let mut tx = db.system().await?;
    let rows = sqlx::query!(r#"select id as "id!" from tenant_ids() as id"#).fetch_all(tx.conn()).await?;
    rows.iter().map(|row| stored("tenant", &row.id)).collect()
}

/// Since when the tenant is there.
pub async fn created_at(db: &Db, tenant: &TenantId) -> Result<DateTime<Utc>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!("select created_at from tenants where id = $1", tenant.as_str()).fetch_optional(tx.conn()).await?;
    row.map(|row| row.created_at).ok_or_else(|| DbError::Missing { what: "tenant", id: tenant.to_string() })
}

/// The tenant's settings: what is stored for it, and `defaults` for the rest.
pub async fn settings(db: &Db, tenant: &TenantId, defaults: &Settings) -> Result<Settings, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!("select settings from tenants where id = $1", tenant.as_str()).fetch_optional(tx.conn()).await?;
    let row = row.ok_or_else(|| DbError::Missing { what: "tenant", id: tenant.to_string() })?;
    defaults.overlaid(row.settings)
}

/// Stores settings for the tenant: an object with the keys that differ from the defaults. Refused if they cannot be read back.
pub async fn store_settings(db: &Db, tenant: &TenantId, own: &Value) -> Result<(), DbError> {
    Settings::default().overlaid(own.clone())?;
    let own = storable_json("settings of a tenant", own)?;
    let mut tx = db.tenant(tenant).await?;
    let stored = sqlx::query!("update tenants set settings = $2 where id = $1", tenant.as_str(), own).execute(tx.conn()).await?;
    if stored.rows_affected() == 0 {
        return Err(DbError::Missing { what: "tenant", id: tenant.to_string() });
    }
    tx.commit().await
}
