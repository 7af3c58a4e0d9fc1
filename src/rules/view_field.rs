//! What: a field that a view names and its Odoo model does not have becomes the one that is meant.
//!
//! Why: a slip in the name.
//! Before: `<field name="sate"/>`. After: `<field name="state"/>`.
//! Safe where the name is clearly a misspelling and the field is of a kind that the view shows it as.
//! Since: any Odoo.

use regex::Regex;
use roxmltree::Node;

use super::edit::{Edit, apply, xml};
use super::near::{self, ranked};
use super::scope::{Lacking, Scope};
use super::used_as::{self, Use};
use super::{Case, FileChange, Proposal, Rule, change, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule =
    Rule { name: "view_field", classes: &[ErrorClass::ViewUnknownField, ErrorClass::ViewInvalid], since: 0, propose };

/// Attributes that hold Python over the fields of the view.
const EXPRESSIONS: [&str; 8] = ["invisible", "readonly", "required", "column_invisible", "domain", "context", "options", "filter_domain"];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(Lacking { scope, odoo_model, wrong, fields }) = Lacking::of(case) else { return Vec::new() };
    let names = ranked(&wrong, fields.keys().copied(), |name| scope.is_own_field(&odoo_model, name));
    let of = |right: &str| {
        let summary = format!("{odoo_model} has no field {wrong}; {right} is meant.");
        let facts = fields.get(right).copied();
        let unfit = facts.and_then(|facts| used_as::unfit(&uses(case, &wrong), right, facts));
        let doubt = near::doubt(case, &wrong, right, fields.keys().copied())
            .or_else(|| facts.and_then(|facts| used_as::number(&wrong, right, facts)));
        graded(summary, unfit.or(doubt), renamed(case, &scope, &odoo_model, &wrong, right))
    };
    names.into_iter().flat_map(of).collect()
}

/// How the views of the addon show a field of this name.
fn uses(case: &Case<'_>, wrong: &str) -> Vec<Use> {
    let documents = case.addon.texts("xml").filter_map(|(_, text)| xml::parse(text));
    let of = |document: roxmltree::Document<'_>| {
        let nodes = document.descendants().filter(|node| node.has_tag_name("field") && node.attribute("name") == Some(wrong));
        nodes.filter_map(used_as::in_view).collect::<Vec<_>>()
    };
    documents.flat_map(of).collect()
}

/// The views of the addon with the field named otherwise.
fn renamed(case: &Case<'_>, scope: &Scope<'_>, odoo_model: &str, wrong: &str, right: &str) -> Vec<FileChange> {
    let edit = |text: &str| {
        let document = xml::parse(text)?;
        let mut edits = Vec::new();
        for (arch, of_view) in xml::archs(&document) {
            // What a node shows is only asked where it matters.
            let names = |node: &Node<'_, '_>| node.attributes().any(|attribute| attribute.value().contains(wrong));
            for node in arch.descendants().filter(|node| node.is_element() && *node != arch && names(node)) {
                let here = shown(scope, arch, node, of_view);
                // The domain of a field is asked of what the field leads to.
                let beyond =
                    here.as_deref().filter(|_| node.has_tag_name("field")).and_then(|here| scope.comodel(here, node.attribute("name")?));
                let is_it = |odoo: Option<&str>| odoo.is_none_or(|odoo| odoo == odoo_model);
                edits.extend(named(text, node, wrong, right, [is_it(here.as_deref()), is_it(beyond.as_deref().or(here.as_deref()))]));
            }
        }
        apply(text, edits)
    };
    let texts = case.addon.texts("xml");
    texts.filter_map(|(path, text)| Some(change(path, text, edit(text)?))).collect()
}

/// The field in one element: what it shows, what labels it, and the expressions over it. `of_it`: whether the fields there are those of the
/// Odoo model, and whether those in its domain are.
fn named(text: &str, node: Node<'_, '_>, wrong: &str, right: &str, of_it: [bool; 2]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for attribute in node.attributes() {
        if !of_it[usize::from(attribute.name() == "domain")] {
            continue;
        }
        let Some(range) = xml::value_range(text, &attribute) else { continue };
        // A quoted word is a field in a domain or context, elsewhere a value.
        let quotes = if matches!(attribute.name(), "domain" | "filter_domain" | "context") { "" } else { r#"'""# };
        let names = match node.tag_name().name() {
            "field" | "groupby" => attribute.name() == "name",
            "label" => attribute.name() == "for",
            _ => false,
        };
        if names && attribute.value() == wrong && node.attribute("position").is_none() {
            edits.push(Edit::new(range, right));
        } else if (EXPRESSIONS.contains(&attribute.name()) || attribute.name().starts_with("decoration-"))
            && let Ok(word) = Regex::new(&format!(r"(^|[^\w.{quotes}])({})\b", regex::escape(wrong)))
        {
            let found = word.captures_iter(&text[range.clone()]).filter_map(|found| found.get(2));
            edits.extend(found.map(|word| Edit::new(range.start + word.start()..range.start + word.end(), right)));
        }
    }
    edits
}

/// The Odoo model that the fields at this element are of; `None` if it cannot be told.
pub(super) fn shown(scope: &Scope<'_>, arch: Node<'_, '_>, node: Node<'_, '_>, of_view: Option<&str>) -> Option<String> {
    let mut at = of_view?.to_owned();
    let mut around: Vec<Node<'_, '_>> = node.ancestors().skip(1).take_while(|up| *up != arch).filter(Node::is_element).collect();
    around.reverse();
    for up in around {
        match up.tag_name().name() {
            "field" if matches!(up.attribute("position"), Some("before" | "after" | "replace" | "attributes")) => {}
            "field" => at = scope.comodel(&at, up.attribute("name")?)?,
            "xpath" => {
                let inside = up.attribute("position") == Some("inside");
                for field in fields_passed(up.attribute("expr").unwrap_or_default(), inside) {
                    at = scope.comodel(&at, &field)?;
                }
            }
            _ => {}
        }
    }
    Some(at)
}

/// The fields behind which a path goes on, or into which it puts something.
fn fields_passed(expr: &str, inside: bool) -> Vec<String> {
    let Ok(step) = Regex::new(r#"field\[\s*@name\s*=\s*['"](\w+)['"]\s*\](/?)"#) else { return Vec::new() };
    let found = step.captures_iter(expr);
    found
        .filter(|found| !found[2].is_empty() || (inside && found.get(0).is_some_and(|all| all.end() == expr.len())))
        .map(|found| found[1].to_owned())
        .collect()
}

#[cfg(test)]
mod tests;
