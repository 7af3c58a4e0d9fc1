//! Whole searches: words, vectors and symbols, over the made-up texts. What a search costs and what embedding the query costs are told apart.

use std::time::Instant;

use super::load::Loaded;
use super::made::EMBEDDER;
use super::own::Database;
use super::times::{Speed, Times, rate};
use crate::domain::TenantId;
use crate::knowledge::{Embedder, Filters, Knowledge, Query, QueryVector};

/// Answers of one search.
const LIMIT: usize = 10;
/// How often all queries are asked.
const ROUNDS: usize = 2;

/// Searches of two sorts, without the embedding of their texts, and that alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Whole {
    pub(super) words: Speed,
    pub(super) errors: Speed,
    pub(super) embedding: Speed,
    pub(super) embedder: String,
    /// Questions whose text is among the answers, of 100.
    pub(super) found: f64,
}

pub(super) async fn measure(database: &Database, tenant: &TenantId, embedder: &Embedder, loaded: &Loaded) -> anyhow::Result<Whole> {
    let knowledge = Knowledge::new(database.db.clone(), embedder.clone());
    let step = loaded.chunks / loaded.queries.len() as u64;
    let asked = |text: fn(&Loaded, u64) -> String| -> Vec<(String, u64)> {
        (0..loaded.queries.len() as u64).map(|nth| (text(loaded, nth * step), nth * step)).collect()
    };
    let questions = asked(|loaded, number| loaded.made.question(number));
    let errors = asked(|loaded, number| loaded.made.error(number));
    let asker = Asker { knowledge: &knowledge, tenant, loaded };
    let (words, found) = asker.measure(&questions).await?;
    let (errors, _) = asker.measure(&errors).await?;
    let mut times = Times::default();
    let started = Instant::now();
    for (text, _) in &questions {
        let started = Instant::now();
        embedder.query(text).await?;
        times.since(started);
    }
    let embedding = times.speed(rate(questions.len(), started));
    Ok(Whole { words, errors, embedding, embedder: embedder.name().to_owned(), found })
}

struct Asker<'a> {
    knowledge: &'a Knowledge,
    tenant: &'a TenantId,
    loaded: &'a Loaded,
}

impl Asker<'_> {
    async fn measure(&self, queries: &[(String, u64)]) -> anyhow::Result<(Speed, f64)> {
        let mut times = Times::default();
        // The first round only fills the caches.
        self.round(queries, &mut Times::default()).await?;
        let mut found = 0;
        for _ in 0..ROUNDS {
            found = self.round(queries, &mut times).await?;
        }
        let (mut a, mut b) = (Times::default(), Times::default());
        let started = Instant::now();
        tokio::try_join!(self.round(queries, &mut a), self.round(queries, &mut b))?;
        let rate = rate(2 * queries.len(), started);
        Ok((times.speed(rate), 100.0 * found as f64 / queries.len().max(1) as f64))
    }

    /// Asks every query; says how many found what they were made of.
    async fn round(&self, queries: &[(String, u64)], times: &mut Times) -> anyhow::Result<usize> {
        let mut found = 0;
        for ((text, number), values) in queries.iter().zip(&self.loaded.queries) {
            let query = Query { text: text.clone(), filters: Filters::default(), limit: LIMIT };
            let vector = QueryVector { embedder: EMBEDDER.to_owned(), values: values.clone() };
            let started = Instant::now();
            let hits = self.knowledge.search_with(self.tenant, &query, Some(&vector)).await?;
            times.since(started);
            let symbol = self.loaded.made.text(*number).symbol;
            found += usize::from(hits.iter().any(|hit| hit.symbol.as_deref() == Some(symbol.as_str())));
        }
        Ok(found)
    }
}
