//! From two runs to a verdict.

use serde_json::Value;

use super::observe::{Observed, same_error};
use crate::domain::{ErrorReport, Evidence, Grade, Patch};
use crate::odoo::Addon;
use crate::sandbox::End;

/// Compares the run on the untouched sources with the run on the patched ones.
///
/// Proven: the error was there before, is not there after, whatever is wrong after was wrong before, and every test that ran before
/// ran again. A run in which the addon's own tests did not run, although it has some, proves nothing; nor does one in which Odoo never
/// came to its own summary of tests: a log that was cut or silenced shows no error either.
pub fn judge(error: &ErrorReport, before: &Observed, after: &Observed, brings_tests: bool) -> Evidence {
    let reproduced = before.occurrence(error).is_some();
    let gone = after.occurrence(error).is_none();
    let new_failures = new_failures(before, after);
    let tested = after.tests.summary_seen && (!brings_tests || after.tests.ran > 0);
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
            if failures.is_empty() && !explains_exit(after, *code) {
                failures.push(format!("odoo exited with {code}"));
            }
        }
        other => failures.push(format!("the run did not end by itself: {other}")),
    }
    if failures.is_empty() {
        failures.extend(lost_tests(before, after));
    }
    failures
}

/// Whether the log says why Odoo ended like this. A warning is no reason to fail, and nothing in a log explains a signal (128 and
/// more; 255 is Odoo's own -1).
fn explains_exit(after: &Observed, code: i64) -> bool {
    let said = after.reports.iter().any(|report| matches!(report.level.as_str(), "ERROR" | "CRITICAL"));
    (said || !after.tests.failed.is_empty()) && (code < 128 || code == 255)
}

/// A test that no longer runs cannot fail any more; and one that failed without a name cannot be compared.
fn lost_tests(before: &Observed, after: &Observed) -> Option<String> {
    let lost: Vec<_> = before.tests.started.difference(&after.tests.started).map(String::as_str).collect();
    if let Some(first) = lost.first() {
        return Some(format!("{} test(s) that ran before run no more, such as {first}", lost.len()));
    }
    if after.tests.ran < before.tests.ran {
        return Some(format!("only {} of {} tests ran", after.tests.ran, before.tests.ran));
    }
    let failing = after.tests.failures.saturating_add(after.tests.errors);
    (failing > 0 && after.tests.failed.is_empty()).then(|| format!("{failing} failing test(s) that the log does not name"))
}

/// Why a patch would weaken the tests that it is judged by, if it does. A rename within a test is no harm; a test, an assertion or an
/// import of tests that is gone is.
pub fn weakens_tests(addon: &Addon, patch: &Patch) -> Option<String> {
    let of_tests = patch.changes().iter().filter(|change| change.path.within_module().starts_with("tests/"));
    of_tests.into_iter().find_map(|change| {
        let before = change.before.as_deref().unwrap_or_default();
        let fewer = |word: &str| change.after.matches(word).count() < before.matches(word).count();
        let dropped = addon.files().any(|(path, _)| {
            let stem = path.within_module().strip_prefix("tests/").and_then(|file| file.strip_suffix(".py"));
            change.path.as_str().ends_with("/__init__.py") && stem.is_some_and(|stem| names(before, stem) && !names(&change.after, stem))
        });
        let skips = change.after.matches("skip").count() > before.matches("skip").count();
        (fewer("def test_") || fewer("assert") || dropped || skips)
            .then(|| format!("the patch takes tests away or weakens them in {}", change.path))
    })
}

fn names(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FileChange;
    use crate::odoo;
    use crate::sandbox::{Phases, TestRun};

    const SUMMARY: &str = "2026-11-22 19:10:00,000 1 INFO t odoo.tests.result: 0 failed, 0 error(s) of 2 tests when loading database 't'\n";

    fn log(name: &str) -> String {
        std::fs::read_to_string(format!("{}/tests/fixtures/logs/{name}.log", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn run(end: End, installed: bool, log: &str) -> Observed {
        Observed::read(&TestRun { end, log: log.to_owned(), installed, seconds: 1.0, phases: Phases::default() })
    }

    fn started(names: &[&str]) -> String {
        let head = "2026-11-22 19:09:59,827 632 INFO t odoo.addons.p_tree.tests.test_a: ";
        names.iter().map(|name| format!("{head}Starting {name} ... \n")).collect()
    }

    fn broken() -> (ErrorReport, Observed) {
        let before = run(End::Exited(255), false, &log("p_tree"));
        (odoo::reports(&log("p_tree")).remove(0), before)
    }

    #[test]
    fn error_that_is_gone_in_a_whole_run_is_proven() {
        let (error, before) = broken();
        assert_eq!(judge(&error, &before, &run(End::Exited(0), true, SUMMARY), true).grade, Grade::Proven);
    }

    #[test]
    fn silence_is_no_proof() {
        let (error, before) = broken();
        assert_eq!(judge(&error, &before, &run(End::Exited(0), true, ""), false).grade, Grade::Consistent);
        assert_eq!(judge(&error, &before, &run(End::Exited(0), false, SUMMARY), false).grade, Grade::Refuted);
        assert_eq!(judge(&error, &before, &run(End::Deadline, true, SUMMARY), false).grade, Grade::Refuted);
    }

    #[test]
    fn error_that_moved_is_refuted() {
        let (error, before) = broken();
        let moved = log("p_tree").replace("v.xml", "w.xml");
        assert_eq!(judge(&error, &before, &run(End::Exited(0), true, &(moved + SUMMARY)), false).grade, Grade::Refuted);
        let other = log("p_attrs").replace("p_attrs", "p_tree");
        assert_eq!(judge(&error, &before, &run(End::Exited(0), true, &(other + SUMMARY)), false).grade, Grade::Refuted);
    }

    #[test]
    fn warning_explains_no_failing_exit() {
        let warned = log("p_noacl");
        let error = odoo::reports(&log("p_tree")).remove(0);
        let before = run(End::Exited(255), false, &(log("p_tree") + &warned));
        let after = run(End::Exited(0), true, &(warned.clone() + SUMMARY));
        assert!(after.reports.iter().all(|report| report.level == "WARNING") && !after.reports.is_empty());
        assert_eq!(judge(&error, &before, &after, false).grade, Grade::Proven);
        for code in [1, 139] {
            let after = run(End::Exited(code), true, &(warned.clone() + SUMMARY));
            assert_eq!(judge(&error, &before, &after, false).new_failures, [format!("odoo exited with {code}")]);
        }
    }

    #[test]
    fn test_that_runs_no_more_is_a_new_failure() {
        let (error, mut before) = broken();
        before.tests = crate::odoo::TestLog::read(&(started(&["TestA.test_one", "TestA.test_two"]) + SUMMARY));
        let all = run(End::Exited(0), true, &(started(&["TestA.test_two", "TestA.test_one"]) + SUMMARY));
        assert_eq!(judge(&error, &before, &all, true).grade, Grade::Proven);
        let fewer = run(End::Exited(0), true, &(started(&["TestA.test_two", "TestB.test_new"]) + SUMMARY));
        let evidence = judge(&error, &before, &fewer, true);
        assert_eq!(evidence.grade, Grade::Refuted);
        assert!(evidence.new_failures[0].contains("TestA.test_one"), "{:?}", evidence.new_failures);
    }

    #[test]
    fn patch_must_not_weaken_tests() {
        let init = "from . import test_a\nfrom . import test_gone\n";
        let test = "class A(C):\n    def test_x(self):\n        self.assertTrue(self.env.cr)\n";
        let files = [("m/tests/__init__.py", init), ("m/tests/test_a.py", test), ("m/a.py", "assert 1\n")];
        let files = files.map(|(path, text)| (path.parse().unwrap(), text.as_bytes().to_vec()));
        let addon = Addon::new("m".parse().unwrap(), files);
        let weakens = |path: &str, before: &str, after: &str| {
            let change = FileChange { path: path.parse().unwrap(), before: Some(before.to_owned()), after: after.to_owned() };
            weakens_tests(&addon, &Patch::new(vec![change]).unwrap()).is_some()
        };
        assert!(weakens("m/tests/test_a.py", test, "class A(C):\n    pass\n"));
        assert!(weakens("m/tests/test_a.py", test, &test.replace("self.assertTrue(", "bool(")));
        assert!(weakens("m/tests/test_a.py", test, &format!("@unittest.skip('x')\n{test}")));
        assert!(weakens("m/tests/__init__.py", init, "from . import test_gone\n"));
        assert!(!weakens("m/tests/__init__.py", init, "from . import test_a\n"), "an import of nothing may go");
        assert!(!weakens("m/tests/test_a.py", test, &test.replace("env.cr", "env")));
        assert!(!weakens("m/a.py", "assert 1\n", "x = 1\n"));
    }
}
