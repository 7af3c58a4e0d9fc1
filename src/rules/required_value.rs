//! What: a record of a data file gets the value of a required field that it lacks, where its neighbours tell which.
//!
//! Why: the database refuses a record without it. The other records of the same kind in the file all have a value that follows from their
//! external id in the same way.
//! Before: `<record id="state_end" model="m.state">` without a `code`, beside `state_draft` with the code `draft`.
//! After: `<field name="code">end</field>`.
//! Safe where the addon's own code names the value, or at least three neighbours tell the same and no code says otherwise: two may agree by
//! chance.
//! Since: any Odoo.

use std::collections::BTreeSet;

use roxmltree::Node;
use tree_sitter::Node as Syntax;

use super::edit::python::Source;
use super::edit::{Edit, apply, indent, xml};
use super::scope::said;
use super::{Case, FileChange, Proposal, Rule, change, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "required_value", classes: &[ErrorClass::DataConstraint], since: 0, propose };

/// How many neighbours must tell the same.
const NEIGHBOURS: usize = 2;

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some([field, table]) = said(case, r#"null value in column "(\w+)" of relation "(\w+)""#) else { return Vec::new() };
    let (mut changes, mut told) = (Vec::new(), usize::MAX);
    for (path, text) in case.addon.texts("xml") {
        let Some(document) = xml::parse(text) else { continue };
        let records: Vec<Node<'_, '_>> = document
            .descendants()
            .filter(|node| node.has_tag_name("record") && node.attribute("model").is_some_and(|name| name.replace('.', "_") == table))
            .collect();
        let lacking = records.iter().filter(|record| xml::fields(**record, &field).next().is_none());
        let edits: Vec<Edit> = lacking.filter_map(|record| given(text, *record, &records, &field)).collect();
        if !edits.is_empty() {
            told = told.min(records.iter().filter(|record| xml::fields(**record, &field).next().is_some()).count());
        }
        changes.extend(apply(text, edits).map(|after| change(path, text, after)));
    }
    let doubt = match asked(case, &changes, &field) {
        Asked::Value => None,
        Asked::Other => Some("What the addon's own code asks for is another value.".to_owned()),
        Asked::Nothing => (told <= NEIGHBOURS).then(|| format!("Only {told} other records tell what the value is.")),
    };
    let summary = format!("A record lacks the required field {field}: it gets what its external id tells, as its neighbours have it.");
    graded(summary, doubt, changes)
}

/// The field with its value, before the first field of the record.
fn given(text: &str, record: Node<'_, '_>, records: &[Node<'_, '_>], name: &str) -> Option<Edit> {
    let value = |record: &Node<'_, '_>| -> Option<(String, String)> {
        let field = xml::fields(*record, name).next()?;
        Some((record.attribute("id")?.to_owned(), xml::plain_text(text, field)?.1.to_owned()))
    };
    let known: Vec<(String, String)> = records.iter().filter_map(value).collect();
    let with_value = records.iter().filter(|record| xml::fields(**record, name).next().is_some()).count();
    let written: [fn(&str) -> String; 2] = [str::to_owned, as_label];
    let (prefix, write) = written.into_iter().find_map(|write| {
        let (id, value) = known.first()?;
        let starts = id.char_indices().map(|(at, _)| at);
        let prefix = starts.map(|at| id.split_at(at)).find(|(_, end)| write(end) == *value)?.0;
        known.iter().all(|(id, value)| id.strip_prefix(prefix).is_some_and(|end| write(end) == *value)).then_some((prefix, write))
    })?;
    if known.len() < NEIGHBOURS || known.len() != with_value {
        return None;
    }
    let own = record.attribute("id")?.strip_prefix(prefix).filter(|own| !own.is_empty()).map(write)?;
    if known.iter().any(|(_, value)| *value == own) {
        return None;
    }
    let first = record.children().find(|child| child.has_tag_name("field"))?;
    let at = first.range().start;
    let gap = indent(text, at).map_or_else(String::new, |indent| format!("\n{indent}"));
    Some(Edit::new(at..at, format!("<field name=\"{name}\">{own}</field>{gap}")))
}

/// The end of an external id as a name that is shown: `in_work` is `In work`.
fn as_label(end: &str) -> String {
    let words = end.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What the addon's code says of the values of a field.
enum Asked {
    /// It names each value that is given.
    Value,
    /// It names others, and not that one.
    Other,
    /// It names none.
    Nothing,
}

fn asked(case: &Case<'_>, changes: &[FileChange], field: &str) -> Asked {
    let mut named: BTreeSet<String> = BTreeSet::new();
    let mut compared = false;
    let texts = case.addon.texts("py").filter(|(path, _)| !path.within_module().starts_with("tests/"));
    for (_, text) in texts {
        let Some(source) = Source::parse(text) else { continue };
        let strings: Vec<_> = source.all("string").filter_map(|node| Some((node, source.simple(node)?))).collect();
        named.extend(strings.iter().map(|(_, text)| (*text).to_owned()));
        // A term of a domain over the field, or a comparison with it.
        compared |= strings.iter().any(|(node, text)| *text == field && node.parent().is_some_and(|up| up.kind() == "tuple"));
        compared |= source.all("attribute").any(|node| source.of(node).ends_with(&format!(".{field}")) && reads(node));
    }
    let (mut given, mut others) = (Vec::new(), Vec::new());
    for change in changes {
        let values = |text: &str| -> Vec<String> {
            let Some(document) = xml::parse(text) else { return Vec::new() };
            let fields = document.descendants().filter(|node| node.has_tag_name("field") && node.attribute("name") == Some(field));
            fields.filter_map(|node| Some(xml::plain_text(text, node)?.1.to_owned())).collect()
        };
        let before = values(change.before.as_deref().unwrap_or_default());
        given.extend(values(&change.after).into_iter().filter(|value| !before.contains(value)));
        others.extend(before);
    }
    if !given.is_empty() && given.iter().all(|value| named.contains(value)) {
        Asked::Value
    } else if compared || others.iter().any(|value| named.contains(value)) {
        Asked::Other
    } else {
        Asked::Nothing
    }
}

/// Whether an attribute is held against something or looked up.
fn reads(node: Syntax<'_>) -> bool {
    node.parent().is_some_and(|up| matches!(up.kind(), "comparison_operator" | "argument_list" | "subscript"))
}

#[cfg(test)]
mod tests;
