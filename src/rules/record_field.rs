//! What: a field that is set or asked for and that its Odoo model does not have becomes the one that is meant.
//!
//! Why: a slip in the name in a data file, or in the line of Python that the log shows.
//! Before: `<field name="colour">1</field>`. After: `<field name="color">1</field>`.
//! Safe where the name is clearly a misspelling and the field is of a kind that takes what is set.
//! Since: any Odoo.

use regex::Regex;

use super::edit::python::{Source, ancestors};
use super::edit::{Edit, apply, xml};
use super::near::{self, ranked};
use super::scope::Lacking;
use super::used_as::{self, Use};
use super::{Case, FileChange, Proposal, Rule, change, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule {
    name: "record_field",
    classes: &[ErrorClass::FieldInvalid, ErrorClass::CsvInvalid, ErrorClass::AttributeMissing],
    since: 0,
    propose,
};

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(Lacking { scope, odoo_model, wrong, fields }) = Lacking::of(case) else { return Vec::new() };
    let mut names: Vec<&str> = fields.keys().copied().collect();
    if case.report.class == ErrorClass::AttributeMissing {
        names.extend(scope.index.methods(&odoo_model, &scope.names));
    }
    names.sort_unstable();
    names.dedup();
    let near = ranked(&wrong, names.iter().copied(), |name| scope.is_own_field(&odoo_model, name));
    let of = |right: &str| {
        let mut changes = in_data(case, &odoo_model, &wrong, right);
        if changes.is_empty() {
            changes = in_python(case, &wrong, right);
        }
        let facts = fields.get(right).copied();
        let unfit = facts.and_then(|facts| used_as::unfit(&uses(case, &odoo_model, &wrong), right, facts));
        let doubt = near::doubt(case, &wrong, right, names.iter().copied().filter(|_| !python_says(case, right)))
            .or_else(|| facts.and_then(|facts| used_as::number(&wrong, right, facts)));
        graded(format!("{odoo_model} has no {wrong}; {right} is meant."), unfit.or(doubt), changes)
    };
    near.into_iter().flat_map(of).collect()
}

/// Whether Python itself suggests this name: then no other one competes, though the kind must fit all the same.
fn python_says(case: &Case<'_>, right: &str) -> bool {
    case.report.text.contains(&format!("Did you mean: '{right}'"))
}

/// How the data files of the addon set a field of this name.
fn uses(case: &Case<'_>, odoo_model: &str, wrong: &str) -> Vec<Use> {
    let documents = case.addon.texts("xml").filter_map(|(_, text)| xml::parse(text));
    let of = |document: roxmltree::Document<'_>| {
        let nodes = xml::records(&document, odoo_model).flat_map(|record| xml::fields(record, wrong));
        nodes.filter_map(used_as::in_record).collect::<Vec<_>>()
    };
    documents.flat_map(of).collect()
}

fn in_data(case: &Case<'_>, odoo_model: &str, wrong: &str, right: &str) -> Vec<FileChange> {
    let in_xml = |text: &str| {
        let document = xml::parse(text)?;
        let names = xml::records(&document, odoo_model)
            .flat_map(|record| xml::fields(record, wrong))
            .filter_map(|field| field.attribute_node("name"));
        apply(text, names.filter_map(|name| Some(Edit::new(xml::value_range(text, &name)?, right))).collect())
    };
    let column = Regex::new(&format!(r#"(?:^|,|")({})(?:$|[,":/])"#, regex::escape(wrong))).ok();
    let in_csv = |text: &str| {
        let header = text.lines().next().unwrap_or_default();
        let found = column.as_ref()?.captures(header)?.get(1)?;
        apply(text, vec![Edit::new(found.range(), right)])
    };
    let is_of = |path: &str| {
        path.rsplit('/').next().and_then(|file| file.strip_suffix(".csv")).is_some_and(|stem| stem.split('-').next() == Some(odoo_model))
    };
    let mut changes: Vec<FileChange> = case.addon.texts("xml").filter_map(|(path, text)| Some(change(path, text, in_xml(text)?))).collect();
    let tables = case.addon.texts("csv").filter(|(path, _)| is_of(path.as_str()));
    changes.extend(tables.filter_map(|(path, text)| Some(change(path, text, in_csv(text)?))));
    changes
}

/// The lines of the addon that the log shows, with the name as a string, an argument or an attribute; its tests stay as they are.
fn in_python(case: &Case<'_>, wrong: &str, right: &str) -> Vec<FileChange> {
    let frames = case.report.chain.iter().flat_map(|raised| &raised.frames);
    let mut changes: Vec<FileChange> = Vec::new();
    let texts = case.addon.texts("py").filter(|(path, _)| !path.within_module().starts_with("tests/"));
    for (path, text) in texts {
        let at = |line: u32, file: &str| file.ends_with(path.as_str()).then_some(line);
        let mut lines: Vec<usize> = frames.clone().filter_map(|frame| at(frame.line, &frame.file)).map(|line| line as usize).collect();
        lines.extend(case.report.location.iter().filter_map(|place| at(place.line?, &place.path)).map(|line| line as usize));
        let Some(source) = Source::parse(text).filter(|_| !lines.is_empty()) else { continue };
        // The log shows one line of a statement that may have several.
        let shown = |node: &tree_sitter::Node<'_>| {
            let simple = ancestors(*node).find(|up| matches!(up.kind(), "expression_statement" | "return_statement" | "decorator"));
            let around = simple.unwrap_or(*node);
            let rows = around.start_position().row + 1..=around.end_position().row + 1;
            lines.iter().any(|line| rows.contains(line))
        };
        let strings =
            source.all("string").filter(shown).filter(|node| source.simple(*node) == Some(wrong)).filter_map(|node| source.inside(node));
        let names = source.all("identifier").filter(shown).filter(|node| source.of(*node) == wrong).filter(|node| {
            node.parent().is_some_and(|up| match up.kind() {
                "attribute" => up.child_by_field_name("attribute") == Some(*node),
                "keyword_argument" => up.child_by_field_name("name") == Some(*node),
                _ => false,
            })
        });
        let edits = strings.chain(names.map(|node| node.byte_range())).map(|range| Edit::new(range, right)).collect();
        changes.extend(apply(text, edits).map(|after| change(path, text, after)));
    }
    changes
}

#[cfg(test)]
mod tests;
