//! Search by vectors: exact where few enough texts are left by the filters, else by the index.

use std::collections::HashSet;

use pgvector::HalfVector;
use sqlx::postgres::Postgres;
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::embedding::QueryVector;
use super::found::Scope;
use crate::db::{DbError, TenantTx};
use crate::knowledge::chunk::Corpus;

/// Up to so many vectors are compared one by one where there are no more: some 20 ms, and nothing is missed.
const EXACT: i64 = 20_000;
/// How many vectors are asked for where one text is wanted.
const PARTS: usize = 2;

/// A text whose vector is near.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Near {
    pub(super) id: Uuid,
    pub(super) cosine: f32,
    /// The addon that it is of.
    pub(super) module: Option<String>,
}

/// One way to look at the vectors of a corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    whose: Whose,
    /// Each by itself, not by the index.
    exact: bool,
}

/// Whose texts are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those that everybody may see.
    Shared,
    /// Those that only the tenant may see.
    Own,
    /// Both.
    Any,
}

/// How each corpus is looked at, by its place in the list. Only code has indexes, one for what everybody may see and one for what tenants have of
/// their own: of everything else there is less, and so there is of what most tenants have.
async fn ways(tx: &mut TenantTx, scope: &Scope, corpora: &[Corpus], vector: &QueryVector) -> Result<Vec<(usize, Way)>, DbError> {
    let by_itself = Way { whose: Whose::Any, exact: true };
    let few = corpora.contains(&Corpus::Code) && few(tx, scope, vector).await?;
    let mut ways = Vec::new();
    for (of, corpus) in corpora.iter().enumerate() {
        if few || *corpus != Corpus::Code {
            ways.push((of, by_itself));
            continue;
        }
        ways.push((of, Way { whose: Whose::Shared, exact: false }));
        let own = own(tx).await?;
        if own > 0 {
            ways.push((of, Way { whose: Whose::Own, exact: own <= EXACT }));
        }
    }
    Ok(ways)
}

/// How many texts of code only the tenant may see.
async fn own(tx: &mut TenantTx) -> Result<i64, DbError> {
    let me = tx.tenant().as_str().to_owned();
    let own = sqlx::query_scalar!(
        "select texts from knowledge_terms where tenant_id = $1 and corpus = $2 and term = 0",
        me,
        Corpus::Code.as_str()
    );
    Ok(own.fetch_optional(tx.conn()).await?.unwrap_or(0))
}

/// The texts of each of these corpora that are nearest in meaning, in one statement.
pub(super) async fn nearest(
    tx: &mut TenantTx,
    scope: &Scope,
    corpora: &[Corpus],
    vector: &QueryVector,
    n: usize,
) -> Result<Vec<Vec<Near>>, DbError> {
    let ways = ways(tx, scope, corpora, vector).await?;
    let me = tx.tenant().clone();
    let mut sql = QueryBuilder::<Postgres>::new("");
    for (nth, (of, way)) in ways.iter().enumerate() {
        sql.push(if nth == 0 { "(" } else { ") union all (" });
        push(&mut sql, (*of, corpora[*of]), *way, vector);
        match way.whose {
            Whose::Shared => sql.push(" and v.tenant_id is null"),
            Whose::Own => sql.push(" and v.tenant_id = ").push_bind(me.as_str()),
            Whose::Any => &mut sql,
        };
        push_scope(&mut sql, scope);
        // A text with several vectors may come several times.
        sql.push(" order by distance limit ").push_bind(i64::try_from(n.saturating_mul(PARTS)).unwrap_or(500));
    }
    sql.push(")");
    let mut nearest = vec![Vec::with_capacity(n); corpora.len()];
    // Planned each time for what it asks: a plan for anything knows neither how few vectors a series leaves nor how many are wanted, and
    // from the sixth time on would read them all.
    for row in sql.build().persistent(false).fetch_all(tx.conn()).await? {
        let of = usize::try_from(row.try_get::<i32, _>("of")?).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "a cosine has no use for more digits")]
        let cosine = 1.0 - row.try_get::<f64, _>("distance")? as f32;
        if let Some(found) = nearest.get_mut(of) {
            found.push(Near { id: row.try_get("chunk_id")?, cosine, module: row.try_get("module")? });
        }
    }
    for found in &mut nearest {
        in_order(found, n);
    }
    Ok(nearest)
}

/// The index gives its rows nearly in order only, and a text as often as it has vectors.
fn in_order(found: &mut Vec<Near>, n: usize) {
    found.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
    let mut seen = HashSet::new();
    found.retain(|near| seen.insert(near.id));
    found.truncate(n);
}

/// Built at run time: the name of the embedder must stand in the statement itself, or the partial index is not used, and the macros do not
/// know the vector types. Names of embedders are checked where they are made, and nothing else in it comes from outside.
fn push(sql: &mut QueryBuilder<Postgres>, (of, corpus): (usize, Corpus), way: Way, vector: &QueryVector) {
    let (dims, embedder, name) = (vector.values.len(), &vector.embedder, corpus.as_str());
    sql.push(format!("select {of} as of, v.chunk_id, v.module, ((v.embedding::halfvec({dims})) <=> "));
    sql.push_bind(HalfVector::from_f32_slice(&vector.values));
    // Nothing added to it, the distance is what the index is ordered by; something added keeps the index out.
    sql.push(if way.exact { ") + 0" } else { ")" });
    sql.push(format!(" as distance from knowledge_vectors v where v.embedder = '{embedder}' and v.corpus = '{name}'"));
}

fn push_scope(sql: &mut QueryBuilder<Postgres>, scope: &Scope) {
    if let Some(version) = &scope.version {
        sql.push(" and v.version = ").push_bind(version.clone());
    }
    if let Some(modules) = &scope.within {
        sql.push(" and v.module = any(").push_bind(modules.clone()).push(")");
    }
    if !scope.doc_types.is_empty() || !scope.kinds.is_empty() {
        sql.push(" and exists (select from knowledge where knowledge.id = v.chunk_id");
        let only = Scope { within: None, version: None, ..scope.clone() };
        only.push(sql);
        sql.push(")");
    }
}

/// Whether the filters leave so few texts of code that each can be looked at. A series alone leaves too many.
async fn few(tx: &mut TenantTx, scope: &Scope, vector: &QueryVector) -> Result<bool, DbError> {
    let Some(modules) = &scope.within else { return Ok(false) };
    // Built with the filters that there are: one statement for all of them would be planned for none.
    let mut sql = QueryBuilder::<Postgres>::new("select count(*) from (select from knowledge_vectors v where v.embedder = ");
    sql.push_bind(vector.embedder.clone()).push(" and v.corpus = ").push_bind(Corpus::Code.as_str()).push(" and v.module = any(");
    sql.push_bind(modules.clone()).push(")");
    if let Some(version) = &scope.version {
        sql.push(" and v.version = ").push_bind(version.clone());
    }
    sql.push(" limit ").push_bind(EXACT + 1).push(") as near");
    let found: i64 = sql.build_query_scalar().fetch_one(tx.conn()).await?;
    Ok(found <= EXACT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_near_as_its_nearest_vector() {
        let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
        let near = |nth: usize, cosine| Near { id: ids[nth], cosine, module: None };
        let mut found = vec![near(0, 0.2), near(1, 0.9), near(0, 0.8), near(2, 0.1)];
        in_order(&mut found, 2);
        assert_eq!(found, [near(1, 0.9), near(0, 0.8)]);
    }
}
