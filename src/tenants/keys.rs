//! API keys: `oak_`, a short id that finds a leaked one, and 256 random bits. Only the SHA-256 is stored; a key is shown once, when it is made.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::audit;
use crate::db::{Db, DbError, TenantTx, storable, stored};
use crate::domain::{Scopes, TenantId};

const PREFIX: &str = "oak_";
const SECRET_BYTES: usize = 32;
const SHORT_ID_BYTES: usize = 6;
/// The most characters of a key's name.
const MAX_NAME: usize = 100;

/// Names a key without being one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct KeyId(pub Uuid);

/// A key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The key's name for people.
    pub name: String,
    /// Everything that the key may do.
    pub scopes: Scopes,
    /// Time that it is valid; `None`: until it is revoked.
    pub lifetime: Option<Duration>,
}

impl NewKey {
    /// A key with the usual scopes that is valid until it is revoked.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), scopes: Scopes::usual(), lifetime: None }
    }

    /// The same with these scopes.
    #[must_use]
    pub fn with_scopes(self, scopes: Scopes) -> Self {
        Self { scopes, ..self }
    }

    /// The same, valid for so long.
    #[must_use]
    pub fn valid_for(self, lifetime: Duration) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }
}

impl From<&str> for NewKey {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}

/// A key as its owner sees it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// The key's name for programs.
    pub id: KeyId,
    /// What stands in the key itself after its prefix; `None`: a key of an earlier version, which has none.
    pub short_id: Option<String>,
    /// The key's name for people.
    pub name: String,
    /// Everything that the key may do.
    pub scopes: Scopes,
    /// `valid`, `expired` or `revoked`.
    pub state: &'static str,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Time at which it expires, or has expired.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Result of looking a key up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authenticated {
    /// It is valid.
    Valid {
        /// Whose it is.
        tenant: TenantId,
        /// Id of the key.
        key: KeyId,
        /// Everything that the key may do.
        scopes: Scopes,
    },
    /// It was valid once.
    Expired,
    /// It was made worthless.
    Revoked,
    /// There is no such key.
    Unknown,
}

/// A key that takes the place of another.
#[derive(Debug)]
pub struct Rotated {
    /// The new key.
    pub id: KeyId,
    /// The new key as it is sent. It cannot be had a second time.
    pub secret: SecretString,
    /// Until when the old one is valid.
    pub old_expires_at: DateTime<Utc>,
}

/// Makes a key for a tenant. The secret cannot be had a second time.
pub async fn create(db: &Db, tenant: &TenantId, new: impl Into<NewKey>) -> Result<(KeyId, SecretString), DbError> {
    let new = new.into();
    let mut tx = db.tenant(tenant).await?;
    let (id, secret) = insert(&mut tx, &new, None).await?;
    let detail = json!({ "name": new.name, "scopes": new.scopes, "lifetime_seconds": new.lifetime.map(|lifetime| lifetime.as_secs()) });
    audit::write(&mut tx, "command", "key.created", &id.0.to_string(), &detail).await?;
    tx.commit().await?;
    Ok((id, secret))
}

async fn insert(tx: &mut TenantTx, new: &NewKey, family: Option<Uuid>) -> Result<(KeyId, SecretString), DbError> {
    let id = KeyId(Uuid::now_v7());
    let (short_id, secret) = new_secret();
    let tenant = tx.tenant().clone();
    let name: String = storable(&new.name).chars().take(MAX_NAME).collect();
    sqlx::query!(
        "insert into api_keys (id, tenant_id, name, key_hash, scopes, short_id, expires_at, family)
         values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7), $8)",
        id.0,
        tenant.as_str(),
        name,
        hash(secret.expose_secret()),
        &new.scopes.names(),
        short_id,
        new.lifetime.map(|lifetime| lifetime.as_secs_f64()) as Option<f64>,
        family,
    )
    .execute(tx.conn())
    .await?;
    Ok((id, secret))
}

/// Makes a key that takes the place of another, with its name, its scopes and as long a life. The old one stays valid for the overlap, if it does
/// not expire before. `None`: the tenant has no such key that is valid.
pub async fn rotate(db: &Db, tenant: &TenantId, old: KeyId, overlap: Duration) -> Result<Option<Rotated>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!(
        r#"update api_keys set expires_at = least(expires_at, now() + make_interval(secs => $2))
            where id = $1 and revoked_at is null and (expires_at is null or expires_at > now())
        returning name, scopes, coalesce(family, id) as "family!", expires_at as "expires_at!", created_at,
                  (select old.expires_at from api_keys as old where old.id = $1) as expired_before"#,
        old.0,
        overlap.as_secs_f64(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    // The row is read as it was before this statement.
    let lifetime = row.expired_before.map(|end| (end - row.created_at).to_std().unwrap_or_default());
    let new = NewKey { name: row.name, scopes: scopes(&row.scopes)?, lifetime };
    let (id, secret) = insert(&mut tx, &new, Some(row.family)).await?;
    let detail = json!({ "new": id, "overlap_seconds": overlap.as_secs(), "expires_at": row.expires_at });
    audit::write(&mut tx, "command", "key.rotated", &old.0.to_string(), &detail).await?;
    tx.commit().await?;
    Ok(Some(Rotated { id, secret, old_expires_at: row.expires_at }))
}

/// Tells what a key is. What is no key, and one that was never made, get the same answer.
pub async fn authenticate(db: &Db, key: &str) -> Result<Authenticated, DbError> {
    if !well_formed(key) {
        return Ok(Authenticated::Unknown);
    }
    let mut tx = db.system().await?;
    let row = sqlx::query!(
        r#"select tenant_id as "tenant!", key_id as "key!", scopes as "scopes!", state as "state!" from authenticate($1)"#,
        hash(key)
    )
    .fetch_optional(tx.conn())
    .await?;
    tx.commit().await?;
    let Some(row) = row else { return Ok(Authenticated::Unknown) };
    match row.state.as_str() {
        "valid" => Ok(Authenticated::Valid { tenant: stored("tenant", &row.tenant)?, key: KeyId(row.key), scopes: scopes(&row.scopes)? }),
        "expired" => Ok(Authenticated::Expired),
        _ => Ok(Authenticated::Revoked),
    }
}

/// Revokes a key at once. `false`: the tenant has no such key, or it was revoked before.
pub async fn revoke(db: &Db, tenant: &TenantId, key: KeyId) -> Result<bool, DbError> {
    revoke_as(db, tenant, key, "command").await
}

/// The same, and who does it.
pub async fn revoke_as(db: &Db, tenant: &TenantId, key: KeyId, by: &str) -> Result<bool, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let revoked =
        sqlx::query!("update api_keys set revoked_at = now() where id = $1 and revoked_at is null", key.0).execute(tx.conn()).await?;
    let revoked = revoked.rows_affected() == 1;
    if revoked {
        audit::write(&mut tx, by, "key.revoked", &key.0.to_string(), &Value::Null).await?;
    }
    tx.commit().await?;
    Ok(revoked)
}

/// Finds a key of the tenant by its id or by the short id in it.
pub async fn find(db: &Db, tenant: &TenantId, named: &str) -> Result<Option<KeyId>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let short_id = named.strip_prefix(PREFIX).unwrap_or(named);
    let row = sqlx::query!("select id from api_keys where id = $1 or short_id = $2", named.parse::<Uuid>().ok(), storable(short_id))
        .fetch_optional(tx.conn())
        .await?;
    Ok(row.map(|row| KeyId(row.id)))
}

/// The tenant's keys, oldest first, revoked and expired ones too.
pub async fn list(db: &Db, tenant: &TenantId) -> Result<Vec<KeyView>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let rows = sqlx::query!(
        r#"select id, short_id, name, scopes, created_at, last_used_at, expires_at, revoked_at, coalesce(expires_at <= now(), false) as "is_expired!"
             from api_keys order by created_at, id"#
    )
    .fetch_all(tx.conn())
    .await?;
    let view = rows.into_iter().map(|row| {
        let state = match (row.revoked_at.is_some(), row.is_expired) {
            (true, _) => "revoked",
            (_, true) => "expired",
            (false, false) => "valid",
        };
        Ok(KeyView {
            id: KeyId(row.id),
            short_id: row.short_id,
            name: row.name,
            scopes: scopes(&row.scopes)?,
            state,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        })
    });
    view.collect()
}

fn scopes(names: &[String]) -> Result<Scopes, DbError> {
    Scopes::parse(names.iter().map(String::as_str)).map_err(|error| DbError::unreadable("scopes of a key", error))
}

/// The short id of a new key, and the key.
fn new_secret() -> (String, SecretString) {
    let (id, secret): ([u8; SHORT_ID_BYTES], [u8; SECRET_BYTES]) = (rand::random(), rand::random());
    let short_id = hex(&id);
    let key = format!("{PREFIX}{short_id}_{}", hex(&secret));
    (short_id, SecretString::from(key))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checked before the database is asked: a hostile header of a megabyte is not worth a hash. Keys of earlier versions have no short id.
fn well_formed(key: &str) -> bool {
    let is_hex = |text: &str, bytes: usize| text.len() == 2 * bytes && text.bytes().all(|b| b.is_ascii_hexdigit());
    let Some(rest) = key.strip_prefix(PREFIX) else { return false };
    match rest.split_once('_') {
        Some((short_id, secret)) => is_hex(short_id, SHORT_ID_BYTES) && is_hex(secret, SECRET_BYTES),
        None => is_hex(rest, SECRET_BYTES),
    }
}

fn hash(key: &str) -> Vec<u8> {
    Sha256::digest(key.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_well_formed_and_differ() {
        let ((one_id, one), (_, two)) = (new_secret(), new_secret());
        assert!(well_formed(one.expose_secret()));
        assert_ne!(one.expose_secret(), two.expose_secret());
        assert!(one.expose_secret().starts_with(&format!("oak_{one_id}_")), "a leaked key names itself");
    }

    #[test]
    fn key_of_an_earlier_version_is_well_formed() {
        assert!(well_formed(&format!("oak_{}", "0a".repeat(32))));
    }

    #[test]
    fn garbage_is_no_key() {
        let long = format!("oak_{}", "a".repeat(1_000_000));
        let short = format!("oak_0123456789ab_{}", "0".repeat(63));
        for bad in ["", "oak_", "oak_xyz", "sk-abc", "oak_é", &"a".repeat(68), &long, "oak__", &short, &format!("{short}0_")] {
            assert!(!well_formed(bad), "{bad:.80}");
        }
    }
}
