use crate::domain::ErrorClass as C;
use crate::rules::testing_index::{candidates, candidates_in_core, first};

#[test]
fn near_addon_is_meant() {
    let manifest = "{'depends': ['base', 'contact']}";
    let text = "UserError: You try to install module \"m\" that depends on module \"contact\".\nBut the latter module is not available in your system.";
    let after = first("addon_name", &[("__manifest__.py", manifest)], "__manifest__.py", C::DependencyMissing, text);
    assert_eq!(after.as_deref(), Some("{'depends': ['base', 'contacts']}"));
    let python = "from odoo.addons.contact.models import x\nfrom odoo import models\n";
    let text = "ModuleNotFoundError: No module named 'odoo.addons.contact'";
    let files = [("__manifest__.py", "{'depends': ['contacts']}"), ("a.py", python)];
    let after = first("addon_name", &files, "a.py", C::ImportModule, text);
    assert_eq!(after, Some(python.replace("contact", "contacts")));
}

#[test]
fn addon_with_more_words_is_another_one() {
    let manifest = "{'depends': ['base', 'thing']}";
    let text = "UserError: You try to install module \"m\" that depends on module \"thing\".\nBut the latter module is not available in your system.";
    let core: [(&str, &[(&str, &str)]); 1] = [("l10n_all_thing", &[("__manifest__.py", "{'depends': ['base']}")])];
    let found = candidates_in_core(&core, &[("__manifest__.py", manifest)], C::DependencyMissing, text);
    assert!(found.iter().all(|candidate| !candidate.patch.changes()[0].after.contains("l10n_all_thing")), "{found:?}");
}

#[test]
fn what_nothing_uses_may_go() {
    let text = "UserError: You try to install module \"m\" that depends on module \"zzz_mod\".\nBut the latter module is not available in your system.";
    let manifest = ("__manifest__.py", "{'depends': ['base', 'zzz_mod']}");
    let after = first("addon_name", &[manifest], "__manifest__.py", C::DependencyMissing, text);
    assert_eq!(after.as_deref(), Some("{'depends': ['base']}"));
    let uses = ("a.py", "from odoo.addons.zzz_mod import x\n");
    assert!(candidates(&[manifest, uses], C::DependencyMissing, text).is_empty());
}
