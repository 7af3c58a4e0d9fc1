//! The end of a run: its effects, its result and its state, together or not at all.

use serde_json::{Value, json};

use super::App;
use crate::addons::{self, ApplyError};
use crate::db::TenantTx;
use crate::domain::{Effect, Failure, FixOutcome, Job, Outcome, Progress, RunState, Ticket, Writing};
use crate::knowledge::confidence::{Actor, Feedback, FeedbackKind, record};
use crate::runs::{self, AttemptToken, groups};
use crate::tenants::audit;
use crate::{knowledge, tickets};

impl App {
    /// Ends a run with what its handler found. Only the attempt that holds the run may; another gets `FailureKind::Fenced`.
    ///
    /// The outcome is written down first, so that after a crash between writing files and the commit the next attempt
    /// carries out the same effects instead of looking for a fix in sources that have it already.
    pub async fn settle(&self, job: &Job, token: AttemptToken, outcome: &Outcome) -> Result<Value, Failure> {
        let mut tx = self.db.tenant(&job.tenant).await?;
        runs::keep_outcome(&mut tx, job.run_id, token, outcome).await?;
        tx.commit().await?;

        let mut result = outcome.result.clone();
        let mut tx = self.db.tenant(&job.tenant).await?;
        // Holds the row until the commit: no other attempt can be granted the run meanwhile.
        runs::fenced(&mut tx, job.run_id, token).await?;
        for effect in &outcome.effects {
            self.carry_out(&mut tx, job, effect, &mut result).await?;
        }
        for next in &outcome.next {
            runs::insert(&mut tx, next, None, None).await?;
        }
        runs::finish(&mut tx, job.run_id, token, RunState::Done, &result, None).await?;
        if result["applied"].is_object() {
            record(&mut tx, &Feedback { run: job.run_id, kind: FeedbackKind::Applied, by: Actor::Program }).await?;
        }
        tx.commit().await?;

        for next in &outcome.next {
            let _ = self.publish(next, None).await;
        }
        self.tell(&job.tenant, job.run_id, &Progress::new("done", said(&result)).with(result.clone())).await;
        Ok(result)
    }

    async fn carry_out(&self, tx: &mut TenantTx, job: &Job, effect: &Effect, result: &mut Value) -> Result<(), Failure> {
        match effect {
            Effect::Apply { root, proven, tested, otherwise } => {
                // What was right when the fix was found need not be so when it is written: a key may have been revoked since.
                let held_back = match self.writing(tx, job).await? {
                    Writing::Allowed => None,
                    Writing::Unasked => Some("nobody asked for it".to_owned()),
                    Writing::Refused { why, .. } => Some(why),
                };
                if let Some(why) = held_back {
                    result["not_applied"] = json!(why);
                    result["why"] = json!(format!("The fix is proven, and was not applied: {why}."));
                    return file(tx, job, otherwise, result).await;
                }
                let (folder, patch, tested) = (root.clone(), proven.clone(), tested.clone());
                let apply = move || addons::check_tested(&folder, &*patch, &tested).and_then(|()| addons::apply(&folder, &*patch));
                let applied = tokio::task::spawn_blocking(apply).await.map_err(Failure::bug)?;
                match applied {
                    Ok(applied) => {
                        let run = job.run_id.to_string();
                        audit::write(tx, "worker", "fix.applied", &run, &json!({ "root": root, "files": applied.files })).await?;
                        result["applied"] = json!(applied);
                        groups::mark_fixed_by(tx, job.run_id).await?;
                    }
                    // What may not be written now may not be written in a minute: a person gets the patch.
                    Err(error @ ApplyError::Io(..)) if !error.is_refusal() => return Err(Failure::unavailable(error)),
                    Err(error) => {
                        if error.is_of_other_sources() {
                            result["outcome"] = json!(FixOutcome::Proposed);
                        }
                        result["not_applied"] = json!(error.to_string());
                        result["why"] = json!(error.to_string());
                        file(tx, job, otherwise, result).await?;
                    }
                }
            }
            // It is kept with the outcome, where an approval finds it.
            Effect::Offer(_) => {}
            Effect::Ticket(ticket) => file(tx, job, ticket, result).await?,
            Effect::Remember(lesson) => knowledge::remember(tx, job.run_id, lesson).await?,
        }
        Ok(())
    }

    /// Whether what a job finds may be written by itself, as things are now.
    async fn writing(&self, tx: &mut TenantTx, job: &Job) -> Result<Writing, Failure> {
        let authority = runs::authority(tx, job).await?;
        Ok(authority.writing(&job.tenant, self.settings(&job.tenant).apply, job.payload["apply"].as_bool()))
    }

    /// Ends a run that waits and will never be taken up. A run under way, or another one of the same name, is left alone.
    pub async fn refuse(&self, job: &Job, why: &str) -> Result<(), Failure> {
        if runs::refuse(&self.db, job, why).await? {
            self.tell(&job.tenant, job.run_id, &Progress::new("failed", why)).await;
        }
        Ok(())
    }

    /// Whether an attempt has found something that is still to be carried out. Not known counts as yes: it is looked at again.
    pub async fn has_outcome(&self, job: &Job) -> bool {
        !matches!(runs::kept_outcome(&self.db, &job.tenant, job.run_id).await, Ok(None))
    }

    /// Ends a run that is given up. A ticket says so: no error is lost because a part was away for too long.
    pub async fn give_up(&self, job: &Job, token: AttemptToken, why: &str) -> Result<(), Failure> {
        let mut tx = self.db.tenant(&job.tenant).await?;
        runs::fenced(&mut tx, job.run_id, token).await?;
        let mut result = json!({ "run_id": job.run_id, "outcome": "failed", "error": why });
        file(&mut tx, job, &given_up(job, why), &mut result).await?;
        runs::finish(&mut tx, job.run_id, token, RunState::Failed, &result, Some(why)).await?;
        tx.commit().await?;
        self.tell(&job.tenant, job.run_id, &Progress::new("failed", why)).await;
        Ok(())
    }
}

/// What a person needs who takes over a run that came to no end.
fn given_up(job: &Job, why: &str) -> Ticket {
    let about = job.payload["report"]["title"].as_str().or(job.payload["source"].as_str()).unwrap_or("an error that was not read yet");
    Ticket {
        title: format!("{} was given up: {about}", job.kind),
        body: format!(
            "The run {} was given up after its last attempt. The reason is in the evidence, with what was asked for.",
            job.run_id
        ),
        evidence: json!({ "run_id": job.run_id, "reason": why, "payload": job.payload }),
        patch: None,
    }
}

async fn file(tx: &mut TenantTx, job: &Job, ticket: &Ticket, result: &mut Value) -> Result<(), Failure> {
    let id = tickets::postgres::file(tx, job.run_id, ticket).await?;
    result["ticket"] = json!({ "id": id, "title": ticket.title, "body": ticket.body });
    Ok(())
}

/// The end of a run in one sentence.
fn said(result: &Value) -> String {
    let text = |key: &str| result[key].as_str().unwrap_or_default();
    let ticket = result["ticket"]["title"].as_str().unwrap_or_default();
    let (grade, summary) = (text("grade"), text("summary"));
    match text("outcome") {
        "fixed" if result["applied"].is_object() => format!("fixed, {grade} and applied: {summary}"),
        "fixed" if result["not_applied"].is_string() => format!("fixed, {grade}, not applied: {summary} {}", text("why")),
        "fixed" => format!("fixed, {grade}: {summary}"),
        "proposed" => format!("a patch is proposed, {grade}: {summary} A ticket was filed: {ticket}"),
        "indexed" => format!("indexed: {summary}"),
        _ => format!("a ticket was filed: {ticket}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_run_is_said_in_the_words_of_its_outcome() {
        let said = |more: Value| {
            let mut result = json!({ "grade": "proven", "summary": "s.", "ticket": { "title": "t" }, "why": "w." });
            result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            super::said(&result)
        };
        assert_eq!(said(json!({ "outcome": "fixed" })), "fixed, proven: s.");
        assert_eq!(said(json!({ "outcome": "fixed", "applied": {} })), "fixed, proven and applied: s.");
        assert_eq!(said(json!({ "outcome": "fixed", "not_applied": "x" })), "fixed, proven, not applied: s. w.");
        assert_eq!(said(json!({ "outcome": "proposed" })), "a patch is proposed, proven: s. A ticket was filed: t");
        assert_eq!(said(json!({ "outcome": "ticket" })), "a ticket was filed: t");
    }
}
