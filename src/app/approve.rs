//! A person's word for a patch that a run has found: written as an automatic fix is, with backups.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::App;
use crate::addons::{self, Applied, ApplyError};
use crate::db::TenantTx;
use crate::domain::{Approval, Failure, Offer, RunId, TenantId, TicketId};
use crate::knowledge::confidence::{Actor, Feedback, FeedbackKind, record};
use crate::runs::{self, groups};
use crate::tenants::audit;
use crate::tickets::postgres as tickets;

/// Result of an approval.
#[derive(Debug, Clone, PartialEq)]
pub enum Approved {
    /// The patch is written now; the result of the run says so.
    Done(Value),
    /// The same patch was approved and written before.
    Before(Value),
    /// It does not hold, for this reason. Nothing was written.
    Refused(String),
    /// This tenant has no such run.
    Missing,
}

impl App {
    /// Writes the patch of a run that a person has seen and accepts, whatever its grade. Refused if it is not the patch that the approval names,
    /// if the sources have changed since, or if it was written before.
    /// Goes on to its end though whoever asked goes away: a patch that is written has to be told.
    pub async fn approve(&self, tenant: &TenantId, run: RunId, approval: &Approval) -> Result<Approved, Failure> {
        let (app, tenant, approval) = (self.clone(), tenant.clone(), approval.clone());
        let done = tokio::spawn(async move { app.carry_out_approval(&tenant, run, &approval).await });
        done.await.map_err(Failure::bug)?
    }

    async fn carry_out_approval(&self, tenant: &TenantId, run: RunId, approval: &Approval) -> Result<Approved, Failure> {
        let mut tx = self.db.tenant(tenant).await?;
        let Some(found) = runs::offered(&mut tx, run).await? else { return Ok(Approved::Missing) };
        let refused = |why: String| Ok(Approved::Refused(why));
        let Some(mut result) = found.result else { return refused(format!("the run {run} has not ended with a result; wait for its end")) };
        if result["applied"].is_object() {
            let is_same = result["approved"]["digest"] == approval.digest.as_str() && !result["rolled_back"].is_object();
            return if is_same { Ok(Approved::Before(result)) } else { refused(written_before(run, &result)) };
        }
        let Some(offer) = found.offer else {
            return refused(format!("the run {run} offers no patch that can be approved; run the job again"));
        };
        if approval.by.key().is_some() && !self.is_allowed(tenant, &offer.root).await {
            let root = offer.root.display();
            return refused(format!("the folder {root} is not one that the settings of the tenant allow; approve it at the command line"));
        }
        if let Err(error) = offer.approve(approval) {
            return refused(error.to_string());
        }
        self.announce(tenant, run, approval, &offer).await?;
        let applied = match write(&offer, approval).await {
            Ok(applied) => applied,
            Err(NotWritten::Refused(why)) => return refused(why),
            Err(NotWritten::Failed(failure)) => return Err(failure),
        };
        Self::note(&mut tx, run, approval, &offer, &applied, &mut result).await?;
        tx.commit().await?;
        Ok(Approved::Done(result))
    }

    /// The same for the run that filed a ticket.
    pub async fn approve_ticket(&self, tenant: &TenantId, ticket: TicketId, approval: &Approval) -> Result<Approved, Failure> {
        match self.ticket(tenant, ticket).await? {
            Some(ticket) => self.approve(tenant, ticket.run, approval).await,
            None => Ok(Approved::Missing),
        }
    }

    async fn is_allowed(&self, tenant: &TenantId, root: &Path) -> bool {
        let (root, allowed) = (root.to_owned(), self.settings(tenant).addons);
        let look = move || {
            let Ok(root) = root.canonicalize() else { return false };
            allowed.iter().filter_map(|folder| folder.canonicalize().ok()).any(|folder| root.starts_with(folder))
        };
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }

    /// Writes into the audit what is about to be written, in a transaction of its own: whatever happens after the first file, who did it is known.
    async fn announce(&self, tenant: &TenantId, run: RunId, approval: &Approval, offer: &Offer) -> Result<(), Failure> {
        let mut tx = self.db.tenant(tenant).await?;
        let detail = json!({ "digest": approval.digest, "root": offer.root });
        audit::write(&mut tx, &actor(approval), "fix.approving", &run.to_string(), &detail).await?;
        Ok(tx.commit().await?)
    }

    /// Everything that follows from a patch that was written.
    async fn note(
        tx: &mut TenantTx,
        run: RunId,
        approval: &Approval,
        offer: &Offer,
        applied: &Applied,
        result: &mut Value,
    ) -> Result<(), Failure> {
        let by = approval.by.key().map_or(Actor::Operator, Actor::Key);
        let approved = json!({
            "at": chrono::Utc::now(),
            "by": by.as_str(),
            "key": approval.by.key(),
            "digest": approval.digest,
            "grade": offer.evidence.grade,
            "losses": offer.evidence.losses,
        });
        result["applied"] = json!(applied);
        result["approved"] = approved.clone();
        result["not_applied"] = Value::Null;
        runs::mark_approved(tx, run, result).await?;
        groups::mark_fixed_by(tx, run).await?;
        tickets::close(tx, run).await?;
        record(tx, &Feedback { run, kind: FeedbackKind::Applied, by }).await?;
        let detail = json!({ "approved": approved, "root": offer.root, "files": applied.files });
        audit::write(tx, &actor(approval), "fix.approved", &run.to_string(), &detail).await?;
        Ok(())
    }
}

/// Returns the actor of an approval as the audit names it.
fn actor(approval: &Approval) -> String {
    approval.by.key().map_or_else(|| Actor::Operator.as_str().to_owned(), |key| format!("key {key}"))
}

fn written_before(run: RunId, result: &Value) -> String {
    if result["rolled_back"].is_object() {
        format!("the patch of the run {run} was written and taken back; run the job again")
    } else {
        format!("the patch of the run {run} is written already")
    }
}

/// Reason why a patch was not written.
enum NotWritten {
    /// It may not be.
    Refused(String),
    /// Something is away.
    Failed(Failure),
}

async fn write(offer: &Offer, approval: &Approval) -> Result<Applied, NotWritten> {
    let approved = offer.approve(approval).map_err(|error| NotWritten::Refused(error.to_string()))?;
    let (root, tested): (PathBuf, String) = (offer.root.clone(), offer.tested.clone());
    let write = move || addons::check_tested(&root, &approved, &tested).and_then(|()| addons::apply(&root, &approved));
    let written = tokio::task::spawn_blocking(write).await.map_err(|error| NotWritten::Failed(Failure::bug(error)))?;
    written.map_err(|error| match error {
        ApplyError::Io(..) if !error.is_refusal() => NotWritten::Failed(Failure::unavailable(error)),
        error => NotWritten::Refused(error.to_string()),
    })
}
