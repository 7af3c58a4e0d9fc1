//! What is known: texts with their embeddings, and past fixes with what the sandbox said of them.
//! Never decides what is tried or applied: it only remembers and finds.

pub mod embed;
mod fixes;
mod search;
mod store;

pub use embed::{EmbedError, Embedded, Embedder, HashEmbedder};
pub use fixes::{PastFix, remember};
pub use search::{Hit, similar};
pub use store::{DocType, Entry, Place, Shelf, upsert};

use crate::db::{Db, DbError};
use crate::domain::{ErrorClass, Fingerprint, Grade, OdooVersion, Source, TenantId};

/// The settings of this room.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What makes vectors of texts.
    pub embedder: embed::Config,
}

/// What past runs taught, for whoever looks for a fix.
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
}
