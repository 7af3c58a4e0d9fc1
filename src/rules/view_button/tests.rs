use crate::domain::ErrorClass::ViewInvalidAction;
use crate::rules::testing_index::first;

fn after(method: &str, text: &str) -> Option<String> {
    let xml = format!(
        "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">res.partner</field><field name=\"arch\" type=\"xml\"><form><button name=\"{method}\" type=\"object\"/></form></field></record></odoo>"
    );
    let python = "class A(models.Model):\n    _inherit = 'res.partner'\n    def action_confirm(self):\n        pass\n    def _secret(self):\n        pass\n";
    let files = [("__manifest__.py", "{'depends': ['base']}"), ("a.py", python), ("v.xml", xml.as_str())];
    let after = first("view_button", &files, "v.xml", ViewInvalidAction, text)?;
    Some(after.split_once("button name=\"").unwrap().1.split_once('"').unwrap().0.to_owned())
}

#[test]
fn near_method_is_called() {
    assert_eq!(after("action_confrm", "action_confrm is not a valid action on res.partner").as_deref(), Some("action_confirm"));
    assert_eq!(
        after("_action_open", "_action_open on res.partner is private and cannot be called from a button").as_deref(),
        Some("action_open")
    );
    assert_eq!(after("action_opn", "action_opn is not a valid action on res.partner").as_deref(), Some("action_open"));
}
