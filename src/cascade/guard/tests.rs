//! What is refused, and for whom.

use super::*;
use crate::domain::FileChange;

mod rules;

const MANIFEST: &str =
    "{\n    'name': 'Shop',\n    'data': [\n        'security/ir.model.access.csv',\n        'views/v.xml',\n    ],\n}\n";
const PYTHON: &str = "class Order(models.Model):\n    _name = 'shop.order'\n    note = fields.Char(groups='base.group_user')\n\n    def total(self):\n        self.check_access('read')\n        return self.env['x'].sudo().search([])\n\n    def count(self):\n        return self.env['x'].search_count([])\n";
const EXTENDS: &str = "class Partner(models.Model):\n    _name = 'res.partner'\n    _inherit = ['res.partner', 'mail.thread']\n";
const ACCESS: &str = "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na_user,a,model_shop_order,base.group_user,1,0,0,0\nold,a,model_shop_ordr,shop.group_bos,1,1,1,1\n";
const RULES: &str = "<odoo>\n<record id='group_boss' model='res.groups'/>\n<record id='r' model='ir.rule'><field name='domain_force'>[('a','=',1)]</field></record>\n<record id='g' model='res.groups'><field name='users' eval='[(4, 2)]'/><field name='category_id' ref='c'/></record>\n</odoo>\n";
const AMPERSAND: &str =
    "<odoo><record id='h' model='res.groups'><field name='name'>R & D</field><field name='users' eval='[(4, 2)]'/></record></odoo>";
const TEST: &str = "@tagged('post_install', '-at_install')\nclass TestOrder(SavepointCase):\n    def setUp(self):\n        super().setUp()\n        self.user.groups_id = self.group\n\n    def test_total(self):\n        # assert what it says\n        self.assertEqual(self.order.total, 1)\n        with self.assertRaises(UserError):\n            raise UserError('x')\n";
const INIT: &str = "from . import test_order\nfrom . import test_gone\n";

fn shop() -> Addon {
    let files = [
        ("__manifest__.py", MANIFEST),
        ("models/order.py", PYTHON),
        ("models/partner.py", EXTENDS),
        ("models/__init__.py", ""),
        ("security/ir.model.access.csv", ACCESS),
        ("security/rules.xml", RULES),
        ("security/amp.xml", AMPERSAND),
        ("views/v.xml", "<odoo>\n<tree/>\n</odoo>\n"),
        ("tests/__init__.py", INIT),
        ("tests/common.py", "class Common(TransactionCase):\n    pass\n"),
        ("tests/test_order.py", TEST),
        ("conftest.py", "x = 1\n"),
    ];
    let files = files.map(|(path, text)| (format!("shop/{path}").parse().unwrap(), text.as_bytes().to_vec()));
    let latin = ("shop/models/latin.py".parse().unwrap(), b"x = '\xe9'\n".to_vec());
    Addon::new("shop".parse().unwrap(), files.into_iter().chain([latin]))
}

fn claude() -> Source {
    Source::Claude
}

fn rule() -> Source {
    Source::Rule("renamed_field".to_owned())
}

/// The patch of `(path, what to replace, with what)`; nothing to replace: a new file.
fn patch(edits: &[(&str, &str, &str)]) -> Patch {
    let addon = shop();
    let mut changes: Vec<FileChange> = Vec::new();
    for (path, find, replace) in edits {
        let path = path.parse().unwrap();
        if !changes.iter().any(|change| change.path == path) {
            let before = addon.text(&path).map(str::to_owned);
            changes.push(FileChange { after: before.clone().unwrap_or_default(), path: path.clone(), before });
        }
        let change = changes.iter_mut().find(|change| change.path == path).unwrap();
        assert!(change.after.contains(find), "{find:?} is not in {path}");
        change.after = if find.is_empty() { (*replace).to_owned() } else { change.after.replacen(find, replace, 1) };
    }
    Patch::new(changes).unwrap()
}

fn reasons(edits: &[(&str, &str, &str)], author: &Source) -> Vec<String> {
    refusals(&shop(), &patch(edits), author)
}

/// Refused whoever made it.
#[track_caller]
fn refused(edits: &[(&str, &str, &str)], reason: &str) {
    for author in [claude(), rule(), Source::Recall, Source::Person] {
        let reasons = reasons(edits, &author);
        assert!(reasons.iter().any(|found| found.contains(reason)), "{author}: {reasons:?} lacks {reason:?}");
    }
}

#[track_caller]
fn allowed(edits: &[(&str, &str, &str)]) {
    for author in [claude(), rule(), Source::Recall, Source::Person] {
        assert_eq!(reasons(edits, &author), [""; 0], "{author}");
    }
}

#[test]
fn patch_stays_in_its_place() {
    refused(&[("other/models/x.py", "", "x")], "not inside the addon shop");
    refused(&[("shop", "", "x")], "not inside the addon shop");
    refused(&[("shop/.pylintrc.py", "", "x")], "hidden");
    for path in ["shop/run.sh", "shop/Makefile", "shop/lib.so", "shop/static/x.png"] {
        refused(&[(path, "", "x")], "no kind of file");
    }
    refused(&[("shop/models/latin.py", "", "x = 1\n")], "is no UTF-8 text");
}

#[test]
fn patch_is_text() {
    for text in ["a\0b", "\u{1b}[2K", "x\u{7f}", "x\u{85}"] {
        refused(&[("shop/models/new.py", "", text)], "control characters");
    }
    refused(&[("shop/models/new.py", "", "x = 1 # \u{202e}1 == x")], "in another order");
    allowed(&[("shop/models/new.py", "", "x = 'é'\t\r\n"), ("shop/i18n/he.po", "", "msgstr \"\u{202b}\"\n")]);
}

#[test]
fn tests_are_for_rules_to_rename_in() {
    for path in ["shop/tests/test_new.py", "shop/Tests/helper.py", "shop/models/test_x.py", "shop/static/tests/a.js", "shop/tests.py"] {
        for author in [claude(), Source::Recall, Source::Person] {
            assert!(reasons(&[(path, "", "x = 1")], &author)[0].contains("is a test"), "{path}");
        }
        assert_eq!(reasons(&[(path, "", "x = 1")], &rule()), [""; 0], "{path}");
    }
    let renamed = [
        ("shop/tests/test_order.py", "groups_id", "group_ids"),
        ("shop/tests/test_order.py", "SavepointCase", "TransactionCase"),
        ("shop/tests/__init__.py", "from . import test_gone\n", ""),
    ];
    assert_eq!(reasons(&renamed, &rule()), [""; 0]);
    for author in [claude(), Source::Person] {
        assert!(reasons(&renamed, &author)[0].contains("is a test"), "{author}");
    }
}

#[test]
fn tests_are_not_weakened() {
    let file = "shop/tests/test_order.py";
    for (find, replace) in [
        ("    def test_total", "    def total"),
        ("test_total", "test_other"),
        ("self.assertEqual(self.order.total, 1)", "self.order.total"),
        ("        self.assertEqual", "        # self.assertEqual"),
        ("self.assertEqual(self.order.total, 1)", "'''self.assertEqual(self.order.total, 1)'''"),
        ("raise UserError('x')", "pass"),
        ("    def test_total(self):\n", "    def test_total(self):\n        return\n"),
        ("    def test_total(self):\n", "    def test_total(self):\n        self.skipTest('x')\n"),
        ("    def test_total", "    @unittest.expectedFailure\n    def test_total"),
        ("'post_install', '-at_install'", "'-standard', '-at_install', 'post_install'"),
        ("'-at_install'", "'at_install'"),
        ("class TestOrder", "@tagged('-standard')\nclass TestOrder"),
        ("class TestOrder", "class Order"),
        ("SavepointCase", "object"),
        ("(SavepointCase)", ""),
        ("super().setUp()", "try:\n            super().setUp()\n        except Exception:\n            x"),
        ("super().setUp()", "super().setUp()\n        self.patch(self.order, 'total', 1)"),
    ] {
        refused(&[(file, find, replace)], "weakens");
    }
    // An assertion that moved asserts something else, or nothing.
    refused(
        &[(file, "        self.assertEqual(self.order.total, 1)\n", ""), (file, "super().setUp()", "self.assertEqual(1, 1)")],
        "weakens",
    );
    refused(&[("shop/tests/__init__.py", "from . import test_order\n", "")], "weakens");
    refused(&[("shop/tests/__init__.py", "from . import test_order\n", "# from . import test_order\n")], "weakens");
    refused(&[(file, "self.order.total", "self.order.sudo().total")], "adds sudo");
}

#[test]
fn test_framework_stays() {
    refused(&[("shop/conftest.py", "x = 1", "x = 2")], "how tests are run");
    for path in ["shop/pytest.ini", "shop/tox.ini", "shop/setup.cfg"] {
        refused(&[(path, "", "x")], "how tests are run");
    }
    for line in [
        "from odoo.tests import common\n",
        "from odoo import models, tests\n",
        "import unittest\n",
        "if config['test_enable']: x()\n",
        "config['test_tags'] = 'none'\n",
    ] {
        refused(&[("shop/models/new.py", "", line)], "under test");
    }
    refused(&[("shop/models/order.py", "return", "if config['test_enable']: return 0\n        return")], "under test");
}

#[test]
fn sudo_is_not_added() {
    let file = "shop/models/order.py";
    refused(&[(file, "def total(self):", "def total(self):\n        self = self.sudo()")], "adds sudo");
    for line in ["x = env.sudo ()\n", "x = env(su=True)\n", "getattr(self, 'su' + 'do')()\n", "getattr(self, 'su' 'do')()\n"] {
        refused(&[("shop/models/new.py", "", line)], "adds sudo");
    }
    for value in ["env(su=1)", "env(su=not False)", "env(su = False or 1)", "env(**{'su': True})", "env(su=Fake)", "vars(env)['su'] = 1"] {
        refused(&[("shop/models/new.py", "", &format!("x = {value}\n"))], "adds sudo");
    }
    refused(&[("shop/views/v.xml", "<tree/>", "<field name='code'>env.su&#x64;o()</field>")], "adds sudo");
    // Neither moved within a method nor to another one, even where one hunk takes it away and adds it.
    refused(&[(file, ".sudo()", ""), (file, "def total(self):", "def total(self):\n        self = self.sudo()")], "adds sudo");
    refused(&[(file, ".sudo()", ""), (file, "search_count", "sudo().search_count")], "adds sudo");
    let swapped = [(
        file,
        ".sudo().search([])\n\n    def count(self):\n        return self.env['x']",
        ".search([])\n    def count(self):\n        return self.env['x'].sudo()",
    )];
    refused(&swapped, "adds sudo");
    refused(&[("shop/models/new.py", "", "self.ｓｕｄｏ()\n")], "letters");
    // What stays where it was is no addition, under whatever name.
    allowed(&[(file, "['x'].sudo()", "['y'].sudo()")]);
    allowed(&[(file, "def total(self):", "def _compute_total(self):")]);
    allowed(&[(file, "fields.Char(", "fields.Text(string='Note für alle', ")]);
    for line in ["if self.env.su:\n            pass", "env = self.env(su=False)", "x = self.env.su == y", "issue = 1", "sub: int = 1"] {
        allowed(&[(file, "return self.env['x'].search_count", &format!("{line}\n        return self.env['x'].search_count"))]);
    }
}

#[test]
fn superuser_by_another_name_is_not_added() {
    for value in ["r.with_user(user=1)", "r.with_user( user = 2 )", "env.ref('base.user_admin')", "env.ref('base.' 'user_root')"] {
        refused(&[("shop/models/new.py", "", &format!("x = {value}\n"))], "superuser");
    }
}

#[test]
fn python_reads_the_text_that_was_checked() {
    for head in ["# coding: utf-7\n", "#!/bin/x\n# -*- coding: latin-1 -*-\n", "\x0c #vim:fileencoding=utf_7\r\n", "x\r#coding=rot13\n"] {
        refused(&[("shop/models/new.py", "", &format!("{head}x = 1\n"))], "coding line");
    }
    for head in ["# -*- coding: utf-8 -*-\n", "# coding=UTF8\n", "\n# coding: utf_8\n", "\n\n# coding: latin-1\n", "# encoding\n"] {
        allowed(&[("shop/models/new.py", "", &format!("{head}x = 1\n"))]);
    }
}

#[test]
fn other_dangers_are_not_added() {
    for (line, reason) in [
        ("import subprocess\n", "runs another program"),
        ("os.system('x')\n", "runs another program"),
        ("os._exit(0)\n", "runs another program"),
        ("sys.exit(0)\n", "ends its own"),
        ("eval('1')\n", "evaluates text"),
        ("@route('/x', auth='public')\n", "public"),
        ("@route('/x', csrf=False)\n", "forgery"),
        ("env['ir.rule'].search([]).unlink()\n", "access rights by code"),
        ("user.write({'groups_id': [(4, 1)]})\n", "belongs to a group"),
        ("cr.execute('UPDATE ir_model_access SET perm_write = true')\n", "by SQL"),
        ("self.with_user(SUPERUSER_ID)\n", "superuser"),
        ("self.env(user=1)\n", "superuser"),
        ("logging.disable(50)\n", "silences the log"),
    ] {
        refused(&[("shop/models/new.py", "", line)], reason);
    }
    refused(&[("shop/data/x.sql", "", "delete from ir_rule;\n")], "by SQL");
    allowed(&[("shop/models/new.py", "", "safe_eval('1')\nre.compile('x')\n")]);
}

#[test]
fn limits_are_not_lifted() {
    let file = "shop/models/order.py";
    refused(&[(file, "groups='base.group_user'", "")], "limited to groups");
    refused(&[(file, "        self.check_access('read')\n", "")], "takes the checks");
    allowed(&[(file, "check_access('read')", "check_access('write')")]);
}

#[test]
fn manifest_keeps_its_files() {
    let file = "shop/__manifest__.py";
    refused(&[(file, "        'views/v.xml',\n", "")], "leaves out views/v.xml");
    refused(&[(file, "'views/v.xml',", "# 'views/v.xml',")], "leaves out views/v.xml");
    refused(&[(file, "'name': 'Shop',", "'name': 'Shop', 'installable': False,")], "not installable");
    refused(&[(file, "'name': 'Shop',", "'installable': None,")], "not installable");
    refused(&[(file, "'data': [", "'data': ")], "is not valid Python");
    let moved = "        'views/v.xml',\n        'security/ir.model.access.csv',\n        'security/rules.xml',\n";
    allowed(&[(file, "        'security/ir.model.access.csv',\n        'views/v.xml',\n", moved)]);
}

#[test]
fn mended_manifest_keeps_its_files() {
    let broken = MANIFEST.replace("'name': 'Shop',", "'name': 'Shop'");
    let file = |(path, text): (&str, &str)| (format!("shop/{path}").parse().unwrap(), text.as_bytes().to_vec());
    let addon = Addon::new("shop".parse().unwrap(), [("__manifest__.py", broken.as_str()), ("views/v.xml", "<odoo/>")].map(file));
    let mended = |after: String| {
        let change = FileChange { path: "shop/__manifest__.py".parse().unwrap(), before: Some(broken.clone()), after };
        refusals(&addon, &Patch::new(vec![change]).unwrap(), &claude())
    };
    assert_eq!(mended(MANIFEST.to_owned()), [""; 0]);
    assert!(mended(MANIFEST.replace("'views/v.xml',", "# 'views/v.xml',"))[0].contains("leaves out views/v.xml"));
}

#[test]
fn existing_rows_gain_no_right() {
    let csv = "shop/security/ir.model.access.csv";
    refused(&[(csv, "base.group_user,1,0", "base.group_user,1,1")], "gives a right");
    refused(&[(csv, "base.group_user", "")], "another group");
    refused(&[(csv, "1,0,0,0\n", "1,0,0,0\nb,b,model_shop_order,base.group_user,1,1,1,1\n")], "has rights already");
    refused(&[(csv, "1,0,0,0\n", "1,0,0,0\nb,b,base.model_res_users,base.group_user,1,1,1,1\n")], "does not define");
    // A name beside the inherited one defines nothing.
    refused(&[(csv, "1,0,0,0\n", "1,0,0,0\nb,b,model_res_partner,base.group_user,1,0,0,0\n")], "does not define");
    refused(&[(csv, "id,name", "ident,name")], "no column `id`");
    allowed(&[(csv, "base.group_user,1,0", "base.group_user,0,0")]);
}

#[test]
fn row_that_named_nothing_is_mended() {
    let csv = "shop/security/ir.model.access.csv";
    let mended = [(csv, "model_shop_ordr", "model_shop_order"), (csv, "shop.group_bos", "shop.group_boss")];
    allowed(&mended);
    allowed(&mended[..1]);
    refused(&[(csv, "model_shop_ordr", "model_res_partner")], "does not define");
    refused(&[(csv, "shop.group_bos", "base.group_user")], "another group");
    refused(&[mended[0], mended[1], (csv, "1,0,0,0\n", "1,0,0,1\n")], "gives a right");
}

#[test]
fn new_model_gets_its_first_rights() {
    let offer = |kind: &str, row: &str| {
        let python = format!("class Line(models.{kind}):\n    _name = 'shop.line'\n");
        let rows = format!("1,0,0,0\nline,line,model_shop_line,{row}\n");
        reasons(&[("shop/models/line.py", "", &python), ("shop/security/ir.model.access.csv", "1,0,0,0\n", &rows)], &claude())
    };
    assert_eq!(offer("Model", "base.group_user,1,0,0,0"), [""; 0]);
    assert_eq!(offer("TransientModel", "base.group_user,1,1,1,0"), [""; 0]);
    assert_eq!(offer("Model", "shop.group_boss,1,1,1,0"), [""; 0]);
    assert_eq!(offer("Model", "base.group_system,1,1,1,1"), [""; 0]);
    for row in ["base.group_user,1,1,1,0", "base.group_user,1,0,0,1", "shop.group_boss,1,1,1,1"] {
        assert!(offer("Model", row)[0].contains("more rights than it takes"), "{row}");
    }
    assert!(offer("TransientModel", "base.group_user,1,1,1,1")[0].contains("more rights than it takes"));
    assert!(offer("Model", ",1,0,0,0")[0].contains("everybody") && offer("Model", "base.group_portal,1,0,0,0")[0].contains("everybody"));
}

#[test]
fn rules_and_members_stay() {
    let xml = "shop/security/rules.xml";
    refused(&[(xml, "[('a','=',1)]", "[(1,'=',1)]")], "changes access rights");
    refused(&[(xml, "[(4, 2)]", "[(4, 2), (4, 3)]")], "changes access rights");
    refused(&[(xml, "</odoo>", "<delete model='ir.rule' id='r'/></odoo>")], "changes access rights");
    refused(&[(xml, "</odoo>", "<function model='res.users' name='write'/></odoo>")], "changes access rights");
    let user = "<record id='u' model='res.users'><field name='in_group_3' eval='1'/></record></odoo>";
    refused(&[(xml, "</odoo>", user)], "changes access rights");
    refused(&[("shop/views/v.xml", "</odoo>", "<record id='n' model='ir&#46;rule'/></odoo>")], "changes access rights");
    refused(&[("shop/security/ir.rule.csv", "", "id,name\n")], "changes access rights");
    refused(&[(xml, "</odoo>", "")], "no well-formed XML");
    // What the series 19 renamed is no change of rights.
    allowed(&[(xml, "name='users'", "name='user_ids'"), (xml, "category_id", "privilege_id")]);
}

/// Why a patch is refused that turns the second text, which stands in place of the first, into the third.
fn between(path: &str, place: &str, before: &str, after: &str) -> Vec<String> {
    let (path, addon): (crate::domain::RelPath, _) = (path.parse().unwrap(), shop());
    let text = addon.text(&path).unwrap().to_owned();
    let change = |before: String, after: String| Patch::new(vec![FileChange { path: path.clone(), before: Some(before), after }]).unwrap();
    let (old, new) = (text.replace(place, before), text.replace(place, after));
    refusals(&addon.with(&change(text, old.clone())), &change(old, new), &claude())
}

#[test]
fn what_odoo_renamed_is_named_as_it_is_now() {
    let (lot, now, user) = ("stock.model_stock_production_lot", "stock.model_stock_lot", "base.group_user");
    let row = |odoo_model: &str, group: &str, rights: &str| format!("1,0,0,0\nl,l,{odoo_model},{group},{rights}\n");
    let csv = |before: &str, after: &str| between("shop/security/ir.model.access.csv", "1,0,0,0\n", before, after);
    assert_eq!(csv(&row(lot, user, "1,0,0,0"), &row(now, user, "1,0,0,0")), [""; 0]);
    assert!(!csv(&row(now, user, "1,0,0,0"), &row(lot, user, "1,0,0,0")).is_empty());
    assert!(!csv(&row(lot, user, "1,0,0,0"), &row(now, user, "1,1,0,0")).is_empty());
    assert!(!csv(&row(lot, user, "1,0,0,0"), &row(now, "base.group_portal", "1,0,0,0")).is_empty());
    let record = |id: &str, domain: &str| {
        format!(
            "<record id='l' model='ir.rule'><field name='model_id' ref='{id}'/><field name='domain_force'>{domain}</field></record></odoo>"
        )
    };
    let xml = |before: &str, after: &str| between("shop/security/rules.xml", "</odoo>", before, after);
    assert_eq!(xml(&record(lot, "[]"), &record(now, "[]")), [""; 0]);
    assert!(!xml(&record(now, "[]"), &record(lot, "[]")).is_empty());
    assert!(!xml(&record(lot, "[]"), &record(now, "[(1, '=', 1)]")).is_empty());
    assert!(!xml(&record(lot, "[]"), "</odoo>").is_empty());
}

#[test]
fn rights_of_the_next_series_stay() {
    refused(&[("shop/security/ir.access.csv", "", "id,name\n")], "changes access rights");
    refused(&[("shop/views/v.xml", "</odoo>", "<record id='n' model='ir.access'/></odoo>")], "changes access rights");
}

#[test]
fn bare_ampersand_is_mended_beside_rights() {
    let xml = "shop/security/amp.xml";
    allowed(&[(xml, "R & D", "R &amp; D")]);
    refused(&[(xml, "R & D", "R &amp; D"), (xml, "[(4, 2)]", "[(4, 3)]")], "changes access rights");
    refused(&[(xml, "R & D", "R &amp; D"), (xml, "</odoo>", "<delete model='ir.rule' id='r'/></odoo>")], "changes access rights");
}

#[test]
fn garbage_is_survived() {
    let deep = format!("{}{}", "<a>".repeat(5_000), "</a>".repeat(5_000));
    let nested: String = (0..200).map(|depth| format!("{}def f():\n", " ".repeat(depth))).collect();
    let lines: String = (0..10_000).map(|line| format!("{}\n", line % 7)).collect();
    let brackets = "[{(".repeat(5_000);
    for text in
        [deep.as_str(), "<odoo", "\u{0}", "<!DOCTYPE x [<!ENTITY a '&a;'>]><x>&a;</x>", &brackets, &nested, &lines, "\r\u{85}\r\n\r"]
    {
        for path in [
            "views/v.xml",
            "models/order.py",
            "tests/test_order.py",
            "tests/__init__.py",
            "__manifest__.py",
            "security/ir.model.access.csv",
        ] {
            let path = format!("shop/{path}").parse().unwrap();
            let before = shop().text(&path).map(str::to_owned);
            let change = FileChange { path, before, after: text.to_owned() };
            let back = FileChange { path: change.path.clone(), before: Some(change.after.clone()), after: change.before.clone().unwrap() };
            for change in [change, back] {
                let _ = refusals(&shop(), &Patch::new(vec![change]).unwrap(), &rule());
            }
        }
    }
}
