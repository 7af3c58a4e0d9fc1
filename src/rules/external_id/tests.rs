use crate::domain::ErrorClass as C;
use crate::rules::testing_index::{candidates, first};

const MANIFEST: (&str, &str) = ("__manifest__.py", "{'depends': ['contacts'], 'data': ['v.xml']}");

fn after(xml: &str, id: &str) -> Option<String> {
    let text = format!("ValueError: External ID not found in the system: {id}");
    first("external_id", &[MANIFEST, ("v.xml", xml)], "v.xml", C::ExternalIdMissing, &text)
}

#[test]
fn near_record_of_the_right_kind_is_meant() {
    let menu = "<odoo><menuitem id=\"x\" parent=\"base.menu_administraton\"/></odoo>";
    assert_eq!(after(menu, "base.menu_administraton"), Some(menu.replace("administraton", "administration")));
    let view = "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"inherit_id\" ref=\"base.view_partner_frm\"/></record></odoo>";
    assert_eq!(after(view, "base.view_partner_frm"), Some(view.replace("frm", "form")));
    let group = "<odoo><menuitem id=\"menu_usr\"/><menuitem id=\"x\" groups=\"base.group_usr,base.group_user\"/></odoo>";
    assert_eq!(after(group, "base.group_usr"), Some(group.replace("group_usr", "group_user")));
}

#[test]
fn own_records_are_named_without_the_addon() {
    let xml = "<odoo><record id=\"action_open_it\" model=\"ir.actions.act_window\"/><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><button name=\"%(action_opn_it)d\" type=\"action\"/></form></field></record></odoo>";
    assert_eq!(after(xml, "m.action_opn_it"), Some(xml.replace("opn", "open")));
}

#[test]
fn record_of_another_addon_is_found_by_its_name() {
    let menu = "<odoo><menuitem id=\"x\" parent=\"base.menu_contacts\"/></odoo>";
    assert_eq!(after(menu, "base.menu_contacts"), Some(menu.replace("base.menu", "contacts.menu")));
    let menu = "<odoo><menuitem id=\"x\" parent=\"contact.menu_contacts\"/></odoo>";
    assert_eq!(after(menu, "contact.menu_contacts"), Some(menu.replace("contact.menu", "contacts.menu")));
}

#[test]
fn odoo_models_stand_with_their_owners() {
    let csv = "id,name,model_id:id,group_id:id,perm_read\na,a,model_mail_thread,base.group_user,1\n";
    let text = "Exception: Module loading m failed: file m/security/ir.model.access.csv could not be processed:\nNo matching record found for external id 'model_mail_thread' in field 'Model'";
    let files = [MANIFEST, ("security/ir.model.access.csv", csv)];
    let after = first("external_id", &files, "security/ir.model.access.csv", C::CsvInvalid, text);
    assert_eq!(after, Some(csv.replace("model_mail", "mail.model_mail")));
}

#[test]
fn strangers_are_left() {
    let menu = "<odoo><menuitem id=\"x\" parent=\"base.zzz\"/></odoo>";
    let text = "ValueError: External ID not found in the system: base.zzz";
    let found = candidates(&[MANIFEST, ("v.xml", menu)], C::ExternalIdMissing, text);
    assert!(found.iter().all(|candidate| candidate.rule != "external_id"), "{found:?}");
}
