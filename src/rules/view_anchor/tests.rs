use super::*;
use crate::domain::ErrorClass::ViewAnchorMissing;
use crate::rules::testing_index::mended;

fn view(arch: &str) -> String {
    format!(
        "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">res.partner</field><field name=\"inherit_id\" ref=\"base.view_partner_form\"/><field name=\"arch\" type=\"xml\">{arch}</field></record></odoo>"
    )
}

fn after(arch: &str, spec: &str) -> Vec<String> {
    let file = view(arch);
    let text = format!("Element '{spec}' cannot be located in parent view");
    let found = mended(&[("__manifest__.py", "{'depends': ['base']}"), ("v.xml", &file)], "v.xml", ViewAnchorMissing, &text);
    let arch = |(rule, file): (&str, String)| {
        assert_eq!(rule, "view_anchor");
        file.split_once("type=\"xml\">").unwrap().1.strip_suffix("</field></record></odoo>").unwrap().to_owned()
    };
    found.into_iter().map(arch).collect()
}

#[test]
fn near_name_of_the_same_kind_is_meant() {
    let arch = "<page name=\"sales_and_purchases\" position=\"after\"><page name=\"x\"/></page>";
    assert_eq!(after(arch, "<page name=\"sales_and_purchases\">")[0], arch.replace("sales_and_purchases", "sales_purchases"));
    let arch = "<xpath expr=\"//page[@name='internal_note']/field\" position=\"before\"><field name=\"ref\"/></xpath>";
    let spec = "<xpath expr=\"//page[@name=&#39;internal_note&#39;]/field\">";
    assert_eq!(after(arch, spec)[0], arch.replace("internal_note'", "internal_notes'"));
}

#[test]
fn element_elsewhere_is_found() {
    let arch = "<xpath expr=\"/form/group[@name='main']\" position=\"inside\"><field name=\"ref\"/></xpath>";
    let spec = "<xpath expr=\"/form/group[@name=&#39;main&#39;]\">";
    assert_eq!(after(arch, spec)[0], arch.replace("/form/group", "//group"));
    let arch = "<div name=\"main\" position=\"inside\"><field name=\"ref\"/></div>";
    assert_eq!(
        after(arch, "<div name=\"main\">")[0],
        "<xpath expr=\"//group[@name='main']\" position=\"inside\"><field name=\"ref\"/></xpath>"
    );
}

#[test]
fn what_nothing_is_near_goes_where_its_kind_stands() {
    let arch = "<field name=\"zzz\" position=\"before\"><field name=\"ref\"/></field>";
    assert_eq!(after(arch, "<field name=\"zzz\">"), ["<xpath expr=\"//sheet//group\" position=\"inside\"><field name=\"ref\"/></xpath>"]);
    let arch = "<xpath expr=\"//form/zzz\" position=\"after\"><header/></xpath>";
    assert_eq!(after(arch, "<xpath expr=\"//form/zzz\">"), ["<xpath expr=\"//sheet\" position=\"before\"><header/></xpath>"]);
    let arch = "<page name=\"zzz\" position=\"after\"><page name=\"x\"/></page>";
    assert_eq!(after(arch, "<page name=\"zzz\">"), ["<xpath expr=\"//notebook\" position=\"inside\"><page name=\"x\"/></xpath>"]);
}

#[test]
fn change_of_what_is_gone_goes_too() {
    let arch = "<data><field name=\"zzz\" position=\"attributes\"><attribute name=\"string\">x</attribute></field><field name=\"name\" position=\"after\"><field name=\"ref\"/></field></data>";
    assert_eq!(after(arch, "<field name=\"zzz\">"), ["<data><field name=\"name\" position=\"after\"><field name=\"ref\"/></field></data>"]);
    let arch = "<field name=\"zzz\" position=\"attributes\"><attribute name=\"string\">x</attribute></field>";
    assert!(after(arch, "<field name=\"zzz\">").is_empty(), "an empty view is none");
}

#[test]
fn steps_of_a_path_are_read() {
    let some = |tag: &str, name: Option<&str>| (tag.to_owned(), name.map(|name| ("name".to_owned(), name.to_owned())));
    assert_eq!(steps("//field[@name='a']/../group[1]"), [some("field", Some("a")), some("group", None)]);
    assert_eq!(steps("//*[hasclass('x')][@name=\"b\"]"), [some("*", Some("b"))]);
    assert_eq!(steps("//div[@id='c']"), [("div".to_owned(), Some(("id".to_owned(), "c".to_owned())))]);
    assert!(steps("").is_empty());
    assert_eq!(end_of_tag("<a b='>' c=\">\">x"), Some(15));
}
