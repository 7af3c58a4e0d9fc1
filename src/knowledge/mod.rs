//! What is known: sources cut into pieces, what they define, past errors with what came of them; and finding what matters for an error or a
//! question.
//! Never decides what is tried or applied: it only remembers and finds.

mod answer;
mod cache;
pub mod chunk;
pub mod confidence;
mod corrections;
mod defined;
pub mod embed;
mod errors;
mod essence;
mod fixes;
mod graph;
pub mod index;
pub mod lexical;
mod modules;
mod pack;
mod paid;
mod search;
mod store;
mod tickets;
mod uses;
mod wordings;

pub use answer::{Answer, MAX_TOKENS, NoAnswer, Request};
pub use corrections::Correction;
pub use defined::{Defined, Question, Sought};
pub use embed::{EmbedError, Embedded, Embedder, HashEmbedder};
pub use errors::KnownError;
pub use fixes::{PastFix, remember};
pub use index::{SourceSettings, Sources};
pub use pack::{Room, Span, pack};
pub use paid::{Payer, Purpose};
pub use search::{BadQuery, COMPARED, Filters, Hit, MAX_HITS, Query, QueryEmbedding, QueryVector};
pub use store::{DocType, Entry, UnknownDocType, forget, put};
pub use tickets::keep_ticket;
pub use uses::used;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::db::{Db, DbError};
use crate::domain::{ErrorClass, Fingerprint, OdooVersion, RunId, Source, TenantId};

/// Settings of the knowledge base.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What makes vectors of texts.
    pub embedder: embed::Config,
    /// The sources that may be indexed by name. Odoo itself is one of them, unless it is named otherwise.
    #[serde(deserialize_with = "index::with_defaults")]
    pub sources: BTreeMap<String, SourceSettings>,
}

impl Default for Config {
    fn default() -> Self {
        Self { embedder: embed::Config::default(), sources: index::default_sources() }
    }
}

/// What is known, for whoever looks for a fix or for code.
#[derive(Debug, Clone)]
pub struct Knowledge {
    db: Db,
    embedder: Embedder,
    payer: Arc<dyn Payer>,
    bills: TaskTracker,
    answers: cache::Answers,
    modules: modules::KeptModules,
    confidence: confidence::Config,
}

impl Knowledge {
    /// Over this database, with what makes vectors of texts. What that costs is nobody's until [`Knowledge::paid_by`] says whose.
    pub fn new(db: Db, embedder: Embedder) -> Self {
        let (payer, bills) = (Arc::new(paid::Nobody), TaskTracker::new());
        let (answers, modules, confidence) = (cache::Answers::default(), modules::KeptModules::default(), confidence::Config::default());
        Self { db, embedder, payer, bills, answers, modules, confidence }
    }

    /// The same knowledge with settings of how confidence is earned.
    #[must_use]
    pub fn trusting(self, confidence: confidence::Config) -> Self {
        Self { confidence, ..self }
    }

    /// The same knowledge, the vectors of which somebody pays for.
    #[must_use]
    pub fn paid_by(self, payer: Arc<dyn Payer>) -> Self {
        Self { payer, ..self }
    }

    /// Waits until every vector that was asked for is paid for.
    pub async fn bills_paid(&self) {
        self.bills.close();
        self.bills.wait().await;
    }

    fn paid(&self, tenant: &TenantId, purpose: Purpose) -> paid::Paid {
        paid::Paid::new(self.embedder.clone(), self.payer.clone(), tenant.clone(), purpose, self.bills.clone())
    }

    /// Fixes that were proven for this very error on this series, newest first.
    pub async fn recall(&self, tenant: &TenantId, fingerprint: &Fingerprint, version: &OdooVersion) -> Result<Vec<PastFix>, DbError> {
        fixes::recall(&self.db, tenant, fingerprint, version).await
    }

    /// What a source of fixes has earned for a class of error.
    pub async fn earned(&self, tenant: &TenantId, source: &Source, class: ErrorClass) -> Result<confidence::Earned, DbError> {
        confidence::earned(&self.db, tenant, source, class, self.confidence).await
    }

    /// What every source of fixes has earned, one for each class of error that it has made fixes for; these sources at the least.
    pub async fn all_earned(&self, tenant: &TenantId, sources: Vec<Source>) -> Result<Vec<confidence::Earned>, DbError> {
        confidence::all_earned(&self.db, tenant, sources, self.confidence).await
    }

    /// The run whose fix of the same error a person has taken back or rejected, if there is one.
    pub async fn taken_back(&self, tenant: &TenantId, fingerprint: &Fingerprint) -> Result<Option<RunId>, DbError> {
        confidence::taken_back(&self.db, tenant, fingerprint).await
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
    pub async fn search(&self, tenant: &TenantId, query: &Query) -> Result<Arc<Vec<Hit>>, DbError> {
        let mut tx = self.db.tenant(tenant).await?;
        let changes = cache::changes(&mut tx).await?;
        if let Some(hits) = self.answers.get(tenant, query, changes) {
            return Ok(hits);
        }
        let text = search::embedded_text(&query.text);
        let hits = if self.embedder.is_remote() {
            // Embedding may take long where it is done elsewhere; nothing is held meanwhile.
            tx.commit().await?;
            // It leaves the machine.
            let made = self.paid(tenant, Purpose::Search).query(&crate::odoo::mask(&text)).await;
            let Some(vector) = self.vector(made) else {
                // Not kept: when the embedder answers again, or a new day begins, the answer is a better one.
                return Ok(Arc::new(self.search_with(tenant, query, &QueryEmbedding::none()).await?));
            };
            Arc::new(self.search_with(tenant, query, &QueryEmbedding::known(vector)).await?)
        } else {
            let knowledge = self.clone();
            let making = async move { knowledge.vector(knowledge.embedder.query(&text).await.map(|(values, _)| values)) };
            Arc::new(search::search(&mut tx, &self.modules, query, &QueryEmbedding::coming(making)).await?)
        };
        self.answers.put(tenant, query, changes, hits.clone());
        Ok(hits)
    }

    /// The same for a query that somebody else embeds; nothing is kept of the answer.
    pub async fn search_with(&self, tenant: &TenantId, query: &Query, embedding: &QueryEmbedding) -> Result<Vec<Hit>, DbError> {
        let mut tx = self.db.tenant(tenant).await?;
        search::search(&mut tx, &self.modules, query, embedding).await
    }

    /// The `n` texts of code whose vectors are nearest, by their ids: the part of a search that vectors answer, for whoever measures it.
    pub async fn nearest_code(&self, tenant: &TenantId, vector: &QueryVector, filters: &Filters, n: usize) -> Result<Vec<Uuid>, DbError> {
        let mut tx = self.db.tenant(tenant).await?;
        search::nearest_code(&mut tx, &self.modules, vector, filters, n).await
    }

    /// The vector of a text; `None`, with a word in the log, where the embedder does not answer or nobody pays for it: names and words find
    /// most things alone.
    fn vector(&self, made: Result<Vec<f32>, impl std::fmt::Display>) -> Option<QueryVector> {
        match made {
            Ok(values) => Some(QueryVector { embedder: self.embedder.name().to_owned(), values }),
            Err(error) => {
                tracing::warn!(%error, embedder = self.embedder.name(), "a query was not embedded");
                None
            }
        }
    }

    /// The name of what makes the vectors.
    pub fn embedder_name(&self) -> &str {
        self.embedder.name()
    }

    /// How many queries were asked of this process, and how many of them were answered by what was kept.
    pub fn cache_counts(&self) -> (u64, u64) {
        self.answers.counts()
    }
}
