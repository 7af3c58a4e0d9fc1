//! One attempt at a run: claimed under a lease, extended while it works, and fenced once another one holds the run.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::{stored_payload, unknown_tenant};
use crate::db::{Db, DbError, TenantTx, storable, storable_json};
use crate::domain::{Job, Outcome, RunId, RunState, Submitter, TenantId};

/// What tells one attempt from every other; only its holder may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptToken(Uuid);

/// The answer to a worker that was delivered a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The run is this attempt's until the lease ends.
    Granted {
        /// To be shown with every write.
        token: AttemptToken,
        /// Which attempt it is, counted from 1.
        attempt: u32,
    },
    /// The run has ended; nothing is left to do.
    Finished,
    /// Another attempt's lease is alive.
    Held {
        /// How long its lease still runs if it is not extended.
        for_: Duration,
    },
}

/// Takes a run that waits, or whose lease has run out. Writes the row first if the job came straight from the queue.
pub async fn claim(db: &Db, job: &Job, worker: &str, lease: Duration) -> Result<Claim, DbError> {
    claim_as(db, job, worker, lease, Submitter::Queue).await
}

/// The same, and who asks for the run if its row is not there yet.
pub async fn claim_as(db: &Db, job: &Job, worker: &str, lease: Duration, by: Submitter) -> Result<Claim, DbError> {
    let mut tx = db.tenant(&job.tenant).await?;
    adopt(&mut tx, job, by).await?;
    let token = AttemptToken(Uuid::new_v4());
    // clock_timestamp(): now() is the start of the transaction, which may have waited for the row since.
    let granted = sqlx::query!(
        r#"update runs set state = 'running', attempts = attempts + 1, attempt_token = $2, worker = $4,
                  lease_until = clock_timestamp() + make_interval(secs => $3),
                  started_at = coalesce(started_at, clock_timestamp()), published_at = coalesce(published_at, clock_timestamp())
            where id = $1 and (state = 'queued' or (state = 'running' and lease_until < clock_timestamp()))
        returning attempts"#,
        job.run_id.0,
        token.0,
        lease.as_secs_f64(),
        storable(worker),
    )
    .fetch_optional(tx.conn())
    .await?;
    let claim = match granted {
        Some(row) => Claim::Granted { token, attempt: u32::try_from(row.attempts).unwrap_or(u32::MAX) },
        None => refused(&mut tx, job.run_id).await?,
    };
    tx.commit().await?;
    Ok(claim)
}

/// Any program may publish a job; the first delivery makes it a run like any other.
async fn adopt(tx: &mut TenantTx, job: &Job, by: Submitter) -> Result<(), DbError> {
    let payload = stored_payload(job)?;
    sqlx::query!(
        "insert into runs (id, tenant_id, kind, payload, submitter, submitted_by) values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing",
        job.run_id.0,
        job.tenant.as_str(),
        job.kind.as_str(),
        payload,
        by.as_str(),
        by.key(),
    )
    .execute(tx.conn())
    .await
    .map_err(|error| unknown_tenant(error, &job.tenant))?;
    Ok(())
}

async fn refused(tx: &mut TenantTx, run: RunId) -> Result<Claim, DbError> {
    let row = sqlx::query!(
        r#"select state in ('done', 'failed') as "ended!", extract(epoch from lease_until - clock_timestamp())::float8 as seconds
             from runs where id = $1"#,
        run.0,
    )
    .fetch_optional(tx.conn())
    .await?
    // The row is there (it was just written or refused) but not for this tenant: somebody else's id was used.
    .ok_or_else(|| DbError::Missing { what: "run", id: run.to_string() })?;
    if row.ended {
        return Ok(Claim::Finished);
    }
    // Given back since we looked: the shortest wait that is no busy loop.
    Ok(Claim::Held { for_: Duration::from_secs_f64(row.seconds.unwrap_or(0.0).clamp(0.1, 86_400.0)) })
}

/// Extends the lease. `false`: the run is no longer this attempt's.
pub async fn extend(db: &Db, tenant: &TenantId, run: RunId, token: AttemptToken, lease: Duration) -> Result<bool, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let kept = sqlx::query!(
        "update runs set lease_until = clock_timestamp() + make_interval(secs => $3) where id = $1 and attempt_token = $2",
        run.0,
        token.0,
        lease.as_secs_f64(),
    )
    .execute(tx.conn())
    .await?
    .rows_affected()
        == 1;
    tx.commit().await?;
    Ok(kept)
}

/// Gives the run back to wait for its next delivery. An attempt cut off by a shutdown does not count. `false`: it was no longer ours to give.
pub async fn release(db: &Db, tenant: &TenantId, run: RunId, token: AttemptToken, count_attempt: bool) -> Result<bool, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let released = sqlx::query!(
        "update runs set state = 'queued', attempt_token = null, lease_until = null, attempts = attempts - $3
          where id = $1 and attempt_token = $2",
        run.0,
        token.0,
        i32::from(!count_attempt),
    )
    .execute(tx.conn())
    .await?
    .rows_affected()
        == 1;
    tx.commit().await?;
    Ok(released)
}

/// Ends a run that waits, because its message will never be taken up. `false`: it does not wait, or was asked for with something else.
pub async fn refuse(db: &Db, job: &Job, why: &str) -> Result<bool, DbError> {
    let payload = stored_payload(job)?;
    let mut tx = db.tenant(&job.tenant).await?;
    let refused = sqlx::query!(
        "update runs set state = 'failed', error = $3, finished_at = clock_timestamp(),
                result = jsonb_build_object('run_id', id, 'outcome', 'failed', 'error', $3::text)
          where id = $1 and state = 'queued' and payload = $2",
        job.run_id.0,
        payload,
        storable(why),
    )
    .execute(tx.conn())
    .await?
    .rows_affected()
        == 1;
    tx.commit().await?;
    Ok(refused)
}

/// Ends the run with what came out. Fails with [`DbError::Fenced`] if another attempt has it or it has ended.
pub async fn finish(
    tx: &mut TenantTx,
    run: RunId,
    token: AttemptToken,
    state: RunState,
    result: &Value,
    error: Option<&str>,
) -> Result<(), DbError> {
    if !state.is_final() {
        return Err(DbError::unreadable("end state of a run", state.as_str()));
    }
    let result = storable_json("result", result)?;
    let ended = sqlx::query!(
        "update runs set state = $3, result = $4, error = $5, finished_at = clock_timestamp(), attempt_token = null, lease_until = null
          where id = $1 and attempt_token = $2",
        run.0,
        token.0,
        state.as_str(),
        result,
        error.map(storable),
    )
    .execute(tx.conn())
    .await?
    .rows_affected();
    if ended == 1 { Ok(()) } else { Err(DbError::Fenced(run)) }
}

/// Writes down what the handler found, before its effects are carried out.
pub async fn keep_outcome(tx: &mut TenantTx, run: RunId, token: AttemptToken, outcome: &Outcome) -> Result<(), DbError> {
    let outcome = storable_json("outcome", outcome)?;
    let kept = sqlx::query!("update runs set outcome = $3 where id = $1 and attempt_token = $2", run.0, token.0, outcome)
        .execute(tx.conn())
        .await?
        .rows_affected();
    if kept == 1 { Ok(()) } else { Err(DbError::Fenced(run)) }
}

/// What an earlier attempt found and did not come to carry out.
pub async fn kept_outcome(db: &Db, tenant: &TenantId, run: RunId) -> Result<Option<Outcome>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!("select outcome from runs where id = $1", run.0).fetch_optional(tx.conn()).await?;
    let outcome = row.and_then(|row| row.outcome).map(serde_json::from_value).transpose();
    outcome.map_err(|error| DbError::unreadable("outcome", error))
}

/// Locks the run for the rest of the transaction, and fails with [`DbError::Fenced`] if it is no longer this attempt's.
pub async fn fenced(tx: &mut TenantTx, run: RunId, token: AttemptToken) -> Result<(), DbError> {
    let ours = sqlx::query!(r#"select 1 as "one!" from runs where id = $1 and attempt_token = $2 for update"#, run.0, token.0)
        .fetch_optional(tx.conn())
        .await?;
    ours.map(|_| ()).ok_or(DbError::Fenced(run))
}
