//! The records and views of data files.

use roxmltree::{Document, Node, ParsingOptions};

use super::{ModuleFacts, Names, RecordFacts, Rows, ViewFacts};

/// Reads the records and views of one XML file into what its addon defines.
pub(super) fn xml(module: &str, path: &str, text: &str, facts: &mut ModuleFacts) {
    let options = ParsingOptions { nodes_limit: 200_000, ..ParsingOptions::default() };
    let Ok(document) = Document::parse_with_options(text, options) else { return };
    for node in document.descendants().filter(Node::is_element) {
        let odoo_model = match node.tag_name().name() {
            "record" => node.attribute("model"),
            "template" => Some("ir.ui.view"),
            "menuitem" => Some("ir.ui.menu"),
            "report" => Some("ir.actions.report"),
            "act_window" => Some("ir.actions.act_window"),
            "asset" => Some("ir.asset"),
            _ => None,
        };
        let (Some(odoo_model), Some(id)) = (odoo_model, node.attribute("id")) else { continue };
        let Some(id) = own(module, id) else {
            facts.made.insert(id.to_owned());
            continue;
        };
        let record =
            RecordFacts { odoo_model: odoo_model.to_owned(), path: path.to_owned(), line: document.text_pos_at(node.range().start).row };
        facts.records.insert(id.to_owned(), record);
        if odoo_model == "ir.ui.view"
            && let Some(view) = view(module, text, node)
        {
            facts.views.insert(id.to_owned(), view);
        }
    }
}

/// Reads the rows of one CSV file, whose name says which Odoo model they are of.
pub(super) fn csv(module: &str, path: &str, text: &str, facts: &mut ModuleFacts) {
    let Some(odoo_model) = path.rsplit('/').next().and_then(|file| file.strip_suffix(".csv")) else { return };
    let odoo_model = odoo_model.split('-').next().unwrap_or(odoo_model);
    let rows = Rows::of(text);
    let Some(column) = rows.column(&["id"]) else { return };
    for row in &rows.rows {
        let id = row.get(Some(column));
        if own(module, id).is_none() {
            facts.made.insert(id.to_owned());
        }
        if let Some(id) = Some(id).filter(|id| !id.is_empty()).and_then(|id| own(module, id)) {
            let record = RecordFacts { odoo_model: odoo_model.to_owned(), path: path.to_owned(), line: row.first };
            facts.records.insert(id.to_owned(), record);
        }
    }
}

/// Adds the ids that code gives to what it makes: `'xml_id': 'stock.warehouse0'`.
pub(super) fn made(module: &str, text: &str, ids: &mut Names) {
    for (at, word) in text.match_indices("xml_id") {
        let rest = text[at + word.len()..].trim_start_matches(['\'', '"']).trim_start_matches([' ', ':', '=']);
        let Some(rest) = rest.strip_prefix(['\'', '"']) else { continue };
        let id: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')).take(200).collect();
        if !id.is_empty() {
            ids.insert(full(module, &id));
        }
    }
}

/// The id without the addon's name; `None` if it is another addon's.
fn own<'i>(module: &str, id: &'i str) -> Option<&'i str> {
    match id.split_once('.') {
        None => Some(id),
        Some((owner, name)) => (owner == module).then_some(name),
    }
}

/// The id with an addon's name.
fn full(module: &str, id: &str) -> String {
    if id.contains('.') { id.to_owned() } else { format!("{module}.{id}") }
}

fn view(module: &str, text: &str, node: Node<'_, '_>) -> Option<ViewFacts> {
    if node.tag_name().name() == "template" {
        let inherit = node.attribute("inherit_id").map(|id| full(module, id));
        return Some(ViewFacts { odoo_model: None, inherit, arch: text.get(node.range())?.to_owned() });
    }
    let field = |name: &str| node.children().find(|child| child.tag_name().name() == "field" && child.attribute("name") == Some(name));
    let arch = field("arch")?.children().find(Node::is_element)?;
    let odoo_model = field("model").and_then(|field| field.text()).map(|text| text.trim().to_owned());
    let inherit = field("inherit_id").and_then(|field| field.attribute("ref")).map(|id| full(module, id));
    Some(ViewFacts { odoo_model, inherit, arch: text.get(arch.range())?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_views_and_rows_are_found() {
        let mut facts = ModuleFacts::default();
        let text = r#"<odoo>
    <record id="v" model="ir.ui.view">
        <field name="model">res.partner</field>
        <field name="inherit_id" ref="base.view_partner_form"/>
        <field name="arch" type="xml"><xpath expr="//x"/></field>
    </record>
    <record id="base.main_company" model="res.company"/>
    <template id="t" inherit_id="web.layout"><p/></template>
    <menuitem id="m.menu"/>
</odoo>"#;
        xml("m", "m/v.xml", text, &mut facts);
        csv("m", "m/security/ir.model.access.csv", "id,name\naccess_a,a\nm.access_b,b\nbase.c,c\n", &mut facts);
        assert_eq!(facts.records.keys().collect::<Vec<_>>(), ["access_a", "access_b", "menu", "t", "v"]);
        assert_eq!((facts.records["v"].line, facts.records["access_b"].line), (2, 3));
        assert_eq!(facts.records["access_a"].odoo_model, "ir.model.access");
        assert_eq!(facts.views["v"].inherit.as_deref(), Some("base.view_partner_form"));
        assert_eq!(facts.views["v"].arch, r#"<xpath expr="//x"/>"#);
        assert_eq!(facts.views["t"].inherit.as_deref(), Some("web.layout"));
        assert_eq!(facts.made.iter().collect::<Vec<_>>(), ["base.c", "base.main_company"]);
        let mut ids = Names::new();
        made("m", "{'xml_id': 'stock.warehouse0', \"xml_id\": f'{x}', xml_id = 'own'}", &mut ids);
        assert_eq!(ids.iter().collect::<Vec<_>>(), ["m.own", "stock.warehouse0"]);
    }

    #[test]
    fn garbage_defines_nothing() {
        let mut facts = ModuleFacts::default();
        xml("m", "m/v.xml", "<odoo><record", &mut facts);
        csv("m", "m/a.csv", "\u{0},\"", &mut facts);
        csv("m", "m/a", "id\nx", &mut facts);
        assert_eq!(facts, ModuleFacts::default());
    }
}
