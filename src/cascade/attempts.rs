//! Trying candidates against one reproduction.

mod confirm;
mod prove;
mod reproduce;

use std::time::{Duration, Instant};

use super::guard;
use super::observe::{Observed, brings_tests, same_error};
use super::verify::{judge, new_errors, not_run};
use super::{Evidence, Failure, Grade, Patch, Progress, Request, Source, deduce};
use crate::domain::{Applicability, ErrorReport, ModuleName};
use crate::rules;
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

/// A candidate that is to be tried.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'c> {
    /// The change.
    pub patch: &'c Patch,
    /// Source of the change.
    pub source: &'c Source,
    /// First author, where the change was recalled.
    pub origin: Option<&'c Source>,
    /// One sentence that says what the change does.
    pub summary: &'c str,
    /// Applicability that its author gives it.
    pub applicability: Applicability,
    /// Reason for less than `Safe`.
    pub doubt: Option<&'c str>,
}

/// Standing of a candidate that was tried, which decides what is tried next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is proven and safe.
    Fix,
    /// The error is gone, but a person has to decide.
    Proposal,
    /// It does not help, or could not be run.
    Refuted,
}

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
    /// Why it may not even be run; empty if it was.
    pub forbidden: Vec<String>,
}

impl Attempt {
    /// What it is to whoever decides.
    pub fn standing(&self) -> Standing {
        match self.evidence.grade {
            Grade::Refuted => Standing::Refuted,
            _ if self.evidence.is_fix() => Standing::Fix,
            _ => Standing::Proposal,
        }
    }

    /// Whether it is known not to help: it was run to no avail, or never may be. One that there was no time for is not.
    pub fn is_refuted(&self) -> bool {
        self.evidence.grade == Grade::Refuted && (self.progress > 0 || !self.forbidden.is_empty())
    }
}

impl Attempt {
    /// A candidate that was not run yet.
    fn new(candidate: Candidate<'_>) -> Self {
        Self {
            source: candidate.source.clone(),
            origin: candidate.origin.cloned(),
            summary: candidate.summary.to_owned(),
            patch: candidate.patch.clone(),
            evidence: Evidence::default(),
            progress: 0,
            forbidden: Vec::new(),
        }
    }

    /// Who made it first.
    fn author(&self) -> &Source {
        self.origin.as_ref().unwrap_or(&self.source)
    }
}

/// A patch with its run and what that shows.
struct Proof {
    patch: Patch,
    evidence: Evidence,
    after: Observed,
}

/// A candidate with what rules added to it.
struct Grown {
    attempt: Attempt,
    proof: Proof,
    applicability: Applicability,
    doubts: Vec<String>,
}

/// The end of a run of patched sources.
enum Run<T> {
    /// It came to its end.
    Ended(T),
    /// The patched sources cannot be run, with the reason. The untouched ones could, so the patch makes them such.
    Unfit(String),
}

impl<T> Run<T> {
    fn ended(self) -> Option<T> {
        match self {
            Self::Ended(run) => Some(run),
            Self::Unfit(_) => None,
        }
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

    /// Runs a candidate and grades it; carries on with the rules as long as each patch uncovers a new error that they know. What got rid of
    /// the error is then held against everything else that a proof means.
    pub async fn attempt(&mut self, candidate: Candidate<'_>) -> Result<Standing, Failure> {
        if let Some(refusal) = self.refuse(candidate.patch) {
            return Ok(self.refused(candidate, refusal));
        }
        let verified = match self.verify(candidate.patch).await? {
            Run::Ended(verified) => verified,
            Run::Unfit(why) => return Ok(self.refused(candidate, Refusal { why: vec![why], forbidden: true })),
        };
        let grown = self.grow(candidate, verified).await?;
        let mut proof = grown.proof;
        if proof.evidence.grade != Grade::Refuted {
            proof = Box::pin(self.prove(proof, grown.attempt.author(), (grown.applicability, &grown.doubts))).await?;
        }
        Ok(self.keep(Attempt { patch: proof.patch, evidence: proof.evidence, ..grown.attempt }))
    }

    fn refused(&mut self, candidate: Candidate<'_>, refusal: Refusal) -> Standing {
        (self.progress)(Progress::new("refused", refusal.why.join("; ")));
        let forbidden = if refusal.forbidden { refusal.why.clone() } else { Vec::new() };
        let evidence = not_run(&self.before, refusal.why);
        self.keep(Attempt { evidence, forbidden, ..Attempt::new(candidate) })
    }

    /// Adds the patches of rules to a candidate, each for an error that the one before uncovered.
    async fn grow(&mut self, candidate: Candidate<'_>, verified: (Evidence, Observed)) -> Result<Grown, Failure> {
        let mut attempt = Attempt::new(candidate);
        let mut applicability = candidate.applicability;
        let mut doubts: Vec<String> = candidate.doubt.map(str::to_owned).into_iter().collect();
        let mut proof = Proof { patch: candidate.patch.clone(), evidence: verified.0, after: verified.1 };
        let mut step = 0;
        while let Some(next) = self.uncovered(&proof.evidence, &proof.after).cloned() {
            step += 1;
            if step > MAX_STEPS {
                break;
            }
            (self.progress)(Progress::new("deduce", format!("that error is gone; the next one is: {}", next.title)));
            let Some((better, rule)) = self.step(&proof.patch, &next).await? else { break };
            proof = better;
            attempt.source = joined(&attempt.source, &rule.name());
            // What a rule added to a memory is no older than today, and as sure as that rule.
            attempt.origin = attempt.origin.map(|origin| joined(&origin, &rule.name()));
            applicability = applicability.min(rule.applicability);
            doubts.extend(rule.doubt);
            if !attempt.summary.contains(&rule.summary) {
                attempt.summary = format!("{} {}", attempt.summary, rule.summary);
            }
        }
        attempt.progress = step + 1;
        Ok(Grown { attempt, proof, applicability, doubts })
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
    async fn step(&mut self, patch: &Patch, next: &ErrorReport) -> Result<Option<(Proof, rules::Candidate)>, Failure> {
        let patched = self.request.addons[0].with(patch);
        for candidate in deduce(self.request, &patched, next) {
            let Ok(both) = patch.then(&candidate.patch) else { continue };
            if self.refuse(&both).is_some() {
                continue;
            }
            (self.progress)(Progress::new("deduce", format!("rule {}: {}", candidate.name(), candidate.summary)));
            let Some((evidence, after)) = self.verify(&both).await?.ended() else { continue };
            if after.occurrence(next).is_none() && after.occurrence(&self.shown).is_none() {
                return Ok(Some((Proof { patch: both, evidence, after }, candidate)));
            }
        }
        Ok(None)
    }

    /// Runs a patch and gives the verdict on it, with the run.
    async fn verify(&mut self, patch: &Patch) -> Result<Run<(Evidence, Observed)>, Failure> {
        (self.progress)(Progress::new("verify", "running the addon's tests on the patched sources"));
        let after = match self.run(&self.delivered(patch)).await? {
            Run::Ended(after) => after,
            Run::Unfit(why) => return Ok(Run::Unfit(why)),
        };
        let evidence = self.judged(&after);
        let word = format!("{} ({:.1} s, {} tests)", evidence.grade.as_str(), after.seconds, after.tests.ran);
        (self.progress)(Progress::new("verified", word).with(after.summary()));
        Ok(Run::Ended((evidence, after)))
    }

    /// Runs the sources with a patch, tests included as they stand in it.
    async fn run(&mut self, patch: &Patch) -> Result<Run<Observed>, Failure> {
        self.runs += 1;
        let addons = self.request.patched(self.request.addons, patch);
        let run = match self.sandbox.test(&TestPlan { module: addons[0].name(), also: &[], addons: &addons }).await {
            Err(SandboxError::Sources(why)) => return Ok(Run::Unfit(why)),
            run => run?,
        };
        let after = read(run).await?;
        self.slowest = self.slowest.max(after.seconds);
        Ok(Run::Ended(after))
    }

    /// The verdict on a run of patched sources, beside the untouched ones.
    fn judged(&self, after: &Observed) -> Evidence {
        self.still_shown(judge(&self.shown, &self.before, after, self.brings_tests), after)
    }

    /// Why a candidate is not even run.
    fn refuse(&self, patch: &Patch) -> Option<Refusal> {
        let addon = &self.request.addons[0];
        let why = guard::forbidden(addon, patch);
        if !why.is_empty() {
            return Some(Refusal { why, forbidden: true });
        }
        let stale = patch.changes().iter().find(|change| change.before.as_deref() != addon.text(&change.path));
        let why = if let Some(change) = stale { format!("the patch was made for another state of {}", change.path) } else { self.spent()? };
        Some(Refusal { why: vec![why], forbidden: false })
    }

    /// The reason why there is no further run; `None` while there may be one.
    fn spent(&self) -> Option<String> {
        if Instant::now() >= self.answer_by() {
            return Some("the time of the job is nearly up".to_owned());
        }
        (self.runs >= MAX_RUNS).then(|| format!("{MAX_RUNS} sandbox runs were spent"))
    }

    /// Until when a candidate must be there to be run in time. A job that is cut off has nothing to show; one that stops by itself ends
    /// as a ticket with all that was found.
    pub fn answer_by(&self) -> Instant {
        let run = Duration::try_from_secs_f64(self.slowest * 1.2).unwrap_or_default();
        let now = Instant::now();
        self.request.deadline.checked_sub(RESERVE + run).unwrap_or(now)
    }

    fn keep(&mut self, attempt: Attempt) -> Standing {
        let standing = attempt.standing();
        self.attempts.push(attempt);
        standing
    }

    /// Whether something got rid of the error that a person has to decide on.
    pub fn has_proposal(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.evidence.error_gone && attempt.standing() != Standing::Refuted)
    }

    /// What a linter makes of the untouched sources; `None` where there is no linter.
    pub async fn lint(&mut self) -> Result<Option<LintRun>, SandboxError> {
        self.sandbox.lint(&self.request.addons[0]).await
    }

    /// Whether this very change came up before.
    pub fn knows(&self, patch: &Patch) -> bool {
        self.attempts.iter().any(|attempt| attempt.patch == *patch)
    }

    /// What was tried so far.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
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
            let Evidence { grade, new_failures, losses, reservations, .. } = &attempt.evidence;
            let mut told =
                format!("{} ({}): {}. New failures: {}", attempt.summary, attempt.source, grade.as_str(), new_failures.join("; "));
            for why in losses.iter().map(|loss| format!("it loses something: {loss}")).chain(reservations.iter().cloned()) {
                told.push_str(". But ");
                told.push_str(&why);
            }
            told
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
