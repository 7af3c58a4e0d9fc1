//! No rule's own patch is refused.

use std::collections::BTreeMap;
use std::path::Path;

use super::{refusals, shop};
use crate::domain::{ErrorClass, ErrorReport, Fault, Location, ObjectRef, Source};
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

/// What a fixture's own log says, with where (`at FILE:LINE`) and on which Odoo if not on 19.0 (`on SERIES`).
fn said(addon: &Addon) -> &str {
    match addon.path("said.txt") {
        Some(path) => addon.text(&path).unwrap_or_default(),
        None => "",
    }
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
    let said = said(addon);
    let (file, line) = said.lines().find_map(|line| line.strip_prefix("at ")?.split_once(':')).unwrap_or_default();
    let location = line.parse().ok().map(|line| Location { path: format!("{name}/{file}"), line: Some(line) });
    let text = format!(
        "{said}\nRELAXNG xmlParseEntityRef EntityRef: expecting ';' ph() missing 'NewId' 'slug' 'SavepointCase' 'groups_id' 'category_id' \
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
        location,
        owner: Default::default(),
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
fn patch_of_every_rule_is_as_it_was_and_not_refused() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders = walkdir::WalkDir::new(fixtures.join("rules")).min_depth(2).max_depth(2).into_iter();
    let roots = folders.chain(walkdir::WalkDir::new(fixtures.join("addons")).min_depth(1).max_depth(1)).map(Result::unwrap);
    let addons = roots.filter(|entry| entry.file_type().is_dir()).map(|entry| load(entry.path())).chain([shop(), old()]);
    let mut seen = Seen::default();
    for addon in addons {
        let version = said(&addon).lines().find_map(|line| line.strip_prefix("on ")).unwrap_or("19.0").parse().unwrap();
        for class in ErrorClass::ALL {
            let report = report(*class, &addon);
            for candidate in rules::propose(&rules::Case { report: &report, addon: &addon, version: &version, index: Default::default() }) {
                seen.add(&addon, &candidate);
            }
        }
    }
    indexed(&mut seen);
    let silent: Vec<_> = rules::ALL.iter().map(|rule| rule.name).filter(|name| !seen.0.contains_key(name)).collect();
    assert!(silent.is_empty(), "no patch of {silent:?} was looked at");
    for (rule, text) in seen.0 {
        insta::assert_snapshot!(rule, text);
    }
}

/// Of each rule, the shortest of the patches that were looked at.
#[derive(Default)]
struct Seen(BTreeMap<&'static str, String>);

impl Seen {
    fn add(&mut self, addon: &Addon, candidate: &rules::Candidate) {
        let diff = candidate.patch.unified_diff();
        let reasons = refusals(addon, &candidate.patch, &Source::Rule(candidate.rule.to_owned()));
        assert_eq!(reasons, [""; 0], "{}:\n{diff}", candidate.rule);
        let text = format!("{}\n\n{diff}", candidate.summary);
        let shortest = self.0.entry(candidate.rule).or_insert_with(|| text.clone());
        if (text.len(), &text) < (shortest.len(), shortest) {
            *shortest = text;
        }
    }
}

/// The rules that ask what Odoo itself defines, each with an addon that it mends.
fn indexed(seen: &mut Seen) {
    use ErrorClass as C;
    const MANIFEST: (&str, &str) = ("__manifest__.py", "{'depends': ['base'], 'data': ['v.xml']}");
    const VIEW: &str = "<odoo><record id='v' model='ir.ui.view'><field name='model'>res.partner</field><field name='inherit_id' ref='base.view_partner_form'/><field name='arch' type='xml'><data><field name='mobile' position='after'><field name='emial'/><button name='action_opn' type='object'/></field></data></field></record><record id='c' model='res.partner.category'><field name='colour'>1</field></record><menuitem id='x' parent='base.menu_administraton'/></odoo>";
    const STATES: &str = "<odoo><record id='s_a' model='m.s'><field name='code'>a</field></record><record id='s_b' model='m.s'><field name='code'>b</field></record><record id='s_c' model='m.s'><field name='name'>c</field></record></odoo>";
    const TEMPLATE: &str = "<odoo><template id='t'><p t-out='doc.emial'/></template></odoo>";
    const PYTHON: &str = "class A(models.Model):\n    _inherit = 'res.partner'\n    o_id = fields.Many2one('sale.order')\n    p_id = fields.Many2one('res.partnr')\n    z_id = fields.Many2one('zzz.zzz')\n    r = fields.Char(related='company_id.stret')\n    x = fields.Integer(required=True, compute='_compute_totl')\n    y = fields.Integer(required=True)\n    _c = models.Constraint('check(yy > 0)')\n    def _compute_total(self):\n        pass\n";
    let cases: [(C, &str); 15] = [
        (C::FieldReferenceBroken, "Field res.partner.o_id with unknown comodel_name 'sale.order'"),
        (C::FieldReferenceBroken, "Field res.partner.p_id with unknown comodel_name 'res.partnr'"),
        (C::FieldReferenceBroken, "Field res.partner.z_id with unknown comodel_name 'zzz.zzz'"),
        (C::FieldReferenceBroken, "Field stret referenced in related field definition res.partner.r does not exist."),
        (C::ViewUnknownField, "Field \"emial\" does not exist in model \"res.partner\""),
        (C::ViewAnchorMissing, "Element '<field name=\"mobile\">' cannot be located in parent view"),
        (C::ViewInvalidAction, "action_opn is not a valid action on res.partner"),
        (C::ExternalIdMissing, "External ID not found in the system: base.menu_administraton"),
        (C::FieldInvalid, "Invalid field 'colour' in 'res.partner.category'"),
        (C::AttributeMissing, "'res.partner' object has no attribute '_compute_totl'"),
        (C::ImportModule, "No module named 'odoo.addons.contact'"),
        (C::DataConstraint, "null value in column \"code\" of relation \"m_s\" violates not-null constraint"),
        (C::SchemaConstraint, "column \"y\" of relation \"res_partner\" contains null values"),
        (C::SchemaConstraint, "column \"yy\" does not exist"),
        (C::QwebRender, "AttributeError: 'res.partner' object has no attribute 'emial'\nTemplate: m.t\nElement: <p t-out=\"doc.emial\"/>"),
    ];
    let files = [
        MANIFEST,
        ("v.xml", VIEW),
        ("s.xml", STATES),
        ("t.xml", TEMPLATE),
        ("a.py", PYTHON),
        ("b.py", "from odoo.addons.contact import x\n"),
    ];
    for (class, text) in cases {
        let (addon, candidates) = rules::testing_index::proposed(&files, class, text);
        for candidate in candidates {
            seen.add(&addon, &candidate);
        }
    }
}
