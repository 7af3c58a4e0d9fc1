//! Other tenants in the same database, each with texts of its own: what a search costs must not depend on them.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

use super::load::Loaded;
use super::made::{self, DIMS, EMBEDDER};
use super::own::Database;
use super::times::Speed;
use super::whole;
use crate::domain::TenantId;
use crate::knowledge::Embedder;
use crate::tenants;

/// How many tenants there are besides.
pub(super) const TENANTS: u32 = 20;
/// How many texts each of them has.
pub(super) const TEXTS: u64 = 10_000;

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
    let mut connection = database.plain().await?;
    // Faster to make when the rows are there.
    let own = "do $$ declare name text; begin
                   for name in select indexname from pg_indexes where indexname like 'vectors_own_%' loop
                       execute format('drop index %I', name);
                   end loop;
               end $$";
    sqlx::raw_sql(own).execute(&mut connection).await?;
    let mut last = None;
    for number in 1..=TENANTS {
        let neighbour: TenantId = format!("neighbour-{number}").parse()?;
        tenants::ensure(&database.db, &neighbour).await?;
        bring_in(database, &neighbour, number, loaded).await?;
        last = Some(neighbour);
    }
    sqlx::raw_sql("set maintenance_work_mem = '2GB'").execute(&mut connection).await?;
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
async fn bring_in(database: &Database, tenant: &TenantId, number: u32, loaded: &Loaded) -> anyhow::Result<()> {
    let mut connection = database.plain().await?;
    let source = Uuid::from_u128(1_000 + u128::from(number));
    let step = (loaded.chunks / TEXTS).max(1);
    let picked: Vec<Uuid> = (0..TEXTS.min(loaded.chunks)).map(|nth| made::id((nth * step + u64::from(number)) % loaded.chunks)).collect();
    // An id made of the old one and the tenant's name, so that the parts of a text find each other again.
    let pick = "(select old, md5($2 || old)::uuid as id from unnest($3::uuid[]) as old) p";
    let statements = [
        "insert into knowledge_sources (id, tenant_id, doc_type, name, version, location, state)
         select $1, $2, 'custom', 'made', '19.0', '-', 'done' where $3 is not null"
            .to_owned(),
        format!(
            "insert into tenant_knowledge (id, tenant_id, source_id, doc_type, kind, corpus, ref, module, odoo_version, path, file, symbol,
                                           odoo_model, start_line, end_line, title, content, lexemes, weights, made_by)
             select p.id, $2, $1, 'custom', kind, corpus, $2 || ref, module, odoo_version, $2 || '/' || path, $2 || '/' || file, symbol,
                    odoo_model, start_line, end_line, title, content, lexemes, weights, made_by
               from {pick} join odoo_knowledge k on k.id = p.old"
        ),
        format!(
            "insert into knowledge_vectors (chunk_id, embedder, tenant_id, corpus, version, module, embedding)
             select p.id, v.embedder, $2, v.corpus, v.version, v.module, v.embedding
               from {pick} join knowledge_vectors v on v.chunk_id = p.old where $1 is not null"
        ),
        format!(
            "insert into knowledge_symbols (chunk_id, source_id, tenant_id, version, module, file, kind, odoo_model, name, line)
             select p.id, $1, $2, s.version, s.module, $2 || '/' || s.file, s.kind, s.odoo_model, s.name, s.line
               from {pick} join knowledge_symbols s on s.chunk_id = p.old"
        ),
        "insert into knowledge_terms (tenant_id, corpus, term, texts)
         select $2, corpus, term, count(*) from tenant_knowledge, unnest(lexemes || 0) as term
          where tenant_id = $2 and source_id = $1 and $3 is not null group by corpus, term"
            .to_owned(),
    ];
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement)).bind(source).bind(tenant.as_str()).bind(&picked).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}
