//! The one way in for a job: checked, written down, then published.

use std::sync::LazyLock;

use bytes::Bytes;
use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use crate::domain::{ErrorReport, EventId, Failure, FailureKind, Job, JobKind, Progress, Release, RunId, Submitter, TenantId};
use crate::runs;

/// What a producer gets back.
#[derive(Debug, Clone, Serialize)]
pub struct Submitted {
    /// The run.
    pub run_id: RunId,
    /// Whether the same run had been submitted before; nothing new was started then.
    pub duplicate: bool,
}

impl App {
    /// Checks a payload against the schema of its kind.
    pub fn check(kind: JobKind, payload: &Value) -> Result<(), Failure> {
        static VALIDATORS: LazyLock<Vec<(JobKind, Option<Validator>)>> = LazyLock::new(|| {
            let compile =
                |kind: JobKind| serde_json::from_str(kind.schema()).ok().and_then(|schema| jsonschema::validator_for(&schema).ok());
            JobKind::ALL.iter().map(|kind| (*kind, compile(*kind))).collect()
        });
        let validator = VALIDATORS.iter().find(|(known, _)| *known == kind).and_then(|(_, validator)| validator.as_ref());
        let validator = validator.ok_or_else(|| Failure::bug(anyhow::anyhow!("the schema of {kind} is not a JSON Schema")))?;
        match validator.iter_errors(payload).next() {
            None if kind == JobKind::DebugError => readable(&payload["report"]),
            None => Ok(()),
            Some(error) => {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "the payload".to_owned() } else { format!("the payload at {place}") };
                // The message quotes the instance, which may be megabytes of log.
                let text: String = error.to_string().chars().take(300).collect();
                Err(Failure::bad_input(format!("{place} does not fit the schema of {kind}: {text}")))
            }
        }
    }

    /// Writes the run in the operator's name, then publishes it. If the second fails, the reconciler publishes it later: what was accepted is not
    /// lost.
    pub async fn submit(&self, job: &Job, traceparent: Option<&str>) -> Result<Submitted, Failure> {
        self.submit_as(job, traceparent, Submitter::Operator).await
    }

    /// The same in the name of somebody else.
    pub async fn submit_as(&self, job: &Job, traceparent: Option<&str>, by: Submitter) -> Result<Submitted, Failure> {
        Self::check(job.kind, &job.payload)?;
        let mut tx = self.db.tenant(&job.tenant).await?;
        let inserted = runs::insert_as(&mut tx, job, traceparent, None, by).await?;
        tx.commit().await?;
        if inserted {
            self.tell(&job.tenant, job.run_id, &Progress::new("queued", format!("{} was accepted", job.kind))).await;
            self.publish(job, traceparent).await?;
        }
        Ok(Submitted { run_id: job.run_id, duplicate: !inserted })
    }

    /// Publishes a run whose row is written. A failure is left to the reconciler, except where the queue will never take the message
    /// (it is too large): that ends the run and is the only error.
    pub async fn publish(&self, job: &Job, traceparent: Option<&str>) -> Result<(), Failure> {
        let published = match self.queue.publish_job(job, traceparent).await {
            Ok(published) => runs::mark_published(&self.db, &job.tenant, job.run_id, published.sequence).await.map_err(Failure::from),
            Err(error) => Err(error.into()),
        };
        let Err(error) = published else { return Ok(()) };
        if error.kind == FailureKind::BadInput {
            tracing::error!(%error, run = %job.run_id, "the run can never be published and is ended");
            self.refuse(job, &error.to_string()).await?;
            return Err(error);
        }
        tracing::warn!(%error, run = %job.run_id, "the run is written but not published; the reconciler will do it");
        Ok(())
    }

    /// Publishes a run again whose message is gone from the queue. `false`: there is no such run.
    pub async fn republish(&self, tenant: &TenantId, run: RunId, lost: Option<u64>) -> Result<bool, Failure> {
        let Some((job, traceparent)) = runs::job(&self.db, tenant, run).await? else { return Ok(false) };
        let published = self.queue.republish_job(&job, traceparent.as_deref(), lost).await?;
        runs::mark_published(&self.db, tenant, run, published.sequence).await?;
        self.tell(tenant, run, &Progress::new("queued", "its message was gone from the queue and was published again")).await;
        Ok(true)
    }

    /// Ends a run that a command left without a word. `false`: somebody works on it, or it has ended.
    pub async fn end_abandoned(&self, tenant: &TenantId, run: RunId) -> Result<bool, Failure> {
        const WHY: &str = "the command that worked on the run ended without a word: it was killed or its machine went down; run it again";
        let mut tx = self.db.tenant(tenant).await?;
        let ended = runs::end_abandoned(&mut tx, run, WHY).await?;
        tx.commit().await?;
        if ended {
            self.tell(tenant, run, &Progress::new("failed", WHY)).await;
        }
        Ok(ended)
    }

    /// Stores raw events, each under its own id, with the release that they came from; returns when JetStream has them all.
    pub async fn ingest(
        &self,
        tenant: &TenantId,
        format: &str,
        parts: Vec<Bytes>,
        release: Option<&Release>,
    ) -> Result<Vec<EventId>, Failure> {
        self.store(tenant, format, parts.into_iter().map(|part| (EventId::generate(), part)), release).await
    }

    /// The same for a request that its sender names: sent again, also after only a part of it was stored, it counts once. `None`: something
    /// else was sent under this name before.
    pub async fn ingest_named(
        &self,
        tenant: &TenantId,
        name: &str,
        format: &str,
        parts: Vec<Bytes>,
        release: Option<&Release>,
    ) -> Result<Option<Vec<EventId>>, Failure> {
        let request = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("odoo-agent:{tenant}/ingest/{name}").as_bytes());
        let mut tx = self.db.tenant(tenant).await?;
        let is_same = runs::note_request(&mut tx, request, &digest(format, &parts, release)).await?;
        tx.commit().await?;
        if !is_same {
            return Ok(None);
        }
        let named = parts.into_iter().enumerate().map(|(number, part)| (EventId::of_request(request, number), part));
        self.store(tenant, format, named, release).await.map(Some)
    }

    async fn store(
        &self,
        tenant: &TenantId,
        format: &str,
        events: impl Iterator<Item = (EventId, Bytes)>,
        release: Option<&Release>,
    ) -> Result<Vec<EventId>, Failure> {
        let publish = |(event, part): (EventId, Bytes)| async move {
            self.queue.publish_raw_of(tenant, format, event, part, release).await.map(|_| event)
        };
        Ok(futures::future::try_join_all(events.map(publish)).await?)
    }
}

/// A report that cannot be read would be given up with a ticket, under whatever name it claims to have.
fn readable(report: &Value) -> Result<(), Failure> {
    if report.is_null() {
        return Ok(());
    }
    match ErrorReport::deserialize(report) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text: String = error.to_string().chars().take(300).collect();
            Err(Failure::bad_input(format!("the payload at /report is no report as triage makes it: {text}; send the text as `log`")))
        }
    }
}

/// What identifies the content of a request. Lengths keep two parts from being taken for one.
fn digest(format: &str, parts: &[Bytes], release: Option<&Release>) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    let texts = [format.as_bytes(), release.map_or("", Release::as_str).as_bytes()];
    for part in texts.into_iter().chain(parts.iter().map(|part| &part[..])) {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
