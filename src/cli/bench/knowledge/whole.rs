//! Whole searches: words, vectors and symbols, over the made-up texts. What a search costs, what embedding the query costs, and both together.

use std::time::Instant;

use super::load::Loaded;
use super::made::EMBEDDER;
use super::own::Database;
use super::plain::Plain;
use super::times::{Speed, Times, rate};
use crate::domain::TenantId;
use crate::knowledge::{Embedder, Filters, Knowledge, Query, QueryEmbedding, QueryVector};

/// Answers of one search.
const LIMIT: usize = 10;
/// How often all queries are asked.
const ROUNDS: usize = 2;

/// Searches of two sorts, without the embedding of their texts and with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Whole {
    pub(super) words: Speed,
    pub(super) errors: Speed,
    pub(super) embedding: Speed,
    /// From the text of a question to the answers: ours, and the plain query of pgvector.
    pub(super) from_text: Speed,
    pub(super) plain_from_text: Speed,
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
    let asker = |embedded| Asker { knowledge: &knowledge, tenant, loaded, embedder: embedder.clone(), embedded };
    let (words, found) = asker(false).measure(&questions).await?;
    let (errors, _) = asker(false).measure(&errors).await?;
    let (from_text, _) = asker(true).measure(&questions).await?;
    let plain_from_text = plain_from_text(database, embedder, loaded, &questions).await?;
    let mut times = Times::default();
    let started = Instant::now();
    for (text, _) in &questions {
        let started = Instant::now();
        embedder.query(text).await?;
        times.since(started);
    }
    let embedding = times.speed(rate(questions.len(), started));
    Ok(Whole { words, errors, embedding, from_text, plain_from_text, embedder: embedder.name().to_owned(), found })
}

/// Questions in words, embedded already.
pub(super) async fn questions(database: &Database, tenant: &TenantId, embedder: &Embedder, loaded: &Loaded) -> anyhow::Result<Speed> {
    let knowledge = Knowledge::new(database.db.clone(), embedder.clone());
    let step = loaded.chunks / loaded.queries.len() as u64;
    let asked: Vec<(String, u64)> = (0..loaded.queries.len() as u64).map(|nth| (loaded.made.question(nth * step), nth * step)).collect();
    let asker = Asker { knowledge: &knowledge, tenant, loaded, embedder: embedder.clone(), embedded: false };
    Ok(asker.measure(&asked).await?.0)
}

/// What whoever writes the plain query waits for too: the embedding of the question, by the same embedder.
async fn plain_from_text(database: &Database, embedder: &Embedder, loaded: &Loaded, questions: &[(String, u64)]) -> anyhow::Result<Speed> {
    let round = async |plain: &mut Plain, times: &mut Times| -> anyhow::Result<()> {
        for ((text, _), vector) in questions.iter().zip(&loaded.queries) {
            let started = Instant::now();
            embedder.query(text).await?;
            plain.ask(vector, None).await?;
            times.since(started);
        }
        Ok(())
    };
    let (mut one, mut two) = (Plain::of(database, false).await?, Plain::of(database, false).await?);
    let mut times = Times::default();
    for _ in 0..ROUNDS {
        round(&mut one, &mut times).await?;
    }
    let started = Instant::now();
    let (mut a, mut b) = <(Times, Times)>::default();
    tokio::try_join!(round(&mut one, &mut a), round(&mut two, &mut b))?;
    Ok(times.speed(rate(2 * questions.len(), started)))
}

struct Asker<'a> {
    knowledge: &'a Knowledge,
    tenant: &'a TenantId,
    loaded: &'a Loaded,
    embedder: Embedder,
    /// Whether the text is embedded too. What is searched with is made up all the same.
    embedded: bool,
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

    fn embedded_first(&self, text: String, vector: QueryVector) -> QueryEmbedding {
        let embedder = self.embedder.clone();
        QueryEmbedding::coming(async move { embedder.query(&text).await.ok().map(|_| vector) })
    }

    /// Asks every query; says how many found what they were made of.
    async fn round(&self, queries: &[(String, u64)], times: &mut Times) -> anyhow::Result<usize> {
        let mut found = 0;
        for ((text, number), values) in queries.iter().zip(&self.loaded.queries) {
            let query = Query { text: text.clone(), filters: Filters::default(), limit: LIMIT };
            let vector = QueryVector { embedder: EMBEDDER.to_owned(), values: values.clone() };
            let started = Instant::now();
            let embedding = if self.embedded { self.embedded_first(text.clone(), vector) } else { QueryEmbedding::known(vector) };
            let hits = self.knowledge.search_with(self.tenant, &query, &embedding).await?;
            times.since(started);
            let symbol = self.loaded.made.text(*number).symbol;
            found += usize::from(hits.iter().any(|hit| hit.symbol.as_deref() == Some(symbol.as_str())));
        }
        Ok(found)
    }
}
