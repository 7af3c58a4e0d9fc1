//! How a search for a fix ended, and outcomes as they are stored.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Effect, Evidence, Job, Lesson, Offer, Outcome, Patch, ProvenPatch, Ticket};

/// Why an outcome that an earlier version stored is no fix today.
const UNCHECKED: &str = "An earlier version of the program proved this patch and did not look at what it loses; run the job again.";

/// How a search for a fix ended. It does not depend on whether anything is to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FixOutcome {
    /// A patch is proven, safe, and loses nothing.
    Fixed,
    /// A patch may help, and a person must judge it.
    Proposed,
    /// There is no patch that is known to help.
    Ticket,
}

impl FixOutcome {
    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Proposed => "proposed",
            Self::Ticket => "ticket",
        }
    }
}

/// An outcome as it may have been stored, by this version or one that called more patches fixed.
#[derive(Deserialize)]
pub(super) struct StoredOutcome {
    result: Value,
    effects: Vec<StoredEffect>,
    next: Vec<Job>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredEffect {
    Apply { root: PathBuf, proven: Box<(Patch, Evidence)>, tested: String, otherwise: Ticket },
    Offer(Box<Offer>),
    Ticket(Ticket),
    Remember(Box<Lesson>),
}

impl From<StoredOutcome> for Outcome {
    /// What was called fixed and is no fix by today's terms becomes a proposal with a ticket.
    fn from(stored: StoredOutcome) -> Self {
        let mut result = stored.result;
        let mut is_demoted = result["outcome"] == "fixed" && result.get("applicability").is_none();
        let mut effects = Vec::with_capacity(stored.effects.len());
        for effect in stored.effects {
            effects.push(match effect {
                StoredEffect::Apply { root, proven, tested, otherwise } => match ProvenPatch::try_from(*proven) {
                    Ok(proven) => Effect::Apply { root, proven: Box::new(proven), tested, otherwise },
                    Err(_) => {
                        is_demoted = true;
                        Effect::Ticket(otherwise)
                    }
                },
                StoredEffect::Offer(offer) => Effect::Offer(offer),
                StoredEffect::Ticket(ticket) => Effect::Ticket(ticket),
                StoredEffect::Remember(lesson) => Effect::Remember(lesson),
            });
        }
        if is_demoted {
            result["outcome"] = json!(FixOutcome::Proposed);
            result["why"] = json!(UNCHECKED);
            if !effects.iter().any(|effect| matches!(effect, Effect::Ticket(_))) {
                effects.push(Effect::Ticket(ticket_of(&result)));
            }
        }
        Self { result, effects, next: stored.next }
    }
}

/// A ticket out of a result that had none.
fn ticket_of(result: &Value) -> Ticket {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let module = text(&result["error"]["module"]).unwrap_or_else(|| "unknown addon".to_owned());
    let title = text(&result["error"]["title"]).unwrap_or_else(|| "an error".to_owned());
    Ticket {
        title: format!("[{module}] {title}"),
        body: format!("**Why it was not applied:** {UNCHECKED}\n"),
        evidence: result.clone(),
        patch: text(&result["patch"]),
    }
}

/// The folder and the patch that a stored outcome was to write or to have approved, whatever version stored it.
pub fn written_patch(stored: Value) -> Option<(PathBuf, Patch)> {
    offered_patch(stored).map(|offer| (offer.root, offer.patch))
}

/// What a person may approve of a stored outcome: the patch that it only showed, or the one that it was to write.
pub fn offered_patch(stored: Value) -> Option<Offer> {
    let stored: StoredOutcome = serde_json::from_value(stored).ok()?;
    stored.effects.into_iter().find_map(|effect| match effect {
        StoredEffect::Apply { root, proven, tested, .. } => {
            let (patch, evidence) = *proven;
            Some(Offer { root, patch, evidence, tested })
        }
        StoredEffect::Offer(offer) => Some(*offer),
        StoredEffect::Ticket(_) | StoredEffect::Remember(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Applicability, FileChange, Grade};

    fn patch() -> Patch {
        Patch::new(vec![FileChange { path: "m/a".parse().unwrap(), before: Some("x".to_owned()), after: "y".to_owned() }]).unwrap()
    }

    fn ticket(title: &str) -> Ticket {
        Ticket { title: title.to_owned(), body: String::new(), evidence: Value::Null, patch: None }
    }

    /// The evidence as the version before this one stored it.
    fn old_evidence() -> Value {
        json!({ "grade": "proven", "before": null, "after": null, "new_failures": [], "tests": 1, "seconds": 1.0 })
    }

    #[test]
    fn outcome_survives_its_round_trip() {
        let evidence = Evidence { grade: Grade::Proven, applicability: Applicability::Safe, ..Evidence::default() };
        let proven = Box::new(ProvenPatch::new(patch(), evidence).unwrap());
        let apply = Effect::Apply { root: "/a".into(), proven, tested: "t".to_owned(), otherwise: ticket("t") };
        let result = json!({ "outcome": "fixed", "applicability": "safe" });
        let outcome = Outcome { result, effects: vec![apply, Effect::Ticket(ticket("u"))], next: Vec::new() };
        let stored = serde_json::to_value(&outcome).unwrap();
        assert_eq!(serde_json::from_value::<Outcome>(stored.clone()).unwrap(), outcome);
        assert_eq!(written_patch(stored), Some(("/a".into(), patch())));
    }

    #[test]
    fn offer_survives_its_round_trip() {
        let evidence = Evidence { grade: Grade::Consistent, ..Evidence::default() };
        let offer = Offer { root: "/a".into(), patch: patch(), evidence, tested: "t".to_owned() };
        let effects = vec![Effect::Ticket(ticket("u")), Effect::Offer(Box::new(offer.clone()))];
        let outcome = Outcome { result: json!({ "outcome": "proposed" }), effects, next: Vec::new() };
        let stored = serde_json::to_value(&outcome).unwrap();
        assert_eq!(serde_json::from_value::<Outcome>(stored.clone()).unwrap(), outcome);
        assert_eq!(offered_patch(stored.clone()), Some(offer));
        assert_eq!(written_patch(stored), Some(("/a".into(), patch())), "what was approved and written can be taken back");
    }

    #[test]
    fn fix_that_an_earlier_version_kept_becomes_a_proposal() {
        let apply = json!({ "apply": { "root": "/a", "proven": [patch(), old_evidence()], "tested": "t", "otherwise": ticket("t") } });
        let stored = json!({ "result": { "outcome": "fixed", "why": null }, "effects": [apply], "next": [] });
        let outcome: Outcome = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!((&outcome.result["outcome"], &outcome.result["why"]), (&json!("proposed"), &json!(UNCHECKED)));
        assert_eq!(outcome.effects, [Effect::Ticket(ticket("t"))]);
        assert_eq!(written_patch(stored), Some(("/a".into(), patch())), "what it had written by then can be taken back");
    }

    #[test]
    fn fix_that_was_only_shown_gets_a_ticket() {
        let result = json!({ "outcome": "fixed", "patch": "diff", "error": { "module": "m", "title": "E" } });
        let outcome: Outcome = serde_json::from_value(json!({ "result": result, "effects": [], "next": [] })).unwrap();
        let [Effect::Ticket(ticket)] = outcome.effects.as_slice() else { panic!("{:?}", outcome.effects) };
        assert_eq!((ticket.title.as_str(), ticket.patch.as_deref()), ("[m] E", Some("diff")));
        let kept = json!({ "result": { "outcome": "indexed" }, "effects": [], "next": [] });
        assert!(serde_json::from_value::<Outcome>(kept).unwrap().effects.is_empty());
    }
}
