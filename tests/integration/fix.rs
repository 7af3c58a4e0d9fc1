//! `odoo-agent fix` on the probes: real errors of a real Odoo, mended and proven without a key.

use std::process::Output;

use serde_json::Value;

use crate::support::{self, TestApp};

async fn fix(app: &TestApp, probe: &str, more: &[&str]) -> (Output, tempfile::TempDir) {
    let addons = support::addons(&[probe]);
    let log = support::fixture(&format!("logs/{probe}.log"));
    let args = [&["fix", "--json", "--log", log.to_str().unwrap(), "--addons", addons.path().to_str().unwrap()], more].concat();
    let mut command = app.command(&args);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output, addons)
}

async fn fixed(probe: &str) -> Value {
    let app = support::app(&[], |_| {}).await;
    let (output, addons) = fix(&app, probe, &[]).await;
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["grade"]), (&"fixed".into(), &"proven".into()), "{result:#}");
    assert_eq!(output.status.code(), Some(0));
    assert!(result["source"].as_str().unwrap().starts_with("rule:"), "{result:#}");
    assert_eq!(result["verification"]["new_failures"], serde_json::json!([]));
    assert_eq!((&result["applicability"], &result["losses"]), (&"safe".into(), &serde_json::json!([])));
    let count = |key: &str| result["confidence_counts"][key].as_f64().unwrap();
    let earned = (count("right") + count("good") + 1.0) / (count("tried") + count("good") + count("bad") + 2.0);
    assert!((result["confidence"].as_f64().unwrap() - earned).abs() < 1e-9, "{result:#}");
    assert_eq!(result["cost"]["usd"], 0.0);
    let patch = result["patch"].as_str().unwrap();
    assert!(patch.contains(&format!("+++ b/{probe}/")), "{patch}");
    // Without --apply nothing on disk has changed.
    let untouched = std::fs::read_to_string(support::fixture(&format!("addons/{probe}/__manifest__.py"))).unwrap();
    assert_eq!(std::fs::read_to_string(addons.path().join(probe).join("__manifest__.py")).unwrap(), untouched);
    result
}

macro_rules! probes {
    ($($name:ident: $probe:literal, $class:literal;)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let result = fixed($probe).await;
                assert_eq!(result["error"]["class"], $class);
            }
        )+
    };
}

probes! {
    tree_view_is_mended: "p_tree", "view_type_tree";
    attrs_are_mended: "p_attrs", "view_attrs_removed";
    missing_data_file_is_mended: "p_missfile", "data_file_missing";
    renamed_field_is_mended: "p_groupsid", "field_invalid";
    import_of_nothing_is_mended: "p_import3", "import_own_package";
    old_hook_is_mended: "p_hook", "hook_signature";
    bare_ampersand_is_mended: "p_badxml", "xml_syntax";
    undefined_name_is_mended: "p_nameerr", "name_undefined";
    slip_in_a_tag_is_mended: "p_rng", "xml_schema";
    missing_dependency_is_mended: "p_inh", "model_missing";
}

/// A patch that is proven and left to a person for this reason.
async fn proposed(probe: &str, class: &str, reservation: &str) -> Value {
    let app = support::app(&[], |_| {}).await;
    let (output, _addons) = fix(&app, probe, &[]).await;
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["grade"]), (&"proposed".into(), &"proven".into()), "{result:#}");
    assert_eq!((output.status.code(), &result["error"]["class"]), (Some(1), &class.into()));
    assert!(result["reservations"].to_string().contains(reservation), "{result:#}");
    result
}

#[tokio::test]
async fn missing_access_rules_are_proposed() {
    // Who may do what is a decision: the rights are made up, and no run can judge them.
    let result = proposed("p_noacl", "access_rules_missing", "the rights are made up").await;
    assert_eq!(result["losses"][0]["kind"], "right", "{result:#}");
}

#[tokio::test]
async fn other_side_of_a_relation_is_proposed_where_its_name_is_no_slip() {
    // Nothing says that the only field which leads back is the one that was meant by a name so far from it.
    let result = proposed("p_o2m", "field_reference_broken", "").await;
    assert!(result["losses"][0]["what"].as_str().unwrap().contains("inverse_name"), "{result:#}");
}

#[tokio::test]
async fn anchor_that_is_gone_is_proposed() {
    // What the view brings would show in another place than it was meant for, which no run can judge either.
    proposed("p_xpath", "view_anchor_missing", "another place").await;
}

async fn ticket(probe: &str, class: &str, place: &str) {
    let app = support::app(&[], |_| {}).await;
    let (output, _addons) = fix(&app, probe, &[]).await;
    let result = support::json(&output);
    assert_eq!(result["outcome"], "ticket", "{result:#}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(result["error"]["class"], class);
    assert_eq!(result["error"]["location"], place);
    assert!(result["ticket"]["body"].as_str().unwrap().contains(place));
    assert!(result["ticket"]["id"].is_string());
    assert!(result["why"].as_str().unwrap().contains("ANTHROPIC_API_KEY"), "{}", result["why"]);
    assert_ne!(result["grade"], "proven");
}

#[tokio::test]
async fn what_no_rule_knows_becomes_a_ticket() {
    ticket("p_limit", "value_invalid", "p_limit/__init__.py:4").await;
}

#[tokio::test]
async fn failing_test_becomes_a_ticket() {
    ticket("p_test", "attribute_missing", "p_test/tests/test_a.py:7").await;
}

#[tokio::test]
async fn proven_fix_is_applied_and_then_recalled() {
    let app = support::app(&[], |_| {}).await.with_threshold(0.5);
    let (output, addons) = fix(&app, "p_tree", &["--apply"]).await;
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["not_applied"]), (&"fixed".into(), &Value::Null), "{result:#}");
    assert_eq!((output.status.code(), result["applied"]["files"].as_array().unwrap().len()), (Some(0), 1));
    let view = std::fs::read_to_string(addons.path().join("p_tree/v.xml")).unwrap();
    assert!(view.contains("<list>") && !view.contains("<tree>"));
    let backup = std::fs::read_to_string(addons.path().join("p_tree/v.xml.bak")).unwrap();
    assert!(backup.contains("<tree>"));

    // The same error again, in another copy: the fix is remembered, and proven anew.
    let (output, _addons) = fix(&app, "p_tree", &[]).await;
    let again = support::json(&output);
    assert_eq!((&again["outcome"], &again["source"]), (&"fixed".into(), &"recall".into()), "{again:#}");
}

#[tokio::test]
async fn patch_that_is_not_safe_is_proposed_and_not_applied() {
    // However much its source is trusted.
    let app = support::app(&[], |_| {}).await.with_threshold(0.0);
    let (output, addons) = fix(&app, "p_field", &["--apply"]).await;
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["grade"]), (&"proposed".into(), &"proven".into()), "{result:#}");
    assert_eq!((output.status.code(), &result["source"]), (Some(1), &"rule:dangling?".into()));
    assert_ne!(result["applicability"], "safe");
    assert!(result["patch"].is_string() && result["applied"].is_null(), "{result:#}");
    let view = std::fs::read_to_string(addons.path().join("p_field/v.xml")).unwrap();
    assert!(view.contains("nope_x"), "nothing was written");
    assert!(result["why"].as_str().unwrap().contains("a person must decide"), "{result:#}");

    let mut command = app.command(&["ticket", "show", result["ticket"]["id"].as_str().unwrap(), "--json"]);
    let ticket = support::json(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap());
    assert_eq!((&ticket["patch"], &ticket["evidence"]["outcome"]), (&result["patch"], &"proposed".into()), "{ticket:#}");
    assert!(ticket["body"].as_str().unwrap().contains("**The proposed patch** (rule:dangling?, proven, "), "{ticket:#}");

    // The outcome does not depend on the order to apply it.
    let (output, _addons) = fix(&app, "p_field", &[]).await;
    let shown = support::json(&output);
    assert_eq!((output.status.code(), &shown["outcome"]), (Some(1), &"proposed".into()), "{shown:#}");
}

#[tokio::test]
async fn fix_below_the_threshold_leaves_the_files_alone() {
    let app = support::app(&[], |_| {}).await.with_threshold(1.0);
    let (output, addons) = fix(&app, "p_tree", &["--apply"]).await;
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["applied"]), (&"fixed".into(), &Value::Null), "{result:#}");
    assert_eq!(output.status.code(), Some(1));
    let why = result["not_applied"].as_str().unwrap();
    assert!(why.contains("below the tenant's threshold of 1.00") && result["why"].as_str().unwrap().contains(why), "{result:#}");
    assert!(result["ticket"]["id"].is_string(), "nobody forgets it: {result:#}");
    let view = addons.path().join("p_tree/v.xml");
    assert!(std::fs::read_to_string(&view).unwrap().contains("<tree>") && !view.with_file_name("v.xml.bak").exists());
    let mut command = app.command(&["status", result["run_id"].as_str().unwrap()]);
    let status = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(status.status.code(), Some(1), "{}", String::from_utf8_lossy(&status.stdout));
}

#[tokio::test]
async fn missing_dependency_may_be_an_addon_at_hand() {
    let app = support::app(&[], |_| {}).await;
    let folder = support::temp_dir();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let manifest =
        |depends: &str| format!("{{'name': 'x', 'version': '19.0.1.0.0', 'license': 'LGPL-3', 'author': 'x', 'depends': ['{depends}']}}\n");
    let model = |body: &str| format!("from odoo import fields, models\n\n\nclass A(models.AbstractModel):\n{body}");
    write("p_owner/__manifest__.py", &manifest("base"));
    write("p_owner/__init__.py", &model("    _name = 'p.owned'\n    _description = 'Owned'\n"));
    write("p_needs/__manifest__.py", &manifest("base"));
    write("p_needs/__init__.py", &model("    _inherit = 'p.owned'\n\n    note = fields.Char()\n"));
    let log = folder.path().join("odoo.log");
    let text = support::log_of("p_inh").replace("p_inh", "p_needs").replace("sale.order", "p.owned");
    std::fs::write(&log, text).unwrap();
    let mut command = app.command(&["fix", "--json", "--log", log.to_str().unwrap(), "--addons", folder.path().to_str().unwrap()]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["source"]), (&"fixed".into(), &"rule:missing_depends".into()), "{result:#}");
    assert!(result["patch"].as_str().unwrap().contains("p_owner"), "{result:#}");
}

#[tokio::test]
async fn error_that_is_not_there_is_not_proven() {
    let app = support::app(&[], |_| {}).await;
    let addons = support::addons(&["p_tree"]);
    let view = addons.path().join("p_tree/v.xml");
    std::fs::write(&view, std::fs::read_to_string(&view).unwrap().replace("tree>", "list>")).unwrap();
    let log = support::fixture("logs/p_tree.log");
    let mut command = app.command(&["fix", "--json", "--log", log.to_str().unwrap(), "--addons", addons.path().to_str().unwrap()]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["reproduced"]), (&"ticket".into(), &false.into()), "{result:#}");
    assert_eq!(output.status.code(), Some(1));
}

/// A fix of `p_noacl` with `p_leans` beside it, whose test is changed by this.
async fn fix_beside(change: impl Fn(&str) -> String) -> Value {
    let app = support::app(&[], |_| {}).await;
    let addons = support::addons(&["p_noacl", "p_leans"]);
    let test = addons.path().join("p_leans/tests/test_leans.py");
    std::fs::write(&test, change(&std::fs::read_to_string(&test).unwrap())).unwrap();
    let log = support::fixture("logs/p_noacl.log");
    let mut command = app.command(&["fix", "--json", "--log", log.to_str().unwrap(), "--addons", addons.path().to_str().unwrap()]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    support::json(&output)
}

#[tokio::test]
async fn patch_that_breaks_what_builds_on_it_is_proposed() {
    let result = fix_beside(str::to_owned).await;
    assert_eq!((&result["outcome"], &result["grade"]), (&"proposed".into(), &"refuted".into()), "{result:#}");
    assert_eq!(result["confidence"], 0.0);
    let broken = result["verification"]["new_failures"].to_string();
    assert!(broken.contains("TestLeans.test_nobody_has_rights") && broken.contains("(with p_leans)"), "{broken}");
    assert!(result["patch"].as_str().unwrap().contains("ir.model.access.csv"), "{result:#}");
}

#[tokio::test]
async fn patch_is_proven_with_what_builds_on_it() {
    // A test that fails with and without the patch is nothing that the patch broke. Made-up rights are a proposal however well proven.
    let result = fix_beside(|test| test.replace("assertFalse(rights)", "fail('always')")).await;
    assert_eq!((&result["outcome"], &result["grade"]), (&"proposed".into(), &"proven".into()), "{result:#}");
    assert_eq!(result["verification"]["dependents"], serde_json::json!(["p_leans"]));
    assert_eq!(result["verification"]["findings"], serde_json::json!([]));
}

/// What `fix` says of a column that the database lacks.
async fn outdated(probe: &str, table: &str, column: &str) -> String {
    let app = support::app(&[], |_| {}).await;
    let addons = support::addons(&[probe]);
    let log = addons.path().join("odoo.log");
    let text = format!(
        "2026-11-23 03:00:22,979 4117 ERROR shop odoo.http: Exception during request handling. \nTraceback (most recent call last):\n  \
         File \"/usr/lib/python3/dist-packages/odoo/sql_db.py\", line 433, in execute\n    self._obj.execute(query, params)\n\
         psycopg2.errors.UndefinedColumn: column {table}.{column} does not exist\nLINE 1: SELECT \"{table}\".\"{column}\" FROM \"{table}\"\n"
    );
    std::fs::write(&log, text).unwrap();
    let mut command = app.command(&["fix", "--json", "--log", log.to_str().unwrap(), "--addons", addons.path().to_str().unwrap()]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["error"]["class"]), (&"ticket".into(), &"schema_outdated".into()), "{result:#}");
    let why = result["why"].as_str().unwrap().to_owned();
    assert!(why.contains(&format!("`odoo -d shop -u {probe} --stop-after-init`")), "{why}");
    why
}

#[tokio::test]
async fn missing_upgrade_is_named_and_shown_to_be_all() {
    let why = outdated("p_run_report", "p_run_label", "name").await;
    assert!(why.contains("p_run_report/models/label.py:8") && why.contains("nothing but the upgrade is missing"), "{why}");
}

#[tokio::test]
async fn upgrade_that_would_meet_more_says_so() {
    let why = outdated("p_reqcol", "res_partner", "x_req").await;
    assert!(why.contains("shows something else"), "{why}");
}

#[tokio::test]
async fn required_field_brings_a_script_for_the_upgrade() {
    let app = support::app(&[], |_| {}).await;
    let (output, _addons) = fix(&app, "p_reqcol", &[]).await;
    let result = support::json(&output);
    assert_eq!(
        (&result["outcome"], &result["grade"], &result["source"]),
        // Nothing here runs a script of an upgrade, so the patch with one is consistent at most.
        (&"proposed".into(), &"consistent".into(), &"rule:required_default?".into())
    );
    let patch = result["patch"].as_str().unwrap();
    assert!(patch.contains("+++ b/p_reqcol/migrations/19.0.1.1.0/pre-migration.py") && patch.contains("19.0.1.1.0'"), "{patch}");
}
