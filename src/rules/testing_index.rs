//! A small Odoo for the tests of the rules that ask the index.

use super::testing::{addon, report};
use super::{Candidate, Case, propose};
use crate::domain::ErrorClass;
use crate::odoo::Addon;
use crate::odoo::source::{Facts, Index};

const BASE: &str = r#"
class Partner(models.Model):
    _name = "res.partner"
    name = fields.Char()
    ref = fields.Char()
    phone = fields.Char()
    email = fields.Char()
    user_ids = fields.One2many("res.users", "partner_id")
    company_id = fields.Many2one("res.company")
    category_id = fields.Many2many("res.partner.category")

    def action_open(self):
        pass

class Category(models.Model):
    _name = "res.partner.category"
    name = fields.Char(required=True)
    color = fields.Integer()
    parent_id = fields.Many2one("res.partner.category")

class Users(models.Model):
    _name = "res.users"
    _inherits = {"res.partner": "partner_id"}
    login = fields.Char()
    partner_id = fields.Many2one("res.partner", required=True)

class Company(models.Model):
    _name = "res.company"
    name = fields.Char()
    street = fields.Char()

class Menu(models.Model):
    _name = "ir.ui.menu"

class View(models.Model):
    _name = "ir.ui.view"
    inherit_id = fields.Many2one("ir.ui.view")

class Groups(models.Model):
    _name = "res.groups"

class Access(models.Model):
    _name = "ir.model.access"
    model_id = fields.Many2one("ir.model")
    group_id = fields.Many2one("res.groups")
"#;

const BASE_VIEWS: &str = r#"<odoo>
    <record id="group_user" model="res.groups"/>
    <menuitem id="menu_administration" name="Settings"/>
    <record id="view_partner_form" model="ir.ui.view">
        <field name="model">res.partner</field>
        <field name="arch" type="xml">
            <form>
                <sheet>
                    <group name="main"><field name="name"/><field name="phone"/></group>
                    <notebook>
                        <page name="sales_purchases"/>
                        <page name="internal_notes"/>
                    </notebook>
                </sheet>
            </form>
        </field>
    </record>
</odoo>"#;

const MAIL: &str = r#"
class Thread(models.AbstractModel):
    _name = "mail.thread"
    message_ids = fields.One2many("mail.message", "res_id")

    def message_post(self):
        pass

class Partner(models.Model):
    _name = "res.partner"
    _inherit = ["res.partner", "mail.thread"]
    signup_token = fields.Char()
"#;

const MAIL_VIEWS: &str = r#"<odoo><record id="partner_form" model="ir.ui.view">
    <field name="model">res.partner</field>
    <field name="inherit_id" ref="base.view_partner_form"/>
    <field name="arch" type="xml"><field name="phone" position="after"><field name="signup_token"/></field></field>
</record></odoo>"#;

fn named(name: &str, files: &[(&str, &str)]) -> Addon {
    let file = |(path, text): &(&str, &str)| (format!("{name}/{path}").parse().unwrap(), text.as_bytes().to_vec());
    Addon::new(name.parse().unwrap(), files.iter().map(file))
}

/// `base`, `mail`, `contacts` and `sale`, as far as the tests need them.
pub(crate) fn core() -> Facts {
    core_with(&[])
}

/// The same, with further addons: name and files.
fn core_with(more: &[(&str, &[(&str, &str)])]) -> Facts {
    let mut addons = vec![
        named("base", &[("__manifest__.py", "{'name': 'Base', 'depends': []}"), ("models/base.py", BASE), ("views/base.xml", BASE_VIEWS)]),
        named("mail", &[("__manifest__.py", "{'depends': ['base']}"), ("models/mail.py", MAIL), ("views/mail.xml", MAIL_VIEWS)]),
        named(
            "contacts",
            &[("__manifest__.py", "{'depends': ['base', 'mail']}"), ("v.xml", "<odoo><menuitem id=\"menu_contacts\" name=\"C\"/></odoo>")],
        ),
        named(
            "sale",
            &[
                ("__manifest__.py", "{'depends': ['mail']}"),
                ("s.py", "class S(models.Model):\n    _name = 'sale.order'\n    _inherit = ['mail.thread']\n    note = fields.Text()\n"),
            ],
        ),
    ];
    addons.extend(more.iter().map(|(name, files)| named(name, files)));
    Facts::of(&addons)
}

/// What the rules propose for addon `m` of these files where Odoo has these addons besides.
pub(crate) fn candidates_in_core(
    core: &[(&str, &[(&str, &str)])],
    files: &[(&str, &str)],
    class: ErrorClass,
    text: &str,
) -> Vec<Candidate> {
    let (addon, core) = (addon(files), core_with(core));
    let own = Facts::of([&addon]);
    propose(&Case { report: &report(class, text), addon: &addon, version: &"19.0".parse().unwrap(), index: Index::new(&own, &core) })
}

/// Addon `m` of these files, and what the rules propose for it.
pub(crate) fn proposed(files: &[(&str, &str)], class: ErrorClass, text: &str) -> (Addon, Vec<Candidate>) {
    (addon(files), candidates(files, class, text))
}

/// What the rules propose for addon `m` of these files.
pub(super) fn candidates(files: &[(&str, &str)], class: ErrorClass, text: &str) -> Vec<Candidate> {
    static CORE: std::sync::LazyLock<Facts> = std::sync::LazyLock::new(core);
    let addon = addon(files);
    let own = Facts::of([&addon]);
    propose(&Case { report: &report(class, text), addon: &addon, version: &"19.0".parse().unwrap(), index: Index::new(&own, &CORE) })
}

/// One file after each candidate, with the name of its rule.
pub(super) fn mended(files: &[(&str, &str)], path: &str, class: ErrorClass, text: &str) -> Vec<(&'static str, String)> {
    let before = addon(files);
    let of = |candidate: Candidate| {
        let after = before.with(&candidate.patch);
        Some((candidate.rule, after.text(&after.path(path)?)?.to_owned()))
    };
    candidates(files, class, text).into_iter().filter_map(of).collect()
}

/// One file after the first candidate, which must be of this rule.
pub(super) fn first(rule: &str, files: &[(&str, &str)], path: &str, class: ErrorClass, text: &str) -> Option<String> {
    let (by, after) = mended(files, path, class, text).into_iter().next()?;
    assert_eq!(by, rule);
    Some(after)
}

const TEXTS: [&str; 9] = [
    "Field res.partner.x with unknown comodel_name 'res.partnr'",
    "'x' declared in 'res.partner.x' does not exist on 'res.partner'",
    "Field x referenced in related field definition res.partner.x does not exist.",
    "Wrong @depends on 'f' (compute method of field res.partner.x). Dependency field 'x' not found in model res.partner.",
    "Element '<xpath expr=\"//field[@name=&#39;x&#39;]\">' cannot be located in parent view",
    "x is not a valid action on res.partner\nInvalid field 'x' in 'res.partner'\nUnknown field \"res.partner.x\"",
    "External ID not found in the system: m.x",
    "No matching record found for external id 'model_x' in field 'Model'",
    "null value in column \"x\" of relation \"res_partner\"\ncolumn \"x\" does not exist\n'res.partner' object has no attribute 'x'",
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(12))]
    #[test]
    fn garbage_never_panics(
        xml in "(<odoo>)?(<record id='x' model='ir.ui.view'><field name='model'>res.partner</field><field name='arch'>)?[<>a-z='\"/ %()x.ä]{0,80}(</field></record></odoo>)?",
        python in "(class A\\(models.Model\\):\n    _inherit = 'res.partner'\n    x = fields.)?[a-zA-Z0-9_='(),. \n@ä]{0,80}",
        csv in "[a-z:,\"x\n_ä]{0,60}",
        first in 0_usize..8,
    ) {
        let files = [("v.xml", xml.as_str()), ("a.py", &python), ("ir.model.access.csv", &csv), ("__manifest__.py", "{'depends': ['base'], 'data': ['v.xml']}")];
        // Each case tries every eighth class: all of them in all cases took a minute.
        let classes = ErrorClass::ALL.iter().skip(first).step_by(8);
        for (text, class) in classes.flat_map(|class| TEXTS.iter().map(move |text| (text, class))) {
            candidates(&files, *class, text);
        }
    }
}

#[test]
fn circles_of_related_fields_end() {
    let python = "class A(models.Model):\n    _inherit = 'res.partner'\n    a = fields.Char(related='b.a.b.a.b.a.b.a.zzz')\n    b = fields.Char(related='a.b.a.b.a.b.a.b')\n";
    let text = "Field zzz referenced in related field definition res.partner.a does not exist.";
    candidates(&[("a.py", python), ("__manifest__.py", "{'depends': ['base']}")], ErrorClass::FieldReferenceBroken, text);
}
