//! The values that are handed to `create`, `write` and the like: their keys are fields.

use tree_sitter::Node;

use super::domain::row;
use super::infer::{Code, function_of};
use super::{Check, Place, names};
use crate::odoo::source::python::children;

/// How deep values stand in one another.
const MAX_DEPTH: usize = 8;

impl Check<'_, '_> {
    /// A dictionary of values, or a list of such. `path`: the file.
    pub(super) fn vals<'n>(&self, code: &Code<'n, '_>, path: &str, odoo_model: &str, node: Node<'n>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let inner = |node: Node<'n>| self.vals(code, path, odoo_model, node, depth + 1);
        match node.kind() {
            "parenthesized_expression" | "list" => children(node).into_iter().for_each(inner),
            "list_comprehension" => node.child_by_field_name("body").into_iter().for_each(inner),
            "conditional_expression" => {
                if let [yes, _, no] = children(node).as_slice() {
                    inner(*yes);
                    inner(*no);
                }
            }
            "dictionary" => children(node).into_iter().filter(|pair| pair.kind() == "pair").for_each(|pair| {
                if let (Some(key), Some(value)) = (pair.child_by_field_name("key"), pair.child_by_field_name("value")) {
                    self.pair(code, path, odoo_model, key, value, depth);
                }
            }),
            "call" if node.child_by_field_name("function").is_some_and(|function| code.text(function) == "dict") => {
                for (name, value) in code.arguments(node) {
                    match name {
                        Some(name) => self.value(code, path, odoo_model, name, value, depth),
                        None => inner(value),
                    }
                }
            }
            "identifier" => {
                for value in code
                    .assigned(node)
                    .into_iter()
                    .filter(|value| matches!(value.kind(), "dictionary" | "list" | "list_comprehension" | "call"))
                {
                    inner(value);
                }
                self.later(code, path, odoo_model, node, depth);
            }
            _ => {}
        }
    }

    /// What is put into a dictionary after it was made: `vals["name"] = …`.
    fn later<'n>(&self, code: &Code<'n, '_>, path: &str, odoo_model: &str, name: Node<'n>, depth: usize) {
        // Where it is not made here, nobody knows whose values it holds besides.
        if !code.assigned(name).iter().any(|value| value.kind() == "dictionary") {
            return;
        }
        let mut open: Vec<Node<'n>> = function_of(name).into_iter().collect();
        while let Some(node) = open.pop() {
            open.extend(children(node));
            let left = (node.kind() == "assignment").then(|| node.child_by_field_name("left")).flatten();
            let Some(left) = left.filter(|left| left.kind() == "subscript") else { continue };
            let (Some(of), Some(key), Some(value)) =
                (left.child_by_field_name("value"), left.child_by_field_name("subscript"), node.child_by_field_name("right"))
            else {
                continue;
            };
            if of.kind() == "identifier" && code.text(of) == code.text(name) {
                self.pair(code, path, odoo_model, key, value, depth);
            }
        }
    }

    fn pair<'n>(&self, code: &Code<'n, '_>, path: &str, odoo_model: &str, key: Node<'n>, value: Node<'n>, depth: usize) {
        let Some(name) = code.file.string(key) else { return };
        // A key that somebody takes out again is not one for the ORM.
        let taken = ["pop(\"", "pop('"].map(|start| format!("{start}{name}"));
        if self.addon.texts("py").any(|(_, text)| taken.iter().any(|taken| text.contains(taken.as_str()))) {
            return;
        }
        let place = Place { path, line: row(key) + 1 };
        if names::is_magic(&name) || !self.field(place, odoo_model, &name, false) {
            return;
        }
        self.value(code, path, odoo_model, &name, value, depth);
    }

    fn value<'n>(&self, code: &Code<'n, '_>, path: &str, odoo_model: &str, field: &str, value: Node<'n>, depth: usize) {
        if value.kind() == "string" {
            if let Some(text) = code.file.string(value) {
                self.selection(Place { path, line: row(value) + 1 }, odoo_model, field, &text);
            }
            return;
        }
        if value.kind() != "list" {
            return;
        }
        let Some(comodel) = self.world.comodel(odoo_model, field) else { return };
        for command in children(value) {
            match command.kind() {
                // `(0, 0, {…})`, `(1, id, {…})`
                "tuple" => {
                    if let [_, _, values] = children(command).as_slice() {
                        self.vals(code, path, &comodel, *values, depth + 1);
                    }
                }
                // `Command.create({…})`, `Command.update(id, {…})`
                "call" if code.method(command).is_some_and(|(_, name)| matches!(name, "create" | "update")) => {
                    if let Some((_, values)) = code.arguments(command).last() {
                        self.vals(code, path, &comodel, *values, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }
}
