//! What an addon names of others.

use std::collections::BTreeSet;

use regex::Regex;
use roxmltree::Document;

use super::super::edit::xml;
use super::super::scope::Scope;
use super::{Case, Need};
use crate::odoo::source::Class;

/// What the addon cannot do without and does not have. What may be used where it happens to be there (`self.env`) does not count.
pub(super) fn needs<'a>(case: &Case<'a>, scope: &Scope<'a>) -> Vec<Need<'a>> {
    let mut found: Vec<Need<'a>> = Vec::new();
    let installed = scope.index.installed(scope.module);
    let mut push = |owners: Vec<&'a str>| {
        let need = Need { owners };
        if !need.owners.is_empty() && !need.met(&installed) && !found.contains(&need) {
            found.push(need);
        }
    };
    let classes = scope.index.module(scope.module).into_iter().flat_map(|facts| &facts.classes);
    for name in classes.flat_map(odoo_models).collect::<BTreeSet<_>>() {
        push(scope.index.owners(name));
    }
    for id in ids(case) {
        let Some((module, _)) = id.split_once('.') else { continue };
        let owner = scope.index.modules().map(|(name, _)| name).find(|name| *name == module);
        push(owner.filter(|owner| scope.index.has_id(&id, &scope.index.closure(owner))).into_iter().collect());
    }
    for module in imported(case) {
        push(scope.index.modules().map(|(name, _)| name).filter(|name| *name == module).collect());
    }
    found
}

fn odoo_models(class: &Class) -> Vec<&str> {
    let comodels = class.fields.values().filter_map(|field| field.comodel.as_deref());
    class.inherit.iter().map(String::as_str).chain(class.delegates.keys().map(String::as_str)).chain(comodels).collect()
}

/// The external ids of other addons in data files.
fn ids(case: &Case<'_>) -> BTreeSet<String> {
    let loaded: Vec<String> =
        case.addon.manifest().map(|manifest| manifest.texts("data").into_iter().map(str::to_owned).collect()).unwrap_or_default();
    let mut found = BTreeSet::new();
    for path in loaded {
        let Some(text) = case.addon.path(&path).and_then(|path| case.addon.text(&path)) else { continue };
        match path.rsplit_once('.').map(|(_, extension)| extension) {
            Some("xml") => found.extend(xml::parse(text).map(|document| in_xml(&document)).unwrap_or_default()),
            Some("csv") => found.extend(text.split([',', '\n', '"']).map(str::trim).filter(|cell| is_id(cell)).map(str::to_owned)),
            _ => {}
        }
    }
    found
}

fn in_xml(document: &Document<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let quoted = Regex::new(r"(?:%\(|ref\(\s*['\x22])([a-z]\w*\.\w+)").ok();
    for attribute in document.descendants().flat_map(|node| node.attributes()) {
        match attribute.name() {
            "ref" | "parent" | "action" | "inherit_id" | "groups" | "id" => {
                let names = attribute.value().split(',').map(|name| name.trim().trim_start_matches('!'));
                found.extend(names.filter(|name| is_id(name)).map(str::to_owned));
            }
            _ => {
                let ids = quoted.iter().flat_map(|quoted| quoted.captures_iter(attribute.value()));
                found.extend(ids.filter_map(|id| Some(id.get(1)?.as_str().to_owned())));
            }
        }
    }
    found
}

fn is_id(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    text.split_once('.').is_some_and(|(module, name)| plain(module) && plain(name))
}

/// The addons that are imported from, tests left out.
fn imported(case: &Case<'_>) -> BTreeSet<String> {
    let Ok(pattern) = Regex::new(r"(?m)^(?:from|import) +odoo\.addons\.(\w+)") else { return BTreeSet::new() };
    let texts = case.addon.texts("py").filter(|(path, _)| !path.within_module().starts_with("tests/"));
    texts
        .flat_map(|(_, text)| pattern.captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str().to_owned())).collect::<Vec<_>>())
        .collect()
}
