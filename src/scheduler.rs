//! The cron table: when its hour has come, a row is submitted like any other job. It only submits, it never executes.
//!
//! The run of a tick is named by its row and its time, and by its tenant where the row is for all of them, so that two schedulers, or one
//! that starts again, submit each tick once.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use croner::Cron;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::domain::{Failure, FailureKind, InvalidId, Job, JobKind, RunId, TenantId};

/// The table that is used where the settings name no other.
const TABLE: &str = include_str!("../jobs/schedule.toml");
/// What the names of ticks are made in.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f64_6f6f_2d61_6765_6e74_2d74_6963_6b73);
/// The longest that nothing is looked at: a clock may be set, and a machine may sleep.
const LONGEST: Duration = Duration::from_secs(60);
/// A tick that is later than this was missed.
const LATE: TimeDelta = TimeDelta::minutes(5);
/// The most rows of a table, and the most bytes of its file.
const MAX_ROWS: usize = 1_000;
const MAX_BYTES: u64 = 1024 * 1024;

/// What happens to ticks whose time passed while nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// The latest of them is made up for.
    Once,
    /// They are left out.
    Skip,
}

/// Whose jobs a row submits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Whose {
    /// Those of every tenant that is known to the settings.
    All,
    /// Those of one.
    One(TenantId),
}

impl TryFrom<String> for Whose {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        if text == "*" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name; unique.
    pub name: String,
    /// When, in UTC: minute, hour, day of the month, month, day of the week.
    cron: String,
    /// What is submitted.
    pub kind: JobKind,
    /// With what.
    #[serde(default)]
    pub payload: Value,
    /// Whose job it is: a tenant, or `*` for one of each.
    pub tenant: Whose,
    /// What happens to ticks whose time passed while nobody looked.
    pub missed: Missed,
    #[serde(skip)]
    times: Option<Cron>,
}

/// The cron table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    #[serde(default, rename = "job")]
    rows: Vec<Row>,
}

impl Table {
    /// The table in this file, or that of the program.
    pub fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else { return TABLE.parse() };
        let shown = file.display();
        let size =
            std::fs::metadata(file).map_err(|error| Failure::bad_input(format!("the schedule {shown} cannot be read: {error}")))?.len();
        if size > MAX_BYTES {
            return Err(Failure::bad_input(format!("the schedule {shown} has {size} bytes; {MAX_BYTES} at most")));
        }
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::bad_input(format!("the schedule {shown} cannot be read: {error}")))?;
        text.parse().map_err(|error| Failure::bad_input(format!("the schedule {shown}: {error}")))
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

impl FromStr for Table {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut table: Self = toml::from_str(text).map_err(|error| Failure::bad_input(format!("the schedule cannot be read: {error}")))?;
        if table.rows.len() > MAX_ROWS {
            return Err(Failure::bad_input(format!("the schedule has {} rows; {MAX_ROWS} at most", table.rows.len())));
        }
        let mut names = std::collections::HashSet::new();
        for row in &mut table.rows {
            if row.name.is_empty() || !names.insert(row.name.clone()) {
                return Err(Failure::bad_input(format!("the schedule has two rows {:?}, or one without a name", row.name)));
            }
            let times = row.cron.parse().map_err(|error| Failure::bad_input(format!("the row {}: {:?}: {error}", row.name, row.cron)))?;
            row.times = Some(times);
            App::check(row.kind, &row.payload).map_err(|error| Failure::bad_input(format!("the row {}: {error}", row.name)))?;
        }
        Ok(table)
    }
}

impl Row {
    /// The first tick after this time.
    fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.times.as_ref()?.find_next_occurrence(&after, false).ok()
    }

    /// The last tick up to this time.
    fn last(&self, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.times.as_ref()?.find_previous_occurrence(&until, true).ok()
    }

    /// The tick that is to be submitted now, if nothing up to `seen` is to be looked at any more.
    pub fn due(&self, seen: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let tick = self.last(now).filter(|tick| *tick > seen)?;
        (self.missed == Missed::Once || now - tick <= LATE).then_some(tick)
    }

    /// The jobs of a tick: the same ones, whoever makes them and however often. `all`: who `*` stands for.
    pub fn jobs<'a>(&self, tick: DateTime<Utc>, all: impl IntoIterator<Item = &'a TenantId>) -> Vec<Job> {
        let name = format!("{}/{}", self.name, tick.timestamp());
        let job = |name: &str, tenant: &TenantId| Job {
            run_id: RunId(Uuid::new_v5(&NAMESPACE, name.as_bytes())),
            tenant: tenant.clone(),
            kind: self.kind,
            payload: self.payload.clone(),
        };
        match &self.tenant {
            Whose::One(tenant) => vec![job(&name, tenant)],
            // No name of a plain row ends so.
            Whose::All => all.into_iter().map(|tenant| job(&format!("{name}@{tenant}"), tenant)).collect(),
        }
    }
}

/// A table, and how far each of its rows was looked at.
pub struct Scheduler {
    rows: Vec<(Row, DateTime<Utc>)>,
}

impl Scheduler {
    /// One that starts. What was due since `since` and was not submitted was missed.
    pub fn new(table: Table, since: DateTime<Utc>) -> Self {
        Self { rows: table.rows.into_iter().map(|row| (row, since)).collect() }
    }

    /// Submits what is due by now; says how many jobs are new. What cannot be submitted for want of a server is due again next time.
    pub async fn tick(&mut self, app: &App, now: DateTime<Utc>) -> usize {
        let mut new = 0;
        for (row, seen) in &mut self.rows {
            let Some(tick) = row.due(*seen, now) else {
                *seen = now.max(*seen);
                continue;
            };
            if !app.can_do(row.kind, &row.payload) {
                *seen = tick;
                continue;
            }
            let mut is_done = true;
            for job in row.jobs(tick, app.tenants()) {
                match submit(app, row, &job).await {
                    Some(submitted) => new += usize::from(submitted),
                    // The others get theirs all the same, and next time they have it already.
                    None => is_done = false,
                }
            }
            if is_done {
                *seen = tick;
            }
        }
        new
    }

    /// How long nothing is due.
    fn pause(&self, now: DateTime<Utc>) -> Duration {
        let next = self.rows.iter().filter_map(|(row, seen)| row.next((*seen).max(now))).min();
        let wait = next.and_then(|next| (next - now).to_std().ok()).unwrap_or(LONGEST);
        wait.clamp(Duration::from_millis(50), LONGEST)
    }
}

/// Submits one job; says whether it is new. `None`: a server is away, and it is worth another try.
async fn submit(app: &App, row: &Row, job: &Job) -> Option<bool> {
    let tenant = &job.tenant;
    match app.submit(job, None).await {
        Ok(submitted) => {
            if !submitted.duplicate {
                tracing::info!(row = row.name, %tenant, run = %submitted.run_id, "submitted by the schedule");
            }
            Some(!submitted.duplicate)
        }
        Err(error) if matches!(error.kind, FailureKind::Unavailable { .. }) => {
            tracing::warn!(row = row.name, %tenant, %error, "the schedule could not submit; it tries again");
            None
        }
        Err(error) => {
            tracing::error!(row = row.name, %tenant, %error, "the schedule cannot submit this row");
            Some(false)
        }
    }
}

/// Submits what is due, until `stop` is done.
pub async fn run(app: &App, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let table = Table::load(app.config.schedule.as_deref())?;
    let since = app.since().await.context("it is not known since when there is anything to schedule")?;
    let mut scheduler = Scheduler::new(table, since);
    tokio::pin!(stop);
    loop {
        scheduler.tick(app, Utc::now()).await;
        tokio::select! {
            () = tokio::time::sleep(scheduler.pause(Utc::now())) => {}
            () = &mut stop => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEKLY: &str = "[[job]]\nname = 'w'\ncron = '0 3 * * 1'\nkind = 'reindex'\npayload = { source = 'core' }\ntenant = 'default'\n";

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn row(missed: &str) -> Row {
        format!("{WEEKLY}missed = '{missed}'\n").parse::<Table>().unwrap().rows.remove(0)
    }

    #[test]
    fn own_table_is_valid() {
        let table = Table::load(None).unwrap();
        let names: Vec<&str> = table.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["core", "oca", "tickets"]);
        for row in table.rows() {
            assert!(row.next(at("2026-11-28T00:00:00Z")).is_some(), "{}", row.name);
        }
    }

    #[test]
    fn bad_tables_are_refused() {
        let row = |text: &str| format!("{WEEKLY}{text}\n").parse::<Table>();
        assert!(row("missed = 'once'").is_ok());
        assert!(row("missed = 'never'").is_err());
        assert!(format!("{WEEKLY}missed = 'skip'\n{WEEKLY}missed = 'skip'\n").parse::<Table>().is_err(), "one name twice");
        for (from, to) in [
            ("0 3 * * 1", "61 3 * * 1"),
            ("'reindex'", "'rm_rf'"),
            ("source = 'core'", "path = '/etc'"),
            ("'default'", "'A.*'"),
            ("'default'", "'**'"),
        ] {
            let table = format!("{WEEKLY}missed = 'once'\n").replace(from, to);
            assert!(table.parse::<Table>().is_err(), "{table}");
        }
        assert!("\0\u{1}{{{".parse::<Table>().is_err());
        assert!(Table::load(Some(Path::new("/nonexistent"))).is_err());
    }

    #[test]
    fn tick_has_one_run() {
        let row = row("once");
        let tick = at("2026-11-23T03:00:00Z");
        let job = |tick| row.jobs(tick, []).remove(0);
        assert_eq!(job(tick).run_id.to_string(), "eea5a515-d9cd-5a80-aa24-af5fae81e457", "a tick that was submitted already stays so");
        assert_ne!(job(tick).run_id, job(at("2026-11-30T03:00:00Z")).run_id);
    }

    #[test]
    fn row_of_all_has_a_run_a_tenant() {
        let all: Row = format!("{WEEKLY}missed = 'once'\n").replace("'default'", "'*'").parse::<Table>().unwrap().rows.remove(0);
        let tenants: Vec<TenantId> = ["acme", "default"].iter().map(|name| name.parse().unwrap()).collect();
        let runs = |row: &Row, tick: &str| row.jobs(at(tick), &tenants).into_iter().map(|job| (job.tenant, job.run_id)).collect::<Vec<_>>();
        let (tick, next) = ("2026-11-23T03:00:00Z", "2026-11-30T03:00:00Z");
        let first = runs(&all, tick);
        assert_eq!(first, runs(&all, tick));
        assert_eq!(first.iter().map(|(tenant, _)| tenant).collect::<Vec<_>>(), tenants.iter().collect::<Vec<_>>());
        let ids: std::collections::HashSet<_> =
            [first, runs(&all, next), runs(&row("once"), tick)].concat().into_iter().map(|(_, run)| run).collect();
        assert_eq!(ids.len(), 5, "no two are the same");
        assert_eq!(all.jobs(at(tick), []), [], "nobody is named");
    }

    #[test]
    fn latest_missed_tick_is_made_up_for_once() {
        let (once, skip) = (row("once"), row("skip"));
        let (down, up) = (at("2026-11-01T00:00:00Z"), at("2026-11-28T12:00:00Z"));
        let latest = at("2026-11-23T03:00:00Z");
        assert_eq!(once.due(down, up), Some(latest));
        assert_eq!(once.due(latest, up), None, "it was");
        assert_eq!(skip.due(down, up), None);
        assert_eq!(once.due(at("2026-11-24T00:00:00Z"), up), None, "nothing was missed");
    }

    #[test]
    fn tick_in_time_is_submitted_by_either_policy() {
        let now = at("2026-11-30T03:00:20Z");
        for missed in ["once", "skip"] {
            assert_eq!(row(missed).due(at("2026-11-30T02:59:50Z"), now), Some(at("2026-11-30T03:00:00Z")));
        }
    }

    #[test]
    fn pause_ends_at_the_next_tick() {
        let table: Table = format!("{WEEKLY}missed = 'skip'\n").parse().unwrap();
        let scheduler = Scheduler::new(table, at("2026-11-30T02:00:00Z"));
        assert_eq!(scheduler.pause(at("2026-11-30T02:59:30Z")), Duration::from_secs(30));
        assert_eq!(scheduler.pause(at("2026-11-30T02:00:00Z")), LONGEST);
    }
}
