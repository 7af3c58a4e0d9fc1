//! What: an addon of Odoo's that has another name, or was merged into another, is named as it is now.
//!
//! Why: the addon that `depends` or an import names is not there any more.
//! Before: `"depends": ["hr_contract"]`, `from odoo.addons.hr_contract import …`, `ref="hr_contract.mt_contract_close"`.
//! After: `"depends": ["hr"]`, `from odoo.addons.hr import …`, `ref="hr.mt_contract_close"` if `hr` has that record.
//! Safe where the new one is the same, or the old one was merged into it, and it brings all that is used here; not where Odoo's own sources
//! are not known.
//! Since: each row of `changes/addons.csv` says it; rows of a version that was not run are not sure.

use std::collections::BTreeSet;

use regex::Regex;

use super::addon_name::{import_renamed, missing_addon};
use super::edit::{Edit, apply, manifest};
use super::meaning::UNKNOWN_SOURCES;
use super::moved::{self, Fate};
use super::renamed_record;
use super::scope::{Scope, mentions};
use super::{Case, FileChange, Proposal, Rule, changed, changed_by, differences, graded, manifest_change};
use crate::domain::ErrorClass;
use crate::odoo::Addon;
use crate::odoo::source::ModuleFacts;

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
    let mut doubt = first.doubt.clone();
    all.insert(0, first);
    let mut addon = changed_by(case.addon.clone(), manifest_changes(case, &all).into_iter().collect());
    for Renamed { old, new, .. } in &all {
        let changes = changed(&addon, "py", |text| import_renamed(text, old, new));
        addon = changed_by(addon, changes);
    }
    let ids = renamed_record::renamed(case, |id| all.iter().any(|renamed| id.split('.').next() == Some(renamed.old.as_str())));
    let ids = ids.into_iter().filter(|id| id.doubt.is_none() || doubt.is_some()).collect::<Vec<_>>();
    let addon = renamed_record::replaced(case, addon, &ids);
    if doubt.is_none() {
        doubt = all.iter().find_map(|renamed| missed(case, &addon, &renamed.old, &renamed.new));
    }
    let changes = differences(case.addon, &addon);
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
        // Of what was merged into another everything is there; whether that is so of what is used here is looked up.
        doubt: doubt
            .filter(|_| !moved::came_along(case.version.major(), old))
            .or_else(|| scope.is_none().then(|| UNKNOWN_SOURCES.to_owned())),
    })
}

/// What the changed addon uses that the addon under its new name does not bring; `None` if there is nothing.
///
/// Another addon may have had the same name, and what was asked of the old one by its name would no longer be true.
fn missed(case: &Case<'_>, addon: &Addon, old: &str, new: &str) -> Option<String> {
    let facts = ModuleFacts::of(addon);
    let index = case.index.with(addon.name().as_str(), &facts);
    let names = index.closure(addon.name().as_str());
    let has = |odoo_model: &str| {
        let classes = index.classes(odoo_model);
        odoo_model == "base" || classes.iter().any(|(module, class)| names.contains(*module) && class.defines())
    };
    if let Some(lacking) = used_odoo_models(addon, &facts).into_iter().find(|odoo_model| !has(odoo_model)) {
        return Some(format!("It uses {lacking}, which {new} does not bring."));
    }
    let quoted = Regex::new(&format!(r#"["'(,\s]({0}(?:\.\w[\w.]*)?)["'),\s]"#, regex::escape(old))).ok()?;
    let is_installed = format!("module_{old}");
    if addon.files().filter_map(|(path, _)| addon.text(path)).any(|text| mentions(text, &is_installed) > 0) {
        return Some(format!("It asks for {is_installed}, the record of an addon that is not there."));
    }
    let counts = |path: &str| [".py", ".xml", ".csv"].iter().any(|end| path.ends_with(end)) && !path.ends_with("__manifest__.py");
    let texts = addon.files().filter(|(path, _)| counts(path.as_str())).filter_map(|(path, _)| addon.text(path));
    let mut left = texts.flat_map(|text| quoted.captures_iter(text)).filter_map(|found| found.get(1)).map(|name| name.as_str());
    left.find(|name| is_quoted_name(addon, name, old) && (*name == old || !has(name)))
        .map(|name| format!("It still names {name}, which {new} does not bring."))
}

/// Whether a name is not a mere word of a text.
fn is_quoted_name(addon: &Addon, name: &str, old: &str) -> bool {
    let quoted = |text: &str| [format!("\"{name}\""), format!("'{name}'")].iter().any(|part| text.contains(part.as_str()));
    name != old || addon.texts("py").filter(|(path, _)| !path.as_str().ends_with("__manifest__.py")).any(|(_, text)| quoted(text))
}

/// The Odoo models that an addon extends, leads to, asks for or brings records of.
fn used_odoo_models(addon: &Addon, facts: &ModuleFacts) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    for class in &facts.classes {
        found.extend(class.inherit.iter().chain(class.delegates.keys()).cloned());
        found.extend(class.fields.values().filter_map(|field| field.comodel.clone()));
    }
    let patterns =
        [r#"\benv\[["']([\w.]+)["']\]"#, r#"["']([\w.]+)["']\s+(?:not\s+)?in\s+(?:self\.)?env\b"#, r#"<record\b[^>]*\bmodel="([\w.]+)""#];
    for pattern in patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()) {
        let texts = addon.texts("py").chain(addon.texts("xml"));
        found.extend(texts.flat_map(|(_, text)| pattern.captures_iter(text).map(|model| model[1].to_owned()).collect::<Vec<_>>()));
    }
    found
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
