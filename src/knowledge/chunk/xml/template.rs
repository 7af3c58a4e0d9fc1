//! `<template>`, and the named templates of the browser.

use roxmltree::Node;

use super::super::{Chunk, FileChunks, Kind, Symbol, Zone, context};
use super::{Data, Inside};

/// A template with what it inherits from and calls.
pub(super) fn template(data: &Data<'_>, node: Node<'_, '_>, found: &mut FileChunks) {
    // The browser's templates are called `addon.Name` already.
    let id = node.attribute("t-name").map(str::to_owned).or_else(|| node.attribute("id").map(|id| data.source.full_id(id)));
    let Some(id) = id else { return };
    let inherit = node.attribute("t-inherit").or_else(|| node.attribute("inherit_id")).map(|id| data.source.full_id(id));
    let (start_line, end_line, text) = data.place(node);
    let inside = Inside::of(node);
    let chunk = Chunk {
        kind: Kind::Template,
        symbol: id.clone(),
        odoo_model: None,
        lang: None,
        start_line,
        end_line,
        title: format!("template {id}"),
        zones: vec![
            (Zone::Name, format!("{} {}", id.rsplit('.').next().unwrap_or_default(), node.attribute("name").unwrap_or_default())),
            (Zone::Members, inside.members.join(" ")),
            (Zone::Prose, inside.prose.join("\n")),
            (Zone::Body, text.clone()),
            context(data.source),
        ],
        card: None,
        text,
    };
    let Some(place) = found.add(chunk) else { return };
    let symbol = |kind, target, line| Symbol { kind, odoo_model: None, name: id.clone(), target, line, detail: None, chunk: place };
    found.define(symbol("template", inherit, start_line));
    let mut called = Vec::new();
    for (node, target) in node.descendants().filter_map(|node| Some((node, node.attribute("t-call")?))) {
        // A name that is only known when it runs leads nowhere.
        if !target.contains(['{', '#']) && !called.contains(&target) {
            called.push(target);
            found.define(symbol("calls", Some(data.source.full_id(target)), data.lines.at(data.before + node.range().start)));
        }
    }
}
