//! The lists of `__manifest__.py`: read, and edited where they stand.

use std::ops::Range;

use super::python::{Source, children, field, quoted};
use super::{Edit, apply, indent, whole_lines};

/// One string in a list of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its text.
    pub value: String,
    /// Where it stands, quotes included.
    pub range: Range<usize>,
}

/// A list of strings under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Where it stands, brackets included.
    pub range: Range<usize>,
    /// What it holds.
    pub items: Vec<Item>,
}

fn with_dict<T>(text: &str, read: impl FnOnce(&Source<'_>, tree_sitter::Node<'_>) -> Option<T>) -> Option<T> {
    let source = Source::parse(text)?;
    let statements = children(source.root());
    let dict = statements.iter().filter_map(|statement| statement.named_child(0)).find(|node| node.kind() == "dictionary")?;
    read(&source, dict)
}

fn value_of<'a>(source: &Source<'_>, dict: tree_sitter::Node<'a>, key: &str) -> Option<tree_sitter::Node<'a>> {
    let has_key = |pair: &tree_sitter::Node<'_>| {
        pair.kind() == "pair" && field(*pair, "key").and_then(|key| source.literal(key)).as_deref() == Some(key)
    };
    // Python keeps the last of two equal keys.
    field(children(dict).into_iter().rfind(has_key)?, "value")
}

/// The text under a key.
pub fn string(text: &str, key: &str) -> Option<String> {
    with_dict(text, |source, dict| source.literal(value_of(source, dict, key)?))
}

/// The list under a key; `None` if there is none or it holds anything but strings.
pub fn list(text: &str, key: &str) -> Option<List> {
    with_dict(text, |source, dict| {
        let node = value_of(source, dict, key).filter(|node| node.kind() == "list")?;
        let item = |child: tree_sitter::Node<'_>| Some(Item { value: source.literal(child)?, range: child.byte_range() });
        Some(List { range: node.byte_range(), items: children(node).into_iter().map(item).collect::<Option<_>>()? })
    })
}

/// The values of the list under a key; none if there is no such list.
pub fn values(text: &str, key: &str) -> Vec<String> {
    list(text, key).map_or_else(Vec::new, |list| list.items.into_iter().map(|item| item.value).collect())
}

/// Puts `value` at place `at` of the list under `key`, which is made if the manifest has none.
pub fn insert(text: &str, key: &str, value: &str, at: usize) -> Option<String> {
    let Some(list) = list(text, key) else { return insert_key(text, key, value) };
    let quote = |item: &Item| if text[item.range.clone()].starts_with('\'') { format!("'{value}'") } else { quoted(value) };
    let edit = match (list.items.get(at), list.items.last()) {
        (Some(next), _) => {
            let gap = indent(text, next.range.start).map_or_else(|| " ".to_owned(), |indent| format!("\n{indent}"));
            Edit::new(next.range.start..next.range.start, format!("{},{gap}", quote(next)))
        }
        (None, Some(last)) => {
            let gap = indent(text, last.range.start).map_or_else(|| " ".to_owned(), |indent| format!("\n{indent}"));
            Edit::new(last.range.end..last.range.end, format!(",{gap}{}", quote(last)))
        }
        (None, None) => Edit::new(list.range.clone(), format!("[{}]", quoted(value))),
    };
    apply(text, vec![edit])
}

fn insert_key(text: &str, key: &str, value: &str) -> Option<String> {
    with_dict(text, |source, dict| {
        if value_of(source, dict, key).is_some() {
            return None;
        }
        let last = children(dict).into_iter().rfind(|node| node.kind() == "pair")?;
        let gap = indent(text, last.start_byte()).map_or_else(|| " ".to_owned(), |indent| format!("\n{indent}"));
        let at = last.end_byte();
        apply(text, vec![Edit::new(at..at, format!(",{gap}{}: [{}]", quoted(key), quoted(value)))])
    })
}

/// The edit that takes item `at` out of a list, with its line if it stands alone there.
pub fn removal(text: &str, list: &List, at: usize) -> Option<Edit> {
    let item = list.items.get(at)?;
    let after = &text[item.range.end..];
    let comma = after.len() - after.trim_start().len();
    let with_comma = if after[comma..].starts_with(',') { item.range.start..item.range.end + comma + 1 } else { item.range.clone() };
    let lines = whole_lines(text, with_comma.clone());
    if lines != with_comma {
        return Some(Edit::remove(lines));
    }
    let range = match (list.items.get(at + 1), at.checked_sub(1).and_then(|i| list.items.get(i))) {
        (Some(next), _) => item.range.start..next.range.start,
        (None, Some(previous)) => previous.range.end..item.range.end,
        (None, None) => with_comma,
    };
    Some(Edit::remove(range))
}

/// The manifest with item `from` of a list standing at place `to`; the others move up or down by one.
pub fn moved(text: &str, list: &List, from: usize, to: usize) -> Option<String> {
    let mut order: Vec<usize> = (0..list.items.len()).collect();
    if from >= order.len() || to >= order.len() {
        return None;
    }
    let item = order.remove(from);
    order.insert(to, item);
    let slot = |(place, now): (usize, &usize)| Edit::new(list.items[place].range.clone(), &text[list.items[*now].range.clone()]);
    apply(text, order.iter().enumerate().map(slot).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "{\n    \"name\": \"x\",\n    \"data\": [\n        \"a.xml\",\n        # why\n        \"b.xml\",\n    ],\n}\n";

    #[test]
    fn items_are_inserted_where_they_belong() {
        assert_eq!(insert(LONG, "data", "n.csv", 0).unwrap(), LONG.replace("\"a.xml\"", "\"n.csv\",\n        \"a.xml\""));
        assert_eq!(insert(LONG, "data", "n.csv", 9).unwrap(), LONG.replace("\"b.xml\"", "\"b.xml\",\n        \"n.csv\""));
        assert_eq!(insert("{'data': ['a']}", "data", "n", 0).unwrap(), "{'data': ['n', 'a']}");
        assert_eq!(insert("{'data': []}", "data", "n", 0).unwrap(), "{'data': [\"n\"]}");
        assert_eq!(insert("{\n    'name': 'x',\n}", "data", "n", 0).unwrap(), "{\n    'name': 'x',\n    \"data\": [\"n\"],\n}");
        assert_eq!(insert("{'data': some()}", "data", "n", 0), None);
    }

    #[test]
    fn items_are_removed_without_a_trace() {
        let removed = |text: &str, at| apply(text, vec![removal(text, &list(text, "data").unwrap(), at).unwrap()]).unwrap();
        assert_eq!(removed(LONG, 0), LONG.replace("        \"a.xml\",\n", ""));
        assert_eq!(removed("{'data': ['a', 'b', 'c']}", 1), "{'data': ['a', 'c']}");
        assert_eq!(removed("{'data': ['a', 'b', 'c']}", 2), "{'data': ['a', 'b']}");
        assert_eq!(removed("{'data': ['a',]}", 0), "{'data': []}");
    }

    #[test]
    fn items_change_places() {
        let list = list(LONG, "data").unwrap();
        assert_eq!(moved(LONG, &list, 1, 0).unwrap(), LONG.replace("a.xml", "?").replace("b.xml", "a.xml").replace('?', "b.xml"));
        assert_eq!(moved(LONG, &list, 1, 7), None);
    }
}
