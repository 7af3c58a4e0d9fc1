//! What a run has written to disk, and that it was taken back.

use std::path::PathBuf;

use serde_json::Value;

use crate::db::{DbError, TenantTx, storable_json};
use crate::domain::{Patch, RunId, written_patch};

/// What a run has written below an addons folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The addons folder.
    pub root: PathBuf,
    /// What was written.
    pub patch: Patch,
    /// The backups, for the files that existed.
    pub backups: Vec<PathBuf>,
    /// When and by whom it was taken back, if it was.
    pub rolled_back: Option<Value>,
}

/// What a run has written, if anything; locks the run for the rest of the transaction. Fails with [`DbError::Missing`] if this tenant has no
/// such run.
pub async fn written(tx: &mut TenantTx, run: RunId) -> Result<Option<Written>, DbError> {
    let row = sqlx::query!("select outcome, result from runs where id = $1 for update", run.0)
        .fetch_optional(tx.conn())
        .await?
        .ok_or_else(|| DbError::Missing { what: "run", id: run.to_string() })?;
    let (Some(outcome), Some(mut result)) = (row.outcome, row.result) else { return Ok(None) };
    if !result["applied"].is_object() {
        return Ok(None);
    }
    let Some((root, patch)) = written_patch(outcome) else { return Ok(None) };
    let backups = serde_json::from_value(result["applied"]["backups"].take()).map_err(|error| DbError::unreadable("backups", error))?;
    let rolled_back = Some(result["rolled_back"].take()).filter(Value::is_object);
    Ok(Some(Written { root, patch, backups, rolled_back }))
}

/// Notes on the result of a run that what it had written was taken back.
pub async fn mark_rolled_back(tx: &mut TenantTx, run: RunId, detail: &Value) -> Result<(), DbError> {
    let detail = storable_json("detail of a rollback", detail)?;
    sqlx::query!("update runs set result = jsonb_set(result, '{rolled_back}', $2) where id = $1", run.0, detail).execute(tx.conn()).await?;
    Ok(())
}
