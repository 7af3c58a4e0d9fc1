//! Words: by what is shared and by what is near, weighed together.

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use uuid::Uuid;

use super::asked::Asked;
use super::found::{Candidate, Scope};
use super::near::{Near, QueryVector};
use super::words::{self, Ask, Match, Term};
use super::{messages, near};
use crate::db::{DbError, TenantTx};
use crate::knowledge::chunk::Corpus;

/// Texts of one corpus that are compared.
const COMPARED: usize = 80;

/// What a record counts beside code that shares as many words.
const DATA: f32 = 0.75;

/// Answers to a question or a description, best first.
pub(super) async fn prose(
    tx: &mut TenantTx,
    scope: &Scope,
    text: &str,
    asked: &Asked,
    vector: Option<&QueryVector>,
    limit: usize,
) -> Result<Vec<Candidate>, DbError> {
    // Who names a series looks for code of it; who names none looks around.
    let prior = if scope.version.is_some() { 0.1 } else { 0.9 };
    let addon = asked.addon * prior / (asked.addon * prior + (1.0 - asked.addon) * (1.0 - prior));
    let (terms, said) = (words::terms(&[(text, 1.0)]), messages::terms(text));
    let any = scope.anywhere();
    let mut found = Found::of(
        tx,
        scope,
        &[Corpus::Code, Corpus::Data, Corpus::Module, Corpus::Doc, Corpus::Error, Corpus::Ticket],
        &terms,
        scope.wants_code().then_some(Ask { corpus: Corpus::Message, terms: &said, scope: &any }),
        vector,
    )
    .await?;
    let said = messages::sources_of(tx, scope, text, &found.besides).await?;
    let (modules, code) = (found.blend(Corpus::Module), found.code(COMPARED));
    let rest = [Corpus::Doc, Corpus::Error, Corpus::Ticket].into_iter().flat_map(|corpus| found.blend(corpus)).collect();
    let found = interleaved(if addon >= 0.5 { [modules, code] } else { [code, modules] }, rest, limit);
    Ok(descending([said, found].concat()))
}

/// Code and data that share most with the words.
pub(super) async fn code(tx: &mut TenantTx, scope: &Scope, terms: &[Term], n: usize) -> Result<Vec<Candidate>, DbError> {
    Ok(Found::of(tx, scope, &[Corpus::Code, Corpus::Data], terms, None, None).await?.code(n))
}

/// What shares words and what is near, of several corpora.
struct Found<'a> {
    words: HashMap<Corpus, Vec<Match>>,
    nearest: HashMap<Corpus, Vec<Near>>,
    /// How good those are known to be that are only near.
    quality: HashMap<Uuid, f32>,
    vector: Option<&'a QueryVector>,
    /// What was found for what was asked besides.
    besides: Vec<Match>,
}

impl<'a> Found<'a> {
    async fn of(
        tx: &mut TenantTx,
        scope: &Scope,
        corpora: &[Corpus],
        terms: &[Term],
        besides: Option<Ask<'_>>,
        vector: Option<&'a QueryVector>,
    ) -> Result<Self, DbError> {
        let mut asks: Vec<Ask<'_>> = corpora.iter().map(|corpus| Ask { corpus: *corpus, terms, scope }).collect();
        asks.extend(besides);
        let mut matches = words::best(tx, &asks, COMPARED).await?;
        let besides = matches.split_off(corpora.len()).into_iter().flatten().collect();
        let words: HashMap<Corpus, Vec<Match>> = corpora.iter().copied().zip(matches).collect();
        // Records are found by their names; what they say is mostly markup.
        let embedded: Vec<Corpus> = corpora.iter().copied().filter(|corpus| *corpus != Corpus::Data).collect();
        let nearest: HashMap<Corpus, Vec<Near>> = match vector {
            Some(vector) => {
                let nearest = near::nearest(tx, scope, &embedded, vector, COMPARED).await?;
                embedded.into_iter().zip(nearest).collect()
            }
            None => HashMap::new(),
        };
        let rated: HashSet<Uuid> = words.values().flatten().map(|found| found.id).collect();
        let unrated: Vec<Uuid> = nearest.values().flatten().map(|(id, _)| *id).filter(|id| !rated.contains(id)).collect();
        Ok(Self { words, nearest, quality: quality(tx, &unrated).await?, vector, besides })
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
        let vector = self.vector.filter(|_| corpus != Corpus::Data);
        let nearest = self.nearest.remove(&corpus).unwrap_or_default();
        // What is not among the nearest is at most as near as the last of them.
        let far = nearest.last().map_or(0.0, |(_, cosine)| *cosine) * 0.9;
        let mut cosines: HashMap<Uuid, f32> = nearest.into_iter().collect();
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
                score(shares.coverage, cosine, shares.quality),
                format!("shares {}", shares.shared.join(", ")),
            ));
        }
        for (id, cosine) in cosines {
            // A text that was taken away meanwhile is not rated.
            let (Some(quality), Some(vector)) = (self.quality.get(&id), vector) else { continue };
            found.push(Candidate::new(id, score(0.0, cosine, *quality), format!("near by {}", vector.embedder)));
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        found
    }
}

async fn quality(tx: &mut TenantTx, ids: &[Uuid]) -> Result<HashMap<Uuid, f32>, DbError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("select id, quality from knowledge where id = any($1)").bind(ids).fetch_all(tx.conn()).await?;
    rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("quality")?))).collect()
}

/// How much nearness counts beside shared words: people describe code in other words than it is written in, addons in much the same.
const fn nearness(corpus: Corpus) -> f32 {
    match corpus {
        Corpus::Code => 2.2,
        _ => 1.0,
    }
}

/// The first list leads; of the second and of the rest the best stand among the first ten, so that a wrong guess costs places, not answers.
fn interleaved([first, second]: [Vec<Candidate>; 2], mut rest: Vec<Candidate>, limit: usize) -> Vec<Candidate> {
    rest.sort_by(|a, b| b.score.total_cmp(&a.score));
    let lead = limit.saturating_sub(limit / 5).max(1);
    let mut first = first.into_iter();
    let mut found: Vec<Candidate> = first.by_ref().take(lead).collect();
    let mut second = second.into_iter();
    found.extend(second.by_ref().take(limit / 5));
    found.extend(rest.iter().take(limit / 5).cloned());
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
