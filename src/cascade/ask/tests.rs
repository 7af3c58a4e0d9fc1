//! The checks on what Claude offers. The call itself is tested against a local server in `tests/integration/claude.rs`.

use super::edits::{Edit, to_patch};
use super::*;
use crate::domain::{ErrorClass, Fault, ObjectRef};

pub(super) fn report(class: &str, text: &str) -> ErrorReport {
    ErrorReport {
        fingerprint: "0".repeat(32).parse().unwrap(),
        class: ErrorClass::ALL.iter().copied().find(|found| found.as_str() == class).unwrap(),
        subclass: None,
        fault: Fault::Code,
        title: "ParseError".to_owned(),
        occurred_at: None,
        level: "ERROR".to_owned(),
        logger: "odoo.registry".to_owned(),
        database: None,
        odoo_version: None,
        module: Some("shop".parse().unwrap()),
        owner: Default::default(),
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
fn offered(edits: &[(&str, &str, &str)]) -> Result<Patch, Vec<String>> {
    let addon = addon(&[
        ("__manifest__.py", MANIFEST),
        ("models/order.py", PYTHON),
        ("views/v.xml", "<odoo>\r\n<tree/>\r\n<tree/>\r\n</odoo>\r\n"),
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
    for path in ["../x.py", "/etc/passwd", "shop/../other/x.py", "shop/.git/hooks/x.py", "shop/.gitattributes", "", "shop\\x.py"] {
        refused(&[(path, "", "x = 1\n")], "is not allowed in a patch");
    }
}

#[test]
fn garbage_edits_are_survived() {
    let deep = format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let brackets = "[{(".repeat(50_000);
    for text in [deep.as_str(), "<odoo", "\u{0}", "<!DOCTYPE x [<!ENTITY a '&a;'>]><x>&a;</x>", &brackets] {
        let _ = offered(&[("shop/views/deep.xml", "", text), ("shop/models/deep.py", "", text)]);
        let _ = offered(&[("shop/__manifest__.py", MANIFEST, text)]);
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
