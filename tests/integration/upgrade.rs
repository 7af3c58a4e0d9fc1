//! `odoo-agent upgrade` on addons of an older series.

use std::process::Output;

use serde_json::Value;

use crate::support;

/// A copy of the fixtures, and what the command makes of it.
async fn upgrade(more: &'static [&'static str]) -> (Output, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    support::copy(&support::fixture("upgrade"), folder.path());
    let addons = folder.path().to_str().unwrap().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        support::program(&[&["upgrade", "--addons", &addons, "--from", "16.0", "--to", "19.0"], more].concat()).output().unwrap()
    });
    (output.await.unwrap(), folder)
}

fn addon<'v>(result: &'v Value, name: &str) -> &'v Value {
    result["addons"].as_array().unwrap().iter().find(|addon| addon["module"] == name).unwrap()
}

#[tokio::test]
async fn old_addons_are_brought_as_far_as_rules_can() {
    let (output, folder) = upgrade(&["--json", "--apply"]).await;
    let result = support::json(&output);
    assert_eq!(output.status.code(), Some(1), "one of them is not done");

    let notes = addon(&result, "old_notes");
    assert_eq!((&notes["outcome"], &notes["grade"]), (&"upgraded".into(), &"proven".into()), "{notes:#}");
    assert_eq!((&notes["missing"], &notes["unresolved"]), (&Value::Array(Vec::new()), &Value::Array(Vec::new())));
    assert_eq!(notes["tests"]["ran"], 1);
    let rules: Vec<&str> = notes["steps"].as_array().unwrap().iter().map(|step| step["rule"].as_str().unwrap()).collect();
    for rule in ["series", "tree_to_list", "attrs_to_expressions", "sql_constraints", "import_map"] {
        assert!(rules.contains(&rule), "{rules:?}");
    }
    let stuck = addon(&result, "old_stuck");
    assert_eq!(stuck["outcome"], "unfinished");
    let left = &stuck["left"][0]["location"];
    assert_eq!((&left["path"], &left["line"]), (&"old_stuck/tests/test_stuck.py".into(), &6.into()), "{stuck:#}");
    // What a rule is not sure of runs, and is left to a person.
    let guess = addon(&result, "old_guess");
    assert_eq!((&guess["outcome"], &guess["held_back"]), (&"upgraded".into(), &true.into()), "{guess:#}");
    let waits = addon(&result, "old_waits");
    assert_eq!((&waits["outcome"], &waits["waits_for"]), (&"waiting".into(), &"old_stuck".into()));

    // What is proven is written, with backups; what is not stays as it was.
    let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).unwrap();
    assert!(read("old_notes/__manifest__.py").contains("\"19.0.1.0.0\""));
    assert!(read("old_notes/__manifest__.py.bak").contains("\"16.0.2.1.0\""));
    let views = read("old_notes/views/old_note_views.xml");
    assert!(views.contains("<field name=\"name\" />  <!-- stays as it is -->") && views.contains("invisible=\"state == 'draft'\""));
    assert!(read("old_stuck/__manifest__.py").contains("\"16.0.1.0.0\""));
    assert!(read("old_guess/views.xml").contains("known_to_nobody"));
}

/// The places that a list of findings names, as `path:line name`.
fn places(found: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let place = |one: &Value| format!("{}:{} {}", text(&one["path"]), one["line"], text(&one["name"]));
    found.as_array().unwrap().iter().map(place).collect()
}

#[tokio::test]
async fn addons_that_install_and_break_at_first_use_are_not_proven() {
    let (output, folder) = upgrade(&["--json", "--apply", "--module", "old_badge", "--module", "old_dial"]).await;
    let result = support::json(&output);
    assert_eq!(output.status.code(), Some(1), "nothing was proven");

    let (badge, dial) = (addon(&result, "old_badge"), addon(&result, "old_dial"));
    assert_eq!(places(&badge["unresolved"]), ["old_badge/models/old_badge.py:12 create"]);
    let gone = ["models/old_dial.py:13 mobile", "models/old_dial.py:16 mobile", "models/old_dial.py:17 name_get"];
    assert_eq!(places(&dial["unresolved"]), gone.map(|gone| format!("old_dial/{gone}")), "all of them, not the first");
    for one in [badge, dial] {
        assert_eq!((&one["outcome"], &one["grade"]), (&"unfinished".into(), &"installs".into()), "{one:#}");
        let missing: Vec<&str> = one["missing"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(missing.contains(&"no test ran"), "{missing:?}");
    }
    let kept = std::fs::read_to_string(folder.path().join("old_dial/__manifest__.py")).unwrap();
    assert!(kept.contains("\"16.0.1.0.0\""), "only what is proven is written");
}

#[tokio::test]
async fn bad_orders_are_refused() {
    let refused = |args: &[&str], word: &str| {
        let output = support::program(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(word), "{said}");
    };
    let fixtures = support::fixture("upgrade");
    let addons = fixtures.to_str().unwrap();
    refused(&["upgrade", "--addons", addons, "--from", "19.0", "--to", "17.0"], "not older");
    refused(&["upgrade", "--addons", addons, "--from", "16.0", "--module", "nowhere"], "nowhere");
    refused(&["upgrade", "--addons", "/nonexistent", "--from", "16.0"], "/nonexistent");
}
