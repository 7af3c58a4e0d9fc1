//! The few words that stand for a piece where it is embedded: one function per sort, so that what works best is changed in one place.

use super::Source;

/// The most words of a card; embedders read about as many tokens.
const MAX_WORDS: usize = 48;
/// The most words of one part of it.
const MAX_PART: usize = 20;
/// The bytes of one part that are looked at.
const MAX_READ: usize = 600;
/// The most characters of one word.
const MAX_WORD: usize = 40;
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
    let telling = |name: &&str| COMMON.binary_search(name).is_err() && !name.ends_with("Error");
    calls.iter().map(String::as_str).filter(telling)
}

/// `addon: what it is called; what is said of it; …`, names in plain words.
fn card(source: &Source<'_>, names: &[&str], parts: &[&str]) -> String {
    let most = if parts.len() == 1 { MAX_WORDS } else { MAX_PART };
    let words = |text: &str| plain(text, most);
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

/// The first words of a text: prose as it stands, identifiers in their parts.
fn plain(text: &str, most: usize) -> String {
    let text = &text[..text.floor_char_boundary(MAX_READ)];
    let mut plain: Vec<String> = Vec::new();
    for word in text.split_whitespace().take(most) {
        let inner = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let is_name =
            inner.contains(['_', '.', '/']) || inner.chars().zip(inner.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
        if is_name {
            plain.extend(parts_of(inner));
        } else if word.chars().any(char::is_alphanumeric) {
            plain.push(word.trim_end_matches(['.', ';', ':', ',']).chars().take(MAX_WORD).collect());
        }
    }
    plain.truncate(most);
    plain.join(" ")
}

/// The words of an identifier in lower case; digits stay where they are: `l10n`.
fn parts_of(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase()) {
            parts.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.extend(c.to_lowercase());
        }
        before = c;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_is_short_and_plain() {
        let source = Source { module: Some("sale_stock"), path: "", text: "" };
        let calls = ["ensure_one", "_get_qty", "format"].map(str::to_owned);
        let card = function(&source, "sale.order", "_compute_qty", "Count what is delivered.", &calls);
        assert_eq!(card, "sale stock: sale order compute qty; Count what is delivered; get qty");
        assert_eq!(plain("l10n_ro: don't use `HTTPError` (see sale.order).", 20), "l10n ro don't use `HTTPError` (see sale order");
        let long = class(&source, "sale.order", "SaleOrder", &"word ".repeat(500), &vec!["field_name".to_owned(); 500]);
        assert!(long.split(' ').count() <= MAX_WORDS);
        assert!(COMMON.is_sorted());
    }
}
