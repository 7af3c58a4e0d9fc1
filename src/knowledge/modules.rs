//! The addons of a series, what they depend on and who inherits from whom: loaded as a whole, and kept for as long as nothing that is known
//! has changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use moka::sync::Cache;

use super::cache::changes;
use crate::db::{DbError, TenantTx};
use crate::domain::TenantId;

/// How many series of how many tenants are kept.
const MAX_KEPT: u64 = 64;

/// One addon.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) depends: Vec<String>,
    /// The addons with which it installs itself, if it does so.
    pub(super) auto_install: Option<Vec<String>>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Modules {
    pub(super) all: Vec<Module>,
    /// From each Odoo model to those that it inherits from.
    pub(super) lineage: BTreeMap<String, Vec<String>>,
    depths: BTreeMap<String, i32>,
}

impl Modules {
    fn of(all: Vec<Module>, lineage: BTreeMap<String, Vec<String>>) -> Self {
        // The same addon may come from several sources.
        let mut depends: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for module in &all {
            depends.entry(&module.name).or_default().extend(module.depends.iter().map(String::as_str));
        }
        let mut depths = BTreeMap::new();
        for name in depends.keys() {
            depth(name, &depends, &mut depths, 0);
        }
        Self { depths, all, lineage }
    }

    /// How many addons lie below this one: one that depends on nothing but `base` is 1. The order in which Odoo loads them, where one depends on
    /// the other.
    pub fn depth(&self, module: &str) -> i32 {
        self.depths.get(module).copied().unwrap_or(0)
    }

    /// How many steps of dependence lie between an addon and each other one that it needs or that needs it, however indirectly.
    pub fn steps(&self, root: &str) -> HashMap<String, u32> {
        let mut needs: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut needed: HashMap<&str, Vec<&str>> = HashMap::new();
        for module in &self.all {
            for other in &module.depends {
                needs.entry(&module.name).or_default().push(other);
                needed.entry(other).or_default().push(&module.name);
            }
        }
        let mut steps = HashMap::from([(root.to_owned(), 0)]);
        for way in [needs, needed] {
            let (mut at, mut step) = (vec![root], 0);
            while !at.is_empty() {
                step += 1;
                let next = at.iter().filter_map(|name| way.get(name)).flatten().copied();
                let next: Vec<&str> = next.filter(|name| steps.get(*name).is_none_or(|known| *known > step)).collect();
                steps.extend(next.iter().map(|name| ((*name).to_owned(), step)));
                at = next;
            }
        }
        steps
    }

    async fn load(tx: &mut TenantTx, version: Option<&str>) -> Result<Self, DbError> {
        let rows =
            sqlx::query!("select module, depends, auto_install from knowledge_modules where $1::text is null or version = $1", version)
                .fetch_all(tx.conn())
                .await?;
        let all = rows.into_iter().map(|row| Module { name: row.module, depends: row.depends, auto_install: row.auto_install }).collect();
        let rows = sqlx::query!(
            r#"select distinct odoo_model as "odoo_model!", target as "target!" from knowledge_symbols
                where kind = 'inherit' and odoo_model is not null and target is not null and ($1::text is null or version = $1)"#,
            version
        )
        .fetch_all(tx.conn())
        .await?;
        let mut lineage: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows {
            lineage.entry(row.odoo_model).or_default().push(row.target);
        }
        Ok(Self::of(all, lineage))
    }
}

fn depth(module: &str, depends: &BTreeMap<&str, Vec<&str>>, known: &mut BTreeMap<String, i32>, level: u32) -> i32 {
    if let Some(depth) = known.get(module) {
        return *depth;
    }
    // Kept before it is known, so that addons that depend on each other in a circle come to an end.
    known.insert(module.to_owned(), 0);
    let below = depends.get(module).map(Vec::as_slice).unwrap_or_default();
    let deepest = if level > 200 { 0 } else { below.iter().map(|name| depth(name, depends, known, level + 1) + 1).max().unwrap_or(0) };
    known.insert(module.to_owned(), deepest);
    deepest
}

/// Modules with the number of changes that they were loaded after.
type Kept = (i64, Arc<Modules>);

/// Those that were loaded before, by tenant and series.
#[derive(Debug, Clone)]
pub struct KeptModules(Cache<(TenantId, Option<String>), Kept>);

impl Default for KeptModules {
    fn default() -> Self {
        Self(Cache::new(MAX_KEPT))
    }
}

impl KeptModules {
    /// The addons of a series, of all series where none is named, as this tenant may see them.
    pub async fn get(&self, tx: &mut TenantTx, version: Option<&str>) -> Result<Arc<Modules>, DbError> {
        let key = (tx.tenant().clone(), version.map(str::to_owned));
        let changes = changes(tx).await?;
        if let Some((_, modules)) = self.0.get(&key).filter(|(made, _)| *made == changes) {
            return Ok(modules);
        }
        let modules = Arc::new(Modules::load(tx, version).await?);
        self.0.insert(key, (changes, modules.clone()));
        Ok(modules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(of: &[(&str, &[&str])]) -> Modules {
        let module = |(name, depends): &(&str, &[&str])| Module {
            name: (*name).to_owned(),
            depends: depends.iter().map(|name| (*name).to_owned()).collect(),
            auto_install: None,
        };
        Modules::of(of.iter().map(module).collect(), BTreeMap::new())
    }

    #[test]
    fn depth_counts_what_lies_below() {
        let modules = modules(&[("base", &[]), ("web", &["base"]), ("sale", &["web", "base"]), ("x", &["unknown"])]);
        assert_eq!(["base", "web", "sale", "x", "nothing"].map(|name| modules.depth(name)), [0, 1, 2, 1, 0]);
    }

    #[test]
    fn steps_go_down_and_up_but_not_aside() {
        let modules = modules(&[("base", &[]), ("web", &["base"]), ("sale", &["web"]), ("mine", &["sale", "base"]), ("crm", &["web"])]);
        let steps = modules.steps("sale");
        let of = |name: &str| steps.get(name).copied();
        assert_eq!(["sale", "web", "base", "mine", "crm", "x"].map(of), [Some(0), Some(1), Some(2), Some(1), None, None]);
        assert_eq!(modules.steps("nothing").len(), 1);
    }

    #[test]
    fn circles_come_to_an_end() {
        let modules = modules(&[("a", &["b"]), ("b", &["a"])]);
        assert_eq!(modules.steps("a"), HashMap::from([("a".to_owned(), 0), ("b".to_owned(), 1)]));
        assert!(modules.depth("a") <= 2 && modules.depth("b") <= 2);
    }
}
