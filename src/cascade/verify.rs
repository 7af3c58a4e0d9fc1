//! From two runs to a verdict.

use serde_json::Value;

use super::observe::{Observed, same_error};
use crate::domain::{ErrorReport, Evidence, Grade};
use crate::sandbox::End;

/// Compares the run on the untouched sources with the run on the patched ones.
///
/// Proven: the error was there before, is not there after, and whatever is wrong after was wrong before. A run in which
/// the addon's own tests did not run, although it has some, proves nothing.
pub fn judge(error: &ErrorReport, before: &Observed, after: &Observed, brings_tests: bool) -> Evidence {
    let reproduced = before.occurrence(error).is_some();
    let gone = after.occurrence(error).is_none();
    let new_failures = new_failures(before, after);
    let tested = !brings_tests || after.tests.ran > 0;
    let grade = if !gone || !new_failures.is_empty() || !after.installed {
        Grade::Refuted
    } else if reproduced && tested {
        Grade::Proven
    } else {
        Grade::Consistent
    };
    Evidence {
        grade,
        before: before.summary(),
        after: after.summary(),
        new_failures,
        tests: after.tests.ran,
        seconds: ((before.seconds + after.seconds) * 10.0).round() / 10.0,
    }
}

/// Everything that is wrong after and was not wrong before, one line each.
fn new_failures(before: &Observed, after: &Observed) -> Vec<String> {
    let errors = new_errors(before, after).into_iter().map(|report| report.title.clone());
    let tests = after.tests.failed.difference(&before.tests.failed).map(|test| format!("test {test}"));
    let mut failures: Vec<String> = errors.chain(tests).collect();
    if !after.installed && before.installed {
        failures.push("the addon is no longer installed".to_owned());
    }
    match &after.end {
        End::Exited(0) => {}
        // A failing exit needs a reason that was there before; else something broke that the log does not name.
        End::Exited(code) => {
            if failures.is_empty() && after.reports.is_empty() && after.tests.failed.is_empty() {
                failures.push(format!("odoo exited with {code}"));
            }
        }
        other => failures.push(format!("the run did not end by itself: {other}")),
    }
    failures
}

/// The errors of the later run that the earlier one does not have, most severe first.
pub fn new_errors<'a>(before: &Observed, after: &'a Observed) -> Vec<&'a ErrorReport> {
    after.reports.iter().filter(|report| !before.reports.iter().any(|old| same_error(old, report))).collect()
}

/// A verdict on a candidate that never came to a run.
pub fn not_run(before: &Observed, why: &str) -> Evidence {
    Evidence {
        grade: Grade::Refuted,
        before: before.summary(),
        after: Value::Null,
        new_failures: vec![why.to_owned()],
        tests: 0,
        seconds: before.seconds,
    }
}
