//! What: an addon of Odoo's that has another name, or was merged into another, is named as it is now.
//!
//! Why: the addon that `depends` or an import names is not there any more.
//! Before: `"depends": ["hr_contract"]`, `from odoo.addons.hr_contract import …`, `ref="hr_contract.mt_contract_close"`.
//! After: `"depends": ["hr"]`, `from odoo.addons.hr import …`, `ref="hr.mt_contract_close"` if `hr` has that record.
//! Safe where the new one is the same; not where it was merged into one with contents of its own, or Odoo's own sources are not known.
//! Since: each row of `changes/addons.csv` says it; rows of a version that was not run are not sure.

use super::addon_name::{import_renamed, missing_addon};
use super::edit::{Edit, apply, manifest};
use super::meaning::UNKNOWN_SOURCES;
use super::moved::{self, Fate};
use super::renamed_record;
use super::scope::Scope;
use super::{Case, FileChange, Proposal, Rule, changed, changed_by, differences, graded, manifest_change};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule =
    Rule { name: "renamed_addon", classes: &[ErrorClass::DependencyMissing, ErrorClass::ImportModule], since: 16, propose };

/// An addon under its new name.
struct Renamed {
    old: String,
    new: String,
    doubt: Option<String>,
}

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(wrong) = missing_addon(case) else { return Vec::new() };
    let Some(first) = renamed(case, &wrong) else { return Vec::new() };
    let depends = case.addon.manifest().map(|manifest| manifest.texts("depends").into_iter().map(str::to_owned).collect::<Vec<_>>());
    let others = depends.unwrap_or_default().into_iter().filter(|name| *name != wrong);
    // What is not sure is not done by the way.
    let mut all: Vec<Renamed> =
        others.filter_map(|name| renamed(case, &name)).filter(|other| other.doubt.is_none() || first.doubt.is_some()).collect();
    let summary = format!("Odoo has {} in place of {wrong}: `depends`, imports and external ids follow.", first.new);
    let doubt = first.doubt.clone();
    all.insert(0, first);
    let mut addon = changed_by(case.addon.clone(), manifest_changes(case, &all).into_iter().collect());
    for Renamed { old, new, .. } in &all {
        let changes = changed(&addon, "py", |text| import_renamed(text, old, new));
        addon = changed_by(addon, changes);
    }
    let ids = renamed_record::renamed(case, |id| all.iter().any(|renamed| id.split('.').next() == Some(renamed.old.as_str())));
    let ids = ids.into_iter().filter(|id| id.doubt.is_none() || doubt.is_some()).collect::<Vec<_>>();
    let changes = differences(case.addon, &renamed_record::replaced(case, addon, &ids));
    graded(summary, doubt, changes)
}

/// What became of an addon that is not there; `None` if it is, or the new one is not.
fn renamed(case: &Case<'_>, old: &str) -> Option<Renamed> {
    let Fate::Named { name: new, doubt } = moved::addon(case.version.major(), old)? else { return None };
    let scope = Scope::of(case);
    let fits = scope.as_ref().is_none_or(|scope| scope.index.module(&new).is_some());
    (case.index.module(old).is_none() && fits).then(|| Renamed {
        old: old.to_owned(),
        new,
        doubt: doubt.or_else(|| scope.is_none().then(|| UNKNOWN_SOURCES.to_owned())),
    })
}

/// Each old name becomes the new one, once.
fn manifest_changes(case: &Case<'_>, all: &[Renamed]) -> Option<FileChange> {
    manifest_change(case.addon, |text, read| {
        let list = read.list("depends")?;
        let mut named: Vec<&str> = list.items.iter().map(|item| item.value.as_str()).collect();
        let (mut edits, mut gone) = (Vec::new(), Vec::new());
        for (place, item) in list.items.iter().enumerate() {
            let Some(Renamed { new, .. }) = all.iter().find(|renamed| renamed.old == item.value) else { continue };
            if named.contains(&new.as_str()) {
                gone.push(place);
            } else {
                edits.push(Edit::new(item.range.start + 1..item.range.end - 1, new.as_str()));
                named.push(new);
            }
        }
        edits.extend(manifest::removals(text, &list, &gone));
        apply(text, edits)
    })
}

#[cfg(test)]
mod tests;
