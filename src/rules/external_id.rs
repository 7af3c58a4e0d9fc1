//! What: an external id that does not exist becomes the one that is meant.
//!
//! Why: a slip in the name or in the addon before the dot. Only records of a kind that fits the place are looked at: menus for a parent,
//! views for `inherit_id`, groups for `groups`.
//! Before: `<menuitem parent="base.menu_administraton"/>`. After: `<menuitem parent="base.menu_administration"/>`.
//! Since: any Odoo.

use regex::Regex;
use roxmltree::Node;

use super::edit::{Edit, apply, xml};
use super::moved::{self, Fate};
use super::near::{self, ranked};
use super::renamed_record;
use super::scope::{Scope, missing_id};
use super::{Case, FileChange, Proposal, Rule, change, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule =
    Rule { name: "external_id", classes: &[ErrorClass::ExternalIdMissing, ErrorClass::CsvInvalid], since: 0, propose };

/// How many are proposed.
const MOST: usize = 3;

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let Some(wrong) = missing_id(case) else { return Vec::new() };
    let Some((module, name)) = wrong.split_once('.') else { return Vec::new() };
    // What the addon itself has is loaded too late or not at all, which is another fault.
    if scope.index.has_id(&wrong, &scope.names) {
        return Vec::new();
    }
    // Of what Odoo once had it is known what became of it, and no near name is meant.
    if moved::record(case.version.major(), &wrong) == Some(Fate::Gone) || renamed_record::of(case, &wrong).is_some() {
        return Vec::new();
    }
    let places = places(case, &wrong);
    let kinds: Vec<String> = places.iter().filter_map(|place| place.kind(&scope)).collect();
    let fits = |odoo_model: &str| kinds.iter().all(|kind| matches_kind(odoo_model, kind));
    let mut found: Vec<String> = Vec::new();
    if let Some(odoo_model) = name.strip_prefix("model_") {
        found.extend(model_ids(&scope, module, odoo_model));
    } else {
        let same = scope.index.ids_named(name).into_iter().filter(|id| scope.index.has_id(id, &scope.names));
        found.extend(same.filter(|id| scope.index.record(id).is_some_and(|record| fits(&record.odoo_model))));
        let all: Vec<String> = scope.index.ids(&scope.names).filter(|(_, record)| fits(&record.odoo_model)).map(|(id, _)| id).collect();
        let of = |owner: &str| -> Vec<String> {
            let prefix = format!("{owner}.");
            let names: Vec<&str> = all.iter().filter_map(|id| id.strip_prefix(&prefix)).collect();
            ranked(name, names, |_| false).into_iter().map(|name| format!("{owner}.{name}")).collect()
        };
        found.extend(of(module));
        if module != scope.module && !scope.index.modules().any(|(known, _)| known == module) {
            found.extend(other_owner(&scope, module, name));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|id| *id != wrong && seen.insert(id.clone()));
    let known: Vec<String> = scope.index.ids(&scope.names).map(|(id, _)| id).collect();
    let of = |right: &String| {
        let changes = files(case, &wrong, right);
        graded(format!("There is no record {wrong}; {right} is meant."), doubt(case, &scope, &wrong, right, &known, found.len()), changes)
    };
    found.iter().take(MOST).flat_map(of).collect()
}

/// Why a record may not be the one that is meant.
fn doubt(case: &Case<'_>, scope: &Scope<'_>, wrong: &str, right: &str, known: &[String], candidates: usize) -> Option<String> {
    let ((module, name), (owner, other)) = (wrong.split_once('.')?, right.split_once('.')?);
    if name != other {
        let beside = known.iter().filter_map(|id| id.strip_prefix(owner)?.strip_prefix('.'));
        return near::doubt(case, name, other, beside);
    }
    // The id of an Odoo model stands with each addon that has a part of it; which of them is named makes no difference.
    if name.starts_with("model_") {
        return None;
    }
    let only = candidates == 1 && (module == scope.module || scope.index.module(module).is_none() || near::is_spelling(module, owner));
    (!only).then(|| format!("{right} has the same name, but is a record of another addon."))
}

/// A slip in the name of the addon.
fn other_owner(scope: &Scope<'_>, module: &str, name: &str) -> Vec<String> {
    let owners = ranked(module, scope.names.iter().map(String::as_str), |_| false);
    owners.into_iter().map(|owner| format!("{owner}.{name}")).filter(|id| scope.index.has_id(id, &scope.names)).collect()
}

/// `model_res_partner` stands with the addons that define or extend the Odoo model; else a near name.
fn model_ids(scope: &Scope<'_>, module: &str, wanted: &str) -> Vec<String> {
    let models = scope.index.odoo_models(&scope.names);
    let id = |odoo_model: &str| {
        let owners = scope.index.owners(odoo_model);
        let owner =
            owners.iter().copied().find(|owner| *owner == module).or_else(|| owners.into_iter().find(|owner| scope.names.contains(*owner)));
        owner.map(|owner| format!("{owner}.model_{}", odoo_model.replace('.', "_")))
    };
    if let Some(same) = models.iter().find(|name| name.replace('.', "_") == wanted) {
        return id(same).into_iter().collect();
    }
    let written: Vec<String> = models.iter().map(|name| name.replace('.', "_")).collect();
    let own = |name: &str| models.iter().any(|known| known.replace('.', "_") == name && scope.index.owners(known).contains(&scope.module));
    let near = ranked(wanted, written.iter().map(String::as_str), own);
    near.into_iter().filter_map(|name| id(models.iter().find(|known| known.replace('.', "_") == name)?)).collect()
}

fn matches_kind(odoo_model: &str, kind: &str) -> bool {
    odoo_model == kind || (kind == "ir.actions" && odoo_model.starts_with("ir.actions."))
}

/// A place in a data file that names an external id.
pub(super) struct Place<'d> {
    /// The element; `None` in a CSV file.
    pub(super) node: Option<(String, Option<&'d str>)>,
    /// The attribute, or the column.
    pub(super) attribute: String,
    /// The Odoo model of the record and its field, where the place is one.
    pub(super) field: Option<(String, String)>,
}

impl Place<'_> {
    /// The Odoo model that the record must be of.
    fn kind(&self, scope: &Scope<'_>) -> Option<String> {
        let tag = self.node.as_ref().map_or("", |(tag, _)| tag.as_str());
        match (tag, self.attribute.as_str()) {
            ("menuitem", "parent") => Some("ir.ui.menu".to_owned()),
            (_, "groups") => Some("res.groups".to_owned()),
            ("menuitem", "action") | ("button", "name") => Some("ir.actions".to_owned()),
            ("template", "inherit_id") => Some("ir.ui.view".to_owned()),
            _ => {
                let (odoo_model, field) = self.field.as_ref()?;
                let comodel = scope.comodel(odoo_model, field)?;
                Some(if comodel == "ir.actions.actions" { "ir.actions".to_owned() } else { comodel })
            }
        }
    }
}

/// Whether a piece of text holds the id as a whole, with or without the addon's own name.
pub(super) fn pattern(case: &Case<'_>, id: &str) -> Option<Regex> {
    let own = format!("{}.", case.addon.name());
    let body = match id.strip_prefix(&own) {
        Some(name) => format!("(?:{})?{}", regex::escape(&own), regex::escape(name)),
        None => regex::escape(id),
    };
    Regex::new(&format!(r"(?:^|[^\w.-])({body})(?:$|[^\w.-])")).ok()
}

/// The attributes that hold external ids, and those that may have them in code.
fn holds(node: Node<'_, '_>, attribute: &str, value: &str) -> bool {
    match attribute {
        "ref" | "parent" | "action" | "inherit_id" | "groups" => true,
        "t-call" => true,
        "id" => node.tag_name().name() != "menuitem" && value.contains('.'),
        "eval" => value.contains("ref("),
        _ => value.contains("%("),
    }
}

fn places<'d>(case: &Case<'d>, id: &str) -> Vec<Place<'d>> {
    let Some(pattern) = pattern(case, id) else { return Vec::new() };
    let mut found = Vec::new();
    for (_, text) in case.addon.texts("xml") {
        let Some(document) = xml::parse(text) else { continue };
        for node in document.descendants().filter(Node::is_element) {
            for attribute in node.attributes().filter(|attribute| holds(node, attribute.name(), attribute.value())) {
                if pattern.is_match(attribute.value()) {
                    let record = node.parent_element().filter(|parent| parent.has_tag_name("record") && node.has_tag_name("field"));
                    let field = record.and_then(|record| Some((record.attribute("model")?.to_owned(), node.attribute("name")?.to_owned())));
                    found.push(Place {
                        node: Some((node.tag_name().name().to_owned(), None)),
                        attribute: attribute.name().to_owned(),
                        field,
                    });
                }
            }
        }
    }
    for (path, text) in case.addon.texts("csv").filter(|(_, text)| text.contains(id.rsplit('.').next().unwrap_or(id))) {
        let odoo_model = path.as_str().rsplit('/').next().and_then(|file| file.strip_suffix(".csv")).unwrap_or_default();
        let odoo_model = odoo_model.split('-').next().unwrap_or_default();
        let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let Ok(headers) = reader.headers().cloned() else { continue };
        for row in reader.records().map_while(Result::ok) {
            for (column, cell) in
                headers.iter().zip(row.iter()).filter(|(column, cell)| column.contains([':', '/']) && pattern.is_match(cell))
            {
                let field = column.split([':', '/']).next().unwrap_or(column).to_owned();
                let _ = cell;
                found.push(Place { node: None, attribute: column.to_owned(), field: Some((odoo_model.to_owned(), field)) });
            }
        }
    }
    found
}

/// The data files and Python with the id replaced.
pub(super) fn files(case: &Case<'_>, wrong: &str, right: &str) -> Vec<FileChange> {
    let Some(pattern) = pattern(case, wrong) else { return Vec::new() };
    let own = format!("{}.", case.addon.name());
    // As it was written: without the addon's own name where that was left out.
    let written = |old: &str| if old.contains('.') { right.to_owned() } else { right.strip_prefix(&own).unwrap_or(right).to_owned() };
    let within = |text: &str, range: std::ops::Range<usize>| -> Vec<Edit> {
        let found = pattern.captures_iter(&text[range.clone()]).filter_map(|found| found.get(1));
        found.map(|id| Edit::new(range.start + id.start()..range.start + id.end(), written(id.as_str()))).collect()
    };
    let in_xml = |text: &str| {
        let document = xml::parse(text)?;
        let mut edits = Vec::new();
        for node in document.descendants().filter(Node::is_element) {
            for attribute in node.attributes().filter(|attribute| holds(node, attribute.name(), attribute.value())) {
                edits.extend(xml::value_range(text, &attribute).into_iter().flat_map(|range| within(text, range)));
            }
            if let Some((range, value)) = xml::plain_text(text, node)
                && value.contains("%(")
            {
                edits.extend(within(text, range));
            }
        }
        apply(text, edits)
    };
    let in_csv = |text: &str| {
        let header = text.find('\n').map_or(text.len(), |end| end + 1);
        apply(text, within(text, header..text.len()))
    };
    let in_python = |text: &str| {
        let source = super::edit::python::Source::parse(text)?;
        let strings = source.all("string").filter(|node| source.simple(*node) == Some(wrong));
        apply(text, strings.filter_map(|node| Some(Edit::new(source.inside(node)?, right))).collect())
    };
    let mut changes = Vec::new();
    for (path, bytes) in case.addon.files() {
        let (Some(text), Some((_, extension))) = (case.addon.text(path), path.as_str().rsplit_once('.')) else { continue };
        let after = match extension {
            "xml" => in_xml(text),
            "csv" if bytes.len() <= super::edit::MAX_FILE => in_csv(text),
            "py" => in_python(text),
            _ => None,
        };
        changes.extend(after.map(|after| change(path, text, after)));
    }
    changes
}

#[cfg(test)]
mod tests;
