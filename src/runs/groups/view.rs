//! Groups as people and programs see them.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::hour_of;
use super::trend::Trend;
use crate::db::{Db, DbError, TenantTx};
use crate::domain::{Cursor, ErrorClass, GroupId, ModuleName, RunId, TenantId};

/// The most groups of one page.
pub const MAX_PAGE: u32 = 200;

/// How a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// Somebody or something is to see to it.
    Open,
    /// Its fix is applied; the next occurrence opens it again.
    Fixed,
    /// A person does not want to hear of it; it is counted.
    Ignored,
}

impl GroupState {
    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Fixed => "fixed",
            Self::Ignored => "ignored",
        }
    }
}

impl FromStr for GroupState {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Open, Self::Fixed, Self::Ignored].into_iter().find(|state| state.as_str() == text);
        known.ok_or("it is no state of a group: use open, fixed or ignored")
    }
}

/// A group. What only the view of one group has is left out of lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupView {
    /// The group.
    pub id: GroupId,
    /// What makes its errors the same; the first, if near-duplicates joined it.
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
    /// How often of late.
    pub trend: Trend,
    /// The releases that its senders named.
    pub releases: Releases,
    /// Its newest run.
    pub last_run: Option<RunId>,
    /// Every fingerprint in it, the most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<FingerprintView>,
    /// The newest occurrence.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub report: Value,
}

/// The releases of a group, as far as its senders named any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Releases {
    /// The first it was seen in.
    pub first: Option<String>,
    /// The newest it was seen in.
    pub last: Option<String>,
    /// The newest it had been seen in when its fix was applied.
    pub fixed: Option<String>,
    /// The one in which it came back after its fix.
    pub reopened: Option<String>,
}

/// One fingerprint of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FingerprintView {
    /// The fingerprint.
    pub fingerprint: String,
    /// Its newest occurrence in one line.
    pub title: String,
    /// How often it occurred.
    pub count: i64,
    /// When it was first received.
    pub first_seen: DateTime<Utc>,
    /// When it was last received.
    pub last_seen: DateTime<Utc>,
    /// Whether a person set it apart from a group it had joined.
    pub apart: bool,
    /// The first release it was seen in.
    pub first_release: Option<String>,
    /// The newest release it was seen in.
    pub last_release: Option<String>,
}

/// Which groups are wanted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Only in this state.
    pub state: Option<GroupState>,
    /// Only of this addon.
    pub module: Option<ModuleName>,
    /// Only of this class.
    pub class: Option<ErrorClass>,
    /// At most so many, 1 to [`MAX_PAGE`]; 50 if nothing is said.
    pub limit: Option<u32>,
    /// Only what comes after, as the page before said.
    pub after: Option<Cursor>,
}

/// Groups, the last seen first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupPage {
    /// The groups of this page.
    pub groups: Vec<GroupView>,
    /// What `after` must be for the next page; `None`: this is the last.
    pub next: Option<Cursor>,
}

/// One group, or `None` if this tenant has no such group.
pub async fn get(db: &Db, tenant: &TenantId, group: GroupId) -> Result<Option<GroupView>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let Some(mut found) = views(&mut tx, &Filter::default(), Some(group), 1).await?.pop() else { return Ok(None) };
    found.report = sqlx::query!("select report from errors where id = $1", group.0).fetch_one(tx.conn()).await?.report;
    found.fingerprints = sqlx::query_as!(
        FingerprintView,
        "select fingerprint, title, count, first_seen, last_seen, apart, first_release, last_release
           from error_fingerprints where group_id = $1 order by count desc, fingerprint",
        group.0,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Some(found))
}

/// One page of the groups of a tenant, the last seen first. A group that occurs again while somebody turns the pages goes to the front.
pub async fn list(db: &Db, tenant: &TenantId, filter: &Filter) -> Result<GroupPage, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let limit = filter.limit.unwrap_or(50).clamp(1, MAX_PAGE) as usize;
    let mut groups = views(&mut tx, filter, None, limit as i64 + 1).await?;
    let more = groups.len() > limit;
    groups.truncate(limit);
    let next = groups.last().filter(|_| more).map(|last| Cursor { at: last.last_seen, id: last.id.0 });
    Ok(GroupPage { groups, next })
}

async fn views(tx: &mut TenantTx, filter: &Filter, group: Option<GroupId>, limit: i64) -> Result<Vec<GroupView>, DbError> {
    let now = Utc::now();
    let today = hour_of(now) - TimeDelta::hours(24);
    let rows = sqlx::query!(
        r#"select g.id, g.fingerprint, g.class, g.title, g.module, g.state, g.count, g.openings, g.first_seen, g.last_seen, g.last_run_id,
                  g.first_release, g.last_release, g.fixed_release, g.reopened_release,
                  coalesce(t.last, 0) as "last!", coalesce(t.previous, 0) as "previous!"
             from errors g
             left join lateral (
                 select (sum(c.count) filter (where c.bucket > $1))::bigint as last,
                        (sum(c.count) filter (where c.bucket <= $1))::bigint as previous
                   from error_fingerprints f
                   join error_counts c on c.tenant_id = f.tenant_id and c.fingerprint = f.fingerprint
                  where f.tenant_id = g.tenant_id and f.group_id = g.id and c.bucket > $2
             ) t on true
            where ($3::uuid is null or g.id = $3)
              and ($4::text is null or g.state = $4)
              and ($5::text is null or g.module = $5)
              and ($6::text is null or g.class = $6)
              and ($7::timestamptz is null or (g.last_seen, g.id) < ($7, $8::uuid))
            order by g.last_seen desc, g.id desc limit $9"#,
        today,
        today - TimeDelta::hours(24),
        group.map(|group| group.0),
        filter.state.map(GroupState::as_str),
        filter.module.as_ref().map(ModuleName::as_str),
        filter.class.map(ErrorClass::as_str),
        filter.after.map(|after| after.at),
        filter.after.map(|after| after.id),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    let view = rows.into_iter().map(|row| GroupView {
        id: GroupId(row.id),
        fingerprint: row.fingerprint,
        class: row.class,
        title: row.title,
        module: row.module,
        state: row.state,
        count: row.count,
        openings: row.openings,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        trend: Trend::of(row.last, row.previous, row.first_seen, now),
        releases: Releases { first: row.first_release, last: row.last_release, fixed: row.fixed_release, reopened: row.reopened_release },
        last_run: row.last_run_id.map(RunId),
        fingerprints: Vec::new(),
        report: Value::Null,
    });
    Ok(view.collect())
}
