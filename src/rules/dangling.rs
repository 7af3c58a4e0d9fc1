//! What: what leads to something that does not exist anywhere is taken away: a field, a button, a node of a view, a record, a row.
//!
//! Why: Odoo refuses the whole addon for it. It never worked here, and nothing else of the addon names it.
//! Before: `x_id = fields.Many2one("zzz.model")`. After: the line is gone.
//! Not safe, and so asked last: something goes, and its name may be one that a person knows. What limits rights is never taken away. Safe is
//! only what hid or took away a field of a view that is gone from the Odoo model: what it wanted is so.
//! Since: any Odoo.

pub(crate) mod hidden;

use roxmltree::Node;

use super::edit::python::{Source, remove_statement};
use super::edit::{Edit, apply, classes, line_start, xml};
use super::external_id::pattern;
use super::scope::{Scope, mentions, missing_field, missing_id, missing_model, said};
use super::{Case, FileChange, Proposal, Rule, change, changed, proposal, removal};
use super::{external_id, field_name, missing_depends, model_name, record_field, renamed_method, view_button, view_field};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule {
    name: "dangling",
    classes: &[
        ErrorClass::FieldReferenceBroken,
        ErrorClass::ViewUnknownField,
        ErrorClass::ViewInvalidAction,
        ErrorClass::ViewAnchorMissing,
        ErrorClass::ExternalIdMissing,
        ErrorClass::CsvInvalid,
        ErrorClass::ModelMissing,
    ],
    since: 0,
    propose,
};

/// Records that say who may do what, and the fields that limit who sees something.
const RIGHTS: [&str; 4] = ["ir.rule", "ir.model.access", "res.groups", "res.users"];
const LIMITS: [&str; 2] = ["company_id", "company_ids"];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    // What no known addon has may be in one that was not read.
    let Some(scope) = Scope::of(case).filter(|scope| !scope.index.is_partial()) else { return Vec::new() };
    if case.report.class == ErrorClass::ViewAnchorMissing {
        return proposal("A part of a view only hid or took away a field that is gone: it goes.", hidden::gone(case, &scope));
    }
    // What Odoo renamed or dropped on purpose did work, and its rules know more.
    if let Some((method, odoo_model)) = view_button::missing_method(case)
        && renamed_method::successor(case.version.major(), &odoo_model, &method).is_some()
    {
        return Vec::new();
    }
    let others = [
        missing_depends::RULE,
        field_name::RULE,
        model_name::RULE,
        view_field::RULE,
        view_button::RULE,
        external_id::RULE,
        record_field::RULE,
    ];
    let known = |rule: &Rule| rule.classes.contains(&case.report.class) && !(rule.propose)(case).is_empty();
    if others.iter().any(known) {
        return Vec::new();
    }
    let found = match case.report.class {
        ErrorClass::FieldReferenceBroken => definition(case, &scope),
        ErrorClass::ViewUnknownField => shown_field(case, &scope),
        ErrorClass::ViewInvalidAction => button(case),
        ErrorClass::ModelMissing => record(case),
        ErrorClass::CsvInvalid => row(case, &scope),
        _ => reference(case, &scope),
    };
    let doubt = "It takes away what was meant to be there; the name may be one that a person knows.";
    found.map(|(changes, what)| removal(format!("{what}, and goes."), doubt, changes)).unwrap_or_default()
}

/// Whether a field limits who sees or does something: without it everybody would.
fn limits(scope: &Scope<'_>, odoo_model: &str, field: &str) -> bool {
    LIMITS.contains(&field) || field.contains("group") || scope.comodel(odoo_model, field).as_deref() == Some("res.groups")
}

type Gone = (Vec<FileChange>, String);

/// How often the addon's code and data have a name.
fn used(case: &Case<'_>, name: &str) -> usize {
    let counts = |path: &str| !path.ends_with("__manifest__.py") && [".py", ".xml", ".csv", ".js"].iter().any(|end| path.ends_with(end));
    let texts = case.addon.files().filter(|(path, _)| counts(path.as_str())).filter_map(|(path, _)| case.addon.text(path));
    texts.map(|text| mentions(text, name)).sum()
}

/// A field of Python that leads nowhere.
fn definition(case: &Case<'_>, scope: &Scope<'_>) -> Option<Gone> {
    let patterns = [
        r"Field ([\w.]+) with (?:unknown|non-existent) co-?model",
        r"referenced in related field definition ([\w.]+) does not exist",
        r"declared in '([\w.]+)' does not exist on",
    ];
    let [owner] = patterns.iter().find_map(|pattern| said::<1>(case, pattern))?;
    let (odoo_model, name) = owner.rsplit_once('.')?;
    if used(case, name) != 1 || limits(scope, odoo_model, name) {
        return None;
    }
    let changes = changed(case.addon, "py", |text| {
        let source = Source::parse(text)?;
        let statements = classes::of_model(&source, odoo_model).filter_map(|class| classes::definition(&source, class, name));
        apply(text, statements.map(|statement| remove_statement(&source, statement)).collect())
    });
    Some((changes, format!("{owner} leads to what no known addon has, nothing else names it")))
}

/// A node that shows a field which does not exist.
fn shown_field(case: &Case<'_>, scope: &Scope<'_>) -> Option<Gone> {
    let (odoo_model, wrong) = missing_field(case)?;
    if scope.fields(&odoo_model).is_empty() {
        return None;
    }
    let mut count = 0;
    let mut changes = Vec::new();
    for (path, text) in case.addon.texts("xml") {
        let Some(document) = xml::parse(text) else { continue };
        let mut edits = Vec::new();
        for (arch, of_view) in xml::archs(&document) {
            let shows = |node: &Node<'_, '_>| match node.tag_name().name() {
                "field" => node.attribute("name") == Some(wrong.as_str()) && node.attribute("position").is_none(),
                "label" => node.attribute("for") == Some(wrong.as_str()),
                _ => false,
            };
            let nodes = arch.descendants().filter(|node| *node != arch && shows(node) && !node.children().any(|child| child.is_element()));
            for node in nodes.filter(|node| view_field::shown(scope, arch, *node, of_view).is_none_or(|shown| shown == odoo_model)) {
                edits.push(xml::remove_element(text, node));
                count += 1;
            }
        }
        changes.extend(apply(text, edits).map(|after| change(path, text, after)));
    }
    (used(case, &wrong) == count)
        .then(|| (changes, format!("No known addon gives {odoo_model} a field {wrong}: what shows it shows nothing")))
}

/// A button that calls nothing.
fn button(case: &Case<'_>) -> Option<Gone> {
    let (wrong, odoo_model) = view_button::missing_method(case)?;
    if case.index.classes(&odoo_model).iter().any(|(_, class)| class.methods.contains_key(&wrong)) || wrong.starts_with('_') {
        return None;
    }
    let mut count = 0;
    let mut changes = Vec::new();
    for (path, text) in case.addon.texts("xml") {
        let Some(document) = xml::parse(text) else { continue };
        let buttons = document.descendants().filter(|node| node.has_tag_name("button") && node.attribute("name") == Some(wrong.as_str()));
        let edits: Vec<Edit> =
            buttons.filter(|node| node.attribute("position").is_none()).map(|node| xml::remove_element(text, node)).collect();
        count += edits.len();
        changes.extend(apply(text, edits).map(|after| change(path, text, after)));
    }
    (used(case, &wrong) == count).then(|| (changes, format!("The button calls {wrong}, which {odoo_model} has in no known addon")))
}

/// A record of an Odoo model that no known addon makes.
fn record(case: &Case<'_>) -> Option<Gone> {
    let wrong = missing_model(case)?;
    let mut changes = Vec::new();
    for (path, text) in case.addon.texts("xml") {
        let Some(document) = xml::parse(text) else { continue };
        let mut edits = Vec::new();
        for node in xml::records(&document, &wrong) {
            let id = node.attribute("id").unwrap_or_default();
            // What others refer to must stay.
            if !id.is_empty() && id.len() > 2 && used(case, id.rsplit('.').next().unwrap_or(id)) > 1 {
                return None;
            }
            edits.push(xml::remove_element(text, node));
        }
        changes.extend(apply(text, edits).map(|after| change(path, text, after)));
    }
    Some((changes, format!("No known addon has an Odoo model {wrong}: a record of it cannot be made")))
}

/// A row that gives rights on an Odoo model which no known addon makes.
fn row(case: &Case<'_>, scope: &Scope<'_>) -> Option<Gone> {
    let id = missing_id(case)?;
    let wanted = id.split_once('.')?.1.strip_prefix("model_")?;
    let mut everything = scope.index.modules().flat_map(|(_, facts)| &facts.classes);
    if everything.any(|class| class.odoo_model.replace('.', "_") == wanted) {
        return None;
    }
    let pattern = pattern(case, &id)?;
    let changes = changed(case.addon, "csv", |text| {
        let mut edits = Vec::new();
        let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        for row in reader.records().map_while(Result::ok).filter(|row| row.iter().any(|cell| pattern.is_match(cell))) {
            let at = usize::try_from(row.position()?.byte()).ok()?;
            let start = line_start(text, text[at..].find(|c: char| !c.is_whitespace()).map_or(at, |gap| at + gap));
            let end = text[start..].find('\n').map_or(text.len(), |end| start + end + 1);
            // A row over several lines is not understood.
            if row.iter().any(|cell| cell.contains('\n')) {
                return None;
            }
            edits.push(Edit::remove(start..end));
        }
        apply(text, edits)
    });
    Some((changes, format!("The row is about {wanted}, an Odoo model that no known addon has")))
}

/// What a data file does with a record that does not exist.
fn reference(case: &Case<'_>, scope: &Scope<'_>) -> Option<Gone> {
    let id = missing_id(case)?;
    let everything = scope.index.modules().map(|(name, _)| name.to_owned()).collect();
    if scope.index.has_id(&id, &everything) {
        return None;
    }
    let pattern = pattern(case, &id)?;
    let mut changes = Vec::new();
    for (path, text) in case.addon.texts("xml") {
        let Some(document) = xml::parse(text) else { continue };
        let mut edits = Vec::new();
        for node in document.descendants().filter(Node::is_element) {
            for attribute in node.attributes().filter(|attribute| pattern.is_match(attribute.value())) {
                edits.extend(without(case, scope, text, node, &attribute)?);
            }
        }
        edits.dedup();
        changes.extend(apply(text, edits).map(|after| change(path, text, after)));
    }
    Some((changes, format!("It names {id}, a record that no known addon has")))
}

/// The element without its mention; `None` if that would be no mend, nothing if the attribute holds no external ids.
fn without(
    case: &Case<'_>,
    scope: &Scope<'_>,
    text: &str,
    node: Node<'_, '_>,
    attribute: &roxmltree::Attribute<'_, '_>,
) -> Option<Vec<Edit>> {
    let whole = || Some(vec![xml::remove_element(text, node)]);
    match (node.tag_name().name(), attribute.name()) {
        (_, "groups" | "inherit_id" | "t-call") => None,
        ("menuitem", "parent") if node.attribute("action").is_some() || node.has_children() => {
            Some(vec![Edit::remove(xml::with_gap(text, attribute))])
        }
        ("menuitem", "parent") => whole(),
        ("menuitem", "action") => {
            let id = node.attribute("id")?;
            (used(case, id) <= 1 && !node.has_children()).then(whole).flatten()
        }
        ("button" | "a", "name") if attribute.value().contains("%(") => whole(),
        ("field", "ref") => {
            let record = node.parent_element().filter(|parent| parent.has_tag_name("record"))?;
            let (odoo_model, name) = (record.attribute("model")?, node.attribute("name")?);
            let fields = scope.fields(odoo_model);
            let optional = fields.get(name).is_some_and(|facts| !facts.required);
            let free = !RIGHTS.contains(&odoo_model) && !limits(scope, odoo_model, name) && name != "inherit_id";
            (optional && free).then(whole).flatten()
        }
        (_, "id" | "model" | "name" | "string") => Some(Vec::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
