//! A constraint that the database named, back to the code that asked for it.

use sqlx::Row;
use uuid::Uuid;

use super::exact::fields;
use super::found::{Candidate, Scope};
use crate::db::{DbError, TenantTx};

/// The most ways in which the name of a constraint is read.
const MAX_SPLITS: usize = 12;
/// The longest name of a constraint that PostgreSQL has.
const MAX_NAME: usize = 63;

/// The Odoo model and the rest of the name, each way of reading it, the longest table first: `sale_order_line_qty_check` does not say where
/// the name of the table ends.
fn splits(name: &str) -> Vec<(String, &str)> {
    let splits = name.match_indices('_').filter(|(at, _)| *at > 0).map(|(at, _)| (name[..at].replace('_', "."), &name[at + 1..]));
    let mut splits: Vec<(String, &str)> = splits.filter(|(_, rest)| !rest.is_empty()).take(MAX_SPLITS).collect();
    splits.reverse();
    splits
}

/// Where this constraint is declared: in the class, or, of a foreign key, by its field.
pub(super) async fn declared(tx: &mut TenantTx, scope: &Scope, name: &str) -> Result<Vec<Candidate>, DbError> {
    if name.len() > MAX_NAME {
        return Ok(Vec::new());
    }
    let splits = splits(name);
    if !name.ends_with("_fkey") {
        return in_classes(tx, scope, &splits).await;
    }
    let known = known(tx, scope, &splits).await?;
    for (odoo_model, rest) in splits.iter().filter(|(odoo_model, _)| known.contains(odoo_model)) {
        let found = fields(tx, scope, odoo_model, rest.trim_end_matches("_fkey")).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

async fn known(tx: &mut TenantTx, scope: &Scope, splits: &[(String, &str)]) -> Result<Vec<String>, DbError> {
    let odoo_models: Vec<&str> = splits.iter().map(|(odoo_model, _)| odoo_model.as_str()).collect();
    let sql = "select distinct odoo_model from knowledge_symbols where kind = 'class' and odoo_model = any($1) and ($2::text is null or version = $2)";
    Ok(sqlx::query_scalar(sql).bind(&odoo_models).bind(scope.version.as_deref()).fetch_all(tx.conn()).await?)
}

async fn in_classes(tx: &mut TenantTx, scope: &Scope, splits: &[(String, &str)]) -> Result<Vec<Candidate>, DbError> {
    let odoo_models: Vec<&str> = splits.iter().map(|(odoo_model, _)| odoo_model.as_str()).collect();
    let rests: Vec<&str> = splits.iter().map(|(_, rest)| *rest).collect();
    let rows = sqlx::query(
        "select k.id, k.odoo_model, k.start_line, k.content
           from unnest($1::text[], $2::text[]) as w (odoo_model, rest)
           join knowledge k on k.odoo_model = w.odoo_model and k.kind = 'class' and strpos(k.content, w.rest) > 0
          where k.path in (select file from knowledge_symbols
                            where kind = 'class' and odoo_model = any($1) and ($3::text is null or version = $3))
            and ($3::text is null or k.odoo_version = $3) and ($4::text[] is null or k.module = any($4))
          order by length(k.odoo_model) desc, k.path, k.start_line, k.id limit 50",
    )
    .bind(&odoo_models)
    .bind(&rests)
    .bind(scope.version.as_deref())
    .bind(scope.within.as_deref())
    .fetch_all(tx.conn())
    .await?;
    let mut found = Vec::new();
    for row in rows {
        let (id, odoo_model, content): (Uuid, String, String) = (row.try_get("id")?, row.try_get("odoo_model")?, row.try_get("content")?);
        let start: i32 = row.try_get::<Option<_>, _>("start_line")?.unwrap_or_default();
        let Some((_, rest)) = splits.iter().find(|(known, _)| *known == odoo_model) else { continue };
        if let Some(line) = declaration(&content, rest) {
            found.push(Candidate::new(id, 1.0, format!("declares the constraint {rest} of {odoo_model}")).at(start + line));
        }
    }
    Ok(found)
}

/// The line, counted from 0, that declares a constraint: as an attribute, or in a list with its name.
fn declaration(class: &str, name: &str) -> Option<i32> {
    let declares = |line: &str| {
        let line = line.trim_start();
        let attribute =
            line.strip_prefix('_').and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.trim_start().starts_with('='));
        attribute || ['\'', '"'].iter().any(|quote| line.contains(&format!("{quote}{name}{quote},")))
    };
    class.lines().position(declares).and_then(|line| i32::try_from(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_way() {
        let read = splits("shop_order_name_uniq");
        let read: Vec<(&str, &str)> = read.iter().map(|(odoo_model, rest)| (odoo_model.as_str(), *rest)).collect();
        assert_eq!(read, [("shop.order.name", "uniq"), ("shop.order", "name_uniq"), ("shop", "order_name_uniq")]);
        for garbage in ["", "_", "__", "name", "name_", &"a_".repeat(500)] {
            assert!(splits(garbage).len() <= MAX_SPLITS);
        }
    }

    #[test]
    fn both_forms_declare() {
        assert_eq!(declaration("class A:\n    _name_uniq = models.Constraint(\n        'unique(name)',\n    )", "name_uniq"), Some(1));
        assert_eq!(
            declaration("class A:\n    _sql_constraints = [\n        ('name_uniq', 'unique(name)', \"Text\")]", "name_uniq"),
            Some(2)
        );
        assert_eq!(declaration("class A:\n    _my_name_uniq = 1\n    _name_uniq_2 = 1\n    x = 'name_uniq'\n", "name_uniq"), None);
    }
}
