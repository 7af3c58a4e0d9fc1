//! What was done in a tenant's name, by whom. Rows are added, never changed: the application's role cannot.

use serde_json::Value;
use uuid::Uuid;

use crate::db::{DbError, TenantTx, storable, storable_json};

/// Notes that `actor` (a key, a worker, a command) did `action` (`fix.applied`, `key.created`) to `subject` (a run, a key, a file).
pub async fn write(tx: &mut TenantTx, actor: &str, action: &str, subject: &str, detail: &Value) -> Result<(), DbError> {
    let tenant = tx.tenant().clone();
    let detail = storable_json("detail of an audit entry", detail)?;
    sqlx::query!(
        "insert into audit (id, tenant_id, actor, action, subject, detail) values ($1, $2, $3, $4, $5, $6)",
        Uuid::now_v7(),
        tenant.as_str(),
        storable(actor),
        storable(action),
        storable(subject),
        detail,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
