use crate::domain::ErrorClass as C;
use crate::rules::testing;
use crate::rules::testing_index::{candidates, candidates_in_core, first};

fn missing(addon: &str) -> String {
    format!(
        "UserError: You try to install module \"m\" that depends on module \"{addon}\".\nBut the latter module is not available in your system."
    )
}

#[test]
fn merged_addons_are_named_once() {
    for (before, after) in [
        ("{'depends': ['base', 'fetchmail']}", "{'depends': ['base', 'mail']}"),
        ("{'depends': ['fetchmail', 'mail']}", "{'depends': ['mail']}"),
        (
            "{'depends': ['fetchmail', 'website_sale_digital', 'sale_product_configurator']}",
            "{'depends': ['mail', 'website_sale_digital', 'sale']}",
        ),
        (
            "{\"depends\": [\n    \"sale\",\n    \"sale_product_configurator\",\n    \"fetchmail\",\n]}",
            "{\"depends\": [\n    \"sale\",\n    \"mail\",\n]}",
        ),
    ] {
        let found = first("renamed_addon", &[("__manifest__.py", before)], "__manifest__.py", C::DependencyMissing, &missing("fetchmail"));
        assert_eq!(found.as_deref(), Some(after));
    }
}

#[test]
fn imports_and_records_follow() {
    let manifest = ("__manifest__.py", "{'depends': ['fetchmail'], 'data': ['v.xml']}");
    let python = "from odoo.addons.fetchmail.models import x\n\n\ndef f(env):\n    return env.ref('fetchmail.partner_form'), env.ref('fetchmail.zzz')\n";
    let xml = "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"inherit_id\" ref=\"fetchmail.partner_form\"/></record></odoo>";
    let files = [manifest, ("a.py", python), ("v.xml", xml)];
    let of = |path: &str| first("renamed_addon", &files, path, C::DependencyMissing, &missing("fetchmail"));
    assert_eq!(of("v.xml"), Some(xml.replace("fetchmail", "mail")));
    let expected = python.replace("addons.fetchmail", "addons.mail").replace("fetchmail.partner_form", "mail.partner_form");
    assert_eq!(of("a.py"), Some(expected));
    let text = "ModuleNotFoundError: No module named 'odoo.addons.fetchmail'";
    let files = [("__manifest__.py", "{'depends': ['mail']}"), ("a.py", "from odoo.addons.fetchmail import x\n")];
    assert_eq!(first("renamed_addon", &files, "a.py", C::ImportModule, text).as_deref(), Some("from odoo.addons.mail import x\n"));
}

#[test]
fn what_only_comes_nearest_is_not_sure() {
    let found = candidates_in_core(
        &[("payment_worldline", &[("__manifest__.py", "{'depends': ['base']}")])],
        &[("__manifest__.py", "{'depends': ['payment_sips']}")],
        C::DependencyMissing,
        &missing("payment_sips"),
    );
    let of_rule: Vec<_> = found.iter().filter(|candidate| candidate.rule == "renamed_addon").collect();
    assert!(matches!(of_rule.as_slice(), [only] if !only.is_safe()), "{found:?}");
    assert!(of_rule[0].patch.changes()[0].after.contains("payment_worldline"));
}

#[test]
fn addons_that_are_there_or_gone_are_left() {
    // The new addon is not known to this Odoo, the old one went without another, nobody ever had it.
    for name in ["hr_contract", "website_jitsi", "zzz_mod"] {
        let manifest = format!("{{'depends': ['{name}']}}");
        let found = candidates(&[("__manifest__.py", &manifest)], C::DependencyMissing, &missing(name));
        assert!(found.iter().all(|candidate| candidate.rule != "renamed_addon"), "{name}");
    }
    let own = [("__manifest__.py", "{'depends': ['fetchmail']}")];
    let there = candidates_in_core(&[("fetchmail", &[("__manifest__.py", "{}")])], &own, C::DependencyMissing, &missing("fetchmail"));
    assert!(there.iter().all(|candidate| candidate.rule != "renamed_addon"), "{there:?}");
}

#[test]
fn without_the_sources_of_odoo_it_is_not_sure() {
    let addon = testing::addon(&[("__manifest__.py", "{'depends': ['hr_contract', 'base_vat']}")]);
    let found = testing::candidates(&addon, C::DependencyMissing, &missing("hr_contract"));
    assert!(matches!(found.as_slice(), [only] if only.name() == "renamed_addon?"), "{found:?}");
    assert_eq!(found[0].patch.changes()[0].after, "{'depends': ['hr', 'base_vat']}");
    let found = testing::candidates_in("20.0", &addon, C::DependencyMissing, &missing("base_vat"));
    assert_eq!(found[0].patch.changes()[0].after, "{'depends': ['hr', 'base']}");
    assert!(testing::candidates_in("16.0", &addon, C::DependencyMissing, &missing("hr_contract")).is_empty());
}

#[test]
fn merged_addon_is_safe_where_all_that_is_used_came_along() {
    let server = "class S(models.Model):\n    _name = 'fetchmail.server'\n";
    let core: [(&str, &[(&str, &str)]); 1] = [("mail", &[("__manifest__.py", "{'depends': ['base']}"), ("s.py", server)])];
    let manifest = ("__manifest__.py", "{'depends': ['fetchmail']}");
    let is_safe = |python: &str| {
        let found = candidates_in_core(&core, &[manifest, ("a.py", python)], C::DependencyMissing, &missing("fetchmail"));
        found.iter().find(|candidate| candidate.rule == "renamed_addon").is_some_and(crate::rules::Candidate::is_safe)
    };
    assert!(is_safe("class A(models.Model):\n    _name = 'm.a'\n    server_id = fields.Many2one('fetchmail.server')\n"));
    for python in [
        "class A(models.Model):\n    _inherit = 'fetchmail.zzz'\n",
        "def f(env):\n    return env['fetchmail.zzz']\n",
        "def f(env):\n    return 'fetchmail.zzz' in env\n",
        "def f(env):\n    return env.ref('fetchmail.zzz')\n",
        "def f(env):\n    return env['ir.module.module'].search([('name', '=', 'fetchmail')])\n",
    ] {
        assert!(!is_safe(python), "{python}");
    }
}
