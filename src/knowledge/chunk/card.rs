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
/// The most words for what an addon brings; with the rest of their line about as many as embedders were trained on.
const MAX_BROUGHT: usize = 60;
/// The most fields of one piece that have a line of their own.
const MAX_FIELDS: usize = 250;
/// Names that are everywhere, and so tell nothing; sorted.
const COMMON: &[&str] = &[
    "_",
    "all",
    "any",
    "append",
    "bool",
    "browse",
    "company",
    "company_id",
    "context",
    "copy",
    "create",
    "dict",
    "ensure_one",
    "enumerate",
    "env",
    "exists",
    "extend",
    "filtered",
    "float",
    "format",
    "get",
    "getattr",
    "hasattr",
    "id",
    "ids",
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
    "name",
    "new",
    "next",
    "pop",
    "print",
    "range",
    "ref",
    "replace",
    "reversed",
    "round",
    "search",
    "search_count",
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
    "unlink",
    "update",
    "user",
    "values",
    "with_company",
    "with_context",
    "write",
    "zip",
];

/// What of a function tells what it does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Does<'a> {
    /// What is called, in reading order.
    pub(super) calls: &'a [String],
    /// What is read or written of records.
    pub(super) attributes: &'a [String],
    /// Short texts that stand in it.
    pub(super) strings: &'a [String],
}

/// A method or a function: `what it is called of the Odoo model in addon: what is said of it, what it calls, reads and says`.
pub(super) fn function(source: &Source<'_>, odoo_model: &str, name: &str, prose: &str, does: Does<'_>) -> String {
    let calls: Vec<&str> = telling(does.calls).take(5).collect();
    let attributes: Vec<&str> = telling(does.attributes).filter(|name| !calls.contains(name)).take(5).collect();
    let strings: Vec<&str> = does.strings.iter().take(2).map(String::as_str).collect();
    let mut card = plain(name, MAX_PART);
    if !odoo_model.is_empty() {
        card.push_str(" of ");
        card.push_str(&plain(odoo_model, MAX_PART));
    }
    if let Some(module) = source.module {
        card.push_str(" in ");
        card.push_str(&plain(module, MAX_PART));
    }
    for (mark, part) in [(": ", prose), (", ", &calls.join(" ")), (", ", &attributes.join(" ")), (". ", &strings.join(" "))] {
        let part = plain(part, MAX_PART);
        if !part.is_empty() {
            card.push_str(mark);
            card.push_str(&part);
        }
    }
    bounded(card)
}

/// A field, for its line in the card of its class.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    pub(super) label: &'a str,
    pub(super) help: &'a str,
}

/// The head of a class, or a run of its fields: a line for the class, and one for each field, for what is asked for is mostly one of them.
pub(super) fn class(source: &Source<'_>, odoo_model: &str, name: &str, prose: &str, fields: &[Field<'_>]) -> String {
    let owner = if odoo_model.is_empty() { name } else { odoo_model };
    let names: Vec<&str> = fields.iter().map(|field| if field.label.is_empty() { field.name } else { field.label }).collect();
    let mut lines = vec![card(source, &[owner], &[prose, &names.join(" ")])];
    let of = [" of ", &plain(owner, MAX_PART), ", ", &plain(source.module.unwrap_or_default(), MAX_PART)].concat();
    for field in fields.iter().take(MAX_FIELDS) {
        let mut line = if field.label.is_empty() { String::new() } else { format!("{}. ", plain(field.label, MAX_PART)) };
        line.push_str(&format!("field {} {}{of}", plain(field.name, MAX_PART), field.kind));
        if !field.help.is_empty() {
            line.push_str(". ");
            line.push_str(&plain(field.help, MAX_PART));
        }
        lines.push(bounded(line));
    }
    lines.join("\n")
}

/// An addon: a line for what is said of it, and one for what it stands on, which [`with_words`] goes on with.
pub(super) fn module(source: &Source<'_>, name: &str, [summary, category, description]: [&str; 3], depends: &str) -> String {
    [card(source, &[name], &[summary, category, description]), card(source, &[name], &[category, depends])].join("\n")
}

/// The card of an addon with the names of what it brings.
pub fn with_words(card: &str, words: &str) -> String {
    let brought = plain(words, MAX_BROUGHT);
    if brought.is_empty() { card.to_owned() } else { format!("{card}; {brought}") }
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
    bounded(card)
}

fn bounded(card: String) -> String {
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
    fn addon_has_a_line_for_what_it_brings() {
        let source = Source { module: Some("sale_extra"), path: "", text: "" };
        let card = module(&source, "Extra Sales", ["More sales", "Sales", ""], "sale sale_stock");
        let expected = "sale extra: Extra Sales; More sales; Sales\nsale extra: Extra Sales; Sales; sale sale stock";
        assert_eq!(card, expected);
        assert_eq!(with_words(&card, "gift.card\nGift Card"), format!("{expected}; gift card Gift Card"));
        assert_eq!(with_words(&card, ""), expected);
        let long = with_words(&card, &"gift_card ".repeat(5_000));
        assert!(long.lines().all(|line| line.split(' ').count() <= MAX_WORDS + MAX_BROUGHT));
    }

    #[test]
    fn card_is_short_and_plain() {
        let source = Source { module: Some("sale_stock"), path: "", text: "" };
        let calls = ["ensure_one", "_get_qty", "format"].map(str::to_owned);
        let does = Does { calls: &calls, attributes: &["partner_id".to_owned()], strings: &["Done".to_owned()] };
        let card = function(&source, "sale.order", "_compute_qty", "Count what is delivered.", does);
        assert_eq!(card, "compute qty of sale order in sale stock: Count what is delivered, get qty, partner id. Done");
        assert_eq!(plain("l10n_ro: don't use `HTTPError` (see sale.order).", 20), "l10n ro don't use `HTTPError` (see sale order");
        let fields: Vec<Field<'_>> = (0..500).map(|_| Field { name: "vat_id", kind: "Char", label: "Tax ID", help: "" }).collect();
        let long = class(&source, "sale.order", "SaleOrder", &"word ".repeat(500), &fields);
        assert!(long.lines().all(|line| line.split(' ').count() <= MAX_WORDS) && long.lines().count() == MAX_FIELDS + 1);
        assert_eq!(long.lines().nth(1), Some("Tax ID. field vat id Char of sale order, sale stock"));
        assert!(COMMON.is_sorted());
    }
}
