//! The source of one frame with its syntax tree, and the statement that it stood at.

use std::collections::HashMap;

use tree_sitter::{Node, Parser, Tree};

use super::super::cut;
use super::FrameSource;
use super::bind::{Binding, bindings};

const TEXT_MAX: usize = 100_000;
const CODE_MAX: usize = 2_000;
/// Nodes looked at of one function.
const NODES_MAX: usize = 30_000;
/// Nodes looked at of one failing statement.
const FAILING_MAX: usize = 3_000;

/// A function, or of one whose source is not known the line that the traceback printed.
pub(super) struct Source {
    pub(super) text: String,
    pub(super) tree: Tree,
    /// The row, from 0, of the failing line.
    pub(super) row: usize,
    /// Whether the whole function is known.
    pub(super) whole: bool,
    pub(super) bindings: Vec<Binding>,
    /// Which of them are of a name.
    by_name: HashMap<String, Vec<usize>>,
    /// Functions within, by name: where they stand.
    inner: HashMap<String, (usize, usize)>,
    /// Where the failing statement stands, and the calls in it.
    failing: (usize, usize),
    calls: Vec<(usize, usize)>,
}

impl Source {
    pub(super) fn of(frame: &FrameSource<'_>) -> Option<Self> {
        let code = frame.code.map(|code| cut::head(code.trim(), CODE_MAX)).filter(|code| !code.is_empty());
        let whole = !frame.text.trim().is_empty() && frame.text.len() <= TEXT_MAX;
        let (text, row) = if whole { (dedented(frame.text), row(frame, code)) } else { (completed(code?), 0) };
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok()?;
        let tree = parser.parse(&text, None)?;
        let (by_name, inner) = (HashMap::new(), HashMap::new());
        let mut source = Self { text, tree, row, whole, bindings: Vec::new(), by_name, inner, failing: (0, 0), calls: Vec::new() };
        source.bindings = bindings(&source);
        for (n, binding) in source.bindings.iter().enumerate() {
            source.by_name.entry(binding.name.clone()).or_default().push(n);
        }
        let named =
            |node: Node<'_>| Some((source.of_node(node.child_by_field_name("name")?).to_owned(), (node.start_byte(), node.end_byte())));
        source.inner = source.nodes(source.root()).filter(|node| node.kind() == "function_definition").filter_map(named).collect();
        let statement = source.find_statement();
        source.failing = (statement.start_byte(), statement.end_byte());
        let is_call = |node: &Node<'_>| node.kind() == "call";
        source.calls = source.failing().into_iter().filter(is_call).map(|node| (node.start_byte(), node.end_byte())).collect();
        Some(source)
    }

    /// The bindings of a name, in reading order.
    pub(super) fn bindings_of<'s>(&'s self, name: &str) -> impl DoubleEndedIterator<Item = &'s Binding> + Clone {
        self.by_name.get(name).map(Vec::as_slice).unwrap_or_default().iter().map(|n| &self.bindings[*n])
    }

    /// A function of this name that is defined in the text.
    pub(super) fn inner_function(&self, name: &str) -> Option<Node<'_>> {
        let (start, end) = self.inner.get(name)?;
        self.at(*start, *end)
    }

    pub(super) fn of_node(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    pub(super) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    /// The smallest node that spans these bytes.
    pub(super) fn at(&self, start: usize, end: usize) -> Option<Node<'_>> {
        self.root().descendant_for_byte_range(start, end)
    }

    /// A node and all below it, in reading order.
    pub(super) fn nodes<'t>(&self, top: Node<'t>) -> impl Iterator<Item = Node<'t>> {
        let mut open = vec![top];
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(children(node).rev());
            Some(node)
        })
        .take(NODES_MAX)
    }

    /// The values that fields of records are set to, as a method that computes them does.
    pub(super) fn set_fields(&self) -> Vec<Node<'_>> {
        let set = |node: &Node<'_>| {
            node.kind() == "assignment" && node.child_by_field_name("left").is_some_and(|left| left.kind() == "attribute")
        };
        self.nodes(self.root()).filter(set).filter_map(|node| node.child_by_field_name("right")).take(30).collect()
    }

    /// The smallest statement that the failing line belongs to.
    pub(super) fn statement(&self) -> Node<'_> {
        let (start, end) = self.failing;
        let mut node = self.at(start, end).unwrap_or_else(|| self.root());
        // Of several nodes for the same text, the outermost that is no whole text.
        while let Some(parent) =
            node.parent().filter(|parent| !is_statement(node) && parent.start_byte() == start && parent.end_byte() == end)
        {
            node = parent;
        }
        node
    }

    fn find_statement(&self) -> Node<'_> {
        let covers = |node: &Node<'_>| node.start_position().row <= self.row && self.row <= node.end_position().row;
        let mut best = self.root();
        if !self.whole {
            return best.named_child(0).unwrap_or(best);
        }
        for node in self.nodes(self.root()) {
            if covers(&node) && is_statement(node) && node.end_byte() - node.start_byte() <= best.end_byte() - best.start_byte() {
                best = node;
            }
        }
        best
    }

    /// The calls of the failing statement, those on the failing line first.
    pub(super) fn failing_calls(&self) -> impl Iterator<Item = Node<'_>> {
        self.calls.iter().filter_map(|(start, end)| self.at(*start, *end)).filter(|node| node.kind() == "call")
    }

    /// The nodes of the failing statement, without the blocks below it; those that begin on the failing line first.
    pub(super) fn failing(&self) -> Vec<Node<'_>> {
        let top = self.statement();
        let mut open = vec![top];
        let mut found = Vec::new();
        while let Some(node) = open.pop() {
            found.push(node);
            open.extend(children(node).rev().filter(|child| child.kind() != "block" && found.len() < FAILING_MAX));
        }
        let mut first: Vec<Node<'_>> = found.iter().copied().filter(|node| node.start_position().row == self.row).collect();
        first.extend(found.into_iter().filter(|node| node.start_position().row != self.row));
        first
    }
}

/// The named parts of a node.
pub(super) fn children(node: Node<'_>) -> impl DoubleEndedIterator<Item = Node<'_>> {
    // By their number each would be counted up to anew.
    node.named_children(&mut node.walk()).collect::<Vec<_>>().into_iter()
}

fn is_statement(node: Node<'_>) -> bool {
    let kind = node.kind();
    (kind.ends_with("_statement") && node.parent().is_none_or(|parent| matches!(parent.kind(), "block" | "module" | "ERROR")))
        || matches!(kind, "elif_clause" | "function_definition" | "decorated_definition")
}

/// A method's source stands to the right; as a text of its own it has to stand at the left.
fn dedented(text: &str) -> String {
    let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let spaces = line.bytes().take(indent).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        out.push_str(&line[spaces..]);
    }
    out
}

/// The row of the failing line: the one that reads as the traceback printed it, nearest to where it says.
fn row(frame: &FrameSource<'_>, code: Option<&str>) -> usize {
    let lines: Vec<&str> = frame.text.lines().collect();
    let said = usize::try_from(frame.line.saturating_sub(frame.first_line)).unwrap_or(0);
    let same = |line: &str| code.is_some_and(|code| line.trim() == code.lines().next().unwrap_or_default().trim());
    let near = lines.iter().enumerate().filter(|(_, line)| same(line)).min_by_key(|(row, _)| row.abs_diff(said));
    near.map_or_else(|| said.min(lines.len().saturating_sub(1)), |(row, _)| row)
}

/// One line, cut out of its statement, so that it can be parsed: brackets closed, a body for what wants one.
fn completed(code: &str) -> String {
    let mut text = code.to_owned();
    for (from, to) in [("elif ", "if "), ("except ", "if "), ("async ", "")] {
        if let Some(rest) = text.strip_prefix(from) {
            text = format!("{to}{rest}");
        }
    }
    let mut open = Vec::new();
    for character in text.chars() {
        match character {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' => drop(open.pop()),
            _ => {}
        }
    }
    text = text.trim_end_matches(',').to_owned();
    text.extend(open.into_iter().rev());
    if text.ends_with(':') {
        text.push_str(" pass");
    }
    text.push('\n');
    text
}
