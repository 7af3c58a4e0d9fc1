//! Texts that no file holds: known errors, fixes, tickets. The same reference is written over; a vector follows when there is time for it.

use pgvector::SparseVector;
use serde_json::Value;
use uuid::Uuid;

use super::chunk::{Kind, Zone};
use super::lexical;
use crate::db::{DbError, TenantTx, storable};
use crate::domain::{ModuleName, OdooVersion};

/// The most characters of one text.
const MAX_CONTENT: usize = 100_000;

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocType {
    /// Sources of Odoo itself.
    Core,
    /// Sources of the Odoo Community Association.
    Oca,
    /// Errors and what came of them.
    Errors,
    /// A tenant's own sources.
    Custom,
    /// Tickets and what people said to them.
    Tickets,
}

impl DocType {
    /// Every one.
    pub const ALL: &'static [Self] = &[Self::Core, Self::Oca, Self::Errors, Self::Custom, Self::Tickets];

    /// The name in rows, filters and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Oca => "oca",
            Self::Errors => "errors",
            Self::Custom => "custom",
            Self::Tickets => "tickets",
        }
    }
}

impl std::str::FromStr for DocType {
    type Err = UnknownDocType;
    fn from_str(text: &str) -> Result<Self, UnknownDocType> {
        Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or_else(|| UnknownDocType(text.chars().take(80).collect()))
    }
}

/// A sort of text that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("there is no doc_type {0:?}; there are: core, oca, errors, custom, tickets")]
pub struct UnknownDocType(String);

/// One text to keep for a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it comes from.
    pub doc_type: DocType,
    /// What it is.
    pub kind: Kind,
    /// Its name; unique among its `doc_type` of this tenant.
    pub r#ref: String,
    /// The addon it is about.
    pub module: Option<ModuleName>,
    /// The series it holds for.
    pub version: Option<OdooVersion>,
    /// One line for people.
    pub title: String,
    /// The text as it is shown.
    pub content: String,
    /// Its words, by what they are.
    pub zones: Vec<(Zone, String)>,
    /// What is embedded of it.
    pub card: Option<String>,
    /// How good it is known to be, from 0 to 1.
    pub quality: f32,
    /// The version of whatever made it.
    pub made_by: Value,
}

/// The columns that every text has, ready to be bound.
pub(super) struct Columns {
    pub(super) content: String,
    pub(super) title: String,
    pub(super) card: Option<String>,
    pub(super) digest: Option<Vec<u8>>,
    pub(super) lexemes: Vec<i32>,
    pub(super) weights: SparseVector,
}

impl Columns {
    pub(super) fn of(title: &str, content: &str, zones: &[(Zone, String)], card: Option<&str>) -> Self {
        let weights = lexical::weigh(zones);
        let card = card.map(storable);
        Self {
            content: storable(content).chars().take(MAX_CONTENT).collect(),
            title: storable(title),
            digest: card.as_ref().map(|card| digest(card)),
            card,
            lexemes: weights.iter().map(|(term, _)| *term).collect(),
            weights: sparse(&weights),
        }
    }
}

/// The hash of what is embedded.
pub(super) fn digest(card: &str) -> Vec<u8> {
    blake3::hash(card.as_bytes()).as_bytes()[..16].to_vec()
}

/// Weights of terms as the database takes them.
pub(super) fn sparse(weights: &[(i32, f32)]) -> SparseVector {
    SparseVector::from_map(weights.iter().map(|(term, weight)| (term, weight)), lexical::DIMS)
}

/// Keeps a text, in the place of any of the same reference.
pub async fn put(tx: &mut TenantTx, entry: &Entry) -> Result<(), DbError> {
    let tenant = tx.tenant().clone();
    forget(tx, entry.doc_type, &entry.r#ref).await?;
    let columns = Columns::of(&entry.title, &entry.content, &entry.zones, entry.card.as_deref());
    // Run-time, because the macros do not know the vector types.
    sqlx::query(
        "insert into tenant_knowledge (id, tenant_id, doc_type, kind, corpus, ref, module, odoo_version, title, content, card, digest, lexemes,
                                       weights, quality, made_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(Uuid::now_v7())
    .bind(tenant.as_str())
    .bind(entry.doc_type.as_str())
    .bind(entry.kind.as_str())
    .bind(entry.kind.corpus().as_str())
    .bind(storable(&entry.r#ref))
    .bind(entry.module.as_ref().map(ModuleName::as_str))
    .bind(entry.version.as_ref().map(OdooVersion::as_str))
    .bind(columns.title)
    .bind(columns.content)
    .bind(columns.card)
    .bind(columns.digest)
    .bind(&columns.lexemes)
    .bind(columns.weights)
    .bind(entry.quality)
    .bind(&entry.made_by)
    .execute(tx.conn())
    .await?;
    count(tx, entry.kind.corpus().as_str(), &columns.lexemes, 1).await
}

/// Takes a text away, if it is there.
pub async fn forget(tx: &mut TenantTx, doc_type: DocType, r#ref: &str) -> Result<(), DbError> {
    let gone = sqlx::query!(
        "with gone as (delete from tenant_knowledge where source_id is null and doc_type = $1 and ref = $2 returning id, corpus, lexemes),
              vectors as (delete from knowledge_vectors v using gone where v.chunk_id = gone.id)
         select corpus, lexemes from gone",
        doc_type.as_str(),
        storable(r#ref),
    )
    .fetch_all(tx.conn())
    .await?;
    for row in gone {
        count(tx, &row.corpus, &row.lexemes, -1).await?;
    }
    Ok(())
}

/// Counts the terms of one text of the tenant in or out, and says that something changed. In the order of the terms, so that two writers
/// wait for each other and never in a circle.
pub(super) async fn count(tx: &mut TenantTx, corpus: &str, lexemes: &[i32], by: i64) -> Result<(), DbError> {
    let tenant = tx.tenant().clone();
    let mut terms: Vec<i32> = std::iter::once(0).chain(lexemes.iter().copied()).collect();
    terms.sort_unstable();
    terms.dedup();
    sqlx::query!(
        "insert into knowledge_terms (tenant_id, corpus, term, texts) select $1, $2, term, $4 from unnest($3::int[]) with ordinality as t (term, n)
          order by n
         on conflict (corpus, term, tenant_id) do update set texts = knowledge_terms.texts + excluded.texts",
        tenant.as_str(),
        corpus,
        &terms,
        by,
    )
    .execute(tx.conn())
    .await?;
    changed(tx).await
}

/// Says that something this tenant may find has changed, so that kept answers are known to be old.
pub(super) async fn changed(tx: &mut TenantTx) -> Result<(), DbError> {
    let tenant = tx.tenant().clone();
    sqlx::query!(
        "insert into knowledge_changes (tenant_id, number) values ($1, 1)
         on conflict (tenant_id) do update set number = knowledge_changes.number + 1",
        tenant.as_str(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
