//! Dead letters: seen, tried again and dropped, each noted in the audit.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::{Actor, App};
use crate::domain::{Failure, Job, Progress, RunId, RunState, TenantId};
use crate::queue::{DeadLetter, envelope};
use crate::runs;
use crate::tenants::{self, audit};

/// The most dead letters of one page.
pub const MAX_DEAD_PAGE: usize = 200;

/// A dead letter as people and programs see it.
#[derive(Debug, Clone, Serialize)]
pub struct DeadView {
    /// Its number.
    pub id: u64,
    /// Whose it is.
    pub tenant: String,
    /// What the message was: a kind of job, or `ingest`.
    pub kind: String,
    /// Where it was published first.
    pub origin: String,
    /// Why it was given up.
    pub reason: String,
    /// After how many attempts.
    pub attempts: u32,
    /// When.
    pub at: DateTime<Utc>,
    /// The run that it was for, if the message is a job.
    pub run_id: Option<RunId>,
    /// Whether the whole message is there. One that was cut cannot be replayed.
    pub whole: bool,
    /// Bytes of the message.
    pub bytes: usize,
    /// The message as it came. Its secrets are not masked.
    #[serde(skip)]
    pub message: Bytes,
}

/// A page of dead letters.
#[derive(Debug, Clone, Serialize)]
pub struct DeadPage {
    /// The letters, oldest first.
    pub letters: Vec<DeadView>,
    /// What `from` is for the next page. `None`: this is the last.
    pub next: Option<u64>,
}

/// What a replay has started.
#[derive(Debug, Clone, Serialize)]
pub struct Replayed {
    /// The dead letter, which is gone now.
    pub id: u64,
    /// The run that does it, if it was a job.
    pub run_id: Option<RunId>,
    /// The raw event that is read again, if it was one.
    pub event: Option<String>,
}

impl App {
    /// A page of dead letters, from number `from` on. `None` for the tenant: those of every tenant, for the operator.
    pub async fn dead_letters(&self, tenant: Option<&TenantId>, from: u64, limit: usize) -> Result<DeadPage, Failure> {
        if !(1..=MAX_DEAD_PAGE).contains(&limit) {
            return Err(Failure::bad_input(format!("limit must be 1 to {MAX_DEAD_PAGE}")));
        }
        let mut letters = match tenant {
            Some(tenant) => self.queue.dead_letters_of(tenant, from, limit + 1).await?,
            None => self.queue.dead_letters(from, limit + 1).await?,
        };
        let next = letters.get(limit).map(|letter| letter.sequence);
        letters.truncate(limit);
        Ok(DeadPage { letters: letters.into_iter().map(view).collect(), next })
    }

    /// One dead letter. `None`: this tenant has none of this number.
    pub async fn dead_letter(&self, tenant: Option<&TenantId>, id: u64) -> Result<Option<DeadView>, Failure> {
        Ok(self.letter(tenant, id).await?.map(view))
    }

    /// Tries a dead letter again and deletes it. A run that failed does not go on: another one does the same, so that what was told of the
    /// first stays true. Doing it twice starts one run. `None`: this tenant has no such letter.
    pub async fn replay_dead_letter(&self, tenant: Option<&TenantId>, id: u64, by: Actor) -> Result<Option<Replayed>, Failure> {
        let Some(letter) = self.letter(tenant, id).await? else { return Ok(None) };
        if letter.cut {
            return Err(Failure::bad_input(format!("dead letter {id} cannot be replayed: its message was too large and had to be cut")));
        }
        let failed = match envelope::decode(&letter.origin, &letter.payload) {
            Ok((job, _)) => match runs::get(&self.db, &job.tenant, job.run_id).await? {
                Some(view) if view.state == RunState::Failed => Some((job, view)),
                Some(view) => {
                    let (run, state) = (job.run_id, view.state.as_str());
                    return Err(Failure::bad_input(format!("the run {run} is {state}: there is nothing to replay; drop the dead letter")));
                }
                None => None,
            },
            // Not a job that this version can read: it is published as it is.
            Err(_) => None,
        };
        let replayed = match failed {
            Some((job, view)) => {
                let again = Job { run_id: job.run_id.replay(letter.sequence, letter.at), payload: view.payload, ..job };
                let mut tx = self.db.tenant(&again.tenant).await?;
                let is_new = runs::insert_replay(&mut tx, &again, view.traceparent.as_deref(), view.group, view.run_id).await?;
                if is_new {
                    audit::write(
                        &mut tx,
                        by.as_str(),
                        "dead.replayed",
                        &id.to_string(),
                        &json!({ "letter": origin(&letter), "run": again.run_id, "replay_of": view.run_id }),
                    )
                    .await?;
                }
                tx.commit().await?;
                if is_new {
                    let said = format!("another try of {}, which was given up", view.run_id);
                    self.tell(&again.tenant, again.run_id, &Progress::new("queued", said)).await;
                    self.publish(&again, view.traceparent.as_deref()).await?;
                }
                self.queue.drop_dead_letter(id).await?;
                Replayed { id, run_id: Some(again.run_id), event: None }
            }
            None => {
                self.note(&letter, "dead.replayed", by).await?;
                self.queue.replay(id).await?;
                let run_id = envelope::decode(&letter.origin, &letter.payload).ok().map(|(job, _)| job.run_id);
                Replayed { id, run_id, event: letter.event.clone() }
            }
        };
        Ok(Some(replayed))
    }

    /// Deletes a dead letter for good. `false`: this tenant has no such letter.
    pub async fn drop_dead_letter(&self, tenant: Option<&TenantId>, id: u64, by: Actor) -> Result<bool, Failure> {
        let Some(letter) = self.letter(tenant, id).await? else { return Ok(false) };
        self.note(&letter, "dead.dropped", by).await?;
        Ok(self.queue.drop_dead_letter(id).await?)
    }

    async fn letter(&self, tenant: Option<&TenantId>, id: u64) -> Result<Option<DeadLetter>, Failure> {
        let letter = match tenant {
            Some(tenant) => self.queue.dead_letter_of(tenant, id).await?,
            None => self.queue.dead_letters(id, 1).await?.pop().filter(|letter| letter.sequence == id),
        };
        Ok(letter)
    }

    /// Writes the audit of its tenant. A subject may name one that does not exist; then the operator's has it.
    async fn note(&self, letter: &DeadLetter, action: &str, by: Actor) -> Result<(), Failure> {
        let tenant = match letter.tenant().parse::<TenantId>() {
            Ok(tenant) if tenants::exists(&self.db, &tenant).await? => tenant,
            _ => {
                tenants::ensure(&self.db, &self.sources.operator).await?;
                self.sources.operator.clone()
            }
        };
        let mut tx = self.db.tenant(&tenant).await?;
        audit::write(&mut tx, by.as_str(), action, &letter.sequence.to_string(), &json!({ "letter": origin(letter) })).await?;
        Ok(tx.commit().await?)
    }
}

fn origin(letter: &DeadLetter) -> serde_json::Value {
    json!({ "subject": letter.origin, "reason": letter.reason, "attempts": letter.attempts, "at": letter.at })
}

fn view(letter: DeadLetter) -> DeadView {
    DeadView {
        id: letter.sequence,
        tenant: letter.tenant().to_owned(),
        kind: letter.kind().to_owned(),
        run_id: envelope::decode(&letter.origin, &letter.payload).ok().map(|(job, _)| job.run_id),
        origin: letter.origin,
        reason: letter.reason,
        attempts: letter.attempts,
        at: letter.at,
        whole: !letter.cut,
        bytes: letter.payload.len(),
        message: letter.payload,
    }
}
