//! What the recorder of a sandbox says of one small addon: tests, lines, data files, values, and the smoke run.

use odoo_agent::sandbox::{Check, Limits, Record, TestOutcome};

use crate::support::sandbox::{engine, fixture, open, owner, test};

fn check<'a>(record: &'a Record, name: &str, low_rights: bool) -> &'a Check {
    let found = record.smoke.iter().find(|check| check.name == name && check.low_rights == low_rights);
    found.unwrap_or_else(|| panic!("{name} is not among {:?}, left out: {:?}", record.smoke, record.left_out))
}

#[tokio::test]
async fn run_is_recorded_to_its_end() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let run = test(&mut sandbox, &fixture("recorded")).await;
    sandbox.close().await.unwrap();
    let record = run.record.unwrap_or_else(|| panic!("{}", run.log));
    assert!(record.complete && record.tampering.is_empty(), "{record:?}\n{}", run.log);

    let tests: Vec<_> = record.tests.iter().map(|test| (test.name.as_str(), test.outcome)).collect();
    assert_eq!(
        tests,
        [
            ("TestVisit.test_cost", TestOutcome::Passed),
            ("TestVisit.test_done", TestOutcome::Passed),
            ("TestBroken.setUpClass", TestOutcome::Errored),
            ("TestBroken.test_never", TestOutcome::Skipped),
        ]
    );

    // The class body and a method that a test calls; the line after the one that raises is not reached.
    let lines = &record.lines["recorded/models/visit.py"];
    assert!([10, 19, 35, 37].iter().all(|line| lines.contains(line)), "{lines:?}");
    assert!(!lines.contains(&28), "{lines:?}");
    // A line that makes a lambda runs without calling it.
    let lambdas = &record.lambdas["recorded/models/visit.py"];
    assert!(lines.contains(&49) && lambdas.contains(&48) && !lambdas.contains(&49), "{lambdas:?}");
    assert!(record.loaded.contains("recorded/views/views.xml") && record.loaded.contains("recorded/security/ir.model.access.csv"));

    let written = |field: &str, value: &str| record.written.iter().any(|written| written.field == field && written.value == value);
    assert!(written("state", "'done'") && written("comment", "'visited'"), "{:?}", record.written);
    // Odoo refuses this one.
    assert!(written("no_such_field", "1"), "{:?}", record.written);
    assert!(record.written.iter().any(|written| written.odoo_model == "sql" && written.field.starts_with("UPDATE recorded_visit")));
    assert!(record.written.iter().any(|written| written.during == "TestVisit.test_done" && written.line == 35));
    assert!(record.written.iter().all(|written| !written.path.contains("/tests/")));
}

#[tokio::test]
async fn smoke_run_finds_what_no_test_looks_at() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let run = test(&mut sandbox, &fixture("recorded")).await;
    sandbox.close().await.unwrap();
    // What goes wrong in the smoke run is no error of the run.
    assert!(!run.log.contains("never"), "{}", run.log);
    let record = run.record.unwrap_or_else(|| panic!("{}", run.log));
    assert!(record.left_out.is_empty(), "{:?}", record.left_out);
    for name in ["view recorded.visit_form", "view recorded.visit_search", "action recorded.visit_action", "create recorded.visit"] {
        assert_eq!(check(&record, name, false).error, None, "{name}");
    }
    for (name, told, path) in [
        ("view recorded.visit_list", "'missing'", "recorded/views/views.xml"),
        ("field recorded.visit.label", "'missing'", "recorded/models/visit.py"),
        ("cron recorded.visit_cron", "'never'", "recorded/views/views.xml"),
        ("report recorded.visit_report_action", "'nothing'", "recorded/views/report.xml"),
        ("button recorded.visit_form action_done", "no_such_field", "recorded/views/views.xml"),
    ] {
        let check = check(&record, name, false);
        assert!(check.error.as_deref().is_some_and(|error| error.contains(told)) && !check.meant, "{check:?}");
        assert_eq!(check.path.as_deref(), Some(path));
    }
    assert!(check(&record, "call recorded.visit.action_refuse", false).meant);
    let refused = check(&record, "read recorded.visit", true);
    assert!(refused.meant && refused.error.as_deref().is_some_and(|error| error.starts_with("AccessError")), "{refused:?}");
    // It exercises lines that no test reaches.
    assert!(record.lines["recorded/models/visit.py"].contains(&46), "{:?}", record.lines);
}
