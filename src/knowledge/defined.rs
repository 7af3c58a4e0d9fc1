//! Questions with one exact answer: the parts of a view, the overrides of a method or field, who makes an Odoo model.

use std::collections::HashMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx::Row;
use uuid::Uuid;

use super::{Knowledge, graph};
use crate::db::{DbError, TenantTx};
use crate::domain::{Failure, OdooVersion, TenantId};

/// The bytes of the longest name; Odoo's own end at 63.
const MAX_NAME: usize = 200;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sought {
    /// All parts of a view, by the external id of any of them.
    View,
    /// Every definition of a method of an Odoo model: `sale.order.action_confirm`.
    Method,
    /// Every definition of a field of an Odoo model: `sale.order.partner_id`.
    Field,
    /// The addons that make an Odoo model: `sale.order`.
    Owner,
}

impl FromStr for Sought {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "view" => Ok(Self::View),
            "method" => Ok(Self::Method),
            "field" => Ok(Self::Field),
            "owner" => Ok(Self::Owner),
            _ => Err("use view, method, field or owner"),
        }
    }
}

/// A question.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What of.
    pub kind: Sought,
    /// Its name.
    pub name: String,
    /// The series; all that are known without one.
    pub version: Option<OdooVersion>,
}

/// One place that defines or extends it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Defined {
    /// The addon.
    pub module: String,
    /// The series.
    pub version: String,
    /// `module/path/file.py`.
    pub path: String,
    /// The line, counted from 1.
    pub line: i32,
    /// How many addons lie below its own.
    pub depth: i32,
    /// Function, class or record.
    pub symbol: Option<String>,
    /// The text that it stands in.
    pub text: String,
}

impl Knowledge {
    /// Every place that defines what is asked for, in the order in which Odoo loads or applies them. Empty if nothing does.
    pub async fn defined(&self, tenant: &TenantId, question: &Question) -> Result<Vec<Defined>, Failure> {
        let name = question.name.trim();
        if name.is_empty() || name.len() > MAX_NAME || name.contains(char::is_control) {
            return Err(Failure::bad_input(format!("a name has 1 to {MAX_NAME} bytes, none of them a control character")));
        }
        let version = question.version.as_ref().map(OdooVersion::as_str);
        let mut tx = self.db.tenant(tenant).await?;
        let modules = self.modules.get(&mut tx, version).await?;
        let found = match question.kind {
            Sought::View => graph::combined_view(&mut tx, &modules, name, version).await?,
            Sought::Method => {
                let (odoo_model, method) = member(name)?;
                graph::overrides(&mut tx, &modules, odoo_model, method, version).await?
            }
            Sought::Field => {
                let (odoo_model, field) = member(name)?;
                graph::fields(&mut tx, &modules, odoo_model, field, version).await?
            }
            Sought::Owner => graph::owners(&mut tx, &modules, name, version).await?,
        };
        Ok(with_texts(&mut tx, found).await?)
    }
}

fn member(name: &str) -> Result<(&str, &str), Failure> {
    name.rsplit_once('.')
        .filter(|(odoo_model, member)| !odoo_model.is_empty() && !member.is_empty())
        .ok_or_else(|| Failure::bad_input(format!("{name:?} is no member of an Odoo model; write it as sale.order.action_confirm")))
}

async fn with_texts(tx: &mut TenantTx, found: Vec<graph::Definition>) -> Result<Vec<Defined>, DbError> {
    let ids: Vec<Uuid> = found.iter().map(|definition| definition.chunk).collect();
    let rows = sqlx::query("select id, path, symbol, content from knowledge where id = any($1)").bind(&ids).fetch_all(tx.conn()).await?;
    let mut texts: HashMap<Uuid, (Option<String>, Option<String>, String)> = HashMap::new();
    for row in rows {
        texts.insert(row.try_get("id")?, (row.try_get("path")?, row.try_get("symbol")?, row.try_get("content")?));
    }
    let defined = |definition: graph::Definition| {
        let (path, symbol, text) = texts.get(&definition.chunk)?.clone();
        let graph::Definition { module, version, file, line, depth, .. } = definition;
        Some(Defined { module, version, path: path.unwrap_or(file), line, depth, symbol, text })
    };
    Ok(found.into_iter().filter_map(defined).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_with_their_odoo_model() {
        assert_eq!(member("sale.order.action_confirm").unwrap(), ("sale.order", "action_confirm"));
        assert!(["", ".", "name", ".x", "x."].iter().all(|name| member(name).is_err()));
    }
}
