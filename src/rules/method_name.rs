//! What: a method that a field names and its class does not have becomes the one that is meant.
//!
//! Why: a slip in `compute`, `inverse`, `search`, `default`, `group_expand` or `selection`.
//! Before: `compute="_compute_totl"`. After: `compute="_compute_total"`.
//! Since: any Odoo.

use super::edit::python::{Source, ancestors, field};
use super::edit::{Edit, apply};
use super::near::{self, ranked};
use super::scope::{Scope, said};
use super::{Case, Proposal, Rule, changed, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "method_name", classes: &[ErrorClass::AttributeMissing], since: 0, propose };

/// The arguments of a field that name a method.
const ARGUMENTS: [&str; 6] = ["compute", "inverse", "search", "group_expand", "selection", "default"];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let Some([odoo_model, wrong]) = said(case, r"'(\w+(?:\.\w+)+)' object has no attribute '(\w+)'") else { return Vec::new() };
    let methods = scope.index.methods(&odoo_model, &scope.names);
    if methods.is_empty() || methods.contains(wrong.as_str()) {
        return Vec::new();
    }
    let own = |name: &str| {
        scope.index.classes(&odoo_model).iter().any(|(module, class)| *module == scope.module && class.methods.contains_key(name))
    };
    // A method that a field computes with must be one that is written for it.
    let names = ranked(&wrong, methods.iter().copied(), own);
    let of = |right: &str| {
        let summary = format!("{odoo_model} has no method {wrong}; {right} is meant.");
        graded(
            summary,
            near::doubt(case, &wrong, right, methods.iter().copied()),
            changed(case.addon, "py", |text| renamed(text, &wrong, right)),
        )
    };
    names.into_iter().flat_map(of).collect()
}

fn renamed(text: &str, wrong: &str, right: &str) -> Option<String> {
    let source = Source::parse(text)?;
    let named = source.all("string").filter(|node| source.simple(*node) == Some(wrong));
    let argument = |node: tree_sitter::Node<'_>| {
        ancestors(node)
            .find(|up| up.kind() == "keyword_argument")
            .and_then(|up| field(up, "name"))
            .is_some_and(|name| ARGUMENTS.contains(&source.of(name)))
    };
    let strings = named.filter(|node| argument(*node)).filter_map(|node| Some(Edit::new(source.inside(node)?, right)));
    apply(text, strings.collect())
}

#[cfg(test)]
mod tests;
