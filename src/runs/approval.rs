//! Patches that a run has found and not written, and their approval.

use serde_json::Value;

use crate::db::{DbError, TenantTx, storable_json};
use crate::domain::{Offer, RunId, offered_patch};

/// A run that a person may look at before they approve its patch.
#[derive(Debug, Clone, PartialEq)]
pub struct Offered {
    /// Patch that it offers, if there is one.
    pub offer: Option<Offer>,
    /// Its result; `None`: it has not ended.
    pub result: Option<Value>,
}

/// A run and the patch that it offers; locks the run for the rest of the transaction. `None`: this tenant has no such run.
pub async fn offered(tx: &mut TenantTx, run: RunId) -> Result<Option<Offered>, DbError> {
    let row = sqlx::query!("select state, outcome, result from runs where id = $1 for update", run.0).fetch_optional(tx.conn()).await?;
    let Some(row) = row else { return Ok(None) };
    // What an attempt keeps before its end may still be written by it.
    if row.state != "done" {
        return Ok(Some(Offered { offer: None, result: None }));
    }
    Ok(Some(Offered { offer: row.outcome.and_then(offered_patch), result: row.result }))
}

/// Notes on the result of a run that its patch was approved and written.
pub async fn mark_approved(tx: &mut TenantTx, run: RunId, result: &Value) -> Result<(), DbError> {
    let result = storable_json("result", result)?;
    sqlx::query!("update runs set result = $2 where id = $1 and state = 'done'", run.0, result).execute(tx.conn()).await?;
    Ok(())
}
