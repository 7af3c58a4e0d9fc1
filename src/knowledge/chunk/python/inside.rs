//! What stands in a function or a class body: its docstring, comments, calls, messages, and what it returns.

use tree_sitter::Node;

use super::super::card::Does;
use super::super::tree::each;
use super::messages::said;
use crate::odoo::source::python::{PythonFile, children};

/// The most bytes of prose of one piece.
const MAX_PROSE: usize = 16_000;
/// The most calls of one function.
const MAX_CALLS: usize = 300;

/// Attributes and strings that are kept, and the bytes of one string: the first tell most.
const MAX_SEEN: usize = 20;
const MAX_STRING: usize = 40;

/// The most messages of one piece.
const MAX_MESSAGES: usize = 200;

/// What was read.
#[derive(Default)]
pub(super) struct Inside {
    pub(super) docstring: String,
    pub(super) comments: Vec<String>,
    /// Names of what is called, each once, in reading order.
    pub(super) calls: Vec<String>,
    /// Names of what is read or written of something, likewise.
    attributes: Vec<String>,
    /// Short texts, likewise.
    strings: Vec<String>,
    /// What it says to people.
    pub(super) messages: Vec<String>,
    pub(super) calls_super: bool,
    /// Returns with a value, and without one.
    pub(super) returns: (usize, usize),
    pub(super) yields: bool,
    /// The bytes of docstring and comments, which are no code.
    apart: Vec<std::ops::Range<usize>>,
}

impl Inside {
    /// Reads these nodes; the docstring is the one of `owner`.
    pub(super) fn of(file: &PythonFile<'_>, owner: Node<'_>, nodes: &[Node<'_>]) -> Self {
        let mut inside = Self::default();
        if let Some(text) = docstring(owner) {
            inside.docstring = file.literal(text).unwrap_or_default();
            inside.apart.push(text.byte_range());
        }
        for node in nodes {
            inside.read(file, owner, *node);
        }
        inside
    }

    fn read(&mut self, file: &PythonFile<'_>, owner: Node<'_>, root: Node<'_>) {
        let mut prose = 0;
        // Returns of functions within functions are not its own.
        let mut nested = 0;
        let mut raised = None;
        each(root, &mut |node| {
            match node.kind() {
                "comment" => {
                    let text = file.of(node).trim_start_matches(['#', ':', ' ']).trim_end();
                    self.apart.push(node.byte_range());
                    prose += text.len();
                    if prose < MAX_PROSE && !text.starts_with("noqa") && !text.starts_with("pylint") {
                        self.comments.push(text.to_owned());
                    }
                    return false;
                }
                "function_definition" | "lambda" if node != owner => nested = nested.max(node.end_byte()),
                "return_statement" if node.start_byte() >= nested => {
                    let value = node.named_child(0).filter(|value| value.kind() != "none");
                    if value.is_some() { self.returns.0 += 1 } else { self.returns.1 += 1 }
                }
                "yield" if node.start_byte() >= nested => self.yields = true,
                "raise_statement" => raised = node.named_child(0).map(|error| error.id()),
                "call" => self.call(file, node, raised == Some(node.id())),
                "attribute" => self.attribute(file, node),
                "string" => {
                    self.string(file, node);
                    return file.of(node).starts_with(['f', 'F']);
                }
                _ => {}
            }
            true
        });
    }

    fn attribute(&mut self, file: &PythonFile<'_>, node: Node<'_>) {
        let is_called = node.parent().is_some_and(|parent| parent.kind() == "call" && parent.child_by_field_name("function") == Some(node));
        let name = node.child_by_field_name("attribute").map(|name| file.of(name)).unwrap_or_default();
        if !is_called && !name.is_empty() && self.attributes.len() < MAX_SEEN && !self.attributes.iter().any(|known| known == name) {
            self.attributes.push(name.to_owned());
        }
    }

    fn string(&mut self, file: &PythonFile<'_>, node: Node<'_>) {
        if self.strings.len() >= MAX_SEEN {
            return;
        }
        let Some(text) = file.literal(node) else { return };
        let tells = (3..=MAX_STRING).contains(&text.len()) && text.chars().any(char::is_alphabetic) && !self.strings.contains(&text);
        if tells && Some(&text) != Some(&self.docstring) {
            self.strings.push(text);
        }
    }

    /// What tells what it does, for its card.
    pub(super) fn does(&self) -> Does<'_> {
        Does { calls: &self.calls, attributes: &self.attributes, strings: &self.strings }
    }

    fn call(&mut self, file: &PythonFile<'_>, call: Node<'_>, is_raised: bool) {
        let Some(function) = call.child_by_field_name("function") else { return };
        let name = match function.kind() {
            "identifier" => file.of(function),
            "attribute" => function.child_by_field_name("attribute").map(|name| file.of(name)).unwrap_or_default(),
            _ => "",
        };
        if name == "super" {
            self.calls_super = true;
        } else if !name.is_empty() && self.calls.len() < MAX_CALLS && !self.calls.iter().any(|call| call == name) {
            self.calls.push(name.to_owned());
        }
        for message in said(file, call, name, is_raised) {
            if self.messages.len() < MAX_MESSAGES && !self.messages.contains(&message) {
                self.messages.push(message);
            }
        }
    }

    /// What people wrote: docstring, comments, messages.
    pub(super) fn prose(&self) -> String {
        let parts = std::iter::once(&self.docstring).chain(&self.messages).chain(&self.comments);
        parts.filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// These bytes of the file without docstring and comments.
    pub(super) fn code(&mut self, text: &str, from: usize, to: usize) -> String {
        self.apart.sort_by_key(|range| range.start);
        let mut code = String::new();
        let mut at = from;
        for range in &self.apart {
            if range.start >= at && range.end <= to {
                code.push_str(text.get(at..range.start).unwrap_or_default());
                at = range.end;
            }
        }
        code.push_str(text.get(at..to).unwrap_or_default());
        code
    }
}

/// The string that a class or function begins with.
fn docstring(owner: Node<'_>) -> Option<Node<'_>> {
    let first = children(owner.child_by_field_name("body")?).into_iter().next().filter(|first| first.kind() == "expression_statement")?;
    first.named_child(0).filter(|text| matches!(text.kind(), "string" | "concatenated_string"))
}

/// Whether the end of a block is never reached: its last statement returns or raises, on every way.
pub(super) fn ends(block: Node<'_>, depth: usize) -> bool {
    let Some(last) = children(block).pop().filter(|_| depth < 30) else { return false };
    match last.kind() {
        "return_statement" | "raise_statement" => true,
        "if_statement" => {
            children(last).iter().any(|part| part.kind() == "else_clause") && bodies(last).into_iter().all(|body| ends(body, depth + 1))
        }
        "try_statement" | "with_statement" => bodies(last).into_iter().all(|body| ends(body, depth + 1)),
        _ => false,
    }
}

/// The blocks of a compound statement.
fn bodies(node: Node<'_>) -> Vec<Node<'_>> {
    let blocks = children(node).into_iter().flat_map(|part| match part.kind() {
        "block" => vec![part],
        "else_clause" | "elif_clause" | "except_clause" => children(part).into_iter().filter(|inner| inner.kind() == "block").collect(),
        _ => Vec::new(),
    });
    blocks.collect()
}
