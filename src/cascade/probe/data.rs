//! What the addon's data files say: its scheduled actions, templates and reports.

use std::sync::LazyLock;

use regex::Regex;
use roxmltree::Node;

use super::super::guard::pattern;
use crate::odoo::Addon;
use crate::rules::edit::xml::{fields, parse, records};

static XML_ID: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z0-9_]+(?:\.[A-Za-z0-9_.]+)?$"));
static MODEL_NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z0-9_.]+$"));

/// The external id of the scheduled action whose code calls this method of this Odoo model.
pub(super) fn cron(addon: &Addon, odoo_model: &str, method: &str) -> Option<String> {
    let reference = format!("model_{}", odoo_model.replace('.', "_"));
    let calls = format!(".{method}(");
    addon.texts("xml").find_map(|(_, text)| {
        let document = parse(text).filter(|_| text.contains("ir.cron"))?;
        let found = records(&document, "ir.cron").find(|record| {
            let of_model =
                fields(*record, "model_id").any(|field| field.attribute("ref").is_some_and(|name| ends_with_id(name, &reference)));
            of_model && fields(*record, "code").any(|field| field.text().is_some_and(|code| code.contains(&calls)))
        })?;
        xml_id(addon, found.attribute("id")?)
    })
}

fn ends_with_id(name: &str, id: &str) -> bool {
    name.rsplit('.').next() == Some(id)
}

fn xml_id(addon: &Addon, id: &str) -> Option<String> {
    let whole = if id.contains('.') { id.to_owned() } else { format!("{}.{id}", addon.name()) };
    XML_ID.is_match(&whole).then_some(whole)
}

/// A report of the addon: its name, and the Odoo model that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// The key of its template, by which it is found.
    pub(super) name: String,
    /// The Odoo model.
    pub(super) odoo_model: String,
}

/// How the addon renders a template: by one of its reports, by itself, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rendering {
    /// The report renders it, itself or by a call.
    Report(Report),
    /// It is one of the addon's, by this key.
    Template(String),
}

/// How many templates are followed from the one that failed to the one that a report names.
const MAX_CALLS: usize = 10;

/// How a template that the log names is rendered. The answer holds only what the addon's files say.
pub(super) fn rendering(addon: &Addon, view: &str) -> Option<Rendering> {
    let templates = templates(addon);
    let (own, _) = templates.iter().find(|(key, _)| key == view)?;
    let reports = reports(addon);
    // Whatever calls it, and whatever calls that.
    let mut callers = vec![own.clone()];
    let mut next = 0;
    while let Some(key) = callers.get(next).cloned().filter(|_| callers.len() <= MAX_CALLS) {
        if let Some(report) = reports.iter().find(|report| report.name == key) {
            return Some(Rendering::Report(report.clone()));
        }
        let calling = templates.iter().filter(|(_, calls)| calls.contains(&key)).map(|(key, _)| key.clone());
        let new: Vec<_> = calling.filter(|key| !callers.contains(key)).collect();
        callers.extend(new);
        next += 1;
    }
    Some(Rendering::Template(own.clone()))
}

/// The keys of the addon's templates, each with those it calls.
fn templates(addon: &Addon) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (_, text) in addon.texts("xml") {
        let Some(document) = parse(text).filter(|_| text.contains("<template")) else { continue };
        for template in document.descendants().filter(|node| node.has_tag_name("template")) {
            let Some(key) = template.attribute("id").and_then(|id| xml_id(addon, id)) else { continue };
            let calls = template.descendants().filter_map(|node: Node<'_, '_>| node.attribute("t-call")).map(str::to_owned).collect();
            found.push((key, calls));
        }
    }
    found
}

fn reports(addon: &Addon) -> Vec<Report> {
    let mut found = Vec::new();
    for (_, text) in addon.texts("xml") {
        let Some(document) = parse(text).filter(|_| text.contains("ir.actions.report")) else { continue };
        for record in records(&document, "ir.actions.report") {
            let value = |name| fields(record, name).next().and_then(|field| field.text()).map(str::trim);
            if let (Some(name), Some(odoo_model)) = (value("report_name"), value("model"))
                && XML_ID.is_match(name)
                && MODEL_NAME.is_match(odoo_model)
            {
                found.push(Report { name: name.to_owned(), odoo_model: odoo_model.to_owned() });
            }
        }
    }
    found
}
