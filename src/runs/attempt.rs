//! One attempt at a run: claimed under a lease, extended while it works, and fenced once another one holds the run.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::{insert, unknown_tenant};
use crate::db::{Db, DbError, TenantTx, storable, storable_json, stored};
use crate::domain::{Job, Outcome, Prerequisite, RunId, RunState, Submitter, TenantId};

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

/// What is known of a run whose message has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Whether the message made the run.
    pub is_new: bool,
    /// What the run waits for since its last attempt.
    pub waits_for: Option<Prerequisite>,
}

/// Notes that a message of the run is here, with its number in the stream. Writes the row first if the job came straight from the queue.
pub async fn arrived(db: &Db, job: &Job, traceparent: Option<&str>, sequence: u64) -> Result<Arrived, DbError> {
    let mut tx = db.tenant(&job.tenant).await?;
    let is_new = insert(&mut tx, job, traceparent, None).await?;
    let row = sqlx::query!(
        "update runs set published_at = coalesce(published_at, clock_timestamp()), message_seq = $2 where id = $1 returning waits_for",
        job.run_id.0,
        i64::try_from(sequence).ok(),
    )
    .fetch_optional(tx.conn())
    .await?;
    tx.commit().await?;
    let waits_for = row.and_then(|row| row.waits_for).map(|name| stored("prerequisite", &name)).transpose()?;
    Ok(Arrived { is_new, waits_for })
}

/// Takes a run that waits, or whose lease has run out. Writes the row first if the job came straight from the queue.
pub async fn claim(db: &Db, job: &Job, worker: &str, lease: Duration) -> Result<Claim, DbError> {
    claim_as(db, job, worker, lease, Submitter::Queue, false).await
}

/// The same for a command of the operator that does the run in its own process: there is no message, and no worker takes the run over.
pub async fn claim_in_process(db: &Db, job: &Job, worker: &str, lease: Duration) -> Result<Claim, DbError> {
    claim_as(db, job, worker, lease, Submitter::Operator, true).await
}

async fn claim_as(db: &Db, job: &Job, worker: &str, lease: Duration, by: Submitter, in_process: bool) -> Result<Claim, DbError> {
    let mut tx = db.tenant(&job.tenant).await?;
    adopt(&mut tx, job, by, in_process).await?;
    let token = AttemptToken(Uuid::new_v4());
    // clock_timestamp(): now() is the start of the transaction, which may have waited for the row since.
    let granted = sqlx::query!(
        r#"update runs set state = 'running', attempts = attempts + 1, attempt_token = $2, worker = $4, waits_for = null,
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
async fn adopt(tx: &mut TenantTx, job: &Job, by: Submitter, in_process: bool) -> Result<(), DbError> {
    let payload = storable_json("payload", &job.payload)?;
    sqlx::query!(
        "insert into runs (id, tenant_id, kind, payload, submitter, submitted_by, in_process)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (tenant_id, id) do nothing",
        job.run_id.0,
        job.tenant.as_str(),
        job.kind.as_str(),
        payload,
        by.as_str(),
        by.key(),
        in_process,
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

/// Lets the run wait for what it lacks; the attempt does not count. `false`: it was no longer ours, or it has waited `max` times.
pub async fn hold(db: &Db, tenant: &TenantId, run: RunId, token: AttemptToken, lacking: Prerequisite, max: u32) -> Result<bool, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let held = sqlx::query!(
        "update runs set state = 'queued', attempt_token = null, lease_until = null, attempts = attempts - 1, waits_for = $3,
                waits = waits + 1
          where id = $1 and attempt_token = $2 and waits < $4",
        run.0,
        token.0,
        lacking.as_str(),
        i32::try_from(max).unwrap_or(i32::MAX),
    )
    .execute(tx.conn())
    .await?
    .rows_affected()
        == 1;
    tx.commit().await?;
    Ok(held)
}

/// Returns how often the run has waited for what it lacked.
pub async fn waits(db: &Db, tenant: &TenantId, run: RunId) -> Result<u32, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!("select waits from runs where id = $1", run.0).fetch_optional(tx.conn()).await?;
    Ok(row.and_then(|row| u32::try_from(row.waits).ok()).unwrap_or(0))
}

/// Notes what a run that is about to fail fails for lack of, if anything.
pub async fn note_lack(tx: &mut TenantTx, run: RunId, token: AttemptToken, lack: Option<&str>) -> Result<(), DbError> {
    sqlx::query!("update runs set failed_for = $3 where id = $1 and attempt_token = $2", run.0, token.0, lack).execute(tx.conn()).await?;
    Ok(())
}

/// Ends a run that waits, because its message will never be taken up. `false`: it does not wait, or was asked for with something else.
pub async fn refuse(db: &Db, job: &Job, why: &str) -> Result<bool, DbError> {
    let payload = storable_json("payload", &job.payload)?;
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
