//! Words: by what is shared and by what is near, weighed together.

use std::collections::HashMap;

use sqlx::Row;
use uuid::Uuid;

use super::asked::Asked;
use super::found::{Candidate, Scope};
use super::near::QueryVector;
use super::words::{self, Term};
use super::{form, messages, modules, near};
use crate::db::{DbError, TenantTx};
use crate::knowledge::chunk::Corpus;

/// Texts of one corpus that are compared.
const COMPARED: usize = 120;

/// From here on it is as good as certain whether an addon is asked for.
const CERTAIN: f32 = 0.98;

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
    let terms = words::terms(&[(text, 1.0)]);
    let said = if scope.wants_code() { messages::quoted(tx, scope, text).await? } else { Vec::new() };
    // Who names a series looks for code of it; who names none looks around.
    let prior = if scope.version.is_some() { 0.1 } else { 0.9 };
    let addon = asked.addon * prior / (asked.addon * prior + (1.0 - asked.addon) * (1.0 - prior));
    let modules = blend(tx, scope, Corpus::Module, &modules::telling(&terms), vector).await?;
    let modules = modules::at_home(tx, modules).await?;
    let code = code(tx, scope, &terms, vector, COMPARED).await?;
    let code = form::of_code(tx, text, code).await?;
    let mut rest = Vec::new();
    for corpus in [Corpus::Doc, Corpus::Error, Corpus::Ticket] {
        rest.extend(blend(tx, scope, corpus, &terms, vector).await?);
    }
    let others = if addon >= CERTAIN { limit / 10 } else { limit / 5 };
    let found = interleaved(if addon >= 0.5 { [modules, code] } else { [code, modules] }, rest, limit, others);
    Ok(descending([said, found].concat()))
}

/// Code and data that share most with the words.
pub(super) async fn code(
    tx: &mut TenantTx,
    scope: &Scope,
    terms: &[Term],
    vector: Option<&QueryVector>,
    n: usize,
) -> Result<Vec<Candidate>, DbError> {
    let mut found = blend(tx, scope, Corpus::Code, terms, vector).await?;
    // Records are found by their names; what they say is mostly markup.
    let data = blend(tx, scope, Corpus::Data, terms, None).await?;
    let share = DATA / if vector.is_some() { 1.0 + nearness(Corpus::Code) } else { 1.0 };
    found.extend(data.into_iter().map(|candidate| Candidate { score: candidate.score * share, ..candidate }));
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(n);
    Ok(found)
}

/// One corpus by words and vectors together.
async fn blend(
    tx: &mut TenantTx,
    scope: &Scope,
    corpus: Corpus,
    terms: &[Term],
    vector: Option<&QueryVector>,
) -> Result<Vec<Candidate>, DbError> {
    let mut scores: HashMap<Uuid, (f32, Option<f32>, Vec<String>)> = HashMap::new();
    for found in words::best(tx, scope, corpus, terms, COMPARED).await? {
        scores.insert(found.id, (found.coverage, None, found.shared));
    }
    let mut far = 0.0;
    if let Some(vector) = vector {
        let nearest = near::nearest(tx, scope, corpus, vector, COMPARED).await?;
        far = nearest.last().map_or(0.0, |(_, cosine)| *cosine);
        for (id, cosine) in nearest {
            scores.entry(id).or_default().1 = Some(cosine);
        }
    }
    let ids: Vec<Uuid> = scores.keys().copied().collect();
    let rows = sqlx::query("select id, quality from knowledge where id = any($1)").bind(&ids).fetch_all(tx.conn()).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let id: Uuid = row.try_get("id")?;
        let quality: f32 = row.try_get("quality")?;
        let Some((coverage, cosine, shared)) = scores.get(&id) else { continue };
        // What is not among the nearest is at most as near as the last of them.
        let nearby = if vector.is_some() { cosine.unwrap_or(far * 0.9).max(0.0) } else { 0.0 };
        let counts = if vector.is_some() { nearness(corpus) } else { 0.0 };
        let why = match (shared.is_empty(), vector) {
            (false, _) => format!("shares {}", shared.join(", ")),
            (true, Some(vector)) => format!("near by {}", vector.embedder),
            (true, None) => String::new(),
        };
        found.push(Candidate::new(id, (coverage + counts * nearby) / (1.0 + counts) * (0.95 + 0.1 * quality), why));
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    Ok(found)
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
