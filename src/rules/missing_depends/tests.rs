use crate::domain::ErrorClass as C;
use crate::rules::testing_index::{candidates, first, mended};

const MANIFEST: &str = "{'name': 'm', 'depends': ['base'], 'data': ['v.xml']}";

fn after(files: &[(&str, &str)], class: C, text: &str) -> Option<String> {
    let files: Vec<_> = [("__manifest__.py", MANIFEST)].into_iter().chain(files.iter().copied()).collect();
    first("missing_depends", &files, "__manifest__.py", class, text)
}

fn with(addons: &str) -> Option<String> {
    Some(MANIFEST.replace("['base']", &format!("['base', {addons}]")))
}

#[test]
fn owner_of_the_odoo_model_is_added() {
    let extends = ("a.py", "class A(models.Model):\n    _inherit = 'sale.order'\n    x = fields.Char()\n");
    assert_eq!(after(&[extends], C::ModelMissing, "TypeError: Model 'sale.order' does not exist in registry."), with("'sale'"));
    let comodel = ("a.py", "class A(models.Model):\n    _inherit = 'res.partner'\n    o = fields.Many2one('sale.order')\n");
    let text = "AssertionError: Field res.partner.o with unknown comodel_name 'sale.order'";
    assert_eq!(after(&[comodel], C::FieldReferenceBroken, text), with("'sale'"));
}

#[test]
fn one_addon_that_gives_all_of_it_comes_first() {
    let inherits = ("a.py", "class A(models.Model):\n    _name = 'm.a'\n    _inherit = ['mail.thread']\n");
    let menu = ("v.xml", "<odoo><menuitem id=\"x\" parent=\"contacts.menu_contacts\"/></odoo>");
    let text = "TypeError: Model 'm.a' inherits from non-existing model 'mail.thread'.";
    assert_eq!(after(&[inherits, menu], C::ModelMissing, text), with("'contacts'"));
    assert_eq!(after(&[inherits, ("v.xml", "<odoo/>")], C::ModelMissing, text), with("'mail'"));
    let files = [("__manifest__.py", MANIFEST), inherits, menu];
    let all: Vec<_> = mended(&files, "__manifest__.py", C::ModelMissing, text).into_iter().map(|(_, after)| after).collect();
    assert_eq!(all[1], with("'mail'").unwrap(), "the least that mends the error follows");
}

#[test]
fn several_are_added_where_none_gives_all() {
    let inherits = ("a.py", "class A(models.Model):\n    _inherit = 'sale.order'\n");
    let menu = ("v.xml", "<odoo><menuitem id=\"x\" parent=\"contacts.menu_contacts\"/></odoo>");
    let text = "TypeError: Model 'sale.order' does not exist in registry.";
    assert_eq!(after(&[inherits, menu], C::ModelMissing, text), with("'sale', 'contacts'"));
}

#[test]
fn fields_records_and_elements_have_owners_too() {
    let view = |arch: &str| {
        format!(
            "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">res.partner</field><field name=\"inherit_id\" ref=\"base.view_partner_form\"/><field name=\"arch\" type=\"xml\">{arch}</field></record></odoo>"
        )
    };
    let field = view("<field name=\"name\" position=\"after\"><field name=\"message_ids\"/></field>");
    assert_eq!(
        after(&[("v.xml", &field)], C::ViewUnknownField, "Field \"message_ids\" does not exist in model \"res.partner\""),
        with("'mail'")
    );
    let anchor = view("<field name=\"signup_token\" position=\"after\"><field name=\"ref\"/></field>");
    assert_eq!(
        after(&[("v.xml", &anchor)], C::ViewAnchorMissing, "Element '<field name=\"signup_token\">' cannot be located in parent view"),
        with("'mail'")
    );
    let menu = "<odoo><menuitem id=\"x\" parent=\"contacts.menu_contacts\"/></odoo>";
    let text = "ValueError: External ID not found in the system: contacts.menu_contacts";
    assert_eq!(after(&[("v.xml", menu)], C::ExternalIdMissing, text), with("'contacts'"));
    let call = ("a.py", "class A(models.Model):\n    _inherit = 'res.partner'\n    def f(self):\n        self.message_post()\n");
    let text = "AttributeError: 'res.partner' object has no attribute 'message_post'";
    assert_eq!(after(&[call], C::AttributeMissing, text), with("'mail'"));
}

#[test]
fn what_nobody_has_adds_nothing() {
    for (class, text) in [
        (C::ModelMissing, "TypeError: Model 'zzz.order' does not exist in registry."),
        (C::ExternalIdMissing, "ValueError: External ID not found in the system: sale.nope"),
        (C::ModelMissing, "TypeError: Model 'res.partner' does not exist in registry."),
        (C::ViewAnchorMissing, "Element '<field name=\"zzz\">' cannot be located in parent view"),
        (C::FieldInvalid, ""),
    ] {
        let found = candidates(&[("__manifest__.py", MANIFEST), ("v.xml", "<odoo/>")], class, text);
        assert!(found.iter().all(|candidate| candidate.rule != "missing_depends"), "{text}");
    }
}
