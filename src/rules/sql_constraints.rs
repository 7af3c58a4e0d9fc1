//! What: each row of `_sql_constraints` becomes a `models.Constraint` attribute.
//!
//! Why: Odoo 19 ignores `_sql_constraints` with a mere warning, so that the constraint is silently gone.
//! Before: `_sql_constraints = [("name_uniq", "UNIQUE(name)", "Name must be unique")]`.
//! After: `_name_uniq = models.Constraint("UNIQUE(name)", "Name must be unique")`.
//! Since: 19.

use tree_sitter::Node;

use super::edit::python::{Source, ancestors, children, field, quoted};
use super::edit::{Edit, apply, indent};
use super::{Case, Proposal, Rule, changed, proposal};
use crate::domain::ErrorClass;

/// The rule. A lost constraint shows as a failing test too, with the warning before it.
pub(super) const RULE: Rule =
    Rule { name: "sql_constraints", classes: &[ErrorClass::SqlConstraintsIgnored, ErrorClass::TestFailure], since: 19, propose };

/// Class attributes of every Odoo model; a constraint of that name would overwrite them.
const RESERVED: [&str; 22] = [
    "_name",
    "_description",
    "_inherit",
    "_inherits",
    "_order",
    "_table",
    "_rec_name",
    "_rec_names_search",
    "_auto",
    "_register",
    "_abstract",
    "_transient",
    "_parent_name",
    "_parent_store",
    "_active_name",
    "_fold_name",
    "_log_access",
    "_check_company_auto",
    "_constraints",
    "_sql_constraints",
    "_depends",
    "_fields",
];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    if case.report.class == ErrorClass::TestFailure && !case.report.text.contains("'_sql_constraints' is no longer supported") {
        return Vec::new();
    }
    let changes = changed(case.addon, "py", |text| apply(text, edits(text)?));
    proposal("Odoo 19 ignores _sql_constraints: each row becomes a models.Constraint attribute.", changes)
}

fn edits(text: &str) -> Option<Vec<Edit>> {
    if !text.contains("_sql_constraints") {
        return None;
    }
    let source = Source::parse(text)?;
    let assignments =
        source.all("assignment").filter(|node| field(*node, "left").is_some_and(|left| source.of(left) == "_sql_constraints"));
    Some(assignments.filter_map(|assignment| edit(&source, assignment)).collect())
}

fn edit(source: &Source<'_>, assignment: Node<'_>) -> Option<Edit> {
    let class = ancestors(assignment).nth(2).filter(|node| node.kind() == "class_definition")?;
    let uses_models =
        field(class, "superclasses").is_some_and(|bases| children(bases).iter().any(|base| source.of(*base).starts_with("models.")));
    let mut list = field(assignment, "right")?;
    while list.kind() == "parenthesized_expression" {
        list = *children(list).first()?;
    }
    let rows = children(list);
    if !uses_models || rows.is_empty() || !matches!(list.kind(), "list" | "tuple") {
        return None;
    }
    let margin = indent(source.text, assignment.start_byte())?;
    let mut taken = defined_names(source, class);
    let written: Option<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            let [name, definition, message] = children(row).try_into().ok()?;
            let (name, definition, message) = (source.literal(name)?, source.literal(definition)?, source.literal(message)?);
            let attribute = attribute_name(&name, &taken)?;
            taken.push(attribute.clone());
            Some(constraint(&attribute, &definition, &message, margin))
        })
        .collect();
    Some(Edit::new(assignment.byte_range(), written?.join(&format!("\n{margin}"))))
}

fn constraint(name: &str, definition: &str, message: &str, margin: &str) -> String {
    let part = |text: &str| if text.is_empty() { String::new() } else { format!("{margin}    {},\n", quoted(text)) };
    format!("{name} = models.Constraint(\n{}{}{margin})", part(definition), part(message))
}

/// The attribute for a constraint: one underscore before its name, and never a name that the class already has.
fn attribute_name(name: &str, taken: &[String]) -> Option<String> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let plain = format!("_{}", name.trim_start_matches('_'));
    let free = |name: &String| !RESERVED.contains(&name.as_str()) && !taken.contains(name);
    [plain.clone(), format!("{plain}_constraint")].into_iter().find(free)
}

/// Methods and attributes of a class.
fn defined_names(source: &Source<'_>, class: Node<'_>) -> Vec<String> {
    let Some(body) = field(class, "body") else { return Vec::new() };
    let name = |statement: Node<'_>| {
        match statement.kind() {
            "decorated_definition" => field(field(statement, "definition")?, "name"),
            "function_definition" | "class_definition" => field(statement, "name"),
            _ => field(statement.named_child(0)?, "left"),
        }
        .map(|node| source.of(node).to_owned())
    };
    children(body).into_iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{candidates, first_diff, fixture, mended_file};

    const CLASS: ErrorClass = ErrorClass::SqlConstraintsIgnored;

    #[test]
    fn probe_is_mended() {
        insta::assert_snapshot!(first_diff(&fixture("sql_constraints", "p_sqlc"), CLASS, ""));
    }

    #[test]
    fn every_row_becomes_an_attribute() {
        insta::assert_snapshot!(first_diff(&fixture("sql_constraints", "everything"), CLASS, ""));
    }

    #[test]
    fn names_never_hide_another() {
        let taken = ["_check_x".to_owned()];
        assert_eq!(attribute_name("check_x", &taken).as_deref(), Some("_check_x_constraint"));
        assert_eq!(attribute_name("name", &[]).as_deref(), Some("_name_constraint"));
        assert_eq!(attribute_name("__x", &[]).as_deref(), Some("_x"));
        assert_eq!(attribute_name("a-b", &[]), None);
    }

    #[test]
    fn computed_rows_are_left() {
        for rows in ["ROWS", "[(\"a\", \"check(%s)\" % x, \"m\")]", "[]", "[(\"a\", f\"{x}\", \"m\")]"] {
            let file = format!("from odoo import models\nclass A(models.Model):\n    _sql_constraints = {rows}\n");
            assert_eq!(mended_file(&[("a.py", &file)], "a.py", CLASS, ""), None, "{rows}");
        }
    }

    #[test]
    fn failing_test_needs_the_warning() {
        let addon = fixture("sql_constraints", "p_sqlc");
        assert!(candidates(&addon, ErrorClass::TestFailure, "AssertionError: IntegrityError not raised").is_empty());
        let text = "Model attribute '_sql_constraints' is no longer supported, please define model.Constraint on the model.";
        assert_eq!(candidates(&addon, ErrorClass::TestFailure, text).len(), 1);
    }
}
