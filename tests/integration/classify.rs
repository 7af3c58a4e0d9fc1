//! `odoo-agent classify`: files, standard input, garbage.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::support;

fn classify(args: &[&str], input: &[u8]) -> Output {
    let mut child = support::program(&[&["classify"], args].concat()).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn files_and_standard_input_are_read() {
    let (tree, noacl) = (support::fixture("logs/p_tree.log"), support::fixture("logs/p_noacl.log"));
    let output = classify(&["--json", tree.to_str().unwrap(), noacl.to_str().unwrap()], b"");
    let result = support::json(&output);
    let errors = result["errors"].as_array().unwrap();
    let of = |class: &str| errors.iter().find(|error| error["class"] == class).unwrap();
    assert_eq!((&of("view_type_tree")["module"], &of("view_type_tree")["primary"]), (&"p_tree".into(), &true.into()));
    assert_eq!(of("access_rules_missing")["object"]["model"], "p.noacl");
    assert_eq!(output.status.code(), Some(0));

    let output = classify(&["--json"], b"ValueError: Expected singleton: res.partner(6, 7)\n");
    let error = &support::json(&output)["errors"][0];
    assert_eq!((&error["class"], &error["subclass"]), (&"expected_singleton".into(), &"several".into()));
    assert_eq!(error["object"]["model"], "res.partner");

    let output = classify(&["-"], b"ValueError: Expected singleton: res.partner(6, 7)\n");
    assert!(String::from_utf8_lossy(&output.stdout).contains("expected_singleton"), "{output:?}");
}

#[test]
fn what_is_no_log_is_said_to_be_none() {
    let output = classify(&["/nonexistent.log"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent.log"));
    let garbage: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
    let output = classify(&["--json"], &garbage);
    assert!(matches!(output.status.code(), Some(0 | 2)), "{output:?}");
    let output = classify(&["--json"], b"2026-11-22 19:10:18,973 648 INFO t odoo: fine\n");
    assert_eq!(support::json(&output)["errors"], serde_json::json!([]));
}
