//! A method or function.

use serde_json::json;
use tree_sitter::Node;

use super::super::{Chunk, FileChunks, Kind, Symbol, Zone, card, context};
use super::inside::{Inside, ends};
use super::{Module, messages};
use crate::odoo::source::python::children;

/// The class that a method stands in.
pub(super) struct Owner<'o> {
    pub(super) class: &'o str,
    pub(super) odoo_model: Option<&'o str>,
}

impl Module<'_> {
    /// A function with its decorators.
    pub(super) fn function(&self, whole: Node<'_>, function: Node<'_>, owner: Option<&Owner<'_>>, found: &mut FileChunks) {
        let name = function.child_by_field_name("name").map(|name| self.file.of(name)).unwrap_or_default();
        let mut inside = Inside::of(self.file, function, &[function]);
        let odoo_model = owner.and_then(|owner| owner.odoo_model);
        let class = owner.map(|owner| owner.class);
        let symbol = class.map_or_else(|| name.to_owned(), |class| format!("{class}.{name}"));
        let (start_line, end_line) = (self.first(whole), self.last(whole));
        let chunk = Chunk {
            kind: if owner.is_some() { Kind::Method } else { Kind::Function },
            title: odoo_model.map_or_else(|| symbol.clone(), |odoo_model| format!("{symbol} of {odoo_model}")),
            odoo_model: odoo_model.map(str::to_owned),
            lang: None,
            start_line,
            end_line,
            text: self.lines.text(start_line, end_line).to_owned(),
            zones: vec![
                (Zone::Name, name.to_owned()),
                (Zone::Owner, format!("{} {}", odoo_model.unwrap_or_default(), class.unwrap_or_default())),
                (Zone::Members, self.members(whole, function, &inside)),
                (Zone::Prose, inside.prose()),
                (Zone::Body, inside.code(self.source.text, whole.start_byte(), whole.end_byte())),
                context(self.source),
            ],
            card: Some(card::function(self.source, odoo_model.or(class).unwrap_or_default(), name, about(&inside), inside.does())),
            symbol,
        };
        let base = chunk.clone();
        let Some(place) = found.add(chunk) else { return };
        let kind = if owner.is_some() { "method" } else { "function" };
        found.define(Symbol {
            kind,
            odoo_model: odoo_model.map(str::to_owned),
            name: name.to_owned(),
            target: class.filter(|_| odoo_model.is_none()).map(str::to_owned),
            line: self.first(function),
            detail: owner.map(|_| json!({ "super": inside.calls_super, "returns": returns(function, &inside) })),
            chunk: place,
        });
        for message in &inside.messages {
            messages::add(self.source, &base, message, found);
        }
    }

    /// Arguments, decorators, and what is called.
    fn members(&self, whole: Node<'_>, function: Node<'_>, inside: &Inside) -> String {
        let arguments = function.child_by_field_name("parameters").map(|parameters| self.file.of(parameters)).unwrap_or_default();
        let decorators = children(whole).into_iter().filter(|part| part.kind() == "decorator").map(|part| self.file.of(part));
        std::iter::once(arguments).chain(decorators).chain(card::telling(&inside.calls)).collect::<Vec<_>>().join(" ")
    }
}

/// The first sentence of a docstring; without one, what it says to people.
fn about(inside: &Inside) -> &str {
    let text = inside.docstring.trim();
    let end = text.find(". ").or_else(|| text.find(".\n")).or_else(|| text.find("\n\n")).unwrap_or(text.len());
    let first = text[..end].trim();
    if first.is_empty() { inside.messages.first().map(String::as_str).unwrap_or_default() } else { first }
}

/// Whether it gives a value back: never, always, or only sometimes.
fn returns(function: Node<'_>, inside: &Inside) -> &'static str {
    let (values, bare) = inside.returns;
    let ended = function.child_by_field_name("body").is_some_and(|body| ends(body, 0));
    match (values, bare) {
        _ if inside.yields => "value",
        (0, _) => "none",
        (_, 0) if ended => "value",
        _ => "mixed",
    }
}
