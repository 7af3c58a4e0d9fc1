//! From what the cascade found to the result, the ticket and the lesson of a `debug_error` run.

mod body;

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Ctx;
use crate::addons;
use crate::cascade::{Attempt, Found, PROMPT_VERSION, Reproduction};
use crate::domain::{
    Confidence, Cost, Effect, ErrorReport, Evidence, Failure, FixOutcome, Grade, Lesson, OdooVersion, Offer, Outcome, Patch, PatchDigest,
    ProvenPatch, RunId, Source, Suspect, Ticket, Writing,
};
use crate::knowledge::confidence::{Earned, maker};
use crate::odoo::Addon;
use crate::rules;

/// How far a run came.
pub enum Verdict {
    /// There was nothing to try, for this reason.
    Untried(String),
    /// Candidates were looked for.
    Tried {
        /// What came out.
        found: Box<Found>,
        /// How far to trust it.
        trust: Trust,
        /// The folder that a fix would be written to.
        root: PathBuf,
        /// The addon as it was read from there.
        addon: Box<Addon>,
    },
}

/// What speaks for and against a patch besides its own evidence.
#[derive(Default)]
pub struct Trust {
    /// What its source has earned; `None` if there is no patch.
    earned: Option<Earned>,
    /// The run whose fix of the same error a person has taken back or rejected.
    taken_back: Option<RunId>,
}

impl Trust {
    /// The trust in what was found.
    pub async fn in_found(ctx: &Ctx, error: &ErrorReport, found: &Found) -> Result<Self, Failure> {
        let maker = match (&found.proven, &found.best) {
            (Some((_, source, _)), _) => maker(source, found.origin.as_ref()),
            (None, Some(best)) => maker(&best.source, best.origin.as_ref()),
            (None, None) => return Ok(Self::default()),
        };
        let earned = ctx.knowledge.earned(&ctx.tenant, maker, error.class).await?;
        let taken_back = ctx.knowledge.taken_back(&ctx.tenant, &error.fingerprint).await?;
        Ok(Self { earned: Some(earned), taken_back })
    }

    fn confidence(&self, grade: Grade) -> Confidence {
        self.earned.as_ref().map_or(Confidence::earned(0, 0), Earned::confidence).in_patch(grade)
    }

    /// Why a fix is not to be written by a machine, if there is a reason.
    fn objection(&self, threshold: f64) -> Option<String> {
        let confidence = self.confidence(Grade::Proven).value();
        if let Some(run) = self.taken_back {
            return Some(format!("a fix of the same error, found by the run {run}, was taken back or rejected; approve it if it is right"));
        }
        // Written so that a threshold that is no number holds everything back.
        let is_trusted = confidence >= threshold;
        (!is_trusted).then(|| {
            format!("its confidence of {confidence:.2} is below the tenant's threshold of {threshold:.2}; approve it if it is right")
        })
    }
}

/// What is stored and what is to be done.
pub fn outcome(ctx: &Ctx, error: &ErrorReport, version: &OdooVersion, verdict: &Verdict, writing: &Writing) -> Outcome {
    let told = Told::new(ctx, error, version, verdict, writing);
    let mut result = told.result();
    let mut effects = Vec::new();
    match (verdict, told.fixed) {
        (Verdict::Tried { root, addon, .. }, Some(proven)) if *writing == Writing::Allowed && told.not_applied.is_none() => {
            let tested = addons::tested(addon, proven.patch());
            effects.push(Effect::Apply { root: root.clone(), proven: Box::new(proven.clone()), tested, otherwise: told.ticket() });
        }
        _ => {
            effects.extend(told.offer(verdict).map(|offer| Effect::Offer(Box::new(offer))));
            // A fix that nobody waits for needs no ticket: who looks at the run sees it.
            let is_awaited = matches!(writing, Writing::Allowed | Writing::Refused { is_wanted: true, .. });
            if told.fixed.is_none() || is_awaited {
                let ticket = told.ticket();
                result["ticket"] = json!({ "title": ticket.title, "body": ticket.body });
                effects.push(Effect::Ticket(ticket));
            }
        }
    }
    effects.push(Effect::Remember(Box::new(told.lesson())));
    Outcome { result, effects, next: Vec::new() }
}

/// How the search ended, by its best patch.
fn conclude(found: &Found) -> FixOutcome {
    match (&found.proven, &found.best) {
        (Some(_), _) => FixOutcome::Fixed,
        (None, Some(best)) if may_help(best) => FixOutcome::Proposed,
        (None, _) => FixOutcome::Ticket,
    }
}

/// Whether a patch that is no fix may be shown as a proposal: it took the error away, the error could not be shown at all, or it was held back
/// for a person to decide. One that was run to no avail is known not to help.
fn may_help(attempt: &Attempt) -> bool {
    match attempt.evidence.grade {
        Grade::Proven | Grade::Consistent => true,
        Grade::Refuted => attempt.evidence.error_gone || !attempt.forbidden.is_empty(),
    }
}

/// Why a patch is a proposal and no fix.
fn why_proposed(best: &Attempt, diagnosis: &str) -> String {
    if best.evidence.grade != Grade::Proven {
        return diagnosis.to_owned();
    }
    let losses = best.evidence.losses.iter().map(ToString::to_string);
    let reasons: Vec<String> = losses.chain(best.evidence.reservations.iter().cloned()).collect();
    let reasons = if reasons.is_empty() { "it may change what the code means".to_owned() } else { reasons.join("; ") };
    format!("The patch is proven to take the error away, and a person must decide whether it is right: {}.", reasons.trim_end_matches('.'))
}

/// Everything that the texts are made of.
struct Told<'a> {
    ctx: &'a Ctx,
    error: &'a ErrorReport,
    version: &'a OdooVersion,
    outcome: FixOutcome,
    fixed: Option<&'a ProvenPatch>,
    patch: Option<&'a Patch>,
    source: Option<&'a Source>,
    origin: Option<&'a Source>,
    evidence: Option<&'a Evidence>,
    forbidden: &'a [String],
    summary: &'a str,
    confidence: f64,
    earned: Option<&'a Earned>,
    cost: Cost,
    attempts: &'a [Attempt],
    /// Why there is no fix.
    why: String,
    /// Why a fix that was to be applied is not.
    not_applied: Option<String>,
    suspects: &'a [Suspect],
    reproduced: bool,
    reproduction: Option<&'a Reproduction>,
    /// The proven fix as it is remembered: without the test that was written to show the error.
    fix: Option<&'a Patch>,
    refuted: &'a [String],
    shown: &'a [String],
}

impl<'a> Told<'a> {
    fn new(ctx: &'a Ctx, error: &'a ErrorReport, version: &'a OdooVersion, verdict: &'a Verdict, writing: &Writing) -> Self {
        let empty = Self {
            ctx,
            error,
            version,
            outcome: FixOutcome::Ticket,
            fixed: None,
            patch: None,
            source: None,
            origin: None,
            evidence: None,
            forbidden: &[],
            summary: "",
            confidence: 0.0,
            earned: None,
            cost: Cost::default(),
            attempts: &[],
            why: String::new(),
            not_applied: None,
            suspects: &[],
            reproduced: false,
            reproduction: None,
            fix: None,
            refuted: &[],
            shown: &[],
        };
        let (found, trust) = match verdict {
            Verdict::Untried(why) => return Self { why: why.clone(), ..empty },
            Verdict::Tried { found, trust, .. } => (found, trust),
        };
        let outcome = conclude(found);
        let tried = Self {
            outcome,
            earned: trust.earned.as_ref(),
            cost: found.cost,
            refuted: &found.refuted,
            shown: &found.shown,
            attempts: &found.attempts,
            why: found.diagnosis.why_not_fixed.clone(),
            suspects: &found.diagnosis.suspects,
            reproduced: found.reproduced,
            reproduction: found.reproduction.as_ref(),
            fix: found.fix.as_ref(),
            ..empty
        };
        match (&found.proven, &found.best) {
            (Some((proven, source, summary)), _) => Self {
                fixed: Some(proven),
                patch: Some(proven.patch()),
                source: Some(source),
                origin: found.origin.as_ref(),
                evidence: Some(proven.evidence()),
                confidence: trust.confidence(Grade::Proven).value(),
                summary,
                not_applied: match writing {
                    Writing::Allowed => trust.objection(ctx.settings.threshold),
                    Writing::Unasked => None,
                    Writing::Refused { why, .. } => Some(why.clone()),
                },
                ..tried
            },
            (None, Some(best)) => Self {
                patch: Some(&best.patch),
                source: Some(&best.source),
                origin: best.origin.as_ref(),
                evidence: Some(&best.evidence),
                forbidden: &best.forbidden,
                confidence: trust.confidence(best.evidence.grade).value(),
                summary: &best.summary,
                why: if outcome == FixOutcome::Proposed { why_proposed(best, &tried.why) } else { tried.why.clone() },
                ..tried
            },
            (None, None) => tried,
        }
    }

    /// Where it is; where the log does not tell, the likeliest place in the sources.
    fn place(&self) -> Option<String> {
        let guessed = || self.suspects.first().map(|suspect| &suspect.place);
        self.error.location.as_ref().or_else(guessed).map(ToString::to_string)
    }

    /// Why there is no fix, or why it is not applied; `None`: it is fixed.
    fn why(&self) -> Option<String> {
        match self.outcome {
            FixOutcome::Fixed => self.not_applied.as_ref().map(|why| format!("The fix is proven, and was not applied: {why}.")),
            FixOutcome::Proposed | FixOutcome::Ticket => Some(self.why.clone()),
        }
    }

    /// The evidence of a patch that is shown; one that is known not to help is not.
    fn judged(&self) -> Option<&'a Evidence> {
        self.evidence.filter(|_| self.outcome != FixOutcome::Ticket)
    }

    /// Why the patch is not safe, besides what it loses. What the guard held back is told by the guard.
    fn reservations(&self) -> Vec<String> {
        let mut all = self.judged().map_or_else(Vec::new, |evidence| evidence.reservations.clone());
        if self.outcome == FixOutcome::Proposed {
            all.extend(self.forbidden.iter().filter(|why| !all.contains(why)).cloned().collect::<Vec<_>>());
        }
        all
    }

    /// The patch that is shown.
    fn shown_patch(&self) -> Option<&'a Patch> {
        self.patch.filter(|_| self.outcome != FixOutcome::Ticket)
    }

    fn diff(&self) -> Option<String> {
        self.shown_patch().map(Patch::unified_diff)
    }

    /// A patch that a person may approve.
    fn offer(&self, verdict: &Verdict) -> Option<Offer> {
        let Verdict::Tried { root, addon, .. } = verdict else { return None };
        let (patch, evidence) = (self.shown_patch()?, self.judged()?);
        Some(Offer { root: root.clone(), patch: patch.clone(), evidence: evidence.clone(), tested: addons::tested(addon, patch) })
    }

    /// The result as `fix --json` and `status` show it.
    fn result(&self) -> Value {
        let judged = self.judged();
        json!({
            "run_id": self.ctx.run,
            "outcome": self.outcome,
            "error": {
                "fingerprint": self.error.fingerprint,
                "class": self.error.class,
                "subclass": self.error.subclass,
                "title": self.error.title,
                "module": self.error.module,
                "location": self.place(),
                "object": self.error.object,
            },
            "odoo_version": self.version,
            "source": self.source.map(ToString::to_string),
            "origin": self.origin.map(ToString::to_string),
            "grade": self.evidence.map(|evidence| evidence.grade),
            "applicability": judged.map(|evidence| evidence.applicability),
            "losses": judged.map_or(&[][..], |evidence| &evidence.losses),
            "reservations": self.reservations(),
            "hunks": judged.map_or(&[][..], |evidence| &evidence.hunks),
            "summary": self.summary,
            "confidence": self.confidence,
            "confidence_counts": self.earned,
            "patch": self.diff(),
            "digest": self.shown_patch().map(PatchDigest::from_patch),
            "applied": Value::Null,
            "not_applied": self.not_applied,
            "suspects": self.suspects,
            "reproduced": self.reproduced,
            "reproduction": self.reproduction,
            "verification": self.evidence.map(|evidence| json!({
                "before": evidence.before,
                "after": evidence.after,
                "new_failures": evidence.new_failures,
                "tests": evidence.tests,
                "seconds": evidence.seconds,
                "dependents": evidence.dependents,
                "findings": evidence.findings,
            })),
            "cost": self.cost,
            "ticket": Value::Null,
            "why": self.why(),
        })
    }

    fn ticket(&self) -> Ticket {
        let place = self.place();
        let module = self.error.module.as_ref().map_or("unknown addon", |module| module.as_str());
        let mut evidence = self.result();
        // A ticket is found again by the whole error.
        evidence["report"] = json!(self.error);
        if self.outcome == FixOutcome::Fixed && self.not_applied.is_none() {
            // It is filed only if the sources are not those of the proof any more.
            evidence["outcome"] = json!(FixOutcome::Proposed);
        }
        Ticket { title: format!("[{module}] {}", self.error.title), body: self.body(place.as_deref()), evidence, patch: self.diff() }
    }

    fn lesson(&self) -> Lesson {
        Lesson {
            report: self.error.clone(),
            version: self.version.clone(),
            source: self.source.cloned(),
            grade: self.evidence.map(|evidence| evidence.grade),
            patch: self.fix.or(self.patch).cloned(),
            summary: if self.summary.is_empty() { self.why.clone() } else { self.summary.to_owned() },
            made_by: self.made_by(),
            shown: self.shown.to_vec(),
        }
    }

    /// What made the candidate, and which corrections are known by now not to help.
    fn made_by(&self) -> Value {
        let mut made_by = json!({ "rules": rules::VERSION, "prompt": PROMPT_VERSION });
        if let Some(origin) = self.origin {
            made_by["origin"] = json!(origin);
        }
        if !self.refuted.is_empty() {
            made_by["refuted"] = json!(self.refuted);
        }
        made_by
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FileChange, Location, Loss, LossKind};

    fn attempt(evidence: Evidence, forbidden: &[&str]) -> Attempt {
        let change = FileChange { path: "m/a.py".parse().unwrap(), before: None, after: "x".to_owned() };
        Attempt {
            source: Source::Claude,
            origin: None,
            summary: String::new(),
            patch: Patch::new(vec![change]).unwrap(),
            evidence,
            progress: 1,
            forbidden: forbidden.iter().map(|why| (*why).to_owned()).collect(),
        }
    }

    #[test]
    fn patch_that_is_known_not_to_help_is_no_proposal() {
        let refuted = Evidence { grade: Grade::Refuted, ..Evidence::default() };
        assert!(!may_help(&attempt(refuted.clone(), &[])));
        assert!(may_help(&attempt(refuted.clone(), &["it adds sudo"])));
        assert!(may_help(&attempt(Evidence { error_gone: true, ..refuted.clone() }, &[])));
        for grade in [Grade::Consistent, Grade::Proven] {
            assert!(may_help(&attempt(Evidence { grade, ..refuted.clone() }, &[])));
        }
    }

    #[test]
    fn proposal_says_what_it_loses() {
        let place = Location { path: "m/a.py".to_owned(), line: Some(7) };
        let loss = Loss { kind: LossKind::Button, place, what: "the button is gone".to_owned() };
        let evidence = Evidence {
            grade: Grade::Proven,
            losses: vec![loss],
            reservations: vec!["the model is wider".to_owned()],
            ..Evidence::default()
        };
        let why = why_proposed(&attempt(evidence, &[]), "-");
        assert!(why.contains("m/a.py:7: the button is gone; the model is wider"), "{why}");
    }

    #[test]
    fn fix_below_the_threshold_or_taken_back_before_is_held_back() {
        let trust = |taken_back| Trust { earned: None, taken_back };
        let why = trust(None).objection(0.9).unwrap();
        assert!(why.contains("0.50 is below the tenant's threshold of 0.90"), "{why}");
        assert_eq!(trust(None).objection(0.5), None);
        let run = RunId::generate();
        assert!(trust(Some(run)).objection(0.0).unwrap().contains(&run.to_string()));
        assert!(trust(None).objection(f64::NAN).is_some());
    }
}
