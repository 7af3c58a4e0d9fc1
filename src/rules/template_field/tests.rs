use crate::domain::ErrorClass::QwebRender;
use crate::rules::testing_index::candidates;

const MANIFEST: (&str, &str) = ("__manifest__.py", "{'depends': ['base'], 'data': ['r.xml']}");

/// What Odoo says of an element that it cannot render.
fn text(cause: &str, element: &str) -> String {
    format!(
        "QWebError: Error while rendering the template:\n    {cause}\n    Template: m.page\n    Reference: 253\n    Path: /t/p\n    Element: {element}\n"
    )
}

fn report(body: &str) -> String {
    format!(
        "<odoo>\n  <record id=\"r\" model=\"ir.actions.report\"><field name=\"model\">res.partner</field><field name=\"report_name\">m.page</field></record>\n  \
         <template id=\"page\"><t t-call=\"web.html_container\"><t t-foreach=\"docs\" t-as=\"doc\">{body}</t></t></template>\n</odoo>\n"
    )
}

/// The file after the first candidate, and its name.
fn after(xml: &str, cause: &str, element: &str) -> Option<(String, String)> {
    let first = candidates(&[MANIFEST, ("r.xml", xml)], QwebRender, &text(cause, element)).into_iter().next()?;
    assert_eq!(first.rule, "template_field");
    Some((first.patch.changes()[0].after.clone(), first.name()))
}

const EMAIL: &str = "AttributeError: 'res.partner' object has no attribute 'emial'";

#[test]
fn near_field_is_meant_in_the_whole_template() {
    let xml = report("<p t-if=\"doc.emial and not other.emial\" t-out=\"doc.emial\"/><p t-att-title=\"doc.emial\" title=\"doc.emial\"/>");
    let mended =
        report("<p t-if=\"doc.email and not other.emial\" t-out=\"doc.email\"/><p t-att-title=\"doc.email\" title=\"doc.emial\"/>");
    // Of two records the log does not say which; of one alone it does.
    assert_eq!(after(&xml, EMAIL, "<p t-if=\"doc.emial and not other.emial\" t-out=\"doc.emial\"/>"), None);
    assert_eq!(after(&xml, EMAIL, "<p t-att-title=\"doc.emial\" title=\"doc.emial\"/>"), Some((mended, "template_field".to_owned())));
}

#[test]
fn method_may_be_meant_too() {
    let cause = "AttributeError: 'res.partner' object has no attribute 'action_opn'";
    let (mended, name) = after(&report("<a t-att-href=\"doc.action_opn()\"/>"), cause, "<a t-att-href=\"doc.action_opn()\"/>").unwrap();
    assert_eq!((mended, name.as_str()), (report("<a t-att-href=\"doc.action_open()\"/>"), "template_field"));
}

#[test]
fn spelling_is_safe() {
    let cause = "AttributeError: 'res.partner' object has no attribute 'companyId'";
    let (mended, name) = after(&report("<p t-out=\"doc.companyId.name\"/>"), cause, "<p t-out=\"doc.companyId.name\"/>").unwrap();
    assert_eq!((mended, name.as_str()), (report("<p t-out=\"doc.company_id.name\"/>"), "template_field"));
}

#[test]
fn record_is_followed_to_its_report() {
    for (body, element, right) in [
        ("<p t-field=\"doc.emial\"/>", "<p t-field=\"doc.emial\"/>", "email"),
        ("<t t-set=\"c\" t-value=\"doc.company_id\"/><p t-field=\"c.nmae\"/>", "<p t-field=\"c.nmae\"/>", "name"),
        ("<p t-field=\"doc.company_id.nmae\"/>", "<p t-field=\"doc.company_id.nmae\"/>", "name"),
        ("<t t-foreach=\"doc.user_ids\" t-as=\"user\"><p t-field=\"user.lgoin\"/></t>", "<p t-field=\"user.lgoin\"/>", "login"),
    ] {
        let wrong = ["emial", "nmae", "lgoin"].into_iter().find(|wrong| element.contains(wrong)).unwrap();
        let (mended, name) = after(&report(body), &format!("KeyError: '{wrong}'"), element).unwrap();
        assert_eq!((mended, name.as_str()), (report(&body.replace(wrong, right)), "template_field"), "{body}");
    }
}

#[test]
fn record_is_followed_through_a_call() {
    let line = "<template id=\"line\"><p t-field=\"doc.emial\"/></template>";
    let xml = report("<t t-call=\"m.line\"/>").replace("</odoo>", &format!("{line}</odoo>"));
    assert_eq!(after(&xml, "KeyError: 'emial'", "<p t-field=\"doc.emial\"/>").unwrap().0, xml.replace("emial", "email"));
    // Called with records of two kinds it may be either.
    let other = "<template id=\"x\"><t t-foreach=\"docs\" t-as=\"doc\"><t t-call=\"m.line\"/></t></template><record id=\"s\" model=\"ir.actions.report\"><field name=\"model\">res.company</field><field name=\"report_name\">m.x</field></record>";
    let both = xml.replace("</odoo>", &format!("{other}</odoo>"));
    assert_eq!(after(&both, "KeyError: 'emial'", "<p t-field=\"doc.emial\"/>"), None);
}

#[test]
fn what_is_not_known_is_left() {
    for (body, cause, element) in [
        ("<p t-out=\"doc.zzz\"/>", "AttributeError: 'res.partner' object has no attribute 'zzz'", "<p t-out=\"doc.zzz\"/>"),
        ("<p t-out=\"doc.emial\"/>", "AttributeError: 'zzz.zzz' object has no attribute 'emial'", "<p t-out=\"doc.emial\"/>"),
        ("<p t-out=\"doc.emial\"/>", EMAIL, "<p t-out=\"other.emial\"/>"),
        ("<p t-out=\"values['emial']\"/>", "KeyError: 'emial'", "<p t-out=\"values['emial']\"/>"),
        ("<t t-set=\"doc\" t-value=\"doc.x()\"/><p t-field=\"d.emial\"/>", "KeyError: 'emial'", "<p t-field=\"d.emial\"/>"),
        ("<p t-field=\"a.emial\"/>", "KeyError: 'emial'", "<p t-field=\"a.emial\"/>"),
    ] {
        assert_eq!(after(&report(body), cause, element), None, "{body}");
    }
    assert_eq!(after("<odoo>", EMAIL, "<p t-out=\"doc.emial\"/>"), None);
}

#[test]
fn circles_of_calls_and_values_end() {
    let calls: String = (0..40)
        .map(|n| {
            format!("<template id=\"t{n}\">{}<p t-field=\"a.emial\"/></template>", "<t t-call=\"m.t0\"/><t t-call=\"m.t1\"/>".repeat(8))
        })
        .collect();
    let sets = "<template id=\"s\"><t t-set=\"a\" t-value=\"b\"/><t t-set=\"b\" t-value=\"a\"/><p t-field=\"a.emial\"/></template>";
    for xml in [format!("<odoo>{calls}</odoo>"), format!("<odoo>{sets}</odoo>")] {
        assert_eq!(after(&xml, "KeyError: 'emial'", "<p t-field=\"a.emial\"/>"), None);
    }
}
