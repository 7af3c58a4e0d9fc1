//! Brings made-up texts with their words, symbols and vectors into a database, and the index after them.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context as _;
use pgvector::{HalfVector, SparseVector};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use super::exact::Exact;
use super::made::{self, DIMS, EMBEDDER, Made};
use super::own::Database;
use super::show;
use crate::knowledge::lexical;

/// How many texts are written together.
const BATCH: u64 = 2_000;
/// How many queries are asked.
const QUERIES: u64 = 200;
/// Indexes that are faster to make when the rows are there.
const LATER: &[&str] = &["odoo_knowledge_lexemes_code", "knowledge_vectors_filter"];
/// The source that the texts are said to be of.
const SOURCE: Uuid = Uuid::from_u128(1);

/// What is there to be searched, and what is asked.
pub(super) struct Loaded {
    pub(super) made: Made,
    pub(super) chunks: u64,
    /// The vectors of the queries, which are of none of the texts.
    pub(super) queries: Vec<Vec<f32>>,
    /// The right answers to each query: among all texts, and among those of its addon.
    pub(super) exact: (Vec<Vec<u64>>, Vec<Vec<u64>>),
    pub(super) load_seconds: f64,
    pub(super) index_seconds: f64,
    pub(super) index_bytes: i64,
}

pub(super) async fn load(database: &Database, chunks: u32) -> anyhow::Result<Loaded> {
    let (made, chunks) = (Made::of(chunks), u64::from(chunks));
    let queries: Vec<Vec<f32>> = (chunks..chunks + QUERIES).map(|number| made.vector(number)).collect();
    let mut exact = Exact::of(&queries)?;
    let mut connection = database.plain().await?;
    sqlx::raw_sql("set synchronous_commit = off; set maintenance_work_mem = '2GB'; set max_parallel_maintenance_workers = 2")
        .execute(&mut connection)
        .await?;
    let started = Instant::now();
    let later = set_aside(&mut connection).await?;
    sqlx::query(
        "insert into knowledge_sources (id, doc_type, name, version, location, state) values ($1, 'core', 'made', '19.0', '-', 'done')",
    )
    .bind(SOURCE)
    .execute(&mut connection)
    .await?;
    let mut terms = BTreeMap::<i32, i64>::new();
    for first in (0..chunks).step_by(BATCH as usize) {
        let numbers: Vec<u64> = (first..chunks.min(first + BATCH)).collect();
        let vectors: Vec<Vec<f32>> = numbers.iter().map(|number| made.vector(*number)).collect();
        exact.look(first, &vectors)?;
        write_vectors(&mut connection, &numbers, &vectors).await?;
        write_texts(&mut connection, &made, &numbers, &mut terms).await?;
        if first % 100_000 == 0 {
            show::line(&format!("  loaded      {first} of {chunks} texts, {:.0} s", started.elapsed().as_secs_f64()));
        }
    }
    write_terms(&mut connection, terms).await?;
    for definition in later {
        sqlx::query(AssertSqlSafe(definition)).execute(&mut connection).await?;
    }
    let load_seconds = started.elapsed().as_secs_f64();
    let (index_seconds, index_bytes) = index(&mut connection).await?;
    connection.close().await?;
    Ok(Loaded { made, chunks, queries, exact: exact.answers(), load_seconds, index_seconds, index_bytes })
}

/// Drops the indexes that are made later; gives the statements that make them.
async fn set_aside(connection: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let mut definitions = Vec::new();
    for name in LATER {
        let definition: Option<String> =
            sqlx::query_scalar("select indexdef from pg_indexes where schemaname = 'public' and indexname = $1")
                .bind(*name)
                .fetch_optional(&mut *connection)
                .await?;
        definitions.push(definition.with_context(|| format!("the tables have no index {name} any more"))?);
        sqlx::query(AssertSqlSafe(format!("drop index {name}"))).execute(&mut *connection).await?;
    }
    Ok(definitions)
}

async fn write_vectors(connection: &mut PgConnection, numbers: &[u64], vectors: &[Vec<f32>]) -> anyhow::Result<()> {
    sqlx::query(
        "insert into knowledge_vectors (chunk_id, embedder, corpus, version, module, embedding)
         select t.id, $1, 'code', '19.0', t.module, t.embedding from unnest($2::uuid[], $3::text[], $4::halfvec[]) as t (id, module, embedding)",
    )
    .bind(EMBEDDER)
    .bind(numbers.iter().map(|number| made::id(*number)).collect::<Vec<_>>())
    .bind(numbers.iter().map(|number| made::module(*number)).collect::<Vec<_>>())
    .bind(vectors.iter().map(|vector| HalfVector::from_f32_slice(vector)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_texts(connection: &mut PgConnection, made: &Made, numbers: &[u64], counts: &mut BTreeMap<i32, i64>) -> anyhow::Result<()> {
    let (ids, modules): (Vec<Uuid>, Vec<String>) = numbers.iter().map(|number| (made::id(*number), made::module(*number))).unzip();
    let texts: Vec<made::Text> = numbers.iter().map(|number| made.text(*number)).collect();
    let (mut lexemes, mut weights) = (Vec::new(), Vec::new());
    for text in &texts {
        let terms = lexical::weigh(&text.zones);
        let numbers: Vec<i32> = terms.iter().map(|(term, _)| *term).collect();
        for term in std::iter::once(0).chain(numbers.iter().copied()) {
            *counts.entry(term).or_default() += 1;
        }
        lexemes.push(format!("{{{}}}", numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")));
        weights.push(SparseVector::from_map(terms.iter().map(|(term, weight)| (term, weight)), lexical::DIMS));
    }
    let column = |get: fn(&made::Text) -> &String| -> Vec<&str> { texts.iter().map(|text| get(text).as_str()).collect() };
    sqlx::query(
        "insert into odoo_knowledge (id, source_id, doc_type, kind, corpus, ref, module, odoo_version, path, file, symbol, odoo_model, start_line,
                                     end_line, title, content, lexemes, weights, made_by)
         select t.id, $1, 'core', 'method', 'code', t.module || '/models/' || t.id || '.py', t.module, '19.0', t.module || '/models/' || t.id || '.py',
                t.module || '/models/' || t.id || '.py', t.symbol, t.odoo_model, 1, 3, t.symbol, t.content, t.lexemes::int[], t.weights, '{}'
           from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::sparsevec[])
             as t (id, module, symbol, odoo_model, content, lexemes, weights)",
    )
    .bind(SOURCE)
    .bind(&ids)
    .bind(&modules)
    .bind(column(|text| &text.symbol))
    .bind(column(|text| &text.odoo_model))
    .bind(column(|text| &text.content))
    .bind(lexemes)
    .bind(weights)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "insert into knowledge_symbols (chunk_id, source_id, version, module, file, kind, odoo_model, name, line)
         select t.id, $1, '19.0', t.module, t.module || '/models/' || t.id || '.py', 'method', t.odoo_model, t.symbol, 1
           from unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) as t (id, module, symbol, odoo_model)",
    )
    .bind(SOURCE)
    .bind(&ids)
    .bind(&modules)
    .bind(column(|text| &text.symbol))
    .bind(column(|text| &text.odoo_model))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_terms(connection: &mut PgConnection, counts: BTreeMap<i32, i64>) -> anyhow::Result<()> {
    let (terms, texts): (Vec<i32>, Vec<i64>) = counts.into_iter().unzip();
    sqlx::query("insert into knowledge_terms (corpus, term, texts) select 'code', t.term, t.texts from unnest($1::int[], $2::bigint[]) as t (term, texts)")
        .bind(terms)
        .bind(texts)
        .execute(connection)
        .await?;
    Ok(())
}

/// The index of the vectors as the program makes it: how long it took, and how large it is.
async fn index(connection: &mut PgConnection) -> anyhow::Result<(f64, i64)> {
    show::line("  index       of the vectors");
    let started = Instant::now();
    sqlx::query("select knowledge_vector_index($1, $2)").bind(EMBEDDER).bind(DIMS as i32).execute(&mut *connection).await?;
    let seconds = started.elapsed().as_secs_f64();
    for table in ["knowledge_vectors", "odoo_knowledge", "knowledge_symbols", "knowledge_terms"] {
        sqlx::query(AssertSqlSafe(format!("vacuum (analyze) {table}"))).execute(&mut *connection).await?;
    }
    let bytes = sqlx::query_scalar(
        "select coalesce(sum(pg_relation_size(indexrelid)), 0)::bigint from pg_index join pg_class c on c.oid = indexrelid join pg_am a on a.oid = c.relam
          where indrelid = 'knowledge_vectors'::regclass and amname = 'hnsw' and pg_get_expr(indpred, indrelid) like '%' || $1 || '%'",
    )
    .bind(EMBEDDER)
    .fetch_one(connection)
    .await?;
    Ok((seconds, bytes))
}
