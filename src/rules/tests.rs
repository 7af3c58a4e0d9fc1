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
