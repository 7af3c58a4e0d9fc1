//! From an error to a proven fix: recall, then deduce, then a linter, then ask. Every candidate goes through `verify`, and one that got rid
//! of the error through `attempts/prove.rs`. The first one that is proven and safe wins; of the others the best one is a proposal.
//!
//! A fix that uncovers the next error is carried on: rules are asked again on the patched sources, and the patches add up.
//! What counts in the end is one comparison, of the untouched sources with the finally patched ones.
//!
//! Never applies anything, never files a ticket, and never takes anybody's word for a fix: only what was run is graded.

mod ask;
mod attempts;
mod guard;
mod lint;
mod observe;
mod probe;
mod proof;
mod recall;
mod scan;
mod sources;
mod suspects;
mod upgrade;
mod verify;

use std::cmp::Reverse;
use std::time::Instant;

pub use ask::{Asked, PROMPT_VERSION, Proposal, Question, ask, estimate};
pub use attempts::{Attempt, Reproduction};
use attempts::{Candidate, Standing, Trial};
pub use observe::Observed;
pub use probe::Kind as ReproducedBy;
pub use upgrade::{Port, Ported, Step, UpgradeGrade, Verdict, upgrade};
pub use verify::judge_dependents;

use crate::claude::{Claude, ClaudeError};
use crate::domain::{
    Applicability, Cost, Diagnosis, ErrorReport, Evidence, Failure, FailureKind, Grade, ModuleName, OdooVersion, Patch, Progress,
    ProvenPatch, Source,
};
use crate::knowledge::{Correction, PastFix, Span};
use crate::odoo::Addon;
use crate::odoo::source::{Facts, Index, ModuleFacts};
use crate::rules;
use crate::sandbox::Sandbox;
use crate::tenants::Ledger;

/// How often Claude is asked for one error: once, and once more with what the sandbox said.
const ASKS: u32 = 2;

/// What is to be mended.
pub struct Request<'a> {
    /// The error.
    pub report: &'a ErrorReport,
    /// The series that it runs on.
    pub version: &'a OdooVersion,
    /// The addon to mend, then those it depends on.
    pub addons: &'a [Addon],
    /// The addons that build on it, whose tests must not break either.
    pub dependents: &'a [ModuleName],
    /// The sources of the addon, of those and of all that they depend on.
    pub with_dependents: &'a [Addon],
    /// Other addons at hand, which the addon does not depend on but could.
    pub others: &'a [Addon],
    /// Whether there are more of them than were read.
    pub more: bool,
    /// What the addons at hand define, those that it could depend on included.
    pub own: &'a Facts,
    /// What Odoo's own addons define.
    pub core: &'a Facts,
    /// What people said mends the same error, what was refuted since last.
    pub corrections: Vec<Correction>,
    /// Fixes that were proven for the same error before, newest first.
    pub past: Vec<PastFix>,
    /// Code and past errors that may matter, for Claude.
    pub related: &'a [Span],
    /// Whether the job may be done again once Claude answers, if it does not now.
    pub is_patient: bool,
    /// When the time of this attempt is up.
    pub deadline: Instant,
}

/// What came out.
pub struct Found {
    /// The fix, if one was proven.
    pub proven: Option<(ProvenPatch, Source, String)>,
    /// Who made the proven fix first, where it was recalled.
    pub origin: Option<Source>,
    /// The best that was not proven.
    pub best: Option<Attempt>,
    /// Every candidate that was tried, in order.
    pub attempts: Vec<Attempt>,
    /// What is known of the error.
    pub diagnosis: Diagnosis,
    /// Whether the sandbox showed the same error on the untouched sources.
    pub reproduced: bool,
    /// The test that shows it, where they do not by themselves. If one was added for that, the proven patch brings it along.
    pub reproduction: Option<Reproduction>,
    /// The proven fix without that test: what is worth remembering.
    pub fix: Option<Patch>,
    /// The names of the corrections by people that were tried and did not help.
    pub refuted: Vec<String>,
    /// What was spent.
    pub cost: Cost,
    /// The names of what the knowledge base had, if Claude was shown it.
    pub shown: Vec<String>,
}

/// Looks for a proven fix in an open sandbox. `Err` means that it could not be found out; no fix is `Ok`.
pub async fn run(
    request: Request<'_>,
    sandbox: &mut Sandbox,
    claude: Option<&Claude>,
    ledger: &Ledger,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Found, Failure> {
    progress(Progress::new("reproduce", "running the addon's tests on the untouched sources"));
    let mut trial = Trial::open(&request, sandbox, progress).await?;
    let mut notes = Vec::new();
    let recalled = recall::attempt(&request, &mut trial, progress, &mut notes).await?;
    let found = if recalled.is_fixed {
        finish(trial, &request, &notes, Cost::default())
    } else {
        reason(&request, trial, claude, ledger, progress, notes).await?
    };
    Ok(Found { refuted: recalled.refuted, ..found })
}

/// Looks for a fix where none is known: rules, then a linter, then Claude.
async fn reason(
    request: &Request<'_>,
    mut trial: Trial<'_>,
    claude: Option<&Claude>,
    ledger: &Ledger,
    progress: &(dyn Fn(Progress) + Send + Sync),
    mut notes: Vec<String>,
) -> Result<Found, Failure> {
    // The error itself first; then what else is wrong with the addon, for that may be the reason. The verdict is always about the error.
    let errors: Vec<ErrorReport> = std::iter::once(request.report.clone()).chain(trial.other_errors()).collect();
    for candidate in errors.iter().flat_map(|error| deduce(request, &request.addons[0], error)) {
        // A second proposal would say no more than the first.
        if candidate.applicability != Applicability::Safe && trial.has_proposal() {
            continue;
        }
        progress(Progress::new("deduce", format!("rule {}: {}", candidate.name(), candidate.summary)));
        let rules::Candidate { patch, summary, applicability, doubt, .. } = &candidate;
        let source = Source::Rule(candidate.name());
        let offer = Candidate { patch, source: &source, origin: None, summary, applicability: *applicability, doubt: doubt.as_deref() };
        if trial.attempt(offer).await? == Standing::Fix {
            return Ok(finish(trial, request, &notes, Cost::default()));
        }
    }
    if lint::attempt(request, &mut trial, progress, &mut notes).await? {
        return Ok(finish(trial, request, &notes, Cost::default()));
    }
    let cost = match claude {
        Some(claude) => consult(request, &mut trial, claude, ledger, progress, &mut notes).await?,
        None => {
            notes.push("Claude was not asked: no ANTHROPIC_API_KEY is set.".to_owned());
            progress(Progress::new("ask", "skipped: no ANTHROPIC_API_KEY is set"));
            Cost::default()
        }
    };
    let shown = if cost.input_tokens > 0 { request.related.iter().flat_map(|span| span.refs.clone()).collect() } else { Vec::new() };
    Ok(Found { shown, ..finish(trial, request, &notes, cost) })
}

/// The candidates of the rules for one error on one state of the sources.
fn deduce(request: &Request<'_>, addon: &Addon, report: &ErrorReport) -> Vec<rules::Candidate> {
    let facts = ModuleFacts::of(addon);
    let index = Index::new(request.own, request.core).partial(request.more).with(addon.name().as_str(), &facts);
    rules::propose(&rules::Case { report, addon, version: request.version, index })
}

/// Asks Claude, has the answer verified, and once more with the verdict. A budget that is used up ends the asking, not the job: what was
/// found so far still makes a ticket. So does a Claude that is away, unless the job can wait for it.
async fn consult(
    request: &Request<'_>,
    trial: &mut Trial<'_>,
    claude: &Claude,
    ledger: &Ledger,
    progress: &(dyn Fn(Progress) + Send + Sync),
    notes: &mut Vec<String>,
) -> Result<Cost, Failure> {
    let mut spent = Cost::default();
    let Request { report, addons, version, related, .. } = *request;
    for round in 1..=ASKS {
        let told = trial.story();
        let question = Question { report, addons, version, related, notes: &told };
        if let Err(refused) = ledger.check(estimate(claude, question)).await {
            // Only a limit is an answer; a ledger that cannot be read is looked at again by the next attempt.
            if refused.kind != FailureKind::Budget {
                return Err(refused);
            }
            notes.push(format!("Claude was not asked: {refused}"));
            return Ok(spent);
        }
        let answer_by = trial.answer_by();
        if Instant::now() >= answer_by {
            notes.push("Claude was not asked: the time of the job is nearly up.".to_owned());
            return Ok(spent);
        }
        progress(Progress::new("ask", format!("asking Claude, round {round}")));
        let asked = ask(claude, question, answer_by).await;
        // What was billed is written down whether or not the answer was of use.
        let cost = asked.as_ref().map_or_else(ClaudeError::cost, |asked| asked.cost);
        ledger.charge(&format!("ask/{round}"), &cost).await?;
        spent += cost;
        let asked = match asked {
            Ok(asked) => asked,
            // Before the first answer nothing is paid yet, so that the job can be done again.
            Err(error) if request.is_patient && round == 1 && error.is_outage() => return Err(error.into()),
            Err(error) => {
                notes.push(format!("Claude gave no answer that can be used: {error}"));
                return Ok(spent);
            }
        };
        notes.push(format!("Claude says: {}", asked.diagnosis.cause));
        notes.extend(asked.refused.iter().map(|refusal| format!("An edit by Claude was refused: {refusal}.")));
        let Some(proposal) = asked.proposal else { return Ok(spent) };
        // What Claude thinks of its own patch says nothing about it: the sandbox and the reading of the patch decide.
        let offer = Candidate {
            patch: &proposal.patch,
            source: &Source::Claude,
            origin: None,
            summary: &proposal.summary,
            applicability: Applicability::Safe,
            doubt: None,
        };
        if trial.attempt(offer).await? == Standing::Fix {
            return Ok(spent);
        }
    }
    Ok(spent)
}

fn finish(trial: Trial<'_>, request: &Request<'_>, notes: &[String], cost: Cost) -> Found {
    let reproduced = trial.reproduced();
    let won = trial.fix().cloned();
    let fix = won.as_ref().map(|attempt| attempt.patch.clone());
    let origin = won.as_ref().and_then(|attempt| attempt.origin.clone());
    let proven = won.and_then(|attempt| {
        let patch = trial.delivered(&attempt.patch);
        Some((ProvenPatch::new(patch, attempt.evidence)?, attempt.source, attempt.summary))
    });
    let best = trial.attempts().iter().filter(|attempt| !lint::is_idle(attempt)).max_by_key(|attempt| worth(attempt)).cloned();
    // A proposal brings the test along that shows the error, as a fix does.
    let best = best.map(|best| Attempt { patch: trial.delivered(&best.patch), ..best });
    let (before, mut attempts, reproduction) = trial.close();
    attempts.truncate(20);
    let mut diagnosis = diagnose(request, &before, reproduced, &attempts, notes);
    if let Some(reproduction) = &reproduction {
        diagnosis.why_not_fixed = format!("The error is shown by {}. {}", reproduction.what, diagnosis.why_not_fixed);
    }
    Found { proven, origin, best, attempts, diagnosis, reproduced, reproduction, fix, refuted: Vec::new(), cost, shown: Vec::new() }
}

/// How much a patch is worth to a person who has to mend the error by hand. One that a machine may not run can still be right; one that
/// was run and got past nothing but the first error, or not even that, is known not to be. Of those that got rid of the error, the one
/// that loses least is shown; between equals the one that was made for the error, not the linter's.
fn worth(attempt: &Attempt) -> (Grade, bool, Reverse<usize>, u32, bool) {
    let Evidence { grade, error_gone, losses, .. } = &attempt.evidence;
    let progress = attempt.progress.max(u32::from(!attempt.forbidden.is_empty()));
    (*grade, *error_gone, Reverse(losses.len()), progress, !lint::is_of_linter(&attempt.source))
}

/// What the reader of a ticket needs: the cause, the place, and why it was not mended.
fn diagnose(request: &Request<'_>, before: &Observed, reproduced: bool, attempts: &[Attempt], notes: &[String]) -> Diagnosis {
    let report = request.report;
    let mut why = Vec::new();
    if !reproduced {
        why.push(match before.reports.first() {
            _ if before.is_clean() => "The error could not be reproduced: the addon installs and its tests pass in the sandbox.".to_owned(),
            Some(first) => format!("The sandbox shows another error first: {}", first.title),
            None => format!("The error could not be reproduced: the run ended otherwise ({}).", before.end),
        });
    }
    let proven = attempts.iter().any(|attempt| attempt.evidence.grade == Grade::Proven);
    why.push(match attempts.len() {
        0 => format!("No rule has a fix for the class {}.", report.class.as_str()),
        _ if proven => "A patch was proven to get rid of the error, but a person has to decide whether it may.".to_owned(),
        1 => "One candidate was tried; it was not proven.".to_owned(),
        n => format!("{n} candidates were tried; none was proven."),
    });
    let forbidden = attempts.iter().filter(|attempt| !attempt.forbidden.is_empty());
    why.extend(forbidden.map(|attempt| {
        let who = attempt.origin.as_ref().unwrap_or(&attempt.source);
        format!("A patch ({who}) was refused and is left to a person: {}.", attempt.forbidden.join("; "))
    }));
    why.extend(notes.iter().cloned());
    let addon = &request.addons[0];
    let suspects = request.own.modules.get(addon.name().as_str()).map(|facts| suspects::suspects(report, addon, facts)).unwrap_or_default();
    Diagnosis { cause: report.title.clone(), location: report.location.clone(), suspects, why_not_fixed: why.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FileChange;

    fn attempt(source: Source, progress: u32, grade: Grade, forbidden: &[&str]) -> Attempt {
        let change = FileChange { path: "m/a.py".parse().unwrap(), before: None, after: source.to_string() };
        Attempt {
            source,
            origin: None,
            summary: String::new(),
            patch: Patch::new(vec![change]).unwrap(),
            evidence: Evidence {
                grade,
                before: serde_json::Value::Null,
                after: serde_json::Value::Null,
                new_failures: Vec::new(),
                tests: 0,
                seconds: 0.0,
                ..Evidence::default()
            },
            progress,
            forbidden: forbidden.iter().map(|why| (*why).to_owned()).collect(),
        }
    }

    #[test]
    fn forbidden_patch_is_shown_before_a_useless_one() {
        let rule = |progress, grade| attempt(Source::Rule("r".to_owned()), progress, grade, &[]);
        let claude = attempt(Source::Claude, 0, Grade::Refuted, &["it leaves the addon"]);
        assert!(worth(&claude) >= worth(&rule(1, Grade::Refuted)));
        assert!(worth(&claude) < worth(&rule(2, Grade::Refuted)));
        assert!(worth(&claude) < worth(&rule(1, Grade::Consistent)));
    }
    #[test]
    fn linter_that_changed_nothing_about_the_error_is_not_shown() {
        let odl = || attempt(Source::Rule("odl".to_owned()), 1, Grade::Refuted, &[]);
        assert!(lint::is_idle(&odl()));
        let mut useful = odl();
        useful.evidence.new_failures.push("the next error".to_owned());
        assert!(!lint::is_idle(&useful));
        let rule = attempt(Source::Rule("odl_like".to_owned()), 1, Grade::Refuted, &[]);
        assert!(!lint::is_idle(&rule));
        assert!(worth(&rule) > worth(&useful));
    }
}
