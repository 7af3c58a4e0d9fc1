//! The term that a domain needs where an Odoo model holds more under its new name.

use tree_sitter::Node;

use super::super::edit::python::{Source, children, field, walk};
use super::super::edit::{Edit, apply};
use super::super::scope::mentions;
use crate::odoo::Addon;

/// Methods whose first argument, or `domain`, is a domain.
const SEARCHES: [&str; 7] = ["search", "search_count", "search_fetch", "search_read", "read_group", "_read_group", "formatted_read_group"];
/// Methods that give the Odoo model itself back.
const SAME: [&str; 6] = ["sudo", "with_context", "with_company", "with_user", "with_env", "with_prefetch"];

/// The text with the term in every domain that the Odoo model is asked with.
pub(super) fn added(text: &str, odoo_model: &str, term: &str) -> Option<String> {
    let source = Source::parse(text)?;
    let searches = source.all("call").filter_map(|call| domain(&source, call, odoo_model)).filter(|domain| !tells(&source, *domain, term));
    apply(text, searches.map(|domain| with_term(&source, domain, term)).collect())
}

/// Whether the addon names the Odoo model nowhere but where it asks it for records, each time in a way that this term adds nothing to.
pub(super) fn is_told(addon: &Addon, odoo_model: &str, term: &str) -> bool {
    let written = odoo_model.replace('.', "_");
    let is_data = |path: &str| [".xml", ".csv"].iter().any(|end| path.ends_with(end));
    let data = addon.files().filter(|(path, _)| is_data(path.as_str())).filter_map(|(path, _)| addon.text(path));
    if data.into_iter().any(|text| mentions(&text.replace('.', "_"), &written) > 0 || text.contains(&format!("model_{written}"))) {
        return false;
    }
    let mut told = 0;
    for (_, text) in addon.texts("py") {
        let Some(source) = Source::parse(text) else { return false };
        let named = source.all("string").filter(|node| source.simple(*node) == Some(odoo_model)).count();
        let asked = source.all("call").filter_map(|call| domain(&source, call, odoo_model)).filter(|domain| tells(&source, *domain, term));
        if asked.count() != named {
            return false;
        }
        told += named;
    }
    told > 0
}

/// Whether a domain asks for one or several values of the field of a term that excludes one, and not for that one.
fn tells(source: &Source<'_>, domain: Node<'_>, term: &str) -> bool {
    let quoted: Vec<&str> = term.split(['\'', '"']).collect();
    let (field, excluded) = (quoted.get(1).copied(), quoted.get(5).copied());
    let terms = if domain.kind() == "list" { children(domain) } else { Vec::new() };
    let joined = terms.iter().any(|term| matches!(source.simple(*term), Some("|" | "!")));
    let asks = |term: &Node<'_>| {
        let parts = if term.kind() == "tuple" { children(*term) } else { Vec::new() };
        let [name, operator, value] = parts.as_slice() else { return false };
        field.is_some()
            && source.simple(*name) == field
            && matches!(source.simple(*operator), Some("=" | "in"))
            && !matches!(source.of(*value), "False" | "None")
            && !walk(*value).any(|node| excluded.is_some() && source.simple(node) == excluded)
    };
    !joined && terms.iter().any(asks)
}

/// The domain of a call that asks the Odoo model for records.
fn domain<'s>(source: &'s Source<'_>, call: Node<'s>, odoo_model: &str) -> Option<Node<'s>> {
    let function = field(call, "function").filter(|function| function.kind() == "attribute")?;
    let asks = SEARCHES.contains(&source.of(field(function, "attribute")?));
    if !asks || !is_of(source, field(function, "object")?, odoo_model) {
        return None;
    }
    let arguments = children(field(call, "arguments")?);
    let named = arguments.iter().find(|argument| field(**argument, "name").is_some_and(|name| source.of(name) == "domain"));
    match named {
        Some(argument) => field(*argument, "value"),
        None => arguments.first().copied().filter(|first| !matches!(first.kind(), "keyword_argument" | "list_splat" | "dictionary_splat")),
    }
}

/// Whether an expression is `env["…"]` of the Odoo model, whatever its user or company.
pub(in crate::rules) fn is_of(source: &Source<'_>, node: Node<'_>, odoo_model: &str) -> bool {
    let mut at = node;
    while at.kind() == "call" {
        let Some(function) = field(at, "function").filter(|function| function.kind() == "attribute") else { return false };
        let is_same = field(function, "attribute").is_some_and(|name| SAME.contains(&source.of(name)));
        let Some(object) = field(function, "object").filter(|_| is_same) else { return false };
        at = object;
    }
    let key = field(at, "subscript").filter(|_| at.kind() == "subscript");
    key.and_then(|key| source.literal(key)).as_deref() == Some(odoo_model)
}

fn with_term(source: &Source<'_>, domain: Node<'_>, term: &str) -> Edit {
    if domain.kind() != "list" {
        let (start, text) = (domain.byte_range(), source.of(domain));
        return Edit::new(start, format!("[{term}] + {text}"));
    }
    let at = domain.start_byte() + 1;
    let gap = if children(domain).is_empty() { "" } else { ", " };
    Edit::new(at..at, format!("{term}{gap}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_where_each_domain_asks_for_the_field() {
        let is_told = |python: &str| is_told(&crate::rules::testing::addon(&[("a.py", python)]), "m.x", "('a', '!=', 'n')");
        for python in ["env['m.x'].search([('b', '=', 1), ('a', '=', c)])\n", "env['m.x'].sudo().search_count([('a', 'in', ['d', 'e'])])\n"]
        {
            assert!(is_told(python), "{python}");
        }
        for python in [
            "env['m.x'].search([('b', '=', 1)])\n",
            "env['m.x'].search([('a', '!=', 1)])\n",
            "env['m.x'].search([('a', '=', False)])\n",
            "env['m.x'].search([('a', '=', 'n')])\n",
            "env['m.x'].search(['|', ('b', '=', 1), ('a', '=', 1)])\n",
            "env['m.x'].search([('a', '=', 1)])\nenv['m.x'].browse(1)\n",
            "x = 1\n",
        ] {
            assert!(!is_told(python), "{python}");
        }
    }

    #[test]
    fn term_joins_the_domains_of_the_odoo_model() {
        let term = "('a', '!=', False)";
        for (before, after) in [
            ("self.env['m.x'].search([])\n", "self.env['m.x'].search([('a', '!=', False)])\n"),
            ("env['m.x'].sudo().search_count([('b', '=', 1)])\n", "env['m.x'].sudo().search_count([('a', '!=', False), ('b', '=', 1)])\n"),
            ("env['m.x']._read_group(domain=d)\n", "env['m.x']._read_group(domain=[('a', '!=', False)] + d)\n"),
        ] {
            assert_eq!(added(before, "m.x", term).as_deref(), Some(after));
        }
        for left in ["env['m.y'].search([])\n", "env['m.x'].browse([1])\n", "env['m.x'].search(*d)\n"] {
            assert_eq!(added(left, "m.x", term), None);
        }
    }
}
