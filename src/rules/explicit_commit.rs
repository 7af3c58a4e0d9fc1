//! What: code that ends the transaction by itself leaves that to Odoo; where it undoes its own part only, it gets a savepoint.
//!
//! Why: Odoo commits when a request or a job is done, and rolls back when it fails; a test refuses both in between.
//! Before: `try: self._send(); self.env.cr.commit()`, `except Exception: self.env.cr.rollback()`.
//! After: `try: with self.env.cr.savepoint(): self._send()`, `except Exception: pass`.
//! Never safe: a commit goes, and with it what it kept. In what writes or checks records for others the rest of the transaction is not its
//! own to end; elsewhere a long job may mean to keep what it has done so far. A `rollback` alone is left: what it undoes must be undone in another way.
//! Since: any Odoo.

use std::ops::Range;

use tree_sitter::Node;

use super::edit::python::{Source, ancestors, children, field, remove_statement, walk};
use super::edit::{Edit, apply, indent, line_start, whole_lines};
use super::frames::places;
use super::{Case, Proposal, Rule, change, removal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "explicit_commit", classes: &[ErrorClass::CursorInTest], since: 0, propose };

/// Methods that run inside somebody else's transaction.
const INSIDE: [&str; 7] = ["create", "write", "unlink", "copy", "copy_data", "default_get", "_write"];
/// Decorators of the same.
const CALLED_BACK: [&str; 5] = ["api.depends", "api.constrains", "api.onchange", "api.ondelete", "api.model_create_multi"];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    for place in places(case.report, case.addon).into_iter().filter(|place| !place.path.within_module().starts_with("tests/")) {
        let Some(source) = Source::parse(place.text) else { continue };
        let row = (place.line as usize).saturating_sub(1);
        let Some((ending, cursor, verb)) =
            source.all("expression_statement").filter(|node| node.start_position().row == row).find_map(|node| ends(&source, node))
        else {
            continue;
        };
        let inside = ancestors(ending).find(|up| up.kind() == "function_definition").is_some_and(|function| is_inside(&source, function));
        let (edits, summary) = match with_savepoint(&source, ending, cursor) {
            Some(edits) => (edits, "What a failure undoes is undone to a savepoint; the transaction is Odoo's to end."),
            None if verb == "commit" => (vec![remove_statement(&source, ending)], "The transaction is Odoo's to end: the commit goes."),
            None => continue,
        };
        let Some(after) = apply(place.text, edits).filter(|after| Source::parse(after).is_some()) else { continue };
        let changes = vec![change(place.path, place.text, after)];
        let doubt = if inside {
            "What was done up to there is no longer kept when a later step fails."
        } else {
            "A long job may mean to keep what it has done so far when a later step fails."
        };
        return removal(summary, doubt, changes);
    }
    Vec::new()
}

/// Whether a statement commits or rolls back: the cursor, and which of the two.
fn ends<'s, 't>(source: &'s Source<'t>, statement: Node<'s>) -> Option<(Node<'s>, &'t str, &'t str)> {
    let call = statement.named_child(0).filter(|call| statement.named_child_count() == 1 && call.kind() == "call")?;
    let function = field(call, "function").filter(|function| function.kind() == "attribute")?;
    let verb = source.of(field(function, "attribute")?);
    let cursor = source.of(field(function, "object")?);
    let is_cursor = matches!(cursor.rsplit('.').next(), Some("cr" | "_cr"));
    let bare = children(field(call, "arguments")?).is_empty();
    (is_cursor && bare && matches!(verb, "commit" | "rollback")).then_some((statement, cursor, verb))
}

/// Whether a method runs inside somebody else's transaction by what it is.
fn is_inside(source: &Source<'_>, function: Node<'_>) -> bool {
    let name = field(function, "name").map_or("", |name| source.of(name));
    let around = function.parent().filter(|up| up.kind() == "decorated_definition").map(children).unwrap_or_default();
    let called_back = |node: &Node<'_>| {
        let written = source.of(*node).trim_start_matches('@').trim_start();
        node.kind() == "decorator" && CALLED_BACK.iter().any(|known| written.split('(').next() == Some(known))
    };
    let is_method = ancestors(function).take(4).any(|up| up.kind() == "class_definition");
    is_method && (INSIDE.contains(&name) || around.iter().any(called_back))
}

/// A `try` that commits at its end and rolls back in every `except`: its statements go into a savepoint.
fn with_savepoint(source: &Source<'_>, ending: Node<'_>, cursor: &str) -> Option<Vec<Edit>> {
    let node = ancestors(ending).take_while(|up| up.kind() != "function_definition").find(|up| up.kind() == "try_statement")?;
    let block = field(node, "body")?;
    let statements = children(block);
    let (last, rest) = statements.split_last()?;
    let is = |statement: Node<'_>, wanted: &str| ends(source, statement).is_some_and(|(_, of, verb)| of == cursor && verb == wanted);
    let handlers: Vec<Node<'_>> = children(node).into_iter().filter(|child| *child != block).collect();
    let undone: Vec<Node<'_>> = handlers
        .iter()
        .filter(|handler| handler.kind() == "except_clause")
        .filter_map(|handler| children(*handler).into_iter().find(|child| child.kind() == "block"))
        .filter_map(|handler| children(handler).first().copied().filter(|first| is(*first, "rollback")))
        .collect();
    let elsewhere = walk(node).filter(|found| ends(source, *found).is_some()).count() > undone.len() + 1;
    if rest.is_empty() || !is(*last, "commit") || handlers.is_empty() || undone.len() != handlers.len() || elsewhere {
        return None;
    }
    let first = *rest.first()?;
    // White space inside of a text is part of it.
    let multiline = |node: Node<'_>| node.kind() == "string" && node.start_position().row != node.end_position().row;
    let margin = indent(source.text, first.start_byte()).filter(|_| !rest.iter().any(|statement| walk(*statement).any(multiline)))?;
    let step = margin.strip_prefix(indent(source.text, node.start_byte())?).filter(|step| !step.is_empty())?;
    let start = line_start(source.text, first.start_byte());
    let inner = start..whole_lines(source.text, last.byte_range()).start;
    let mut edits = vec![Edit::new(start..start, format!("{margin}with {cursor}.savepoint():\n"))];
    edits.extend(lines(source.text, inner).map(|line| Edit::new(line..line, step)));
    edits.push(Edit::remove(whole_lines(source.text, last.byte_range())));
    edits.extend(undone.into_iter().map(|statement| remove_statement(source, statement)));
    Some(merged(edits))
}

/// Where the lines of a part that hold anything start.
fn lines(text: &str, range: Range<usize>) -> impl Iterator<Item = usize> {
    let mut at = range.start;
    text.get(range).unwrap_or_default().split_inclusive('\n').filter_map(move |line| {
        let start = at;
        at += line.len();
        (!line.trim().is_empty()).then_some(start)
    })
}

/// Insertions at one place, joined in their order.
fn merged(edits: Vec<Edit>) -> Vec<Edit> {
    let mut found: Vec<Edit> = Vec::new();
    for edit in edits {
        match found.last_mut() {
            Some(before) if before.range == edit.range && edit.range.is_empty() => before.text.push_str(&edit.text),
            _ => found.push(edit),
        }
    }
    found
}

#[cfg(test)]
mod tests;
