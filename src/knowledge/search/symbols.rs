//! Names that an error says, looked up in what the sources define.

use sqlx::postgres::Postgres;
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::found::Scope;
use crate::db::{DbError, TenantTx};

/// The most definitions of one name that are looked at.
const MAX_DEFINITIONS: i64 = 300;

/// Where a name is defined.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) chunk: Uuid,
    pub(super) kind: String,
    pub(super) odoo_model: Option<String>,
    pub(super) name: String,
    pub(super) target: Option<String>,
    pub(super) module: String,
    pub(super) file: String,
    pub(super) line: i32,
    /// Whether it makes what others extend.
    pub(super) defines: bool,
    /// How many addons lie below its own.
    pub(super) depth: i32,
}

/// What is asked of the table.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted<'a> {
    pub(super) kinds: &'a [&'a str],
    pub(super) odoo_model: Option<&'a str>,
    pub(super) names: &'a [String],
    pub(super) targets: &'a [String],
}

impl<'a> Wanted<'a> {
    /// Only what leads to one of these.
    pub(super) fn leading_to(self, targets: &'a [String]) -> Self {
        Self { targets, ..self }
    }
}

/// Definitions, the one that others build on first.
pub(super) async fn definitions(tx: &mut TenantTx, scope: &Scope, wanted: Wanted<'_>) -> Result<Vec<Definition>, DbError> {
    let kinds: Vec<&str> = wanted.kinds.to_vec();
    let mut sql = QueryBuilder::<Postgres>::new(
        "select s.chunk_id, s.kind, s.odoo_model, s.name, s.target, coalesce(s.module, '') as module, s.file, s.line,
                coalesce(s.detail @> '{\"defines\": true}', false) as defines
           from knowledge_symbols s where s.kind = any(",
    );
    sql.push_bind(kinds).push(")");
    if let Some(odoo_model) = wanted.odoo_model {
        sql.push(" and s.odoo_model = ").push_bind(odoo_model);
    }
    if !wanted.names.is_empty() {
        sql.push(" and s.name = any(").push_bind(wanted.names).push(")");
    }
    if !wanted.targets.is_empty() {
        sql.push(" and s.target = any(").push_bind(wanted.targets).push(")");
    }
    if let Some(version) = &scope.version {
        sql.push(" and s.version = ").push_bind(version);
    }
    if let Some(modules) = &scope.within {
        sql.push(" and s.module = any(").push_bind(modules).push(")");
    }
    sql.push(" limit ").push_bind(MAX_DEFINITIONS);
    let rows = sql.build().fetch_all(tx.conn()).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.push(Definition {
            chunk: row.try_get("chunk_id")?,
            kind: row.try_get("kind")?,
            odoo_model: row.try_get("odoo_model")?,
            name: row.try_get("name")?,
            target: row.try_get("target")?,
            module: row.try_get("module")?,
            file: row.try_get("file")?,
            line: row.try_get("line")?,
            defines: row.try_get("defines")?,
            depth: 0,
        });
    }
    if found.len() > 1 {
        let modules = scope.modules(tx).await?;
        for definition in &mut found {
            definition.depth = modules.depth(&definition.module);
        }
        found.sort_by(|a, b| key(a).cmp(&key(b)));
    }
    Ok(found)
}

fn key(definition: &Definition) -> (bool, i32, &str, &str, i32) {
    (!definition.defines, definition.depth, &definition.module, &definition.file, definition.line)
}
