use crate::domain::ErrorClass as C;
use crate::rules::testing_index::{candidates, first};

const MANIFEST: (&str, &str) = ("__manifest__.py", "{'depends': ['base'], 'data': ['v.xml']}");

#[test]
fn near_name_is_meant() {
    let python = "class A(models.Model):\n    _inherit = \"res.partnr\"\n";
    let text = "TypeError: Model 'res.partnr' does not exist in registry.";
    let after = first("model_name", &[MANIFEST, ("a.py", python)], "a.py", C::ModelMissing, text);
    assert_eq!(after, Some(python.replace("partnr", "partner")));
    let xml = "<odoo><record id=\"x\" model=\"res.partner.categry\"><field name=\"res_model\">res.partner.categry</field></record></odoo>";
    let after = first(
        "model_name",
        &[MANIFEST, ("v.xml", xml)],
        "v.xml",
        C::ModelMissing,
        "KeyError: 'res.partner.categry'\nModel 'res.partner.categry' does not exist in registry",
    );
    assert_eq!(after, Some(xml.replace("categry", "category")));
    let comodel = "class A(models.Model):\n    _name = 'm.thing'\n\nclass B(models.Model):\n    _name = 'm.other'\n    x = fields.Many2one('m.thng')\n";
    let text = "AssertionError: Field m.other.x with unknown comodel_name 'm.thng'";
    let after = first("model_name", &[MANIFEST, ("a.py", comodel)], "a.py", C::FieldReferenceBroken, text);
    assert_eq!(after, Some(comodel.replace("thng", "thing")));
}

#[test]
fn action_shows_an_odoo_model_that_exists() {
    let xml = "<odoo><record id=\"x\" model=\"ir.actions.act_window\"><field name=\"res_model\">res.partnr</field></record></odoo>";
    let text = "Invalid model name “res.partnr” in action definition.";
    assert_eq!(first("model_name", &[MANIFEST, ("v.xml", xml)], "v.xml", C::Other, text), Some(xml.replace("partnr", "partner")));
}

#[test]
fn file_that_was_forgotten_is_imported() {
    let files = [
        MANIFEST,
        ("__init__.py", "from . import models\n"),
        ("models/__init__.py", "from . import a"),
        ("models/a.py", "class A(models.Model):\n    _inherit = 'res.partner'\n    x = fields.Many2one('m.thing')\n"),
        ("models/thing.py", "class T(models.Model):\n    _name = 'm.thing'\n"),
    ];
    let text = "AssertionError: Field res.partner.x with unknown comodel_name 'm.thing'";
    let after = first("unimported_file", &files, "models/__init__.py", C::FieldReferenceBroken, text);
    assert_eq!(after.as_deref(), Some("from . import a\nfrom . import thing"));
    let csv = "Exception: Module loading m failed: file m/security/ir.model.access.csv could not be processed:\nNo matching record found for external id 'model_m_thing' in field 'Model'";
    let after = first("unimported_file", &files, "models/__init__.py", C::CsvInvalid, csv);
    assert_eq!(after.as_deref(), Some("from . import a\nfrom . import thing"));
}

#[test]
fn strangers_are_left() {
    let python = "class A(models.Model):\n    _inherit = \"zzz.model\"\n";
    let text = "TypeError: Model 'zzz.model' does not exist in registry.";
    assert!(candidates(&[MANIFEST, ("a.py", python)], C::ModelMissing, text).iter().all(|found| found.rule != "model_name"));
}
