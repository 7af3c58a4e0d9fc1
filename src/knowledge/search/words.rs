//! Full-text search: BM25 as an inner product of sparse vectors, over the texts that hold a rare term of the query.

use std::collections::HashMap;

use sqlx::postgres::Postgres;
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::found::Scope;
use super::plan::{Plan, plans};
use crate::db::{DbError, TenantTx};
use crate::knowledge::chunk::Corpus;
use crate::knowledge::lexical;
use crate::knowledge::store::sparse;

/// The most words that a reason names.
const MAX_NAMED: usize = 6;

/// A term of a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub(super) number: i32,
    pub(super) word: String,
    /// How much it counts beside the others.
    pub(super) weight: f32,
}

/// The terms of several texts, each text with its weight; a term counts with the highest.
pub(super) fn terms(texts: &[(&str, f32)]) -> Vec<Term> {
    let mut found: Vec<Term> = Vec::new();
    let mut at: HashMap<i32, usize> = HashMap::new();
    for (text, weight) in texts {
        for (number, word) in lexical::query_terms(text) {
            match at.get(&number) {
                Some(known) => found[*known].weight = found[*known].weight.max(*weight),
                None => {
                    at.insert(number, found.len());
                    found.push(Term { number, word, weight: *weight });
                }
            }
        }
    }
    found
}

/// A text that shares words with the query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Match {
    pub(super) id: Uuid,
    /// The addon that it is of.
    pub(super) module: Option<String>,
    /// The part of what the query says that the text says too, from 0 to about 1: BM25, held against the best there could be.
    pub(super) coverage: f32,
    /// What is known of how good it is, from 0 to 1.
    pub(super) quality: f32,
    /// Whether it is the head of a class.
    pub(super) is_class: bool,
    /// The rarest words that both have.
    pub(super) shared: Vec<String>,
}

/// What is looked for in one corpus.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) corpus: Corpus,
    pub(super) terms: &'a [Term],
    pub(super) scope: &'a Scope,
}

/// For each of these the texts that share most with it, best first; all in one statement.
pub(super) async fn best(tx: &mut TenantTx, asks: &[Ask<'_>], n: usize) -> Result<Vec<Vec<Match>>, DbError> {
    let plans = plans(tx, asks).await?;
    let mut sql = QueryBuilder::<Postgres>::new("");
    let mut first = true;
    for (nth, (ask, plan)) in asks.iter().zip(&plans).enumerate() {
        let Some(plan) = plan else { continue };
        let n = i64::try_from(n).unwrap_or(100);
        for push in [push_shared, push_own] {
            if push(&mut sql, if first { "(" } else { ") union all (" }, ask, plan, (nth, n)) {
                first = false;
            }
        }
    }
    let mut found: Vec<Vec<Match>> = asks.iter().map(|_| Vec::new()).collect();
    if first {
        return Ok(found);
    }
    sql.push(")");
    let words: HashMap<i32, &str> = asks.iter().flat_map(|ask| ask.terms).map(|term| (term.number, term.word.as_str())).collect();
    // Hardly two queries have the same statement: prepared, they would only crowd out those that come again.
    for row in sql.build().persistent(false).fetch_all(tx.conn()).await? {
        let of = usize::try_from(row.try_get::<i32, _>("of")?).unwrap_or_default();
        let (Some(Some(plan)), Some(found)) = (plans.get(of), found.get_mut(of)) else { continue };
        #[expect(clippy::cast_possible_truncation, reason = "a score has no use for more digits")]
        let score = -(row.try_get::<f64, _>("score")? as f32);
        let lexemes: Vec<i32> = row.try_get("lexemes")?;
        let shared = plan.rarest.iter().filter(|number| lexemes.contains(number)).filter_map(|number| words.get(number));
        let shared = shared.take(MAX_NAMED).map(|word| (*word).to_owned()).collect();
        found.push(Match {
            id: row.try_get("id")?,
            module: row.try_get("module")?,
            coverage: score / plan.ideal,
            quality: row.try_get("quality")?,
            is_class: row.try_get("is_class")?,
            shared,
        });
    }
    for found in &mut found {
        found.sort_by(|a, b| b.coverage.total_cmp(&a.coverage));
        found.truncate(n);
    }
    Ok(found)
}

/// What everybody may see.
fn push_shared(sql: &mut QueryBuilder<Postgres>, before: &str, ask: &Ask<'_>, plan: &Plan, (nth, n): (usize, i64)) -> bool {
    if plan.single.is_empty() && plan.pairs.is_empty() {
        return false;
    }
    sql.push(before).push(format!("select {nth} as of, id, module, lexemes, quality, kind = 'class' as is_class, weights <#> "));
    // The corpus stands in the statement itself: each has an index of its own.
    sql.push_bind(sparse(&plan.weights)).push(format!(" as score from odoo_knowledge where corpus = '{}' and (", ask.corpus.as_str()));
    plan.push(sql);
    sql.push(")");
    ask.scope.push(sql);
    sql.push(" order by score limit ").push_bind(n);
    true
}

/// What only the tenant may see. Row-level security keeps an index of words out of plans, so a function of the database looks into it, for the
/// tenant of the transaction.
fn push_own(sql: &mut QueryBuilder<Postgres>, before: &str, ask: &Ask<'_>, plan: &Plan, (nth, n): (usize, i64)) -> bool {
    if plan.own.is_empty() {
        return false;
    }
    let Scope { doc_types, within, version, kinds, .. } = ask.scope;
    let named = |names: &Vec<String>| (!names.is_empty()).then(|| names.clone());
    sql.push(before).push(format!("select {nth} as of, id, module, lexemes, quality, is_class, score from knowledge_own_words("));
    let mut bound = sql.separated(", ");
    bound.push_bind(ask.corpus.as_str()).push_bind(plan.own.clone()).push_bind(sparse(&plan.weights)).push_bind(n);
    bound.push_bind(version.clone()).push_bind(within.clone()).push_bind(named(doc_types)).push_bind(named(kinds));
    sql.push(")");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_counts_with_its_highest_weight() {
        let found = terms(&[("partner", 0.5), ("partner invoice", 2.0)]);
        assert_eq!(found.iter().map(|term| (term.word.as_str(), term.weight)).collect::<Vec<_>>(), [("partner", 2.0), ("invoice", 2.0)]);
    }
}
