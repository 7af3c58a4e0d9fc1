//! Runs that nobody works on: found across tenants by id alone, then looked at in the name of their tenant.

use std::time::Duration;

use serde_json::json;

use crate::db::{Db, DbError, TenantTx, storable, stored};
use crate::domain::{Job, JobKind, RunId, TenantId};

/// A run that waits, or whose attempt has lost its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRun {
    /// The run.
    pub run: RunId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Whether a command worked on it in its own process, so that there is no message.
    pub in_process: bool,
}

/// Where the message of a run should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePlace {
    /// The run.
    pub run: RunId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What was asked for.
    pub kind: JobKind,
    /// The number of the message in its stream. `None`: it is not known.
    pub sequence: Option<u64>,
}

/// Lists runs of every tenant that nobody works on and that nobody has looked at for this long.
pub async fn waiting(db: &Db, unseen_for: Duration, max: u32) -> Result<Vec<WaitingRun>, DbError> {
    let mut tx = db.system().await?;
    let rows = sqlx::query!(
        r#"select id as "id!", tenant_id as "tenant!", in_process as "in_process!" from waiting_runs(make_interval(secs => $1), $2)"#,
        unseen_for.as_secs_f64(),
        i32::try_from(max).unwrap_or(i32::MAX),
    )
    .fetch_all(tx.conn())
    .await?;
    let read = |row: &_| -> Result<WaitingRun, DbError> {
        let (id, tenant, in_process): &(uuid::Uuid, String, bool) = row;
        Ok(WaitingRun { run: RunId(*id), tenant: stored("tenant", tenant)?, in_process: *in_process })
    };
    rows.into_iter().map(|row| read(&(row.id, row.tenant, row.in_process))).collect()
}

/// Notes that the message of a run is looked for now, and returns where it should be. `None`: somebody works on the run again, it has
/// ended, or only another version knows its kind.
pub async fn look_for_message(db: &Db, waiting: &WaitingRun) -> Result<Option<MessagePlace>, DbError> {
    let mut tx = db.tenant(&waiting.tenant).await?;
    let row = sqlx::query!(
        "update runs set checked_at = clock_timestamp()
          where id = $1 and (state = 'queued' or (state = 'running' and lease_until < clock_timestamp()))
      returning kind, message_seq",
        waiting.run.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    tx.commit().await?;
    let Some(row) = row else { return Ok(None) };
    let Ok(kind) = row.kind.parse::<JobKind>() else { return Ok(None) };
    let sequence = row.message_seq.and_then(|number| u64::try_from(number).ok());
    Ok(Some(MessagePlace { run: waiting.run, tenant: waiting.tenant.clone(), kind, sequence }))
}

/// Returns what a run was asked for, and its trace.
pub async fn job(db: &Db, tenant: &TenantId, run: RunId) -> Result<Option<(Job, Option<String>)>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!("select kind, payload, traceparent from runs where id = $1", run.0).fetch_optional(tx.conn()).await?;
    let Some(row) = row else { return Ok(None) };
    let kind = stored("kind of a run", &row.kind)?;
    Ok(Some((Job { run_id: run, tenant: tenant.clone(), kind, payload: row.payload }, row.traceparent)))
}

/// Ends a run that a command worked on in its own process and has left without a word. `false`: it is not such a run, or its lease lives.
pub async fn end_abandoned(tx: &mut TenantTx, run: RunId, why: &str) -> Result<bool, DbError> {
    let result = json!({ "run_id": run, "outcome": "failed", "error": why });
    let ended = sqlx::query!(
        "update runs set state = 'failed', error = $2, result = $3, finished_at = clock_timestamp(), attempt_token = null, lease_until = null
          where id = $1 and in_process and state = 'running' and lease_until < clock_timestamp()",
        run.0,
        storable(why),
        result,
    )
    .execute(tx.conn())
    .await?
    .rows_affected();
    Ok(ended == 1)
}
