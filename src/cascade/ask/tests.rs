//! The checks on what Claude offers. The call itself is tested against a local server in `tests/integration/claude.rs`.

use super::edits::{Edit, to_patch};
use super::*;
use crate::domain::{ErrorClass, Fault, ObjectRef};

pub(super) fn report(class: &str, text: &str) -> ErrorReport {
    ErrorReport {
        fingerprint: "0".repeat(32).parse().unwrap(),
        class: ErrorClass::ALL.iter().copied().find(|found| found.as_str() == class).unwrap(),
        fault: Fault::Code,
        title: "ParseError".to_owned(),
        occurred_at: None,
        level: "ERROR".to_owned(),
        logger: "odoo.registry".to_owned(),
        database: None,
        odoo_version: None,
        module: Some("shop".parse().unwrap()),
        location: None,
        object: ObjectRef::default(),
        chain: Vec::new(),
        text: text.to_owned(),
    }
}

pub(super) fn addon(files: &[(&str, &str)]) -> Addon {
    let files = files.iter().map(|(path, text)| (format!("shop/{path}").parse().unwrap(), text.as_bytes().to_vec()));
    Addon::new("shop".parse().unwrap(), files)
}

const MANIFEST: &str =
    "{\n    'name': 'Shop',\n    'data': [\n        'security/ir.model.access.csv',\n        'views/v.xml',\n    ],\n}\n";
const PYTHON: &str =
    "class Order(models.Model):\n    _name = 'shop.order'\n\n    def total(self):\n        return self.env['x'].sudo().search([])\n";
const ACCESS: &str =
    "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na_user,a,model_shop_order,base.group_user,1,0,0,0\n";
const RULES: &str = "<odoo>\n<record id='r' model='ir.rule'><field name='domain_force'>[('a','=',1)]</field></record>\n<record id='g' model='res.groups'><field name='users' eval='[(4, 2)]'/><field name='category_id' ref='c'/></record>\n</odoo>\n";

fn offered(edits: &[(&str, &str, &str)]) -> Result<Patch, Vec<String>> {
    let addon = addon(&[
        ("__manifest__.py", MANIFEST),
        ("models/order.py", PYTHON),
        ("security/ir.model.access.csv", ACCESS),
        ("security/rules.xml", RULES),
        ("views/v.xml", "<odoo>\r\n<tree/>\r\n<tree/>\r\n</odoo>\r\n"),
        ("tests/test_order.py", "assert True\n"),
        ("models/__init__.py", ""),
    ]);
    let edits: Vec<Edit> = edits
        .iter()
        .map(|(path, find, replace)| Edit { path: (*path).to_owned(), find: (*find).to_owned(), replace: (*replace).to_owned() })
        .collect();
    to_patch(&addon, &edits)
}

#[track_caller]
fn refused(edits: &[(&str, &str, &str)], reason: &str) {
    let reasons = offered(edits).unwrap_err();
    assert!(reasons.iter().any(|found| found.contains(reason)), "{reasons:?} lacks {reason:?}");
}

#[test]
fn edits_build_on_each_other() {
    let patch = offered(&[
        ("shop/models/order.py", "def total", "def sum"),
        ("shop/models/order.py", "def sum(self)", "def sum_up(self)"),
        ("shop/models/new.py", "", "a = 1\n"),
        ("shop/models/__init__.py", "", "from . import new\n"),
    ])
    .unwrap();
    assert_eq!(patch.changes().len(), 3);
    assert!(patch.unified_diff().contains("+    def sum_up(self):"));
}

#[test]
fn line_ends_of_the_file_are_kept() {
    let patch = offered(&[("shop/views/v.xml", "<odoo>\n<tree/>", "<odoo>\n<list/>\n<!-- new -->")]).unwrap();
    assert_eq!(patch.changes()[0].after, "<odoo>\r\n<list/>\r\n<!-- new -->\r\n<tree/>\r\n</odoo>\r\n");
}

#[test]
fn find_must_be_unique() {
    refused(&[("shop/views/v.xml", "<tree/>", "<list/>")], "more than once");
    refused(&[("shop/views/v.xml", "<kanban/>", "<list/>")], "is not in");
    refused(&[("shop/models/order.py", "", "x = 1")], "must say what to replace");
    // Overlapping occurrences are two as well.
    refused(&[("shop/models/new.py", "", "x = 'aaa'"), ("shop/models/new.py", "aa", "b")], "more than once");
}

#[test]
fn edit_cannot_leave_the_addon() {
    for path in ["../x.py", "/etc/passwd", "other/models/x.py", "shop/../other/x.py", "shop", "shop/.git/hooks/x.py", "", "shop\\x.py"] {
        assert!(offered(&[(path, "", "x = 1\n")]).is_err(), "{path:?}");
    }
    refused(&[("other/models/x.py", "", "x")], "not inside the addon shop");
    for path in ["shop/run.sh", "shop/Makefile", "shop/.pylintrc.py", "shop/lib.so"] {
        assert!(offered(&[(path, "", "x")]).is_err(), "{path:?}");
    }
}

#[test]
fn tests_are_not_edited() {
    refused(&[("shop/tests/test_order.py", "assert True", "pass")], "is a test");
    for path in ["shop/Tests/helper.py", "shop/models/test_x.py", "shop/conftest.py", "shop/static/tests/a.js"] {
        refused(&[(path, "", "x")], "is a test");
    }
    refused(&[("shop/models/order.py", "return", "if config['test_enable']: return 0\n        return")], "under test");
}

#[test]
fn sudo_is_not_added() {
    refused(&[("shop/models/order.py", "def total(self):", "def total(self):\n        self = self.sudo()")], "adds sudo");
    refused(&[("shop/models/new.py", "", "x = env.sudo ()\n")], "adds sudo");
    // Neither moved within a file, nor put together from two edits.
    refused(
        &[("shop/models/order.py", ".sudo()", ""), ("shop/models/order.py", "def total(self):", "def total(self):\n        self.sudo()")],
        "adds sudo",
    );
    refused(
        &[("shop/models/order.py", "def total(self):", "def total(self):\n        self.suXdo()"), ("shop/models/order.py", "Xd", "d")],
        "adds sudo",
    );
    assert!(offered(&[("shop/models/order.py", "['x'].sudo()", "['y'].sudo()")]).is_ok());
}

#[test]
fn other_dangers_are_not_added() {
    for (line, reason) in [
        ("import subprocess\n", "runs another program"),
        ("os.system('x')\n", "runs another program"),
        ("eval('1')\n", "evaluates text"),
        ("@route('/x', auth='public')\n", "public"),
        ("@route('/x', csrf=False)\n", "forgery"),
        ("env['ir.rule'].search([]).unlink()\n", "access rights by code"),
        ("self.with_user(SUPERUSER_ID)\n", "superuser"),
    ] {
        refused(&[("shop/models/new.py", "", line)], reason);
    }
    assert!(offered(&[("shop/models/new.py", "", "safe_eval('1')\nre.compile('x')\n")]).is_ok());
}

#[test]
fn manifest_keeps_its_files() {
    refused(&[("shop/__manifest__.py", "        'views/v.xml',\n", "")], "leaves out views/v.xml");
    refused(&[("shop/__manifest__.py", "'views/v.xml',", "# 'views/v.xml',")], "leaves out views/v.xml");
    refused(&[("shop/__manifest__.py", "'name': 'Shop',", "'name': 'Shop', 'installable': False,")], "not installable");
    let moved = "        'views/v.xml',\n        'security/ir.model.access.csv',\n        'security/rules.xml',\n";
    assert!(offered(&[("shop/__manifest__.py", "        'security/ir.model.access.csv',\n        'views/v.xml',\n", moved)]).is_ok());
}

#[test]
fn manifest_must_stay_readable() {
    refused(&[("shop/__manifest__.py", "'data': [", "'data': ")], "is not valid Python");
    refused(&[("shop/__manifest__.py", "'name': 'Shop',", "'installable': None,")], "not installable");
    let broken = MANIFEST.replace("'name': 'Shop',", "'name': 'Shop'");
    let addon = addon(&[("__manifest__.py", &broken), ("views/v.xml", "<odoo/>"), ("security/ir.model.access.csv", ACCESS)]);
    let mended = |find: &str, replace: &str| {
        let edit = |find: &str, replace: &str| Edit {
            path: "shop/__manifest__.py".to_owned(),
            find: find.to_owned(),
            replace: replace.to_owned(),
        };
        to_patch(&addon, &[edit("'Shop'", "'Shop',"), edit(find, replace)])
    };
    assert!(mended("'views/v.xml',", "'views/v.xml', ").is_ok());
    assert!(mended("'views/v.xml',", "# 'views/v.xml',").unwrap_err()[0].contains("leaves out views/v.xml"));
}

#[test]
fn existing_rows_gain_no_right() {
    let csv = "shop/security/ir.model.access.csv";
    refused(&[(csv, "base.group_user,1,0", "base.group_user,1,1")], "gives a right");
    refused(&[(csv, "base.group_user", "")], "another group");
    refused(&[(csv, "1,0,0,0\n", "1,0,0,0\nb,b,model_shop_order,base.group_user,1,1,1,1\n")], "has rights already");
    refused(&[(csv, "1,0,0,0\n", "1,0,0,0\nb,b,base.model_res_users,base.group_user,1,1,1,1\n")], "does not define");
    refused(&[(csv, "id,name", "ident,name")], "no column `id`");
    assert!(offered(&[(csv, "base.group_user,1,0", "base.group_user,0,0")]).is_ok());
}

#[test]
fn new_model_gets_its_first_rights() {
    let python = "class Line(models.Model):\n    _name = 'shop.line'\n";
    let rows = |group: &str| format!("1,0,0,0\nline,line,model_shop_line,{group},1,1,1,0\n");
    let offer =
        |group: &str| offered(&[("shop/models/line.py", "", python), ("shop/security/ir.model.access.csv", "1,0,0,0\n", &rows(group))]);
    assert!(offer("base.group_user").is_ok());
    assert!(offer("").is_err() && offer("base.group_portal").is_err());
}

#[test]
fn rules_and_members_stay() {
    let xml = "shop/security/rules.xml";
    refused(&[(xml, "[('a','=',1)]", "[(1,'=',1)]")], "changes access rights");
    refused(&[(xml, "[(4, 2)]", "[(4, 2), (4, 3)]")], "changes access rights");
    refused(&[(xml, "</odoo>", "<delete model='ir.rule' id='r'/></odoo>")], "changes access rights");
    refused(&[(xml, "</odoo>", "<function model='res.users' name='write'/></odoo>")], "changes access rights");
    refused(&[("shop/views/v.xml", "</odoo>", "<record id='n' model='ir&#46;rule'/></odoo>")], "changes access rights");
    refused(&[(xml, "</odoo>", "")], "no well-formed XML");
    // What the series 19 renamed is no change of rights.
    assert!(offered(&[(xml, "name='users'", "name='user_ids'"), (xml, "category_id", "privilege_id")]).is_ok());
}

#[test]
fn garbage_edits_are_survived() {
    let deep = format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let brackets = "[{(".repeat(50_000);
    for text in [deep.as_str(), "<odoo", "\u{0}", "<!DOCTYPE x [<!ENTITY a '&a;'>]><x>&a;</x>", &brackets] {
        let _ = offered(&[("shop/views/deep.xml", "", text), ("shop/models/deep.py", "", text)]);
        let _ = offered(&[("shop/__manifest__.py", MANIFEST, text), ("shop/security/ir.model.access.csv", ACCESS, text)]);
    }
}

#[test]
fn one_refusal_spoils_the_patch() {
    let answer = |fixable, find: &str| Answer {
        cause: "It \u{202e}is so.".to_owned(),
        fixable,
        edits: vec![
            Edit { path: "shop/a.py".to_owned(), find: String::new(), replace: "a = 1\n".to_owned() },
            Edit { path: "shop/b.py".to_owned(), find: find.to_owned(), replace: "b = 1\n".to_owned() },
        ],
        summary: "x".repeat(100_000),
    };
    let judge = |answer: &Answer| judged(&report("other", "x"), &addon(&[]), answer, Cost::default());
    let asked = judge(&answer(true, "gone"));
    assert!(asked.proposal.is_none() && asked.refused.len() == 1 && asked.diagnosis.why_not_fixed.contains("shop/b.py"));
    assert_eq!(asked.diagnosis.cause, "It is so.");
    let asked = judge(&answer(true, ""));
    assert_eq!(asked.proposal.unwrap().summary.len(), MAX_WORDS);
    assert!(judge(&answer(false, "")).proposal.is_none());
}

#[test]
fn empty_offer_is_no_patch() {
    refused(&[], "changes nothing");
    refused(&[("shop/models/order.py", "total", "total")], "changes nothing");
    let huge = "x".repeat(2 * 1024 * 1024);
    refused(&[("shop/models/new.py", "", &huge)], "too large");
}

#[test]
fn example_fits_its_schema() {
    let schema: Value = serde_json::from_str(crate::domain::JobKind::DebugError.schema()).unwrap();
    let example: Value = serde_json::from_str(include_str!("../../../jobs/debug_error/example.json")).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().validate(&example).is_ok());
}
