//! Of which Odoo model the record is that a variable of a template stands for.

use std::cell::Cell;

use roxmltree::Node;

use super::super::edit::xml;
use super::super::{Case, scope::Scope};
use super::{Templates, template};

/// How many steps all in all: each looks through the templates.
const MAX_STEPS: u32 = 60;
/// How deep.
const MAX_DEPTH: u32 = 8;

/// The Odoo model of the record that an expression stands for at an element: `doc`, `line.product_id`. `None` unless every step is known.
pub(super) fn odoo_model(case: &Case<'_>, scope: &Scope<'_>, all: &Templates<'_>, at: Node<'_, '_>, expression: &str) -> Option<String> {
    Follow { case, scope, all, left: Cell::new(MAX_STEPS) }.expression(at, expression, MAX_DEPTH)
}

struct Follow<'a> {
    case: &'a Case<'a>,
    scope: &'a Scope<'a>,
    all: &'a Templates<'a>,
    left: Cell<u32>,
}

impl Follow<'_> {
    fn expression(&self, at: Node<'_, '_>, expression: &str, depth: u32) -> Option<String> {
        let mut names = expression.trim().split('.');
        let first = names.next().filter(|name| is_name(name))?;
        let start = self.variable(at, first, depth.checked_sub(1)?)?;
        names.try_fold(start, |odoo_model, name| self.scope.comodel(&odoo_model, name))
    }

    fn variable(&self, at: Node<'_, '_>, name: &str, depth: u32) -> Option<String> {
        self.left.set(self.left.get().checked_sub(1)?);
        if let Some(list) = at.ancestors().skip(1).find(|up| up.attribute("t-as") == Some(name)).or_else(|| own_loop(at, name)) {
            return self.expression(list.parent()?, list.attribute("t-foreach")?, depth);
        }
        let around = template(at)?;
        let mut set = around.descendants().filter(|node| node.attribute("t-set") == Some(name));
        if let Some(node) = set.next() {
            // Set twice it may be two things, and set from itself it says nothing new.
            let value = node.attribute("t-value").filter(|value| value.split('.').next() != Some(name))?;
            return set.next().is_none().then(|| self.expression(node, value, depth)).flatten();
        }
        let key = self.key(around)?;
        if let Some(odoo_model) = self.of_report(&key).filter(|_| name == "docs" || name == "doc") {
            return Some(odoo_model);
        }
        // What is not made here comes from where the template is called; the first step that is known counts only if all agree.
        let calls = self
            .all
            .iter()
            .flat_map(|(_, _, document)| document.descendants())
            .filter(|node| node.attribute("t-call") == Some(key.as_str()));
        let mut found: Vec<String> = calls.map(|call| self.variable(call, name, depth.checked_sub(1)?)).collect::<Option<_>>()?;
        found.sort_unstable();
        found.dedup();
        found.pop().filter(|_| found.is_empty())
    }

    /// The full external id of a template.
    fn key(&self, around: Node<'_, '_>) -> Option<String> {
        let record = if around.has_tag_name("template") { around } else { around.parent_element()? };
        let id = record.attribute("id")?;
        Some(if id.contains('.') { id.to_owned() } else { format!("{}.{id}", self.case.addon.name()) })
    }

    /// The Odoo model of the report that renders this template.
    fn of_report(&self, key: &str) -> Option<String> {
        let value = |record: Node<'_, '_>, name: &str| {
            let field = record.children().find(|node| node.has_tag_name("field") && node.attribute("name") == Some(name));
            field.and_then(|field| field.text()).map(|text| text.trim().to_owned())
        };
        let reports = self.all.iter().flat_map(|(_, _, document)| xml::records(document, "ir.actions.report"));
        let mut found: Vec<String> = reports
            .filter(|report| value(*report, "report_name").as_deref() == Some(key))
            .filter_map(|report| value(report, "model"))
            .collect();
        found.sort_unstable();
        found.dedup();
        found.pop().filter(|_| found.is_empty())
    }
}

/// The element itself, where it repeats itself.
fn own_loop<'d, 'i>(at: Node<'d, 'i>, name: &str) -> Option<Node<'d, 'i>> {
    (at.attribute("t-as") == Some(name)).then_some(at)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic())
        && text.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}
