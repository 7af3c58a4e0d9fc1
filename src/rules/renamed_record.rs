//! What: a record of Odoo's that has another external id is named by it: a row of the table, a record of an addon that was merged into
//! another, or an Odoo model (`model_…`) that has another name.
//!
//! Why: `External ID not found in the system`, or the same from a CSV file.
//! Before: `ref="uom.uom_square_meter"`. After: `ref="uom.product_uom_square_meter"`.
//! Safe where it is the same record; not where the new one only comes nearest, or Odoo's own sources are not known. Where they are, it must be there.
//! Since: each row of `changes/records.csv` says it; rows of a version that was not run are not sure.

use std::collections::BTreeSet;

use super::external_id;
use super::meaning::UNKNOWN_SOURCES;
use super::moved::{self, Fate};
use super::scope::{Scope, missing_id};
use super::{Case, Proposal, Rule, changed_by, differences, graded};
use crate::domain::ErrorClass;
use crate::odoo::Addon;
use crate::odoo::source::Names;

/// The rule.
pub(super) const RULE: Rule =
    Rule { name: "renamed_record", classes: &[ErrorClass::ExternalIdMissing, ErrorClass::CsvInvalid], since: 16, propose };

/// How many ids are replaced at once.
const MOST: usize = 100;

/// A record under its new external id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Renamed {
    old: String,
    new: String,
    /// Why it may not be the same record; `None` if it is.
    pub(super) doubt: Option<String>,
}

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(wrong) = missing_id(case) else { return Vec::new() };
    let Some(first) = of(case, &wrong) else { return Vec::new() };
    let summary = format!("{wrong} is {} now: what names it follows.", first.new);
    let doubt = first.doubt.clone();
    let mut all = renamed(case, |id| id != wrong).into_iter().filter(|other| doubt.is_none() && other.doubt.is_none()).collect::<Vec<_>>();
    all.insert(0, first);
    let changes = differences(case.addon, &replaced(case, case.addon.clone(), &all));
    graded(summary, doubt, changes)
}

/// What a record that is not there is called now.
pub(super) fn of(case: &Case<'_>, old: &str) -> Option<Renamed> {
    let Fate::Named { name, doubt } = moved::record(case.version.major(), old)? else { return None };
    let renamed = |new: String, doubt: Option<String>| Some(Renamed { old: old.to_owned(), new, doubt });
    let Some(scope) = Scope::of(case) else { return renamed(name, doubt.or_else(|| Some(UNKNOWN_SOURCES.to_owned()))) };
    let everything: Names = scope.index.modules().map(|(name, _)| name.to_owned()).collect();
    let odoo_models = scope.index.odoo_models(&everything);
    let known = |written: &str| odoo_models.iter().copied().find(|known| known.replace('.', "_") == written);
    // The addon itself has an id for what it merely names.
    let own = old.split_once(".model_").filter(|(module, _)| *module == scope.module);
    if own.map_or_else(|| scope.index.has_id(old, &everything), |(_, written)| known(written).is_some()) {
        return None;
    }
    if scope.index.has_id(&name, &everything) {
        return renamed(name, doubt);
    }
    // The id of an Odoo model stands with those that define or extend it; the addon itself will, once it names it as it is called now.
    let (module, written) = name.split_once(".model_")?;
    if module == scope.module {
        return renamed(name.clone(), doubt);
    }
    let owner = scope.index.owners(known(written)?).into_iter().next()?;
    renamed(format!("{owner}.model_{written}"), doubt)
}

/// The records that the addon names, of those that `wanted` takes, under their new ids.
pub(super) fn renamed(case: &Case<'_>, wanted: impl Fn(&str) -> bool) -> BTreeSet<Renamed> {
    let texts = ["py", "xml", "csv"].into_iter().flat_map(|extension| case.addon.texts(extension)).map(|(_, text)| text);
    let words = texts.flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))));
    let own = |word: &str| if word.starts_with("model_") { format!("{}.{word}", case.addon.name()) } else { word.to_owned() };
    let ids: BTreeSet<String> = words.map(own).filter(|id| moved::record(case.version.major(), id).is_some() && wanted(id)).collect();
    ids.into_iter().filter_map(|id| of(case, &id)).take(MOST).collect()
}

/// The addon with these ids, wherever it names them.
pub(super) fn replaced<'r>(case: &Case<'_>, addon: Addon, ids: impl IntoIterator<Item = &'r Renamed>) -> Addon {
    ids.into_iter().fold(addon, |addon, id| {
        let changes = external_id::files(&Case { addon: &addon, ..*case }, &id.old, &id.new);
        changed_by(addon, changes)
    })
}

#[cfg(test)]
mod tests;
