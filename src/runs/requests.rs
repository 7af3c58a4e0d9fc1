//! What was sent under an `Idempotency-Key`, so that the key cannot stand for two different bodies.

use uuid::Uuid;

use crate::db::{DbError, TenantTx};

/// How long a key is remembered, in days; and how many old ones one request may have to delete.
const KEEP_DAYS: i32 = 30;
const SWEEP_MAX: i64 = 100;

/// Notes that this was sent under a key. `false`: something else was sent under it before.
pub async fn note_request(tx: &mut TenantTx, key: Uuid, digest: &[u8; 32]) -> Result<bool, DbError> {
    let tenant = tx.tenant().clone();
    let is_new = sqlx::query!(
        "insert into ingest_requests (tenant_id, key, digest) values ($1, $2, $3) on conflict (tenant_id, key) do nothing",
        tenant.as_str(),
        key,
        digest.as_slice(),
    )
    .execute(tx.conn())
    .await?
    .rows_affected()
        == 1;
    if !is_new {
        let row = sqlx::query!("select digest from ingest_requests where key = $1", key).fetch_optional(tx.conn()).await?;
        return Ok(row.is_none_or(|row| row.digest == digest));
    }
    sqlx::query!(
        "delete from ingest_requests where key in (
             select key from ingest_requests where received_at < now() - make_interval(days => $1) order by received_at limit $2)",
        KEEP_DAYS,
        SWEEP_MAX,
    )
    .execute(tx.conn())
    .await?;
    Ok(true)
}
