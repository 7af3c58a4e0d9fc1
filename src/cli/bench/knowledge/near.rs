//! The part of a search that vectors answer, beside the plain query of pgvector over the same rows and the same index.

use std::collections::HashSet;
use std::time::Instant;

use uuid::Uuid;

use super::exact::K;
use super::load::Loaded;
use super::made::{self, EMBEDDER};
use super::own::Database;
use super::plain::Plain;
use super::times::{Speed, Times, rate};
use crate::domain::TenantId;
use crate::knowledge::{COMPARED, Embedder, Filters, Knowledge, QueryVector};

/// How often all queries are asked, ours and theirs in turn.
const ROUNDS: usize = 3;
/// How many texts ours are asked for.
const OURS: [usize; 2] = [K, COMPARED];

/// How good and fast one way is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Way {
    pub(super) recall: f64,
    /// Queries that got fewer answers than they asked for.
    pub(super) short: usize,
    pub(super) speed: Speed,
}

/// Ours and the plain one, without a filter and with one that keeps 1 %.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Near {
    pub(super) all: Beside,
    pub(super) filtered: Beside,
}

/// The same questions asked in several ways.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside {
    pub(super) ours: Way,
    /// As many as a search compares, of which the best ten count here.
    pub(super) ours_as_searched: Way,
    pub(super) plain: Way,
    /// The plain one where the index goes on until there are enough.
    pub(super) plain_iterative: Way,
}

pub(super) async fn measure(database: &Database, tenant: &TenantId, embedder: &Embedder, loaded: &Loaded) -> anyhow::Result<Near> {
    let knowledge = Knowledge::new(database.db.clone(), embedder.clone());
    let ways = |filtered| Ways { database, tenant, knowledge: &knowledge, loaded, filtered };
    Ok(Near { all: ways(false).measure().await?, filtered: ways(true).measure().await? })
}

struct Ways<'a> {
    database: &'a Database,
    tenant: &'a TenantId,
    knowledge: &'a Knowledge,
    loaded: &'a Loaded,
    filtered: bool,
}

impl Ways<'_> {
    /// All ways in turn, so that whatever else the machine does meets each of them.
    async fn measure(&self) -> anyhow::Result<Beside> {
        let mut plain = [Plain::of(self.database, false).await?, Plain::of(self.database, true).await?];
        let mut times: [Times; 4] = Default::default();
        let mut answers: [Vec<Vec<Uuid>>; 4] = Default::default();
        for round in 0..=ROUNDS {
            // The first round only fills the caches.
            if round == 1 {
                times = Default::default();
            }
            for (nth, n) in OURS.into_iter().enumerate() {
                answers[nth] = self.ours(n, &mut times[nth]).await?;
            }
            for (nth, plain) in plain.iter_mut().enumerate() {
                answers[OURS.len() + nth] = self.plain(plain, &mut times[OURS.len() + nth]).await?;
            }
        }
        for plain in plain {
            plain.close().await?;
        }
        let rates =
            [self.ours_rate(OURS[0]).await?, self.ours_rate(OURS[1]).await?, self.plain_rate(false).await?, self.plain_rate(true).await?];
        let way = |nth: usize| self.way(&answers[nth], times[nth].speed(rates[nth]));
        Ok(Beside { ours: way(0), ours_as_searched: way(1), plain: way(2), plain_iterative: way(3) })
    }

    async fn ours_rate(&self, n: usize) -> anyhow::Result<f64> {
        let started = Instant::now();
        let (mut a, mut b) = <(Times, Times)>::default();
        tokio::try_join!(self.ours(n, &mut a), self.ours(n, &mut b))?;
        Ok(rate(2 * self.loaded.queries.len(), started))
    }

    async fn plain_rate(&self, iterative: bool) -> anyhow::Result<f64> {
        let (mut one, mut two) = (Plain::of(self.database, iterative).await?, Plain::of(self.database, iterative).await?);
        let (mut a, mut b) = <(Times, Times)>::default();
        let mut started = Instant::now();
        for _ in 0..2 {
            // Their statements are prepared before the clock runs.
            started = Instant::now();
            tokio::try_join!(self.plain(&mut one, &mut a), self.plain(&mut two, &mut b))?;
        }
        Ok(rate(2 * self.loaded.queries.len(), started))
    }

    async fn ours(&self, n: usize, times: &mut Times) -> anyhow::Result<Vec<Vec<Uuid>>> {
        let mut answers = Vec::new();
        for (number, query) in self.loaded.queries.iter().enumerate() {
            let module = self.module(number).into_iter().collect();
            let filters = Filters { module, ..Filters::default() };
            let vector = QueryVector { embedder: EMBEDDER.to_owned(), values: query.clone() };
            let started = Instant::now();
            let mut nearest = self.knowledge.nearest_code(self.tenant, &vector, &filters, n).await?;
            times.since(started);
            nearest.truncate(K);
            answers.push(nearest);
        }
        Ok(answers)
    }

    async fn plain(&self, plain: &mut Plain, times: &mut Times) -> anyhow::Result<Vec<Vec<Uuid>>> {
        let mut answers = Vec::new();
        for (number, query) in self.loaded.queries.iter().enumerate() {
            let started = Instant::now();
            answers.push(plain.ask(query, self.module(number)).await?);
            times.since(started);
        }
        Ok(answers)
    }

    fn module(&self, number: usize) -> Option<String> {
        self.filtered.then(|| made::module(number as u64))
    }

    fn way(&self, answers: &[Vec<Uuid>], speed: Speed) -> Way {
        let exact = if self.filtered { &self.loaded.exact.1 } else { &self.loaded.exact.0 };
        let found: Vec<(usize, usize)> = exact
            .iter()
            .zip(answers)
            .map(|(right, given)| {
                let given: HashSet<Uuid> = given.iter().copied().collect();
                (right.iter().filter(|number| given.contains(&made::id(**number))).count(), given.len())
            })
            .collect();
        let right: usize = exact.iter().map(Vec::len).sum();
        Way {
            recall: found.iter().map(|(hits, _)| hits).sum::<usize>() as f64 / right.max(1) as f64,
            short: found.iter().filter(|(_, given)| *given < K).count(),
            speed,
        }
    }
}
