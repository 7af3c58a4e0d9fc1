//! What holds for every rule.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::testing::{addon, report};
use super::*;
use crate::domain::Location;

/// A text that makes every rule look further.
const EVERYTHING: &str = "NameError: name 'UserError' is not defined Expected singleton: m.x(1, 2) NoneType \
    SyntaxError: invalid syntax cannot be located in parent view has no attribute 'name_get' KeyError: 'a.b' missing 1 required positional argument: 'order' \
    Compute method failed to assign m.a(1,).b RELAXNG xmlParseEntityRef EntityRef: expecting ';' ph() missing 'NewId' 'slug' 'groups_id' 'category_id' \
    t-esc 'datas' depends on module \"fetchmail\" Model 'mail.channel' does not exist in registry has no attribute '_check_recursion'\n\
    '_sql_constraints' is no longer supported\nNo such file or directory: '/x/m/v.xml'\n\
    file m/a.csv could not be processed:\nNo matching record found for external id 'm.group_x' in field 'Group'\n\
    have no access rules in module m, consider adding some, like:\nid\nm.a,a,m.model_a,base.group_user,1,0,0,0\n";

#[test]
fn every_rule_has_a_name_of_its_own() {
    let names: BTreeSet<_> = ALL.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), ALL.len());
    assert!(ALL.iter().all(|rule| !rule.classes.is_empty()));
}

#[test]
fn deep_nesting_is_survived() {
    let xml =
        format!("<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\">{}</field></record></odoo>", "<tree>".repeat(20_000));
    let python = format!("_sql_constraints = {}1{}\n", "(".repeat(20_000), ")".repeat(20_000));
    let concatenated = format!("class A(models.Model):\n    _sql_constraints = {}\n", "'a' ".repeat(20_000));
    let addon = addon(&[("v.xml", &xml), ("a.py", &python), ("b.py", &concatenated), ("__manifest__.py", &python)]);
    let mut report = report(ErrorClass::Other, EVERYTHING);
    report.location = Some(Location { path: "m/a.py".to_owned(), line: Some(1) });
    for rule in ALL {
        check(&addon, (rule.propose)(&Case { report: &report, addon: &addon, version: &"19.0".parse().unwrap(), index: Index::default() }));
    }
}

fn check(addon: &Addon, proposals: Vec<Proposal>) {
    for Proposal { summary, patch, .. } in proposals {
        assert!(patch.changes().iter().all(|change| change.path.module() == addon.name().as_str()));
        assert!(!patch.unified_diff().is_empty() && !summary.is_empty());
    }
}

/// Pieces of real files, so that the rules get past their parsers.
fn soup(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![9 => proptest::sample::select(pieces).prop_map(str::to_owned), 1 => any::<String>()];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

const XML: &[&str] = &[
    "<odoo>",
    "</odoo>",
    "<record id=\"v\" model=\"ir.ui.view\">",
    "</record>",
    "<field name=\"arch\">",
    "<field name=\"model\">ir.ui.menu</field>",
    "</field>",
    "<tree>",
    "</tree>",
    "<tree/>",
    "<xpath expr=\"//tree/field[@name='groups_id']\"/>",
    "<field name=\"groups_id\"/>",
    "<a attrs=\"{'invisible': [('a','=',1)]}\" states='b'/>",
    "<attribute name=\"attrs\">{'required': True}</attribute>",
    "<search>",
    "</search>",
    "<group expand='1'/>",
    "<record id=\"group_y\" model=\"res.groups\"><field name=\"category_id\" ref=\"x\"/></record>",
    "&",
    "&amp;",
    "\n",
    "\r\n",
    "é",
    " ",
    "<record model=\"ir.cron\"><field name=\"numbercall\">1</field></record>",
    "<p t-esc='é'/><xpath expr='//p[@t-esc]'/><field name='model'>mail.channel</field><x ref='fetchmail.é'/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
];

const PYTHON: &[&str] = &[
    "class A(models.Model):\n",
    "    ",
    "\n",
    "_name = 'a.b'\n",
    "_sql_constraints = [('a', 'b', 'c')]\n",
    "from . import x\n",
    "from odoo import models, api\n",
    "from odoo.exceptions import Warning, UserError\n",
    "def ph(cr, registry):\n",
    "env = api.Environment(cr, SUPERUSER_ID, {})\n",
    "Warning('é')\n",
    "models.NewId\n",
    "self.env.user.groups_id\n",
    "{'view_mode': 'tree,form', 'data': ['v.xml', \"w.xml\"], 'post_init_hook': 'ph'}\n",
    "slug(x)\n",
    "'groups_id'",
    "(",
    ")",
    "[",
    "]",
    ",",
    "#é\n",
    "from odoo.addons.http_routing.models.ir_http import slug\n",
    "self.write({'groups_id': 1})\n",
    "env['ir.attachment'].create({'datas': base64.b64encode('é')})\n",
    "{'depends': ['fetchmail', \"mail\",]}\n",
    "not env['mail.channel']._check_recursion()\n",
    "pass\n",
    "\\",
];

const CSV: &[&str] =
    &["id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink", "\n", "\r", "\"", ",", "m.group_x", "model_x", "é"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_rule_panics(xml in soup(XML), python in soup(PYTHON), manifest in soup(PYTHON), csv in soup(CSV), text in any::<String>()) {
        let files = [("__manifest__.py", manifest.as_str()), ("__init__.py", &python), ("v.xml", &xml), ("security/ir.model.access.csv", &csv), ("a.csv", &csv)];
        let addon = addon(&files);
        for class in [ErrorClass::TestFailure, ErrorClass::Other] {
            let version = "19.0".parse().unwrap();
            for rule in ALL {
                let report = report(class, EVERYTHING);
                check(&addon, (rule.propose)(&Case { report: &report, addon: &addon, version: &version, index: Index::default() }));
            }
            let report = report(class, &text);
            ALL.iter().for_each(|rule| drop((rule.propose)(&Case { report: &report, addon: &addon, version: &"18.0".parse().unwrap(), index: Index::default() })));
        }
    }
}

/// What the first safe and the first other candidate leave of one file.
fn graded_files(
    files: &[(&str, &str)],
    path: &str,
    class: ErrorClass,
    text: &str,
    core: &[(&str, &[(&str, &str)])],
) -> Vec<(String, bool, String)> {
    let before = addon(files);
    let found = super::testing_index::candidates_in_core(core, files, class, text);
    let of = |candidate: Candidate| {
        let after = before.with(&candidate.patch);
        let text = after.path(path).and_then(|path| after.text(&path).map(str::to_owned)).unwrap_or_default();
        assert_eq!(candidate.is_safe(), candidate.doubt.is_none());
        (candidate.name(), candidate.is_safe(), text)
    };
    found.into_iter().map(of).collect()
}

const SALE: &str = "class S(models.Model):\n    _name = 'sale.order'\n    def action_lock(self):\n        pass\n";

#[test]
fn renamed_method_of_a_button_comes_before_its_removal() {
    let view = "<odoo><record id='v' model='ir.ui.view'><field name='model'>sale.order</field><field name='arch'><form><button name='action_done' type='object' invisible='locked'/></form></field></record></odoo>";
    let files = [("__manifest__.py", "{'depends': ['sales'], 'data': ['v.xml']}"), ("v.xml", view)];
    let core: [(&str, &[(&str, &str)]); 1] = [("sales", &[("__manifest__.py", "{'depends': ['base']}"), ("s.py", SALE)])];
    let text = "action_done is not a valid action on sale.order";
    let found = graded_files(&files, "v.xml", ErrorClass::ViewInvalidAction, text, &core);
    assert_eq!(found, [("view_button".to_owned(), true, view.replace("action_done", "action_lock"))]);
    let python = "class A(models.Model):\n    _inherit = 'sale.order'\n    def f(self):\n        self.action_done()\n        self.picking_ids.action_done()\n";
    let files = [("__manifest__.py", "{'depends': ['sales']}"), ("a.py", python)];
    let text = "AttributeError: 'sale.order' object has no attribute 'action_done'";
    let found = graded_files(&files, "a.py", ErrorClass::AttributeMissing, text, &core);
    assert_eq!(found[0], ("renamed_method".to_owned(), true, python.replace("self.action_done", "self.action_lock")));
}

#[test]
fn values_of_a_merged_field_are_kept() {
    let python = "class A(models.Model):\n    _name = 'm.a'\n    def f(self):\n        self.env['res.partner'].create({'name': 'x', 'mobile': self.cell})\n";
    let text = "ValueError: Invalid field 'mobile' in 'res.partner'";
    let files = [("__manifest__.py", "{'depends': ['base']}"), ("a.py", python)];
    let found = graded_files(&files, "a.py", ErrorClass::FieldInvalid, text, &[]);
    assert_eq!(found[0], ("renamed_field?".to_owned(), false, python.replace("'mobile'", "'phone'")));
    let both = python.replace("'name': 'x'", "'phone': self.landline");
    let files = [("__manifest__.py", "{'depends': ['base']}"), ("a.py", both.as_str())];
    let found = graded_files(&files, "a.py", ErrorClass::FieldInvalid, text, &[]);
    let kept = both.replace("{'phone': self.landline, 'mobile': self.cell}", "{'phone': self.landline or self.cell}");
    assert_eq!(found[0], ("renamed_field?".to_owned(), false, kept));
}

#[test]
fn opposite_field_gets_the_opposite_value() {
    let python = "class A(models.Model):\n    _inherit = 'account.move'\n    def f(self):\n        self.write({'to_check': True})\n        self.to_check = self.x\n        return self.to_check, not self.to_check, self.search([('to_check', '=', True)])\n";
    let text = "ValueError: Invalid field 'to_check' in 'account.move'";
    let files = [("__manifest__.py", "{'depends': ['base']}"), ("a.py", python)];
    let found = graded_files(&files, "a.py", ErrorClass::FieldInvalid, text, &[]);
    let after = "class A(models.Model):\n    _inherit = 'account.move'\n    def f(self):\n        self.write({'checked': False})\n        self.checked = not self.x\n        return (not self.checked), self.checked, self.search([('checked', '=', False)])\n";
    assert_eq!(found[0], ("renamed_field?".to_owned(), false, after.to_owned()));
}

#[test]
fn wider_odoo_model_is_asked_with_its_condition() {
    let version = "class V(models.Model):\n    _name = 'hr.version'\n";
    let core: [(&str, &[(&str, &str)]); 1] = [("hr", &[("__manifest__.py", "{'depends': ['base']}"), ("v.py", version)])];
    let python = "class A(models.Model):\n    _name = 'm.a'\n    def f(self):\n        return self.env['hr.contract'].search_count([('employee_id', '=', self.id)])\n";
    let files = [("__manifest__.py", "{'depends': ['hr']}"), ("a.py", python)];
    let found = graded_files(
        &files,
        "a.py",
        ErrorClass::ModelMissing,
        "KeyError: 'hr.contract'\nModel 'hr.contract' does not exist in registry",
        &core,
    );
    let after = python.replace("hr.contract", "hr.version").replace("[(", "[('contract_date_start', '!=', False), (");
    assert_eq!(found[0], ("renamed_odoo_model?".to_owned(), false, after));
}

#[test]
fn value_that_says_what_odoo_does_anyway_goes_safely() {
    let cron = |value: &str| {
        format!("<odoo><record id='c' model='ir.cron'><field name='name'>x</field><field name='numbercall'>{value}</field></record></odoo>")
    };
    let text = "ValueError: Invalid field 'numbercall' in 'ir.cron'";
    for (value, safe) in [("-1", true), ("5", false)] {
        let xml = cron(value);
        let files = [("__manifest__.py", "{'depends': ['base'], 'data': ['v.xml']}"), ("v.xml", xml.as_str())];
        let found = graded_files(&files, "v.xml", ErrorClass::FieldInvalid, text, &[]);
        assert_eq!(found[0].1, safe, "{found:?}");
        assert!(!found[0].2.contains("numbercall"));
    }
}

#[test]
fn what_takes_nothing_away_comes_first() {
    let files = [
        ("__manifest__.py", "{'depends': ['base'], 'data': ['v.xml']}"),
        (
            "v.xml",
            "<odoo><record id='v' model='ir.ui.view'><field name='model'>res.partner</field><field name='arch'><form><field name='nme'/></form></field></record></odoo>",
        ),
    ];
    let found = super::testing_index::candidates_in_core(
        &[],
        &files,
        ErrorClass::ViewUnknownField,
        "Field \"nme\" does not exist in model \"res.partner\"",
    );
    let order: Vec<_> = found.iter().map(|candidate| std::cmp::Reverse(candidate.applicability)).collect();
    assert!(order.is_sorted() && found.iter().all(|candidate| candidate.is_safe() == candidate.doubt.is_none()));
}
