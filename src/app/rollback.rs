//! Taking back what a run has written.

use serde_json::{Value, json};

use super::App;
use crate::addons::{self, RollbackError, RolledBack};
use crate::domain::{Failure, RunId, TenantId};
use crate::knowledge::confidence::{Actor, Feedback, FeedbackKind, record};
use crate::runs::{self, groups};
use crate::tenants::audit;

/// Result of a rollback.
#[derive(Debug, Clone, PartialEq)]
pub enum Rollback {
    /// It was taken back now.
    Done(RolledBack),
    /// It was taken back before, as this says.
    Before(Value),
}

impl App {
    /// Restores the files that a run has written, opens its group again, and counts the fix as a bad one. Refused if a file was changed since.
    pub async fn roll_back(&self, tenant: &TenantId, run: RunId, by: Actor) -> Result<Rollback, Failure> {
        let mut tx = self.db.tenant(tenant).await?;
        let nothing = || Failure::bad_input(format!("the run {run} has written nothing; there is nothing to roll back"));
        let runs::Written { root, patch, backups, rolled_back } = runs::written(&mut tx, run).await?.ok_or_else(nothing)?;
        if let Some(detail) = rolled_back {
            return Ok(Rollback::Before(detail));
        }
        let folder = root.clone();
        let restore = tokio::task::spawn_blocking(move || addons::roll_back(&folder, &patch, &backups));
        let done = restore.await.map_err(Failure::bug)?.map_err(|error| match error {
            RollbackError::Io(..) => Failure::unavailable(error),
            RollbackError::Changed(_) | RollbackError::Symlink(_) | RollbackError::Attributes(..) => Failure::bad_input(error.to_string()),
        })?;
        let detail =
            json!({ "at": chrono::Utc::now(), "by": by.as_str(), "root": root, "restored": done.restored, "removed": done.removed });
        runs::mark_rolled_back(&mut tx, run, &detail).await?;
        groups::reopen_by(&mut tx, run).await?;
        record(&mut tx, &Feedback { run, kind: FeedbackKind::RolledBack, by }).await?;
        audit::write(&mut tx, by.as_str(), "fix.rolled_back", &run.to_string(), &detail).await?;
        tx.commit().await?;
        Ok(Rollback::Done(done))
    }
}
