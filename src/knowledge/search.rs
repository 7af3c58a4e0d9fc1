//! Finding texts that are like another, on both shelves.

use pgvector::Vector;
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::embed::parts;
use super::{DocType, HashEmbedder};
use crate::db::{DbError, TenantTx};

/// The most answers that one search gives.
const MAX_HITS: usize = 100;
/// How many shared words an answer names.
const MAX_SHARED: usize = 6;

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// How like it is: the cosine, at most 1.
    pub score: f64,
    /// Why it was found, for people.
    pub why: String,
    /// The sort of text.
    pub doc_type: String,
    /// The addon it is about.
    pub module: Option<String>,
    /// The series it holds for.
    pub odoo_version: Option<String>,
    /// `module/path/file.py`.
    pub path: Option<String>,
    /// Function, class, record.
    pub symbol: Option<String>,
    /// First line, counted from 1.
    pub start_line: Option<i32>,
    /// Last line.
    pub end_line: Option<i32>,
    /// The name it was stored under.
    pub r#ref: String,
    /// One line for people.
    pub title: String,
    /// The text.
    pub text: String,
}

/// The `k` texts that are most like this one, best first. No `doc_types` means all.
pub async fn similar(tx: &mut TenantTx, text: &str, doc_types: &[DocType], k: usize) -> Result<Vec<Hit>, DbError> {
    let embedder = HashEmbedder;
    let types: Vec<String> = doc_types.iter().map(|doc_type| doc_type.as_str().to_owned()).collect();
    let limit = k.clamp(1, MAX_HITS);
    // Without it the index looks at its nearest few, and whoever is left after the filters may be nobody.
    sqlx::query!("select set_config('hnsw.iterative_scan', 'strict_order', true)").fetch_one(tx.conn()).await?;
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement(&embedder)))
        .bind(Vector::from(embedder.embed(text)))
        .bind(types)
        .bind(i64::try_from(limit).unwrap_or(1))
        .fetch_all(tx.conn())
        .await?;
    let words = parts(text);
    rows.iter().map(|row| hit(row, &words, embedder.name())).collect()
}

/// Built at run time: the name of the embedder must stand in the statement itself, or the partial index is not used, and the macros do not
/// know the vector type. Nothing in it comes from outside.
fn statement(embedder: &HashEmbedder) -> String {
    let (name, dims) = (embedder.name(), embedder.dims());
    let shelf = |table: &str| {
        format!(
            "(select doc_type, module, odoo_version, path, symbol, start_line, end_line, ref, title, content,
                     (embedding::vector({dims})) <=> $1::vector({dims}) as distance
                from {table} where embedder = '{name}' and (cardinality($2::text[]) = 0 or doc_type = any($2))
               order by (embedding::vector({dims})) <=> $1::vector({dims}) limit $3)"
        )
    };
    format!(
        "select * from ({} union all {}) as both_shelves order by distance, ref limit $3",
        shelf("tenant_knowledge"),
        shelf("odoo_knowledge")
    )
}

fn hit(row: &PgRow, words: &[String], embedder: &str) -> Result<Hit, DbError> {
    let distance: f64 = row.try_get("distance")?;
    let text: String = row.try_get("content")?;
    Ok(Hit {
        score: 1.0 - distance,
        why: why(words, &text, embedder),
        doc_type: row.try_get("doc_type")?,
        module: row.try_get("module")?,
        odoo_version: row.try_get("odoo_version")?,
        path: row.try_get("path")?,
        symbol: row.try_get("symbol")?,
        start_line: row.try_get("start_line")?,
        end_line: row.try_get("end_line")?,
        r#ref: row.try_get("ref")?,
        title: row.try_get("title")?,
        text,
    })
}

/// Long words first: they tell more than short ones.
fn why(words: &[String], text: &str, embedder: &str) -> String {
    let found: std::collections::BTreeSet<String> = parts(text).into_iter().collect();
    let mut shared: Vec<&String> = words.iter().filter(|word| word.len() > 2 && found.contains(*word)).collect();
    shared.sort_by_key(|word| (std::cmp::Reverse(word.len()), word.as_str()));
    shared.dedup();
    let shared: Vec<&str> = shared.into_iter().take(MAX_SHARED).map(String::as_str).collect();
    if shared.is_empty() { format!("near by {embedder}, no word in common") } else { format!("shares {} ({embedder})", shared.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_names_what_is_shared() {
        let words = parts("res.partner has no vat_number vat_number");
        assert_eq!(why(&words, "partner: number of VAT, number", "e"), "shares partner, number, vat (e)");
        assert_eq!(why(&words, "", "e"), "near by e, no word in common");
    }
}
