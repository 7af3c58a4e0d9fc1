//! Showing an error that the addon's sources do not show by themselves: with one of its own tests that fails for the same reason, or with
//! a probe that is added to them. From then on that run is what every candidate is compared with, and the probe goes with the fix.

use serde::Serialize;

use super::{Standing, Trial};
use crate::cascade::probe::{self, Kind, Probe, shows};
use crate::cascade::verify::new_errors;
use crate::cascade::{Attempt, Evidence, Failure, Grade, Observed, Patch, Progress};
use crate::domain::ErrorReport;
use crate::sandbox::End;

/// The test that shows an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reproduction {
    /// What it does.
    pub kind: Kind,
    /// The test as Odoo's log names it: `module: Class.method`.
    pub test: String,
    /// The same in words.
    pub what: String,
    /// Its file, if it was written for this.
    pub path: Option<String>,
    /// The text of that file.
    pub text: Option<String>,
    #[serde(skip)]
    probe: Option<Probe>,
}

impl Reproduction {
    fn of(probe: Probe) -> Self {
        let (kind, test, what) = (probe.kind, probe.test.clone(), probe.what.clone());
        let (path, text) = (Some(probe.path.to_string()), Some(probe.text.clone()));
        Self { kind, test, what, path, text, probe: Some(probe) }
    }

    fn own(test: String) -> Self {
        Self { kind: Kind::OwnTest, what: "a test of the addon's own".to_owned(), test, path: None, text: None, probe: None }
    }
}

impl Trial<'_> {
    /// Looks for a way to show the error; stays as it was if there is none.
    pub(super) async fn reproduce(&mut self) -> Result<(), Failure> {
        let addon = &self.request.addons[0];
        let of_test = |seen: &ErrorReport| {
            let test = format!("{}: {}", addon.name(), seen.object.name.as_deref()?);
            (self.before.tests.failed.contains(&test) && shows(seen, self.request.report, addon)).then_some(test)
        };
        let own = self.before.reports.iter().find_map(|seen| Some((of_test(seen)?, seen.clone())));
        if let Some((test, seen)) = own {
            (self.progress)(Progress::new("reproduced", format!("the same error is what {test} runs into")));
            (self.shown, self.reproduction) = (seen, Some(Reproduction::own(test)));
            return Ok(());
        }
        if !self.before.installed {
            return Ok(());
        }
        for probe in probe::probes(self.request.report, addon) {
            if self.spent().is_some() || self.try_probe(probe).await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the error is shown with this probe; if so, its run is the reproduction.
    async fn try_probe(&mut self, probe: Probe) -> Result<bool, Failure> {
        let addon = &self.request.addons[0];
        let Some(patch) = probe.patch(addon) else { return Ok(false) };
        (self.progress)(Progress::new("probe", format!("running {}", probe.what)));
        let Some(run) = self.run(&patch).await?.ended() else { return Ok(false) };
        let seen = shown_by(&run, &self.before, &probe.test, |seen| shows(seen, self.request.report, addon)).cloned();
        let word = if seen.is_some() { "the same error was reproduced" } else { "it does not show the error" };
        (self.progress)(Progress::new("probed", format!("{word} ({:.1} s)", run.seconds)).with(run.summary()));
        let Some(seen) = seen else { return Ok(false) };
        (self.before, self.shown, self.brings_tests) = (run, seen, true);
        self.reproduction = Some(Reproduction::of(probe));
        Ok(true)
    }

    /// What a fix is delivered with: itself, and the probe if there is one.
    pub fn delivered(&self, fix: &Patch) -> Patch {
        let probe = self.reproduction.as_ref().and_then(|reproduction| reproduction.probe.as_ref());
        let both = probe.and_then(|probe| fix.then(&probe.patch(&self.request.addons[0].with(fix))?).ok());
        both.unwrap_or_else(|| fix.clone())
    }

    /// The one of what was tried that is proven and safe.
    pub fn fix(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.standing() == Standing::Fix)
    }

    /// A test that shows the error must pass after it. One that fails for another reason failed before as well, so that nothing else
    /// would tell.
    pub(super) fn still_shown(&self, evidence: Evidence, after: &Observed) -> Evidence {
        let Some(Reproduction { test, .. }) = self.reproduction.as_ref().filter(|found| after.tests.failed.contains(&found.test)) else {
            return evidence;
        };
        let mut new_failures = evidence.new_failures;
        if new_failures.is_empty() {
            new_failures.push(format!("test {test}, which shows the error, does not pass"));
        }
        Evidence { grade: Grade::Refuted, new_failures, ..evidence }
    }
}

/// The error in a run with a probe, if nothing else went wrong there that did not go wrong without it.
fn shown_by<'a>(run: &'a Observed, before: &Observed, test: &str, shows: impl Fn(&ErrorReport) -> bool) -> Option<&'a ErrorReport> {
    let ended = run.installed && run.tests.summary_seen && matches!(run.end, End::Exited(0 | 1));
    let seen = run.reports.iter().find(|seen| shows(seen)).filter(|_| ended && run.tests.failed.contains(test))?;
    let of_probe =
        |error: &ErrorReport| shows(error) || error.object.name.as_deref().is_some_and(|name| test.ends_with(&format!(": {name}")));
    let alone =
        new_errors(before, run).into_iter().all(of_probe) && run.tests.failed.difference(&before.tests.failed).all(|failed| failed == test);
    alone.then_some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odoo::{TestLog, reports};

    const TEST: &str = "p: TestA.test_a";

    fn run(log: &str, end: End) -> Observed {
        Observed { end, installed: true, reports: reports(log), tests: TestLog::read(log), seconds: 1.0, record: None }
    }

    fn failing(tests: &[(&str, &str)]) -> String {
        let block = |(name, said): &(&str, &str)| {
            format!(
                "2026-11-22 19:09:59,827 632 ERROR t odoo.addons.p.tests.test_a: ERROR: {name}\nTraceback (most recent call last):\n  File \"/mnt/extra/p/models/a.py\", line 3, in f\n    x()\n{said}\n"
            )
        };
        let summary = "2026-11-22 19:10:18,973 648 ERROR t odoo.tests.result: 0 failed, 1 error(s) of 1 tests when loading database 't' \n";
        tests.iter().map(block).collect::<String>() + summary
    }

    #[test]
    fn probe_counts_only_if_it_alone_fails() {
        let clean = run("", End::Exited(0));
        let is_it = |seen: &ErrorReport| seen.title.contains("KeyError");
        let shown = |log: &str, end| shown_by(&run(log, end), &clean, TEST, is_it).is_some();
        assert!(shown(&failing(&[("TestA.test_a", "KeyError: 'x'")]), End::Exited(1)));
        assert!(!shown(&failing(&[("TestA.test_a", "IndexError: 'x'")]), End::Exited(1)), "another error");
        assert!(!shown(&failing(&[("TestB.test_b", "KeyError: 'x'")]), End::Exited(1)), "another test");
        let both = failing(&[("TestA.test_a", "KeyError: 'x'"), ("TestB.test_b", "IndexError: list")]);
        assert!(!shown(&both, End::Exited(1)), "another test fails too");
        assert!(!shown(&failing(&[("TestA.test_a", "KeyError: 'x'")]), End::Deadline), "the run was cut");
    }
}
