//! Other tenants in the same database, each with texts of its own: what a search costs must not depend on them.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _};

use super::load::Loaded;
use super::made::{DIMS, EMBEDDER};
use super::own::Database;
use super::times::Speed;
use super::whole;
use crate::domain::TenantId;
use crate::knowledge::Embedder;
use crate::tenants;

/// How many tenants there are besides.
pub(super) const TENANTS: u32 = 20;
/// How many texts each of them has.
pub(super) const TEXTS: i64 = 10_000;

/// Questions in words, embedded already, once there are neighbours.
#[derive(Debug, Clone, Default)]
pub(super) struct Neighbours {
    /// As the tenant that has no texts of its own.
    pub(super) without: Speed,
    /// As one of those that have.
    pub(super) with: Speed,
}

/// Brings them in, and asks as before.
pub(super) async fn measure(database: &Database, tenant: &TenantId, embedder: &Embedder, loaded: &Loaded) -> anyhow::Result<Neighbours> {
    let mut last = None;
    for number in 1..=TENANTS {
        let neighbour: TenantId = format!("neighbour-{number}").parse()?;
        tenants::ensure(&database.db, &neighbour).await?;
        bring_in(database, &neighbour, u128::from(number)).await?;
        last = Some(neighbour);
    }
    let mut connection = database.plain().await?;
    sqlx::raw_sql("set maintenance_work_mem = '2GB'").execute(&mut connection).await?;
    // The index of both is what an older version made: without it, this makes that of tenants' own.
    sqlx::query("select knowledge_vector_index($1, $2)").bind(EMBEDDER).bind(DIMS as i32).execute(&mut connection).await?;
    for table in ["knowledge_vectors", "tenant_knowledge", "knowledge_symbols", "knowledge_terms"] {
        sqlx::query(AssertSqlSafe(format!("vacuum (analyze) {table}"))).execute(&mut connection).await?;
    }
    connection.close().await?;
    let last = last.context("there are no neighbours")?;
    Ok(Neighbours {
        without: whole::questions(database, tenant, embedder, loaded).await?,
        with: whole::questions(database, &last, embedder, loaded).await?,
    })
}

/// Texts like those that everybody sees, with words, symbols and vectors, in folders of the tenant's own.
async fn bring_in(database: &Database, tenant: &TenantId, number: u128) -> anyhow::Result<()> {
    let mut connection = database.plain().await?;
    let source = uuid::Uuid::from_u128(1_000 + number);
    // An id made of the old one and the tenant's name, so that the parts of a text find each other again.
    let statements = [
        "insert into knowledge_sources (id, tenant_id, doc_type, name, version, location, state)
         select $1, $2, 'custom', 'made', '19.0', '-', 'done' where $3 > 0",
        "insert into tenant_knowledge (id, tenant_id, source_id, doc_type, kind, corpus, ref, module, odoo_version, path, file, symbol, odoo_model,
                                       start_line, end_line, title, content, lexemes, weights, made_by)
         select md5($2 || k.id)::uuid, $2, $1, 'custom', kind, corpus, $2 || ref, module, odoo_version, $2 || '/' || path, $2 || '/' || file, symbol,
                odoo_model, start_line, end_line, title, content, lexemes, weights, made_by
           from (select * from odoo_knowledge order by md5($2 || id) limit $3) k",
        "insert into knowledge_vectors (chunk_id, embedder, tenant_id, corpus, version, module, embedding)
         select t.id, v.embedder, $2, v.corpus, v.version, v.module, v.embedding
           from knowledge_vectors v join tenant_knowledge t on t.id = md5($2 || v.chunk_id)::uuid where v.tenant_id is null and $1 is not null and $3 > 0",
        "insert into knowledge_symbols (chunk_id, source_id, tenant_id, version, module, file, kind, odoo_model, name, line)
         select t.id, $1, $2, s.version, s.module, t.file, s.kind, s.odoo_model, s.name, s.line
           from knowledge_symbols s join tenant_knowledge t on t.id = md5($2 || s.chunk_id)::uuid where s.tenant_id is null and $3 > 0",
        "insert into knowledge_terms (tenant_id, corpus, term, texts)
         select $2, corpus, term, count(*) from tenant_knowledge, unnest(lexemes || 0) as term
          where tenant_id = $2 and $1 is not null and $3 > 0 group by corpus, term",
    ];
    for statement in statements {
        sqlx::query(statement).bind(source).bind(tenant.as_str()).bind(TEXTS).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}
