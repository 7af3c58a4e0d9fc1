//! What is done to a group: its fix is applied, or a person says how it stands and what is in it.

use serde_json::Value;

use super::record::one_at_a_time;
use super::view::GroupState;
use crate::db::{DbError, TenantTx};
use crate::domain::{Fingerprint, GroupId, RunId};

/// Closes the group that a run's fix is for, if the run is for a group: the one that holds the fingerprint which the run was asked about. A
/// person may have split it off since, and what stayed behind is not mended by it.
pub async fn mark_fixed_by(tx: &mut TenantTx, run: RunId) -> Result<bool, DbError> {
    match group_of(tx, run).await? {
        Some(group) => mark_fixed(tx, group).await,
        None => Ok(false),
    }
}

/// Opens the group of a run again, because its fix was taken back. `false`: the run has no group, or it is not fixed.
pub async fn reopen_by(tx: &mut TenantTx, run: RunId) -> Result<bool, DbError> {
    let Some(group) = group_of(tx, run).await? else { return Ok(false) };
    let reopened = sqlx::query!(
        "update errors set state = 'open', openings = openings + 1, opened_at = clock_timestamp() where id = $1 and state = 'fixed'",
        group.0,
    )
    .execute(tx.conn())
    .await?;
    Ok(reopened.rows_affected() == 1)
}

/// The group of a run that was started for one: that which holds the fingerprint of the run's error today. Locked as by an occurrence, so that
/// the fingerprint stays in this group until the commit.
async fn group_of(tx: &mut TenantTx, run: RunId) -> Result<Option<GroupId>, DbError> {
    let row = sqlx::query!(
        "select f.group_id
           from runs r join error_fingerprints f on f.tenant_id = r.tenant_id and f.fingerprint = r.payload -> 'report' ->> 'fingerprint'
          where r.id = $1 and r.group_id is not null
            for update of f",
        run.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| GroupId(row.group_id)))
}

/// Closes an open group: its fix is applied. The next occurrence opens it again. `false`: it was not open.
pub async fn mark_fixed(tx: &mut TenantTx, group: GroupId) -> Result<bool, DbError> {
    let closed = sqlx::query!(
        "update errors set state = 'fixed', fixed_at = clock_timestamp(), fixed_release = last_release where id = $1 and state = 'open'",
        group.0,
    )
    .execute(tx.conn())
    .await?;
    Ok(closed.rows_affected() == 1)
}

/// Says how a group stands. Opening one that was fixed counts as an opening: its fix was none. `false`: there is no such group.
pub async fn set_state(tx: &mut TenantTx, group: GroupId, state: GroupState) -> Result<bool, DbError> {
    let known = sqlx::query!(
        "update errors set
             state = $2,
             fixed_at = case when $2 = 'fixed' and state <> 'fixed' then clock_timestamp() else fixed_at end,
             fixed_release = case when $2 = 'fixed' and state <> 'fixed' then last_release else fixed_release end,
             openings = openings + ($2 = 'open' and state = 'fixed')::int,
             opened_at = case when $2 = 'open' and state = 'fixed' then clock_timestamp() else opened_at end
          where id = $1",
        group.0,
        state.as_str(),
    )
    .execute(tx.conn())
    .await?;
    Ok(known.rows_affected() == 1)
}

/// What became of a wish to split a group.
#[derive(Debug, Clone, PartialEq)]
pub enum Split {
    /// The fingerprint is a group of its own now.
    Done {
        /// That group.
        group: GroupId,
        /// Its newest occurrence.
        report: Value,
        /// The group it was in, if nobody sees to what stayed there: its job was about the fingerprint that left.
        rest: Option<Rest>,
    },
    /// There is no such group, or it does not have that fingerprint.
    Missing,
    /// The group has no other fingerprint.
    Alone,
}

/// What stayed in a group, for a job of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    /// The number of the opening that this counts as.
    pub opening: i32,
    /// Its newest occurrence.
    pub report: Value,
}

/// Makes a fingerprint of a group a group of its own, with its counts, for good: it is never joined with another again.
pub async fn split(tx: &mut TenantTx, group: GroupId, fingerprint: &Fingerprint) -> Result<Split, DbError> {
    one_at_a_time(tx).await?;
    // In the order in which occurrences lock: the fingerprint, then its group.
    let rows = sqlx::query!("select fingerprint from error_fingerprints where group_id = $1 order by fingerprint for update", group.0)
        .fetch_all(tx.conn())
        .await?;
    if !rows.iter().any(|row| row.fingerprint == fingerprint.as_str()) {
        return Ok(Split::Missing);
    }
    if rows.len() == 1 {
        return Ok(Split::Alone);
    }
    let rest = without(tx, group, fingerprint).await?;
    let own = GroupId::generate();
    let row = sqlx::query!(
        "insert into errors (id, tenant_id, fingerprint, class, title, module, report, first_seen, last_seen, count, first_release, last_release,
                             opened_event, opened_ordinal)
         select $1, f.tenant_id, f.fingerprint, g.class, f.title, g.module, f.report, f.first_seen, f.last_seen, f.count, f.first_release,
                f.last_release, $1, 0
           from error_fingerprints f join errors g on g.id = f.group_id
          where f.group_id = $2 and f.fingerprint = $3
         returning report",
        own.0,
        group.0,
        fingerprint.as_str(),
    )
    .fetch_one(tx.conn())
    .await?;
    sqlx::query!("update error_fingerprints set group_id = $2, apart = true where fingerprint = $1", fingerprint.as_str(), own.0)
        .execute(tx.conn())
        .await?;
    sqlx::query!("update ingest_events set group_id = $3 where group_id = $1 and fingerprint = $2", group.0, fingerprint.as_str(), own.0)
        .execute(tx.conn())
        .await?;
    Ok(Split::Done { group: own, report: row.report, rest })
}

/// Takes a fingerprint out of what a group says of itself. If the newest job of an open group was about it, the group counts as opened once
/// more, for a job about the rest. When it was opened stays: nothing has come back after a fix.
async fn without(tx: &mut TenantTx, group: GroupId, fingerprint: &Fingerprint) -> Result<Option<Rest>, DbError> {
    let row = sqlx::query!(
        r#"with rest as (select * from error_fingerprints where group_id = $1 and fingerprint <> $2),
              newest as (select * from rest order by last_seen desc, fingerprint limit 1),
              job as (select coalesce(r.payload -> 'report' ->> 'fingerprint', g.fingerprint) = $2 as leaves
                        from errors g left join runs r on r.tenant_id = g.tenant_id and r.id = g.last_run_id where g.id = $1)
         update errors set
             fingerprint = case when errors.fingerprint = $2 then newest.fingerprint else errors.fingerprint end,
             title = newest.title,
             report = newest.report,
             count = (select sum(count) from rest)::bigint,
             first_seen = (select min(first_seen) from rest),
             last_seen = newest.last_seen,
             first_release = (select first_release from rest where first_release is not null order by first_seen limit 1),
             last_release = (select last_release from rest where last_release is not null order by last_seen desc limit 1),
             openings = openings + (state = 'open' and job.leaves)::int
           from newest, job where errors.id = $1
         returning state = 'open' and job.leaves as "unseen!", openings, errors.report"#,
        group.0,
        fingerprint.as_str(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.unseen.then_some(Rest { opening: row.openings, report: row.report }))
}
