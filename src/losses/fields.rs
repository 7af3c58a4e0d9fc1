//! The definitions of fields and constraints.

use tree_sitter::Node;

use super::expr::{Context, line_of, text_of};
use super::facts::{Fact, Kind, Role};
use crate::domain::LossKind;
use crate::rules::edit::python::{Source, children, field};

/// Whether an expression defines a field.
pub(super) fn is_definition(source: &Source<'_>, value: Node<'_>) -> bool {
    value.kind() == "call" && field(value, "function").is_some_and(|function| source.of(function).starts_with("fields."))
}

/// The facts of one field: that it is there, and each of its properties.
pub(super) fn definition(context: &Context<'_, '_>, name: &str, call: Node<'_>) -> Vec<Fact> {
    let source = context.source;
    let kind = field(call, "function").map_or("", |function| source.of(function)).trim_start_matches("fields.");
    let fact = |kind: Kind, key: String, node: Node<'_>, subject: String| Fact {
        kind,
        key,
        role: Role::Attribute,
        model: None,
        unit: String::new(),
        content: String::new(),
        items: Vec::new(),
        variables: 0,
        path: String::new(),
        line: line_of(node),
        loss: LossKind::Field,
        subject,
    };
    let mut found = vec![Fact { content: kind.to_owned(), ..fact(Kind::Field, name.to_owned(), call, format!("the field {name}")) }];
    let places: &[&str] = match kind {
        "Many2one" => &["comodel_name", "string"],
        "One2many" => &["comodel_name", "inverse_name", "string"],
        "Many2many" => &["comodel_name", "relation", "column1", "column2", "string"],
        "Selection" => &["selection", "string"],
        "Float" | "Monetary" => &["string", "digits"],
        "Reference" => &["selection", "string"],
        _ => &["string"],
    };
    let arguments = field(call, "arguments").map(children).unwrap_or_default();
    for (place, argument) in arguments.into_iter().enumerate() {
        let (key, value) = if argument.kind() == "keyword_argument" {
            let (Some(key), Some(value)) = (field(argument, "name"), field(argument, "value")) else { continue };
            (source.of(key), value)
        } else {
            let Some(key) = places.get(place) else { continue };
            (*key, argument)
        };
        let (content, (items, variables)) = (context.content(value), context.items(value));
        let Some(key) = today(key, &content) else { continue };
        let loss = match key {
            "comodel_name" => LossKind::Type,
            "groups" => LossKind::Right,
            _ => LossKind::Field,
        };
        let subject = format!("the property {key} of the field {name}");
        found.push(Fact { content, items, variables, loss, ..fact(Kind::Property, format!("{name}.{key}"), argument, subject) });
    }
    found
}

/// The name that a property has today; `None` if it says nothing.
fn today<'k>(key: &'k str, content: &str) -> Option<&'k str> {
    let says_nothing = match key {
        "required" | "readonly" | "index" | "translate" | "tracking" | "company_dependent" => matches!(content, "False" | "None"),
        "oldname" | "select" | "digits_compute" | "track_sequence" | "size" => true,
        _ => false,
    };
    let key = match key {
        "track_visibility" => "tracking",
        "group_operator" => "aggregator",
        "comodel" => "comodel_name",
        other => other,
    };
    (!says_nothing).then_some(key)
}

/// The constraints that a class attribute states, each with its SQL and its message; `None` if it is no such attribute.
pub(super) fn constraints<'s>(source: &Source<'_>, name: &str, value: Node<'s>) -> Option<Vec<(Node<'s>, String, String)>> {
    let message = |node: Option<&Node<'_>>| node.map(|node| message(source, *node)).unwrap_or_default();
    if name == "_sql_constraints" {
        let rows = children(value).into_iter().map(|row| (row, children(row)));
        let rows = rows.filter(|(_, parts)| parts.len() >= 2);
        return Some(rows.map(|(row, parts)| (row, sql(&text_of(source, parts[1])), message(parts.get(2)))).collect());
    }
    let function = field(value, "function").filter(|_| value.kind() == "call").map(|function| source.of(function))?;
    if !matches!(function.rsplit('.').next(), Some("Constraint" | "UniqueIndex" | "Index")) {
        return None;
    }
    let arguments = field(value, "arguments").map(children).unwrap_or_default();
    let first = arguments.first()?;
    Some(vec![(value, sql(&text_of(source, *first)), message(arguments.get(1)))])
}

fn message(source: &Source<'_>, node: Node<'_>) -> String {
    let text = text_of(source, node);
    if text.is_empty() { String::new() } else { text }
}

/// SQL without layout and case.
fn sql(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        plain.push_str(&word.to_lowercase());
        plain.push(' ');
    }
    plain.replace(" (", "(").replace("( ", "(").replace(" )", ")").trim().to_owned()
}
