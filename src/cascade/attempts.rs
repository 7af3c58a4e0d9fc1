//! Trying candidates against one reproduction.

mod confirm;
mod reproduce;

use std::time::{Duration, Instant};

use super::guard;
use super::observe::{Observed, brings_tests, same_error};
use super::verify::{judge, new_errors, not_run};
use super::{Evidence, Failure, FailureKind, Grade, Patch, Progress, Request, Source, deduce};
use crate::domain::{ErrorReport, ModuleName};
use crate::sandbox::{LintRun, Sandbox, SandboxError, TestPlan, TestRun};
pub use reproduce::Reproduction;

/// How many sandbox runs one error may cost.
const MAX_RUNS: u32 = 24;
/// What is kept of the job's time for its end, besides the time of one more run.
const RESERVE: Duration = Duration::from_secs(30);
/// How many patches may be added to a first one, each for an error that the one before uncovered.
const MAX_STEPS: u32 = 12;
/// How many other errors of the addon are looked at.
const MAX_OTHERS: usize = 5;

/// One candidate and what became of it.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Where it came from; rules that followed one another are joined with `+`.
    pub source: Source,
    /// Who made it first, where it was recalled: a memory is worth as much as whoever it came from.
    pub origin: Option<Source>,
    /// What it does.
    pub summary: String,
    /// The whole change.
    pub patch: Patch,
    /// What the sandbox showed.
    pub evidence: Evidence,
    /// How many errors it got past.
    pub progress: u32,
    /// Why it may not be applied by a machine, so that it was not even run; empty if it may.
    pub forbidden: Vec<String>,
}

impl Attempt {
    /// Whether it is known not to help: it was run to no avail, or never may be. One that there was no time for is not.
    pub fn is_refuted(&self) -> bool {
        self.evidence.grade == Grade::Refuted && (self.progress > 0 || !self.forbidden.is_empty())
    }
}

/// Why a candidate was not run.
struct Refusal {
    why: Vec<String>,
    /// Whether it never may be, rather than not now.
    forbidden: bool,
}

/// The reproduction, and what was tried against it.
pub struct Trial<'a> {
    request: &'a Request<'a>,
    sandbox: &'a mut Sandbox,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    before: Observed,
    /// The error as the sandbox shows it, where it does.
    shown: ErrorReport,
    /// The test that shows it, where the untouched sources alone do not.
    reproduction: Option<Reproduction>,
    brings_tests: bool,
    /// Which of the addons that build on this one are tried, and their tests on the untouched sources; made when first needed.
    dependents_before: Option<(Vec<ModuleName>, Option<Observed>)>,
    runs: u32,
    /// Seconds of the longest run so far.
    slowest: f64,
    attempts: Vec<Attempt>,
}

impl<'a> Trial<'a> {
    /// Runs the untouched sources.
    pub async fn open(
        request: &'a Request<'a>,
        sandbox: &'a mut Sandbox,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Result<Self, Failure> {
        let module = request.addons[0].name();
        let run = sandbox.test(&TestPlan { module, also: &[], addons: request.addons }).await?;
        let before = read(run).await?;
        let brings_tests = brings_tests(request.addons, module);
        let slowest = before.seconds;
        let shown = request.report.clone();
        let mut trial = Self {
            request,
            sandbox,
            progress,
            before,
            shown,
            reproduction: None,
            brings_tests,
            dependents_before: None,
            runs: 1,
            slowest,
            attempts: Vec::new(),
        };
        let word = if trial.reproduced() { "the same error was reproduced" } else { "the error was not reproduced" };
        progress(Progress::new("reproduced", format!("{word} ({:.1} s)", trial.before.seconds)).with(trial.before.summary()));
        if !trial.reproduced() {
            trial.reproduce().await?;
        }
        Ok(trial)
    }

    /// Whether the untouched sources show the error, by themselves or with a test that was added.
    pub fn reproduced(&self) -> bool {
        self.before.occurrence(&self.shown).is_some()
    }

    /// What else the reproduction shows of the addon, at most a handful.
    pub fn other_errors(&self) -> Vec<ErrorReport> {
        let module = self.request.addons[0].name();
        let others = self.before.reports.iter().filter(|report| report.module.as_ref() == Some(module));
        others.filter(|report| self.reproduced() && !same_error(report, &self.shown)).take(MAX_OTHERS).cloned().collect()
    }

    /// Runs a candidate and grades it; carries on with the rules as long as each patch uncovers a new error that they know.
    pub async fn attempt(&mut self, patch: &Patch, source: &Source, origin: Option<&Source>, summary: &str) -> Result<Grade, Failure> {
        let (mut patch, mut source, mut summary) = (patch.clone(), source.clone(), summary.to_owned());
        let mut origin = origin.cloned();
        let refused = |trial: &mut Self, refusal: Refusal| {
            (trial.progress)(Progress::new("refused", refusal.why.join("; ")));
            let forbidden = if refusal.forbidden { refusal.why.clone() } else { Vec::new() };
            let evidence = not_run(&trial.before, refusal.why);
            let (source, origin, summary, patch) = (source.clone(), origin.clone(), summary.clone(), patch.clone());
            trial.keep(Attempt { source, origin, summary, patch, evidence, progress: 0, forbidden })
        };
        if let Some(refusal) = self.refuse(&patch, origin.as_ref().unwrap_or(&source)) {
            return Ok(refused(self, refusal));
        }
        let (mut evidence, mut after) = match self.verify(&patch).await {
            // The untouched sources could be run, so it is the patch that makes them such as cannot.
            Err(failure) if failure.kind == FailureKind::BadInput => {
                return Ok(refused(self, Refusal { why: vec![failure.to_string()], forbidden: true }));
            }
            done => done?,
        };
        let mut step = 0;
        while let Some(next) = self.uncovered(&evidence, &after).cloned() {
            step += 1;
            if step > MAX_STEPS {
                break;
            }
            (self.progress)(Progress::new("deduce", format!("that error is gone; the next one is: {}", next.title)));
            let Some((better, rule, what, proof, observed)) = self.step(&patch, &next).await? else { break };
            (patch, evidence, after) = (better, proof, observed);
            source = joined(&source, &rule);
            // What a rule added to a memory is no older than today, and as sure as that rule.
            origin = origin.map(|origin| joined(&origin, &rule));
            if !summary.contains(&what) {
                summary = format!("{summary} {what}");
            }
        }
        if evidence.grade == Grade::Proven {
            evidence = self.confirm(&self.delivered(&patch), evidence, &after).await?;
        }
        Ok(self.keep(Attempt { source, origin, summary, patch, evidence, progress: step + 1, forbidden: Vec::new() }))
    }

    /// The next error to mend on top of a patch that got rid of the first but is no proof yet.
    fn uncovered<'b>(&self, evidence: &Evidence, after: &'b Observed) -> Option<&'b ErrorReport> {
        let gone = after.occurrence(&self.shown).is_none();
        let module = self.request.addons[0].name();
        (evidence.grade == Grade::Refuted && gone && self.reproduced())
            .then(|| new_errors(&self.before, after).into_iter().find(|report| report.module.as_ref() == Some(module)))
            .flatten()
    }

    /// The first rule candidate that makes `next` go away on top of `patch`.
    async fn step(&mut self, patch: &Patch, next: &ErrorReport) -> Result<Option<(Patch, String, String, Evidence, Observed)>, Failure> {
        let patched = self.request.addons[0].with(patch);
        for candidate in deduce(self.request, &patched, next) {
            let Ok(both) = patch.then(&candidate.patch) else { continue };
            // What it builds on has passed as its own author's; what comes on top is the rule's.
            if self.refuse(&both, &Source::Rule(candidate.name())).is_some() {
                continue;
            }
            (self.progress)(Progress::new("deduce", format!("rule {}: {}", candidate.name(), candidate.summary)));
            let (evidence, after) = self.verify(&both).await?;
            if after.occurrence(next).is_none() && after.occurrence(&self.shown).is_none() {
                return Ok(Some((both, candidate.name(), candidate.summary, evidence, after)));
            }
        }
        Ok(None)
    }

    async fn verify(&mut self, patch: &Patch) -> Result<(Evidence, Observed), Failure> {
        self.runs += 1;
        (self.progress)(Progress::new("verify", "running the addon's tests on the patched sources"));
        let whole = self.delivered(patch);
        let addons = self.request.patched(self.request.addons, &whole);
        let run = self.sandbox.test(&TestPlan { module: addons[0].name(), also: &[], addons: &addons }).await?;
        let after = read(run).await?;
        self.slowest = self.slowest.max(after.seconds);
        let evidence = self.still_shown(judge(&self.shown, &self.before, &after, self.brings_tests), &after);
        let word = format!("{} ({:.1} s, {} tests)", evidence.grade.as_str(), after.seconds, after.tests.ran);
        (self.progress)(Progress::new("verified", word).with(after.summary()));
        Ok((evidence, after))
    }

    /// Why a candidate of this author is not even run.
    fn refuse(&self, patch: &Patch, author: &Source) -> Option<Refusal> {
        let addon = &self.request.addons[0];
        let why = guard::refusals(addon, patch, author);
        if !why.is_empty() {
            return Some(Refusal { why, forbidden: true });
        }
        let stale = patch.changes().iter().find(|change| change.before.as_deref() != addon.text(&change.path));
        let why = if let Some(change) = stale {
            format!("the patch was made for another state of {}", change.path)
        } else if Instant::now() >= self.answer_by() {
            "the time of the job is nearly up".to_owned()
        } else if self.runs >= MAX_RUNS {
            format!("{MAX_RUNS} sandbox runs were spent")
        } else {
            return None;
        };
        Some(Refusal { why: vec![why], forbidden: false })
    }

    /// Until when a candidate must be there to be run in time. A job that is cut off has nothing to show; one that stops by itself ends
    /// as a ticket with all that was found.
    pub fn answer_by(&self) -> Instant {
        let run = Duration::try_from_secs_f64(self.slowest * 1.2).unwrap_or_default();
        let now = Instant::now();
        self.request.deadline.checked_sub(RESERVE + run).unwrap_or(now)
    }

    fn keep(&mut self, attempt: Attempt) -> Grade {
        let grade = attempt.evidence.grade;
        self.attempts.push(attempt);
        grade
    }

    /// What a linter makes of the untouched sources; `None` where there is no linter.
    pub async fn lint(&mut self) -> Result<Option<LintRun>, SandboxError> {
        self.sandbox.lint(&self.request.addons[0]).await
    }

    /// Whether this very change came up before.
    pub fn knows(&self, patch: &Patch) -> bool {
        self.attempts.iter().any(|attempt| attempt.patch == *patch)
    }

    /// What came of the last candidate.
    pub fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// What was tried so far, for whoever tries next.
    pub fn story(&self) -> Vec<String> {
        let told = |attempt: &Attempt| {
            if !attempt.forbidden.is_empty() {
                return format!("{} ({}): forbidden, not run. {}", attempt.summary, attempt.source, attempt.forbidden.join("; "));
            }
            format!(
                "{} ({}): {}. New failures: {}",
                attempt.summary,
                attempt.source,
                attempt.evidence.grade.as_str(),
                attempt.evidence.new_failures.join("; ")
            )
        };
        self.attempts.iter().map(told).collect()
    }

    /// Ends the trying.
    pub fn close(self) -> (Observed, Vec<Attempt>, Option<Reproduction>) {
        (self.before, self.attempts, self.reproduction)
    }
}

/// Reading megabytes of log takes a while, in which nothing else could go on here.
pub(super) async fn read(run: TestRun) -> Result<Observed, Failure> {
    tokio::task::spawn_blocking(move || Observed::read(&run)).await.map_err(Failure::bug)
}

/// `rule:a` followed by `b` is `rule:a+b`; a source that is no rule keeps its name.
fn joined(source: &Source, rule: &str) -> Source {
    match source {
        Source::Rule(names) if names.split('+').any(|name| name == rule) => Source::Rule(names.clone()),
        Source::Rule(names) => Source::Rule(format!("{names}+{rule}")),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_follow_are_joined_once() {
        let first = Source::Rule("tree_to_list".to_owned());
        let both = joined(&first, "access_rules");
        assert_eq!(both.to_string(), "rule:tree_to_list+access_rules");
        assert_eq!(joined(&both, "access_rules"), both);
        assert_eq!(joined(&Source::Recall, "x"), Source::Recall);
    }
}
