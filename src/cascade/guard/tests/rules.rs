//! No rule's own patch is refused.

use std::collections::BTreeSet;
use std::path::Path;

use super::{refusals, shop};
use crate::domain::{ErrorClass, ErrorReport, Fault, ObjectRef, Source};
use crate::odoo::Addon;
use crate::rules;

/// The addon in a folder.
fn load(root: &Path) -> Addon {
    let name = root.file_name().unwrap().to_str().unwrap();
    let files = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let file = |entry: walkdir::DirEntry| {
        let within = entry.path().strip_prefix(root).unwrap().to_str().unwrap();
        Some((format!("{name}/{within}").parse().ok()?, std::fs::read(entry.path()).unwrap()))
    };
    Addon::new(name.parse().unwrap(), files.filter_map(file))
}

/// What makes each rule look at this addon, whatever it is for.
fn report(class: ErrorClass, addon: &Addon) -> ErrorReport {
    let name = addon.name();
    let missing: String =
        addon.manifest().iter().flat_map(|manifest| manifest.texts("data")).map(|file| format!("'/x/{name}/{file}'\n")).collect();
    let access = match addon.texts("py").any(|(_, text)| text.contains(r#"_name = "p.noacl""#)) {
        true => format!("{name}.access_p_noacl,access_p_noacl,{name}.model_p_noacl,base.group_user,1,0,0,0\n"),
        false => String::new(),
    };
    let lost = if addon.name().as_str() == "old" { "group_x" } else { "model_shop_ordr" };
    let text = format!(
        "RELAXNG xmlParseEntityRef EntityRef: expecting ';' ph() missing 'NewId' 'slug' 'SavepointCase' 'groups_id' 'category_id' \
         'users' 'numbercall' '_sql_constraints' is no longer supported\nNo such file or directory: {missing}\
         file {name}/security/ir.model.access.csv could not be processed:\nNo matching record found for external id '{lost}' in field 'Model'\n\
         have no access rules in module {name}, consider adding some, like:\nid,name\n{access}"
    );
    ErrorReport {
        fingerprint: "0".repeat(32).parse().unwrap(),
        class,
        subclass: None,
        fault: Fault::Code,
        title: String::new(),
        occurred_at: None,
        level: "CRITICAL".to_owned(),
        logger: "odoo.registry".to_owned(),
        database: None,
        odoo_version: None,
        module: Some(name.clone()),
        owner: Default::default(),
        location: None,
        object: ObjectRef { name: Some("models".to_owned()), ..ObjectRef::default() },
        chain: Vec::new(),
        text,
    }
}

/// An addon of an older series, with what the fixtures lack.
fn old() -> Addon {
    let files = [
        ("__manifest__.py", "{'name': 'old', 'data': ['security/ir.model.access.csv', 'security/groups.xml'], 'post_init_hook': 'ph'}"),
        (
            "__init__.py",
            "from odoo import api, SUPERUSER_ID\ndef ph(cr, registry):\n    env = api.Environment(cr, SUPERUSER_ID, {})\n    env['x'].sudo().y()\n",
        ),
        ("security/groups.xml", "<odoo><record id='group_x' model='res.groups'><field name='users' eval='[(4, 1)]'/></record></odoo>"),
        ("security/ir.model.access.csv", "id,name,model_id:id,group_id:id,perm_read\na,a,base.model_res_partner,group_x,1\n"),
        (
            "tests/test_a.py",
            "from odoo.tests.common import Form, SavepointCase\n\n\nclass TestA(SavepointCase):\n    def test_a(self):\n        self.env.user.write({'groups_id': [(4, 1)]})\n        self.assertTrue(self.env.user.groups_id)\n",
        ),
    ];
    let files = files.map(|(path, text)| (format!("old/{path}").parse().unwrap(), text.as_bytes().to_vec()));
    Addon::new("old".parse().unwrap(), files)
}

#[test]
fn rules_are_not_refused() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders = walkdir::WalkDir::new(fixtures.join("rules")).min_depth(2).max_depth(2).into_iter();
    let roots = folders.chain(walkdir::WalkDir::new(fixtures.join("addons")).min_depth(1).max_depth(1)).map(Result::unwrap);
    let addons = roots.filter(|entry| entry.file_type().is_dir()).map(|entry| load(entry.path())).chain([shop(), old()]);
    let mut seen = BTreeSet::new();
    for addon in addons {
        for class in ErrorClass::ALL {
            let (report, version) = (report(*class, &addon), "19.0".parse().unwrap());
            for candidate in rules::propose(&rules::Case { report: &report, addon: &addon, version: &version }) {
                let reasons = refusals(&addon, &candidate.patch, &Source::Rule(candidate.rule.to_owned()));
                assert_eq!(reasons, [""; 0], "{}:\n{}", candidate.rule, candidate.patch.unified_diff());
                seen.insert(candidate.rule);
            }
        }
    }
    let silent: Vec<_> = rules::ALL.iter().map(|rule| rule.name).filter(|name| !seen.contains(name)).collect();
    assert!(silent.is_empty(), "no patch of {silent:?} was looked at");
}
