//! What is known: sources cut into pieces, what they define, past errors with what came of them; and finding what matters for an error or a
//! question.
//! Never decides what is tried or applied: it only remembers and finds.

pub mod chunk;
mod embed;
mod errors;
mod essence;
mod fixes;
pub mod graph;
pub mod lexical;
mod search;
mod store;
mod wordings;

pub use embed::{Embedder, HashEmbedder};
pub use errors::KnownError;
pub use fixes::{PastFix, remember};
pub use search::{BadQuery, Filters, Hit, MAX_HITS, Query, QueryVector};
pub use store::{DocType, Entry, UnknownDocType, forget, put};

use crate::db::{Db, DbError};
use crate::domain::{ErrorClass, Fingerprint, Grade, OdooVersion, Source, TenantId};

/// What is known, for whoever looks for a fix or for code.
#[derive(Debug, Clone)]
pub struct Knowledge {
    db: Db,
}

impl Knowledge {
    /// Over this database.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Fixes that were proven for this very error on this series, newest first.
    pub async fn recall(&self, tenant: &TenantId, fingerprint: &Fingerprint, version: &OdooVersion) -> Result<Vec<PastFix>, DbError> {
        fixes::recall(&self.db, tenant, fingerprint, version).await
    }

    /// How often fixes of this source, grade and class were right so far, as (hits, misses).
    pub async fn success_rate(&self, tenant: &TenantId, source: &Source, grade: Grade, class: ErrorClass) -> Result<(u64, u64), DbError> {
        fixes::success_rate(&self.db, tenant, source, grade, class).await
    }

    /// Keeps errors that somebody knows, those of the same name written over. All of them or none.
    pub async fn keep_errors(&self, tenant: &TenantId, errors: &[KnownError]) -> Result<(), DbError> {
        let mut tx = self.db.tenant(tenant).await?;
        for error in errors {
            put(&mut tx, &error.entry()).await?;
        }
        tx.commit().await
    }

    /// The texts that answer a query, best first.
    pub async fn search(&self, tenant: &TenantId, query: &Query) -> Result<Vec<Hit>, DbError> {
        let embedder = HashEmbedder;
        let vector = QueryVector { embedder: embedder.name().to_owned(), values: embedder.embed(&query.text) };
        let mut tx = self.db.tenant(tenant).await?;
        search::search(&mut tx, query, Some(&vector)).await
    }
}
