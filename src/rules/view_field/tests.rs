use crate::domain::ErrorClass::{self, ViewUnknownField};
use crate::rules::testing_index::{candidates, first};

fn view(arch: &str) -> String {
    format!(
        "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">res.partner</field><field name=\"arch\" type=\"xml\">{arch}</field></record></odoo>"
    )
}

fn after(arch: &str, odoo_model: &str, wrong: &str) -> Option<String> {
    let text = format!("Field \"{wrong}\" does not exist in model \"{odoo_model}\"");
    first("view_field", &[("__manifest__.py", "{'depends': ['base']}"), ("v.xml", &view(arch))], "v.xml", ViewUnknownField, &text)
}

#[test]
fn fields_labels_and_expressions_follow() {
    for (before, expected) in [
        ("<form><field name=\"emial\"/></form>", "<form><field name=\"email\"/></form>"),
        ("<form><label for='emial'/><field name='emial' /></form>", "<form><label for='email'/><field name='email' /></form>"),
        (
            "<field name=\"name\" position=\"after\"><field name=\"emial\" invisible=\"not emial\"/></field>",
            "<field name=\"name\" position=\"after\"><field name=\"email\" invisible=\"not email\"/></field>",
        ),
        (
            "<form><field name=\"name\" readonly=\"emial == 'emial'\"/></form>",
            "<form><field name=\"name\" readonly=\"email == 'emial'\"/></form>",
        ),
    ] {
        assert_eq!(after(before, "res.partner", "emial"), Some(view(expected)), "{before}");
    }
}

#[test]
fn rows_of_a_field_are_of_another_odoo_model() {
    let arch = "<form><field name=\"colr\"/><field name=\"category_id\"><list><field name=\"colr\"/></list></field></form>";
    let expected = "<form><field name=\"colr\"/><field name=\"category_id\"><list><field name=\"color\"/></list></field></form>";
    assert_eq!(after(arch, "res.partner.category", "colr"), Some(view(expected)));
    let arch = "<xpath expr=\"//field[@name='category_id']/list\" position=\"inside\"><field name=\"colr\"/></xpath>";
    assert_eq!(after(arch, "res.partner.category", "colr"), Some(view(&arch.replace("colr", "color"))));
}

#[test]
fn domain_of_a_field_is_asked_of_what_it_leads_to() {
    let arch = "<form><field name=\"category_id\" domain=\"[('colr', '=', 1)]\" invisible=\"colr\"/></form>";
    assert_eq!(after(arch, "res.partner.category", "colr"), Some(view(&arch.replace("('colr", "('color"))));
    let arch = "<search><filter name=\"x\" domain=\"[('emial', '=', 1)]\"/></search>";
    assert_eq!(after(arch, "res.partner", "emial"), Some(view(&arch.replace("emial", "email"))));
}

#[test]
fn group_by_names_a_field_of_the_view() {
    let arch = |name: &str| view(&format!("<search><filter name=\"x\" context=\"{{'group_by': '{name}'}}\"/></search>"));
    let text = "Unknown field “compny_id” in \"group_by\" value in context=“{'group_by': 'compny_id'}”\n{'view.model': 'res.partner',";
    let files = [("__manifest__.py", "{'depends': ['base']}"), ("v.xml", &*arch("compny_id"))];
    assert_eq!(first("view_field", &files, "v.xml", ErrorClass::ViewInvalid, text), Some(arch("company_id")));
}

#[test]
fn strangers_are_left() {
    let text = "Field \"nope_x\" does not exist in model \"res.partner\"";
    let file = view("<form><field name=\"nope_x\"/><field name=\"name\" invisible=\"nope_x\"/></form>");
    let found = candidates(&[("__manifest__.py", "{'depends': ['base']}"), ("v.xml", &file)], ViewUnknownField, text);
    assert!(found.is_empty(), "{found:?}");
}
