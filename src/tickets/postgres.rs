//! Tickets in our own database: the sink that is always there.

use uuid::Uuid;

use super::{Filter, MAX_PAGE, Resolution, TicketId, TicketLine, TicketPage, TicketState, TicketView};
use crate::db::{Db, DbError, TenantTx, storable, storable_json};
use crate::domain::{Cursor, RunId, TenantId, Ticket};
use crate::odoo;

/// The most characters of a title.
const MAX_TITLE: usize = 300;
/// The most characters of a body; a longer one is cut.
const MAX_BODY: usize = 200_000;

/// Files the run's ticket. A run that has one keeps it, and its id is the answer.
pub async fn file(tx: &mut TenantTx, run: RunId, ticket: &Ticket) -> Result<TicketId, DbError> {
    let tenant = tx.tenant().clone();
    // That of a run that was given up is as it came from outside.
    let title: String = storable(&odoo::mask(&ticket.title)).chars().take(MAX_TITLE).collect();
    let mut evidence = ticket.evidence.clone();
    odoo::mask_json(&mut evidence);
    let body: String = storable(&ticket.body).chars().take(MAX_BODY).collect();
    sqlx::query!(
        "insert into tickets (id, tenant_id, run_id, title, body, evidence, patch) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (tenant_id, run_id) do nothing",
        Uuid::now_v7(),
        tenant.as_str(),
        run.0,
        title,
        body,
        storable_json("evidence", &evidence)?,
        ticket.patch.as_deref().map(storable),
    )
    .execute(tx.conn())
    .await?;
    let row = sqlx::query!("select id from tickets where run_id = $1", run.0).fetch_one(tx.conn()).await?;
    Ok(TicketId(row.id))
}

/// Keeps what a person says mended the ticket, in the place of what was said before, and the API key that it came with; gives the run that
/// filed the ticket. `None`: this tenant has no such ticket.
pub async fn resolve(tx: &mut TenantTx, id: TicketId, resolution: &Resolution, key: Option<Uuid>) -> Result<Option<RunId>, DbError> {
    let row = sqlx::query!(
        "update tickets set state = 'closed', closed_at = now(), resolution = $2, correction = $3, resolved_by = $4 where id = $1
         returning run_id",
        id.0,
        storable(resolution.text()),
        resolution.correction().map(storable),
        key,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| RunId(row.run_id)))
}

/// Closes the ticket of a run whose patch a person has accepted. One that somebody has resolved stays as it is, and so does a run without one.
pub async fn close(tx: &mut TenantTx, run: RunId) -> Result<(), DbError> {
    sqlx::query!("update tickets set state = 'closed', closed_at = now() where run_id = $1 and state = 'open'", run.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// One ticket, or `None` if this tenant has no such ticket.
pub async fn get(db: &Db, tenant: &TenantId, id: TicketId) -> Result<Option<TicketView>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!(
        "select run_id, title, body, evidence, patch, state, created_at, closed_at, resolution, correction from tickets where id = $1",
        id.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| TicketView {
        id,
        run: RunId(row.run_id),
        state: row.state,
        created_at: row.created_at,
        closed_at: row.closed_at,
        resolution: row.resolution,
        correction: row.correction,
        ticket: Ticket { title: row.title, body: row.body, evidence: row.evidence, patch: row.patch },
    }))
}

/// A page of the tenant's tickets, the newest first.
pub async fn list(db: &Db, tenant: &TenantId, filter: &Filter) -> Result<TicketPage, DbError> {
    let limit = filter.limit.unwrap_or(50).clamp(1, MAX_PAGE);
    let mut tx = db.tenant(tenant).await?;
    let rows = sqlx::query!(
        "select id, run_id, title, state, created_at, closed_at from tickets
          where ($1::text is null or state = $1)
            and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
          order by created_at desc, id desc limit $4",
        filter.state.map(TicketState::as_str),
        filter.after.map(|after| after.at),
        filter.after.map(|after| after.id),
        i64::from(limit) + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    let lines = rows.into_iter().map(|row| TicketLine {
        id: TicketId(row.id),
        run: RunId(row.run_id),
        state: row.state,
        created_at: row.created_at,
        closed_at: row.closed_at,
        title: row.title,
    });
    let mut tickets: Vec<TicketLine> = lines.collect();
    let more = tickets.len() > limit as usize;
    tickets.truncate(limit as usize);
    let next = tickets.last().filter(|_| more).map(|last| Cursor { at: last.created_at, id: last.id.0 });
    Ok(TicketPage { tickets, next })
}
