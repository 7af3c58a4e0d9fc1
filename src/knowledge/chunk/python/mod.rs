//! Python: one piece for each method and function, and for the attributes and fields of a class in runs between its methods.

mod class;
mod function;
mod inside;
mod messages;

use tree_sitter::Node;

use super::lines::{Lines, number};
use super::tree::each;
use super::{Chunk, FileChunks, Kind, Source, Zone, context};
use crate::odoo::source::python::{PythonFile, definition};

/// How deep `if` and `try` are looked into for definitions.
const MAX_DEPTH: usize = 3;
/// The most lines of a run of statements.
const MAX_RUN: u32 = 150;

/// One Python file that is being cut up.
struct Module<'m> {
    source: &'m Source<'m>,
    lines: &'m Lines<'m>,
    file: &'m PythonFile<'m>,
}

/// Cuts a Python file up.
pub(super) fn cut(source: &Source<'_>, found: &mut FileChunks) {
    let Some(file) = PythonFile::parse(source.text) else {
        found.trouble("it cannot be parsed");
        return;
    };
    let lines = Lines::of(source.text);
    if file.root().has_error() {
        found.trouble("it is not valid Python everywhere");
    }
    let module = Module { source, lines: &lines, file: &file };
    let mut loose = Vec::new();
    module.block(file.root(), 0, &mut loose, found);
    module.loose(&mut loose, found);
}

impl<'m> Module<'m> {
    /// Definitions become pieces; what stands between them is kept until there is enough of it.
    fn block<'n>(&self, block: Node<'n>, depth: usize, loose: &mut Vec<Node<'n>>, found: &mut FileChunks) {
        for statement in block.named_children(&mut block.walk()) {
            match definition(statement) {
                Some(inner) if inner.kind() == "class_definition" => {
                    self.loose(loose, found);
                    self.class(statement, inner, found);
                }
                Some(inner) if inner.kind() == "function_definition" => {
                    self.loose(loose, found);
                    self.function(statement, inner, None, found);
                }
                _ if depth < MAX_DEPTH && holds_definitions(statement) => {
                    self.loose(loose, found);
                    self.block(statement, depth + 1, loose, found);
                    self.loose(loose, found);
                }
                _ => loose.push(statement),
            }
        }
    }

    /// Constants and what runs on import, where it is more than imports.
    fn loose(&self, statements: &mut Vec<Node<'_>>, found: &mut FileChunks) {
        let statements = std::mem::take(statements);
        for run in self.runs(&statements) {
            if !run.iter().any(|statement| self.tells(*statement)) {
                continue;
            }
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let (start_line, end_line) = (self.first(*first), self.last(*last));
            let text = self.lines.text(start_line, end_line).to_owned();
            let names: Vec<&str> = run.iter().filter_map(|statement| self.file.assigned(*statement)).map(|(name, _)| name).collect();
            found.add(Chunk {
                kind: Kind::Function,
                symbol: "<module>".to_owned(),
                odoo_model: None,
                lang: None,
                start_line,
                end_line,
                title: format!(
                    "{} of {}",
                    if names.is_empty() { "code".to_owned() } else { names[..names.len().min(4)].join(", ") },
                    self.source.path
                ),
                zones: vec![(Zone::Members, names.join(" ")), (Zone::Body, text.clone()), context(self.source)],
                card: None,
                text,
            });
        }
    }

    /// Statements as runs that are not too long.
    fn runs<'n>(&self, statements: &[Node<'n>]) -> Vec<Vec<Node<'n>>> {
        let mut runs: Vec<Vec<Node<'n>>> = Vec::new();
        for statement in statements {
            match runs.last_mut() {
                Some(run) if run.first().is_some_and(|first| self.last(*statement) < self.first(*first).saturating_add(MAX_RUN)) => {
                    run.push(*statement);
                }
                _ => runs.push(vec![*statement]),
            }
        }
        runs
    }

    /// Whether a statement is more than an import, a comment, a docstring or the usual logger.
    fn tells(&self, statement: Node<'_>) -> bool {
        match statement.kind() {
            "comment" | "import_statement" | "import_from_statement" | "future_import_statement" | "pass_statement" => false,
            "expression_statement" => {
                let text = statement.named_child(0).is_some_and(|inner| matches!(inner.kind(), "string" | "concatenated_string"));
                let usual = self.file.assigned(statement).is_some_and(|(name, _)| matches!(name, "_logger" | "logger" | "_" | "__all__"));
                !text && !usual
            }
            _ => true,
        }
    }

    fn first(&self, node: Node<'_>) -> u32 {
        number(node.start_position().row + 1)
    }

    /// The last line of a node; a node that ends with a newline does not reach into the next.
    fn last(&self, node: Node<'_>) -> u32 {
        let end = node.end_position();
        number(if end.column == 0 && end.row > node.start_position().row { end.row } else { end.row + 1 })
    }
}

fn holds_definitions(statement: Node<'_>) -> bool {
    let kinds = [
        "if_statement",
        "try_statement",
        "with_statement",
        "else_clause",
        "elif_clause",
        "except_clause",
        "finally_clause",
        "block",
        "ERROR",
    ];
    kinds.contains(&statement.kind()) && {
        let mut any = false;
        each(statement, &mut |node| {
            any |= matches!(node.kind(), "class_definition" | "function_definition");
            !any
        });
        any
    }
}

#[cfg(test)]
mod tests;
