//! Errors from production that no test of the addon shows: reproduced by a test that is built from the traceback, which then goes with the
//! fix. The logs are those of a real Odoo 19.0.

use std::process::Output;

use serde_json::Value;

use crate::support::{self, TestApp};

async fn fix(app: &TestApp, name: &str, more: &[&str], change: impl Fn(&std::path::Path)) -> (Output, tempfile::TempDir) {
    let addons = support::addons(&[name]);
    change(&addons.path().join(name));
    let log = support::fixture(&format!("logs/{name}.log"));
    let args = [&["fix", "--json", "--log", log.to_str().unwrap(), "--addons", addons.path().to_str().unwrap()], more].concat();
    let mut command = app.command(&args);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output, addons)
}

async fn fixed(name: &str, kind: &str, test: &str) -> Value {
    let app = support::app(&[], |_| {}).await.with_threshold(0.5);
    let (output, addons) = fix(&app, name, &["--apply"], |_| {}).await;
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["grade"]), (&"fixed".into(), &"proven".into()), "{result:#}");
    assert_eq!((&result["reproduction"]["kind"], &result["reproduced"]), (&kind.into(), &true.into()), "{result:#}");
    let failed = |state: &str| result["verification"][state]["failed_tests"].clone();
    assert_eq!((failed("before"), failed("after")), (serde_json::json!([result["reproduction"]["test"]]), serde_json::json!([])));
    assert!(result["verification"]["tests"].as_u64().unwrap() >= 1);

    // What is applied is the fix and the test, and the addon's suite now holds it.
    let folder = addons.path().join(name);
    let suite = std::fs::read_to_string(folder.join("tests/__init__.py")).unwrap();
    assert!(suite.contains(&format!("from . import {test}\n")), "{suite}");
    let text = std::fs::read_to_string(folder.join(format!("tests/{test}.py"))).unwrap();
    assert_eq!(result["reproduction"]["text"], text);
    assert!(result["patch"].as_str().unwrap().contains(&format!("+++ b/{name}/tests/{test}.py")));

    // What is remembered is the fix alone: in another copy it is recalled, and proven with the test anew.
    let (output, _addons) = fix(&app, name, &[], |_| {}).await;
    let again = support::json(&output);
    assert_eq!((&again["outcome"], &again["source"]), (&"fixed".into(), &"recall".into()), "{again:#}");
    assert_eq!(again["reproduction"]["kind"], kind);
    result
}

#[tokio::test]
async fn button_is_reproduced_and_mended() {
    let result = fixed("p_run_button", "method", "test_p_run_desk_action_close").await;
    assert!(result["patch"].as_str().unwrap().contains("self.env.user.all_group_ids"), "{result:#}");
}

#[tokio::test]
async fn scheduled_action_is_reproduced_and_mended() {
    let result = fixed("p_run_cron", "cron", "test_p_run_reminder_cron_send").await;
    assert!(result["patch"].as_str().unwrap().contains("api.NewId"), "{result:#}");
}

#[tokio::test]
async fn page_is_reproduced_and_mended() {
    let result = fixed("p_run_route", "route", "test_route_hours").await;
    assert!(result["patch"].as_str().unwrap().contains("request.env.user.all_group_ids"), "{result:#}");
}

#[tokio::test]
async fn probe_that_shows_nothing_claims_nothing() {
    let app = support::app(&[], |_| {}).await;
    let (output, addons) = fix(&app, "p_run_silent", &["--apply"], |_| {}).await;
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["grade"]), (&"proposed".into(), &"consistent".into()), "{result:#}");
    assert_eq!((&result["reproduced"], &result["reproduction"]), (&false.into(), &Value::Null), "{result:#}");
    assert!(!result["patch"].as_str().unwrap().contains("tests/"), "{result:#}");
    assert!(!addons.path().join("p_run_silent/tests").exists());
}

#[tokio::test]
async fn ticket_brings_the_test_that_shows_the_error() {
    let app = support::app(&[], |_| {}).await;
    let (output, _addons) = fix(&app, "p_run_report", &["--module", "p_run_report"], |_| {}).await;
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["reproduction"]["kind"]), (&"ticket".into(), &"report".into()), "{result:#}");
    let body = result["ticket"]["body"].as_str().unwrap();
    assert!(body.contains("_render_qweb_html(\"p_run_report.label\"") && body.contains("tests/test_report_label.py"), "{body}");
    assert!(result["why"].as_str().unwrap().contains("renders the report p_run_report.label"), "{result:#}");
}

#[tokio::test]
async fn own_test_with_the_same_error_is_reproduction_enough() {
    let app = support::app(&[], |_| {}).await;
    let with_test = |folder: &std::path::Path| {
        std::fs::create_dir(folder.join("tests")).unwrap();
        std::fs::write(folder.join("tests/__init__.py"), "from . import test_cron\n").unwrap();
        let text = "from odoo.tests.common import TransactionCase\n\n\nclass TestCron(TransactionCase):\n    def test_cron(self):\n        reminders = self.env[\"p.run.reminder\"]\n        reminders.create({\"name\": \"a\", \"day\": \"2026-01-01\"})\n        reminders._cron_send()\n";
        std::fs::write(folder.join("tests/test_cron.py"), text).unwrap();
    };
    let (output, _addons) = fix(&app, "p_run_cron", &[], with_test).await;
    let result = support::json(&output);
    assert_eq!((&result["outcome"], &result["reproduction"]["kind"]), (&"fixed".into(), &"own_test".into()), "{result:#}");
    assert_eq!(result["reproduction"]["test"], "p_run_cron: TestCron.test_cron");
    assert!(!result["patch"].as_str().unwrap().contains("tests/"), "{result:#}");
}
