//! CSV files: the access rows of each Odoo model, and other rows in handfuls.

use serde_json::json;

use super::lines::Lines;
use super::{Chunk, FileChunks, Kind, Source, Symbol, Zone, context};
use crate::odoo::source::{Row, Rows};

/// The rows of one piece that are not about access.
const ROWS: usize = 40;
/// Cuts a CSV file up; its name says which Odoo model it is of.
pub(super) fn cut(source: &Source<'_>, found: &mut FileChunks) {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let odoo_model = stem.split('-').next().unwrap_or(stem);
    let rows = Rows::of(source.text);
    if let Some(trouble) = &rows.trouble {
        found.trouble(trouble);
    }
    let lines = Lines::of(source.text);
    if odoo_model == "ir.model.access" {
        access(source, &rows, &lines, found);
    } else {
        handfuls(source, odoo_model, &rows, &lines, found);
    }
}

fn access(source: &Source<'_>, rows: &Rows, lines: &Lines<'_>, found: &mut FileChunks) {
    let about = rows.column(&["model_id:id", "model_id/id", "model_id"]);
    let (id, group) = (rows.column(&["id"]), rows.column(&["group_id:id", "group_id/id", "group_id"]));
    let title = rows.column(&["name"]);
    let rights = ["perm_read", "perm_write", "perm_create", "perm_unlink"].map(|name| (name, rows.column(&[name])));
    // The name without the addon is what makes rows belong together: `sale.model_sale_order` and `model_sale_order` are one.
    let target = |row: &Row| row.get(about).rsplit('.').next().unwrap_or_default().to_owned();
    for run in rows.rows.chunk_by(|a, b| target(a) == target(b)) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let symbol = target(first);
        if symbol.is_empty() {
            continue;
        }
        let odoo_model = dotted(&symbol);
        let words = |column: Option<usize>| run.iter().map(|row| row.get(column)).collect::<Vec<_>>().join(" ");
        let text = lines.text(first.first, last.last).to_owned();
        let chunk = Chunk {
            kind: Kind::Access,
            title: format!("access to {odoo_model}"),
            odoo_model: Some(odoo_model.clone()),
            lang: None,
            start_line: first.first,
            end_line: last.last,
            zones: vec![
                (Zone::Name, words(id)),
                (Zone::Owner, odoo_model.clone()),
                (Zone::Members, words(group)),
                (Zone::Prose, words(title)),
                (Zone::Body, text.clone()),
                context(source),
            ],
            card: None,
            symbol,
            text,
        };
        let symbol = chunk.symbol.clone();
        let Some(place) = found.add(chunk) else { return };
        for row in run {
            let perms: String = rights.iter().filter(|(_, column)| truth(row.get(*column))).map(|(name, _)| &name[5..6]).collect();
            found.define(Symbol {
                kind: "access",
                odoo_model: Some(odoo_model.clone()),
                name: source.full_id(row.get(id)),
                target: Some(row.get(group)).filter(|group| !group.is_empty()).map(|group| source.full_id(group)),
                line: row.first,
                detail: Some(
                    json!({ "model_id": symbol, "odoo_models": [odoo_model, symbol.trim_start_matches("model_")], "rights": perms }),
                ),
                chunk: place,
            });
        }
    }
}

/// `model_sale_order` as `sale.order`: what most Odoo models are called whose external id is so.
pub(super) fn dotted(model_id: &str) -> String {
    let name = model_id.rsplit('.').next().unwrap_or(model_id);
    name.strip_prefix("model_").unwrap_or(name).replace('_', ".")
}

fn truth(cell: &str) -> bool {
    matches!(cell, "1" | "True" | "true" | "TRUE")
}

fn handfuls(source: &Source<'_>, odoo_model: &str, rows: &Rows, lines: &Lines<'_>, found: &mut FileChunks) {
    let (id, title) = (rows.column(&["id"]), rows.column(&["name", "name@en"]));
    for run in rows.rows.chunks(ROWS) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let text = lines.text(first.first, last.last).to_owned();
        let chunk = Chunk {
            kind: Kind::Rows,
            symbol: odoo_model.to_owned(),
            odoo_model: Some(odoo_model.to_owned()),
            lang: None,
            start_line: first.first,
            end_line: last.last,
            title: format!("rows of {odoo_model}"),
            zones: vec![
                (Zone::Owner, odoo_model.to_owned()),
                (Zone::Members, rows.head.join(" ")),
                (Zone::Body, text.clone()),
                context(source),
            ],
            card: None,
            text,
        };
        let Some(place) = found.add(chunk) else { return };
        for row in run.iter().filter(|row| !row.get(id).is_empty()) {
            let label = Some(row.get(title)).filter(|title| !title.is_empty());
            found.define(Symbol {
                kind: "record",
                odoo_model: Some(odoo_model.to_owned()),
                name: source.full_id(row.get(id)),
                target: None,
                line: row.first,
                detail: label.map(|label| json!({ "label": label })),
                chunk: place,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cut;
    use super::*;

    fn of(name: &str, text: &str) -> FileChunks {
        cut(&Source { module: Some("shop"), path: &format!("shop/security/{name}"), text })
    }

    #[test]
    fn access_rows_go_together() {
        let text = "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\n\
                    a,order user,model_shop_order,base.group_user,1,1,0,0\n\
                    b,order all,shop.model_shop_order,,1,0,0,0\n\
                    c,partner,base.model_res_partner,group_shop,1,1,1,1\n\
                    d,order boss,model_shop_order,group_shop,1,1,1,1\n";
        let found = of("ir.model.access.csv", text);
        let pieces: Vec<_> = found.chunks.iter().map(|chunk| (chunk.symbol.as_str(), chunk.start_line, chunk.end_line)).collect();
        assert_eq!(pieces, [("model_shop_order", 2, 3), ("model_res_partner", 4, 4), ("model_shop_order", 5, 5)]);
        assert_eq!(found.chunks[1].odoo_model.as_deref(), Some("res.partner"));
        let symbols: Vec<_> = found.symbols.iter().map(|symbol| (symbol.name.as_str(), symbol.target.as_deref())).collect();
        assert_eq!(
            symbols,
            [
                ("shop.a", Some("base.group_user")),
                ("shop.b", None),
                ("shop.c", Some("shop.group_shop")),
                ("shop.d", Some("shop.group_shop"))
            ]
        );
        let detail = json!({ "model_id": "model_shop_order", "odoo_models": ["shop.order", "shop_order"], "rights": "rw" });
        assert_eq!(found.symbols[0].detail, Some(detail));
    }

    #[test]
    fn other_rows_come_in_handfuls() {
        let rows: String = (0..100).map(|number| format!("r{number},\"two\nlines\"\n")).collect();
        let found = of("shop.kind-fr.csv", &format!("id,name\n{rows}"));
        let pieces: Vec<_> = found.chunks.iter().map(|chunk| (chunk.symbol.as_str(), chunk.start_line, chunk.end_line)).collect();
        assert_eq!(pieces, [("shop.kind", 2, 81), ("shop.kind", 82, 161), ("shop.kind", 162, 201)]);
        assert_eq!((found.symbols.len(), found.symbols[99].name.as_str(), found.symbols[99].line), (100, "shop.r99", 200));
    }

    #[test]
    fn garbage_gives_few_pieces() {
        for text in ["", "\n\n", "id,\"", "no,id\n,,,,\n\"", "id,name\n\"a"] {
            for name in ["ir.model.access.csv", "a.csv", ".csv"] {
                assert!(of(name, text).chunks.len() <= 2, "{name} {text}");
            }
        }
    }
}
