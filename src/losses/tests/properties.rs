//! What holds for every patch.

use proptest::prelude::*;

use super::{NEW, lost, patch_of};
use crate::losses::reaches;

const PYTHON: &str = "from odoo import api, models\n\n\nclass A(models.Model):\n    _inherit = 'sale.order'\n    x = fields.Char(string='X')\n\n    @api.depends('name')\n    def f(self):\n        for rec in self.filtered(lambda r: r.state == 'sale'):\n            rec.x = rec.partner_id.name or _('None there')\n";
const XML: &str = "<odoo>\n    <record id=\"v\" model=\"ir.ui.view\">\n        <field name=\"arch\" type=\"xml\">\n            <form>\n                <field name=\"name\"/>\n            </form>\n        </field>\n    </record>\n</odoo>\n";

/// The text with these lines between its own.
fn with_lines(text: &str, at: usize, lines: &str) -> String {
    let mut all: Vec<&str> = text.split_inclusive('\n').collect();
    let place = at % (all.len() + 1);
    all.insert(place, lines);
    all.concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn garbage_never_panics(
        path in "(a|__manifest__|__init__|security/ir\\.model\\.access|i18n/de|a/b)\\.(py|xml|csv|po|js|md)",
        before in "(class A\\(models.Model\\):\n    x = fields.)?(<odoo><record id='x' model='ir.ui.view'>)?[a-zA-Z0-9_=\"'<>/(){}\\[\\],.:%@#\n \\\\ä]{0,120}",
        after in "(class A\\(models.Model\\):\n    x = fields.)?(<odoo><record id='x' model='ir.ui.view'>)?[a-zA-Z0-9_=\"'<>/(){}\\[\\],.:%@#\n \\\\ä]{0,120}",
    ) {
        prop_assume!(before != after);
        let files = [(path.as_str(), before.as_str(), after.as_str())];
        lost(&files);
        reaches(&patch_of(&files));
    }

    #[test]
    fn cut_off_sources_never_panic(at in 0..PYTHON.len(), xml in 0..XML.len()) {
        let files = [("a.py", PYTHON, &PYTHON[..at]), ("v.xml", XML, &XML[..xml]), ("b.py", &PYTHON[..at], PYTHON)];
        let files: Vec<_> = files.into_iter().filter(|(_, before, after)| before != after).collect();
        lost(&files);
        reaches(&patch_of(&files));
    }

    #[test]
    fn comments_and_layout_are_no_loss(at in 0..30usize, word in "[a-z]{1,9}", empty in 1..4usize) {
        let (comment, blank) = (format!("# {word}\n"), "\n".repeat(empty));
        let xml_comment = format!("<!-- {word} -->\n");
        for (path, before, lines) in [("a.py", PYTHON, &comment), ("a.py", PYTHON, &blank), ("v.xml", XML, &blank)] {
            let after = with_lines(before, at, lines);
            prop_assert_eq!(lost(&[(path, before, &after)]), vec![]);
        }
        let after = with_lines(XML, at % 8 + 1, &xml_comment);
        prop_assert_eq!(lost(&[("v.xml", XML, &after)]), vec![]);
    }

    #[test]
    fn new_files_are_no_loss(name in "[a-z]{1,9}") {
        for (path, text) in [(format!("{name}.py"), PYTHON), (format!("{name}.xml"), XML), (format!("{name}.txt"), "text")] {
            prop_assert_eq!(lost(&[(&path, NEW, text)]), vec![]);
        }
    }
}

#[test]
fn nesting_does_not_use_up_the_stack() {
    let deep = |n: usize| format!("x = {}1{}\n", "(".repeat(n), ")".repeat(n));
    let nots = |n: usize| format!("if {} y:\n    pass\n", "not ".repeat(n));
    let dots = |n: usize| format!("def f(self):\n    for x in self{}:\n        x.y\n", ".a".repeat(n));
    for (before, after) in [(deep(20_000), deep(10_000)), (nots(5000), nots(100)), (dots(200), dots(100)), (dots(5000), dots(4000))] {
        lost(&[("a.py", &before, &after)]);
    }
    let terms = |n: usize| format!("x = {}\n", vec!["a"; n].join(" and "));
    lost(&[("a.py", &terms(3000), &terms(2000))]);
}
