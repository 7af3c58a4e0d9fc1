//! What: a field or method that a template asks a record for, and that its Odoo model does not have, becomes the one that is meant.
//!
//! Why: a slip in an expression; nothing looks at it before the template is rendered.
//! Before: `<span t-out="doc.colour"/>`. After: `<span t-out="doc.color"/>`.
//! Safe where the name is clearly a misspelling. Where `t-field` fails, the log does not say of which Odoo model the
//! record is; it is followed from `t-as`, `t-set` and `t-call` up to the report that the template is of.
//! Since: any Odoo.

mod record;

use std::collections::BTreeMap;

use regex::Regex;
use roxmltree::{Document, Node};

use super::edit::{Edit, apply, xml};
use super::near::{self, is_spelling, ranked};
use super::scope::{Scope, missing_field, said};
use super::{Case, FileChange, Proposal, Rule, change, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "template_field", classes: &[ErrorClass::QwebRender], since: 0, propose };

/// How many equal elements are looked at for the Odoo model of their record.
const MAX_FOLLOWED: usize = 8;

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let Some(fault) = Fault::of(case) else { return Vec::new() };
    let documents = templates(case);
    let elements: Vec<(usize, Node<'_, '_>)> =
        documents.iter().enumerate().flat_map(|(at, (_, _, document))| fault.elements(document).map(move |node| (at, node))).collect();
    let told = missing_field(case).filter(|(_, name)| *name == fault.wrong && !fault.by_key).map(|(odoo_model, _)| odoo_model);
    let followed =
        || elements.iter().take(MAX_FOLLOWED).find_map(|(_, node)| record::odoo_model(case, &scope, &documents, *node, &fault.record));
    let Some(odoo_model) = told.or_else(followed) else { return Vec::new() };
    let fields = scope.fields(&odoo_model);
    if fields.is_empty() || fields.contains_key(fault.wrong.as_str()) {
        return Vec::new();
    }
    let mut names: Vec<&str> = fields.keys().copied().chain(["id", "display_name", "create_date", "write_date"]).collect();
    if !fault.by_key {
        names.extend(scope.index.methods(&odoo_model, &scope.names));
    }
    names.sort_unstable();
    names.dedup();
    let of = |right: &str| {
        let changes = changes(&fault, &documents, &elements, right);
        let summary = format!("{odoo_model} has no {}, which a template asks for; {right} is meant.", fault.wrong);
        graded(summary, near::doubt(case, &fault.wrong, right, names.iter().copied()), changes)
    };
    let spelled: Vec<&str> = names.iter().copied().filter(|name| is_spelling(&fault.wrong, name)).collect();
    let meant = match spelled.as_slice() {
        [only] => vec![*only],
        _ => ranked(&fault.wrong, names.iter().copied(), |name| scope.is_own_field(&odoo_model, name)),
    };
    meant.into_iter().flat_map(of).collect()
}

/// A data file of the addon: path, text, and how it reads.
type Templates<'a> = [(&'a crate::domain::RelPath, &'a str, Document<'a>)];

fn templates<'a>(case: &Case<'a>) -> Vec<(&'a crate::domain::RelPath, &'a str, Document<'a>)> {
    let counts = |path: &str| !path.starts_with("static/") && !path.starts_with("tests/");
    let texts = case.addon.texts("xml").filter(|(path, _)| counts(path.within_module()));
    texts.filter_map(|(path, text)| Some((path, text, xml::parse(text)?))).collect()
}

/// What the log says of the element that could not be rendered.
struct Fault {
    /// The name that does not exist.
    wrong: String,
    /// The expression for the record that was asked for it: `doc.partner_id`.
    record: String,
    /// The attributes of the element that name it, with their values.
    attributes: Vec<(String, String)>,
    /// Whether `t-field` looked it up.
    by_key: bool,
}

impl Fault {
    fn of(case: &Case<'_>) -> Option<Self> {
        let by_key = said::<1>(case, r"KeyError: '(\w+)'").map(|[name]| name);
        let by_name = said::<1>(case, r"'\w+(?:\.\w+)+' object has no attribute '(\w+)'").map(|[name]| name);
        let (wrong, by_key) = by_name.map(|name| (name, false)).or_else(|| by_key.map(|name| (name, true)))?;
        let [element] = said(case, r"(?m)^\s*(?:Element|Node): (<[^\n]+)$")?;
        let attribute = Regex::new(r#"\s(t-[\w.-]+)=(?:"([^"]*)"|'([^']*)')"#).ok()?;
        let asked = Regex::new(&format!(r"\b([A-Za-z_]\w*(?:\.\w+)*)\.{}\b", regex::escape(&wrong))).ok()?;
        let decoded = |text: &str| html_escape::decode_html_entities(text).into_owned();
        let all = attribute
            .captures_iter(&element)
            .map(|found| (found[1].to_owned(), decoded(found.get(2).or(found.get(3)).map_or("", |value| value.as_str()))));
        let attributes: Vec<(String, String)> =
            all.filter(|(name, value)| asked.is_match(value) && (!by_key || name == "t-field")).collect();
        let records: Vec<&str> = attributes
            .iter()
            .flat_map(|(_, value)| asked.captures_iter(value))
            .filter_map(|found| found.get(1))
            .map(|found| found.as_str())
            .collect();
        // Of two records it cannot be told which one lacks it.
        let record = (*records.first()?).to_owned();
        records.iter().all(|other| *other == record).then_some(Self { wrong, record, attributes, by_key })
    }

    /// The elements with just these attributes.
    fn elements<'d, 'i>(&self, document: &'d Document<'i>) -> impl Iterator<Item = Node<'d, 'i>> {
        let has = |node: &Node<'_, '_>| self.attributes.iter().all(|(name, value)| node.attribute(name.as_str()) == Some(value));
        document.descendants().filter(Node::is_element).filter(has).collect::<Vec<_>>().into_iter()
    }
}

/// The template around an element: `<template>`, or the `arch` of a view.
fn template<'d, 'i>(node: Node<'d, 'i>) -> Option<Node<'d, 'i>> {
    node.ancestors().find(|up| up.has_tag_name("template") || (up.has_tag_name("field") && up.attribute("name") == Some("arch")))
}

/// The same question everywhere in the templates that hold such an element.
fn changes(fault: &Fault, documents: &Templates<'_>, elements: &[(usize, Node<'_, '_>)], right: &str) -> Vec<FileChange> {
    let question = format!(r"(?:^|[^\w.]){}\.({})\b", regex::escape(&fault.record), regex::escape(&fault.wrong));
    let Ok(question) = Regex::new(&question) else { return Vec::new() };
    let mut found = Vec::new();
    for (at, (path, text, _)) in documents.iter().enumerate() {
        let around = elements.iter().filter(|(of, _)| *of == at).filter_map(|(_, node)| template(*node));
        let around: BTreeMap<_, _> = around.map(|template| (template.range().start, template)).collect();
        let mut edits: Vec<Edit> = Vec::new();
        for attribute in around.into_values().flat_map(|template| template.descendants()).flat_map(|node| node.attributes()) {
            let Some(range) = xml::value_range(text, &attribute).filter(|_| attribute.name().starts_with("t-")) else { continue };
            let names = question.captures_iter(&text[range.clone()]).filter_map(|found| found.get(1));
            edits.extend(names.map(|name| Edit::new(range.start + name.start()..range.start + name.end(), right)));
        }
        found.extend(apply(text, edits).map(|after| change(path, text, after)));
    }
    found
}

#[cfg(test)]
mod tests;
