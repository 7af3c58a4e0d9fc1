//! What: a method behind `group_expand` takes the records and the domain, no longer an order.
//!
//! Why: Odoo 18 calls it with two arguments: `missing 1 required positional argument: 'order'`.
//! Before: `def _read_group_stage_ids(self, stages, domain, order): return stages.search([], order=order)`.
//! After: `def _read_group_stage_ids(self, stages, domain): return stages.search([])`.
//! A method that uses the order otherwise than as an argument of a search is not understood.
//! Since: 18.

use tree_sitter::Node;

use super::edit::python::{Source, children, field, is_reference, walk, without_unused};
use super::edit::{Edit, apply};
use super::{Case, Proposal, Rule, changed, proposal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "group_expand", classes: ErrorClass::ALL, since: 18, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let text = &case.report.text;
    let without_order = text.contains("missing 1 required positional argument") && text.contains("order");
    if !without_order && !text.contains("access_rights_uid") {
        return Vec::new();
    }
    let names: Vec<String> = case.addon.texts("py").filter_map(|(_, text)| Source::parse(text)).flat_map(|source| named(&source)).collect();
    let changes = changed(case.addon, "py", |text| Some(without_unused(&apply(text, edits(text, &names)?)?, &["SUPERUSER_ID"])));
    proposal("Odoo 18 calls group_expand without an order: signature and searches follow.", changes)
}

/// The methods that `group_expand` names.
fn named(source: &Source<'_>) -> Vec<String> {
    let arguments =
        source.all("keyword_argument").filter(|node| field(*node, "name").is_some_and(|name| source.of(name) == "group_expand"));
    arguments.filter_map(|node| source.literal(field(node, "value")?)).collect()
}

/// `None` if one of them is not understood.
fn edits(text: &str, names: &[String]) -> Option<Vec<Edit>> {
    let source = Source::parse(text)?;
    let mut edits = Vec::new();
    for function in source.all("function_definition") {
        let name = field(function, "name").map(|name| source.of(name)).unwrap_or_default();
        let parameters = children(field(function, "parameters")?);
        let [_, _, domain, order] = parameters.as_slice() else { continue };
        let known =
            names.iter().any(|known| known == name) || ["_read_group_", "_group_expand_"].iter().any(|start| name.starts_with(start));
        if !known || order.kind() != "identifier" || source.of(*order) != "order" {
            continue;
        }
        edits.push(Edit::remove(domain.end_byte()..order.end_byte()));
        for node in walk(field(function, "body")?).filter(|node| is_reference(*node) && source.of(*node) == "order") {
            edits.push(without_argument(&source, node)?);
        }
    }
    // What was asked as another user in a search is asked without access rules.
    for node in
        source.all("keyword_argument").filter(|node| field(*node, "name").is_some_and(|name| source.of(name) == "access_rights_uid"))
    {
        edits.push(Edit::new(node.byte_range(), "bypass_access=True"));
    }
    Some(edits)
}

/// Takes `order=order` out of a call, or `order` as the last argument of `super()`.
fn without_argument(source: &Source<'_>, node: Node<'_>) -> Option<Edit> {
    let up = node.parent()?;
    let argument = match up.kind() {
        "keyword_argument" if field(up, "name").is_some_and(|name| source.of(name) == "order") => up,
        "argument_list" if children(up).len() == 3 && children(up).last() == Some(&node) => node,
        _ => return None,
    };
    let arguments = children(argument.parent()?);
    let at = arguments.iter().position(|one| *one == argument)?;
    Some(Edit::remove(match (at.checked_sub(1), arguments.get(at + 1)) {
        (Some(before), _) => arguments[before].end_byte()..argument.end_byte(),
        (None, Some(next)) => argument.start_byte()..next.start_byte(),
        (None, None) => argument.byte_range(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates, first_diff, fixture};

    const TEXT: &str = "TypeError: A._read_group_stage_ids() missing 1 required positional argument: 'order'";

    #[test]
    fn signatures_and_searches_follow() {
        insta::assert_snapshot!(first_diff(&fixture("group_expand", "stages"), ErrorClass::CallArguments, TEXT));
    }

    #[test]
    fn other_uses_of_the_order_are_left() {
        let text = "class A:\n    s = fields.Many2one(group_expand='_g')\n    def _g(self, stages, domain, order):\n        return stages.sorted(order)\n";
        assert!(candidates(&addon(&[("a.py", text)]), ErrorClass::CallArguments, TEXT).is_empty());
    }
}
