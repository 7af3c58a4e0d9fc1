//! Words: by what is shared and by what is near, weighed together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::asked::Asked;
use super::embedding::{QueryEmbedding, QueryVector};
use super::found::{Candidate, Scope};
use super::near::Near;
use super::words::{self, Ask, Match, Term};
use super::{form, messages, modules, near};
use crate::db::{DbError, TenantTx};
use crate::knowledge::chunk::Corpus;

/// Texts of one corpus that are compared.
pub const COMPARED: usize = 80;

/// From here on it is as good as certain whether an addon is asked for.
const CERTAIN: f32 = 0.98;

/// What each step of dependence takes away, and how many of them are as far as none: between those that fit about as well it decides.
const STEP: f32 = 0.02;
const FAR: u32 = 5;

/// What a record counts beside code that shares as many words.
const DATA: f32 = 0.75;

/// Answers to a question or a description, best first.
pub(super) async fn prose(
    tx: &mut TenantTx,
    scope: &Scope,
    text: &str,
    asked: &Asked,
    embedding: &QueryEmbedding,
    limit: usize,
) -> Result<Vec<Candidate>, DbError> {
    // Who names a series looks for code of it; who names none looks around.
    let prior = if scope.version.is_some() { 0.1 } else { 0.9 };
    let addon = asked.addon * prior / (asked.addon * prior + (1.0 - asked.addon) * (1.0 - prior));
    let (terms, said) = (words::terms(&[(text, 1.0)]), messages::terms(text));
    let (telling, any) = (modules::telling(&terms), scope.anywhere());
    let of = |corpus| Ask { corpus, terms: if corpus == Corpus::Module { &telling } else { &terms }, scope };
    let asks = [Corpus::Code, Corpus::Data, Corpus::Module, Corpus::Doc, Corpus::Error, Corpus::Ticket].map(of);
    let besides = scope.wants_code().then_some(Ask { corpus: Corpus::Message, terms: &said, scope: &any });
    let mut found = Found::of(tx, scope, &asks, besides.map(|ask| (ask, text)), embedding).await?;
    let said = std::mem::take(&mut found.said);
    let modules = modules::at_home(tx, found.blend(Corpus::Module)).await?;
    let code = form::of_code(text, found.code(COMPARED), &found.classes);
    let rest = [Corpus::Doc, Corpus::Error, Corpus::Ticket].into_iter().flat_map(|corpus| found.blend(corpus)).collect();
    let others = if addon >= CERTAIN { limit / 10 } else { limit / 5 };
    let found = interleaved(if addon >= 0.5 { [modules, code] } else { [code, modules] }, rest, limit, others);
    Ok(descending([said, found].concat()))
}

/// Code and data that share most with the words.
pub(super) async fn code(tx: &mut TenantTx, scope: &Scope, terms: &[Term], n: usize) -> Result<Vec<Candidate>, DbError> {
    let asks = [Corpus::Code, Corpus::Data].map(|corpus| Ask { corpus, terms, scope });
    Ok(Found::of(tx, scope, &asks, None, &QueryEmbedding::none()).await?.code(n))
}

/// What shares words and what is near, of several corpora.
struct Found {
    words: HashMap<Corpus, Vec<Match>>,
    nearest: HashMap<Corpus, Vec<Near>>,
    /// How good those are known to be that are only near.
    quality: HashMap<Uuid, f32>,
    /// Which of all of them are heads of classes.
    classes: HashSet<Uuid>,
    /// Which addon each is of, and how many steps each addon is away from the one that it is about; empty where that is not known.
    modules: HashMap<Uuid, String>,
    steps: HashMap<String, u32>,
    vector: Option<Arc<QueryVector>>,
    /// The functions whose message the text is.
    said: Vec<Candidate>,
}

impl Found {
    async fn of(
        tx: &mut TenantTx,
        scope: &Scope,
        asks: &[Ask<'_>],
        said: Option<(Ask<'_>, &str)>,
        embedding: &QueryEmbedding,
    ) -> Result<Self, DbError> {
        // Records are found by their names; what they say is mostly markup.
        let embedded: Vec<Corpus> = asks.iter().map(|ask| ask.corpus).filter(|corpus| *corpus != Corpus::Data).collect();
        let other = if embedding.is_wanted() { tx.beside().await } else { None };
        let ((matches, said), (vector, nearest)) = match other {
            Some(mut other) => tokio::try_join!(shared(tx, scope, asks, said), near_by(&mut other, scope, &embedded, embedding))?,
            None => (shared(tx, scope, asks, said).await?, near_by(tx, scope, &embedded, embedding).await?),
        };
        let words: HashMap<Corpus, Vec<Match>> = asks.iter().map(|ask| ask.corpus).zip(matches).collect();
        let nearest: HashMap<Corpus, Vec<Near>> = embedded.into_iter().zip(nearest).collect();
        let rated: HashSet<Uuid> = words.values().flatten().map(|found| found.id).collect();
        let unrated: Vec<Uuid> = nearest.values().flatten().map(|near| near.id).filter(|id| !rated.contains(id)).collect();
        let mut classes: HashSet<Uuid> = words.values().flatten().filter(|found| found.is_class).map(|found| found.id).collect();
        let mut quality = HashMap::new();
        for row in rates(tx, &unrated).await? {
            let id: Uuid = row.try_get("id")?;
            quality.insert(id, row.try_get("quality")?);
            if row.try_get("is_class")? {
                classes.insert(id);
            }
        }
        let (mut modules, mut steps) = (HashMap::new(), HashMap::new());
        if let Some(root) = &scope.root {
            steps = scope.modules(tx).await?.steps(root);
            let near = nearest.values().flatten().map(|near| (near.id, near.module.clone()));
            let shared = words.values().flatten().map(|found| (found.id, found.module.clone()));
            modules.extend(near.chain(shared).filter_map(|(id, module)| Some((id, module?))));
        }
        Ok(Self { words, nearest, quality, classes, modules, steps, vector, said })
    }

    /// What it counts how far the addon of a text is from the one that it is about.
    fn distance(&self, id: &Uuid) -> f32 {
        if self.steps.is_empty() {
            return 1.0;
        }
        let steps = self.modules.get(id).and_then(|module| self.steps.get(module)).copied();
        #[expect(clippy::cast_precision_loss, reason = "a handful of steps")]
        let steps = steps.unwrap_or(FAR).min(FAR) as f32;
        1.0 - STEP * steps
    }

    /// Code and data together.
    fn code(&mut self, n: usize) -> Vec<Candidate> {
        let mut found = self.blend(Corpus::Code);
        let share = DATA / if self.vector.is_some() { 1.0 + nearness(Corpus::Code) } else { 1.0 };
        let data = self.blend(Corpus::Data);
        found.extend(data.into_iter().map(|candidate| Candidate { score: candidate.score * share, ..candidate }));
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(n);
        found
    }

    /// One corpus by words and vectors together.
    fn blend(&mut self, corpus: Corpus) -> Vec<Candidate> {
        let vector = self.vector.clone().filter(|_| corpus != Corpus::Data);
        let nearest = self.nearest.remove(&corpus).unwrap_or_default();
        // What is not among the nearest is at most as near as the last of them.
        let far = nearest.last().map_or(0.0, |near| near.cosine) * 0.9;
        let mut cosines: HashMap<Uuid, f32> = nearest.into_iter().map(|near| (near.id, near.cosine)).collect();
        let counts = if vector.is_some() { nearness(corpus) } else { 0.0 };
        let score = |coverage: f32, cosine: f32, quality: f32| {
            let nearby = if vector.is_some() { cosine.max(0.0) } else { 0.0 };
            (coverage + counts * nearby) / (1.0 + counts) * (0.95 + 0.1 * quality)
        };
        let mut found: Vec<Candidate> = Vec::new();
        for shares in self.words.remove(&corpus).unwrap_or_default() {
            let cosine = cosines.remove(&shares.id).unwrap_or(far);
            found.push(Candidate::new(
                shares.id,
                score(shares.coverage, cosine, shares.quality) * self.distance(&shares.id),
                format!("shares {}", shares.shared.join(", ")),
            ));
        }
        for (id, cosine) in cosines {
            // A text that was taken away meanwhile is not rated.
            let (Some(quality), Some(vector)) = (self.quality.get(&id), &vector) else { continue };
            found.push(Candidate::new(id, score(0.0, cosine, *quality) * self.distance(&id), format!("near by {}", vector.embedder)));
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        found
    }
}

/// What shares words with a query, one list for each that is asked; and the functions whose message the text is, where that is asked too.
async fn shared(
    tx: &mut TenantTx,
    scope: &Scope,
    asks: &[Ask<'_>],
    said: Option<(Ask<'_>, &str)>,
) -> Result<(Vec<Vec<Match>>, Vec<Candidate>), DbError> {
    let all: Vec<Ask<'_>> = asks.iter().copied().chain(said.map(|(ask, _)| ask)).collect();
    let mut matches = words::best(tx, &all, COMPARED).await?;
    let messages: Vec<Match> = matches.split_off(asks.len()).into_iter().flatten().collect();
    let said = match said {
        Some((_, text)) => messages::quoted(tx, scope, text, &messages).await?,
        None => Vec::new(),
    };
    Ok((matches, said))
}

/// What is near, once the query is embedded.
async fn near_by(
    tx: &mut TenantTx,
    scope: &Scope,
    corpora: &[Corpus],
    embedding: &QueryEmbedding,
) -> Result<(Option<Arc<QueryVector>>, Vec<Vec<Near>>), DbError> {
    match embedding.vector().await {
        Some(vector) => Ok((Some(vector.clone()), near::nearest(tx, scope, corpora, &vector, COMPARED).await?)),
        None => Ok((None, Vec::new())),
    }
}

async fn rates(tx: &mut TenantTx, ids: &[Uuid]) -> Result<Vec<PgRow>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "select id, quality, kind = 'class' as is_class from knowledge where id = any($1)";
    Ok(sqlx::query(sql).bind(ids).fetch_all(tx.conn()).await?)
}

/// How much nearness counts beside shared words: people describe code in other words than it is written in, addons in much the same.
const fn nearness(corpus: Corpus) -> f32 {
    match corpus {
        Corpus::Code => 2.2,
        _ => 1.0,
    }
}

/// The first list leads; of the second and of the rest the best stand among the first ten, so that a wrong guess costs places, not answers.
fn interleaved([first, second]: [Vec<Candidate>; 2], mut rest: Vec<Candidate>, limit: usize, others: usize) -> Vec<Candidate> {
    rest.sort_by(|a, b| b.score.total_cmp(&a.score));
    let lead = limit.saturating_sub(others).max(1);
    let mut first = first.into_iter();
    let mut found: Vec<Candidate> = first.by_ref().take(lead).collect();
    let mut second = second.into_iter();
    found.extend(second.by_ref().take(others));
    found.extend(rest.iter().take(others).cloned());
    found.extend(first);
    found.extend(second);
    found.extend(rest);
    found
}

/// Scores that fall with the place: lists that were put together by other reasons than their scores keep their order.
pub(super) fn descending(mut found: Vec<Candidate>) -> Vec<Candidate> {
    let mut last = 1.0_f32;
    for candidate in &mut found {
        last = candidate.score.clamp(0.0, last);
        candidate.score = last;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_in_dependence_counts_more() {
        let ids: Vec<Uuid> = (0..5).map(Uuid::from_u128).collect();
        let modules = ["sale", "web", "crm", "far"].into_iter().zip(&ids).map(|(name, id)| (*id, name.to_owned())).collect();
        let steps = HashMap::from([("sale".to_owned(), 0), ("web".to_owned(), 1), ("far".to_owned(), 9)]);
        let found = |steps| Found {
            words: HashMap::new(),
            nearest: HashMap::new(),
            quality: HashMap::new(),
            classes: HashSet::new(),
            modules,
            steps,
            vector: None,
            said: Vec::new(),
        };
        let known = found(steps);
        let counts: Vec<f32> = ids.iter().map(|id| known.distance(id)).collect();
        assert!(counts[0] > counts[1] && counts[1] > counts[2], "{counts:?}");
        assert!(counts[2..].iter().all(|count| (count - counts[2]).abs() < 1e-6 && *count >= 0.9 - 1e-6), "{counts:?}");
        let unknown = Found { steps: HashMap::new(), ..known };
        assert!((unknown.distance(&ids[4]) - 1.0).abs() < 1e-6);
    }
}
