//! Reading `__manifest__.py`: the dict literal, with the place of everything in it. Changing it is for the rules.

use std::ops::Range;

use tree_sitter::{Node, Parser};

/// Bytes of a manifest that are read; real ones are a few kilobytes.
const SIZE_MAX: usize = 1024 * 1024;

/// A manifest that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Larger than a manifest ever is.
    #[error("the manifest has {0} bytes: more than a manifest may have")]
    TooLarge(usize),
    /// Python that does not parse.
    #[error("line {line} of the manifest is not valid Python: correct it first")]
    Syntax {
        /// Counted from 1.
        line: usize,
    },
    /// No dict literal.
    #[error("the manifest holds no dict: write one as `{{'name': …}}`")]
    NoDict,
}

/// What a manifest says, by its keys. Values that are no literals are known to be there, and nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pairs: Vec<Pair>,
    range: Range<usize>,
}

/// A list or tuple of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Where it stands in the source, brackets included.
    pub range: Range<usize>,
    /// What it holds.
    pub items: Vec<Item>,
}

/// One string of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its text.
    pub value: String,
    /// Where it stands in the source, quotes included.
    pub range: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    key: String,
    key_range: Range<usize>,
    value: Value,
    range: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Truth(bool),
    /// A list or tuple; an item that is no string has no text.
    List(Vec<(Option<String>, Range<usize>)>),
    Other,
}

impl Manifest {
    /// Reads the dict literal of a manifest.
    pub fn parse(source: &str) -> Result<Self, ManifestError> {
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
        let dict = children(root).into_iter().filter(|node| node.kind() == "expression_statement").find_map(dict_of);
        let dict = dict.ok_or(ManifestError::NoDict)?;
        Ok(Self { pairs: pairs(dict, source), range: dict.byte_range() })
    }

    /// The string under a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        if let Value::Text(text) = &self.pair(key)?.value { Some(text) } else { None }
    }

    /// The strings of the list under a key; what else stands in it is left out.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        let Some(Value::List(items)) = self.pair(key).map(|pair| &pair.value) else { return Vec::new() };
        items.iter().filter_map(|(text, _)| text.as_deref()).collect()
    }

    /// The list under a key; `None` if there is none or it holds anything but strings.
    pub fn list(&self, key: &str) -> Option<List> {
        let Pair { value: Value::List(items), range, .. } = self.pair(key)? else { return None };
        let item = |(text, range): &(Option<String>, Range<usize>)| Some(Item { value: text.clone()?, range: range.clone() });
        Some(List { range: range.clone(), items: items.iter().map(item).collect::<Option<_>>()? })
    }

    /// Whether Python takes what is under a key as true; `None` if nothing is there or it is no literal.
    pub fn truth(&self, key: &str) -> Option<bool> {
        match &self.pair(key)?.value {
            Value::Text(text) => Some(!text.is_empty()),
            Value::Truth(truth) => Some(*truth),
            Value::List(items) => Some(!items.is_empty()),
            Value::Other => None,
        }
    }

    /// Where the dict stands in the source, braces included.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Where a key stands, quotes included.
    pub fn key(&self, key: &str) -> Option<Range<usize>> {
        self.pair(key).map(|pair| pair.key_range.clone())
    }

    /// Where the value under a key stands in the source.
    pub fn value(&self, key: &str) -> Option<Range<usize>> {
        self.pair(key).map(|pair| pair.range.clone())
    }

    /// Where the last key stands with its value.
    pub fn last(&self) -> Option<Range<usize>> {
        self.pairs.last().map(|pair| pair.key_range.start..pair.range.end)
    }

    fn pair(&self, key: &str) -> Option<&Pair> {
        // Python keeps the last of two equal keys.
        self.pairs.iter().rev().find(|pair| pair.key == key)
    }
}

/// Named children without comments.
fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect()
}

/// The dict that a statement consists of, with or without brackets around it.
fn dict_of(statement: Node<'_>) -> Option<Node<'_>> {
    let mut node = statement;
    while matches!(node.kind(), "expression_statement" | "parenthesized_expression") {
        node = children(node).into_iter().next()?;
    }
    (node.kind() == "dictionary").then_some(node)
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

fn pairs(dict: Node<'_>, source: &str) -> Vec<Pair> {
    let pair = |node: Node<'_>| {
        let (key, value) = (node.child_by_field_name("key")?, node.child_by_field_name("value")?);
        Some(Pair { key: string(key, source)?, key_range: key.byte_range(), value: read(value, source), range: value.byte_range() })
    };
    children(dict).into_iter().filter(|node| node.kind() == "pair").filter_map(pair).collect()
}

fn read(node: Node<'_>, source: &str) -> Value {
    match node.kind() {
        "true" => Value::Truth(true),
        "false" | "none" => Value::Truth(false),
        "integer" => Value::Truth(source.get(node.byte_range()) != Some("0")),
        "list" | "tuple" => Value::List(children(node).into_iter().map(|item| (string(item, source), item.byte_range())).collect()),
        _ => string(node, source).map_or(Value::Other, Value::Text),
    }
}

fn string(node: Node<'_>, source: &str) -> Option<String> {
    match node.kind() {
        "concatenated_string" => children(node).into_iter().map(|part| string(part, source)).collect(),
        "parenthesized_expression" => match children(node).as_slice() {
            [inner] if inner.kind().ends_with("string") => string(*inner, source),
            _ => None,
        },
        "string" => {
            let mut cursor = node.walk();
            let parts: Vec<_> = node.children(&mut cursor).collect();
            let of_kind = |kind: &str| parts.iter().find(|part| part.kind() == kind);
            let (start, end) = (of_kind("string_start")?, of_kind("string_end")?);
            let quote = source.get(start.byte_range())?.to_ascii_lowercase();
            let text = source.get(start.end_byte()..end.start_byte())?;
            match quote.trim_end_matches(['"', '\'']) {
                "" | "u" => unescaped(text),
                "r" => Some(text.to_owned()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The escapes that people write; a rarer one is not understood.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('r')) => plain.push('\r'),
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('\n')) => {}
            ('\\', Some(escaped @ ('\\' | '\'' | '"'))) => plain.push(escaped),
            ('\\', Some('a' | 'b' | 'f' | 'v' | 'x' | 'u' | 'U' | 'N' | '0'..='7')) => return None,
            ('\\', Some(other)) => plain.extend(['\\', other]),
            (c, _) => plain.push(c),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(source: &str) -> Manifest {
        Manifest::parse(source).unwrap()
    }

    #[test]
    fn manifest_is_read() {
        let source = r#"# Copyright
# a comment
{
    "name": 'Shop \'s', # here
    'version': "19.0.1.0.0",
    "depends": ["base", 'mail',],
    "data": (
        # security first
        "security/ir.model.access.csv",
        "views/" "shop.xml",
    ),
    "external_dependencies": {"python": ["stdnum"], "bin": []},
    "post_init_hook": "hook",
    "installable": False,
    "price": 1 + 2,
}
"#;
        let manifest = manifest(source);
        assert_eq!((manifest.text("name"), manifest.text("version")), (Some("Shop 's"), Some("19.0.1.0.0")));
        assert_eq!(manifest.texts("data"), ["security/ir.model.access.csv", "views/shop.xml"]);
        assert_eq!((manifest.text("post_init_hook"), manifest.truth("installable")), (Some("hook"), Some(false)));
        assert_eq!((manifest.truth("price"), manifest.truth("application")), (None, None));
        let depends = manifest.list("depends").unwrap();
        assert_eq!(&source[depends.range], r#"["base", 'mail',]"#);
        assert_eq!((depends.items[1].value.as_str(), &source[depends.items[1].range.clone()]), ("mail", "'mail'"));
        assert_eq!(&source[manifest.key("version").unwrap()], "'version'");
        assert_eq!(&source[manifest.last().unwrap()], "\"price\": 1 + 2");
        assert!(source[manifest.range()].starts_with("{\n    \"name\"") && source[manifest.range()].ends_with('}'));
    }

    #[test]
    fn what_is_no_string_is_told_apart() {
        let manifest = manifest("({'data': ['a', some()], 'b': 0, 'b': None, 'name': 'caf\\xe9', 'demo': f'x'})");
        assert_eq!(manifest.texts("data"), ["a"]);
        assert_eq!(manifest.list("data"), None);
        assert_eq!(manifest.truth("b"), Some(false));
        assert_eq!((manifest.text("name"), manifest.text("demo")), (None, None));
    }

    #[test]
    fn broken_manifests_are_refused() {
        assert_eq!(Manifest::parse("{\n'name': 'a'\n'data': [}"), Err(ManifestError::Syntax { line: 3 }));
        assert_eq!(Manifest::parse("# nothing"), Err(ManifestError::NoDict));
        assert_eq!(Manifest::parse("[1]"), Err(ManifestError::NoDict));
        assert_eq!(Manifest::parse(&"#".repeat(SIZE_MAX + 1)), Err(ManifestError::TooLarge(SIZE_MAX + 1)));
    }

    #[test]
    fn deep_nesting_is_survived() {
        for text in ["('a' ".repeat(50_000), format!("{{'a': {}'b'{}}}", "(".repeat(50_000), ")".repeat(50_000)), "{'a':".repeat(50_000)] {
            let _ = Manifest::parse(&text);
        }
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(source in "(?s)[{}\\[\\]()'\",:#\\\\ndatx \n]{0,60}") {
            let _ = Manifest::parse(&source);
        }
    }
}
