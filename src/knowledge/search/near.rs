//! Search by vectors: exact where few enough texts are left by the filters, else by the index.

use std::collections::HashSet;

use pgvector::HalfVector;
use sqlx::postgres::Postgres;
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::found::Scope;
use crate::db::{DbError, TenantTx};
use crate::knowledge::chunk::Corpus;

/// Up to so many texts are compared one by one: some 20 ms, and nothing is missed.
const EXACT: i64 = 20_000;

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
            "select set_config('hnsw.iterative_scan', 'relaxed_order', true) as scan, set_config('hnsw.ef_search', '200', true) as breadth"
        )
        .fetch_one(tx.conn())
        .await?;
    }
    let dims = vector.values.len();
    let mut sql = QueryBuilder::<Postgres>::new("");
    // Built at run time: the name of the embedder must stand in the statement itself, or the partial index is not used, and the macros do not
    // know the vector types. Names of embedders are checked where they are made, and nothing else in it comes from outside.
    let cast = format!("(v.embedding::halfvec({dims}))");
    if exact {
        sql.push("with pool as materialized (select v.chunk_id, v.embedding from knowledge_vectors v where ");
    } else {
        sql.push("select v.chunk_id, ").push(&cast).push(" <=> ").push_bind(HalfVector::from_f32_slice(&vector.values));
        sql.push(" as distance from knowledge_vectors v where ");
    }
    sql.push(format!("v.embedder = '{}' and v.corpus = '{}'", vector.embedder, corpus.as_str()));
    push_scope(&mut sql, scope);
    if exact {
        sql.push(") select v.chunk_id, ").push(&cast).push(" <=> ").push_bind(HalfVector::from_f32_slice(&vector.values));
        sql.push(" as distance from pool v");
    }
    // A text with several vectors may come several times.
    sql.push(" order by distance limit ").push_bind(i64::try_from(n.saturating_mul(PARTS)).unwrap_or(500));
    let rows = sql.build().fetch_all(tx.conn()).await?;
    let mut found: Vec<Near> = Vec::with_capacity(n);
    let mut seen = HashSet::new();
    for row in rows {
        let id = row.try_get("chunk_id")?;
        #[expect(clippy::cast_possible_truncation, reason = "a cosine has no use for more digits")]
        let cosine = 1.0 - row.try_get::<f64, _>("distance")? as f32;
        if seen.insert(id) {
            found.push((id, cosine));
        }
    }
    found.truncate(n);
    // The index gives its rows nearly in order only.
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(found)
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

async fn few(tx: &mut TenantTx, scope: &Scope, corpus: Corpus, vector: &QueryVector) -> Result<bool, DbError> {
    let found = sqlx::query_scalar!(
        r#"select count(*) as "count!" from (
               select from knowledge_vectors
                where embedder = $1 and corpus = $2 and ($3::text is null or version = $3) and ($4::text[] is null or module = any($4))
                limit $5) as near"#,
        &vector.embedder,
        corpus.as_str(),
        scope.version.as_deref(),
        scope.modules.as_deref(),
        EXACT + 1,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(found <= EXACT)
}
