//! Domains: which fields they name, and which values of selections.

use std::collections::HashMap;

use tree_sitter::Node;

use super::infer::Code;
use super::{Check, Place};
use crate::odoo::source::python::{PythonFile, children};

/// How deep domains stand in one another.
const MAX_DEPTH: usize = 8;

impl Check<'_, '_> {
    /// A domain as an expression of Python.
    pub(super) fn domain<'n>(&self, code: &Code<'n, '_>, place: Place<'_>, odoo_model: &str, node: Node<'n>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        match node.kind() {
            "parenthesized_expression" => {
                children(node).into_iter().for_each(|inner| self.domain(code, place, odoo_model, inner, depth + 1));
            }
            "binary_operator" | "boolean_operator" => {
                for side in [node.child_by_field_name("left"), node.child_by_field_name("right")].into_iter().flatten() {
                    self.domain(code, place, odoo_model, side, depth + 1);
                }
            }
            "conditional_expression" => {
                if let [yes, _, no] = children(node).as_slice() {
                    self.domain(code, place, odoo_model, *yes, depth + 1);
                    self.domain(code, place, odoo_model, *no, depth + 1);
                }
            }
            "identifier" => {
                for value in code.assigned(node).into_iter().filter(|value| value.kind() != "identifier") {
                    self.domain(code, place, odoo_model, value, depth + 1);
                }
            }
            "list" | "tuple" => {
                for leaf in children(node) {
                    match leaf.kind() {
                        "tuple" | "list" => self.leaf(code, place, odoo_model, leaf, depth),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn leaf<'n>(&self, code: &Code<'n, '_>, place: Place<'_>, odoo_model: &str, leaf: Node<'n>, depth: usize) {
        let parts = children(leaf);
        let [left, operator, value] = parts.as_slice() else { return };
        let (Some(left), Some(operator)) = (code.file.string(*left), code.file.string(*operator)) else { return };
        let place = Place { line: place.line + row(leaf), ..place };
        let steps: Vec<&str> = left.split('.').collect();
        let to = self.path(place, odoo_model, &left, false);
        if matches!(operator.as_str(), "any" | "not any" | "any!" | "not any!")
            && let Some(to) = to
        {
            return self.domain(code, Place { line: place.line - row(leaf), ..place }, &to, *value, depth + 1);
        }
        let owner = match steps.split_last() {
            Some((_, [])) => Some(odoo_model.to_owned()),
            Some((_, before)) => before.iter().try_fold(odoo_model.to_owned(), |at, name| self.world.comodel(&at, name)),
            None => None,
        };
        let (Some(owner), Some(field)) = (owner, steps.last()) else { return };
        let values = match (operator.as_str(), value.kind()) {
            ("=" | "!=", "string") => vec![*value],
            ("in" | "not in", "list" | "tuple") => children(*value),
            _ => return,
        };
        for value in values.into_iter().filter_map(|value| code.file.string(value)) {
            self.selection(place, &owner, field, &value);
        }
    }

    /// A domain as text, in an attribute or a field. `place` is where the text begins.
    pub(super) fn domain_text(&self, place: Place<'_>, odoo_model: &str, text: &str) {
        let text = text.trim();
        if text.len() < 4 || !text.starts_with(['[', '(']) {
            return;
        }
        let Some(file) = PythonFile::parse(text) else { return };
        if file.root().has_error() {
            return;
        }
        let code = Code::new(&file, self.world, HashMap::new());
        for expression in children(file.root()).into_iter().flat_map(children) {
            self.domain(&code, place, odoo_model, expression, 0);
        }
    }
}

/// The line of a node, counted from 0.
pub(super) fn row(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row).unwrap_or(0)
}
