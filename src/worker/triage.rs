//! Raw events into groups, and one job for each group that is new or has come back.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{Worker, hopeless};
use crate::app::App;
use crate::domain::{ErrorReport, EventId, Failure, Fingerprint, InvalidId, Progress, Release, RunId, TenantId};
use crate::ingest::{self, Format, IngestError};
use crate::odoo;
use crate::queue::Delivery;
use crate::runs;
use crate::runs::groups::{self, EventVerdict, Occurrence};
use crate::tenants;

/// How a raw event came.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When it was received.
    pub received: DateTime<Utc>,
    /// The release that it came from, if its sender said so.
    pub release: Option<Release>,
}

impl Arrival {
    fn of(delivery: &Delivery) -> Self {
        Self { received: delivery.published, release: delivery.release.clone() }
    }
}

/// Sees one raw event to its end.
pub async fn deliver(worker: &Worker, delivery: Delivery) {
    let app = &worker.app;
    let acknowledged = match raw(&delivery) {
        Err(why) => match app.queue.dead_letter(&delivery, &why, 1).await {
            Ok(_) => delivery.term().await,
            Err(error) => Err(error),
        },
        Ok((tenant, event, format)) => match triage(app, &tenant, event, format, delivery.payload.clone(), &Arrival::of(&delivery)).await {
            Ok(_) => delivery.ack().await,
            Err(failure) if hopeless(&failure, delivery.deliveries) => {
                match app.queue.dead_letter(&delivery, &failure.to_string(), 1).await {
                    Ok(_) => delivery.term().await,
                    Err(error) => Err(error),
                }
            }
            Err(failure) => {
                tracing::warn!(%failure, %event, "the event could not be grouped and will be tried again");
                delivery.nak(Duration::from_secs(5)).await
            }
        },
    };
    if let Err(error) = acknowledged {
        tracing::warn!(%error, "a raw event was not acknowledged; it will come again and count once");
    }
}

/// Whose event it is, which, and in which format.
fn raw(delivery: &Delivery) -> Result<(TenantId, EventId, Format), String> {
    let mut tokens = delivery.subject.split('.');
    let (Some("ingest"), Some(tenant), Some(format), None) = (tokens.next(), tokens.next(), tokens.next(), tokens.next()) else {
        return Err(format!("{} is no ingest subject: use ingest.<tenant>.<format>", delivery.subject));
    };
    let tenant = tenant.parse().map_err(|error: InvalidId| error.to_string())?;
    let format = format.parse().map_err(|error: IngestError| error.to_string())?;
    let event = match &delivery.message_id {
        Some(id) => id.parse().map_err(|error: InvalidId| format!("the Nats-Msg-Id of a raw event is its id: {error}"))?,
        // Published straight to NATS without an id: the place in the stream identifies it.
        None => EventId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{}/{}", delivery.subject, delivery.sequence).as_bytes())),
    };
    Ok((tenant, event, format))
}

/// Decodes, groups and submits. Doing it twice changes nothing. Returns the runs that were started.
pub async fn triage(
    app: &App,
    tenant: &TenantId,
    event: EventId,
    format: Format,
    body: Bytes,
    arrival: &Arrival,
) -> Result<Vec<RunId>, Failure> {
    let received = arrival.received;
    if !tenants::exists(&app.db, tenant).await? {
        return Err(Failure::bad_input(format!("there is no tenant {tenant}")));
    }
    // On a thread of its own: it is all computation, and a panic in it must not end the loop that pulls.
    let read = tokio::task::spawn_blocking(move || read(format, &body, received)).await.map_err(|error| {
        let panicked = error.is_panic();
        let text = format!("reading the event failed: {error}");
        if panicked { Failure::bad_input(text) } else { Failure::unavailable(anyhow::anyhow!(text)) }
    })?;
    let (unreadable, reports) = match read {
        Ok(read) => read,
        Err(error) => {
            verdict(app, tenant, event, 0, EventVerdict::Undecodable, &error.to_string()).await?;
            return Err(Failure::bad_input(error.to_string()));
        }
    };
    let mut ordinal = 0;
    for error in unreadable {
        verdict(app, tenant, event, ordinal, EventVerdict::Undecodable, &error.to_string()).await?;
        ordinal += 1;
    }
    let mut started = Vec::new();
    for (report, times, kin) in &reports {
        let (received_at, release) = (received, arrival.release.as_ref());
        let occurrence = Occurrence { event, ordinal, report, kin: kin.as_ref(), times: *times, received_at, release };
        started.extend(group(app, tenant, &occurrence).await?);
        ordinal += 1;
    }
    if ordinal == 0 {
        verdict(app, tenant, event, 0, EventVerdict::NoError, "there is no Odoo error in it").await?;
    }
    Ok(started)
}

type Read = (Vec<IngestError>, Vec<(ErrorReport, u32, Option<Fingerprint>)>);

/// The records that could not be decoded, and the errors in the others: how often, and what near-duplicates have in common with them.
fn read(format: Format, body: &[u8], received: DateTime<Utc>) -> Result<Read, IngestError> {
    let mut unreadable = Vec::new();
    let mut log = String::new();
    for text in ingest::texts_received(format, body, received)? {
        match text {
            // Records that came together are read together: a warning may name the reason of the error after it.
            Ok(text) => log.extend([text.as_str(), "\n"]),
            Err(error) => unreadable.push(error),
        }
    }
    let with_kin = |(report, times)| {
        let kin = odoo::kin(&report);
        (report, times, kin)
    };
    Ok((unreadable, odoo::occurrences(&log).into_iter().map(with_kin).collect()))
}

async fn verdict(app: &App, tenant: &TenantId, event: EventId, ordinal: i32, word: EventVerdict, detail: &str) -> Result<(), Failure> {
    let mut tx = app.db.tenant(tenant).await?;
    groups::record_verdict(&mut tx, event, ordinal, word, Some(detail)).await?;
    tx.commit().await?;
    Ok(())
}

/// Counts one error; in the same transaction writes the run, if its group is new or has come back.
async fn group(app: &App, tenant: &TenantId, occurrence: &Occurrence<'_>) -> Result<Option<RunId>, Failure> {
    let Occurrence { event, report, .. } = *occurrence;
    let mut tx = app.db.tenant(tenant).await?;
    let recorded = groups::record(&mut tx, occurrence).await?;
    if recorded.has_returned() {
        App::note_return(&mut tx, recorded.group).await?;
    }
    let job = recorded.opened.and_then(|opening| App::job_of_group(tenant, recorded.group, opening, report));
    if let Some(job) = &job {
        runs::insert(&mut tx, job, None, Some(recorded.group)).await?;
    }
    tx.commit().await?;
    let Some(job) = job else { return Ok(None) };
    let did = if recorded.retries { "occurred in a group whose run failed because something was away:" } else { "opened a group for" };
    let said = format!("{event} {did} {}: {}", report.class.as_str(), report.title);
    app.tell(tenant, job.run_id, &Progress::new("grouped", said).with(json!({ "group": recorded.group, "event": event }))).await;
    app.tell(tenant, job.run_id, &Progress::new("queued", "one job for the group")).await;
    // A failure is logged, and the run ended or left to the reconciler: nothing that a second delivery would do better.
    let _ = app.publish(&job, None).await;
    Ok(Some(job.run_id))
}
