//! A manifest to its addon.

use serde_json::{Map, Value, json};

use super::lines::{Lines, short};
use super::{Chunk, FileChunks, Kind, ModuleCard, Source, Symbol, Zone, abbreviations, card};
use crate::odoo::Manifest;

/// What of a manifest is kept as it stands, with the name that it is kept under.
const KEPT: &[(&str, &str)] = &[
    ("name", "name"),
    ("version", "version"),
    ("category", "category"),
    ("license", "license"),
    ("author", "author"),
    ("development_status", "maturity"),
    ("website", "website"),
    ("summary", "summary"),
];
/// The most characters of one of them.
const MAX_KEPT: usize = 500;

/// Cuts a manifest up: one piece, and what it depends on.
pub(super) fn cut(source: &Source<'_>, found: &mut FileChunks) {
    let Some(module) = source.module else { return };
    let manifest = Manifest::parse(source.text);
    if let Err(error) = &manifest {
        found.trouble(&error.to_string());
    }
    let manifest = manifest.ok();
    let text = |key: &str| manifest.as_ref().and_then(|manifest| manifest.text(key)).unwrap_or_default();
    let texts = |key: &str| manifest.as_ref().map(|manifest| manifest.texts(key)).unwrap_or_default();
    let lines = Lines::of(source.text);
    let prose = format!("{}\n{}\n{}", text("name"), text("summary"), text("description"));
    let about = [texts("depends").join(" "), text("category").to_owned(), texts("data").join(" ")].join("\n");
    let assets = manifest.as_ref().and_then(|manifest| source.text.get(manifest.value("assets")?)).map(assets).unwrap_or_default();
    let chunk = Chunk {
        kind: Kind::Module,
        symbol: module.to_owned(),
        odoo_model: None,
        lang: None,
        start_line: 1,
        end_line: lines.last(),
        title: short(if text("name").is_empty() { module } else { text("name") }, 100),
        text: lines.text(1, lines.last()).to_owned(),
        zones: vec![
            (Zone::Name, module.to_owned()),
            (Zone::Name, in_one(&[module])),
            (Zone::Prose, prose),
            (Zone::Prose, abbreviations::in_full(module)),
            (Zone::Body, about),
            (Zone::Body, in_one(&texts("depends"))),
            (Zone::Body, assets),
            (Zone::Context, place(text("website")).to_owned()),
        ],
        card: Some(card::module(source, text("name"), ["summary", "category", "description"].map(text), &texts("depends").join(" "))),
    };
    let Some(place) = found.add(chunk) else { return };
    let Some(manifest) = &manifest else { return };
    let mut card = module_card(manifest);
    card.depends.retain(|target| target != module);
    let line = manifest.key("depends").map_or(1, |range| lines.at(range.start));
    for target in &card.depends {
        let (name, target) = (module.to_owned(), Some(target.clone()));
        found.define(Symbol { kind: "depends", odoo_model: None, name, target, line, detail: None, chunk: place });
    }
    found.module = Some(card);
}

/// The repository in the address of one: `OCA/sale-workflow`.
pub fn repository(website: &str) -> Option<&str> {
    let path = ["github.com/", "gitlab.com/"].iter().find_map(|host| website.split_once(host)).map(|(_, path)| path)?;
    let end = path.match_indices('/').nth(1).map_or(path.len(), |(end, _)| end);
    path[..end].split_once('/').filter(|(owner, name)| !owner.is_empty() && !name.is_empty()).map(|_| &path[..end])
}

/// What the address of an addon says of it: the name of its repository, or the path to its page.
fn place(website: &str) -> &str {
    let path = || website.split_once("://").map_or(website, |(_, rest)| rest).split_once('/').map_or("", |(_, path)| path);
    repository(website).and_then(|repository| repository.split_once('/')).map_or_else(path, |(_, name)| name)
}

/// Names of several words in one word, as they are where the text was formatted: `sale_stock` becomes `salestock`.
fn in_one(names: &[&str]) -> String {
    names.iter().filter(|name| name.contains('_')).map(|name| name.replace('_', "")).collect::<Vec<_>>().join(" ")
}

/// The files under `assets`, without the folders that all of them are in.
fn assets(value: &str) -> String {
    let files =
        value.split(['\'', '"', '\n']).filter_map(|path| path.split_once("/static/")).map(|(_, path)| path.trim_start_matches("src/"));
    files.collect::<Vec<_>>().join(" ")
}

fn module_card(manifest: &Manifest) -> ModuleCard {
    let texts = |key: &str| manifest.texts(key).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let depends = Some(texts("depends")).filter(|depends| !depends.is_empty()).unwrap_or_else(|| vec!["base".to_owned()]);
    let automatic = manifest.truth("auto_install") == Some(true);
    let auto_install = Some(texts("auto_install")).filter(|named| !named.is_empty()).or_else(|| automatic.then(|| depends.clone()));
    let mut detail = Map::new();
    for (key, name) in KEPT {
        let value = manifest.text(key).map_or_else(|| manifest.texts(key).join(", "), str::to_owned);
        if !value.is_empty() {
            detail.insert((*name).to_owned(), short(&value, MAX_KEPT).into());
        }
    }
    detail.insert("installable".to_owned(), json!(manifest.truth("installable") != Some(false)));
    detail.insert("application".to_owned(), json!(manifest.truth("application") == Some(true)));
    ModuleCard { depends, auto_install, detail: Value::Object(detail) }
}

#[cfg(test)]
mod tests {
    use super::super::cut;
    use super::*;

    fn of(text: &str) -> FileChunks {
        cut(&Source { module: Some("sale_extra"), path: "sale_extra/__manifest__.py", text })
    }

    #[test]
    fn manifest_becomes_its_addon() {
        let found = of(
            "{\n    'name': 'Sale Extra',\n    'summary': \"More sales\",\n    'depends': ['sale', 'stock'],\n    'auto_install': True,\n\
             'author': 'A, B',\n    'development_status': 'Beta',\n}\n",
        );
        let card = found.module.unwrap();
        assert_eq!(
            (card.depends.as_slice(), card.auto_install.as_deref()),
            (&["sale".to_owned(), "stock".to_owned()][..], Some(&card.depends[..]))
        );
        let detail = json!({
            "name": "Sale Extra", "summary": "More sales", "author": "A, B", "maturity": "Beta", "installable": true, "application": false
        });
        assert_eq!(card.detail, detail);
        let chunk = &found.chunks[0];
        assert_eq!((chunk.kind, chunk.symbol.as_str(), chunk.start_line, chunk.end_line), (Kind::Module, "sale_extra", 1, 8));
        assert_eq!(chunk.card.as_deref(), Some("sale extra: Sale Extra; More sales\nsale extra: Sale Extra; sale stock"));
        let depends: Vec<_> = found.symbols.iter().map(|symbol| (symbol.kind, symbol.target.as_deref(), symbol.line)).collect();
        assert_eq!(depends, [("depends", Some("sale"), 4), ("depends", Some("stock"), 4)]);
    }

    #[test]
    fn names_are_found_in_whatever_form() {
        let found = of(
            "{\n    'name': 'Sale Extra',\n    'depends': ['sale', 'sale_stock'],\n    'website': 'https://github.com/OCA/sale-workflow',\n\
             'assets': {'web.assets_backend': ['sale_extra/static/src/js/gift_button.js', ('remove', 'web/x.js')]},\n}\n",
        );
        let zones: Vec<(Zone, &str)> = found.chunks[0].zones.iter().map(|(zone, text)| (*zone, text.as_str())).collect();
        let expected =
            [(Zone::Name, "saleextra"), (Zone::Body, "salestock"), (Zone::Body, "js/gift_button.js"), (Zone::Context, "sale-workflow")];
        assert!(expected.iter().all(|zone| zones.contains(zone)), "{zones:?}");
    }

    #[test]
    fn addresses_of_repositories_are_told_from_others() {
        assert_eq!(repository("https://github.com/OCA/sale-workflow/tree/19.0/sale_extra"), Some("OCA/sale-workflow"));
        assert_eq!(["", "https://github.com", "https://github.com//x", "https://github.com/OCA/", "é/"].map(repository), [None; 5]);
        assert_eq!(place("https://www.odoo.com/app/invoicing"), "app/invoicing");
        assert_eq!(["", "odoo.com", "https://"].map(place), [""; 3]);
    }

    #[test]
    fn broken_manifest_is_still_a_piece() {
        let found = of("{'name': 'A', 'depends': [}");
        assert_eq!((found.chunks.len(), found.module.is_none(), found.symbols.len()), (1, true, 0));
        assert!(found.trouble.unwrap().contains("line 1"));
        assert_eq!(of("{}").module.unwrap().depends, ["base"]);
    }
}
