//! What: a record of a data file gets the value of a required field that it lacks, where its neighbours tell which.
//!
//! Why: the database refuses a record without it. The other records of the same kind in the file all have a value that follows from their
//! external id in the same way.
//! Before: `<record id="state_end" model="m.state">` without a `code`, beside `state_draft` with the code `draft`.
//! After: `<field name="code">end</field>`.
//! Safe where at least three neighbours tell the same; two may agree by chance.
//! Since: any Odoo.

use roxmltree::Node;

use super::edit::{Edit, apply, indent, xml};
use super::scope::said;
use super::{Case, Proposal, Rule, change, graded};
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
    let doubt = (told <= NEIGHBOURS).then(|| format!("Only {told} other records tell what the value is."));
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
    let prefix = known.first().and_then(|(id, value)| id.strip_suffix(value.as_str()))?;
    if known.len() < NEIGHBOURS || known.len() != with_value || !known.iter().all(|(id, value)| id.strip_prefix(prefix) == Some(value)) {
        return None;
    }
    let own = record.attribute("id")?.strip_prefix(prefix).filter(|own| !own.is_empty() && known.iter().all(|(_, value)| value != own))?;
    let first = record.children().find(|child| child.has_tag_name("field"))?;
    let at = first.range().start;
    let gap = indent(text, at).map_or_else(String::new, |indent| format!("\n{indent}"));
    Some(Edit::new(at..at, format!("<field name=\"{name}\">{own}</field>{gap}")))
}

#[cfg(test)]
mod tests;
