use super::super::{FileChunks, Kind, MAX_CHUNKS, Source, cut};

fn of(text: &str) -> FileChunks {
    cut(&Source { module: Some("shop"), path: "shop/views/shop.xml", text })
}

const DATA: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<odoo>
    <record id="shop_form" model="ir.ui.view">
        <field name="name">shop.form</field>
        <field name="model">shop.order</field>
        <field name="inherit_id" ref="sale.order_form"/>
        <field name="arch" type="xml">
            <xpath expr="//field[@name='a']" position="after"><field name="pickup_id" string="Pickup"/></xpath>
        </field>
    </record>
    <data noupdate="1">
        <record id="own_orders" model="ir.rule">
            <field name="name">Own orders</field>
            <field name="model_id" ref="model_shop_order"/>
            <field name="domain_force">[('user_id', '=', user.id)]</field>
            <field name="groups" eval="[(4, ref('base.group_user')), (4, ref('group_shop'))]"/>
        </record>
        <record id="action" model="ir.actions.act_window">
            <field name="name">Orders</field>
            <field name="res_model">shop.order</field>
        </record>
    </data>
    <menuitem id="menu" name="Shop" action="action">
        <menuitem id="menu_orders" name="Orders" action="sale.action_orders"/>
    </menuitem>
    <template id="page" inherit_id="website.layout" name="Page">
        <t t-call="shop.header"/><t t-call="footer"/><t t-call="footer"/><t t-call="{{ x }}"/>
    </template>
    <record id="access_x" model="ir.model.access">
        <field name="model_id" ref="model_shop_order"/>
        <field name="group_id" ref="base.group_user"/>
        <field name="perm_read" eval="1"/>
    </record>
</odoo>
"#;

#[test]
fn each_element_is_a_piece() {
    let found = of(DATA);
    let pieces: Vec<_> = found.chunks.iter().map(|chunk| (chunk.kind, chunk.symbol.as_str(), chunk.start_line, chunk.end_line)).collect();
    assert_eq!(
        pieces,
        [
            (Kind::View, "shop.shop_form", 3, 10),
            (Kind::Rule, "shop.own_orders", 12, 17),
            (Kind::Record, "shop.action", 18, 21),
            (Kind::Record, "shop.menu", 23, 25),
            (Kind::Record, "shop.menu_orders", 24, 24),
            (Kind::Template, "shop.page", 26, 28),
            (Kind::Access, "model_shop_order", 29, 33),
        ]
    );
    assert_eq!(found.chunks[0].odoo_model.as_deref(), Some("shop.order"));
    assert!(found.chunks.iter().all(|chunk| chunk.card.is_none()) && found.trouble.is_none());
}

#[test]
fn symbols_lead_on() {
    let found = of(DATA);
    let symbols: Vec<_> = found
        .symbols
        .iter()
        .map(|symbol| {
            format!(
                "{} {} {} {} {}",
                symbol.line,
                symbol.kind,
                symbol.odoo_model.as_deref().unwrap_or("-"),
                symbol.name,
                symbol.target.as_deref().unwrap_or("-")
            )
        })
        .collect();
    assert_eq!(
        symbols,
        [
            "3 view shop.order shop.shop_form sale.order_form",
            "12 rule shop.order shop.own_orders base.group_user",
            "18 record ir.actions.act_window shop.action shop.order",
            "23 record ir.ui.menu shop.menu shop.action",
            "24 record ir.ui.menu shop.menu_orders sale.action_orders",
            "26 template - shop.page website.layout",
            "27 calls - shop.page shop.header",
            "27 calls - shop.page shop.footer",
            "29 access shop.order shop.access_x base.group_user",
        ]
    );
    assert_eq!(found.symbols[1].detail.as_ref().unwrap()["odoo_models"][1], "shop_order");
    assert_eq!(found.symbols[2].detail.as_ref().unwrap()["label"], "Orders");
}

#[test]
fn templates_of_the_browser_are_pieces() {
    let found = of("<templates>\n<t t-name=\"shop.Cart\" t-inherit=\"web.List\">\n<t t-call=\"shop.Line\"/></t>\n</templates>");
    assert_eq!((found.chunks[0].symbol.as_str(), found.chunks[0].start_line, found.chunks[0].end_line), ("shop.Cart", 2, 3));
    assert_eq!(found.symbols[0].target.as_deref(), Some("web.List"));
}

#[test]
fn broken_file_gives_what_is_whole() {
    let text = "<odoo>\n<record id=\"a\" model=\"x.y\">\n<field name=\"name\">A</field>\n</record>\n<record id=\"b\" model=\"x.y\">\n<field>\n</record>\n\
                <menuitem id=\"c\"/>\n</odoo>";
    let found = of(text);
    let pieces: Vec<_> = found.chunks.iter().map(|chunk| (chunk.symbol.as_str(), chunk.start_line, chunk.end_line)).collect();
    assert_eq!(pieces, [("shop.a", 2, 4), ("shop.c", 8, 8)]);
    assert!(found.trouble.unwrap().contains("no valid XML"));
}

#[test]
fn garbage_is_survived() {
    let deep = format!("<odoo>{}{}</odoo>", "<data>".repeat(20_000), "</data>".repeat(20_000));
    for text in
        ["", "<", "<odoo", "<record id='", "<odoo><record model='a'/><template/><record/></odoo>", &deep, &"<record ".repeat(50_000)]
    {
        assert!(of(text).chunks.len() <= 1);
    }
    let many = format!("<odoo>{}</odoo>", "<menuitem id='a'/>".repeat(MAX_CHUNKS + 5));
    let found = of(&many);
    assert_eq!(found.chunks.len(), MAX_CHUNKS);
    assert!(found.trouble.unwrap().contains("pieces"));
}
