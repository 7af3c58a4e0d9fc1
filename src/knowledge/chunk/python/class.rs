//! A class: its attributes and fields in runs between its methods, and its methods.

use serde_json::{Map, Value, json};
use tree_sitter::Node;

use super::super::{Chunk, FileChunks, Kind, Symbol, Zone, card, context};
use super::function::Owner;
use super::inside::Inside;
use super::{MAX_RUN, Module, messages};
use crate::odoo::source::python::{FieldHead, Head, definition};

/// The most values of a selection that are kept.
const MAX_VALUES: usize = 60;

/// Statements of a class that stand together.
struct Run<'n> {
    nodes: Vec<Node<'n>>,
    first: u32,
    last: u32,
}

impl Module<'_> {
    /// A class with its decorators.
    pub(super) fn class(&self, whole: Node<'_>, class: Node<'_>, found: &mut FileChunks) {
        let name = class.child_by_field_name("name").map(|name| self.file.of(name)).unwrap_or_default();
        let head = self.file.head(class);
        let owner = Owner { class: name, odoo_model: head.odoo_model() };
        let Some(body) = class.child_by_field_name("body") else { return };
        // The run with the line of the class is there even if nothing else is.
        let line = self.last(class.child_by_field_name("superclasses").unwrap_or(class.child_by_field_name("name").unwrap_or(class)));
        let mut run = Run { nodes: Vec::new(), first: self.first(whole), last: line };
        let mut is_first = true;
        for statement in body.named_children(&mut body.walk()) {
            let inner = definition(statement).filter(|inner| inner.kind() == "function_definition");
            let too_long = self.last(statement) >= run.first.saturating_add(MAX_RUN) && !run.nodes.is_empty();
            if inner.is_some() || too_long {
                self.run(class, &owner, &head, std::mem::replace(&mut run, Run { nodes: Vec::new(), first: 0, last: 0 }), is_first, found);
                is_first = false;
            }
            if let Some(inner) = inner {
                self.function(statement, inner, Some(&owner), found);
            } else {
                if run.first == 0 {
                    run.first = self.first(statement);
                }
                // Comments that stand before a method are rather its own.
                if statement.kind() != "comment" || self.first(statement) == run.last {
                    run.last = run.last.max(self.last(statement));
                }
                run.nodes.push(statement);
            }
        }
        self.run(class, &owner, &head, run, is_first, found);
    }

    fn run(&self, class: Node<'_>, owner: &Owner<'_>, head: &Head, run: Run<'_>, is_first: bool, found: &mut FileChunks) {
        let fields: Vec<(&str, FieldHead)> = run
            .nodes
            .iter()
            .filter_map(|node| {
                let (name, value) = self.file.assigned(*node)?;
                Some((name, self.file.field(value).filter(|_| value.kind() == "call")?))
            })
            .collect();
        let others: Vec<&str> = run.nodes.iter().filter_map(|node| Some(self.file.assigned(*node)?.0)).collect();
        if !is_first && others.is_empty() {
            return;
        }
        let mut inside = Inside::of(self.file, class, &run.nodes);
        if !is_first {
            inside.docstring.clear();
        }
        messages::constraints(self.file, &run.nodes, &mut inside.messages);
        let Run { first: start_line, last: end_line, .. } = run;
        let text = self.lines.text(start_line, end_line);
        let helps: Vec<&str> = fields.iter().filter_map(|(_, field)| field.help.as_deref()).collect();
        let description = head.description.as_deref().filter(|_| is_first).unwrap_or_default();
        let prose = [description, &inside.prose(), &helps.join("\n")].join("\n");
        let odoo_model = owner.odoo_model.map(str::to_owned);
        let said = if description.is_empty() { inside.docstring.trim().to_owned() } else { description.to_owned() };
        let lines: Vec<card::Field<'_>> = fields
            .iter()
            .map(|(name, field)| card::Field {
                name,
                kind: &field.facts.kind,
                label: field.label.as_deref().unwrap_or_default(),
                help: field.help.as_deref().unwrap_or_default(),
            })
            .collect();
        let (from, to) = (run.nodes.first().map_or(0, Node::start_byte), run.nodes.last().map_or(0, Node::end_byte));
        let head_line = if is_first { self.lines.text(start_line, start_line) } else { "" };
        let chunk = Chunk {
            kind: Kind::Class,
            symbol: owner.class.to_owned(),
            title: owner
                .odoo_model
                .map_or_else(|| format!("class {}", owner.class), |odoo_model| format!("class {} of {odoo_model}", owner.class)),
            lang: None,
            start_line,
            end_line,
            text: text.to_owned(),
            zones: vec![
                (Zone::Name, owner.class.to_owned()),
                (Zone::Owner, owner.odoo_model.unwrap_or(owner.class).to_owned()),
                (Zone::Members, members(&others, &fields)),
                (Zone::Prose, prose),
                (Zone::Body, format!("{head_line}\n{}", inside.code(self.source.text, from, to))),
                context(self.source),
            ],
            card: Some(card::class(self.source, owner.odoo_model.unwrap_or_default(), owner.class, &said, &lines)),
            odoo_model,
        };
        let base = chunk.clone();
        let Some(place) = found.add(chunk) else { return };
        if is_first {
            self.symbols(class, owner, head, place, found);
        }
        for (name, field) in &fields {
            found.define(symbol(owner, name, field, place));
        }
        for message in &inside.messages {
            messages::add(self.source, &base, message, found);
        }
    }

    fn symbols(&self, class: Node<'_>, owner: &Owner<'_>, head: &Head, place: usize, found: &mut FileChunks) {
        let symbol = |kind, name: &str, target: Option<&str>, detail| Symbol {
            kind,
            odoo_model: owner.odoo_model.map(str::to_owned),
            name: name.to_owned(),
            target: target.map(str::to_owned),
            line: self.first(class),
            detail,
            chunk: place,
        };
        let mut detail = Map::new();
        if let Some(odoo_model) = owner.odoo_model {
            detail.insert("defines".to_owned(), json!(!head.inherit.iter().any(|parent| parent == odoo_model)));
            detail.insert("inherit".to_owned(), json!(head.inherit));
        }
        let bases = class.child_by_field_name("superclasses").map(|bases| self.file.of(bases)).unwrap_or_default();
        let texts = [("table", head.table.as_deref()), ("description", head.description.as_deref()), ("bases", Some(bases))];
        for (key, value) in texts {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                detail.insert(key.to_owned(), super::super::lines::short(value.trim_matches(['(', ')']), 200).into());
            }
        }
        found.define(symbol("class", owner.class, None, Some(Value::Object(detail))));
        for parent in head.inherit.iter().filter(|parent| Some(parent.as_str()) != owner.odoo_model) {
            found.define(symbol("inherit", owner.class, Some(parent), None));
        }
        for (parent, field) in &head.delegates {
            found.define(symbol("delegate", field, Some(parent), None));
        }
    }
}

/// Names, labels and values, for the words of a run.
fn members(others: &[&str], fields: &[(&str, FieldHead)]) -> String {
    let mut words: Vec<&str> = others.iter().copied().filter(|name| !name.starts_with('_')).collect();
    for (_, field) in fields {
        words.extend(field.label.as_deref());
        words.extend(field.facts.comodel.as_deref());
        words.extend(field.selection.iter().take(MAX_VALUES).flat_map(|(value, label)| [value.as_str(), label.as_str()]));
    }
    words.join(" ")
}

fn symbol(owner: &Owner<'_>, name: &str, field: &FieldHead, place: usize) -> Symbol {
    let facts = &field.facts;
    let mut detail = Map::new();
    detail.insert("kind".to_owned(), facts.kind.as_str().into());
    let texts = [("compute", &facts.compute), ("related", &facts.related), ("inverse", &facts.inverse), ("label", &field.label)];
    for (key, value) in texts {
        if let Some(value) = value {
            detail.insert(key.to_owned(), super::super::lines::short(value, 200).into());
        }
    }
    if facts.required {
        detail.insert("required".to_owned(), true.into());
    }
    if !field.selection.is_empty() {
        detail.insert("selection".to_owned(), field.selection.iter().take(MAX_VALUES).map(|(value, _)| value.as_str()).collect());
    }
    Symbol {
        kind: "field",
        odoo_model: owner.odoo_model.map(str::to_owned),
        name: name.to_owned(),
        target: facts.comodel.clone(),
        line: facts.line,
        detail: Some(Value::Object(detail)),
        chunk: place,
    }
}
