use crate::domain::ErrorClass as C;
use crate::rules::testing;
use crate::rules::testing_index::{core, first};
use crate::rules::{Case, Index};

const MANIFEST: (&str, &str) = ("__manifest__.py", "{'depends': ['base'], 'data': ['v.xml']}");

#[test]
fn near_field_is_meant() {
    let xml = "<odoo><record id=\"c\" model=\"res.partner.category\"><field name=\"colour\">1</field></record><record id=\"p\" model=\"res.partner\"><field name=\"colour\">1</field></record></odoo>";
    let text = "ValueError: Invalid field 'colour' in 'res.partner.category'";
    let after = first("record_field", &[MANIFEST, ("v.xml", xml)], "v.xml", C::FieldInvalid, text);
    assert_eq!(after, Some(xml.replacen("colour", "color", 1)));
    let csv = "id,\"colour\",name\na,1,colour\n";
    let after =
        first("record_field", &[MANIFEST, ("data/res.partner.category.csv", csv)], "data/res.partner.category.csv", C::FieldInvalid, text);
    assert_eq!(after, Some(csv.replacen("colour", "color", 1)));
}

#[test]
fn only_the_lines_that_the_log_shows_are_changed() {
    let python = "def f(self):\n    self.env['res.partner'].search(\n        [('emial', '=', 1)]\n    )\n    return 'emial'\n";
    let addon = testing::addon(&[MANIFEST, ("a.py", python)]);
    let mut report = testing::report(C::FieldInvalid, "ValueError: Invalid field res.partner.emial in condition ('emial', '=', 1)");
    report.location = Some(crate::domain::Location { path: "m/a.py".to_owned(), line: Some(2) });
    let (core, own) = (core(), crate::odoo::source::Facts::of([&addon]));
    let case = Case { report: &report, addon: &addon, version: &"19.0".parse().unwrap(), index: Index::new(&own, &core) };
    let found = super::propose(&case);
    assert_eq!(found[0].patch.changes()[0].after, python.replacen("emial", "email", 1));
}
