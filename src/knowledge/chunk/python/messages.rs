//! What the code says to people: texts that are raised or translated.

use tree_sitter::Node;

use super::super::lines::short;
use super::super::{Chunk, FileChunks, Kind, Source, Zone, context};
use crate::odoo::source::python::{PythonFile, children};

/// The errors of Odoo that are shown to people; sorted.
const SHOWN: &[&str] = &[
    "AccessDenied",
    "AccessError",
    "CacheMiss",
    "ConcurrencyError",
    "LockError",
    "MissingError",
    "QWebException",
    "RedirectWarning",
    "UserError",
    "ValidationError",
    "Warning",
];
/// What marks a text as one that is translated; sorted.
const TRANSLATED: &[&str] = &["LazyTranslate", "_", "_lt"];
/// The fewest words of a text that any other error is raised with.
const FEW_WORDS: usize = 3;
/// The most bytes of a message.
const MAX_MESSAGE: usize = 4_000;

/// The texts that a call of something with this name says; any error that is raised says something.
pub(super) fn said(file: &PythonFile<'_>, call: Node<'_>, name: &str, is_raised: bool) -> Vec<String> {
    let translated = TRANSLATED.binary_search(&name).is_ok();
    let shown = SHOWN.binary_search(&name).is_ok();
    let raised = !shown && !translated && is_raised;
    if !translated && !shown && !raised {
        return Vec::new();
    }
    let Some(arguments) = call.child_by_field_name("arguments").filter(|arguments| arguments.kind() == "argument_list") else {
        return Vec::new();
    };
    let few = if raised { FEW_WORDS } else { 1 };
    let texts = children(arguments).into_iter().take(1).flat_map(|argument| texts(file, argument, 0));
    texts.filter(|text| tells(text, few)).map(|text| text[..text.floor_char_boundary(MAX_MESSAGE)].to_owned()).collect()
}

fn tells(text: &str, few: usize) -> bool {
    text.chars().any(char::is_alphabetic) && text.split_whitespace().count() >= few
}

/// The literals that an argument may turn out to be, with their placeholders.
fn texts(file: &PythonFile<'_>, node: Node<'_>, depth: usize) -> Vec<String> {
    if depth > 10 {
        return Vec::new();
    }
    let side = |name: &str| node.child_by_field_name(name);
    match node.kind() {
        "string" | "concatenated_string" => file.literal(node).into_iter().collect(),
        "parenthesized_expression" => children(node).into_iter().take(1).flat_map(|inner| texts(file, inner, depth + 1)).collect(),
        "binary_operator" => {
            let (Some(left), Some(right)) = (side("left"), side("right")) else { return Vec::new() };
            let left = texts(file, left, depth + 1);
            if side("operator").is_some_and(|operator| file.of(operator) == "+") && left.len() == 1 {
                let right = texts(file, right, depth + 1);
                return vec![format!("{}{}", left[0], right.first().map_or("%s", String::as_str))];
            }
            left
        }
        "conditional_expression" => {
            let parts = children(node);
            [parts.first(), parts.get(2)].into_iter().flatten().flat_map(|part| texts(file, *part, depth + 1)).collect()
        }
        // `"…".format(…)`; a call of `_` is found by itself.
        "call" => {
            let function = side("function").filter(|function| function.kind() == "attribute");
            let object = function.and_then(|function| function.child_by_field_name("object"));
            object.map(|object| texts(file, object, depth + 1)).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// The texts of constraints, which people see when the database refuses something.
pub(super) fn constraints(file: &PythonFile<'_>, statements: &[Node<'_>], found: &mut Vec<String>) {
    for (name, value) in statements.iter().filter_map(|statement| file.assigned(*statement)) {
        let text = match value.kind() {
            "call" => {
                let function = value.child_by_field_name("function").map(|function| file.of(function)).unwrap_or_default();
                let arguments = value.child_by_field_name("arguments").map(children).unwrap_or_default();
                let constraint = matches!(function, "models.Constraint" | "models.UniqueIndex");
                arguments.get(1).filter(|_| constraint).and_then(|text| last(file, *text)).into_iter().collect()
            }
            "list" if name == "_sql_constraints" => {
                children(value).into_iter().filter_map(|tuple| last(file, *children(tuple).get(2)?)).collect::<Vec<_>>()
            }
            _ => Vec::new(),
        };
        found.extend(text.into_iter().filter(|text| tells(text, 1)));
    }
}

fn last(file: &PythonFile<'_>, node: Node<'_>) -> Option<String> {
    texts(file, node, 0).into_iter().next()
}

/// A message as a piece that leads to the one it stands in.
pub(super) fn add(source: &Source<'_>, within: &Chunk, message: &str, found: &mut FileChunks) {
    found.add(Chunk {
        kind: Kind::Message,
        title: short(message, 100),
        text: message.to_owned(),
        zones: vec![(Zone::Prose, message.to_owned()), context(source)],
        card: None,
        symbol: within.symbol.clone(),
        odoo_model: within.odoo_model.clone(),
        lang: None,
        start_line: within.start_line,
        end_line: within.end_line,
    });
}
