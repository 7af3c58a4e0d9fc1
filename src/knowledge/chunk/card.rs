//! The few words that stand for a piece where it is embedded: one function per sort, so that what works best is changed in one place.

use super::super::lexical;
use super::Source;

/// The most words of a card; embedders read about as many tokens.
const MAX_WORDS: usize = 48;
/// The most words of one part of it.
const MAX_PART: usize = 20;
/// Calls that are everywhere, and so tell nothing; sorted.
const COMMON: &[&str] = &[
    "_",
    "all",
    "any",
    "append",
    "bool",
    "browse",
    "dict",
    "ensure_one",
    "enumerate",
    "extend",
    "filtered",
    "float",
    "format",
    "get",
    "getattr",
    "hasattr",
    "int",
    "isinstance",
    "items",
    "iter",
    "join",
    "keys",
    "len",
    "list",
    "map",
    "mapped",
    "max",
    "min",
    "next",
    "pop",
    "print",
    "range",
    "replace",
    "reversed",
    "round",
    "set",
    "setattr",
    "setdefault",
    "sorted",
    "split",
    "str",
    "strip",
    "sudo",
    "sum",
    "super",
    "tuple",
    "type",
    "update",
    "values",
    "with_context",
    "zip",
];

/// A method or a function.
pub(super) fn function(source: &Source<'_>, odoo_model: &str, name: &str, prose: &str, calls: &[String]) -> String {
    let calls = telling(calls).take(6).collect::<Vec<_>>().join(" ");
    card(source, &[odoo_model, name], &[prose, &calls])
}

/// The head of a class, or a run of its fields.
pub(super) fn class(source: &Source<'_>, odoo_model: &str, name: &str, prose: &str, fields: &[String]) -> String {
    let owner = if odoo_model.is_empty() { name } else { odoo_model };
    card(source, &[owner], &[prose, &fields.join(" ")])
}

/// An addon.
pub(super) fn module(source: &Source<'_>, name: &str, summary: &str, category: &str, description: &str) -> String {
    card(source, &[name], &[summary, category, description])
}

/// A section of prose.
pub(super) fn section(source: &Source<'_>, title: &str, prose: &str) -> String {
    card(source, &[title], &[prose])
}

/// The calls that tell what a function does.
pub(super) fn telling(calls: &[String]) -> impl Iterator<Item = &str> {
    calls.iter().map(String::as_str).filter(|name| COMMON.binary_search(name).is_err())
}

/// `addon: what it is called; what is said of it; …`, everything in plain words.
fn card(source: &Source<'_>, names: &[&str], parts: &[&str]) -> String {
    let words = |text: &str| plain(text, if parts.len() == 1 { MAX_WORDS } else { MAX_PART });
    let names: Vec<String> = names.iter().map(|name| words(name)).filter(|name| !name.is_empty()).collect();
    let mut card = source.module.map(|module| format!("{}: ", words(module))).unwrap_or_default();
    card.push_str(&names.join(" "));
    for part in parts.iter().map(|part| words(part)).filter(|part| !part.is_empty()) {
        card.push_str("; ");
        card.push_str(&part);
    }
    match card.match_indices(' ').nth(MAX_WORDS - 1) {
        Some((end, _)) => card[..end].to_owned(),
        None => card,
    }
}

fn plain(text: &str, most: usize) -> String {
    let text = &text[..text.floor_char_boundary(600)];
    lexical::words(text).into_iter().take(most).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_is_short_and_plain() {
        let source = Source { module: Some("sale_stock"), path: "", text: "" };
        let calls = ["ensure_one", "_get_qty", "format"].map(str::to_owned);
        let card = function(&source, "sale.order", "_compute_qty", "Count what is delivered.", &calls);
        assert_eq!(card, "sale stock: sale order compute qty; count what is delivered; get qty");
        let long = class(&source, "sale.order", "SaleOrder", &"word ".repeat(500), &vec!["field_name".to_owned(); 500]);
        assert!(long.split(' ').count() <= MAX_WORDS);
        assert!(COMMON.is_sorted());
    }
}
