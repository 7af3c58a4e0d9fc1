//! Finding what is known, for every door alike.

use std::sync::Arc;

use super::App;
use crate::domain::{Failure, FailureKind, TenantId};
use crate::knowledge::{Answer, Defined, Hit, Purpose, Query, Question, Request};

impl App {
    /// The texts that answer a query, best first: what everybody may see, and the tenant's own.
    pub async fn search(&self, tenant: &TenantId, query: &Query) -> Result<Arc<Vec<Hit>>, Failure> {
        query.check().map_err(|error| Failure::bad_input(error.to_string()))?;
        Ok(self.knowledge.search(tenant, query).await?)
    }

    /// The same as programs ask for it, with spans for a prompt where they are wanted.
    pub async fn answer(&self, tenant: &TenantId, request: Request) -> Result<Answer, Failure> {
        Ok(self.knowledge.answer(tenant, request).await?)
    }

    /// Every place that defines something, in the order in which Odoo loads or applies them.
    pub async fn defined(&self, tenant: &TenantId, question: &Question) -> Result<Vec<Defined>, Failure> {
        self.knowledge.defined(tenant, question).await
    }

    /// Gives what runs left behind the vectors that it lacks: it is found by words at once, and by meaning from then on. Says how many. A tenant
    /// that may spend no more today waits; what goes wrong for one does not hold up the others.
    pub async fn embed_outcomes(&self) -> Result<u64, Failure> {
        let mut ended = Ok(0);
        for tenant in self.tenants() {
            match self.knowledge.embed_texts(tenant, Purpose::Outcomes, Arc::new(|_| {})).await.map_err(Failure::from) {
                Ok(more) => ended = ended.map(|embedded| embedded + more),
                Err(error) if error.kind == FailureKind::Budget => {
                    tracing::info!(%error, %tenant, "what runs left behind is embedded later; it is found by its words");
                }
                Err(error) => ended = ended.and(Err(error)),
            }
        }
        ended
    }
}
