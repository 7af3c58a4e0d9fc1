//! What a fix must pass after the tests of its own addon, before it counts as proven: those of the addons that build on it, and a scan
//! of what it changes.

use std::time::{Duration, Instant};

use super::{MAX_RUNS, RESERVE, Trial, read};
use crate::cascade::scan::scanned;
use crate::cascade::verify::judge_dependents;
use crate::cascade::{Evidence, Failure, Grade, Observed, Patch, Progress};
use crate::domain::ModuleName;
use crate::sandbox::{End, SandboxError, TestPlan};

impl Trial<'_> {
    /// Gives the evidence as it is after that; `after` is the run of the addon itself.
    pub(super) async fn confirm(&mut self, patch: &Patch, evidence: Evidence, after: &Observed) -> Result<Evidence, Failure> {
        let scanned = scanned(self.sandbox, patch, evidence).await?;
        if scanned.grade != Grade::Proven {
            (self.progress)(Progress::new("scanned", scanned.new_failures.join("; ")));
        }
        if scanned.grade != Grade::Proven || self.request.dependents.is_empty() {
            return Ok(scanned);
        }
        self.try_dependents(patch, scanned, after).await
    }

    async fn try_dependents(&mut self, patch: &Patch, evidence: Evidence, after: &Observed) -> Result<Evidence, Failure> {
        let unknown = |evidence: Evidence, why: String| {
            let why = format!("the addons that build on it could not be tried: {why}");
            Ok(Evidence { grade: Grade::Consistent, new_failures: vec![why], ..evidence })
        };
        let (names, before) = match self.baseline().await? {
            Ok(baseline) => baseline,
            Err(why) => return unknown(evidence, why),
        };
        if names.is_empty() {
            (self.progress)(Progress::new("dependents", "what builds on it is broken without the fix, too"));
            return Ok(evidence);
        }
        let with = match self.run_dependents(&names, Some(patch)).await? {
            Ok(with) => with,
            Err(why) => return unknown(evidence, why),
        };
        let mut broken = judge_dependents(self.request.addons[0].name(), before.as_ref(), &with, &names);
        if before.is_none() {
            // The run of the addon alone was judged already.
            broken.retain(|line| !after.reports.iter().any(|report| line.starts_with(&format!("{} (with ", report.title))));
        }
        let word = match (broken.is_empty(), is_whole(&with)) {
            (false, _) => "broken",
            (true, true) => "nothing broke",
            // It could not be installed before, so neither could they, and what is wrong with them is their own.
            (true, false) if matches!(with.end, End::Exited(_)) => "they do not install, for reasons of their own",
            (true, false) => return unknown(evidence, with.end.to_string()),
        };
        (self.progress)(
            Progress::new("dependents", format!("{word} ({:.1} s, {} tests)", with.seconds, with.tests.ran)).with(with.summary()),
        );
        let grade = if broken.is_empty() { evidence.grade } else { Grade::Refuted };
        let dependents = if is_whole(&with) { names } else { Vec::new() };
        Ok(Evidence { grade, new_failures: broken, dependents, ..evidence })
    }

    /// Which of the addons that build on this one can be tested, and the run of their tests on the untouched sources: none where the
    /// addon itself could not be installed, for then there is nothing to compare with. The error says why it is not known.
    async fn baseline(&mut self) -> Result<Result<(Vec<ModuleName>, Option<Observed>), String>, Failure> {
        if let Some(baseline) = &self.dependents_before {
            return Ok(Ok(baseline.clone()));
        }
        let mut names = self.request.dependents.to_vec();
        let mut seen = None;
        // One that is broken by itself keeps all from being tested, so it is left out; a few times.
        let mut rounds = 0;
        while self.before.installed && !names.is_empty() {
            let run = match self.run_dependents(&names, None).await? {
                Ok(run) => run,
                Err(why) => return Ok(Err(why)),
            };
            if is_whole(&run) {
                seen = Some(run);
                break;
            }
            let count = names.len();
            names.retain(|name| !run.reports.iter().any(|report| report.module.as_ref() == Some(name)));
            rounds += 1;
            if names.len() == count || rounds == 3 {
                return Ok(Err("they do not install without the fix either".to_owned()));
            }
        }
        let baseline = (names, seen);
        self.dependents_before = Some(baseline.clone());
        Ok(Ok(baseline))
    }

    /// The inner error says why it is not known, though nothing went wrong.
    async fn run_dependents(&mut self, names: &[ModuleName], patch: Option<&Patch>) -> Result<Result<Observed, String>, Failure> {
        let left = self.request.deadline.saturating_duration_since(Instant::now() + RESERVE);
        if left < Duration::try_from_secs_f64(self.slowest * 2.0).unwrap_or_default() || self.runs >= MAX_RUNS {
            return Ok(Err("the time of the job is nearly up".to_owned()));
        }
        self.runs += 1;
        let told = names.iter().map(ModuleName::as_str).collect::<Vec<_>>().join(", ");
        let state = if patch.is_some() { "patched" } else { "untouched" };
        (self.progress)(Progress::new("dependents", format!("running the tests of what builds on it, {state} sources: {told}")));
        let untouched = self.request.with_dependents;
        let addons = patch.map_or_else(|| untouched.to_vec(), |patch| self.request.patched(untouched, patch));
        let plan = TestPlan { module: self.request.addons[0].name(), also: names, addons: &addons };
        let run = match tokio::time::timeout(left, self.sandbox.test(&plan)).await {
            Err(_) => return Ok(Err("the time of the job is nearly up".to_owned())),
            Ok(Err(SandboxError::Sources(why))) => return Ok(Err(why)),
            Ok(run) => read(run?).await?,
        };
        self.slowest = self.slowest.max(run.seconds);
        Ok(Ok(run))
    }
}

/// Whether everything was installed and Odoo came to its own summary of the tests.
fn is_whole(run: &Observed) -> bool {
    run.installed && matches!(run.end, End::Exited(0 | 1)) && run.tests.summary_seen
}
