//! What: the addon that has what is missing is added to `depends`.
//!
//! Why: an Odoo model, field, record, view element or method is named that another addon brings, on which this one does not depend.
//! Before: `"depends": ["base"]`, with `_inherit = "mail.thread"`. After: `"depends": ["base", "mail"]`.
//! Which one: the one that gives most of what the addon names elsewhere too; of those, the one that itself depends on least.
//! Since: any Odoo.

mod names;

use std::collections::BTreeSet;

use names::needs;

use super::edit::manifest as edit;
use super::scope::{Scope, missing_field, missing_id, missing_model, said};
use super::view_anchor::wanted_names;
use super::{Case, FileChange, Proposal, Rule, change, graded};
use crate::domain::ErrorClass;
use crate::odoo::source::Names;

/// The rule.
pub(super) const RULE: Rule = Rule {
    name: "missing_depends",
    classes: &[
        ErrorClass::ModelMissing,
        ErrorClass::FieldReferenceBroken,
        ErrorClass::ExternalIdMissing,
        ErrorClass::CsvInvalid,
        ErrorClass::FieldInvalid,
        ErrorClass::ViewUnknownField,
        ErrorClass::ViewAnchorMissing,
        ErrorClass::ViewInvalidAction,
        ErrorClass::ViewInvalid,
        ErrorClass::AttributeMissing,
        ErrorClass::Other,
    ],
    since: 0,
    propose,
};

/// How many are proposed.
const MOST: usize = 3;
/// How many addons are added at once; an addon that lacks more was not merely forgotten to be named.
const MOST_AT_ONCE: usize = 4;

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let Some((what, owners)) = missing(case, &scope) else { return Vec::new() };
    if owners.is_empty() || owners.iter().any(|owner| scope.names.contains(*owner)) {
        return Vec::new();
    }
    let needs = needs(case, &scope);
    let sets = ranked(&scope, &owners, &needs);
    let own = own_name(case, &scope);
    // Where one way brings all of another there is nothing to choose: it only lacks less.
    let doubt = |set: &Vec<&str>| {
        let closure = |set: &Vec<&str>| scope.index.closure_of(set.iter().copied());
        let holds = |one: &Vec<&str>, other: &Vec<&str>| {
            let closure = closure(one);
            other.iter().all(|name| closure.contains(*name))
        };
        let other = sets.iter().find(|other| *other != set && !holds(other, set) && !holds(set, other));
        own.clone().or_else(|| Some(format!("{} brings it too.", other?.join(" and "))))
    };
    sets.iter().take(MOST).flat_map(|set| add(case, &scope, &what, set, doubt(set))).collect()
}

/// What the error says is missing, and the addons that bring it.
fn missing<'a>(case: &Case<'a>, scope: &Scope<'a>) -> Option<(String, Vec<&'a str>)> {
    let index = scope.index;
    let owners = match case.report.class {
        ErrorClass::ExternalIdMissing | ErrorClass::CsvInvalid => {
            let id = missing_id(case)?;
            let (module, _) = id.split_once('.')?;
            let owner = index.modules().map(|(name, _)| name).find(|name| *name == module)?;
            let there = index.has_id(&id, &index.closure(owner));
            return there.then(|| (id, vec![owner]));
        }
        ErrorClass::ViewAnchorMissing => return anchor(case, scope),
        ErrorClass::ViewInvalidAction => {
            let [method, odoo_model] = said(case, r"(?m)^(\w+) is not a valid action on ([\w.]*\w)")?;
            return Some((format!("the method {method} of {odoo_model}"), with_method(scope, &odoo_model, &method)));
        }
        _ => missing_model(case).map(|odoo_model| (odoo_model.clone(), index.owners(&odoo_model))),
    };
    // A field may be missing from an Odoo model that is there.
    owners.filter(|(_, owners)| !owners.is_empty()).or_else(|| {
        let (odoo_model, field) = missing_field(case)?;
        let mut owners = with_field(scope, &odoo_model, &field);
        if owners.is_empty() && case.report.class == ErrorClass::AttributeMissing {
            owners = with_method(scope, &odoo_model, &field);
        }
        Some((format!("{odoo_model}.{field}"), owners))
    })
}

/// Why what is missing may be a slip: the addon itself gives that Odoo model a field or method whose name differs by one letter.
fn own_name(case: &Case<'_>, scope: &Scope<'_>) -> Option<String> {
    let (odoo_model, missing) = missing_field(case)?;
    let own = scope.index.classes(&odoo_model).into_iter().filter(|(module, _)| *module == scope.module);
    let near =
        own.flat_map(|(_, class)| class.fields.keys().chain(class.methods.keys())).find(|name| strsim::levenshtein(&missing, name) == 1)?;
    Some(format!("The addon itself has {odoo_model}.{near}, which may be meant."))
}

/// The addons that give an Odoo model a field, directly or by what they let it inherit.
fn with_field<'a>(scope: &Scope<'a>, odoo_model: &str, field: &str) -> Vec<&'a str> {
    through(scope, odoo_model, |index, name| index.modules_with_field(name, field))
}

fn with_method<'a>(scope: &Scope<'a>, odoo_model: &str, method: &str) -> Vec<&'a str> {
    through(scope, odoo_model, |index, name| {
        let classes = index.classes(name).into_iter().filter(|(_, class)| class.methods.contains_key(method));
        classes.map(|(module, _)| module).collect::<BTreeSet<_>>().into_iter().collect()
    })
}

/// Asks for an Odoo model and for those that the addons outside let it inherit.
fn through<'a>(scope: &Scope<'a>, odoo_model: &str, ask: impl Fn(&crate::odoo::source::Index<'a>, &str) -> Vec<&'a str>) -> Vec<&'a str> {
    let mut found = ask(&scope.index, odoo_model);
    for (module, class) in scope.index.classes(odoo_model) {
        let parents = class.inherit.iter().chain(class.delegates.keys()).filter(|parent| *parent != odoo_model);
        if !scope.names.contains(module) && parents.into_iter().any(|parent| !ask(&scope.index, parent).is_empty()) {
            found.push(module);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The addons whose views put an element of this name into the view that is extended.
fn anchor<'a>(case: &Case<'a>, scope: &Scope<'a>) -> Option<(String, Vec<&'a str>)> {
    let wanted = wanted_names(case, scope)?;
    let everything: Names = scope.index.modules().map(|(name, _)| name.to_owned()).collect();
    let brought = scope.index.anchors(&wanted.view, &everything, Some(&wanted.view));
    let (key, missing) = wanted.missing.first()?;
    let views = brought.iter().filter(|found| found.get(key) == Some(missing)).filter_map(|found| found.view.split_once('.'));
    let bringing: BTreeSet<&str> = views.map(|(module, _)| module).collect();
    let owners = scope.index.modules().map(|(name, _)| name).filter(|name| bringing.contains(*name)).collect();
    Some((format!("the element {missing:?} of {}", wanted.view), owners))
}

/// Sets of addons to add, the best first.
fn ranked<'a>(scope: &Scope<'a>, owners: &[&'a str], needs: &[Need<'a>]) -> Vec<Vec<&'a str>> {
    let fits = |with: &Names| owners.iter().any(|owner| with.contains(*owner));
    let pool: BTreeSet<&str> = owners.iter().copied().chain(needs.iter().flat_map(|need| need.owners.iter().copied())).collect();
    let lacking = |with: &Names| needs.iter().filter(|need| !need.met(with)).count();
    let mut single: Vec<(usize, usize, &str)> = Vec::new();
    for name in pool.iter().copied() {
        // What builds on this addon cannot be what it builds on.
        let closure = scope.index.closure(name);
        if fits(&closure) && !closure.contains(scope.module) {
            single.push((lacking(&closure), closure.len(), name));
        }
    }
    single.sort_unstable();
    let mut sets: Vec<Vec<&str>> = Vec::new();
    for (lacks, _, name) in &single {
        let set = if *lacks == 0 { vec![*name] } else { filled(scope, name, needs) };
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    // The least that mends the error itself, for where the rest was named on purpose without depending on it.
    let least = single.iter().filter(|(_, _, name)| owners.contains(name)).min_by_key(|(_, size, name)| (*size, *name));
    let least = least.map(|(_, _, name)| vec![*name]).filter(|set| !sets.iter().take(MOST).any(|known| known == set));
    sets.truncate(if least.is_some() { MOST - 1 } else { MOST });
    sets.extend(least);
    sets
}

/// One addon and those that it takes besides, for what it does not bring.
fn filled<'a>(scope: &Scope<'a>, first: &'a str, needs: &[Need<'a>]) -> Vec<&'a str> {
    let mut set = vec![first];
    while set.len() < MOST_AT_ONCE {
        let closure = scope.index.closure_of(set.iter().copied());
        let open: Vec<&Need<'_>> = needs.iter().filter(|need| !need.met(&closure)).collect();
        let Some(next) = open.iter().flat_map(|need| need.owners.iter().copied()).min_by_key(|name| {
            let with = scope.index.closure(name);
            (open.iter().filter(|need| !need.met(&with)).count(), with.len(), *name)
        }) else {
            break;
        };
        set.push(next);
    }
    // What a later one brings along need not be named itself.
    let brought = |name: &str| set.iter().any(|other| *other != name && scope.index.closure(other).contains(name));
    set.iter().copied().filter(|name| !brought(name)).collect()
}

/// Something that the addon names and does not have, with the addons that would bring it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Need<'a> {
    owners: Vec<&'a str>,
}

impl Need<'_> {
    fn met(&self, with: &Names) -> bool {
        self.owners.iter().any(|owner| with.contains(*owner))
    }
}

fn add(case: &Case<'_>, scope: &Scope<'_>, what: &str, set: &[&str], doubt: Option<String>) -> Vec<Proposal> {
    let manifest = || -> Option<FileChange> {
        let path = case.addon.path("__manifest__.py")?;
        let before = case.addon.text(&path)?;
        let mut text = before.to_owned();
        for name in set {
            text = edit::insert(&text, "depends", name, usize::MAX)?;
        }
        Some(change(&path, before, text))
    };
    let closure = scope.index.closure_of(set.iter().copied());
    let owner = match set {
        [only] if closure.len() > 1 => (*only).to_owned(),
        _ => set.join(" and "),
    };
    graded(
        format!("The addon names {what}, which it does not depend on: {owner} is added to `depends`."),
        doubt,
        manifest().into_iter().collect(),
    )
}

#[cfg(test)]
mod tests;
