//! Texts without a vector get one. What was embedded before is not embedded again, whoever's it was if everybody may see it; a run that is
//! cut off goes on where it was, because what lacks a vector is asked of the database.

use std::collections::HashMap;
use std::time::Instant;

use futures::future::BoxFuture;
use pgvector::HalfVector;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::write::Writer;
use super::{IndexError, Options, Status};
use crate::db::{Db, TenantTx};
use crate::domain::{Cost, Failure};
use crate::knowledge::embed::Embedder;

/// How many texts are embedded and stored together.
const BATCH: usize = 256;
/// The most lines of one text that get a vector.
const MAX_PARTS: usize = 256;
/// So many vectors are looked at one by one as fast as through an index.
const MANY: i64 = 10_000;

/// Vectors with what they cost, or why there are none.
pub type Vectored = Result<(Vec<Vec<f32>>, Cost), Failure>;

/// Makes vectors of texts that are to be found.
pub trait Vectors: Send + Sync {
    /// Name and version, as stored beside every vector.
    fn name(&self) -> &str;
    /// How many numbers a vector has.
    fn dims(&self) -> usize;
    /// The vectors of these texts, in their order, and what they cost.
    fn documents(&self, texts: Vec<String>) -> BoxFuture<'_, Vectored>;
}

impl Vectors for Embedder {
    fn name(&self) -> &str {
        Embedder::name(self)
    }

    fn dims(&self) -> usize {
        Embedder::dims(self)
    }

    fn documents(&self, texts: Vec<String>) -> BoxFuture<'_, Vectored> {
        Box::pin(async move {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let embedded = Embedder::documents(self, &texts).await?;
            Ok((embedded.vectors, embedded.cost))
        })
    }
}

/// How many texts got a vector.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Embedded {
    pub(super) embedded: u64,
    pub(super) reused: u64,
    pub(super) cost: Cost,
}

/// A text that lacks a vector.
struct Lacking {
    id: Uuid,
    card: String,
    corpus: String,
    module: Option<String>,
    version: Option<String>,
}

/// The texts of one source, or of a tenant's that no source holds.
struct Texts<'a> {
    db: &'a Db,
    options: &'a Options,
    table: &'static str,
    owner: Option<&'a str>,
    source: Option<Uuid>,
}

impl Writer<'_> {
    /// Gives every text of the source its vector of this embedder.
    pub(super) async fn embed(&self, embedder: &dyn Vectors, chunks: u64) -> Result<Embedded, IndexError> {
        let (table, owner, source) = (self.table(), self.owner(), Some(self.source.0));
        Texts { db: self.db, options: self.options, table, owner, source }.embed(embedder, chunks).await
    }
}

/// Gives the tenant's texts that no source holds the vectors that they lack; says how many.
pub(super) async fn texts(db: &Db, options: &Options) -> Result<u64, IndexError> {
    let Some(embedder) = &options.embedder else { return Ok(0) };
    let texts = Texts { db, options, table: "tenant_knowledge", owner: Some(options.tenant.as_str()), source: None };
    let embedded = texts.embed(embedder.as_ref(), 0).await?;
    Ok(embedded.embedded + embedded.reused)
}

impl Texts<'_> {
    async fn begin(&self) -> Result<TenantTx, IndexError> {
        Ok(self.options.begin(self.db, self.owner.is_none()).await?)
    }

    async fn embed(&self, embedder: &dyn Vectors, chunks: u64) -> Result<Embedded, IndexError> {
        let (started, mut done) = (Instant::now(), Embedded::default());
        let lacking = self.lacking(embedder.name()).await?;
        let tell = |done: Embedded| {
            let (embedded, to_embed) = (done.embedded + done.reused, lacking.len() as u64);
            let status = Status { phase: "embed", chunks, embedded, to_embed, ..Status::default() };
            (self.options.progress)(&status.timed(embedded, to_embed, started.elapsed().as_secs_f64()));
        };
        for ids in lacking.chunks(BATCH) {
            let batch = self.embed_batch(embedder, ids).await?;
            done.embedded += batch.embedded;
            done.reused += batch.reused;
            done.cost += batch.cost;
            tell(done);
        }
        self.optimise(embedder).await?;
        Ok(done)
    }

    async fn lacking(&self, embedder: &str) -> Result<Vec<Uuid>, IndexError> {
        let sql = format!(
            "select id from {} k where {} and card is not null
                and not exists (select from knowledge_vectors v where v.chunk_id = k.id and v.embedder = $2) order by id",
            self.table,
            // Each by its own index.
            if self.source.is_some() { "source_id = $1" } else { "source_id is null and $1::uuid is null" }
        );
        let mut tx = self.begin().await?;
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(self.source).bind(embedder).fetch_all(tx.conn()).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn embed_batch(&self, embedder: &dyn Vectors, ids: &[Uuid]) -> Result<Embedded, IndexError> {
        let mut tx = self.begin().await?;
        let reused = self.reuse(&mut tx, embedder.name(), ids).await?;
        let rest: Vec<Uuid> = ids.iter().copied().filter(|id| !reused.contains(id)).collect();
        let sql = format!("select id, card, corpus, module, odoo_version from {} where id = any($1)", self.table);
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(&rest).fetch_all(tx.conn()).await?;
        // The embedder may take long; nothing is held meanwhile.
        tx.commit().await?;
        let lacking: Vec<Lacking> = rows
            .iter()
            .map(|row| Lacking { id: row.get(0), card: row.get(1), corpus: row.get(2), module: row.get(3), version: row.get(4) })
            .collect();
        let (vectors, cost) = vectors(embedder, &lacking).await?;
        self.store(embedder.name(), &lacking, vectors).await?;
        Ok(Embedded { embedded: lacking.len() as u64, reused: reused.len() as u64, cost })
    }

    /// Takes over the vectors of texts that are embedded by the same words. A tenant's may come from what everybody sees, never the other
    /// way round.
    async fn reuse(&self, tx: &mut TenantTx, embedder: &str, ids: &[Uuid]) -> Result<Vec<Uuid>, IndexError> {
        let from: &[&str] = if self.owner.is_some() { &["odoo_knowledge", "tenant_knowledge"] } else { &["odoo_knowledge"] };
        let mut reused = Vec::new();
        for from in from {
            let sql = format!(
                "insert into knowledge_vectors (chunk_id, embedder, part, tenant_id, corpus, version, module, embedding)
                 select distinct on (k.id, v.part) k.id, v.embedder, v.part, $3, k.corpus, k.odoo_version, k.module, v.embedding
                   from {} k
                   join {from} o on o.digest = k.digest and o.card is not null and o.id <> k.id
                   join knowledge_vectors v on v.chunk_id = o.id and v.embedder = $2
                  where k.id = any($1)
                 on conflict do nothing returning chunk_id",
                self.table
            );
            let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).bind(embedder).bind(self.owner).fetch_all(tx.conn()).await?;
            reused.extend(rows.iter().map(|row| row.get::<Uuid, _>(0)));
        }
        reused.sort_unstable();
        reused.dedup();
        Ok(reused)
    }

    async fn store(&self, embedder: &str, lacking: &[Lacking], vectors: Vec<Part>) -> Result<(), IndexError> {
        if vectors.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        let of = |part: &Part| &lacking[part.text];
        sqlx::query(
            "insert into knowledge_vectors (embedder, tenant_id, version, chunk_id, part, corpus, module, embedding)
             select $1, $2, t.version, t.chunk_id, t.part, t.corpus, t.module, t.embedding
               from unnest($3::text[], $4::uuid[], $5::smallint[], $6::text[], $7::text[], $8::halfvec[])
                    as t (version, chunk_id, part, corpus, module, embedding)
             on conflict do nothing",
        )
        .bind(embedder)
        .bind(self.owner)
        .bind(vectors.iter().map(|part| of(part).version.as_deref()).collect::<Vec<_>>())
        .bind(vectors.iter().map(|part| of(part).id).collect::<Vec<_>>())
        .bind(vectors.iter().map(|part| part.number).collect::<Vec<_>>())
        .bind(vectors.iter().map(|part| of(part).corpus.as_str()).collect::<Vec<_>>())
        .bind(vectors.iter().map(|part| of(part).module.as_deref()).collect::<Vec<_>>())
        .bind(vectors.iter().map(|part| part.vector.clone()).collect::<Vec<_>>())
        .execute(tx.conn())
        .await?;
        super::terms::changed(&mut tx, self.owner).await?;
        Ok(tx.commit().await?)
    }

    /// Makes the index of the embedder's vectors, once there are many.
    async fn optimise(&self, embedder: &dyn Vectors) -> Result<(), IndexError> {
        let mut tx = self.begin().await?;
        let many = sqlx::query!(
            r#"select count(*) as "count!" from (select from knowledge_vectors where embedder = $1 and corpus = 'code' limit $2) v"#,
            embedder.name(),
            MANY + 1,
        )
        .fetch_one(tx.conn())
        .await?;
        if many.count <= MANY {
            return Ok(());
        }
        tx.commit().await?;
        (self.options.progress)(&Status { phase: "optimise", ..Status::default() });
        // An index is of everybody's vectors and the tenant's alike.
        let mut tx = self.db.indexer(&self.options.tenant).await?;
        sqlx::query!(
            "select set_config('statement_timeout', '0', true) as timeout, set_config('maintenance_work_mem', '512MB', true) as memory"
        )
        .fetch_one(tx.conn())
        .await?;
        let dims = i32::try_from(embedder.dims()).unwrap_or(0);
        sqlx::query!("select knowledge_vector_index($1, $2)", embedder.name(), dims).fetch_one(tx.conn()).await?;
        Ok(tx.commit().await?)
    }
}

/// The vector of one line of what is embedded of a text.
struct Part {
    /// Which of the texts.
    text: usize,
    /// Which of its lines.
    number: i16,
    vector: HalfVector,
}

/// A vector for each line of each text; lines that are the same are embedded once.
async fn vectors(embedder: &dyn Vectors, lacking: &[Lacking]) -> Result<(Vec<Part>, Cost), IndexError> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut lines = Vec::new();
    let mut parts = Vec::new();
    for (text, lacks) in lacking.iter().enumerate() {
        // A text without words has a vector too, or it would be found lacking for ever.
        let own = if lacks.card.trim().is_empty() { vec![""] } else { lacks.card.lines().take(MAX_PARTS).collect() };
        for (number, line) in own.into_iter().enumerate() {
            let place = *places.entry(line).or_insert_with(|| {
                lines.push(line.to_owned());
                lines.len() - 1
            });
            parts.push((text, i16::try_from(number).unwrap_or(i16::MAX), place));
        }
    }
    if lines.is_empty() {
        return Ok((Vec::new(), Cost::default()));
    }
    let wanted = lines.len();
    let (made, cost) = embedder.documents(lines).await.map_err(IndexError::Embedder)?;
    if made.len() != wanted || made.iter().any(|vector| vector.len() != embedder.dims()) {
        let wrong = anyhow::anyhow!("{} gave vectors of another number or size", embedder.name());
        return Err(IndexError::Embedder(Failure::unavailable(wrong)));
    }
    let half: Vec<HalfVector> = made.iter().map(|vector| HalfVector::from_f32_slice(vector)).collect();
    let part = |(text, number, place): (usize, i16, usize)| Some(Part { text, number, vector: half.get(place)?.clone() });
    Ok((parts.into_iter().filter_map(part).collect(), cost))
}
