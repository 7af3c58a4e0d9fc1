//! From what the cascade found to the result, the ticket and the lesson of a `debug_error` run.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Ctx;
use crate::addons;
use crate::cascade::{Attempt, Found, PROMPT_VERSION, Reproduction};
use crate::domain::{
    Confidence, Cost, Effect, ErrorReport, Evidence, Failure, Grade, Lesson, OdooVersion, Outcome, Source, Suspect, Ticket,
};
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
        confidence: Confidence,
        /// The folder that a fix would be written to.
        root: PathBuf,
        /// The addon as it was read from there.
        addon: Box<Addon>,
    },
}

/// The measured success rate of the best candidate's source, grade and error class.
pub async fn confidence(ctx: &Ctx, error: &ErrorReport, found: &Found) -> Result<Confidence, Failure> {
    let (source, grade) = match (&found.proven, &found.best) {
        (Some((_, source, _)), _) => (trusted_as(source, found.origin.as_ref()), Grade::Proven),
        (None, Some(best)) => (trusted_as(&best.source, best.origin.as_ref()), best.evidence.grade),
        (None, None) => return Ok(Confidence::measured(0, 0, 0.0, 1.0)),
    };
    let (hits, misses) = ctx.knowledge.success_rate(&ctx.tenant, source, grade, error.class).await?;
    let (prior_hits, prior_misses) = prior(source, grade);
    Ok(Confidence::measured(hits, misses, prior_hits, prior_misses))
}

/// Whose success rate counts. A fix of Claude that was shown and not applied is remembered, and remembering it makes it no better: else
/// the same error, met twice, would get it applied. What a person said came through a key that others may hold.
fn trusted_as<'a>(source: &'a Source, origin: Option<&'a Source>) -> &'a Source {
    match (source, origin) {
        (Source::Recall, Some(rule @ Source::Rule(_))) => {
            if rule.is_unsure() {
                rule
            } else {
                source
            }
        }
        (Source::Recall, Some(Source::Person)) => &Source::Person,
        (Source::Recall, _) => &Source::Claude,
        _ => source,
    }
}

/// What is believed before anything was measured: a proven rule is trusted enough to be applied; a proven answer of Claude, a correction by a
/// person, or a proposal that the rule itself was not sure of, not yet.
fn prior(source: &Source, grade: Grade) -> (f64, f64) {
    match (grade, source) {
        (Grade::Proven, Source::Rule(_) | Source::Recall) if !source.is_unsure() => (19.0, 1.0),
        (Grade::Proven, _) => (8.0, 2.0),
        (Grade::Consistent, _) => (5.0, 5.0),
        (Grade::Refuted, _) => (0.0, 10.0),
    }
}

/// What is stored and what is to be done.
pub fn outcome(ctx: &Ctx, error: &ErrorReport, version: &OdooVersion, verdict: Verdict, apply: bool) -> Outcome {
    let told = Told::new(ctx, error, version, &verdict, apply);
    let lesson = Effect::Remember(Box::new(told.lesson()));
    let mut result = told.result();
    let effects = match verdict {
        Verdict::Tried { ref found, ref root, ref addon, .. } if told.fixed => match &found.proven {
            Some((proven, _, _)) if apply => {
                let tested = addons::tested(addon, proven.patch());
                vec![Effect::Apply { root: root.clone(), proven: Box::new(proven.clone()), tested, otherwise: told.ticket() }, lesson]
            }
            _ => vec![lesson],
        },
        _ => {
            let ticket = told.ticket();
            result["ticket"] = json!({ "title": ticket.title, "body": ticket.body });
            vec![Effect::Ticket(ticket), lesson]
        }
    };
    Outcome { result, effects, next: Vec::new() }
}

/// Everything that the texts are made of.
struct Told<'a> {
    ctx: &'a Ctx,
    error: &'a ErrorReport,
    version: &'a OdooVersion,
    fixed: bool,
    patch: Option<&'a crate::domain::Patch>,
    source: Option<&'a Source>,
    origin: Option<&'a Source>,
    evidence: Option<&'a Evidence>,
    summary: &'a str,
    confidence: f64,
    cost: Cost,
    attempts: &'a [Attempt],
    why: String,
    suspects: &'a [Suspect],
    reproduced: bool,
    reproduction: Option<&'a Reproduction>,
    /// The proven fix as it is remembered: without the test that was written to show the error.
    fix: Option<&'a crate::domain::Patch>,
    refuted: &'a [String],
    shown: &'a [String],
}

impl<'a> Told<'a> {
    fn new(ctx: &'a Ctx, error: &'a ErrorReport, version: &'a OdooVersion, verdict: &'a Verdict, apply: bool) -> Self {
        let empty = Self {
            ctx,
            error,
            version,
            fixed: false,
            patch: None,
            source: None,
            origin: None,
            evidence: None,
            summary: "",
            confidence: 0.0,
            cost: Cost::default(),
            attempts: &[],
            why: String::new(),
            suspects: &[],
            reproduced: false,
            reproduction: None,
            fix: None,
            refuted: &[],
            shown: &[],
        };
        match verdict {
            Verdict::Untried(why) => Self { why: why.clone(), ..empty },
            Verdict::Tried { found, confidence, .. } => {
                let tried = Self {
                    confidence: confidence.value(),
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
                    (Some((proven, source, summary)), _) => {
                        let trusted = confidence.value() >= ctx.settings.threshold;
                        let why = format!(
                            "The fix is proven, but its confidence of {:.2} is below the tenant's threshold of {:.2}; apply it by hand if it is right.",
                            confidence.value(),
                            ctx.settings.threshold
                        );
                        Self {
                            // Without an order to apply, a proven fix is simply shown.
                            fixed: trusted || !apply,
                            patch: Some(proven.patch()),
                            source: Some(source),
                            origin: found.origin.as_ref(),
                            evidence: Some(proven.evidence()),
                            summary,
                            why,
                            ..tried
                        }
                    }
                    (None, Some(best)) => Self {
                        patch: Some(&best.patch),
                        source: Some(&best.source),
                        origin: best.origin.as_ref(),
                        evidence: Some(&best.evidence),
                        summary: &best.summary,
                        ..tried
                    },
                    (None, None) => tried,
                }
            }
        }
    }

    /// Where it is; where the log does not tell, the likeliest place in the sources.
    fn place(&self) -> Option<String> {
        let guessed = || self.suspects.first().map(|suspect| &suspect.place);
        self.error.location.as_ref().or_else(guessed).map(ToString::to_string)
    }

    /// The result as `fix --json` and `status` show it.
    fn result(&self) -> Value {
        json!({
            "run_id": self.ctx.run,
            "outcome": if self.fixed { "fixed" } else { "ticket" },
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
            "summary": self.summary,
            "confidence": self.confidence,
            "patch": self.patch.map(crate::domain::Patch::unified_diff),
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
            "why": if self.fixed { Value::Null } else { json!(self.why) },
        })
    }

    fn ticket(&self) -> Ticket {
        let place = self.place();
        let module = self.error.module.as_ref().map_or("unknown addon", |module| module.as_str());
        let mut evidence = self.result();
        // A ticket is found again by the whole error.
        evidence["report"] = json!(self.error);
        Ticket {
            title: format!("[{module}] {}", self.error.title),
            body: self.body(place.as_deref()),
            evidence,
            patch: self.patch.map(crate::domain::Patch::unified_diff),
        }
    }

    /// Markdown for a person. The log text is fenced: it is a stranger's.
    fn body(&self, place: Option<&str>) -> String {
        let mut body = format!("**Cause:** {}\n\n", inline(&self.error.title));
        // Writing to a String cannot fail.
        let _ = writeln!(body, "**Where:** {}\n", place.map_or("unknown".to_owned(), inline));
        let _ =
            writeln!(body, "**Class:** `{}`; Odoo {}; reproduced: {}\n", self.error.class.as_str(), self.version, yes_no(self.reproduced));
        let _ = writeln!(body, "**Why it was not mended:** {}\n", plain(&self.why));
        if !self.suspects.is_empty() {
            body.push_str("**Look at:**\n\n");
            for suspect in self.suspects {
                let _ = writeln!(body, "- {}: {}", inline(&suspect.place.to_string()), plain(&suspect.why));
            }
            body.push('\n');
        }
        if !self.attempts.is_empty() {
            body.push_str("**Tried:**\n\n");
            for attempt in self.attempts {
                let _ = writeln!(body, "- {} ({}): {}", plain(&attempt.summary), attempt.source, fate(attempt));
            }
            body.push('\n');
        }
        if let Some(Reproduction { test, path: Some(path), text: Some(text), .. }) = self.reproduction {
            let _ = writeln!(body, "**A test that shows the error** (`{test}`, to be added as `{path}`):\n\n{}\n", fenced(text));
        }
        let _ = write!(body, "**Log:**\n\n{}\n", fenced(&self.error.text));
        body
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

/// What became of an attempt.
fn fate(attempt: &Attempt) -> String {
    if !attempt.forbidden.is_empty() {
        return format!("not run, because a person must decide: {}", inline(&attempt.forbidden.join("; ")));
    }
    let grade = attempt.evidence.grade.as_str();
    if attempt.evidence.new_failures.is_empty() {
        grade.to_owned()
    } else {
        format!("{grade}; new: {}", inline(&attempt.evidence.new_failures.join("; ")))
    }
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// Log text inside a sentence: one line, and no markup of its own.
fn inline(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect();
    format!("`{}`", line.replace('`', "'"))
}

/// Words that Claude or a log may have had a part in, as words: no link, no picture that calls home, no heading, no tag.
fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '[' | ']' | '\\' => line.extend(['\\', c]),
            '<' => line.push_str("&lt;"),
            c if c.is_control() => line.push(' '),
            c => line.push(c),
        }
    }
    line
}

/// Log text as a block: the fence is longer than any run of back-ticks in it, so that it cannot be closed from inside.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_text_cannot_close_its_fence() {
        let block = fenced("a\n```\n# not a heading\n````\n");
        assert!(block.starts_with("`````text\n") && block.ends_with("\n`````"));
    }

    #[test]
    fn words_are_no_markup() {
        assert_eq!(plain("![x](http://evil/?q)\n# <img src=x>"), "!\\[x\\](http://evil/?q) # &lt;img src=x>");
        assert_eq!(inline("m/`a`.py:3"), "`m/'a'.py:3`");
    }

    #[test]
    fn remembered_fix_of_claude_is_trusted_like_claude() {
        let rule = Source::Rule("x".to_owned());
        assert_eq!(trusted_as(&Source::Recall, Some(&Source::Claude)), &Source::Claude);
        assert_eq!(trusted_as(&Source::Recall, None), &Source::Claude);
        assert_eq!(trusted_as(&Source::Recall, Some(&rule)), &Source::Recall);
        assert_eq!(trusted_as(&rule, None), &rule);
    }

    #[test]
    fn word_of_a_person_is_trusted_no_more_than_claude() {
        let person = trusted_as(&Source::Recall, Some(&Source::Person));
        assert_eq!(person, &Source::Person, "it has a record of its own");
        for grade in [Grade::Proven, Grade::Consistent, Grade::Refuted] {
            assert_eq!(prior(person, grade), prior(&Source::Claude, grade));
        }
    }

    #[test]
    fn proven_rule_is_trusted_and_claude_not_yet() {
        let rate = |source: &Source| {
            let (hits, misses) = prior(source, Grade::Proven);
            Confidence::measured(0, 0, hits, misses).value()
        };
        assert!(rate(&Source::Rule("x".to_owned())) >= 0.90);
        assert!(rate(&Source::Claude) < 0.90);
    }
}
