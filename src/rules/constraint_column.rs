//! What: a constraint or index over a column that does not exist is given the one that is meant.
//!
//! Why: a slip in the SQL; PostgreSQL refuses it, and Odoo goes on without.
//! Before: `models.Constraint("CHECK(amout > 0)", …)`. After: `models.Constraint("CHECK(amount > 0)", …)`.
//! Not sure: where nothing is near, a constraint that was never in force goes.
//! Since: any Odoo.

use regex::Regex;
use tree_sitter::Node;

use super::edit::python::{Source, ancestors, field, remove_statement, walk};
use super::edit::{Edit, apply, classes};
use super::near::{self, is_near, ranked};
use super::scope::{Scope, mentions, said};
use super::{Case, Proposal, Rule, changed, graded, removal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule =
    Rule { name: "constraint_column", classes: &[ErrorClass::SchemaConstraint, ErrorClass::SchemaOutdated], since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let Some([wrong]) = said(case, r#"column "(?:\w+\.)?(\w+)"(?: named in key)? does not exist"#) else { return Vec::new() };
    let Some(facts) = scope.index.module(scope.module) else { return Vec::new() };
    let mut found = Vec::new();
    for class in &facts.classes {
        let fields = scope.fields(&class.odoo_model);
        if fields.is_empty() || fields.contains_key(wrong.as_str()) {
            continue;
        }
        let columns =
            || fields.iter().filter(|(_, facts)| !facts.kind.ends_with("2many") && facts.related.is_none()).map(|(name, _)| *name);
        let odoo_model = &class.odoo_model;
        for right in ranked(&wrong, columns(), |name| scope.is_own_field(odoo_model, name)) {
            let changes = changed(case.addon, "py", |text| with_column(text, odoo_model, &wrong, right));
            let summary = format!("{odoo_model} has no column {wrong}, which its constraint names; {right} is meant.");
            found.extend(graded(summary, near::doubt(case, &wrong, right, columns()), changes));
        }
        if !is_near(&wrong, columns()) {
            let changes = changed(case.addon, "py", |text| without(text, odoo_model, &wrong));
            let summary = format!("{odoo_model} has no column {wrong} and nothing near it; its constraint was never in force, and goes.");
            found.extend(removal(summary, "The constraint may be one that is wanted.", changes));
        }
    }
    found
}

/// The constraints and indexes of a class whose SQL has the word.
fn naming<'s>(source: &'s Source<'_>, odoo_model: &'s str, wrong: &'s str) -> Vec<Node<'s>> {
    let calls = classes::of_model(source, odoo_model).flat_map(walk).filter(|node| node.kind() == "call");
    let made = |call: &Node<'_>| {
        let name = field(*call, "function").map_or("", |function| source.of(function));
        matches!(name, "models.Constraint" | "models.Index" | "models.UniqueIndex")
    };
    calls.filter(made).filter(|call| sql(source, *call).is_some_and(|sql| mentions(source.of(sql), wrong) > 0)).collect()
}

/// The first argument.
fn sql<'s>(source: &'s Source<'_>, call: Node<'s>) -> Option<Node<'s>> {
    let first = field(call, "arguments")?.named_child(0)?;
    source.literal(first).map(|_| first)
}

fn with_column(text: &str, odoo_model: &str, wrong: &str, right: &str) -> Option<String> {
    let source = Source::parse(text)?;
    let word = Regex::new(&format!(r"\b{}\b", regex::escape(wrong))).ok()?;
    let mut edits = Vec::new();
    for range in naming(&source, odoo_model, wrong).into_iter().filter_map(|call| sql(&source, call)).map(|node| node.byte_range()) {
        edits.extend(
            word.find_iter(&text[range.clone()]).map(|found| Edit::new(range.start + found.start()..range.start + found.end(), right)),
        );
    }
    apply(text, edits)
}

fn without(text: &str, odoo_model: &str, wrong: &str) -> Option<String> {
    let source = Source::parse(text)?;
    let statement = |call: Node<'_>| {
        let statement = ancestors(call).find(|up| up.kind() == "expression_statement")?;
        Some(remove_statement(&source, source.root().descendant_for_byte_range(statement.start_byte(), statement.end_byte())?))
    };
    apply(text, naming(&source, odoo_model, wrong).into_iter().filter_map(statement).collect())
}

#[cfg(test)]
mod tests;
