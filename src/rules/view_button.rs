//! What: a button that calls a method which its Odoo model does not have calls the one that is meant.
//!
//! Why: a slip in the name, or the method was renamed. A private method becomes the public one of the same name, if there is one.
//! Before: `<button name="action_confrm" type="object"/>`. After: `<button name="action_confirm" type="object"/>`.
//! Since: any Odoo.

use super::edit::{Edit, apply, xml};
use super::near::ranked;
use super::scope::{Scope, said};
use super::{Case, Proposal, Rule, changed, proposal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "view_button", classes: &[ErrorClass::ViewInvalidAction], since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let Some((wrong, odoo_model)) = missing_method(case) else { return Vec::new() };
    let methods = scope.index.methods(&odoo_model, &scope.names);
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
        proposal(summary, changed(case.addon, "xml", |text| renamed(text, &wrong, right)))
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
