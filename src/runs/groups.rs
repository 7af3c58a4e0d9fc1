//! Errors in groups: every occurrence is counted once, and a group is opened once, however many workers see it at a time.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::unknown_tenant;
use crate::db::{Db, DbError, TenantTx, storable, storable_json};
use crate::domain::{ErrorReport, EventId, GroupId, ModuleName, RunId, TenantId};

/// The most characters of a title that are kept.
const MAX_TITLE: usize = 500;

/// What became of one error of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The group it belongs to.
    pub group: GroupId,
    /// The number of the opening, if this very error opened the group or opened it again. The same for every delivery of the event.
    pub opened: Option<i32>,
    /// Whether it was counted now; `false` for a second delivery.
    pub counted: bool,
}

/// What was made of an event, or of one error in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventVerdict {
    /// It is part of a group.
    Grouped,
    /// It holds no error.
    NoError,
    /// It could not be read.
    Undecodable,
}

impl EventVerdict {
    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grouped => "grouped",
            Self::NoError => "no_error",
            Self::Undecodable => "undecodable",
        }
    }
}

/// One row of an event, as its sender sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// Which error of the event, counted from 0.
    pub ordinal: i32,
    /// What was made of it.
    pub verdict: String,
    /// Why, if there is more to say.
    pub detail: Option<String>,
    /// Its group.
    pub group: Option<GroupId>,
    /// The newest run of that group.
    pub run: Option<RunId>,
    /// When it was received.
    pub received_at: DateTime<Utc>,
}

/// A group as people and programs see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupView {
    /// The group.
    pub id: GroupId,
    /// What makes its errors the same.
    pub fingerprint: String,
    /// Class of the error.
    pub class: String,
    /// The error in one line.
    pub title: String,
    /// The addon it points to.
    pub module: Option<String>,
    /// `open`, `fixed` or `ignored`.
    pub state: String,
    /// How often it occurred.
    pub count: i64,
    /// How often the group was opened.
    pub openings: i32,
    /// When it was first received.
    pub first_seen: DateTime<Utc>,
    /// When it was last received.
    pub last_seen: DateTime<Utc>,
    /// Its newest run.
    pub last_run: Option<RunId>,
    /// The newest occurrence.
    pub report: Value,
}

/// Counts one error of an event, as often as it occurred in it, and opens its group if it is new or was thought fixed. What was received
/// before the fix and is only read now has not come back.
pub async fn record(
    tx: &mut TenantTx,
    event: EventId,
    ordinal: i32,
    report: &ErrorReport,
    times: u32,
    received_at: DateTime<Utc>,
) -> Result<Recorded, DbError> {
    if !insert_event(tx, event, ordinal, EventVerdict::Grouped, None, Some(received_at)).await? {
        return recorded_before(tx, event, ordinal).await;
    }
    let (group, openings, opened_now) = upsert_group(tx, event, ordinal, report, times, received_at).await?;
    let opened = opened_now.then_some(openings);
    sqlx::query!(
        "update ingest_events set group_id = $3, opening = $4 where event_id = $1 and ordinal = $2",
        event.0,
        ordinal,
        group,
        opened,
    )
    .execute(tx.conn())
    .await?;
    Ok(Recorded { group: GroupId(group), opened, counted: true })
}

/// Notes what was made of an event in which there is nothing to group.
pub async fn record_verdict(
    tx: &mut TenantTx,
    event: EventId,
    ordinal: i32,
    verdict: EventVerdict,
    detail: Option<&str>,
) -> Result<(), DbError> {
    insert_event(tx, event, ordinal, verdict, detail, None).await?;
    Ok(())
}

/// `true`: this is news. A row that a version before could make nothing of gives way to a group, never the other way round.
async fn insert_event(
    tx: &mut TenantTx,
    event: EventId,
    ordinal: i32,
    verdict: EventVerdict,
    detail: Option<&str>,
    received_at: Option<DateTime<Utc>>,
) -> Result<bool, DbError> {
    let tenant = tx.tenant().clone();
    let inserted = sqlx::query!(
        "insert into ingest_events (tenant_id, event_id, ordinal, verdict, detail, received_at)
         values ($1, $2, $3, $4, $5, coalesce($6, now()))
         on conflict (tenant_id, event_id, ordinal) do update set verdict = excluded.verdict, detail = excluded.detail
           where ingest_events.group_id is null and excluded.verdict = 'grouped'",
        tenant.as_str(),
        event.0,
        ordinal,
        verdict.as_str(),
        detail.map(storable),
        received_at,
    )
    .execute(tx.conn())
    .await
    .map_err(|error| unknown_tenant(error, &tenant))?;
    Ok(inserted.rows_affected() == 1)
}

async fn recorded_before(tx: &mut TenantTx, event: EventId, ordinal: i32) -> Result<Recorded, DbError> {
    let row = sqlx::query!("select group_id, opening from ingest_events where event_id = $1 and ordinal = $2", event.0, ordinal)
        .fetch_one(tx.conn())
        .await?;
    let group = row.group_id.ok_or_else(|| DbError::unreadable("group of an event", "the event was recorded without one"))?;
    Ok(Recorded { group: GroupId(group), opened: row.opening, counted: false })
}

/// One statement, so that no two workers can both find the group missing or both open it again. The event that opened the group is written
/// into it, which tells the caller whether it was this one.
async fn upsert_group(
    tx: &mut TenantTx,
    event: EventId,
    ordinal: i32,
    report: &ErrorReport,
    times: u32,
    received_at: DateTime<Utc>,
) -> Result<(Uuid, i32, bool), DbError> {
    let tenant = tx.tenant().clone();
    let title: String = report.title.chars().take(MAX_TITLE).collect();
    let row = sqlx::query!(
        r#"insert into errors as known
             (id, tenant_id, fingerprint, class, title, module, report, first_seen, last_seen, opened_event, opened_ordinal, count)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11)
           on conflict (tenant_id, fingerprint) do update set
             count = known.count + excluded.count,
             class = excluded.class,
             title = case when excluded.last_seen >= known.last_seen then excluded.title else known.title end,
             module = coalesce(excluded.module, known.module),
             report = case when excluded.last_seen >= known.last_seen then excluded.report else known.report end,
             first_seen = least(known.first_seen, excluded.first_seen),
             last_seen = greatest(known.last_seen, excluded.last_seen),
             openings = known.openings + ((known.state = 'fixed' and excluded.last_seen > known.fixed_at))::int,
             opened_at = case when (known.state = 'fixed' and excluded.last_seen > known.fixed_at) then excluded.opened_at else known.opened_at end,
             opened_event = case when (known.state = 'fixed' and excluded.last_seen > known.fixed_at) then excluded.opened_event else known.opened_event end,
             opened_ordinal = case when (known.state = 'fixed' and excluded.last_seen > known.fixed_at) then excluded.opened_ordinal else known.opened_ordinal end,
             state = case when (known.state = 'fixed' and excluded.last_seen > known.fixed_at) then 'open' else known.state end
           returning id, openings, (opened_event = $9 and opened_ordinal = $10) as "opened_now!""#,
        GroupId::generate().0,
        tenant.as_str(),
        report.fingerprint.as_str(),
        report.class.as_str(),
        storable(&title),
        report.module.as_ref().map(ModuleName::as_str),
        storable_json("report", report)?,
        received_at,
        event.0,
        ordinal,
        i64::from(times),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.id, row.openings, row.opened_now))
}

/// Every row of an event; empty if this tenant has no such event, or nobody has looked at it yet.
pub async fn event(db: &Db, tenant: &TenantId, event: EventId) -> Result<Vec<EventView>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let rows = sqlx::query!(
        r#"select e.ordinal, e.verdict, e.detail, e.group_id, e.received_at, g.last_run_id as "run?"
             from ingest_events e left join errors g on g.id = e.group_id
            where e.event_id = $1 order by e.ordinal"#,
        event.0,
    )
    .fetch_all(tx.conn())
    .await?;
    let view = rows.into_iter().map(|row| EventView {
        ordinal: row.ordinal,
        verdict: row.verdict,
        detail: row.detail,
        group: row.group_id.map(GroupId),
        run: row.run.map(RunId),
        received_at: row.received_at,
    });
    Ok(view.collect())
}

/// One group, or `None` if this tenant has no such group.
pub async fn get(db: &Db, tenant: &TenantId, group: GroupId) -> Result<Option<GroupView>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!(
        "select fingerprint, class, title, module, state, count, openings, first_seen, last_seen, last_run_id, report
           from errors where id = $1",
        group.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| GroupView {
        id: group,
        fingerprint: row.fingerprint,
        class: row.class,
        title: row.title,
        module: row.module,
        state: row.state,
        count: row.count,
        openings: row.openings,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        last_run: row.last_run_id.map(RunId),
        report: row.report,
    }))
}

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
    let closed = sqlx::query!("update errors set state = 'fixed', fixed_at = clock_timestamp() where id = $1 and state = 'open'", group.0)
        .execute(tx.conn())
        .await?;
    Ok(closed.rows_affected() == 1)
}
