//! The cron table: when its hour has come, a row is submitted like any other job. It only submits, it never executes.
//!
//! The run of a tick is named by its row and its time, so that two schedulers, or one that starts again, submit each tick once.

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
use crate::domain::{Failure, FailureKind, Job, JobKind, RunId, TenantId};

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
    /// Whose job it is.
    pub tenant: TenantId,
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

    /// The job of a tick: the same one, whoever makes it and however often.
    pub fn job(&self, tick: DateTime<Utc>) -> Job {
        let name = format!("{}/{}", self.name, tick.timestamp());
        Job {
            run_id: RunId(Uuid::new_v5(&NAMESPACE, name.as_bytes())),
            tenant: self.tenant.clone(),
            kind: self.kind,
            payload: self.payload.clone(),
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
            match app.submit(&row.job(tick), None).await {
                Ok(submitted) => {
                    if !submitted.duplicate {
                        tracing::info!(row = row.name, tick = %tick, run = %submitted.run_id, "submitted by the schedule");
                        new += 1;
                    }
                    *seen = tick;
                }
                Err(error) if matches!(error.kind, FailureKind::Unavailable { .. }) => {
                    tracing::warn!(row = row.name, %error, "the schedule could not submit; it tries again");
                }
                Err(error) => {
                    tracing::error!(row = row.name, %error, "the schedule cannot submit this row");
                    *seen = tick;
                }
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
        for (from, to) in
            [("0 3 * * 1", "61 3 * * 1"), ("'reindex'", "'rm_rf'"), ("source = 'core'", "path = '/etc'"), ("'default'", "'A.*'")]
        {
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
        assert_eq!(row.job(tick).run_id, row.job(tick).run_id);
        assert_ne!(row.job(tick).run_id, row.job(at("2026-11-30T03:00:00Z")).run_id);
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
