//! Tickets: seen, and resolved by a person.

use serde_json::json;
use uuid::Uuid;

use super::App;
use crate::domain::{Failure, TenantId, TicketId};
use crate::knowledge;
use crate::runs::groups;
use crate::tenants::audit;
use crate::tickets::{Filter, MAX_PAGE, Resolution, TicketPage, TicketView, postgres as tickets};

impl App {
    /// A ticket of this tenant.
    pub async fn ticket(&self, tenant: &TenantId, ticket: TicketId) -> Result<Option<TicketView>, Failure> {
        Ok(tickets::get(&self.db, tenant, ticket).await?)
    }

    /// A page of the tickets of this tenant, the newest first.
    pub async fn tickets(&self, tenant: &TenantId, filter: &Filter) -> Result<TicketPage, Failure> {
        if filter.limit.is_some_and(|limit| !(1..=MAX_PAGE).contains(&limit)) {
            return Err(Failure::bad_input(format!("limit must be 1 to {MAX_PAGE}")));
        }
        Ok(tickets::list(&self.db, tenant, filter).await?)
    }

    /// Keeps what a person says mended the error of a ticket, in the place of what was said before; a search finds it from then on. Its
    /// group counts as fixed, so that the next occurrence is a run, which tries what was said. `key` is the API key that it came with.
    /// `None`: there is no such ticket.
    pub async fn resolve_ticket(
        &self,
        tenant: &TenantId,
        ticket: TicketId,
        said: &Resolution,
        key: Option<Uuid>,
    ) -> Result<Option<TicketView>, Failure> {
        let mut tx = self.db.tenant(tenant).await?;
        let Some(run) = tickets::resolve(&mut tx, ticket, said, key).await? else { return Ok(None) };
        groups::mark_fixed_by(&mut tx, run).await?;
        // The words that are written over by later ones stay here.
        let detail = json!({ "resolution": said.text(), "correction": said.correction(), "files": said.files() });
        audit::write(&mut tx, "person", "ticket.resolved", &ticket.to_string(), &detail).await?;
        knowledge::keep_ticket(&mut tx, ticket).await?;
        tx.commit().await?;
        self.ticket(tenant, ticket).await
    }
}
