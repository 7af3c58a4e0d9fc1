//! Writing what is known. The same reference is written over, so that indexing again changes nothing that has not changed.

use pgvector::Vector;
use serde_json::json;
use uuid::Uuid;

use super::HashEmbedder;
use crate::db::{DbError, TenantTx, storable};
use crate::domain::{ModuleName, OdooVersion};

/// The most characters of one text; chunks are far smaller.
const MAX_CONTENT: usize = 100_000;

/// The sorts of text that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocType {
    /// A known error with its solution.
    Error,
    /// A fix that was tried, with its patch.
    Fix,
    /// A piece of source.
    Code,
    /// A piece of documentation.
    Doc,
}

impl DocType {
    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Fix => "fix",
            Self::Code => "code",
            Self::Doc => "doc",
        }
    }
}

/// Who may read a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// Everybody: what is true of Odoo.
    Odoo,
    /// The tenant of the transaction.
    Tenant,
}

/// Where a text stands in a source tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// `module/path/file.py`.
    pub path: String,
    /// Function, class, record.
    pub symbol: Option<String>,
    /// First line, counted from 1.
    pub start_line: Option<i32>,
    /// Last line.
    pub end_line: Option<i32>,
}

/// One text to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What sort of text.
    pub doc_type: DocType,
    /// Its name; unique among its sort on its shelf.
    pub r#ref: String,
    /// The addon it is about.
    pub module: Option<ModuleName>,
    /// The series it holds for.
    pub odoo_version: Option<OdooVersion>,
    /// Where it stands.
    pub place: Option<Place>,
    /// One line for people.
    pub title: String,
    /// The text, embedded as it is.
    pub content: String,
    /// The version of whatever cut it out of its source.
    pub chunker: &'static str,
}

/// Keeps a text, in the place of any of the same reference.
pub async fn upsert(tx: &mut TenantTx, shelf: Shelf, entry: &Entry, embedder: &HashEmbedder) -> Result<(), DbError> {
    let tenant = match shelf {
        Shelf::Odoo => None,
        Shelf::Tenant => Some(tx.tenant().clone()),
    };
    let (table, tenant_column, tenant_value, key) = match shelf {
        Shelf::Odoo => ("odoo_knowledge", "", "", "doc_type, ref"),
        Shelf::Tenant => ("tenant_knowledge", ", tenant_id", ", $15", "tenant_id, doc_type, ref"),
    };
    let content: String = storable(&entry.content).chars().take(MAX_CONTENT).collect();
    let place = entry.place.clone();
    // Two tables of the same shape, and a vector type that the macros do not know: one statement, built from constants only.
    let sql = format!(
        "insert into {table} (id, doc_type, ref, module, odoo_version, path, symbol, start_line, end_line, title, content, embedder, embedding,
                              made_by{tenant_column})
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14{tenant_value})
         on conflict ({key}) do update set module = excluded.module, odoo_version = excluded.odoo_version, path = excluded.path,
           symbol = excluded.symbol, start_line = excluded.start_line, end_line = excluded.end_line, title = excluded.title,
           content = excluded.content, embedder = excluded.embedder, embedding = excluded.embedding, made_by = excluded.made_by,
           created_at = now()"
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(Uuid::now_v7())
        .bind(entry.doc_type.as_str())
        .bind(storable(&entry.r#ref))
        .bind(entry.module.as_ref().map(ModuleName::as_str))
        .bind(entry.odoo_version.as_ref().map(OdooVersion::as_str))
        .bind(place.as_ref().map(|place| storable(&place.path)))
        .bind(place.as_ref().and_then(|place| place.symbol.as_deref().map(storable)))
        .bind(place.as_ref().and_then(|place| place.start_line))
        .bind(place.as_ref().and_then(|place| place.end_line))
        .bind(storable(&entry.title))
        .bind(&content)
        .bind(embedder.name())
        .bind(Vector::from(embedder.embed(&content)))
        .bind(json!({"chunker": entry.chunker, "embedder": embedder.name()}));
    if let Some(tenant) = &tenant {
        query = query.bind(tenant.as_str());
    }
    query.execute(tx.conn()).await?;
    Ok(())
}
