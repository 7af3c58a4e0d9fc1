//! The references of views and templates.

use std::collections::{BTreeSet, HashMap};

use roxmltree::{Document, Node};

use super::data::refs;
use super::infer::Type;
use super::world::Member;
use super::{Check, Kind, Place, python};
use crate::odoo::source::python::{PythonFile, children};

/// The views that stand inside of a field.
const NESTED: [&str; 9] = ["list", "tree", "form", "kanban", "graph", "pivot", "calendar", "activity", "gantt"];

/// The attributes that are conditions about the record shown.
const MODIFIERS: [&str; 3] = ["invisible", "readonly", "required"];
/// The names that the client brings to a condition.
const CLIENT: [&str; 14] = [
    "context",
    "uid",
    "parent",
    "active_id",
    "active_ids",
    "active_model",
    "allowed_company_ids",
    "current_company_id",
    "current_date",
    "today",
    "now",
    "true",
    "false",
    "id",
];

/// Resolves a view's arch. `parent`: the view that it extends.
pub(super) fn view(
    check: &Check<'_, '_>,
    document: &Document<'_>,
    path: &str,
    arch: Node<'_, '_>,
    odoo_model: Option<&str>,
    parent: Option<&str>,
) {
    let view = View { check: *check, document, path };
    let models = odoo_model.map(|model| vec![model.to_owned()]).unwrap_or_default();
    for root in arch.children().filter(Node::is_element) {
        let scope = if parent.is_some() { view.reach(&models) } else { models.clone() };
        view.element(root, &scope, parent.map(|_| models.as_slice()), 0);
    }
}

/// Resolves a template: what it calls and extends, and what its expressions say of the records that a report shows.
pub(super) fn template(check: &Check<'_, '_>, document: &Document<'_>, path: &str, template: Node<'_, '_>) {
    let view = View { check: *check, document, path };
    let id = template.attribute("id").map(|id| check.full(id));
    let model = id.and_then(|id| report_model(check, &id));
    let mut known = HashMap::new();
    if let Some(model) = model {
        known.insert("docs".to_owned(), Type::records(&model));
    }
    view.qweb(template, &known, 0);
}

/// The Odoo model of the report that a template is of.
fn report_model(check: &Check<'_, '_>, id: &str) -> Option<String> {
    check.addon.texts("xml").find_map(|(_, text)| {
        let document = Document::parse(text).ok()?;
        document.descendants().filter(|node| node.attribute("model") == Some("ir.actions.report")).find_map(|node| {
            let text = |name: &str| {
                let field = node.children().find(|field| field.attribute("name") == Some(name))?;
                field.text().map(|text| text.trim().to_owned())
            };
            (text("report_name")? == id).then(|| text("model")).flatten()
        })
    })
}

struct View<'v, 'd, 'a> {
    check: Check<'v, 'a>,
    document: &'v Document<'d>,
    path: &'v str,
}

impl<'v> View<'v, '_, '_> {
    fn place(&self, node: Node<'_, '_>) -> Place<'v> {
        Place { path: self.path, line: self.document.text_pos_at(node.range().start).row }
    }

    /// The Odoo models whose fields may stand in an extension of a view: its own, and those of views inside of its fields.
    fn reach(&self, models: &[String]) -> Vec<String> {
        let mut found: BTreeSet<String> = models.iter().cloned().collect();
        let mut last: Vec<String> = models.to_vec();
        for _ in 0..2 {
            let of = |model: &String| {
                let fields: Vec<&str> = self.check.world.model(model).fields.keys().copied().collect();
                fields
                    .into_iter()
                    .filter(|field| matches!(self.check.world.kind(model, field), Some("One2many" | "Many2many" | "Many2one")))
                    .filter_map(|field| self.check.world.comodel(model, field))
                    .collect::<Vec<_>>()
            };
            last = last.iter().flat_map(of).filter(|model| !found.contains(model)).collect();
            found.extend(last.iter().cloned());
        }
        // The view's own comes first: it is the one to name.
        models.iter().cloned().chain(found.into_iter().filter(|model| !models.contains(model))).collect()
    }

    /// One element and what stands in it. `models`: those that a field in it may be of; where they are several, all must lack it. `anchored`:
    /// in an extension, outside of what it brings, the Odoo models of the whole view.
    fn element(&self, node: Node<'_, '_>, models: &[String], anchored: Option<&[String]>, depth: usize) {
        if depth > 100 {
            return;
        }
        let place = self.place(node);
        self.shared(node, place);
        self.modifiers(node, place, models);
        let tag = node.tag_name().name();
        match tag {
            "field" => self.field(node, place, models),
            "button" => self.button(node, place, models),
            "label" => {
                if let Some(name) = node.attribute("for") {
                    self.any_field(place, models, name, true);
                }
            }
            "filter" => {
                if let ([model], Some(domain)) = (models, node.attribute("domain")) {
                    self.check.domain_text(place, model, domain);
                }
                if let Some(date) = node.attribute("date") {
                    self.any_field(place, models, date, false);
                }
            }
            "list" | "tree" | "kanban" => {
                if let ([model], Some(order)) = (models, node.attribute("default_order")) {
                    self.check.listed(place, model, order, false);
                }
            }
            "templates" => return self.client(node, models),
            _ => {}
        }
        let inner: Vec<String> = match (tag, node.attribute("name")) {
            ("field", Some(name)) if node.children().any(|child| NESTED.contains(&child.tag_name().name())) => self.nested(models, name),
            ("groupby", Some(name)) => self.nested(models, name),
            ("xpath", _) => {
                self.at(node.attribute("expr").unwrap_or_default(), anchored.unwrap_or_default()).unwrap_or_else(|| models.to_vec())
            }
            _ => models.to_vec(),
        };
        for child in node.children().filter(Node::is_element) {
            self.element(child, &inner, anchored, depth + 1);
        }
    }

    fn nested(&self, models: &[String], field: &str) -> Vec<String> {
        models.iter().filter_map(|model| self.check.world.comodel(model, field)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The Odoo model where an xpath leads, if it names a field with a view inside.
    fn at(&self, expr: &str, models: &[String]) -> Option<Vec<String>> {
        let mut at = models.to_vec();
        let mut is_nested = false;
        let steps: Vec<&str> = expr.split('/').filter(|step| !step.is_empty()).collect();
        for pair in steps.windows(2) {
            let goes_in = !pair[1].starts_with("..") && !pair[1].contains("::");
            let name = pair[0].strip_prefix("field[@name=").and_then(|rest| rest.split(['\'', '"']).nth(1));
            if let Some(name) = name.filter(|_| goes_in) {
                at = self.nested(&at, name);
                is_nested = true;
            }
        }
        (is_nested && !at.is_empty()).then_some(at)
    }

    /// Attributes that mean the same on every element.
    fn shared(&self, node: Node<'_, '_>, place: Place<'v>) {
        if let Some(groups) = node.attribute("groups") {
            self.check.groups(place, groups);
        }
        for attribute in node.attributes() {
            for part in attribute.value().split("%(").skip(1) {
                if let Some((id, rest)) = part.split_once(')')
                    && rest.starts_with('d')
                {
                    self.check.external_id(place, id, Kind::Record);
                }
            }
            if attribute.name() == "context" || attribute.name() == "eval" {
                refs(attribute.value()).for_each(|id| self.check.external_id(place, id, Kind::Record));
            }
        }
    }

    /// Conditions of Odoo 17 and later: `invisible="state == 'draft'"`. Every name in one that the client does not bring is a field.
    fn modifiers(&self, node: Node<'_, '_>, place: Place<'v>, models: &[String]) {
        if self.check.version.major() < 17 || models.is_empty() {
            return;
        }
        for condition in
            MODIFIERS.iter().filter_map(|name| node.attribute(*name)).filter(|text| text.contains(|c: char| c.is_ascii_lowercase()))
        {
            let Some(file) = PythonFile::parse(condition.trim()) else { continue };
            if file.root().has_error() {
                continue;
            }
            let mut open = vec![file.root()];
            while let Some(part) = open.pop() {
                match part.kind() {
                    // `parent.state`, `context.get(…)`
                    "attribute" | "call" | "keyword_argument" | "list_comprehension" | "generator_expression" | "lambda" => {}
                    "identifier" if !CLIENT.contains(&file.of(part)) => {
                        self.any_field(place, models, file.of(part), false);
                    }
                    _ => open.extend(children(part)),
                }
            }
        }
    }

    fn field(&self, node: Node<'_, '_>, place: Place<'v>, models: &[String]) {
        let Some(name) = node.attribute("name") else { return };
        if !self.any_field(place, models, name, false) {
            return;
        }
        if let ([model], Some(domain)) = (models, node.attribute("domain"))
            && let Some(comodel) = self.check.world.comodel(model, name)
        {
            self.check.domain_text(place, &comodel, domain);
        }
    }

    /// A field that one of several Odoo models has to have. Says whether it may be there.
    fn any_field(&self, place: Place<'v>, models: &[String], name: &str, or_other: bool) -> bool {
        let Some(first) = models.first() else { return false };
        self.check.sink.checked();
        let is_gone = |model: &String| match self.check.world.member(model, name, false) {
            Member::Missing => true,
            Member::Other => !or_other && name != "id",
            _ => false,
        };
        // A label may be for an element that is no field.
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
        if !is_name || !models.iter().all(is_gone) {
            return true;
        }
        if !or_other {
            self.check.missing(place, Kind::Field, first, name);
        }
        false
    }

    fn button(&self, node: Node<'_, '_>, place: Place<'v>, models: &[String]) {
        let (Some(name), Some(first)) = (node.attribute("name"), models.first()) else { return };
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
        // The element that an extension holds on to is the view's own affair.
        if node.attribute("type") != Some("object") || !is_name || node.has_attribute("position") {
            return;
        }
        self.check.sink.checked();
        if models.iter().all(|model| self.check.world.member(model, name, false) == Member::Missing) {
            self.check.missing(place, Kind::Method, first, name);
        }
    }

    /// A kanban's templates: `record.name.raw_value`.
    fn client(&self, node: Node<'_, '_>, models: &[String]) {
        for element in node.descendants().filter(Node::is_element) {
            let place = self.place(element);
            self.shared(element, place);
            match element.tag_name().name() {
                "field" => self.field(element, place, models),
                "button" | "a" => self.button(element, place, models),
                _ => {}
            }
        }
    }

    fn qweb(&self, node: Node<'_, '_>, known: &HashMap<String, Type>, depth: usize) {
        if depth > 100 {
            return;
        }
        let place = self.place(node);
        self.shared(node, place);
        if let Some(id) = node.attribute("t-call").filter(|id| id.contains('.') && !id.contains("{{") && !id.contains('#')) {
            self.check.external_id(place, id, Kind::Template);
        }
        let mut inner = known.clone();
        let run = |text: &str, known: &HashMap<String, Type>| python::expression(&self.check, place, text, known.clone());
        if let (Some(list), Some(name)) = (node.attribute("t-foreach"), node.attribute("t-as")) {
            let of = run(list, known);
            inner.insert(name.to_owned(), of);
        }
        for attribute in node.attributes() {
            let is_expression = matches!(attribute.name(), "t-field" | "t-esc" | "t-out" | "t-raw" | "t-if" | "t-elif")
                || attribute.name().starts_with("t-att-");
            if is_expression {
                run(attribute.value(), &inner);
            }
        }
        let mut known = inner;
        for child in node.children().filter(Node::is_element) {
            self.qweb(child, &known, depth + 1);
            // What is set holds for what follows.
            if let Some(name) = child.attribute("t-set") {
                let value = child
                    .attribute("t-value")
                    .map_or(Type::Unknown, |value| python::expression(&self.check, self.place(child), value, known.clone()));
                known.insert(name.to_owned(), value);
            }
        }
    }
}
