//! One error into its group.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{EventVerdict, NewEvent, Recorded, insert_event};
use crate::db::{DbError, TenantTx, storable, storable_json};
use crate::domain::{ErrorReport, EventId, Fingerprint, GroupId, ModuleName, Release};

/// The most characters of a title that are kept.
const MAX_TITLE: usize = 500;
/// How long counts by the hour are kept, in days; and how many old ones one occurrence may have to delete.
const KEEP_DAYS: i64 = 30;
const SWEEP_MAX: i64 = 500;

/// One error of an event.
#[derive(Debug, Clone, Copy)]
pub struct Occurrence<'a> {
    /// The event it is in.
    pub event: EventId,
    /// Which error of the event, counted from 0.
    pub ordinal: i32,
    /// What was read.
    pub report: &'a ErrorReport,
    /// What it has in common with near-duplicates; `None`: it joins no group that does not have its fingerprint.
    pub kin: Option<&'a Fingerprint>,
    /// How often it stands in the event.
    pub times: u32,
    /// When the event was received.
    pub received_at: DateTime<Utc>,
    /// What was running, if the sender says so.
    pub release: Option<&'a Release>,
}

/// The number of the opening that an occurrence made, if it made one.
#[derive(Debug, Clone, Copy)]
struct Opened {
    opening: Option<i32>,
    /// Whether the group was open all the time and only its run is done again.
    retries: bool,
}

/// An occurrence in the form in which it is stored.
struct Stored<'a> {
    of: &'a Occurrence<'a>,
    title: String,
    report: serde_json::Value,
    release: Option<&'a str>,
    times: i64,
}

/// Counts one error of an event, as often as it occurred in it, and opens its group if it is new or was thought fixed. What was received
/// before the fix and is only read now has not come back. An error whose fingerprint is new joins the group of its kin.
pub async fn record(tx: &mut TenantTx, occurrence: &Occurrence<'_>) -> Result<Recorded, DbError> {
    let Occurrence { event, ordinal, report, .. } = *occurrence;
    let row = NewEvent {
        event,
        ordinal,
        verdict: EventVerdict::Grouped,
        detail: None,
        received_at: Some(occurrence.received_at),
        fingerprint: Some(report.fingerprint.as_str()),
        release: occurrence.release.map(Release::as_str),
    };
    if !insert_event(tx, &row).await? {
        return recorded_before(tx, event, ordinal).await;
    }
    let title: String = report.title.chars().take(MAX_TITLE).collect();
    let stored = Stored {
        of: occurrence,
        title: storable(&title),
        report: storable_json("report", report)?,
        release: row.release,
        times: i64::from(occurrence.times),
    };
    let (group, opened) = match count_known(tx, &stored).await? {
        Some(group) => (group, count_in_group(tx, &stored, group).await?),
        None => first_of_its_fingerprint(tx, &stored).await?,
    };
    count_in_hour(tx, &stored).await?;
    sqlx::query!(
        "update ingest_events set group_id = $3, opening = $4 where event_id = $1 and ordinal = $2",
        event.0,
        ordinal,
        group,
        opened.opening,
    )
    .execute(tx.conn())
    .await?;
    Ok(Recorded { group: GroupId(group), opened: opened.opening, retries: opened.retries, counted: true })
}

async fn recorded_before(tx: &mut TenantTx, event: EventId, ordinal: i32) -> Result<Recorded, DbError> {
    let row = sqlx::query!("select group_id, opening from ingest_events where event_id = $1 and ordinal = $2", event.0, ordinal)
        .fetch_one(tx.conn())
        .await?;
    let group = row.group_id.ok_or_else(|| DbError::unreadable("group of an event", "the event was recorded without one"))?;
    Ok(Recorded { group: GroupId(group), opened: row.opening, retries: false, counted: false })
}

/// Counts a fingerprint that is known, and says whose it is. From here to the commit it stays in this group: the row is locked.
async fn count_known(tx: &mut TenantTx, stored: &Stored<'_>) -> Result<Option<Uuid>, DbError> {
    let row = sqlx::query!(
        "update error_fingerprints set
             count = count + $2,
             first_seen = least(first_seen, $3),
             last_seen = greatest(last_seen, $3),
             first_release = coalesce(first_release, $4),
             last_release = case when $3 >= last_seen then coalesce($4, last_release) else last_release end,
             title = case when $3 >= last_seen then $5 else title end,
             report = case when $3 >= last_seen then $6 else report end,
             kin = coalesce(kin, $7)
          where fingerprint = $1
          returning group_id",
        stored.of.report.fingerprint.as_str(),
        stored.times,
        stored.of.received_at,
        stored.release,
        stored.title,
        stored.report,
        stored.of.kin.map(Fingerprint::as_str),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| row.group_id))
}

/// Whether an occurrence starts a run of its group, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Somebody sees to the group, or nobody is to.
    Nothing,
    /// It was fixed, and its error has come back.
    Back,
    /// Its newest run failed because something outside was away.
    Retry,
}

/// How an occurrence finds its group. Locked first: of two that come at once only one finds it fixed, or its run failed. Something outside
/// that is no prerequisite, such as an image that is not there, is tried again once an hour at most: it is not looked for otherwise.
async fn start_of(tx: &mut TenantTx, stored: &Stored<'_>, group: Uuid) -> Result<Start, DbError> {
    let row = sqlx::query!(
        r#"select coalesce(g.state = 'fixed' and $2 > g.fixed_at, false) as "back!",
                  coalesce(g.state = 'open' and r.state = 'failed' and r.failed_for is not null
                           and $2 > r.finished_at + case r.failed_for when 'other' then interval '1 hour' else interval '0' end, false) as "retry!"
             from errors g left join runs r on r.tenant_id = g.tenant_id and r.id = g.last_run_id
            where g.id = $1 for update of g"#,
        group,
        stored.of.received_at,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(match (row.back, row.retry) {
        (true, _) => Start::Back,
        (false, true) => Start::Retry,
        (false, false) => Start::Nothing,
    })
}

/// Counts in a group that there is, and gives the number of the opening if this opened it again or starts another run of it.
async fn count_in_group(tx: &mut TenantTx, stored: &Stored<'_>, group: Uuid) -> Result<Opened, DbError> {
    let start = start_of(tx, stored, group).await?;
    let back = start == Start::Back;
    let row = sqlx::query!(
        "update errors set
             count = count + $2,
             class = $3,
             module = coalesce($4, module),
             title = case when $5 >= last_seen then $6 else title end,
             report = case when $5 >= last_seen then $7 else report end,
             first_seen = least(first_seen, $5),
             last_seen = greatest(last_seen, $5),
             first_release = coalesce(first_release, $8),
             last_release = case when $5 >= last_seen then coalesce($8, last_release) else last_release end,
             state = case when $9 then 'open' else state end,
             openings = openings + ($9::boolean or $12::boolean)::int,
             opened_at = case when $9 then clock_timestamp() else opened_at end,
             opened_event = case when $9 then $10 else opened_event end,
             opened_ordinal = case when $9 then $11 else opened_ordinal end,
             reopened_release = case when $9 then $8 else reopened_release end
          where id = $1
          returning openings",
        group,
        stored.times,
        stored.of.report.class.as_str(),
        stored.of.report.module.as_ref().map(ModuleName::as_str),
        stored.of.received_at,
        stored.title,
        stored.report,
        stored.release,
        back,
        stored.of.event.0,
        stored.of.ordinal,
        start == Start::Retry,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Opened { opening: (start != Start::Nothing).then_some(row.openings), retries: start == Start::Retry })
}

/// A fingerprint that was never seen: it joins its kin, or opens a group. One worker at a time decides for a tenant, so that two that see
/// the first of an error at once do not open two groups.
async fn first_of_its_fingerprint(tx: &mut TenantTx, stored: &Stored<'_>) -> Result<(Uuid, Opened), DbError> {
    one_at_a_time(tx).await?;
    if let Some(group) = count_known(tx, stored).await? {
        return Ok((group, count_in_group(tx, stored, group).await?));
    }
    if let Some(group) = group_of_kin(tx, stored.of.kin).await? {
        insert_fingerprint(tx, stored, group).await?;
        return Ok((group, count_in_group(tx, stored, group).await?));
    }
    let group = GroupId::generate().0;
    open_group(tx, stored, group).await?;
    insert_fingerprint(tx, stored, group).await?;
    Ok((group, Opened { opening: Some(1), retries: false }))
}

/// Holds up whoever else wants to decide which group of this tenant a fingerprint is in, until the transaction ends.
pub(super) async fn one_at_a_time(tx: &mut TenantTx) -> Result<(), DbError> {
    let key = format!("odoo_agent.groups/{}", tx.tenant());
    sqlx::query!(r#"select pg_advisory_xact_lock(hashtextextended($1, 0))::text as "locked""#, key).fetch_one(tx.conn()).await?;
    Ok(())
}

/// The group whose errors are the same but for their fingerprint: the oldest, where there are several. One that is ignored does not count:
/// nobody would see what joins it. And none where a person has split what looked the same: another judgement of the same kind would be no
/// better.
async fn group_of_kin(tx: &mut TenantTx, kin: Option<&Fingerprint>) -> Result<Option<Uuid>, DbError> {
    let Some(kin) = kin else { return Ok(None) };
    let row = sqlx::query!(
        r#"select (array_agg(g.id order by g.first_seen, g.id))[1] as oldest, coalesce(bool_or(f.apart), false) as "apart!"
             from error_fingerprints f join errors g on g.id = f.group_id
            where f.kin = $1 and g.state <> 'ignored'"#,
        kin.as_str(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.oldest.filter(|_| !row.apart))
}

async fn open_group(tx: &mut TenantTx, stored: &Stored<'_>, group: Uuid) -> Result<(), DbError> {
    let tenant = tx.tenant().clone();
    sqlx::query!(
        "insert into errors (id, tenant_id, fingerprint, class, title, module, report, first_seen, last_seen, opened_event, opened_ordinal,
                             count, first_release, last_release)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12, $12)",
        group,
        tenant.as_str(),
        stored.of.report.fingerprint.as_str(),
        stored.of.report.class.as_str(),
        stored.title,
        stored.of.report.module.as_ref().map(ModuleName::as_str),
        stored.report,
        stored.of.received_at,
        stored.of.event.0,
        stored.of.ordinal,
        stored.times,
        stored.release,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn insert_fingerprint(tx: &mut TenantTx, stored: &Stored<'_>, group: Uuid) -> Result<(), DbError> {
    let tenant = tx.tenant().clone();
    sqlx::query!(
        "insert into error_fingerprints (tenant_id, fingerprint, group_id, kin, count, first_seen, last_seen, first_release, last_release,
                                         title, report)
         values ($1, $2, $3, $4, $5, $6, $6, $7, $7, $8, $9)",
        tenant.as_str(),
        stored.of.report.fingerprint.as_str(),
        group,
        stored.of.kin.map(Fingerprint::as_str),
        stored.times,
        stored.of.received_at,
        stored.release,
        stored.title,
        stored.report,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Counts the hour. The first of an hour also deletes what is too old, a bounded number at a time.
async fn count_in_hour(tx: &mut TenantTx, stored: &Stored<'_>) -> Result<(), DbError> {
    let tenant = tx.tenant().clone();
    let first = sqlx::query!(
        r#"insert into error_counts as known (tenant_id, fingerprint, bucket, count) values ($1, $2, $3, $4)
           on conflict (tenant_id, fingerprint, bucket) do update set count = known.count + excluded.count
           returning count = $4 as "first!""#,
        tenant.as_str(),
        stored.of.report.fingerprint.as_str(),
        hour_of(stored.of.received_at),
        stored.times,
    )
    .fetch_one(tx.conn())
    .await?
    .first;
    if first {
        sqlx::query!(
            "delete from error_counts where (fingerprint, bucket) in (
                 select fingerprint, bucket from error_counts where bucket < $1 order by bucket limit $2 for update skip locked)",
            Utc::now() - TimeDelta::days(KEEP_DAYS),
            SWEEP_MAX,
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// The start of the hour.
pub(super) fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = at.timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(3600), 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hour_starts_on_the_hour() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(hour_of(at("2026-01-02T10:59:59.999Z")), at("2026-01-02T10:00:00Z"));
        assert_eq!(hour_of(at("1969-12-31T23:30:00Z")), at("1969-12-31T23:00:00Z"));
    }
}
