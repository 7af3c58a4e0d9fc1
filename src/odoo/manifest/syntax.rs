//! The dict literal of a manifest, with the place of everything in it.

use std::collections::BTreeMap;
use std::ops::Range;

use tree_sitter::{Node, Parser};

use super::{ManifestError, SIZE_MAX};

/// A literal, as far as a manifest uses it.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Truth(bool),
    /// A list or tuple; an item that is no string is `None`.
    List(Vec<(Option<String>, Range<usize>)>),
    Dict(Vec<Pair>),
    Other,
}

#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Value,
    pub(super) span: Range<usize>,
}

#[derive(Debug)]
pub(super) struct Dict {
    pub(super) pairs: Vec<Pair>,
    /// From brace to brace.
    pub(super) span: Range<usize>,
}

impl Value {
    pub(super) fn text(&self) -> Option<String> {
        if let Self::Text(text) = self { Some(text.clone()) } else { None }
    }

    pub(super) fn texts(&self) -> Vec<String> {
        if let Self::List(items) = self { items.iter().filter_map(|(text, _)| text.clone()).collect() } else { Vec::new() }
    }

    pub(super) fn lists(&self) -> BTreeMap<String, Vec<String>> {
        let Self::Dict(pairs) = self else { return BTreeMap::new() };
        pairs.iter().map(|pair| (pair.key.clone(), pair.value.texts())).collect()
    }

    /// `auto_install` may be a list of the addons to wait for: true, unless it is something that is not understood.
    pub(super) fn truth(&self, otherwise: bool) -> bool {
        match self {
            Self::Truth(truth) => *truth,
            Self::List(_) => true,
            _ => otherwise,
        }
    }
}

impl Dict {
    pub(super) fn parse(source: &str) -> Result<Self, ManifestError> {
        if source.len() > SIZE_MAX {
            return Err(ManifestError::TooLarge(source.len()));
        }
        let mut parser = Parser::new();
        // The grammar is compiled in, so it always fits; a tree is only missing where parsing was given a time limit.
        let tree = parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok().and_then(|()| parser.parse(source, None));
        let tree = tree.ok_or(ManifestError::NoDict)?;
        let root = tree.root_node();
        if root.has_error() {
            return Err(ManifestError::Syntax { line: error_line(root) });
        }
        let mut cursor = root.walk();
        let dict = root
            .named_children(&mut cursor)
            .filter(|statement| statement.kind() == "expression_statement")
            .find_map(|statement| statement.named_child(0).filter(|node| node.kind() == "dictionary"));
        let dict = dict.ok_or(ManifestError::NoDict)?;
        Ok(Self { pairs: pairs(dict, source, 0), span: dict.byte_range() })
    }

    pub(super) fn pair(&self, key: &str) -> Option<&Pair> {
        // Python keeps the last of two equal keys.
        self.pairs.iter().rev().find(|pair| pair.key == key)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.pair(key).map(|pair| &pair.value)
    }

    pub(super) fn spans(&self) -> BTreeMap<String, Range<usize>> {
        self.pairs.iter().map(|pair| (pair.key.clone(), pair.span.clone())).collect()
    }
}

fn error_line(root: Node<'_>) -> usize {
    let mut node = root;
    loop {
        let mut cursor = node.walk();
        let broken = node.children(&mut cursor).find(|child| child.has_error() || child.is_error() || child.is_missing());
        match broken {
            Some(child) if !node.is_error() => node = child,
            _ => return node.start_position().row + 1,
        }
    }
}

/// Deeper than any manifest goes, and shallow enough for the stack.
const DEPTH_MAX: usize = 8;

fn pairs(dict: Node<'_>, source: &str, depth: usize) -> Vec<Pair> {
    let mut cursor = dict.walk();
    let mut found = Vec::new();
    for node in dict.named_children(&mut cursor).filter(|node| node.kind() == "pair") {
        let (Some(key), Some(value)) = (node.child_by_field_name("key"), node.child_by_field_name("value")) else { continue };
        if let Some(name) = string(key, source) {
            found.push(Pair { key: name, key_span: key.byte_range(), value: read(value, source, depth + 1), span: value.byte_range() });
        }
    }
    found
}

fn read(node: Node<'_>, source: &str, depth: usize) -> Value {
    match node.kind() {
        _ if depth > DEPTH_MAX => Value::Other,
        "true" => Value::Truth(true),
        "false" => Value::Truth(false),
        "list" | "tuple" => {
            let mut cursor = node.walk();
            let items = node.named_children(&mut cursor).filter(|item| item.kind() != "comment");
            Value::List(items.map(|item| (string(item, source), item.byte_range())).collect())
        }
        "dictionary" => Value::Dict(pairs(node, source, depth)),
        _ => string(node, source).map_or(Value::Other, Value::Text),
    }
}

fn string(node: Node<'_>, source: &str) -> Option<String> {
    let mut cursor = node.walk();
    match node.kind() {
        "concatenated_string" => {
            node.named_children(&mut cursor).filter(|part| part.kind() == "string").map(|part| string(part, source)).collect()
        }
        "parenthesized_expression" => string(node.named_child(0).filter(|inner| inner.kind().ends_with("string"))?, source),
        "string" => {
            let start = node.children(&mut cursor).find(|part| part.kind() == "string_start")?;
            let mut cursor = node.walk();
            let end = node.children(&mut cursor).find(|part| part.kind() == "string_end")?;
            let quote = source.get(start.byte_range())?.to_ascii_lowercase();
            let text = source.get(start.end_byte()..end.start_byte())?;
            match quote.trim_end_matches(['"', '\'']) {
                "" | "u" => Some(unescaped(text)),
                "r" => Some(text.to_owned()),
                _ => None,
            }
        }
        _ => None,
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('\n')) => {}
            ('\\', Some(escaped @ ('\\' | '\'' | '"'))) => plain.push(escaped),
            ('\\', Some(other)) => plain.extend(['\\', other]),
            (c, _) => plain.push(c),
        }
    }
    plain
}
