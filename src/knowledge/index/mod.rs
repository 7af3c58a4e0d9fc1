//! Trees of sources into the knowledge base: what has changed since the last time is read, cut up, written and embedded; the rest costs
//! nothing. Each batch of files is one transaction, so that a run that is cut off leaves whole files, and the next one goes on.

mod cut;
mod embed;
mod read;
mod report;
mod run;
mod series;
mod settings;
mod source;
mod terms;
mod tree;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

pub use embed::{Vectored, Vectors};
pub use report::{Files, Report, Seconds, Skipped, Skips, Status};
pub use run::run;
pub use series::series;
pub use settings::{Arrival, SourceSettings, Sources, default_sources, with_defaults};
pub use tree::has_translations;

use super::chunk::ModuleCard;
use super::{Knowledge, Purpose, tickets};
use crate::db::{Db, DbError, TenantTx};
use crate::domain::{Failure, OdooVersion, TenantId};

/// How many tickets are written together: what one of them holds may be megabytes of log.
const TICKETS_AT_ONCE: usize = 20;

/// Where sources come from; their `doc_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Odoo itself.
    Core,
    /// The Odoo Community Association.
    Oca,
    /// A tenant's own addons.
    Custom,
}

impl Origin {
    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Oca => "oca",
            Self::Custom => "custom",
        }
    }

    /// Whether everybody may see it.
    pub const fn is_shared(self) -> bool {
        !matches!(self, Self::Custom)
    }
}

impl std::str::FromStr for Origin {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self, Failure> {
        let known = [Self::Core, Self::Oca, Self::Custom].into_iter().find(|origin| origin.as_str() == text);
        known.ok_or_else(|| Failure::bad_input(format!("there is no doc_type {text:?} of sources; there are: core, oca, custom")))
    }
}

/// A folder of sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The folder.
    pub path: PathBuf,
    /// Only the translations of addons that the roots before it have are read.
    pub translations_only: bool,
}

/// A source of texts: what it is called and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Its name; with the `doc_type` and the series it says which tree it is, wherever that lies.
    pub name: String,
    /// What sort it is.
    pub origin: Origin,
    /// The series of Odoo.
    pub version: OdooVersion,
    /// The folders; where two have a file of one name, the first counts.
    pub roots: Vec<Root>,
    /// Where it comes from, for people.
    pub location: String,
}

/// Gets how far an indexing is.
pub type Tell = Arc<dyn Fn(&Status) + Send + Sync>;

/// Who indexes, and how far that goes.
#[derive(Clone)]
pub struct Options {
    /// Whose the sources are, if they are a tenant's own; else in whose name it happens.
    pub tenant: TenantId,
    /// Makes the vectors; without it there are none.
    pub embedder: Option<Arc<dyn Vectors>>,
    /// Gets how far it is, often.
    pub progress: Tell,
}

impl Options {
    /// A transaction for the rows that everybody sees, or for those of the tenant alone.
    async fn begin(&self, db: &Db, is_shared: bool) -> Result<TenantTx, DbError> {
        if is_shared { db.indexer(&self.tenant).await } else { db.tenant(&self.tenant).await }
    }
}

/// Why an indexing ended early. What is written by then stays, and so does what was known before.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The folder is not there, or is not there any more.
    #[error("the folder {0} is not there; what was indexed of it before stays")]
    Gone(PathBuf),
    /// There is nothing in it.
    #[error("no file of an addon is in {0}; what was indexed of it before stays")]
    Empty(PathBuf),
    /// It is no source of a size that is meant.
    #[error("there are more than {0} files")]
    TooMany(usize),
    /// PostgreSQL.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The embedder.
    #[error("the embedder failed: {0}")]
    Embedder(Failure),
    /// A fault of ours.
    #[error("the indexing broke: {0}")]
    Broken(String),
}

impl From<sqlx::Error> for IndexError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Db(error) => error.into(),
            IndexError::Gone(_) | IndexError::Empty(_) | IndexError::TooMany(_) => Self::bad_input(error.to_string()),
            IndexError::Embedder(failure) => Self::new(failure.kind, IndexError::Embedder(failure)),
            IndexError::Broken(_) => Self::bug(error),
        }
    }
}

impl Knowledge {
    /// Brings a tree into the knowledge base, in the name of this tenant. Where a limit of money ends it, what is written by then is found by
    /// words, and the next run goes on.
    pub async fn index(&self, tree: &Tree, tenant: &TenantId, progress: Tell) -> Result<Report, IndexError> {
        run(&self.db, tree, &self.options(tenant, Purpose::Index, progress)).await
    }

    /// Brings the tenant's tickets into its knowledge; says how many are new or have changed.
    pub async fn index_tickets(&self, tenant: &TenantId, progress: Tell) -> Result<u64, IndexError> {
        let kept = self.keep_tickets(tenant).await?;
        self.embed_texts(tenant, Purpose::Index, progress).await?;
        Ok(kept)
    }

    /// Keeps the tickets that are new or have changed; says how many.
    async fn keep_tickets(&self, tenant: &TenantId) -> Result<u64, IndexError> {
        let mut tx = self.db.tenant(tenant).await?;
        let stale = tickets::stale(&mut tx).await?;
        tx.commit().await?;
        let mut kept = 0;
        for batch in stale.chunks(TICKETS_AT_ONCE) {
            let mut tx = self.db.tenant(tenant).await?;
            kept += tickets::keep(&mut tx, batch).await?;
            tx.commit().await?;
        }
        Ok(kept)
    }

    /// Gives the texts of this tenant that no file holds the vectors that they lack; says how many.
    pub async fn embed_texts(&self, tenant: &TenantId, purpose: Purpose, progress: Tell) -> Result<u64, IndexError> {
        embed::texts(&self.db, &self.options(tenant, purpose, progress)).await
    }

    fn options(&self, tenant: &TenantId, purpose: Purpose, progress: Tell) -> Options {
        Options { tenant: tenant.clone(), embedder: Some(Arc::new(self.paid(tenant, purpose))), progress }
    }
}

/// How good sources are known to be, from 0 to 1, before anything was learned of them.
pub fn quality(origin: Origin, card: Option<&ModuleCard>) -> f32 {
    match origin {
        Origin::Core | Origin::Custom => 0.6,
        Origin::Oca => match card.and_then(|card| card.detail["maturity"].as_str()) {
            Some("Alpha") => 0.4,
            Some("Beta") => 0.5,
            Some("Mature") => 0.7,
            // The association's own default is Beta, but most addons that say nothing are older than the key.
            _ => 0.6,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mature_addons_are_better() {
        let card = |status: &str| ModuleCard { depends: vec![], auto_install: None, detail: serde_json::json!({ "maturity": status }) };
        let of = |status| quality(Origin::Oca, Some(&card(status)));
        assert!(of("Alpha") < of("Beta") && of("Beta") < of("Production/Stable") && of("Production/Stable") < of("Mature"));
        assert!((quality(Origin::Core, Some(&card("Alpha"))) - 0.6).abs() < f32::EPSILON);
    }

    #[test]
    fn only_custom_sources_are_private() {
        assert!("core".parse::<Origin>().unwrap().is_shared() && !"custom".parse::<Origin>().unwrap().is_shared());
        assert!("errors".parse::<Origin>().is_err());
    }
}
