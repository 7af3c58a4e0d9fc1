//! Which texts are looked at for the words of a query.
//!
//! Looking at every text that holds any term would look at nearly all of them. Those that hold none of the rare terms, and no pair of the
//! middling ones, can hardly be among the best, so they are not looked at.

use std::collections::{BTreeSet, HashMap};

use sqlx::QueryBuilder;
use sqlx::postgres::Postgres;

use super::words::{Ask, Term};
use crate::db::{DbError, TenantTx};
use crate::knowledge::lexical::rarity;

/// How many texts are looked at for one query, about.
const LOOKED_AT: u64 = 2_000;
/// The most terms of one query that count, the rarest.
const MAX_TERMS: usize = 48;

/// What is asked of the database for one query.
pub(super) struct Plan {
    /// Terms with how rare they are.
    pub(super) weights: Vec<(i32, f32)>,
    /// The score of a text that says all of it once, and nothing else.
    pub(super) ideal: f32,
    /// The terms, the rarest first.
    pub(super) rarest: Vec<i32>,
    /// Of what everybody may see the texts with one of these are looked at,
    pub(super) single: Vec<i32>,
    /// and those with both of one of these;
    pub(super) pairs: Vec<[i32; 2]>,
    /// of what only the tenant may see those with one of these.
    pub(super) own: Vec<i32>,
}

impl Plan {
    /// Adds that a text is one of those to a statement about what everybody may see.
    pub(super) fn push(&self, sql: &mut QueryBuilder<Postgres>) {
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
pub(super) async fn plans(tx: &mut TenantTx, asks: &[Ask<'_>]) -> Result<Vec<Option<Plan>>, DbError> {
    let me = tx.tenant().as_str().to_owned();
    let corpora: Vec<String> = asks.iter().map(|ask| ask.corpus.as_str().to_owned()).collect();
    let numbers: BTreeSet<i32> = asks.iter().flat_map(|ask| ask.terms).map(|term| term.number).chain([0]).collect();
    let rows = sqlx::query!(
        r#"select corpus as "corpus!", term as "term!", texts as "texts!", false as "own!" from knowledge_terms
            where tenant_id is null and corpus = any($1) and term = any($2)
           union all
           select corpus, term, texts, true from knowledge_terms where tenant_id = $3 and corpus = any($1) and term = any($2)"#,
        &corpora,
        &Vec::from_iter(numbers),
        me,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut texts: HashMap<String, HashMap<i32, Texts>> = HashMap::new();
    for row in rows {
        let counted = texts.entry(row.corpus).or_default().entry(row.term).or_default();
        *(if row.own { &mut counted.own } else { &mut counted.shared }) += u64::try_from(row.texts).unwrap_or(0);
    }
    Ok(asks.iter().map(|ask| texts.get(ask.corpus.as_str()).and_then(|texts| plan(ask.terms, texts))).collect())
}

/// In how many texts a term stands.
#[derive(Debug, Clone, Copy, Default)]
struct Texts {
    /// That everybody may see.
    shared: u64,
    /// That only the tenant may see.
    own: u64,
}

/// `texts`: in how many texts of the corpus each term stands; 0 is all.
fn plan(terms: &[Term], texts: &HashMap<i32, Texts>) -> Option<Plan> {
    let all = |number: i32| texts.get(&number).map(|texts| texts.shared + texts.own).filter(|texts| *texts > 0);
    let total = all(0).unwrap_or(0);
    let mut known: Vec<(&Term, u64)> = terms.iter().filter_map(|term| Some((term, all(term.number)?))).collect();
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
    let of = |part: fn(&Texts) -> u64| -> Vec<(&Term, u64)> {
        let mut found: Vec<(&Term, u64)> = known
            .iter()
            .filter_map(|(term, _)| Some((*term, texts.get(&term.number).map(part)?)))
            .filter(|(_, texts)| *texts > 0)
            .collect();
        found.sort_by_key(|(_, texts)| *texts);
        found
    };
    let (single, pairs) = looked_at(&of(|texts| texts.shared), texts.get(&0).map_or(0, |texts| texts.shared));
    let own = alone(&of(|texts| texts.own));
    let rarest = known.iter().map(|(term, _)| term.number).collect();
    Some(Plan { weights, ideal, rarest, single, pairs, own })
}

/// The rarest terms, as many as keep within what is looked at, and at least one.
fn alone(known: &[(&Term, u64)]) -> Vec<i32> {
    let mut left = LOOKED_AT;
    let fits = |(term, texts): &(&Term, u64)| {
        left = left.checked_sub(*texts)?;
        Some(term.number)
    };
    let rare: Vec<i32> = known.iter().map_while(fits).collect();
    if rare.is_empty() { known.first().map(|(term, _)| term.number).into_iter().collect() } else { rare }
}

/// The rarest terms alone, and of the others those that stand together, as many as keep within what is looked at.
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
    fn own_texts_are_looked_at_by_their_own_counts() {
        let all = [term(1), term(2), term(3)];
        let texts = |shared, own| Texts { shared, own };
        let counted = HashMap::from([(0, texts(100_000, 50)), (1, texts(90_000, 3)), (2, texts(5, 0)), (3, texts(0, 40))]);
        let plan = plan(&all, &counted).unwrap();
        assert_eq!((plan.single, plan.own), (vec![2], vec![1, 3]));
        assert_eq!(alone(&[(&all[0], LOOKED_AT + 1), (&all[1], LOOKED_AT + 2)]), [1]);
        assert!(alone(&[]).is_empty());
    }
}
