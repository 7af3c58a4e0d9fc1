use crate::domain::ErrorClass as C;
use crate::rules::testing_index::{candidates, first};

const MANIFEST: (&str, &str) = ("__manifest__.py", "{'depends': ['base'], 'data': ['v.xml']}");

fn after(path: &str, text: &str, class: C, log: &str) -> Option<String> {
    first("dangling", &[MANIFEST, (path, text)], path, class, log)
}

fn view(arch: &str) -> String {
    format!(
        "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">res.partner</field><field name=\"arch\" type=\"xml\">{arch}</field></record></odoo>"
    )
}

#[test]
fn field_that_leads_nowhere_goes() {
    let python = "class A(models.Model):\n    _inherit = 'res.partner'\n    x_id = fields.Many2one('zzz.model')\n    y = fields.Char()\n";
    let log = "AssertionError: Field res.partner.x_id with unknown comodel_name 'zzz.model'";
    assert_eq!(after("a.py", python, C::FieldReferenceBroken, log), Some(python.replace("    x_id = fields.Many2one('zzz.model')\n", "")));
    let used = format!("{python}    z = fields.Char(related='x_id.name')\n");
    assert_eq!(after("a.py", &used, C::FieldReferenceBroken, log), None);
}

#[test]
fn node_that_shows_nothing_goes() {
    let log = "Field \"nope_x\" does not exist in model \"res.partner\"";
    let file = view("<form><label for=\"nope_x\"/><field name=\"nope_x\"/><field name=\"name\"/></form>");
    let expected = view("<form><field name=\"name\"/></form>");
    assert_eq!(after("v.xml", &file, C::ViewUnknownField, log), Some(expected));
    let used = view("<form><field name=\"nope_x\"/><field name=\"name\" invisible=\"nope_x\"/></form>");
    assert_eq!(after("v.xml", &used, C::ViewUnknownField, log), None);
    let button = view("<form><button name=\"action_zzz\" type=\"object\"/><field name=\"name\"/></form>");
    let log = "action_zzz is not a valid action on res.partner";
    assert_eq!(after("v.xml", &button, C::ViewInvalidAction, log), Some(view("<form><field name=\"name\"/></form>")));
}

#[test]
fn only_what_hides_or_takes_away_a_field_counts_as_hiding() {
    for (part, expected) in [
        ("<field name=\"a\" position=\"replace\"/>", Some("a")),
        ("<xpath expr=\"//field[@name='a']\" position=\"replace\"> </xpath>", Some("a")),
        ("<field name=\"a\" position=\"attributes\"><attribute name=\"invisible\">1</attribute></field>", Some("a")),
        ("<field name=\"a\" position=\"replace\"><field name=\"b\"/></field>", None),
        ("<field name=\"a\" position=\"attributes\"><attribute name=\"invisible\">b</attribute></field>", None),
        ("<field name=\"a\" position=\"attributes\"><attribute name=\"required\">1</attribute></field>", None),
        ("<xpath expr=\"//field[@name='a']//field[@name='b']\" position=\"replace\"/>", None),
        ("<field name=\"a\" position=\"after\"/>", None),
    ] {
        let document = crate::rules::edit::xml::parse(part).unwrap();
        assert_eq!(super::hidden::hidden(document.root_element()), expected, "{part}");
    }
}

#[test]
fn part_that_took_away_what_is_gone_goes() {
    let whole = |parts: &str| {
        format!(
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">res.partner</field><field name=\"inherit_id\" ref=\"base.view_partner_form\"/><field name=\"arch\" type=\"xml\">{parts}</field></record></odoo>"
        )
    };
    let rest = "<field name=\"name\" position=\"attributes\"><attribute name=\"required\">1</attribute></field>";
    let part = "<field name=\"gone_zz\" position=\"replace\"/>";
    let log = "Element '<field name=\"gone_zz\">' cannot be located in parent view";
    let found = candidates(&[MANIFEST, ("v.xml", &whole(&format!("{part}{rest}")))], C::ViewAnchorMissing, log);
    assert!(found[0].is_safe() && found[0].rule == "dangling");
    assert_eq!(found[0].patch.changes()[0].after, whole(rest));
    let alone = candidates(&[MANIFEST, ("v.xml", &whole(part))], C::ViewAnchorMissing, log);
    assert!(alone.iter().all(|one| one.rule != "dangling"));
}

#[test]
fn references_to_nothing_go() {
    let log = |id: &str| format!("ValueError: External ID not found in the system: {id}");
    for (before, expected, id) in [
        ("<menuitem id=\"mm\" parent=\"m.none\" action=\"m.act\"/>", "<menuitem id=\"mm\" action=\"m.act\"/>", "m.none"),
        ("<menuitem id=\"mm\" action=\"m.zzz\"/>", "", "m.zzz"),
        (
            "<record id=\"c\" model=\"res.partner.category\"><field name=\"name\">a</field><field name=\"parent_id\" ref=\"sale.nope\"/></record>",
            "<record id=\"c\" model=\"res.partner.category\"><field name=\"name\">a</field></record>",
            "sale.nope",
        ),
    ] {
        let wrap = |inner: &str| format!("<odoo>{inner}</odoo>");
        assert_eq!(after("v.xml", &wrap(before), C::ExternalIdMissing, &log(id)), Some(wrap(expected)), "{before}");
    }
}

#[test]
fn what_limits_rights_stays() {
    for inner in [
        "<menuitem id=\"mm\" groups=\"m.zzz\"/>",
        "<record id=\"u\" model=\"res.users\"><field name=\"partner_id\" ref=\"m.zzz\"/></record>",
        "<record id=\"u\" model=\"ir.ui.view\"><field name=\"inherit_id\" ref=\"m.zzz\"/></record>",
        "<menuitem id=\"mm\" action=\"m.zzz\"/><menuitem id=\"x\" parent=\"mm\"/>",
    ] {
        let xml = format!("<odoo>{inner}</odoo>");
        let log = "ValueError: External ID not found in the system: m.zzz";
        assert!(candidates(&[MANIFEST, ("v.xml", &xml)], C::ExternalIdMissing, log).is_empty(), "{inner}");
    }
}

#[test]
fn field_that_limits_rights_stays_whatever_its_name() {
    let python = "class A(models.Model):\n    _name = 'm.a'\n    team_ids = fields.Many2many('res.groups')\n    sales_group = fields.Many2one('res.partner')\n    company_id = fields.Many2one('res.company')\n    company_ids = fields.Many2many('res.company')\n    allowed_id = fields.Many2one(related='p_id.team_id')\n    p_id = fields.Many2one('m.p')\n    partner_id = fields.Many2one('res.partner')\n\nclass P(models.Model):\n    _name = 'm.p'\n    team_id = fields.Many2one('res.groups')\n";
    let log = "ValueError: External ID not found in the system: m.zzz";
    let found = |field: &str| {
        let xml = format!("<odoo><record id=\"a\" model=\"m.a\"><field name=\"{field}\" ref=\"m.zzz\"/></record></odoo>");
        candidates(&[MANIFEST, ("a.py", python), ("v.xml", &xml)], C::ExternalIdMissing, log).len()
    };
    for field in ["team_ids", "sales_group", "company_id", "company_ids", "allowed_id"] {
        assert_eq!(found(field), 0, "{field}");
    }
    assert_eq!(found("partner_id"), 1);
    for field in ["company_id", "x_group_ids"] {
        let python = format!("class A(models.Model):\n    _inherit = 'res.partner'\n    {field} = fields.Many2one('zzz.model')\n");
        let log = format!("AssertionError: Field res.partner.{field} with unknown comodel_name 'zzz.model'");
        assert_eq!(after("a.py", &python, C::FieldReferenceBroken, &log), None, "{field}");
    }
}

#[test]
fn records_and_rows_of_no_odoo_model_go() {
    let xml = "<odoo><record id=\"rec\" model=\"zzz.model\"><field name=\"name\">a</field></record><record id=\"p\" model=\"res.partner\"/></odoo>";
    let expected = "<odoo><record id=\"p\" model=\"res.partner\"/></odoo>";
    assert_eq!(after("v.xml", xml, C::ModelMissing, "Object zzz.model doesn't exist").as_deref(), Some(expected));
    let used = xml.replace("model=\"res.partner\"/>", "model=\"res.partner\"><field name=\"x\" ref=\"rec\"/></record>");
    assert_eq!(after("v.xml", &used, C::ModelMissing, "Object zzz.model doesn't exist"), None);
    let csv = "id,name,model_id:id,group_id:id,perm_read\na1,a1,model_zzz_model,base.group_user,1\na2,a2,base.model_res_partner,base.group_user,1\n";
    let log = "file m/security/ir.model.access.csv could not be processed:\nNo matching record found for external id 'model_zzz_model' in field 'Model'";
    let expected = "id,name,model_id:id,group_id:id,perm_read\na2,a2,base.model_res_partner,base.group_user,1\n";
    assert_eq!(after("security/ir.model.access.csv", csv, C::CsvInvalid, log).as_deref(), Some(expected));
}
