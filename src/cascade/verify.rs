//! From two runs to a verdict.

use serde_json::Value;

use super::observe::{Observed, same_error};
use crate::domain::{ErrorReport, Evidence, Grade, ModuleName};
use crate::sandbox::End;

/// How many addons one line names.
const MAX_NAMES: usize = 5;

/// Compares the run on the untouched sources with the run on the patched ones.
///
/// Proven: the error was there before, is not there after, whatever is wrong after was wrong before, and every test that ran before
/// ran again. A run in which the addon's own tests did not run, although it has some, proves nothing; nor does one that the recorder did not
/// see to its end, or in which it found changed what judges a run: a log that was cut, silenced or forged shows no error either.
pub fn judge(error: &ErrorReport, before: &Observed, after: &Observed, brings_tests: bool) -> Evidence {
    let reproduced = before.occurrence(error).is_some();
    let gone = after.occurrence(error).is_none();
    let new_failures = new_failures(before, after);
    // Where a test showed it, another error in the same test is the same failure in another form.
    let is_shown_by_test = !before.tests.failed.is_empty();
    let error_gone = reproduced && gone && after.installed && (!is_shown_by_test || !before.tests.failed.is_subset(&after.tests.failed));
    let tested = after.is_trusted() && (!brings_tests || after.tests.ran > 0);
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
        error_gone,
        ..Evidence::default()
    }
}

/// Everything that is wrong after and was not wrong before, one line each.
fn new_failures(before: &Observed, after: &Observed) -> Vec<String> {
    let errors = new_errors(before, after).into_iter().map(|report| report.title.clone());
    let tests = after.tests.failed.difference(&before.tests.failed).map(|test| format!("test {test}"));
    let mut failures: Vec<String> = errors.chain(tests).collect();
    failures.extend(new_tampering(before, after).map(str::to_owned));
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
        other => failures.push(match other.advice() {
            Some(advice) => format!("the run did not end by itself: {other}; {advice}"),
            None => format!("the run did not end by itself: {other}"),
        }),
    }
    if failures.is_empty() {
        failures.extend(lost_tests(before, after));
    }
    failures
}

/// What judges a run and was changed in the later one only. Where in a file does not count, for a patch moves lines.
fn new_tampering<'a>(before: &'a Observed, after: &'a Observed) -> impl Iterator<Item = &'a str> {
    let known: Vec<&str> = before.tampering().iter().map(|sentence| without_line(sentence)).collect();
    after.tampering().iter().map(String::as_str).filter(move |sentence| !known.contains(&without_line(sentence)))
}

/// A sentence without the line at its end.
fn without_line(sentence: &str) -> &str {
    match sentence.rsplit_once(':') {
        Some((rest, line)) if !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => sentence,
    }
}

/// What a fix of `module` broke in the addons that build on it, one line each. `before` and `after` are runs of their tests, with the
/// untouched and with the patched sources of `module`.
///
/// Where there was no run before, because `module` itself could not be installed, neither could they: their own errors cannot be blamed
/// on the fix, so that only those count that name `module`.
pub fn judge_dependents(module: &ModuleName, before: Option<&Observed>, after: &Observed, dependents: &[ModuleName]) -> Vec<String> {
    if dependents.is_empty() {
        return Vec::new();
    }
    let broken = match before {
        Some(before) => new_failures(before, after),
        None => {
            let blamed = after.reports.iter().filter(|report| is_error(report) && report.module.as_ref() == Some(module));
            blamed.map(|report| report.title.clone()).collect()
        }
    };
    let names = dependents.iter().take(MAX_NAMES).map(ModuleName::as_str).collect::<Vec<_>>().join(", ");
    let more = dependents.len().checked_sub(MAX_NAMES + 1).map_or("", |_| ", …");
    broken.into_iter().map(|line| format!("{line} (with {names}{more})")).collect()
}

/// Whether the log says why Odoo ended like this. A warning is no reason to fail, and nothing in a log explains a signal (128 and
/// more; 255 is Odoo's own -1).
fn explains_exit(after: &Observed, code: i64) -> bool {
    let said = after.reports.iter().any(is_error);
    (said || !after.tests.failed.is_empty()) && (code < 128 || code == 255)
}

fn is_error(report: &ErrorReport) -> bool {
    matches!(report.level.as_str(), "ERROR" | "CRITICAL")
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

/// The errors of the later run that the earlier one does not have, most severe first.
pub fn new_errors<'a>(before: &Observed, after: &'a Observed) -> Vec<&'a ErrorReport> {
    after.reports.iter().filter(|report| !before.reports.iter().any(|old| same_error(old, report))).collect()
}

/// A verdict on a candidate that never came to a run, for these reasons.
pub fn not_run(before: &Observed, why: Vec<String>) -> Evidence {
    Evidence {
        grade: Grade::Refuted,
        before: before.summary(),
        after: Value::Null,
        new_failures: why,
        tests: 0,
        seconds: before.seconds,
        ..Evidence::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odoo;
    use crate::sandbox::{Phases, Record, TestOutcome, TestResult, TestRun};

    const SUMMARY: &str = "2026-11-22 19:10:00,000 1 INFO t odoo.tests.result: 0 failed, 0 error(s) of 2 tests when loading database 't'\n";

    fn log(name: &str) -> String {
        std::fs::read_to_string(format!("{}/tests/fixtures/logs/{name}.log", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn run(end: End, installed: bool, log: &str) -> Observed {
        let record = Some(record(log));
        Observed::read(&TestRun { end, log: log.to_owned(), installed, seconds: 1.0, phases: Phases::default(), record })
    }

    /// What the recorder sees of an honest run with this log.
    fn record(log: &str) -> Record {
        let seen = crate::odoo::TestLog::read(log);
        let names: std::collections::BTreeSet<&String> = seen.started.iter().chain(&seen.failed).collect();
        let tests = names.into_iter().map(|name| {
            let (module, test) = name.split_once(": ").unwrap();
            let outcome = if seen.failed.contains(name) { TestOutcome::Failed } else { TestOutcome::Passed };
            TestResult { module: module.to_owned(), name: test.to_owned(), outcome }
        });
        Record { complete: seen.summary_seen, tests: tests.collect(), ..Record::default() }
    }

    #[test]
    fn run_that_was_not_recorded_to_its_end_is_no_proof() {
        let (error, before) = broken();
        let whole = run(End::Exited(0), true, SUMMARY);
        assert_eq!(judge(&error, &before, &whole, false).grade, Grade::Proven);
        let unrecorded = Observed { record: None, ..whole.clone() };
        assert_eq!(judge(&error, &before, &unrecorded, false).grade, Grade::Consistent);
        let cut = Observed { record: Some(Record { complete: false, ..record(SUMMARY) }.into()), ..whole };
        assert_eq!(judge(&error, &before, &cut, false).grade, Grade::Consistent);
    }

    #[test]
    fn tampering_refutes_unless_it_was_there_before() {
        let (error, before) = broken();
        let tampered = |sentence: &str| Some(Record { complete: true, tampering: vec![sentence.to_owned()], ..record(SUMMARY) }.into());
        let after =
            Observed { record: tampered("TestA.test_x compares with its own equality at m/a.py:7"), ..run(End::Exited(0), true, SUMMARY) };
        let evidence = judge(&error, &before, &after, false);
        assert_eq!((evidence.grade, evidence.new_failures.len()), (Grade::Refuted, 1));
        assert!(evidence.new_failures[0].contains("its own equality"), "{:?}", evidence.new_failures);
        let known = Observed { record: tampered("TestA.test_x compares with its own equality at m/a.py:3"), ..before };
        assert_eq!(judge(&error, &known, &after, false).grade, Grade::Consistent);
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
        let tested = run(End::Exited(0), true, &(started(&["TestA.test_one"]) + SUMMARY));
        assert_eq!(judge(&error, &before, &tested, true).grade, Grade::Proven);
        // The log counts tests that nobody saw run.
        assert_eq!(judge(&error, &before, &run(End::Exited(0), true, SUMMARY), true).grade, Grade::Consistent);
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

    fn names(names: &[&str]) -> Vec<ModuleName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn broken_by(before: Option<&Observed>, after: &Observed) -> Vec<String> {
        judge_dependents(&"p_base".parse().unwrap(), before, after, &names(&["p_tree", "p_other"]))
    }

    #[test]
    fn dependents_may_be_as_broken_as_before() {
        let healthy = run(End::Exited(0), true, &(started(&["TestA.test_one"]) + SUMMARY));
        let broken = run(End::Exited(255), false, &log("p_tree"));
        assert!(broken_by(Some(&healthy), &healthy).is_empty());
        assert!(broken_by(Some(&broken), &broken).is_empty());
        assert!(broken_by(Some(&broken), &healthy).is_empty());
        assert!(judge_dependents(&"p_base".parse().unwrap(), Some(&healthy), &broken, &[]).is_empty());
    }

    #[test]
    fn dependents_may_not_break() {
        let healthy = run(End::Exited(0), true, &(started(&["TestA.test_one"]) + SUMMARY));
        let broken = broken_by(Some(&healthy), &run(End::Exited(255), false, &log("p_tree")));
        assert!(broken[0].ends_with("(with p_tree, p_other)"), "{broken:?}");
        assert!(broken.iter().any(|line| line.contains("no longer installed")), "{broken:?}");
        let failing = broken_by(Some(&healthy), &run(End::Exited(1), true, &log("p_test")));
        assert!(failing.iter().any(|line| line.starts_with("test p_test: ")), "{failing:?}");
        let fewer = broken_by(Some(&healthy), &run(End::Exited(0), true, SUMMARY));
        assert!(fewer[0].contains("TestA.test_one"), "{fewer:?}");
        assert_eq!(broken_by(Some(&healthy), &run(End::Deadline, true, SUMMARY)).len(), 1);
    }

    #[test]
    fn dependents_that_never_ran_are_not_blamed_on_the_fix() {
        let broken = run(End::Exited(255), false, &log("p_tree"));
        assert!(broken_by(None, &broken).is_empty());
        assert!(broken_by(None, &run(End::Deadline, false, "")).is_empty());
        let named = |module: &str, log: &str| {
            judge_dependents(&module.parse().unwrap(), None, &run(End::Exited(255), false, log), &names(&["p_other"]))
        };
        assert_eq!(named("p_tree", &log("p_tree")).len(), 1);
        assert!(named("p_noacl", &log("p_noacl")).is_empty(), "a warning breaks nothing");
    }

    #[test]
    fn line_names_few_dependents() {
        let many = names(&["b", "c", "d", "e", "f", "g"]);
        let after = run(End::Exited(255), false, &log("p_tree"));
        let lines = judge_dependents(&"p_tree".parse().unwrap(), None, &after, &many);
        assert!(lines[0].ends_with("(with b, c, d, e, f, …)"), "{lines:?}");
        let lines = judge_dependents(&"p_tree".parse().unwrap(), None, &after, &many[..5]);
        assert!(lines[0].ends_with("(with b, c, d, e, f)"), "{lines:?}");
    }
}
