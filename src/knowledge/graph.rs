//! Questions to what sources define that have one exact answer, answered in SQL.

use std::collections::BTreeSet;

use serde::Serialize;
use uuid::Uuid;

use super::modules::Modules;
use crate::db::{DbError, TenantTx};

/// How far inheritance of Odoo models and of views is followed.
const MAX_DEPTH: i32 = 12;

/// One place where something is defined or extended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Definition {
    /// The text that it stands in.
    pub chunk: Uuid,
    /// The addon.
    pub module: String,
    /// The series.
    pub version: String,
    /// The file, `module/path/file.py`.
    pub file: String,
    /// The line.
    pub line: i32,
    /// How many addons lie below its own: the order in which Odoo loads them, where one depends on the other.
    pub depth: i32,
}

/// An addon with all that it depends on, itself included.
pub async fn closure(tx: &mut TenantTx, module: &str, version: Option<&str>) -> Result<BTreeSet<String>, DbError> {
    let rows = sqlx::query_scalar!(
        r#"with recursive below (module) as (
               select $1::text
               union
               select d.name from below b join knowledge_modules m on m.module = b.module and ($2::text is null or m.version = $2),
                      unnest(m.depends) as d (name)
           ) select module as "module!" from below limit 5000"#,
        module,
        version,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().collect())
}

/// The view that a view inherits from, the one that that one inherits from, and so on, nearest first.
pub async fn ancestors(tx: &mut TenantTx, xmlid: &str, version: Option<&str>) -> Result<Vec<Definition>, DbError> {
    let rows = sqlx::query!(
        r#"with recursive up (name, level) as (
               select target, 1 from knowledge_symbols
                where kind in ('view', 'template') and name = $1 and target is not null and ($2::text is null or version = $2)
               union
               select s.target, up.level + 1 from up join knowledge_symbols s on s.name = up.name and s.kind in ('view', 'template')
                where s.target is not null and up.level < $3 and ($2::text is null or s.version = $2)
           )
           select distinct on (up.level, s.name, s.version, s.chunk_id) up.level as "level!", s.chunk_id, coalesce(s.module, '') as "module!",
                  s.version, s.file, s.line
             from up join knowledge_symbols s on s.name = up.name and s.kind in ('view', 'template') and ($2::text is null or s.version = $2)
            order by up.level, s.name, s.version, s.chunk_id limit 50"#,
        xmlid,
        version,
        MAX_DEPTH,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Definition {
            chunk: row.chunk_id,
            module: row.module,
            version: row.version,
            file: row.file,
            line: row.line,
            depth: row.level,
        })
        .collect())
}

/// All parts of the view that this one is or is a part of, in the order in which Odoo applies them: together they are the combined view. A primary
/// view begins a view of its own, which nothing of its siblings is a part of; it comes after all that extends the one that it starts from.
pub async fn combined_view(tx: &mut TenantTx, modules: &Modules, xmlid: &str, version: Option<&str>) -> Result<Vec<Definition>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"with recursive up (name, level) as (
               select $1::text, 0
               union
               select s.target, up.level + 1 from up join knowledge_symbols s on s.name = up.name and s.kind in ('view', 'template')
                where s.target is not null and up.level < $3 and ($2::text is null or s.version = $2)
           ), down (name, level) as (
               (select name, 0 from up order by up.level desc limit 1)
               union
               select s.name, down.level + case when s.detail ->> 'mode' = 'primary' then 100 else 1 end
                 from down join knowledge_symbols s on s.target = down.name and s.kind in ('view', 'template')
                where down.level % 100 < $3 and down.level < 100 * $3 and ($2::text is null or s.version = $2)
                  and (s.detail ->> 'mode' is distinct from 'primary' or s.name in (select name from up))
           )
           select s.chunk_id as chunk, coalesce(s.module, '') as "module!", s.version, s.file, s.line, min(down.level) as "level!"
             from down join knowledge_symbols s on s.name = down.name and s.kind in ('view', 'template') and ($2::text is null or s.version = $2)
            group by 1, 2, 3, 4, 5 order by 6, 2, 4, 5 limit 500"#,
        xmlid,
        version,
        MAX_DEPTH,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(in_order(rows, modules))
}

/// Every definition of a method of an Odoo model, also those that it inherits from mixins, in the order in which addons are loaded.
pub async fn overrides(
    tx: &mut TenantTx,
    modules: &Modules,
    odoo_model: &str,
    method: &str,
    version: Option<&str>,
) -> Result<Vec<Definition>, DbError> {
    defined(tx, modules, ("method", odoo_model, method), version).await
}

/// Every definition of a field of an Odoo model, likewise.
pub async fn fields(
    tx: &mut TenantTx,
    modules: &Modules,
    odoo_model: &str,
    field: &str,
    version: Option<&str>,
) -> Result<Vec<Definition>, DbError> {
    defined(tx, modules, ("field", odoo_model, field), version).await
}

async fn defined(
    tx: &mut TenantTx,
    modules: &Modules,
    (kind, odoo_model, name): (&str, &str, &str),
    version: Option<&str>,
) -> Result<Vec<Definition>, DbError> {
    // What a mixin defines comes before what the Odoo model itself does, however deep their addons: the further up, the lower the level.
    let rows = sqlx::query_as!(
        Row,
        r#"with recursive lineage (odoo_model, level) as (
               select $2::text, 0
               union
               select s.target, l.level - 1 from lineage l join knowledge_symbols s on s.odoo_model = l.odoo_model and s.kind in ('inherit', 'delegate')
                where s.target is not null and l.level > - $5::int and ($4::text is null or s.version = $4)
           )
           select s.chunk_id as chunk, coalesce(s.module, '') as "module!", s.version, s.file, s.line, max(l.level) as "level!"
             from (select odoo_model, max(level) as level from lineage group by odoo_model) l
             join knowledge_symbols s on s.odoo_model = l.odoo_model and s.kind = $1 and s.name = $3 and ($4::text is null or s.version = $4)
            group by 1, 2, 3, 4, 5 limit 500"#,
        kind,
        odoo_model,
        name,
        version,
        MAX_DEPTH,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(in_order(rows, modules))
}

/// The addons that make an Odoo model and do not merely extend it, the deepest last.
pub async fn owners(tx: &mut TenantTx, modules: &Modules, odoo_model: &str, version: Option<&str>) -> Result<Vec<Definition>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select chunk_id as chunk, coalesce(module, '') as "module!", version, file, line, 0 as "level!" from knowledge_symbols
            where kind = 'class' and odoo_model = $1 and detail @> '{"defines": true}' and ($2::text is null or version = $2) limit 200"#,
        odoo_model,
        version,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(in_order(rows, modules))
}

struct Row {
    chunk: Uuid,
    module: String,
    version: String,
    file: String,
    line: i32,
    /// What has a lower one comes first, however deep its addon.
    level: i32,
}

fn in_order(mut rows: Vec<Row>, modules: &Modules) -> Vec<Definition> {
    rows.sort_by_cached_key(|row| (row.level, modules.depth(&row.module), row.module.clone(), row.file.clone(), row.line));
    rows.into_iter()
        .map(|Row { chunk, module, version, file, line, .. }| Definition {
            depth: modules.depth(&module),
            chunk,
            module,
            version,
            file,
            line,
        })
        .collect()
}
