//! What happened to a job: state, attempts, result, times; and which attempt may still write.
//! A queue cannot fence a late worker, so the token of the attempt is compared here, in the transaction that has the effect.
//! Never publishes, acks or decides whether to try again.

mod approval;
mod attempt;
mod authority;
pub mod groups;
mod rollback;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::db::{Db, DbError, TenantTx, storable, storable_json, stored};
use crate::domain::{Cost, GroupId, Job, JobKind, RunId, RunState, Submitter, TenantId};
use crate::odoo;

pub use approval::{Offered, mark_approved, offered};
pub use attempt::{AttemptToken, Claim, claim, claim_as, extend, fenced, finish, keep_outcome, kept_outcome, refuse, release};
pub use authority::authority;

pub use rollback::{Written, mark_rolled_back, written};

/// A run as people and programs see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    /// The run.
    pub run_id: RunId,
    /// What was asked for.
    pub kind: String,
    /// What it was asked with.
    #[serde(skip)]
    pub payload: Value,
    /// Where it stands.
    pub state: RunState,
    /// How many attempts counted so far.
    pub attempts: u32,
    /// Who holds it, or held it last.
    pub worker: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When its message was known to be in the queue.
    pub published_at: Option<DateTime<Utc>>,
    /// When the first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What the handler handed back.
    pub result: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
    /// What it has spent so far.
    pub cost: Cost,
    /// The group of errors it is for.
    pub group: Option<GroupId>,
    /// The trace it belongs to.
    pub traceparent: Option<String>,
}

/// Writes the row of a job, and names it as the newest run of its group. `false`: the row was there already. A job of a group is one that triage
/// asks for; any other may come from whoever reaches the queue.
pub async fn insert(tx: &mut TenantTx, job: &Job, traceparent: Option<&str>, group: Option<GroupId>) -> Result<bool, DbError> {
    let by = if group.is_some() { Submitter::Event } else { Submitter::Queue };
    insert_as(tx, job, traceparent, group, by).await
}

/// The same, and who asks for it.
pub async fn insert_as(
    tx: &mut TenantTx,
    job: &Job,
    traceparent: Option<&str>,
    group: Option<GroupId>,
    by: Submitter,
) -> Result<bool, DbError> {
    let payload = stored_payload(job)?;
    let inserted = sqlx::query!(
        "insert into runs (id, tenant_id, kind, payload, traceparent, group_id, submitter, submitted_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (id) do nothing",
        job.run_id.0,
        job.tenant.as_str(),
        job.kind.as_str(),
        payload,
        traceparent.map(storable),
        group.map(|group| group.0),
        by.as_str(),
        by.key(),
    )
    .execute(tx.conn())
    .await
    .map_err(|error| unknown_tenant(error, &job.tenant))?
    .rows_affected()
        == 1;
    if let (true, Some(group)) = (inserted, group) {
        sqlx::query!("update errors set last_run_id = $2 where id = $1", group.0, job.run_id.0).execute(tx.conn()).await?;
    }
    Ok(inserted)
}

/// Returns the payload of a job as its row holds it. Whichever door the job came by, its secrets end here.
fn stored_payload(job: &Job) -> Result<Value, DbError> {
    let mut payload = job.payload.clone();
    odoo::mask_json(&mut payload);
    storable_json("payload", &payload)
}

/// A foreign key that fails on a tenant means that somebody named one that does not exist.
fn unknown_tenant(error: sqlx::Error, tenant: &TenantId) -> DbError {
    let constraint =
        error.as_database_error().filter(|refusal| refusal.is_foreign_key_violation()).and_then(|refusal| refusal.constraint());
    match constraint {
        Some(name) if name.ends_with("tenant_id_fkey") => DbError::Missing { what: "tenant", id: tenant.to_string() },
        _ => error.into(),
    }
}

/// Notes that the queue has the message.
pub async fn mark_published(db: &Db, tenant: &TenantId, run: RunId) -> Result<(), DbError> {
    let mut tx = db.tenant(tenant).await?;
    sqlx::query!("update runs set published_at = now() where id = $1 and published_at is null", run.0).execute(tx.conn()).await?;
    tx.commit().await
}

/// Jobs of every tenant whose rows were written at least this long ago and that no queue is known to have, oldest first, with their trace.
pub async fn unpublished(db: &Db, older_than: Duration, max: u32) -> Result<Vec<(Job, Option<String>)>, DbError> {
    let mut tx = db.system().await?;
    let found = sqlx::query!(
        r#"select id as "id!", tenant_id as "tenant!" from unpublished_runs(make_interval(secs => $1), $2)"#,
        older_than.as_secs_f64(),
        i32::try_from(max).unwrap_or(i32::MAX),
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    let order: Vec<Uuid> = found.iter().map(|row| row.id).collect();
    let mut by_tenant: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for row in found {
        by_tenant.entry(row.tenant).or_default().push(row.id);
    }
    let mut jobs = HashMap::new();
    for (tenant, ids) in by_tenant {
        let tenant: TenantId = stored("tenant", &tenant)?;
        jobs.extend(jobs_of(db, &tenant, &ids).await?.into_iter().map(|job| (job.0.run_id.0, job)));
    }
    Ok(order.iter().filter_map(|id| jobs.remove(id)).collect())
}

/// The jobs of these runs of a tenant, with their trace.
async fn jobs_of(db: &Db, tenant: &TenantId, runs: &[Uuid]) -> Result<Vec<(Job, Option<String>)>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let rows = sqlx::query!("select id, kind, payload, traceparent from runs where id = any($1)", runs).fetch_all(tx.conn()).await?;
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        // A kind that only another version knows must not hold up the rest.
        let Ok(kind) = row.kind.parse::<JobKind>() else {
            tracing::warn!(run = %row.id, kind = row.kind, "a waiting run is of a kind that this version does not know");
            continue;
        };
        jobs.push((Job { run_id: RunId(row.id), tenant: tenant.clone(), kind, payload: row.payload }, row.traceparent));
    }
    Ok(jobs)
}

/// One run, or `None` if this tenant has no such run.
pub async fn get(db: &Db, tenant: &TenantId, run: RunId) -> Result<Option<RunView>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!(
        r#"select kind, payload, state, attempts, worker, created_at, published_at, started_at, finished_at, result, error, group_id, traceparent,
                  usd::float8 as "usd!", input_tokens, output_tokens, cache_read_tokens
             from runs where id = $1"#,
        run.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(RunView {
        run_id: run,
        kind: row.kind,
        payload: row.payload,
        state: stored("run state", &row.state)?,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        worker: row.worker,
        created_at: row.created_at,
        published_at: row.published_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        result: row.result,
        error: row.error,
        cost: Cost {
            usd: row.usd,
            input_tokens: u64::try_from(row.input_tokens).unwrap_or(0),
            output_tokens: u64::try_from(row.output_tokens).unwrap_or(0),
            cache_read_tokens: u64::try_from(row.cache_read_tokens).unwrap_or(0),
        },
        group: row.group_id.map(GroupId),
        traceparent: row.traceparent,
    }))
}
