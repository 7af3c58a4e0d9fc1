//! What one sandbox run showed, read.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::{ErrorReport, ModuleName};
use crate::odoo::{self, Addon, TestLog};
use crate::sandbox::{End, Record, TestOutcome, TestRun};

/// What stands in the place of a test's name where a fixture of its class broke.
const FIXTURES: [&str; 2] = [".setUpClass", ".tearDownClass"];

/// One run of an addon's tests on one state of its sources.
#[derive(Debug, Clone)]
pub struct Observed {
    /// How the process ended.
    pub end: End,
    /// Whether Odoo says that the addon is installed.
    pub installed: bool,
    /// The errors in the log, most severe first.
    pub reports: Vec<ErrorReport>,
    /// Which tests ran and failed: as the recorder saw it, or, without a record, as the log says.
    pub tests: TestLog,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// What the recorder saw; `None` if it said nothing that can be read.
    pub record: Option<Arc<Record>>,
}

impl Observed {
    /// Reads a run.
    pub fn read(run: &TestRun) -> Self {
        Self {
            end: run.end,
            installed: run.installed,
            reports: odoo::reports(&run.log),
            tests: run.record.as_ref().map_or_else(|| TestLog::read(&run.log), recorded_tests),
            seconds: run.seconds,
            record: run.record.clone().map(Arc::new),
        }
    }

    /// Whether the recorder saw the run to its end and found nothing changed that judges it. What a run shows without that is only what it
    /// says of itself.
    pub fn is_trusted(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.complete && record.tampering.is_empty())
    }

    /// What was found changed of the test runner or of Odoo, one sentence each.
    pub fn tampering(&self) -> &[String] {
        self.record.as_ref().map_or(&[], |record| &record.tampering)
    }

    /// The occurrence of this error in the run, if it is there.
    pub fn occurrence(&self, error: &ErrorReport) -> Option<&ErrorReport> {
        self.reports.iter().find(|report| same_error(report, error))
    }

    /// Whether nothing at all is wrong. Exit code 0 alone would not say so, nor does a log whose run was not seen to its end.
    pub fn is_clean(&self) -> bool {
        self.is_trusted() && self.end == End::Exited(0) && self.installed && self.reports.is_empty() && self.tests.failed.is_empty()
    }

    /// The run in a form for people and programs.
    pub fn summary(&self) -> Value {
        json!({
            "end": self.end.to_string(),
            "installed": self.installed,
            "errors": self.reports.iter().take(10).map(|report| json!({
                "class": report.class,
                "title": report.title,
                "location": report.location.as_ref().map(ToString::to_string),
            })).collect::<Vec<_>>(),
            "tests": self.tests.ran,
            "failed_tests": self.tests.failed,
            "recorded": self.record.as_ref().is_some_and(|record| record.complete),
            "tampering": self.tampering(),
            "seconds": (self.seconds * 10.0).round() / 10.0,
        })
    }
}

/// The tests of a record in the form in which a log gives them. A test that was skipped did not run; a fixture that broke is no test.
fn recorded_tests(record: &Record) -> TestLog {
    let mut log = TestLog { summary_seen: record.complete, ..TestLog::default() };
    for test in &record.tests {
        let name = format!("{}: {}", test.module, test.name);
        let is_fixture = FIXTURES.iter().any(|fixture| test.name.ends_with(fixture));
        match test.outcome {
            TestOutcome::Failed => log.failures += 1,
            TestOutcome::Errored => log.errors += 1,
            TestOutcome::Passed | TestOutcome::Skipped => {}
        }
        if matches!(test.outcome, TestOutcome::Failed | TestOutcome::Errored) {
            log.failed.insert(name.clone());
        }
        if test.outcome != TestOutcome::Skipped && !is_fixture && log.started.insert(name) {
            log.ran += 1;
            *log.by_module.entry(test.module.clone()).or_default() += 1;
        }
    }
    log
}

/// The same fingerprint, or the same class about the same named thing in the same addon: production and sandbox may
/// wrap one error differently.
pub fn same_error(one: &ErrorReport, other: &ErrorReport) -> bool {
    one.fingerprint == other.fingerprint
        || (one.class == other.class && one.module == other.module && one.object == other.object && one.object != Default::default())
}

/// Whether the addon brings tests, so that a run without one proves nothing.
pub fn brings_tests(addons: &[Addon], module: &ModuleName) -> bool {
    addons.iter().filter(|addon| addon.name() == module).any(|addon| {
        addon.texts("py").any(|(path, text)| {
            let name = path.within_module().strip_prefix("tests/");
            name.is_some_and(|name| name.starts_with("test_")) && text.contains("def test_")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Phases, TestResult};

    fn observed(log: &str, record: Option<Record>) -> Observed {
        Observed::read(&TestRun {
            end: End::Exited(0),
            log: log.to_owned(),
            installed: true,
            seconds: 1.0,
            phases: Phases::default(),
            record,
        })
    }

    fn result(name: &str, outcome: TestOutcome) -> TestResult {
        TestResult { module: "m".to_owned(), name: name.to_owned(), outcome }
    }

    const SUCCESS: &str = "2026-11-22 19:09:59,827 632 INFO t odoo.addons.m.tests.test_a: Starting TestA.test_one ... \n\
        2026-11-22 19:10:00,000 1 INFO t odoo.tests.result: 0 failed, 0 error(s) of 1 tests when loading database 't'\n";

    #[test]
    fn record_says_which_tests_ran() {
        let tests = vec![
            result("TestA.test_one", TestOutcome::Failed),
            result("TestA.test_two", TestOutcome::Skipped),
            result("TestA.test_three", TestOutcome::Passed),
            result("TestB.setUpClass", TestOutcome::Errored),
        ];
        let seen = observed(SUCCESS, Some(Record { complete: true, tests, ..Record::default() }));
        assert_eq!((seen.tests.ran, seen.tests.failures, seen.tests.errors, seen.tests.summary_seen), (2, 1, 1, true));
        assert_eq!(seen.tests.failed.iter().map(String::as_str).collect::<Vec<_>>(), ["m: TestA.test_one", "m: TestB.setUpClass"]);
        assert!(!seen.tests.started.contains("m: TestA.test_two") && !seen.is_clean());
    }

    #[test]
    fn log_alone_is_not_trusted() {
        let whole = Record { complete: true, tests: vec![result("TestA.test_one", TestOutcome::Passed)], ..Record::default() };
        assert!(observed(SUCCESS, Some(whole.clone())).is_clean());
        assert!(!observed(SUCCESS, None).is_clean());
        assert!(!observed(SUCCESS, Some(Record { complete: false, ..whole.clone() })).is_clean());
        let tampering = vec!["unittest.case.TestCase.assertEqual was replaced".to_owned()];
        assert!(!observed(SUCCESS, Some(Record { tampering, ..whole })).is_clean());
    }
}
