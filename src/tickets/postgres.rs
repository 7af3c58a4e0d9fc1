//! Tickets in our own database: the sink that is always there.

use uuid::Uuid;

use super::{TicketId, TicketView};
use crate::db::{Db, DbError, TenantTx, storable, storable_json};
use crate::domain::{RunId, TenantId, Ticket};

/// The most characters of a title.
const MAX_TITLE: usize = 300;
/// The most characters of a body; a longer one is cut.
const MAX_BODY: usize = 200_000;

/// Files the run's ticket. A run that has one keeps it, and its id is the answer.
pub async fn file(tx: &mut TenantTx, run: RunId, ticket: &Ticket) -> Result<TicketId, DbError> {
    let tenant = tx.tenant().clone();
    let title: String = storable(&ticket.title).chars().take(MAX_TITLE).collect();
    let body: String = storable(&ticket.body).chars().take(MAX_BODY).collect();
    sqlx::query!(
        "insert into tickets (id, tenant_id, run_id, title, body, evidence, patch) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (run_id) do nothing",
        Uuid::now_v7(),
        tenant.as_str(),
        run.0,
        title,
        body,
        storable_json("evidence", &ticket.evidence)?,
        ticket.patch.as_deref().map(storable),
    )
    .execute(tx.conn())
    .await?;
    let row = sqlx::query!("select id from tickets where run_id = $1", run.0).fetch_one(tx.conn()).await?;
    Ok(TicketId(row.id))
}

/// One ticket, or `None` if this tenant has no such ticket.
pub async fn get(db: &Db, tenant: &TenantId, id: TicketId) -> Result<Option<TicketView>, DbError> {
    let mut tx = db.tenant(tenant).await?;
    let row = sqlx::query!("select run_id, title, body, evidence, patch, state, created_at from tickets where id = $1", id.0)
        .fetch_optional(tx.conn())
        .await?;
    Ok(row.map(|row| TicketView {
        id,
        run: RunId(row.run_id),
        state: row.state,
        created_at: row.created_at,
        ticket: Ticket { title: row.title, body: row.body, evidence: row.evidence, patch: row.patch },
    }))
}
