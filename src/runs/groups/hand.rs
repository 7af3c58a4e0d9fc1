//! What is done to a group: its fix is applied, or a person says how it stands and what is in it.

use serde_json::Value;

use super::record::one_at_a_time;
use super::view::GroupState;
use crate::db::{DbError, TenantTx};
use crate::domain::{Fingerprint, GroupId, RunId};

/// Closes the group that a run is for, if it is for one.
pub async fn mark_fixed_by(tx: &mut TenantTx, run: RunId) -> Result<bool, DbError> {
    let row = sqlx::query!("select group_id from runs where id = $1", run.0).fetch_optional(tx.conn()).await?;
    match row.and_then(|row| row.group_id) {
        Some(group) => mark_fixed(tx, GroupId(group)).await,
        None => Ok(false),
    }
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
    },
    /// There is no such group, or it does not have that fingerprint.
    Missing,
    /// The group has no other fingerprint.
    Alone,
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
    without(tx, group, fingerprint).await?;
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
    Ok(Split::Done { group: own, report: row.report })
}

/// Takes a fingerprint out of what a group says of itself.
async fn without(tx: &mut TenantTx, group: GroupId, fingerprint: &Fingerprint) -> Result<(), DbError> {
    sqlx::query!(
        "with rest as (select * from error_fingerprints where group_id = $1 and fingerprint <> $2),
              newest as (select * from rest order by last_seen desc, fingerprint limit 1)
         update errors set
             fingerprint = case when errors.fingerprint = $2 then newest.fingerprint else errors.fingerprint end,
             title = newest.title,
             report = newest.report,
             count = (select sum(count) from rest)::bigint,
             first_seen = (select min(first_seen) from rest),
             last_seen = newest.last_seen,
             first_release = (select first_release from rest where first_release is not null order by first_seen limit 1),
             last_release = (select last_release from rest where last_release is not null order by last_seen desc limit 1)
           from newest where errors.id = $1",
        group.0,
        fingerprint.as_str(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
