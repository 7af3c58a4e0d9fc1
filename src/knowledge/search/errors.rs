//! An error: the code that it is about, and what worked before for something like it.
//!
//! What is named goes before what is near. Where a series is asked for, the reader wants code of that series first; else what is known of
//! the error, which may come from any.

use std::collections::HashMap;

use sqlx::Row;
use uuid::Uuid;

use super::embedding::QueryEmbedding;
use super::found::{Candidate, Scope};
use super::frames::{self, Place};
use super::words::Ask;
use super::{culprits, exact, messages, near, rank, words};
use crate::db::{DbError, TenantTx};
use crate::domain::{ErrorClass, ErrorReport, Frame};
use crate::knowledge::chunk::Corpus;
use crate::knowledge::errors::class_of;
use crate::knowledge::essence::{essence, said};
use crate::knowledge::wordings;

/// Past errors compared.
const COMPARED: usize = 60;
/// What counts beside shared words: being near, of the same class, of the same subclass.
const NEARNESS: f32 = 0.3;
const SAME_CLASS: f32 = 0.12;
const SAME_SUBCLASS: f32 = 0.35;
/// What the same class counts where errors of many causes are of it.
const BROAD: f32 = 0.5;
/// What counts for a text that was kept just now, and after how many seconds half of it is left: half a year.
const NEW: f32 = 0.03;
const HALF_LIFE: f64 = 182.0 * 24.0 * 3600.0;
/// From here on a past error says the same as words that are no log.
const ALIKE: f32 = 0.6;
/// What it counts to be the same fault in other words.
const SAME_WORDING: f32 = 0.75;

/// The texts for this error, best first.
pub(super) async fn answer(
    tx: &mut TenantTx,
    scope: &Scope,
    text: &str,
    report: &ErrorReport,
    embedding: &QueryEmbedding,
    limit: usize,
) -> Result<Vec<Candidate>, DbError> {
    let code = if scope.wants_code() { code(tx, scope, text, report, limit).await? } else { Vec::new() };
    let past = if scope.wants("errors") || scope.wants("tickets") { past(tx, scope, text, embedding).await? } else { Vec::new() };
    let mut found = if scope.version.is_some() { [code, past].concat() } else { [past, code].concat() };
    if found.len() < limit && scope.wants_code() {
        let scope = scope.about(report.module.as_ref());
        found.extend(rank::code(tx, &scope, &words::terms(&[(&essence(text), 2.0), (&said(text), 1.0)]), limit).await?);
    }
    Ok(rank::descending(found))
}

/// What was found for a text that reads like none of Odoo's errors, with past errors where it says what errors say.
pub(super) async fn in_words(
    tx: &mut TenantTx,
    scope: &Scope,
    text: &str,
    embedding: &QueryEmbedding,
    found: Vec<Candidate>,
    limit: usize,
) -> Result<Vec<Candidate>, DbError> {
    if !(scope.wants("errors") || scope.wants("tickets")) || wordings::groups(&said(text)).is_empty() {
        return Ok(found);
    }
    let past = past(tx, scope, text, embedding).await?;
    let is_known = past.first().is_some_and(|best| best.score >= ALIKE);
    if scope.version.is_some() || !is_known {
        return Ok(rank::descending([found, past].concat()));
    }
    // If it is no error after all, that costs places, not answers.
    let lead = past.len().min(limit.saturating_sub(limit / 5).max(1));
    Ok(rank::descending([&past[..lead], &found, &past[lead..]].concat()))
}

/// Code and data that the error names or passes through, and what may have given a value that did not fit.
async fn code(tx: &mut TenantTx, scope: &Scope, text: &str, report: &ErrorReport, limit: usize) -> Result<Vec<Candidate>, DbError> {
    let named = exact::named(tx, scope, text, report).await?;
    let frames = frames::of(&report.chain);
    let places = frames::places(tx, scope, &frames).await?;
    let frames = passed_through(&frames, &places);
    let mut found = Vec::new();
    if report.class == ErrorClass::UserMessage {
        let message = report.chain.last().map_or_else(|| said(text), |raised| raised.message.clone());
        found.extend(messages::sources(tx, scope, &message).await?);
    }
    let is_named = !named.is_empty();
    found.extend(named);
    if found.is_empty() || report.class == ErrorClass::DataConstraint {
        let suspected = culprits::suspected(tx, scope, report).await?;
        // The frames are what people read first; a few of them stand among what is suspected.
        found.extend(if suspected.is_empty() || is_named { suspected } else { between(suspected, &frames) });
    }
    found.extend(frames);
    if !is_named && report.class != ErrorClass::UserMessage && found.len() < limit {
        let message = report.chain.last().map_or_else(|| said(text), |raised| raised.message.clone());
        found.extend(messages::sources(tx, scope, &message).await?);
    }
    Ok(found)
}

fn between(suspected: Vec<Candidate>, frames: &[Candidate]) -> Vec<Candidate> {
    let mut suspected = suspected.into_iter();
    let mut found: Vec<Candidate> = suspected.by_ref().take(3).collect();
    found.extend(frames.iter().take(2).cloned());
    found.extend(suspected);
    found
}

/// The functions of the frames, the innermost of an addon first, those of the framework last.
fn passed_through(frames: &[&Frame], places: &[Option<Place>]) -> Vec<Candidate> {
    let known = frames.iter().zip(places).rev().filter_map(|(frame, place)| Some((*frame, place.as_ref()?)));
    let (addons, framework): (Vec<_>, Vec<_>) = known.partition(|(_, place)| place.module.is_some());
    addons
        .into_iter()
        .chain(framework)
        .map(|(frame, place)| Candidate::new(place.id, 0.8, format!("in the traceback, line {}: {}", frame.line, place.symbol)))
        .collect()
}

/// Known errors, fixes and tickets that say the same, those of one cause together.
async fn past(tx: &mut TenantTx, scope: &Scope, text: &str, embedding: &QueryEmbedding) -> Result<Vec<Candidate>, DbError> {
    // What was said in another language is known by what it is in the source.
    let english = messages::english(tx, scope, &said(text)).await?;
    let plain = english.as_deref().map(essence).unwrap_or_default();
    let class = class_of(text).or_else(|| english.as_deref().and_then(class_of));
    let mut groups = wordings::groups(&said(text));
    groups.extend(english.as_deref().map(wordings::groups).unwrap_or_default());
    let marks = wordings::marks(&groups);
    let terms = words::terms(&[
        (&essence(text), 2.0),
        (&plain, 2.0),
        (&said(text), 0.7),
        (class.as_deref().unwrap_or_default(), 1.0),
        (&marks, 2.0),
    ]);
    let mut scores: HashMap<Uuid, (f32, String)> = HashMap::new();
    let marks = words::terms(&[(&marks, 1.0)]);
    let corpora = [Corpus::Error, Corpus::Ticket];
    let asks: Vec<Ask<'_>> = [&terms, &marks].into_iter().flat_map(|terms| corpora.map(|corpus| Ask { corpus, terms, scope })).collect();
    let mut shared = words::best(tx, &asks, COMPARED).await?;
    let marked = shared.split_off(corpora.len());
    for found in shared.into_iter().flatten() {
        let words: Vec<String> = found.shared.iter().map(|word| wordings::named(word).unwrap_or_else(|| word.clone())).collect();
        scores.insert(found.id, (found.coverage, format!("says the same: {}", words.join(", "))));
    }
    for found in marked.into_iter().flatten() {
        let named: Vec<String> = found.shared.iter().filter_map(|word| wordings::named(word)).collect();
        let entry = scores.entry(found.id).or_insert_with(|| (0.0, format!("the same in other words: {}", named.join(", "))));
        entry.0 += SAME_WORDING * found.coverage.min(1.0);
    }
    if let Some(vector) = embedding.vector().await {
        for near in near::nearest(tx, scope, &corpora, &vector, COMPARED).await?.into_iter().flatten() {
            let entry = scores.entry(near.id).or_insert_with(|| (0.0, format!("near by {}", vector.embedder)));
            entry.0 += NEARNESS * near.cosine.max(0.0);
        }
    }
    if let Some(class) = &class {
        of_class(tx, scope, class, &mut scores).await?;
    }
    by_cause(tx, scores, class.as_deref()).await
}

/// Errors of the same class are likelier to have the same cause, those of the same subclass more so.
async fn of_class(tx: &mut TenantTx, scope: &Scope, class: &str, scores: &mut HashMap<Uuid, (f32, String)>) -> Result<(), DbError> {
    let known: Vec<Uuid> = scores.keys().copied().collect();
    let mut sql = sqlx::QueryBuilder::<sqlx::Postgres>::new(
        "select id, made_by ->> 'class' as class from tenant_knowledge where corpus = 'error' and (made_by ->> 'class' = ",
    );
    sql.push_bind(class.to_owned()).push(" or id = any(").push_bind(known).push("))");
    scope.push(&mut sql);
    sql.push(" order by quality desc, created_at desc limit ").push_bind(i64::try_from(COMPARED * 3).unwrap_or(200));
    for row in sql.build().fetch_all(tx.conn()).await? {
        let found: Option<String> = row.try_get("class")?;
        let Some(found) = found else { continue };
        let Some(bonus) = kinship(class, &found) else { continue };
        let entry = scores.entry(row.try_get("id")?).or_insert_with(|| (0.0, format!("the same class of error: {found}")));
        entry.0 += bonus;
    }
    Ok(())
}

/// What it counts that a past error is of this class; `None` where it is of another.
fn kinship(class: &str, found: &str) -> Option<f32> {
    let bonus = match () {
        () if found == class => SAME_SUBCLASS,
        () if found.split('/').next() == class.split('/').next() => SAME_CLASS,
        () => return None,
    };
    Some(if is_broad(found) { bonus * BROAD } else { bonus })
}

/// Whether errors of many causes are of this class.
fn is_broad(class: &str) -> bool {
    class.starts_with("user_message/") || class.ends_with("/other") || class.ends_with('/')
}

/// What was learned lately is likelier to hold: between those that say about the same, the newer comes first. `age` in seconds.
fn recency(age: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "a factor has no use for more digits")]
    let fresh = (-age / HALF_LIFE).exp2() as f32;
    1.0 + NEW * fresh
}

/// Texts of one cause stand together, the best cause first: what helped one of them is likely to help all.
async fn by_cause(tx: &mut TenantTx, scores: HashMap<Uuid, (f32, String)>, class: Option<&str>) -> Result<Vec<Candidate>, DbError> {
    let ids: Vec<Uuid> = scores.keys().copied().collect();
    let rows = sqlx::query(
        "select id, quality, greatest(extract(epoch from now() - created_at), 0)::float8 as age, coalesce(made_by ->> 'cause', ref) as cause, case when corpus = 'ticket' then made_by ->> 'class' end as class
           from knowledge where id = any($1)",
    )
    .bind(&ids)
    .fetch_all(tx.conn())
    .await?;
    let mut causes: HashMap<String, Vec<Candidate>> = HashMap::new();
    for row in rows {
        let id: Uuid = row.try_get("id")?;
        let quality: f32 = row.try_get("quality")?;
        let Some((score, why)) = scores.get(&id) else { continue };
        // Tickets are not looked for by their class, but it counts as it does for past errors.
        let of_ticket: Option<String> = row.try_get("class")?;
        let score = score + class.zip(of_ticket).and_then(|(class, found)| kinship(class, &found)).unwrap_or(0.0);
        let candidate = Candidate::new(id, score * (0.8 + 0.4 * quality) * recency(row.try_get("age")?), why.clone());
        causes.entry(row.try_get("cause")?).or_default().push(candidate);
    }
    let mut causes: Vec<(f32, Vec<Candidate>)> = causes
        .into_values()
        .map(|mut members| {
            members.sort_by(|a, b| b.score.total_cmp(&a.score));
            // The best tells most; that there are more like it tells something.
            let total = members.iter().zip([1.0, 0.3, 0.15]).map(|(member, weight)| member.score * weight).sum::<f32>();
            (total, members)
        })
        .collect();
    causes.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(causes.into_iter().flat_map(|(_, members)| members.into_iter().take(4)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_counts_a_little_more() {
        assert!((recency(0.0) - 1.0 - NEW).abs() < 1e-6 && (recency(HALF_LIFE) - 1.0 - NEW / 2.0).abs() < 1e-6);
        assert!((recency(1e12) - 1.0).abs() < 1e-6);
    }
}
