//! The parts of a Python file that are compared with one another: its functions and its classes.

use std::collections::BTreeMap;
use std::ops::Range;

use tree_sitter::{Node, Parser, Tree};

/// The largest text that is parsed; a larger one is only compared as text.
const MAX_PARSED: usize = 1024 * 1024;

/// A Python text with its syntax tree.
pub(super) struct Python<'t> {
    text: &'t str,
    tree: Tree,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Class {
    /// Its name, below those of the classes and functions around it.
    pub(super) name: String,
    /// Its superclasses as they are written.
    pub(super) bases: Vec<String>,
    /// What is written above it.
    pub(super) decorators: Vec<String>,
    /// `_name`.
    pub(super) odoo_name: Option<String>,
    /// `_inherit`.
    pub(super) inherits: Vec<String>,
}

impl<'t> Python<'t> {
    /// Reads a text; what is no Python in it is skipped. `None` if it is too large.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        if text.len() > MAX_PARSED {
            return None;
        }
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok()?;
        Some(Self { text, tree: parser.parse(text, None)? })
    }

    /// Whether all of it is Python. If not, its functions are not where they seem to be.
    pub(super) fn is_whole(&self) -> bool {
        !self.tree.root_node().has_error()
    }

    /// The text of each outermost function with its decorators, by its name; of several with one name, one after the other. Under the
    /// empty name: what stands outside of every function.
    pub(super) fn functions(&self) -> BTreeMap<String, String> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        let mut ranges = Vec::new();
        for node in walk_to(self.tree.root_node(), "function_definition").filter(|node| node.kind() == "function_definition") {
            let range = decorated(node).byte_range();
            found.entry(self.path(node)).or_default().push_str(self.text.get(range.clone()).unwrap_or_default());
            ranges.push(range);
        }
        found.insert(String::new(), blanked(self.text, ranges));
        found
    }

    /// Every class.
    pub(super) fn classes(&self) -> Vec<Class> {
        self.all("class_definition").map(|node| self.class(node)).collect()
    }

    /// Its comments and the insides of its strings as blanks, so that what only looks like code does not count as code.
    pub(super) fn code(&self) -> String {
        let apart = walk(self.tree.root_node()).filter(|node| matches!(node.kind(), "comment" | "string_content"));
        blanked(self.text, apart.map(|node| node.byte_range()))
    }

    fn class(&self, node: Node<'_>) -> Class {
        let written = |node: Node<'_>| self.of(node).split_whitespace().collect::<Vec<_>>().join(" ");
        let bases = node.child_by_field_name("superclasses").map(children).unwrap_or_default();
        let around = children(decorated(node));
        let values = |name: &str| {
            let body = node.child_by_field_name("body").map(children).unwrap_or_default();
            let assignments = body.into_iter().filter_map(|line| line.named_child(0)).filter(|node| node.kind() == "assignment");
            let ours = assignments.filter(|node| node.child_by_field_name("left").is_some_and(|left| self.of(left) == name));
            ours.filter_map(|node| node.child_by_field_name("right")).flat_map(|right| self.strings(right)).collect::<Vec<_>>()
        };
        Class {
            name: self.path(node),
            bases: bases.into_iter().map(written).collect(),
            decorators: around.into_iter().filter(|node| node.kind() == "decorator").map(written).collect(),
            odoo_name: values("_name").pop(),
            inherits: values("_inherit"),
        }
    }

    /// The strings in an expression.
    fn strings(&self, node: Node<'_>) -> Vec<String> {
        let parts = walk(node).filter(|node| node.kind() == "string");
        parts
            .map(|string| children(string).into_iter().filter(|part| part.kind() == "string_content").map(|part| self.of(part)).collect())
            .collect()
    }

    /// The names of the classes and functions around a node and its own, with dots.
    fn path(&self, node: Node<'_>) -> String {
        let around = std::iter::successors(Some(node), Node::parent);
        let named = around.filter(|node| matches!(node.kind(), "class_definition" | "function_definition"));
        let mut names: Vec<&str> = named.filter_map(|node| node.child_by_field_name("name")).map(|name| self.of(name)).collect();
        names.reverse();
        names.join(".")
    }

    fn all(&self, kind: &'static str) -> impl Iterator<Item = Node<'_>> {
        walk(self.tree.root_node()).filter(move |node| node.kind() == kind)
    }

    fn of(&self, node: Node<'_>) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }
}

/// The node with the decorators above it.
fn decorated(node: Node<'_>) -> Node<'_> {
    node.parent().filter(|parent| parent.kind() == "decorated_definition").unwrap_or(node)
}

/// The text with spaces in place of these parts; lines stay where they are.
fn blanked(text: &str, parts: impl IntoIterator<Item = Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for part in parts {
        bytes.get_mut(part).into_iter().flatten().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    String::from_utf8(bytes).unwrap_or_default()
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect()
}

/// A node and everything below it, in reading order. Not recursive: hostile nesting must not use up the stack.
fn walk(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    walk_to(node, "")
}

/// The same without what lies below nodes of the kind `leaf`.
fn walk_to<'a>(node: Node<'a>, leaf: &'static str) -> impl Iterator<Item = Node<'a>> {
    let mut stack = vec![node];
    std::iter::from_fn(move || {
        let next = stack.pop()?;
        if next.kind() != leaf {
            let mut cursor = next.walk();
            let below: Vec<_> = next.named_children(&mut cursor).collect();
            stack.extend(below.into_iter().rev());
        }
        Some(next)
    })
}
