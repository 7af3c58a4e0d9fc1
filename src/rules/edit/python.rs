//! Spans in Python, found in its syntax tree.

use std::ops::Range;

use tree_sitter::{Node, Parser, Tree};

use super::{Edit, MAX_FILE, apply, whole_lines};

/// A Python text with its syntax tree.
#[derive(Debug)]
pub struct Source<'t> {
    /// The text.
    pub text: &'t str,
    tree: Tree,
}

impl<'t> Source<'t> {
    /// Reads a text; `None` if it is too large or has a syntax error anywhere.
    pub fn parse(text: &'t str) -> Option<Self> {
        if text.len() > MAX_FILE {
            return None;
        }
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok()?;
        let tree = parser.parse(text, None)?;
        (!tree.root_node().has_error()).then_some(Self { text, tree })
    }

    /// The whole file.
    pub fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    /// Every node of this kind, in reading order.
    pub fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = Node<'a>> {
        walk(self.root()).filter(move |node| node.kind() == kind)
    }

    /// The source of a node.
    pub fn of(&self, node: Node<'_>) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// The text of a string literal: plain, implicitly joined, in brackets or wrapped in `_()`.
    pub fn literal(&self, node: Node<'_>) -> Option<String> {
        literal(self.text, node, 0)
    }

    /// Where the characters between the quotes stand, for one plain string without escapes.
    pub fn inside(&self, node: Node<'_>) -> Option<Range<usize>> {
        let start = node.child(0).filter(|child| child.kind() == "string_start")?;
        let end = node.child(node.child_count().checked_sub(1)?).filter(|child| child.kind() == "string_end")?;
        let range = start.end_byte()..end.start_byte();
        let prefix_is_plain = self.of(start).trim_end_matches(['"', '\'']).is_empty();
        (prefix_is_plain && !self.text.get(range.clone())?.contains(['\\', '\n'])).then_some(range)
    }

    /// The text between the quotes of one plain string without escapes.
    pub fn simple(&self, node: Node<'_>) -> Option<&'t str> {
        if node.kind() != "string" {
            return None;
        }
        self.text.get(self.inside(node)?)
    }

    /// The value of a class or module attribute that is a plain string, by its name, among the statements of `body`.
    pub fn assigned(&self, body: Node<'_>, name: &str) -> Option<Node<'_>> {
        let assignments = children(body).into_iter().filter_map(|statement| statement.named_child(0));
        let mut found = assignments.filter(|node| node.kind() == "assignment");
        let range =
            found.find(|node| field(*node, "left").is_some_and(|left| self.of(left) == name))?.child_by_field_name("right")?.byte_range();
        self.root().descendant_for_byte_range(range.start, range.end)
    }
}

fn literal(text: &str, node: Node<'_>, depth: usize) -> Option<String> {
    if depth > 20 {
        return None;
    }
    match node.kind() {
        "string" => string_value(text, node),
        "concatenated_string" => children(node).into_iter().map(|part| literal(text, part, depth + 1)).collect(),
        "parenthesized_expression" => match children(node).as_slice() {
            [only] => literal(text, *only, depth + 1),
            _ => None,
        },
        "call" if text.get(node.child_by_field_name("function")?.byte_range()) == Some("_") => {
            match children(node.child_by_field_name("arguments")?).as_slice() {
                [only] => literal(text, *only, depth + 1),
                _ => None,
            }
        }
        _ => None,
    }
}

fn string_value(text: &str, node: Node<'_>) -> Option<String> {
    let mut value = String::new();
    for part in (0..node.child_count()).filter_map(|i| node.child(i)) {
        let source = text.get(part.byte_range())?;
        match part.kind() {
            "string_start" if source.trim_end_matches(['"', '\'']).is_empty() => {}
            "string_content" => value.push_str(&unescape(source)?),
            "string_end" => {}
            _ => return None,
        }
    }
    Some(value)
}

/// The escapes that people write; anything rarer is not understood.
fn unescape(source: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                '\n' => {}
                quote @ ('\\' | '\'' | '"') => value.push(quote),
                _ => return None,
            },
            other => value.push(other),
        }
    }
    Some(value)
}

/// A double-quoted literal for this text.
pub fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A child by its role in the grammar.
pub fn field<'a>(node: Node<'a>, name: &str) -> Option<Node<'a>> {
    node.child_by_field_name(name)
}

/// Named children without comments.
pub fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect()
}

/// A node and everything below it, in reading order. Not recursive: hostile nesting must not use up the stack.
pub fn walk(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    let mut stack = vec![node];
    std::iter::from_fn(move || {
        let next = stack.pop()?;
        let mut cursor = next.walk();
        let below: Vec<_> = next.named_children(&mut cursor).collect();
        stack.extend(below.into_iter().rev());
        Some(next)
    })
}

/// The node's ancestors, nearest first.
pub fn ancestors(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    std::iter::successors(node.parent(), Node::parent)
}

/// Whether an identifier names a variable here, rather than an attribute, an argument keyword or part of an import.
pub fn is_reference(node: Node<'_>) -> bool {
    if node.kind() != "identifier" {
        return false;
    }
    let Some(parent) = node.parent() else { return false };
    let role = |name: &str| field(parent, name) == Some(node);
    match parent.kind() {
        "attribute" => !role("attribute"),
        "keyword_argument" => !role("name"),
        "dotted_name" | "aliased_import" => !ancestors(node).any(|up| up.kind().starts_with("import")),
        _ => true,
    }
}

/// One name of a `from … import …` statement.
#[derive(Debug, Clone, Copy)]
pub struct Imported<'a> {
    /// The statement.
    pub statement: Node<'a>,
    /// The name with its alias, as it stands in the list.
    pub entry: Node<'a>,
    /// The name alone.
    pub name: Node<'a>,
    /// The alias, if there is one.
    pub alias: Option<Node<'a>>,
}

/// Every name imported by `from … import …`, with the source of what it is imported from.
pub fn imports<'a>(source: &'a Source<'_>) -> Vec<(&'a str, Imported<'a>)> {
    let mut found = Vec::new();
    for statement in source.all("import_from_statement") {
        let Some(module) = field(statement, "module_name") else { continue };
        let mut cursor = statement.walk();
        for entry in statement.children_by_field_name("name", &mut cursor) {
            let (name, alias) =
                if entry.kind() == "aliased_import" { (field(entry, "name"), field(entry, "alias")) } else { (Some(entry), None) };
            if let Some(name) = name {
                found.push((source.of(module), Imported { statement, entry, name, alias }));
            }
        }
    }
    found
}

/// Takes names out of one import statement; the whole statement if nothing is left of it.
pub fn remove_names(source: &Source<'_>, statement: Node<'_>, gone: &[Range<usize>]) -> Vec<Edit> {
    let mut cursor = statement.walk();
    let entries: Vec<Range<usize>> = statement.children_by_field_name("name", &mut cursor).map(|entry| entry.byte_range()).collect();
    if entries.iter().all(|entry| gone.contains(entry)) {
        return vec![remove_statement(source, statement)];
    }
    let mut edits = Vec::new();
    for (i, entry) in entries.iter().enumerate().filter(|(_, entry)| gone.contains(entry)) {
        // Up to the next name; or, at the end of the list, from the end of the last name that stays.
        let range = match entries.get(i + 1) {
            Some(next) if entries[i + 1..].iter().any(|later| !gone.contains(later)) => entry.start..next.start,
            _ => entries[..i].iter().rfind(|earlier| !gone.contains(earlier)).map_or(entry.start, |kept| kept.end)..entry.end,
        };
        match edits.last_mut() {
            Some(Edit { range: last, .. }) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => edits.push(Edit::remove(range)),
        }
    }
    edits
}

/// Takes a statement away; `pass` stays if the block would be empty.
pub fn remove_statement(source: &Source<'_>, statement: Node<'_>) -> Edit {
    let alone = statement.parent().is_some_and(|block| block.kind() == "block" && children(block).len() == 1);
    if alone { Edit::new(statement.byte_range(), "pass") } else { Edit::remove(whole_lines(source.text, statement.byte_range())) }
}

/// The text without those imports of `names` that nothing in the file uses.
pub fn without_unused(text: &str, names: &[&str]) -> String {
    let Some(source) = Source::parse(text) else { return text.to_owned() };
    let used = |name: &str| source.all("identifier").any(|node| is_reference(node) && source.of(node) == name) || exported(&source, name);
    let mut by_statement: Vec<(Node<'_>, Vec<Range<usize>>)> = Vec::new();
    for (_, imported) in imports(&source) {
        let bound = source.of(imported.alias.unwrap_or(imported.name));
        if names.contains(&bound) && !used(bound) {
            match by_statement.iter_mut().find(|(statement, _)| *statement == imported.statement) {
                Some((_, gone)) => gone.push(imported.entry.byte_range()),
                None => by_statement.push((imported.statement, vec![imported.entry.byte_range()])),
            }
        }
    }
    let edits = by_statement.iter().flat_map(|(statement, gone)| remove_names(&source, *statement, gone)).collect();
    apply(text, edits).unwrap_or_else(|| text.to_owned())
}

/// Whether `__all__` names it.
fn exported(source: &Source<'_>, name: &str) -> bool {
    source.assigned(source.root(), "__all__").is_some_and(|list| walk(list).any(|node| source.simple(node) == Some(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_joined() {
        let source = Source::parse("x = (\"a\" 'b\\'')\ny = _(\"c\")\nz = f\"{d}\"\n").unwrap();
        let values: Vec<_> = ["x", "y", "z"].map(|name| source.literal(source.assigned(source.root(), name).unwrap())).into();
        assert_eq!(values, [Some("ab'".to_owned()), Some("c".to_owned()), None]);
    }

    #[test]
    fn unused_names_leave_the_import() {
        let names = ["a", "b", "c"];
        for (before, after) in [
            ("from m import a, b, c\nb()\n", "from m import b\nb()\n"),
            ("from m import a, b, c\nc()\n", "from m import c\nc()\n"),
            ("from m import a, b, c\na()\n", "from m import a\na()\n"),
            ("from m import (\n    a,\n    d,\n    c,\n)\n", "from m import (\n    d,\n)\n"),
            ("import x\nfrom m import a\ny = 1\n", "import x\ny = 1\n"),
            ("if x:\n    from m import a\n", "if x:\n    pass\n"),
            ("from m import a\nx.a\nf(a=1)\n", "x.a\nf(a=1)\n"),
            ("from m import a\n__all__ = ['a']\n", "from m import a\n__all__ = ['a']\n"),
        ] {
            assert_eq!(without_unused(before, &names), after);
        }
    }

    #[test]
    fn broken_python_is_not_read() {
        assert!(Source::parse("def (:\n").is_none());
    }
}
