//! API keys: 256 random bits behind the prefix `oak_`. Only the SHA-256 is stored; a key is shown once, when it is made.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::audit;
use crate::db::{Db, DbError, storable, stored};
use crate::domain::TenantId;

const PREFIX: &str = "oak_";
const SECRET_BYTES: usize = 32;
/// The most characters of a key's name.
const MAX_NAME: usize = 100;

/// Names a key without being one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct KeyId(pub Uuid);

/// A key as its owner sees it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// The key's name for programs.
    pub id: KeyId,
    /// The key's name for people.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Makes a key for a tenant. The secret cannot be had a second time.
pub async fn create(db: &Db, tenant: &TenantId, name: &str) -> Result<(KeyId, SecretString), DbError> {
    let id = KeyId(Uuid::now_v7());
    let secret = new_secret();
    let name: String = storable(name).chars().take(MAX_NAME).collect();
    let mut tx = db.tenant(tenant).await?;
    sqlx::query!(
        "insert into api_keys (id, tenant_id, name, key_hash) values ($1, $2, $3, $4)",
        id.0,
        tenant.as_str(),
        name,
        hash(secret.expose_secret()),
    )
    .execute(tx.conn())
    .await?;
    audit::write(&mut tx, "command", "key.created", &id.0.to_string(), &json!({ "name": name })).await?;
    tx.commit().await?;
    Ok((id, secret))
}

/// Whose key this is, and which. What is no key, an unknown one and a revoked one all get the same answer.
pub async fn authenticate(db: &Db, key: &str) -> Result<Option<(TenantId, KeyId)>, DbError> {
    if !well_formed(key) {
        return Ok(None);
    }
    let mut tx = db.system().await?;
    let row = sqlx::query!(r#"select tenant_id as "tenant!", key_id as "key!" from authenticate($1)"#, hash(key))
        .fetch_optional(tx.conn())
        .await?;
    tx.commit().await?;
    row.map(|row| Ok((stored("tenant", &row.tenant)?, KeyId(row.key)))).transpose()
}

/// Revokes a key at once. `false`: the tenant has no such key, or it was revoked before.
pub async fn revoke(db: &Db, tenant: &TenantId, key: KeyId) -> Result<bool, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let revoked =
        sqlx::query!("update api_keys set revoked_at = now() where id = $1 and revoked_at is null", key.0).execute(tx.conn()).await?;
    let revoked = revoked.rows_affected() == 1;
    if revoked {
        audit::write(&mut tx, "command", "key.revoked", &key.0.to_string(), &Value::Null).await?;
    }
    tx.commit().await?;
    Ok(revoked)
}

/// The tenant's keys, oldest first, revoked ones too.
pub async fn list(db: &Db, tenant: &TenantId) -> Result<Vec<KeyView>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let rows = sqlx::query!("select id, name, created_at, last_used_at, revoked_at from api_keys order by created_at, id")
        .fetch_all(tx.conn())
        .await?;
    let view = rows.into_iter().map(|row| KeyView {
        id: KeyId(row.id),
        name: row.name,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
    });
    Ok(view.collect())
}

fn new_secret() -> SecretString {
    let bytes: [u8; SECRET_BYTES] = rand::random();
    let mut text = PREFIX.to_owned();
    text.extend(bytes.iter().map(|byte| format!("{byte:02x}")));
    SecretString::from(text)
}

/// Checked before the database is asked: a hostile header of a megabyte is not worth a hash.
fn well_formed(key: &str) -> bool {
    key.strip_prefix(PREFIX).is_some_and(|secret| secret.len() == 2 * SECRET_BYTES && secret.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn hash(key: &str) -> Vec<u8> {
    Sha256::digest(key.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_well_formed_and_differ() {
        let (one, two) = (new_secret(), new_secret());
        assert!(well_formed(one.expose_secret()));
        assert_ne!(one.expose_secret(), two.expose_secret());
    }

    #[test]
    fn garbage_is_no_key() {
        let long = format!("oak_{}", "a".repeat(1_000_000));
        for bad in ["", "oak_", "oak_xyz", "sk-abc", "oak_é", &"a".repeat(68), &long] {
            assert!(!well_formed(bad));
        }
    }
}
