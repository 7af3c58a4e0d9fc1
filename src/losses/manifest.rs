//! The facts that a manifest states.

use tree_sitter::Node;

use super::expr::{line_of, parse, text_of};
use super::facts::{Fact, Facts, Kind, Role};
use super::known::Known;
use crate::domain::LossKind;
use crate::odoo::Addon;
use crate::rules::edit::python::{Source, children, field, walk};

/// What only describes the addon.
const DESCRIPTIVE: [&str; 17] = [
    "name",
    "summary",
    "description",
    "author",
    "authors",
    "website",
    "version",
    "license",
    "category",
    "maintainers",
    "images",
    "support",
    "price",
    "currency",
    "live_test_url",
    "contributors",
    "development_status",
];

/// Reads a manifest; `None` if it is no Python.
pub(super) fn facts(path: &str, text: &str, addon: &Addon, depends: &Known<'_>, is_before: bool) -> Option<Facts> {
    let source = parse(text)?;
    let dict = walk(source.root()).find(|node| node.kind() == "dictionary")?;
    let mut found = Facts::default();
    let mut is_off = false;
    for pair in children(dict).into_iter().filter(|node| node.kind() == "pair") {
        let (Some(key), Some(value)) = (field(pair, "key"), field(pair, "value")) else { continue };
        let key = text_of(&source, key);
        if DESCRIPTIVE.contains(&key.as_str()) {
            continue;
        }
        if !matches!(value.kind(), "list" | "tuple" | "dictionary") {
            let content = source.of(value).trim_matches(['"', '\'']).to_owned();
            // An addon that becomes installable loses nothing; one that no longer is loses its default below.
            let says_nothing = matches!((key.as_str(), content.as_str()), ("application" | "auto_install" | "installable", "False"));
            is_off |= key == "installable" && content == "False";
            if !says_nothing {
                found.facts.push(fact(path, key.clone(), content, pair, format!("'{key}' of the manifest")));
            }
            continue;
        }
        entries(&source, value, &mut |name, node| {
            let is_file = matches!(key.as_str(), "data" | "demo" | "assets" | "init_xml" | "update_xml" | "css" | "js" | "qweb");
            let is_lost = if is_file {
                !is_before || exists(addon, &name)
            } else if key == "depends" {
                // An addon that one of the others brings along is still there.
                !is_before || depends.index.module(&name).is_some() || !depends.index.knows_core() || depends.index.is_partial()
            } else {
                true
            };
            if is_lost {
                let mut fact = fact(path, name.clone(), key.clone(), node, format!("'{name}' in '{key}' of the manifest"));
                (fact.kind, fact.role) = (Kind::Entries, Role::Text);
                found.facts.push(fact);
            }
        });
    }
    if !is_off && !found.facts.iter().any(|fact| fact.key == "installable") {
        let subject = "'installable' of the manifest".to_owned();
        found.facts.push(fact(path, "installable".to_owned(), "True".to_owned(), dict, subject));
    }
    Some(found)
}

fn fact(path: &str, key: String, content: String, node: Node<'_>, subject: String) -> Fact {
    Fact {
        kind: Kind::Statement,
        key,
        role: Role::Key,
        model: None,
        unit: path.to_owned(),
        content,
        items: Vec::new(),
        variables: 0,
        path: path.to_owned(),
        line: line_of(node),
        loss: LossKind::Manifest,
        subject,
    }
}

fn entries<'n>(source: &Source<'_>, value: Node<'n>, push: &mut dyn FnMut(String, Node<'n>)) {
    // Lists by bundle or by kind of library: their strings; the names of the lists do not matter.
    for node in walk(value).filter(|node| node.kind() == "string") {
        let is_key = node.parent().is_some_and(|parent| parent.kind() == "pair" && field(parent, "key") == Some(node));
        let joined = node.parent().is_some_and(|parent| parent.kind() == "concatenated_string");
        if !is_key && !joined {
            push(text_of(source, node), node);
        }
    }
    for node in walk(value).filter(|node| node.kind() == "concatenated_string") {
        push(text_of(source, node), node);
    }
}

/// Whether a file that a manifest names is there. Of other addons and of patterns that is not known.
fn exists(addon: &Addon, name: &str) -> bool {
    let prefix = format!("{}/", addon.name());
    let within = name.strip_prefix(&prefix).or_else(|| name.strip_prefix('/').and_then(|name| name.strip_prefix(prefix.as_str())));
    if name.contains('*') {
        return true;
    }
    let has = |within: &str| addon.path(within).is_some_and(|path| addon.files().any(|(known, _)| *known == path));
    has(within.unwrap_or(name)) || (within.is_none() && name.contains("static/") && !name.starts_with("static/"))
}
