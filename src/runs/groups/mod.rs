//! Errors in groups: every occurrence is counted once, and a group is opened once, however many workers see it at a time.

mod hand;
mod record;
mod trend;
mod view;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::unknown_tenant;
use crate::db::{Db, DbError, TenantTx, storable};
use crate::domain::{EventId, GroupId, RunId, TenantId};

pub use hand::{Rest, Split, mark_fixed, mark_fixed_by, reopen_by, set_state, split};
pub use record::{Occurrence, record};
pub use trend::{Direction, Trend};
pub use view::{Filter, FingerprintView, GroupPage, GroupState, GroupView, MAX_PAGE, Releases, get, list};

/// What became of one error of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The group it belongs to.
    pub group: GroupId,
    /// The number of the opening, if this very error opened the group or opened it again. The same for every delivery of the event.
    pub opened: Option<i32>,
    /// Whether the group was open all the time, and the opening is another run in the place of one that failed because something was away.
    pub retries: bool,
    /// Whether it was counted now; `false` for a second delivery.
    pub counted: bool,
}

impl Recorded {
    /// Whether a group that was fixed has been opened again by this, now.
    pub fn has_returned(&self) -> bool {
        self.counted && !self.retries && self.opened.is_some_and(|opening| opening > 1)
    }
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
    /// The release that it came from, if its sender named one.
    pub release: Option<String>,
    /// When it was received.
    pub received_at: DateTime<Utc>,
}

/// Notes what was made of an event in which there is nothing to group.
pub async fn record_verdict(
    tx: &mut TenantTx,
    event: EventId,
    ordinal: i32,
    verdict: EventVerdict,
    detail: Option<&str>,
) -> Result<(), DbError> {
    let row = NewEvent { event, ordinal, verdict, detail, received_at: None, fingerprint: None, release: None };
    insert_event(tx, &row).await?;
    Ok(())
}

/// A row of an event that is to be written.
struct NewEvent<'a> {
    event: EventId,
    ordinal: i32,
    verdict: EventVerdict,
    detail: Option<&'a str>,
    received_at: Option<DateTime<Utc>>,
    fingerprint: Option<&'a str>,
    release: Option<&'a str>,
}

/// `true`: this is news. A row that a version before could make nothing of gives way to a group, never the other way round.
async fn insert_event(tx: &mut TenantTx, row: &NewEvent<'_>) -> Result<bool, DbError> {
    let tenant = tx.tenant().clone();
    let inserted = sqlx::query!(
        "insert into ingest_events (tenant_id, event_id, ordinal, verdict, detail, received_at, fingerprint, release)
         values ($1, $2, $3, $4, $5, coalesce($6, now()), $7, $8)
         on conflict (tenant_id, event_id, ordinal) do update
           set verdict = excluded.verdict, detail = excluded.detail, fingerprint = excluded.fingerprint
           where ingest_events.group_id is null and excluded.verdict = 'grouped'",
        tenant.as_str(),
        row.event.0,
        row.ordinal,
        row.verdict.as_str(),
        row.detail.map(storable),
        row.received_at,
        row.fingerprint,
        row.release,
    )
    .execute(tx.conn())
    .await
    .map_err(|error| unknown_tenant(error, &tenant))?;
    Ok(inserted.rows_affected() == 1)
}

/// Every row of an event; empty if this tenant has no such event, or nobody has looked at it yet.
pub async fn event(db: &Db, tenant: &TenantId, event: EventId) -> Result<Vec<EventView>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let rows = sqlx::query!(
        r#"select e.ordinal, e.verdict, e.detail, e.group_id, e.release, e.received_at, g.last_run_id as "run?"
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
        release: row.release,
        received_at: row.received_at,
    });
    Ok(view.collect())
}
