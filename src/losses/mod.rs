//! What a patch takes away or changes in meaning: an error can be made to go away by losing what it was about.
//!
//! Both sides of a patch are read into facts (a value that is written, a term of a domain, an element of a view, a right), wherever they
//! stand in the addon; what the sources before the patch state and those after it do not is held against what was added. One name in
//! place of another is no loss where the old one stood for nothing and the new one for the same thing.
//! It judges patches by their text alone and never runs, changes or refuses one.

mod added;
mod changes;
mod compare;
mod expr;
mod facts;
mod fields;
mod judge;
mod known;
mod manifest;
mod python;
mod reach;
mod rights;
mod rows;
mod text;
mod xml;

#[cfg(test)]
mod tests;

pub use reach::reaches;

use std::collections::BTreeSet;

use crate::domain::{FileChange, Location, Loss, LossKind, Patch};
use crate::odoo::Addon;
use crate::odoo::source::{Index, ModuleFacts};
use crate::rules::edit::MAX_FILE;
use crate::rules::known::{Renaming, addon_renaming};
use facts::Facts;
use judge::Judge;
use known::Known;

/// Everything that `patch` takes away from `addon` or changes in meaning, in the order of files and lines; empty if nothing is lost.
///
/// `addon` is as it was before the patch, and so is what `index` knows of the sources.
pub fn losses(addon: &Addon, patch: &Patch, index: Index<'_>) -> Vec<Loss> {
    let name = addon.name().as_str();
    let patched = addon.with(patch);
    let (was, is) = (ModuleFacts::of(addon), ModuleFacts::of(&patched));
    let (index_before, index_after) = (index.with(name, &was), index.with(name, &is));
    let mut scope = index_before.installed(name);
    scope.extend(index_after.installed(name));
    let judge = Judge { before: Known::new(index_before, scope.clone()), after: Known::new(index_after, scope) };
    let (mut before, mut after) = (Facts::default(), Facts::default());
    let mut found = Vec::new();
    for change in patch.changes().iter().filter(|change| change.path.module() == name) {
        let old = change.before.as_deref().unwrap_or_default();
        if old.len() > MAX_FILE || change.after.len() > MAX_FILE {
            found.push(unread(change));
            continue;
        }
        match both(change, addon, &patched, &judge) {
            Some((was, is)) => {
                before.extend(was);
                after.extend(is);
                found.extend(changes::of_facts(change));
            }
            None => found.extend(text::losses(change, &judge)),
        }
    }
    found.extend(changes::of_fields(&before, &after));
    found.extend(rights::added(patch, &before, &after));
    found.extend(compare::losses(&before, &after, &judge));
    in_order(found)
}

impl Facts {
    fn extend(&mut self, other: Self) {
        self.facts.extend(other.facts);
        self.units.extend(other.units);
    }
}

/// The facts of both sides of a change; `None` if either cannot be read as what it is.
fn both<'a>(change: &FileChange, addon: &Addon, patched: &Addon, judge: &'a Judge<'a>) -> Option<(Facts, Facts)> {
    let path = change.path.as_str();
    let old = change.before.as_deref();
    let (_, extension) = path.rsplit_once('.')?;
    let within = change.path.within_module();
    match extension {
        "py" if matches!(within, "__manifest__.py" | "__openerp__.py") => {
            let was = old.map_or(Some(Facts::default()), |text| manifest::facts(path, text, addon, &judge.before, true))?;
            let mut is = manifest::facts(path, &change.after, patched, &judge.after, false)?;
            // An addon that another one brings along is still there.
            if let Some(depends) =
                patched.manifest().map(|manifest| manifest.texts("depends").into_iter().map(str::to_owned).collect::<Vec<_>>())
            {
                let brought = judge.after.index.closure_of(depends.iter().map(String::as_str));
                let is_brought =
                    |name: &str| brought.contains(name) || brought.iter().any(|new| addon_renaming(name, new) == Some(Renaming::Same));
                let kept = was.facts.iter().filter(|fact| fact.content == "depends" && is_brought(&fact.key));
                let kept: Vec<_> = kept.filter(|fact| !depends.contains(&fact.key)).cloned().collect();
                is.facts.extend(kept);
            }
            Some((was, is))
        }
        "py" => {
            let was = old.map_or(Some(Facts::default()), |text| python::facts(path, text, addon, &judge.before))?;
            Some((was, python::facts(path, &change.after, patched, &judge.after)?))
        }
        "xml" => {
            let was = old.map_or(Some(Facts::default()), |text| xml::facts(path, text, &judge.before))?;
            Some((was, xml::facts(path, &change.after, &judge.after)?))
        }
        "csv" => Some((old.map_or(Some(Facts::default()), |text| rows::csv(path, text))?, rows::csv(path, &change.after)?)),
        "po" => Some((old.map(|text| rows::translations(path, text)).unwrap_or_default(), rows::translations(path, &change.after))),
        _ => None,
    }
}

fn unread(change: &FileChange) -> Loss {
    let place = Location { path: change.path.to_string(), line: None };
    Loss { kind: LossKind::Behaviour, place, what: "the file is too large to be compared".to_owned() }
}

/// Sorted, each place and sentence once; what is lost in tests is a loss of tests.
fn in_order(mut found: Vec<Loss>) -> Vec<Loss> {
    for loss in &mut found {
        let within = loss.place.path.split_once('/').map_or("", |(_, within)| within);
        if within.starts_with("tests/") && within.ends_with(".py") {
            loss.kind = LossKind::Test;
        }
    }
    found.sort_by(|a, b| (&a.place.path, a.place.line, a.kind, &a.what).cmp(&(&b.place.path, b.place.line, b.kind, &b.what)));
    let mut seen = BTreeSet::new();
    found.retain(|loss| seen.insert((loss.place.path.clone(), loss.place.line, loss.what.clone())));
    found
}
