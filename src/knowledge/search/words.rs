//! Full-text search: BM25 as an inner product of sparse vectors, over the texts that hold a rare term of the query.
//!
//! Looking at every text that holds any term would look at nearly all of them. Those that hold none of the rare terms, and no pair of the
//! middling ones, can hardly be among the best, so they are not looked at.

use std::collections::{BTreeSet, HashMap};

use sqlx::postgres::Postgres;
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::found::Scope;
use crate::db::{DbError, TenantTx};
use crate::knowledge::chunk::Corpus;
use crate::knowledge::lexical::{self, rarity};
use crate::knowledge::store::sparse;

/// How many texts are looked at for one query, about.
const LOOKED_AT: u64 = 2_000;
/// The most terms of one query that count, the rarest.
const MAX_TERMS: usize = 48;
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
        for shelf in ["odoo_knowledge", "tenant_knowledge"] {
            sql.push(if first { "(" } else { ") union all (" });
            first = false;
            push(&mut sql, ask, plan, &format!("select {nth} as of, id, lexemes, quality, kind = 'class' as is_class"), shelf);
            sql.push(" order by score limit ").push_bind(i64::try_from(n).unwrap_or(100));
        }
    }
    let mut found: Vec<Vec<Match>> = asks.iter().map(|_| Vec::new()).collect();
    if first {
        return Ok(found);
    }
    sql.push(")");
    let words: HashMap<i32, &str> = asks.iter().flat_map(|ask| ask.terms).map(|term| (term.number, term.word.as_str())).collect();
    for row in sql.build().fetch_all(tx.conn()).await? {
        let of = usize::try_from(row.try_get::<i32, _>("of")?).unwrap_or_default();
        let (Some(Some(plan)), Some(found)) = (plans.get(of), found.get_mut(of)) else { continue };
        #[expect(clippy::cast_possible_truncation, reason = "a score has no use for more digits")]
        let score = -(row.try_get::<f64, _>("score")? as f32);
        let lexemes: Vec<i32> = row.try_get("lexemes")?;
        let shared = plan.rarest.iter().filter(|number| lexemes.contains(number)).filter_map(|number| words.get(number));
        let shared = shared.take(MAX_NAMED).map(|word| (*word).to_owned()).collect();
        found.push(Match {
            id: row.try_get("id")?,
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

fn push(sql: &mut QueryBuilder<Postgres>, ask: &Ask<'_>, plan: &Plan, select: &str, shelf: &str) {
    sql.push(select).push(", weights <#> ").push_bind(sparse(&plan.weights)).push(" as score from ").push(shelf);
    // The corpus stands in the statement itself: each has an index of its own.
    sql.push(format!(" where corpus = '{}' and (", ask.corpus.as_str()));
    plan.push(sql);
    sql.push(")");
    ask.scope.push(sql);
}

/// What is asked of the database for one query.
struct Plan {
    /// Terms with how rare they are.
    weights: Vec<(i32, f32)>,
    /// The score of a text that says all of it once, and nothing else.
    ideal: f32,
    /// The terms, the rarest first.
    rarest: Vec<i32>,
    single: Vec<i32>,
    pairs: Vec<[i32; 2]>,
}

impl Plan {
    fn push(&self, sql: &mut QueryBuilder<Postgres>) {
        let mut first = true;
        if !self.single.is_empty() {
            sql.push("lexemes && ").push_bind(self.single.clone());
            first = false;
        }
        for pair in &self.pairs {
            sql.push(if first { "" } else { " or " }).push("lexemes @> ").push_bind(pair.to_vec());
            first = false;
        }
    }
}

/// `None` for what no text of its corpus has a term of.
async fn plans(tx: &mut TenantTx, asks: &[Ask<'_>]) -> Result<Vec<Option<Plan>>, DbError> {
    let corpora: Vec<String> = asks.iter().map(|ask| ask.corpus.as_str().to_owned()).collect();
    let numbers: BTreeSet<i32> = asks.iter().flat_map(|ask| ask.terms).map(|term| term.number).chain([0]).collect();
    let rows = sqlx::query!(
        r#"select corpus, term, sum(texts)::bigint as "texts!" from knowledge_terms where corpus = any($1) and term = any($2)
            group by corpus, term"#,
        &corpora,
        &Vec::from_iter(numbers),
    )
    .fetch_all(tx.conn())
    .await?;
    let mut texts: HashMap<String, HashMap<i32, u64>> = HashMap::new();
    for row in rows {
        texts.entry(row.corpus).or_default().insert(row.term, u64::try_from(row.texts).unwrap_or(0));
    }
    Ok(asks.iter().map(|ask| texts.get(ask.corpus.as_str()).and_then(|texts| plan(ask.terms, texts))).collect())
}

/// `texts`: in how many texts of the corpus each term stands; 0 is all.
fn plan(terms: &[Term], texts: &HashMap<i32, u64>) -> Option<Plan> {
    let total = texts.get(&0).copied().unwrap_or(0);
    let mut known: Vec<(&Term, u64)> =
        terms.iter().filter_map(|term| Some((term, texts.get(&term.number).copied().filter(|texts| *texts > 0)?))).collect();
    if known.is_empty() || total == 0 {
        return None;
    }
    known.sort_by_key(|(_, texts)| *texts);
    known.truncate(MAX_TERMS);
    // What the query says and no text does counts against every text alike, as if one text said it.
    let missing: f32 = terms.iter().filter(|term| !texts.contains_key(&term.number)).map(|term| term.weight * rarity(1, total)).sum();
    let mut weights: Vec<(i32, f32)> = known.iter().map(|(term, texts)| (term.number, term.weight * rarity(*texts, total))).collect();
    let ideal = weights.iter().map(|(_, weight)| weight).sum::<f32>() + missing;
    weights.sort_by_key(|(number, _)| *number);
    let (single, pairs) = looked_at(&known, total);
    let rarest = known.iter().map(|(term, _)| term.number).collect();
    Some(Plan { weights, ideal, rarest, single, pairs })
}

fn looked_at(known: &[(&Term, u64)], total: u64) -> (Vec<i32>, Vec<[i32; 2]>) {
    let mut left = LOOKED_AT;
    let mut single = Vec::new();
    let mut common = Vec::new();
    for (term, texts) in known {
        if *texts <= left {
            left -= texts;
            single.push(term.number);
        } else {
            common.push((term.number, *texts));
        }
    }
    common.truncate(8);
    let mut pairs = Vec::new();
    for (nth, (a, texts_a)) in common.iter().enumerate() {
        for (b, texts_b) in &common[nth + 1..] {
            // Terms that stand together do so more often than chance has it.
            let expected = (texts_a * texts_b / total.max(1) * 3).min(*texts_a).max(1);
            if expected <= left || (single.is_empty() && pairs.is_empty()) {
                left = left.saturating_sub(expected);
                pairs.push([*a, *b]);
            }
        }
    }
    if single.is_empty() && pairs.is_empty() {
        single.extend(common.first().map(|(term, _)| *term));
    }
    (single, pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(number: i32) -> Term {
        Term { number, word: number.to_string(), weight: 1.0 }
    }

    #[test]
    fn rare_terms_choose_what_is_looked_at() {
        let all = [term(1), term(2), term(3), term(4)];
        let known: Vec<(&Term, u64)> = vec![(&all[0], 10), (&all[1], LOOKED_AT / 2), (&all[2], 20_000), (&all[3], 30_000)];
        let (single, pairs) = looked_at(&known, 10_000_000);
        assert_eq!(single, [1, 2]);
        assert_eq!(pairs, [[3, 4]]);
    }

    #[test]
    fn common_terms_alone_are_looked_at_too() {
        let all = [term(1)];
        assert_eq!(looked_at(&[(&all[0], 1_000_000)], 1_000_000), (vec![1], vec![]));
        let all = [term(1), term(2)];
        assert_eq!(looked_at(&[(&all[0], 900_000), (&all[1], 1_000_000)], 1_000_000), (vec![], vec![[1, 2]]));
    }

    #[test]
    fn a_term_counts_with_its_highest_weight() {
        let found = terms(&[("partner", 0.5), ("partner invoice", 2.0)]);
        assert_eq!(found.iter().map(|term| (term.word.as_str(), term.weight)).collect::<Vec<_>>(), [("partner", 2.0), ("invoice", 2.0)]);
    }
}
