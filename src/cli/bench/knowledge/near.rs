//! The part of a search that vectors answer, beside the plain query of pgvector over the same rows and the same index.

use std::collections::HashSet;
use std::time::Instant;

use pgvector::HalfVector;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use super::exact::K;
use super::load::Loaded;
use super::made::{self, DIMS, EMBEDDER};
use super::own::Database;
use super::times::{Speed, Times, rate};
use crate::domain::TenantId;
use crate::knowledge::{Embedder, Filters, Knowledge, QueryVector};

/// How often all queries are asked, ours and theirs in turn.
const ROUNDS: usize = 3;

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
    pub(super) ours: Way,
    pub(super) plain: Way,
    pub(super) ours_filtered: Way,
    pub(super) plain_filtered: Way,
}

pub(super) async fn measure(database: &Database, tenant: &TenantId, embedder: &Embedder, loaded: &Loaded) -> anyhow::Result<Near> {
    let knowledge = Knowledge::new(database.db.clone(), embedder.clone());
    let mut near = Near::default();
    for filtered in [false, true] {
        let (ours, plain) = Both { database, tenant, knowledge: &knowledge, loaded, filtered }.measure().await?;
        if filtered {
            (near.ours_filtered, near.plain_filtered) = (ours, plain);
        } else {
            (near.ours, near.plain) = (ours, plain);
        }
    }
    Ok(near)
}

struct Both<'a> {
    database: &'a Database,
    tenant: &'a TenantId,
    knowledge: &'a Knowledge,
    loaded: &'a Loaded,
    filtered: bool,
}

impl Both<'_> {
    async fn measure(&self) -> anyhow::Result<(Way, Way)> {
        let mut connection = self.database.plain().await?;
        // The first round only fills the caches.
        let (mut ours, mut plain) = (Times::default(), Times::default());
        let mut answers = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            if round == 1 {
                (ours, plain) = (Times::default(), Times::default());
            }
            answers = (self.ours(&mut ours).await?, self.plain(&mut connection, &mut plain).await?);
        }
        connection.close().await?;
        let started = Instant::now();
        let (mut a, mut b) = (Times::default(), Times::default());
        tokio::try_join!(self.ours(&mut a), self.ours(&mut b))?;
        let ours_rate = rate(2 * self.loaded.queries.len(), started);
        let (mut one, mut two) = (self.database.plain().await?, self.database.plain().await?);
        // Their statements are prepared before the clock runs.
        tokio::try_join!(self.plain(&mut one, &mut a), self.plain(&mut two, &mut b))?;
        let started = Instant::now();
        tokio::try_join!(self.plain(&mut one, &mut a), self.plain(&mut two, &mut b))?;
        let plain_rate = rate(2 * self.loaded.queries.len(), started);
        Ok((self.way(&answers.0, ours.speed(ours_rate)), self.way(&answers.1, plain.speed(plain_rate))))
    }

    async fn ours(&self, times: &mut Times) -> anyhow::Result<Vec<Vec<Uuid>>> {
        let mut answers = Vec::new();
        for (number, query) in self.loaded.queries.iter().enumerate() {
            let module = self.filtered.then(|| made::module(number as u64)).into_iter().collect();
            let filters = Filters { module, ..Filters::default() };
            let vector = QueryVector { embedder: EMBEDDER.to_owned(), values: query.clone() };
            let started = Instant::now();
            answers.push(self.knowledge.nearest_code(self.tenant, &vector, &filters, K).await?);
            times.since(started);
        }
        Ok(answers)
    }

    async fn plain(&self, connection: &mut PgConnection, times: &mut Times) -> anyhow::Result<Vec<Vec<Uuid>>> {
        let filter = if self.filtered { "and module = $2" } else { "and $2::text is not null" };
        let sql = format!(
            "select chunk_id from knowledge_vectors where embedder = '{EMBEDDER}' and corpus = 'code' {filter}
              order by embedding::halfvec({DIMS}) <=> $1 limit {K}"
        );
        let mut answers = Vec::new();
        for (number, query) in self.loaded.queries.iter().enumerate() {
            let vector = HalfVector::from_f32_slice(query);
            let started = Instant::now();
            let found = sqlx::query_scalar(AssertSqlSafe(sql.as_str())).bind(vector).bind(made::module(number as u64));
            answers.push(found.fetch_all(&mut *connection).await?);
            times.since(started);
        }
        Ok(answers)
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
