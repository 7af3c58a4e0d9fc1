//! What: an SQL condition over values of which there may be none takes an array.
//!
//! Why: psycopg2 writes a tuple out, and `IN ()` is no SQL; an array may be empty.
//! Before: `cr.execute("… WHERE id IN %s", (tuple(self.ids),))`. After: `cr.execute("… WHERE id = ANY(%s)", (list(self.ids),))`.
//! Not safe where it cannot be read that the values are ids. An array has a type, which must be the column's; single values take it over.
//! Since: any Odoo.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use tree_sitter::Node;

use super::edit::python::{Source, ancestors, children, field, is_reference, walk};
use super::edit::{Edit, apply, scopes};
use super::frames::places;
use super::scope::said;
use super::{Case, Proposal, Rule, change, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "empty_in", classes: &[ErrorClass::SqlInvalid], since: 0, propose };

/// Every `%` of a statement, the conditions with what stands before them.
static PLACEHOLDER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?is)(?:(\S)\s*\b((?:not\s+)?in)\s+)?(%(?:\((\w+)\))?s)|%%|%").ok());

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    if said::<0>(case, r"(?i)\bin\s*\(\s*\)").is_none() {
        return Vec::new();
    }
    for place in places(case.report, case.addon).into_iter().filter(|place| !place.path.within_module().starts_with("tests/")) {
        let Some(source) = Source::parse(place.text) else { continue };
        let row = (place.line as usize).saturating_sub(1);
        let calls = source.all("call").filter(|call| (call.start_position().row..=call.end_position().row).contains(&row));
        let Some(found) = calls.filter_map(|call| Statement::of(&source, call)).find_map(|statement| statement.mended(&source)) else {
            continue;
        };
        let Some(after) = apply(place.text, found.edits) else { continue };
        let changes = vec![change(place.path, place.text, after)];
        let summary = "a condition over values of which there may be none takes an array, which may be empty; a tuple may not.";
        let doubt = (!found.are_ids).then(|| "The values may be of another type than the column, which an array must have.".to_owned());
        return graded(format!("SQL: {summary}"), doubt, changes);
    }
    Vec::new()
}

/// A statement with its values.
struct Statement<'s> {
    /// The literal.
    text: Node<'s>,
    values: Values<'s>,
}

enum Values<'s> {
    InOrder(Vec<Node<'s>>),
    Named(Vec<(String, Node<'s>)>),
}

struct Mended {
    edits: Vec<Edit>,
    /// Whether all values are known to be ids.
    are_ids: bool,
}

impl<'s> Statement<'s> {
    /// `cr.execute("…", (…))`, `SQL("…", …)`, and `cr.execute(query)` of either.
    fn of(source: &'s Source<'_>, call: Node<'s>) -> Option<Self> {
        let function = source.of(field(call, "function")?);
        let arguments = children(field(call, "arguments")?);
        let first = *arguments.first()?;
        if function == "SQL" {
            return Self::built(source, call);
        }
        if !function.ends_with("cr.execute") && !function.ends_with("env.execute_query") {
            return None;
        }
        let text = value(source, first);
        match arguments.as_slice() {
            [_] if text.kind() == "call" => Self::built(source, text),
            [_, values] => Some(Self { text: literal(source, text)?, values: Values::of(source, value(source, *values))? }),
            _ => None,
        }
    }

    fn built(source: &'s Source<'_>, call: Node<'s>) -> Option<Self> {
        let arguments = children(field(call, "arguments")?);
        let (first, rest) = arguments.split_first()?;
        let is_sql = source.of(field(call, "function")?) == "SQL";
        let in_order = rest.iter().all(|value| !matches!(value.kind(), "keyword_argument" | "list_splat" | "dictionary_splat"));
        (is_sql && in_order).then_some(())?;
        Some(Self { text: literal(source, *first)?, values: Values::InOrder(rest.to_vec()) })
    }

    /// The edits, if every placeholder is understood and every condition of the kind has values that can be an array.
    fn mended(&self, source: &Source<'_>) -> Option<Mended> {
        let range = self.text.byte_range();
        let mut found = Mended { edits: Vec::new(), are_ids: true };
        let mut order = 0;
        for placeholder in PLACEHOLDER.as_ref()?.captures_iter(source.text.get(range.clone())?) {
            let Some(whole) = placeholder.get(3) else {
                // `%%` is a sign of its own; any other is nothing that is known here.
                if placeholder.get(0).is_some_and(|sign| sign.as_str() == "%%") { continue } else { return None }
            };
            let value = self.values.of_placeholder(order, placeholder.get(4).map(|name| name.as_str()))?;
            order += 1;
            let (Some(before), Some(operator)) = (placeholder.get(1), placeholder.get(2)) else { continue };
            // Rows of several columns make no array that fits.
            if before.as_str() == ")" {
                return None;
            }
            let negated = operator.as_str().len() > "in".len();
            let comparison = if negated { "!= ALL" } else { "= ANY" };
            let at = |part: Range<usize>| range.start + part.start..range.start + part.end;
            found.edits.push(Edit::new(at(operator.start()..whole.end()), format!("{comparison}({})", whole.as_str())));
            let (edit, are_ids) = as_list(source, value)?;
            found.edits.push(edit);
            found.are_ids &= are_ids;
        }
        let taken = match &self.values {
            Values::InOrder(values) => values.len() == order,
            // A name that stands in two places would be changed for both.
            Values::Named(values) => values.len() == order,
        };
        (taken && !found.edits.is_empty()).then_some(found)
    }
}

impl<'s> Values<'s> {
    fn of(source: &Source<'_>, node: Node<'s>) -> Option<Self> {
        let items = children(node);
        match node.kind() {
            "tuple" | "list" if items.iter().all(|item| item.kind() != "list_splat") => Some(Self::InOrder(items)),
            "dictionary" => {
                let pair = |pair: Node<'s>| Some((source.literal(field(pair, "key")?)?, field(pair, "value")?));
                items.into_iter().map(pair).collect::<Option<_>>().map(Self::Named)
            }
            _ => None,
        }
    }

    fn of_placeholder(&self, order: usize, name: Option<&str>) -> Option<Node<'s>> {
        match (self, name) {
            (Self::InOrder(values), None) => values.get(order).copied(),
            (Self::Named(values), Some(name)) => values.iter().find(|(key, _)| key == name).map(|(_, value)| *value),
            _ => None,
        }
    }
}

/// The node, or what the only assignment to it in its function says, if it is used nowhere else.
fn value<'s>(source: &'s Source<'_>, node: Node<'s>) -> Node<'s> {
    let assigned = || {
        let name = source.of(node);
        let function = ancestors(node).find(|up| up.kind() == "function_definition").filter(|_| node.kind() == "identifier")?;
        let places: Vec<Node<'_>> = walk(function).filter(|found| is_reference(*found) && source.of(*found) == name).collect();
        let [assigned, used] = places.as_slice() else { return None };
        let assignment = assigned.parent().filter(|up| up.kind() == "assignment" && field(*up, "left") == Some(*assigned))?;
        // What is assigned under a condition is not all that it may be.
        let before = assignment.parent()?.parent() == field(function, "body");
        (*used == node && before).then(|| field(assignment, "right")).flatten()
    };
    assigned().unwrap_or(node)
}

/// A plain text, also one that is joined from several, whose source reads as it is.
fn literal<'s>(source: &Source<'_>, node: Node<'s>) -> Option<Node<'s>> {
    let is_text = matches!(node.kind(), "string" | "concatenated_string" | "parenthesized_expression");
    (is_text && source.literal(node).is_some()).then_some(node)
}

/// The edit that makes a list of a tuple, and whether it is known to hold ids.
fn as_list(source: &Source<'_>, value: Node<'_>) -> Option<(Edit, bool)> {
    let text = source.of(value);
    match value.kind() {
        "call" if source.of(field(value, "function")?) == "tuple" => {
            Some((Edit::new(field(value, "function")?.byte_range(), "list"), is_of_ids(source, value)))
        }
        "attribute" if text.ends_with("._ids") => Some((Edit::new(value.byte_range(), format!("list({text})")), true)),
        "identifier" => {
            let made: Vec<Node<'_>> = walk(scopes::function(value)?)
                .filter(|node| node.kind() == "assignment" && field(*node, "left").is_some_and(|left| source.of(left) == text))
                .filter_map(|node| field(node, "right"))
                .collect();
            let are_ids = matches!(made.as_slice(), [only] if is_of_ids(source, *only));
            Some((Edit::new(value.byte_range(), format!("list({text})")), are_ids))
        }
        _ => None,
    }
}

/// Whether this is `tuple(….ids)`.
fn is_of_ids(source: &Source<'_>, call: Node<'_>) -> bool {
    let is_tuple = field(call, "function").is_some_and(|function| source.of(function) == "tuple");
    let arguments = field(call, "arguments").filter(|arguments| is_tuple && arguments.kind() == "argument_list").map(children);
    let Some([only]) = arguments.as_deref() else { return false };
    are_ids(source, *only)
}

/// Whether this is `….ids`, or a variable that holds nothing else.
fn are_ids(source: &Source<'_>, node: Node<'_>) -> bool {
    let text = source.of(node);
    if node.kind() == "attribute" {
        return text.ends_with(".ids") || text.ends_with("._ids");
    }
    let Some(function) = scopes::function(node).filter(|_| node.kind() == "identifier") else { return false };
    let mut given = Vec::new();
    for found in walk(function).filter(|found| found.kind() == "identifier" && source.of(*found) == text) {
        let Some(up) = found.parent() else { return false };
        match up.kind() {
            "assignment" if field(up, "left") == Some(found) => given.push(field(up, "right")),
            // It gets its values otherwise, or may be changed in place.
            "augmented_assignment"
            | "for_statement"
            | "for_in_clause"
            | "parameters"
            | "pattern_list"
            | "as_pattern_target"
            | "named_expression" => return false,
            "attribute" if field(up, "object") == Some(found) => return false,
            _ => {}
        }
    }
    matches!(given.as_slice(), [Some(only)] if only.kind() == "attribute" && are_ids(source, *only))
}

#[cfg(test)]
mod tests;
