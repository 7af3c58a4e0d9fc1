//! Search by vectors: exact where few enough texts are left by the filters, else by the index.

use std::collections::HashSet;

use pgvector::HalfVector;
use sqlx::postgres::Postgres;
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::found::Scope;
use crate::db::{DbError, TenantTx};
use crate::knowledge::chunk::Corpus;

/// Up to so many vectors are compared one by one where filters left no more: some 20 ms, and nothing is missed.
const EXACT: i64 = 20_000;
/// Up to so many texts there need be no index.
const FEW: i64 = 5_000;

/// How many vectors are asked for where one text is wanted.
const PARTS: usize = 3;

/// The embedding of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryVector {
    /// The name of the embedder that made it.
    pub embedder: String,
    /// Its numbers, of length 1 together.
    pub values: Vec<f32>,
}

/// A text whose vector is near, with its cosine.
pub(super) type Near = (Uuid, f32);

/// The texts of a corpus that are nearest in meaning.
pub(super) async fn nearest(
    tx: &mut TenantTx,
    scope: &Scope,
    corpus: Corpus,
    vector: &QueryVector,
    n: usize,
) -> Result<Vec<Near>, DbError> {
    // Only code has an index: of everything else there is less.
    let exact = corpus != Corpus::Code || few(tx, scope, corpus, vector).await?;
    if !exact {
        // Without it the index looks at its nearest few, and whoever is left after the filters may be nobody.
        sqlx::query!(
            "select set_config('hnsw.iterative_scan', 'relaxed_order', true) as scan, set_config('hnsw.ef_search', '120', true) as breadth"
        )
        .fetch_one(tx.conn())
        .await?;
    }
    let dims = vector.values.len();
    // Built at run time: the name of the embedder must stand in the statement itself, or the partial index is not used, and the macros do not
    // know the vector types. Names of embedders are checked where they are made, and nothing else in it comes from outside.
    let mut sql = QueryBuilder::<Postgres>::new(format!("select v.chunk_id, ((v.embedding::halfvec({dims})) <=> "));
    sql.push_bind(HalfVector::from_f32_slice(&vector.values));
    // Nothing added to it, the distance is what the index is ordered by; something added keeps the index out.
    sql.push(if exact { ") + 0" } else { ")" });
    sql.push(format!(
        " as distance from knowledge_vectors v where v.embedder = '{}' and v.corpus = '{}'",
        vector.embedder,
        corpus.as_str()
    ));
    push_scope(&mut sql, scope);
    // A text with several vectors may come several times.
    sql.push(" order by distance limit ").push_bind(i64::try_from(n.saturating_mul(PARTS)).unwrap_or(500));
    let rows = sql.build().fetch_all(tx.conn()).await?;
    let mut nearest: Vec<Near> = Vec::with_capacity(rows.len());
    for row in rows {
        #[expect(clippy::cast_possible_truncation, reason = "a cosine has no use for more digits")]
        let cosine = 1.0 - row.try_get::<f64, _>("distance")? as f32;
        nearest.push((row.try_get("chunk_id")?, cosine));
    }
    // The index gives its rows nearly in order only.
    nearest.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut seen = HashSet::new();
    nearest.retain(|(id, _)| seen.insert(*id));
    nearest.truncate(n);
    Ok(nearest)
}

fn push_scope(sql: &mut QueryBuilder<Postgres>, scope: &Scope) {
    if let Some(version) = &scope.version {
        sql.push(" and v.version = ").push_bind(version.clone());
    }
    if let Some(modules) = &scope.modules {
        sql.push(" and v.module = any(").push_bind(modules.clone()).push(")");
    }
    if !scope.doc_types.is_empty() || !scope.kinds.is_empty() {
        sql.push(" and exists (select from knowledge where knowledge.id = v.chunk_id");
        let only = Scope { modules: None, version: None, ..scope.clone() };
        only.push(sql);
        sql.push(")");
    }
}

/// Whether so few texts are left by the filters that each can be looked at.
async fn few(tx: &mut TenantTx, scope: &Scope, corpus: Corpus, vector: &QueryVector) -> Result<bool, DbError> {
    let Some(modules) = &scope.modules else {
        // A series alone leaves too many; how many texts there are is counted already.
        let texts = sqlx::query_scalar!(
            r#"select coalesce(sum(texts), 0)::bigint as "texts!" from knowledge_terms where corpus = $1 and term = 0"#,
            corpus.as_str(),
        )
        .fetch_one(tx.conn())
        .await?;
        return Ok(texts <= FEW);
    };
    // Built with the filters that there are: one statement for all of them would be planned for none.
    let mut sql = QueryBuilder::<Postgres>::new("select count(*) from (select from knowledge_vectors v where v.embedder = ");
    sql.push_bind(vector.embedder.clone()).push(" and v.corpus = ").push_bind(corpus.as_str()).push(" and v.module = any(");
    sql.push_bind(modules.clone()).push(")");
    if let Some(version) = &scope.version {
        sql.push(" and v.version = ").push_bind(version.clone());
    }
    sql.push(" limit ").push_bind(EXACT + 1).push(") as near");
    let found: i64 = sql.build_query_scalar().fetch_one(tx.conn()).await?;
    Ok(found <= EXACT)
}
