//! What: an Odoo model of Odoo's that has another name is named as it is now.
//!
//! Why: `_inherit`, a comodel, `self.env[…]` or a data file names an Odoo model that is not there any more.
//! Before: `_inherit = "stock.production.lot"`, `ref="stock.model_stock_production_lot"`.
//! After: `_inherit = "stock.lot"`, `ref="stock.model_stock_lot"`.
//! Safe where it is the same under another name; not where the new one holds more or other records, or Odoo's own sources are not known.
//! Where it holds more and a term of a domain tells those apart that the old one had, the domains that the addon asks it with get that term;
//! where they all ask for that field already, they find what they always found.
//! Since: each row of `changes/odoo_models.csv` says it; rows of a version that was not run are not sure.

pub(super) mod condition;

use std::collections::BTreeSet;

use super::meaning::UNKNOWN_SOURCES;
use super::model_name;
use super::moved::{self, Fate};
use super::renamed_record;
use super::scope::{Scope, missing_model};
use super::{Case, Proposal, Rule, changed, changed_by, differences, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule {
    name: "renamed_odoo_model",
    classes: &[ErrorClass::ModelMissing, ErrorClass::FieldReferenceBroken, ErrorClass::Other],
    since: 16,
    propose,
};

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(wrong) = missing_model(case) else { return Vec::new() };
    let Some((right, doubt)) = renamed(case, &wrong) else { return Vec::new() };
    let summary = format!("{wrong} is called {right} now: what names it follows.");
    let mut addon = case.addon.clone();
    // What is not sure is not done by the way, and what is sure does not wait for its own error.
    for old in named(case).into_iter().chain([wrong.clone()]).collect::<BTreeSet<_>>() {
        if let Some((new, _)) = renamed(case, &old).filter(|(_, other)| old == wrong || (doubt.is_none() && other.is_none())) {
            if let Some(term) = moved::condition(case.version.major(), &old) {
                let changes = changed(&addon, "py", |text| condition::added(text, &old, term));
                addon = changed_by(addon, changes);
            }
            let changes = model_name::renamed(&addon, &old, &new);
            addon = changed_by(addon, changes);
        }
    }
    let ids = renamed_record::renamed(case, |id| id.split_once('.').is_some_and(|(_, name)| name.starts_with("model_")));
    let ids = ids.into_iter().filter(|id| id.doubt.is_none() || doubt.is_some()).collect::<Vec<_>>();
    let changes = differences(case.addon, &renamed_record::replaced(case, addon, &ids));
    graded(summary, doubt, changes)
}

/// What an Odoo model that is not there is called now, and why that may not be the same.
fn renamed(case: &Case<'_>, old: &str) -> Option<(String, Option<String>)> {
    let Fate::Named { name: new, doubt } = moved::odoo_model(case.version.major(), old)? else { return None };
    // Where all that is asked of it is already said in the words of the new one, it gives the same records.
    let is_told = || moved::condition(case.version.major(), old).is_some_and(|term| condition::is_told(case.addon, old, term));
    let doubt = doubt.filter(|_| !is_told());
    let scope = Scope::of(case);
    let fits = scope.as_ref().is_none_or(|scope| !scope.index.owners(&new).is_empty());
    (case.index.owners(old).is_empty() && fits).then(|| (new, doubt.or_else(|| scope.is_none().then(|| UNKNOWN_SOURCES.to_owned()))))
}

/// The names with a dot that the addon's sources hold and that once were Odoo models.
fn named(case: &Case<'_>) -> BTreeSet<String> {
    let texts = case.addon.texts("py").chain(case.addon.texts("xml")).map(|(_, text)| text);
    let words = texts.flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))));
    let known = words.filter(|word| word.contains('.') && moved::odoo_model(case.version.major(), word).is_some());
    known.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
