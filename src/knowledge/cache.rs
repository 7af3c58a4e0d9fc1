//! Answers that were given before, for as long as nothing that is known has changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::sync::Cache;
use opentelemetry::metrics::Counter;

use super::search::{Hit, Query};
use crate::db::{DbError, TenantTx};
use crate::domain::TenantId;

/// The bytes of answers that are kept: some thousand. What is kept must be small beside what a process may grow by.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// An answer with the number of changes that it was made after.
type Kept = (i64, Arc<Vec<Hit>>);

/// Answers by tenant and query.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    kept: Cache<(TenantId, Query), Kept>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Counts {
    found: AtomicU64,
    asked: AtomicU64,
    /// The same for a collector; the one divided by the other is the hit rate.
    searches: Counter<u64>,
    hits: Counter<u64>,
}

impl Default for Counts {
    fn default() -> Self {
        let meter = opentelemetry::global::meter("odoo-agent");
        let counter = |name: &'static str, what: &'static str| meter.u64_counter(name).with_description(what).build();
        Self {
            found: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            searches: counter("odoo_agent.knowledge.searches", "Searches of the knowledge base"),
            hits: counter("odoo_agent.knowledge.cache_hits", "Searches that were answered by a kept answer"),
        }
    }
}

impl Default for Answers {
    fn default() -> Self {
        let bytes = |key: &(TenantId, Query), (_, hits): &Kept| {
            // Besides its texts a hit has some short ones, each an allocation of its own.
            let texts: usize = hits.iter().map(|hit| hit.text.capacity() + hit.title.capacity() + hit.why.capacity() + 700).sum();
            u32::try_from(key.1.text.capacity() + texts + 500).unwrap_or(u32::MAX)
        };
        Self { kept: Cache::builder().max_capacity(MAX_BYTES).weigher(bytes).build(), counts: Arc::default() }
    }
}

impl Answers {
    /// The answer to this query, if it was given after the last change.
    pub(super) fn get(&self, tenant: &TenantId, query: &Query, changes: i64) -> Option<Arc<Vec<Hit>>> {
        let kept = self.kept.get(&(tenant.clone(), query.clone())).filter(|(made, _)| *made == changes);
        self.counts.asked.fetch_add(1, Ordering::Relaxed);
        self.counts.searches.add(1, &[]);
        if kept.is_some() {
            self.counts.found.fetch_add(1, Ordering::Relaxed);
            self.counts.hits.add(1, &[]);
        }
        kept.map(|(_, hits)| hits)
    }

    pub(super) fn put(&self, tenant: &TenantId, query: &Query, changes: i64, hits: Arc<Vec<Hit>>) {
        self.kept.insert((tenant.clone(), query.clone()), (changes, hits));
    }

    /// How many queries were asked, and how many of them were answered from here.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.counts.asked.load(Ordering::Relaxed), self.counts.found.load(Ordering::Relaxed))
    }
}

/// A number that is another one after every change of what this tenant may find. Both parts of it only grow.
pub(super) async fn changes(tx: &mut TenantTx) -> Result<i64, DbError> {
    let number =
        sqlx::query_scalar!(r#"select coalesce(sum(number), 0)::bigint as "number!" from knowledge_changes"#).fetch_one(tx.conn()).await?;
    Ok(number)
}
