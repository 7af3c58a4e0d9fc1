//! What: an override that calls the method it overrides and forgets to return what that gave returns it.
//!
//! Why: Odoo's own code goes on with `None`: `'NoneType' object is not iterable`.
//! Before: `records = super().create(vals_list)` and no `return`. After: `return records` at the end.
//! Methods of every Odoo model come first; then every override that keeps the result and drops it.
//! Since: any Odoo.

use tree_sitter::Node;

use super::edit::python::{Source, ancestors, children, field, walk};
use super::edit::scopes::{body, function};
use super::edit::{Edit, apply, indent};
use super::{Case, Proposal, Rule, changed, proposal, unsure};
use crate::domain::ErrorClass;

/// The rule. What goes wrong with `None` has many classes.
pub(super) const RULE: Rule = Rule { name: "missing_return", classes: ErrorClass::ALL, since: 0, propose };

/// Methods of every Odoo model whose result is used.
const ORM: [&str; 34] = [
    "_add_missing_default_values",
    "_get_view",
    "_get_view_cache_key",
    "_name_search",
    "_prepare_default_values",
    "_read_group",
    "_search",
    "_search_display_name",
    "_where_calc",
    "_write",
    "copy",
    "copy_data",
    "create",
    "default_get",
    "export_data",
    "fields_get",
    "fields_view_get",
    "formatted_read_group",
    "get_view",
    "get_views",
    "load",
    "message_new",
    "message_post",
    "message_update",
    "name_create",
    "name_get",
    "name_search",
    "new",
    "onchange",
    "read",
    "read_group",
    "search",
    "unlink",
    "write",
];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    if !case.report.text.contains("None") {
        return Vec::new();
    }
    let of_orm = changed(case.addon, "py", |text| apply(text, edits(text, &|name, _| ORM.contains(&name))));
    let kept = changed(case.addon, "py", |text| apply(text, edits(text, &|name, kept| kept || ORM.contains(&name))));
    let mut found = proposal("An override drops what the method it overrides returned: it is returned.", of_orm);
    let doubt = "Methods other than those of every Odoo model may return nothing on purpose.";
    found.extend(unsure("Overrides keep what the method they override returned and drop it: it is returned.", doubt, kept));
    found.dedup_by(|a, b| a.patch == b.patch);
    found
}

/// Edits of the functions for which `wanted` holds, by name and by whether the result is kept in a variable.
fn edits(text: &str, wanted: &dyn Fn(&str, bool) -> bool) -> Vec<Edit> {
    if !text.contains("super(") {
        return Vec::new();
    }
    let Some(source) = Source::parse(text) else { return Vec::new() };
    source.all("function_definition").filter_map(|function| edit(&source, function, wanted)).flatten().collect()
}

fn edit(source: &Source<'_>, definition: Node<'_>, wanted: &dyn Fn(&str, bool) -> bool) -> Option<Vec<Edit>> {
    let name = source.of(field(definition, "name")?);
    ancestors(definition).find(|up| up.kind() == "class_definition")?;
    let own = |node: &Node<'_>| function(*node) == Some(definition);
    let ends = walk(definition).filter(own).any(|node| matches!(node.kind(), "return_statement" | "yield"));
    let statements = body(definition);
    let (last, mut calls) = (*statements.last()?, walk(definition).filter(own).filter(|node| calls_super(source, *node, name)));
    let (call, None) = (calls.next()?, calls.next()) else { return None };
    if ends || matches!(name, "__init__" | "setUp" | "setUpClass" | "tearDown" | "tearDownClass") {
        return None;
    }
    let holder = call.parent()?;
    let top = |node: Node<'_>| statements.contains(&node);
    let after = |result: &str| -> Option<Edit> {
        let margin = indent(source.text, last.start_byte())?;
        Some(Edit::new(last.end_byte()..last.end_byte(), format!("\n{margin}return {result}")))
    };
    match holder.kind() {
        "assignment" if top(holder.parent()?) && wanted(name, true) => {
            let left = field(holder, "left").filter(|left| left.kind() == "identifier")?;
            Some(vec![after(source.of(left))?])
        }
        "expression_statement" if top(holder) && wanted(name, false) => {
            let start = holder.start_byte();
            if holder == last {
                return Some(vec![Edit::new(start..start, "return ")]);
            }
            let taken = walk(definition).any(|node| node.kind() == "identifier" && source.of(node) == "res");
            let result = if taken { "result_of_super" } else { "res" };
            Some(vec![Edit::new(start..start, format!("{result} = ")), after(result)?])
        }
        _ => None,
    }
}

/// `super().name(…)` or `super(A, self).name(…)`.
fn calls_super(source: &Source<'_>, node: Node<'_>, name: &str) -> bool {
    let Some(attribute) = called(node).filter(|function| function.kind() == "attribute") else { return false };
    let same = field(attribute, "attribute").is_some_and(|method| source.of(method) == name);
    let object = field(attribute, "object").and_then(called);
    same && object.is_some_and(|function| source.of(function) == "super" && children(function).is_empty())
}

fn called(node: Node<'_>) -> Option<Node<'_>> {
    field(node, "function").filter(|_| node.kind() == "call")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates};

    fn all(method: &str) -> Vec<String> {
        let head = "class A(models.Model):\n";
        let addon = addon(&[("a.py", &format!("{head}{method}"))]);
        let found = candidates(&addon, ErrorClass::Other, "TypeError: 'NoneType' object is not iterable");
        found.iter().map(|one| one.patch.changes()[0].after.strip_prefix(head).unwrap().to_owned()).collect()
    }

    #[test]
    fn result_is_returned() {
        for (before, after) in [
            (
                "    def create(self, vals):\n        records = super().create(vals)\n        self.x()\n",
                "    def create(self, vals):\n        records = super().create(vals)\n        self.x()\n        return records\n",
            ),
            (
                "    def write(self, vals):\n        super(A, self).write(vals)\n        if x:\n            self.x()\n",
                "    def write(self, vals):\n        res = super(A, self).write(vals)\n        if x:\n            self.x()\n        return res\n",
            ),
            (
                "    def unlink(self):\n        self.x()\n        super().unlink()\n",
                "    def unlink(self):\n        self.x()\n        return super().unlink()\n",
            ),
        ] {
            assert_eq!(all(before), [after]);
        }
    }

    #[test]
    fn kept_results_of_other_methods_come_second() {
        let both = "    def write(self, vals):\n        super().write(vals)\n\n    def _prepare(self):\n        vals = super()._prepare()\n        vals['a'] = 1\n";
        let first = both.replace("        super().write", "        return super().write");
        let second = format!("{first}        return vals\n");
        assert_eq!(all(both), [first, second]);
    }

    #[test]
    fn what_returns_or_need_not_is_left() {
        for text in [
            "    def create(self, vals):\n        return super().create(vals)\n",
            "    def write(self, vals):\n        if not vals:\n            return\n        super().write(vals)\n",
            "    def setUp(self):\n        super().setUp()\n",
            "    def action(self):\n        super().action()\n        self.x()\n",
            "    def write(self, vals):\n        for x in self:\n            super().write(vals)\n",
        ] {
            assert_eq!(all(text), Vec::<String>::new(), "{text}");
        }
    }
}
