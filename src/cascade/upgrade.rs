//! From one series to the next: install, read what Odoo says, mend it by rules, prove, until the addon installs and its tests pass or
//! nothing more can be deduced.
//!
//! Unlike a fix, which answers for one error, this carries on over every error of the addon. Each step must take its error away without
//! costing a test that passed. Then every reference of the addon is resolved against what the series has, and what was shown is graded
//! (`grade.rs`): an addon that merely installs is not proven.

mod grade;

use std::time::Instant;

use super::attempts::read;
use super::guard;
use super::observe::{Observed, brings_tests, same_error};
use super::scan::scanned;
use crate::domain::{Applicability, ErrorReport, Evidence, Failure, Grade, OdooVersion, Patch, Progress, Source};
use crate::losses::{losses, reaches};
use crate::odoo::Addon;
use crate::odoo::references::{self, References};
use crate::odoo::source::{Facts, Index, ModuleFacts};
use crate::rules;
use crate::sandbox::{End, Sandbox, TestPlan};
pub use grade::{UpgradeGrade, Verdict};

/// How many sandbox runs one addon may cost.
const MAX_RUNS: u32 = 80;
/// How many errors of one run are worked on before the next run: many are followers of the first.
const MAX_ERRORS: usize = 10;

/// An addon that is to run on another series.
pub struct Port<'a> {
    /// The addon, as it is.
    pub addon: &'a Addon,
    /// What it depends on, of the addons at hand, on that series already.
    pub depends: &'a [Addon],
    /// The series.
    pub version: &'a OdooVersion,
    /// What the addons at hand define.
    pub own: &'a Facts,
    /// What Odoo's own addons define.
    pub core: &'a Facts,
    /// When to stop.
    pub deadline: Instant,
}

/// One thing that was mended.
#[derive(Debug, Clone)]
pub struct Step {
    /// The rule, or `series` for the manifest's version.
    pub rule: String,
    /// What it does.
    pub summary: String,
    /// The error that it took away, in one line.
    pub error: String,
    /// One sentence: why a person has to look at it; `None` if its rule is sure of it.
    pub doubt: Option<String>,
}

impl Step {
    fn new(candidate: rules::Candidate, error: &str) -> Self {
        let unsure = || "its rule is not sure of it".to_owned();
        let doubt = (!candidate.is_safe()).then(|| candidate.doubt.clone().unwrap_or_else(unsure));
        Self { rule: candidate.name(), summary: candidate.summary, error: error.to_owned(), doubt }
    }
}

/// How far it came.
pub struct Ported {
    /// All changes together; `None` if there are none.
    pub patch: Option<Patch>,
    /// What was mended, in order.
    pub steps: Vec<Step>,
    /// What is wrong still.
    pub left: Vec<ErrorReport>,
    /// Patches that a rule has and that a person must decide on, with the reason.
    pub refused: Vec<String>,
    /// The last run.
    pub after: Observed,
    /// The comparison of the first run with the last one.
    pub evidence: Evidence,
    /// Why it stopped before everything was tried.
    pub stopped: Option<String>,
    /// What the addon refers to that the series does not have, or will not have for long.
    pub references: References,
    /// What was shown, and what is missing for a proof.
    pub verdict: Verdict,
}

impl Ported {
    /// Whether the addon installs and its tests pass, so that what builds on it can be worked on.
    pub fn installs(&self) -> bool {
        self.verdict.grade >= UpgradeGrade::Installs
    }
}

struct Loop<'a> {
    port: &'a Port<'a>,
    sandbox: &'a mut Sandbox,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    runs: u32,
    patch: Option<Patch>,
    steps: Vec<Step>,
    refused: Vec<String>,
}

/// Brings an addon to another series as far as rules can. `Err` means that it could not be found out.
pub async fn upgrade(port: &Port<'_>, sandbox: &mut Sandbox, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<Ported, Failure> {
    let mut work = Loop { port, sandbox, progress, runs: 0, patch: None, steps: Vec::new(), refused: Vec::new() };
    let before = work.run(port.addon).await?;
    let mut after = before.clone();
    if let Some(patch) = rules::ported(port.addon, port.version) {
        let (rule, summary) = ("series".to_owned(), format!("The manifest is for Odoo {}.", port.version));
        work.keep(&patch, Step { rule, summary, error: "the manifest is for another series".to_owned(), doubt: None })?;
        after = work.run(&work.addon()).await?;
    }
    while !after.is_clean() && !work.is_spent() {
        match work.step(&after).await? {
            Some(better) => after = better,
            None => break,
        }
    }
    let spent = !after.is_clean() && work.is_spent();
    let stopped = spent.then(|| format!("the time or the sandbox runs of one addon were spent ({} runs)", work.runs));
    work.finish(&before, after, stopped).await
}

impl Loop<'_> {
    fn addon(&self) -> Addon {
        self.patch.as_ref().map_or_else(|| self.port.addon.clone(), |patch| self.port.addon.with(patch))
    }

    async fn run(&mut self, addon: &Addon) -> Result<Observed, Failure> {
        self.runs += 1;
        let addons: Vec<Addon> = std::iter::once(addon).chain(self.port.depends).cloned().collect();
        let run = self.sandbox.test(&TestPlan { module: addon.name(), also: &[], addons: &addons }).await?;
        let seen = read(run).await?;
        let state = if seen.installed { "installs" } else { "does not install" };
        let failed = seen.tests.failed.len();
        self.tell("run", format!("{} {state}; {} tests, {failed} failing ({:.1} s)", addon.name(), seen.tests.ran, seen.seconds));
        Ok(seen)
    }

    fn is_spent(&self) -> bool {
        self.runs >= MAX_RUNS || Instant::now() >= self.port.deadline
    }

    fn tell(&self, step: &'static str, message: String) {
        (self.progress)(Progress::new(step, message));
    }

    fn keep(&mut self, patch: &Patch, step: Step) -> Result<(), Failure> {
        self.patch = Some(match &self.patch {
            Some(so_far) => so_far.then(patch).map_err(Failure::bug)?,
            None => patch.clone(),
        });
        self.tell("deduce", format!("rule {}: {}", step.rule, step.summary));
        self.steps.push(step);
        Ok(())
    }

    /// Mends one of the errors of a run: the first for which a rule has something that helps.
    async fn step(&mut self, seen: &Observed) -> Result<Option<Observed>, Failure> {
        let errors: Vec<ErrorReport> = self.own(seen).take(MAX_ERRORS).cloned().collect();
        let addon = self.addon();
        for error in &errors {
            for candidate in self.candidates(&addon, error) {
                if let Some(why) = self.refusal(&addon, &candidate) {
                    self.refused.push(format!("{}: {why}", candidate.summary));
                    continue;
                }
                if self.is_spent() {
                    return Ok(None);
                }
                let after = self.run(&addon.with(&candidate.patch)).await?;
                if helps(error, seen, &after) {
                    let patch = candidate.patch.clone();
                    self.keep(&patch, Step::new(candidate, &error.title))?;
                    return Ok(Some(after));
                }
            }
        }
        Ok(None)
    }

    /// The errors of the addon itself, the most severe first.
    fn own<'o>(&self, seen: &'o Observed) -> impl Iterator<Item = &'o ErrorReport> {
        let name = self.port.addon.name().clone();
        seen.reports.iter().filter(move |report| report.module.as_ref().is_none_or(|module| *module == name))
    }

    fn candidates(&self, addon: &Addon, error: &ErrorReport) -> Vec<rules::Candidate> {
        let facts = ModuleFacts::of(addon);
        let index = Index::new(self.port.own, self.port.core).with(addon.name().as_str(), &facts);
        rules::propose(&rules::Case { report: error, addon, version: self.port.version, index })
    }

    fn refusal(&self, addon: &Addon, candidate: &rules::Candidate) -> Option<String> {
        let why = guard::refusals(addon, &candidate.patch, &Source::Rule(candidate.name()));
        (!why.is_empty()).then(|| why.join("; "))
    }

    async fn finish(self, before: &Observed, after: Observed, stopped: Option<String>) -> Result<Ported, Failure> {
        let addon = self.addon();
        let Self { port, sandbox, progress, patch, steps, mut refused, .. } = self;
        refused.sort();
        refused.dedup();
        let references = resolved(port, &addon);
        let mut evidence = compare(before, &after, brings_tests(std::slice::from_ref(port.addon), port.addon.name()));
        if let Some(patch) = patch.as_ref().filter(|_| evidence.grade != Grade::Refuted) {
            evidence = scanned(sandbox, patch, evidence).await?;
        }
        if let Some(patch) = &patch {
            let facts = ModuleFacts::of(port.addon);
            let index = Index::new(port.own, port.core).with(port.addon.name().as_str(), &facts);
            evidence.losses = losses(port.addon, patch, index);
            // A test reaches for Odoo's test classes by its nature; whether it still says as much is the guard's question.
            let program = patch.changes().iter().filter(|change| !guard::is_test(&change.path)).cloned().collect();
            evidence.reservations = Patch::new(program).map_or_else(|_| Vec::new(), |program| reaches(&program));
        }
        let verdict = Verdict::new(&after, &references, &evidence, &steps);
        if verdict.grade == UpgradeGrade::Proven {
            evidence.applicability = Applicability::Safe;
        } else {
            evidence.grade = evidence.grade.min(Grade::Consistent);
        }
        let found = references.unresolved.iter().chain(&references.deprecated);
        found.for_each(|found| progress(Progress::new("reference", format!("{}:{}: {}", found.path, found.line, found.what))));
        let missing = if verdict.missing.is_empty() { String::new() } else { format!(": {}", verdict.missing.join("; ")) };
        progress(Progress::new("upgraded", format!("{}{missing}", verdict.grade.as_str())));
        let left = after.reports.clone();
        Ok(Ported { patch, steps, left, refused, after, evidence, stopped, references, verdict })
    }
}

/// The references of the addon as it is now.
fn resolved(port: &Port<'_>, addon: &Addon) -> References {
    let facts = ModuleFacts::of(addon);
    let index = Index::new(port.own, port.core).with(addon.name().as_str(), &facts);
    references::references(addon, index, port.version)
}

/// What the first and the last run prove together: that the addon did not run on the series as it was, and does now.
fn compare(before: &Observed, after: &Observed, brings_tests: bool) -> Evidence {
    let tested = after.tests.summary_seen && (!brings_tests || after.tests.ran > 0);
    let grade = match (before.is_clean(), after.is_clean()) {
        (_, false) => Grade::Refuted,
        (false, true) if tested => Grade::Proven,
        _ => Grade::Consistent,
    };
    let errors = after.reports.iter().map(|report| report.title.clone());
    Evidence {
        grade,
        before: before.summary(),
        after: after.summary(),
        new_failures: errors.chain(after.tests.failed.iter().map(|test| format!("test {test}"))).collect(),
        tests: after.tests.ran,
        seconds: before.seconds + after.seconds,
        ..Evidence::default()
    }
}

/// Whether a change took its error away and cost nothing: what was installed still is, what passed still passes, and where nothing was
/// installed before, Odoo came at least as far.
fn helps(error: &ErrorReport, before: &Observed, after: &Observed) -> bool {
    // A run that was cut off, or that ended without a word, shows no error either.
    let told = matches!(after.end, End::Exited(_)) && (after.installed || !after.reports.is_empty());
    let gone = told && after.reports.iter().all(|report| !same_error(report, error));
    let installed = after.installed || !before.installed;
    let tests = after.tests.ran >= before.tests.ran
        && after.tests.failed.iter().all(|test| before.tests.failed.contains(test) || !before.tests.started.contains(test));
    gone && installed && tests
}
