//! `<record>`, and the short forms of some.

use roxmltree::Node;
use serde_json::{Map, Value, json};

use super::super::csv::dotted;
use super::super::lines::short as line_of;
use super::super::{Chunk, FileChunks, Kind, Symbol, Zone, context};
use super::{Data, Inside, elements, refs};

/// A `<record>`.
pub(super) fn record(data: &Data<'_>, node: Node<'_, '_>, found: &mut FileChunks) {
    let Some(odoo_model) = node.attribute("model") else { return };
    match odoo_model {
        "ir.ui.view" => view(data, node, found),
        "ir.rule" => rule(data, node, found),
        "ir.model.access" => access(data, node, found),
        _ => {
            let field = |name: &str| field(node, name);
            let target = match odoo_model {
                "ir.ui.menu" => field("action").and_then(|action| action.attribute("ref")).map(|id| data.source.full_id(id)),
                "ir.actions.act_window" => field("res_model").map(value),
                "ir.actions.report" | "mail.template" | "ir.filters" => {
                    field("model").or_else(|| field("model_id")).map(|field| match field.attribute("ref") {
                        Some(id) => dotted(id),
                        None => value(field),
                    })
                }
                "ir.actions.server" | "ir.cron" | "base.automation" => {
                    field("model_id").and_then(|field| field.attribute("ref")).map(dotted)
                }
                _ => None,
            };
            let label = field("name").map(value).unwrap_or_default();
            plain(data, node, odoo_model, target, &label, found);
        }
    }
}

/// `<menuitem>`, `<report>` and their like.
pub(super) fn short(data: &Data<'_>, node: Node<'_, '_>, odoo_model: &str, found: &mut FileChunks) {
    let attribute = |name: &str| node.attribute(name).map(str::to_owned);
    let target = match odoo_model {
        "ir.ui.menu" => node.attribute("action").map(|id| data.source.full_id(id)),
        "ir.actions.act_window" => attribute("res_model"),
        "ir.actions.report" => attribute("model"),
        _ => None,
    };
    plain(data, node, odoo_model, target, node.attribute("name").or(node.attribute("string")).unwrap_or_default(), found);
}

fn plain(data: &Data<'_>, node: Node<'_, '_>, odoo_model: &str, target: Option<String>, label: &str, found: &mut FileChunks) {
    let id = id(data, node);
    let said = if label.is_empty() { id.clone() } else { line_of(label, 100) };
    let detail = (!label.is_empty()).then(|| json!({ "label": line_of(label, 100) }));
    let chunk = piece(data, node, Kind::Record, &id, odoo_model, format!("{odoo_model}: {said}"));
    define(chunk, "record", target, detail, found);
}

fn view(data: &Data<'_>, node: Node<'_, '_>, found: &mut FileChunks) {
    let shown = field(node, "model").map(value).unwrap_or_default();
    let inherit = field(node, "inherit_id").and_then(|field| field.attribute("ref")).map(|id| data.source.full_id(id));
    let id = id(data, node);
    let mut detail = Map::new();
    for name in ["mode", "priority"] {
        if let Some(field) = field(node, name) {
            detail.insert(name.to_owned(), Value::String(field.attribute("eval").map_or_else(|| value(field), str::to_owned)));
        }
    }
    if let Some(arch) = field(node, "arch").and_then(|arch| elements(arch).next()).filter(|_| inherit.is_none()) {
        detail.insert("type".to_owned(), arch.tag_name().name().into());
    }
    let title = if shown.is_empty() { format!("view {id}") } else { format!("view {id} of {shown}") };
    let chunk = piece(data, node, Kind::View, &id, &shown, title);
    define(chunk, "view", inherit, Some(detail).filter(|detail| !detail.is_empty()).map(Value::Object), found);
}

fn rule(data: &Data<'_>, node: Node<'_, '_>, found: &mut FileChunks) {
    let about = field(node, "model_id").map(reference).unwrap_or_default();
    let groups: Vec<String> = field(node, "groups").map(|field| refs(field.attribute("eval").unwrap_or_default())).unwrap_or_default();
    let groups: Vec<String> = groups.iter().map(|id| data.source.full_id(id)).collect();
    let label = field(node, "name").map(value).unwrap_or_default();
    let id = id(data, node);
    let odoo_model = dotted(&about);
    let chunk = piece(data, node, Kind::Rule, &id, &odoo_model, format!("record rule of {odoo_model}: {}", line_of(&label, 100)));
    let domain = field(node, "domain_force").map(value).unwrap_or_default();
    let detail = json!({
        "model_id": about, "odoo_models": candidates(&about), "label": label, "groups": groups, "domain": line_of(&domain, 500)
    });
    define(chunk, "rule", groups.first().cloned(), Some(detail), found);
}

fn access(data: &Data<'_>, node: Node<'_, '_>, found: &mut FileChunks) {
    let about = field(node, "model_id").map(reference).unwrap_or_default();
    let group = field(node, "group_id").map(reference).filter(|group| !group.is_empty()).map(|id| data.source.full_id(&id));
    let odoo_model = dotted(&about);
    let symbol = about.rsplit('.').next().unwrap_or_default();
    let right =
        |name: &&str| field(node, name).is_some_and(|field| matches!(field.attribute("eval").unwrap_or(&value(field)), "1" | "True"));
    let rights: String =
        ["perm_read", "perm_write", "perm_create", "perm_unlink"].iter().filter(|name| right(name)).map(|name| &name[5..6]).collect();
    let mut chunk = piece(data, node, Kind::Access, &id(data, node), &odoo_model, format!("access to {odoo_model}"));
    let name = std::mem::replace(&mut chunk.symbol, symbol.to_owned());
    let (line, odoo_model) = (chunk.start_line, chunk.odoo_model.clone());
    let detail = Some(json!({ "model_id": symbol, "odoo_models": candidates(&about), "rights": rights }));
    if let Some(place) = found.add(chunk) {
        found.define(Symbol { kind: "access", odoo_model, name, target: group, line, detail, chunk: place });
    }
}

/// The Odoo models that an external id of one may mean.
fn candidates(model_id: &str) -> [String; 2] {
    let name = model_id.rsplit('.').next().unwrap_or(model_id);
    [dotted(model_id), name.strip_prefix("model_").unwrap_or(name).to_owned()]
}

fn define(chunk: Chunk, kind: &'static str, target: Option<String>, detail: Option<Value>, found: &mut FileChunks) {
    let (name, line, odoo_model) = (chunk.symbol.clone(), chunk.start_line, chunk.odoo_model.clone());
    let Some(place) = found.add(chunk) else { return };
    if !name.is_empty() {
        found.define(Symbol { kind, odoo_model, name, target, line, detail, chunk: place });
    }
}

fn piece(data: &Data<'_>, node: Node<'_, '_>, kind: Kind, id: &str, odoo_model: &str, title: String) -> Chunk {
    let (start_line, end_line, text) = data.place(node);
    let inside = Inside::of(node);
    Chunk {
        kind,
        symbol: id.to_owned(),
        odoo_model: (!odoo_model.is_empty()).then(|| odoo_model.to_owned()),
        lang: None,
        start_line,
        end_line,
        title,
        zones: vec![
            (Zone::Name, id.rsplit('.').next().unwrap_or_default().to_owned()),
            (Zone::Owner, odoo_model.to_owned()),
            (Zone::Members, inside.members.join(" ")),
            (Zone::Prose, inside.prose.join("\n")),
            (Zone::Body, text.clone()),
            context(data.source),
        ],
        card: None,
        text,
    }
}

/// The full external id; empty where the element has none.
fn id(data: &Data<'_>, node: Node<'_, '_>) -> String {
    node.attribute("id").map(|id| data.source.full_id(id)).unwrap_or_default()
}

fn field<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name("field") && child.attribute("name") == Some(name))
}

fn value(field: Node<'_, '_>) -> String {
    field.text().unwrap_or_default().trim().to_owned()
}

/// What a field refers to, by `ref` or in its `eval`.
fn reference(field: Node<'_, '_>) -> String {
    let named = field.attribute("ref").map(str::to_owned);
    named.or_else(|| refs(field.attribute("eval").unwrap_or_default()).into_iter().next()).unwrap_or_default()
}
