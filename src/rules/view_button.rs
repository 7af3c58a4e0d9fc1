//! What: a button that calls a method which its Odoo model does not have calls the one that is meant.
//!
//! Why: a slip in the name, or the method was renamed. A private method becomes the public one of the same name, if there is one.
//! Before: `<button name="action_confrm" type="object"/>`. After: `<button name="action_confirm" type="object"/>`.
//! Safe where Odoo's own method only has another name, or the name is clearly a misspelling of one.
//! Since: any Odoo.

use super::edit::{Edit, apply, xml};
use super::near::{self, ranked};
use super::renamed_method::{self, Successor};
use super::scope::{Scope, said};
use super::{Case, Proposal, Rule, changed, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "view_button", classes: &[ErrorClass::ViewInvalidAction], since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let Some((wrong, odoo_model)) = missing_method(case) else { return Vec::new() };
    let methods = scope.index.methods(&odoo_model, &scope.names);
    // Of what Odoo once had it is known what became of it, and no near name is meant.
    if let Some(Successor { name, doubt }) = renamed_method::successor(case.version.major(), &odoo_model, &wrong) {
        if !methods.contains(name) {
            return Vec::new();
        }
        let mut changes = changed(case.addon, "xml", |text| renamed(text, &wrong, name));
        changes.extend(renamed_method::renamed(case, &odoo_model, &wrong, name));
        return graded(format!("{odoo_model}.{wrong} is called {name} now: the button follows."), doubt, changes);
    }
    let bare = wrong.trim_start_matches('_');
    let public = methods.iter().copied().filter(|name| !name.starts_with('_'));
    let own = |name: &str| {
        scope.index.classes(&odoo_model).iter().any(|(module, class)| *module == scope.module && class.methods.contains_key(name))
    };
    let names = match methods.get(bare).filter(|_| bare != wrong) {
        Some(same) => vec![*same],
        None => ranked(&wrong, public, own),
    };
    let of = |right: &str| {
        let summary = format!("{odoo_model} has no method {wrong} that a button may call; {right} is meant.");
        // That a private method and a public one of the same name do the same is not certain.
        let doubt = near::doubt(case, &wrong, right, methods.iter().copied().filter(|name| !name.starts_with('_')));
        let private = (bare != wrong).then(|| format!("{right} is another method than {wrong}."));
        graded(summary, private.or(doubt), changed(case.addon, "xml", |text| renamed(text, &wrong, right)))
    };
    names.into_iter().flat_map(of).collect()
}

/// The method that a button calls and cannot, and the Odoo model that lacks it.
pub(super) fn missing_method(case: &Case<'_>) -> Option<(String, String)> {
    let object = &case.report.object;
    let named = said::<2>(case, r"(?m)^(\w+) is not a valid action on ([\w.]*\w)").map(|[method, odoo_model]| (method, odoo_model));
    let private = || {
        let [method, odoo_model] = said::<2>(case, r"(?m)(\w+)(?: on ([\w.]*\w))? is private and cannot be called from a button")?;
        Some((method, Some(odoo_model).filter(|name| !name.is_empty()).or_else(|| object.model.clone())?))
    };
    named.or_else(private).or_else(|| Some((object.method.clone()?, object.model.clone()?)))
}

fn renamed(text: &str, wrong: &str, right: &str) -> Option<String> {
    let document = xml::parse(text)?;
    let buttons =
        document.descendants().filter(|node| matches!(node.tag_name().name(), "button" | "a") && node.attribute("position").is_none());
    let names = buttons.filter_map(|node| node.attribute_node("name")).filter(|name| name.value() == wrong);
    apply(text, names.filter_map(|name| Some(Edit::new(xml::value_range(text, &name)?, right))).collect())
}

#[cfg(test)]
mod tests;
