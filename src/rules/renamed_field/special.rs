//! Values in Python that need more than another name: those of fields that are gone, were merged into another, or say the opposite.

use tree_sitter::Node;

use super::super::edit::Edit;
use super::super::edit::python::{Source, children, field};
use super::super::renames::Known;

/// The dictionary without one of its pairs.
pub(super) fn without(pair: Node<'_>) -> Option<Edit> {
    let pairs = children(pair.parent()?);
    let at = pairs.iter().position(|other| *other == pair)?;
    Some(Edit::remove(match (pairs.get(at + 1), at.checked_sub(1)) {
        (Some(next), _) => pair.start_byte()..next.start_byte(),
        (None, Some(before)) => pairs[before].end_byte()..pair.end_byte(),
        (None, None) => pair.byte_range(),
    }))
}

/// A value for a field that was merged into another: it goes there, or stands in where the other one's own value is empty.
pub(super) fn merged(source: &Source<'_>, pair: Node<'_>, into: &str, known: &Known) -> Option<Vec<Edit>> {
    let siblings = children(pair.parent()?);
    let is_other = |other: &&Node<'_>| field(**other, "key").is_some_and(|key| source.simple(key) == Some(into));
    let Some(other) = siblings.iter().find(is_other) else {
        return Some(vec![Edit::new(source.inside(field(pair, "key")?)?, into)]);
    };
    // Where both are given, one of them has no place any more.
    known.loses();
    let (first, second) = (field(*other, "value")?, field(pair, "value")?);
    let both = format!("{} or {}", operand(source, first), operand(source, second));
    Some(vec![Edit::new(first.byte_range(), both), without(pair)?])
}

/// The text of a node as a part of a longer expression.
fn operand(source: &Source<'_>, node: Node<'_>) -> String {
    let text = source.of(node);
    let plain = matches!(node.kind(), "identifier" | "attribute" | "call" | "subscript" | "string" | "integer" | "false" | "none");
    if plain { text.to_owned() } else { format!("({text})") }
}

/// A value that says the opposite of this one.
pub(super) fn inverted(source: &Source<'_>, value: Node<'_>) -> Edit {
    let opposite = match value.kind() {
        "true" => "False".to_owned(),
        "false" => "True".to_owned(),
        _ => format!("not {}", operand(source, value)),
    };
    Edit::new(value.byte_range(), opposite)
}

/// A term of a domain over a field that says the opposite; `None` if it compares with what is not plainly true or false.
pub(super) fn inverted_term(source: &Source<'_>, term: Node<'_>, name: Node<'_>, write: &str) -> Option<Vec<Edit>> {
    let parts = children(term);
    let [_, operator, value] = parts.as_slice() else { return None };
    let plain = matches!(source.simple(*operator), Some("=" | "!=")) && matches!(value.kind(), "true" | "false");
    plain.then(|| Some(vec![Edit::new(source.inside(name)?, write), inverted(source, *value)]))?
}

/// `records.old`, read or assigned, of a field that says the opposite.
pub(super) fn negated(source: &Source<'_>, node: Node<'_>, name: Node<'_>, write: &str) -> Option<Vec<Edit>> {
    let rename = Edit::new(name.byte_range(), write);
    let parent = node.parent()?;
    match parent.kind() {
        "assignment" if field(parent, "left") == Some(node) => Some(vec![rename, inverted(source, field(parent, "right")?)]),
        "augmented_assignment" if field(parent, "left") == Some(node) => None,
        "not_operator" => Some(vec![Edit::remove(parent.start_byte()..node.start_byte()), rename]),
        _ => {
            let (start, end) = (node.start_byte(), node.end_byte());
            Some(vec![Edit::new(start..start, "(not "), rename, Edit::new(end..end, ")")])
        }
    }
}
