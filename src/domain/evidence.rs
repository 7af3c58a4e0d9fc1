//! What is known about a candidate fix. A proof travels with its patch.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Location, ModuleName, Patch, RelPath};

/// Where a candidate came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// A fix that was proven before.
    Recall,
    /// A deterministic rule, by name.
    Rule(String),
    /// Claude.
    Claude,
    /// A person, who said what mends the error of a ticket. What they said is tried when it is recalled, so this is who made a candidate
    /// first, and never where one came from.
    Person,
}

impl Source {
    /// Stands behind the name of a rule that is not sure of what it proposes.
    pub const UNSURE: char = '?';

    /// Whether it is a rule that was not sure, alone or after others.
    pub fn is_unsure(&self) -> bool {
        matches!(self, Self::Rule(names) if names.contains(Self::UNSURE))
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Recall => f.write_str("recall"),
            Self::Rule(name) => write!(f, "rule:{name}"),
            Self::Claude => f.write_str("claude"),
            Self::Person => f.write_str("person"),
        }
    }
}

impl From<Source> for String {
    fn from(source: Source) -> String {
        source.to_string()
    }
}

impl TryFrom<String> for Source {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match (text.as_str(), text.strip_prefix("rule:")) {
            ("recall", _) => Ok(Self::Recall),
            ("claude", _) => Ok(Self::Claude),
            ("person", _) => Ok(Self::Person),
            (_, Some(rule)) if !rule.is_empty() => Ok(Self::Rule(rule.to_owned())),
            _ => Err(format!("{text:?} is no source of fixes; use recall, rule:NAME, claude or person")),
        }
    }
}

/// What the sandbox showed. Only `Proven` may be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The error is still there, or something new is broken.
    Refuted,
    /// Nothing broke; the error could not be reproduced, or a hunk was not run, or something could not be compared.
    Consistent,
    /// The same error was reproduced before, is gone after, nothing new is broken, and every hunk was run.
    Proven,
}

impl Grade {
    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refuted => "refuted",
            Self::Consistent => "consistent",
            Self::Proven => "proven",
        }
    }
}

/// How much of a person's judgement a change needs, as linters grade their fixes. Only `Safe` may be applied by a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applicability {
    /// The change may well be wrong; it shows where to look.
    DisplayOnly,
    /// The change may alter what the code means, or takes something away.
    #[default]
    Unsafe,
    /// The change keeps what the code means.
    Safe,
}

impl Applicability {
    /// The name in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DisplayOnly => "display_only",
            Self::Unsafe => "unsafe",
            Self::Safe => "safe",
        }
    }
}

/// The kind of thing that a patch takes away or changes in meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// A value that was written or read.
    Value,
    /// The definition of a field, or a property of it.
    Field,
    /// A node of a view or template.
    Node,
    /// A button.
    Button,
    /// A record of a data file.
    Record,
    /// A menu item.
    Menu,
    /// An access right, a group or a record rule.
    Right,
    /// A condition, such as a term of a domain or of an `if`.
    Condition,
    /// A check that raises.
    Check,
    /// A constraint of the database or of Python.
    Constraint,
    /// A call, or a method that others may call.
    Call,
    /// A commit or rollback.
    Commit,
    /// A translation, or the mark of a text that is to be translated.
    Translation,
    /// A test or an assertion.
    Test,
    /// One record became many, or many one.
    Cardinality,
    /// A value of another type.
    Type,
    /// A wider or narrower set of records.
    Scope,
    /// A file or a dependency that the manifest names.
    Manifest,
    /// Anything else that ran before and does not run now.
    Behaviour,
}

/// Something that a patch takes away or changes in meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Its kind.
    pub kind: LossKind,
    /// Where it stood, in the sources before the patch.
    pub place: Location,
    /// One sentence in words.
    pub what: String,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Whether the error needs a hunk to be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// With this hunk alone taken back, the error or another failure returns.
    Needed,
    /// The same fault elsewhere, mended along.
    Sweep,
    /// Nothing fails with this hunk alone taken back.
    Idle,
    /// It was not tried.
    Untried,
}

/// What is known of one hunk of a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// The file.
    pub path: RelPath,
    /// The first line in the patched file, counted from 1.
    pub line: u32,
    /// Number of lines in the patched file; 0 where the hunk only removes.
    pub lines: u32,
    /// What ran it after the patch, in words; `None` if nothing did.
    pub exercised: Option<String>,
    /// Whether it is needed.
    pub need: Need,
}

/// A rate of success between 0 and 1, measured on labelled cases and on what became of past fixes.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confidence(f64);

impl Confidence {
    /// Returns Laplace's rule of succession, (right + 1) / (tried + 2): one half where nothing was tried, and never a whole 0 or 1.
    pub fn earned(right: u64, tried: u64) -> Self {
        Self(((right as f64 + 1.0) / (tried as f64 + 2.0)).clamp(0.0, 1.0))
    }

    /// Returns the confidence in one patch of a source that earned this: nothing if the patch was refuted, at most one half if it was not
    /// proven.
    #[must_use]
    pub fn in_patch(self, grade: Grade) -> Self {
        match grade {
            Grade::Proven => self,
            Grade::Consistent => Self(self.0.min(0.5)),
            Grade::Refuted => Self(0.0),
        }
    }

    /// The rate, 0 to 1.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// What one candidate did in the sandbox. `before` and `after` are summaries of the two runs, for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The verdict.
    pub grade: Grade,
    /// The run on the untouched sources.
    pub before: Value,
    /// The run on the patched sources.
    pub after: Value,
    /// Errors and failing tests that were not there before.
    pub new_failures: Vec<String>,
    /// Tests that ran after the patch.
    pub tests: u32,
    /// Wall-clock seconds of both runs.
    pub seconds: f64,
    /// The addons that build on the patched one and were tested with it.
    #[serde(default)]
    pub dependents: Vec<ModuleName>,
    /// What a static scan finds in the patched files and not in those before.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// How much of a person's judgement the patch needs.
    #[serde(default)]
    pub applicability: Applicability,
    /// What the patch takes away or changes in meaning.
    #[serde(default)]
    pub losses: Vec<Loss>,
    /// Why it is not safe, besides the losses; one sentence each.
    #[serde(default)]
    pub reservations: Vec<String>,
    /// What is known of each hunk.
    #[serde(default)]
    pub hunks: Vec<Hunk>,
    /// Whether the error was reproduced and is gone with the patch, whatever else the patch may have broken.
    #[serde(default)]
    pub error_gone: bool,
}

impl Default for Evidence {
    /// Evidence of nothing: refuted.
    fn default() -> Self {
        Self {
            grade: Grade::Refuted,
            before: Value::Null,
            after: Value::Null,
            new_failures: Vec::new(),
            tests: 0,
            seconds: 0.0,
            dependents: Vec::new(),
            findings: Vec::new(),
            applicability: Applicability::default(),
            losses: Vec::new(),
            reservations: Vec::new(),
            hunks: Vec::new(),
            error_gone: false,
        }
    }
}

impl Evidence {
    /// Whether the patch may be called fixed: proven, safe, and nothing lost.
    pub fn is_fix(&self) -> bool {
        self.grade == Grade::Proven && self.new_failures.is_empty() && self.applicability == Applicability::Safe && self.losses.is_empty()
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Not rated.
    Undefined,
    /// A matter of style, such as an `assert`.
    Low,
    /// Dangerous in some places.
    Medium,
    /// Dangerous nearly everywhere.
    High,
}

/// Something dangerous that a scanner saw in a source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The scanner's name for its kind, such as `B608`.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// The file, starting with the addon's folder.
    pub path: String,
    /// Counted from 1.
    pub line: u32,
    /// What it is.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {} ({})", self.path, self.line, self.message, self.id)
    }
}

/// A fix: a patch with its proof. It can be made only from evidence that makes it one ([`Evidence::is_fix`]), and only it can be applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "(Patch, Evidence)", into = "(Patch, Evidence)")]
pub struct ProvenPatch {
    patch: Patch,
    evidence: Evidence,
}

impl TryFrom<(Patch, Evidence)> for ProvenPatch {
    type Error = &'static str;
    fn try_from((patch, evidence): (Patch, Evidence)) -> Result<Self, &'static str> {
        Self::new(patch, evidence).ok_or("the evidence does not make the patch a fix: it is not proven, not safe, or loses something")
    }
}

impl From<ProvenPatch> for (Patch, Evidence) {
    fn from(proven: ProvenPatch) -> Self {
        (proven.patch, proven.evidence)
    }
}

impl ProvenPatch {
    /// Joins the two if the evidence makes the patch a fix: proven, nothing new broken, safe, and nothing lost.
    pub fn new(patch: Patch, evidence: Evidence) -> Option<Self> {
        evidence.is_fix().then_some(Self { patch, evidence })
    }

    /// The patch.
    pub fn patch(&self) -> &Patch {
        &self.patch
    }

    /// Its proof.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

/// A place that an error may stem from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// Where.
    pub place: Location,
    /// What speaks for it.
    pub why: String,
}

/// What is known of an error that was not mended, for the person who reads the ticket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The cause in one or two sentences.
    pub cause: String,
    /// Where to look.
    pub location: Option<Location>,
    /// The files of the addon that it most likely stems from, the likeliest first.
    #[serde(default)]
    pub suspects: Vec<Suspect>,
    /// Why it was not mended.
    pub why_not_fixed: String,
}

/// What a run has spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// US dollars.
    pub usd: f64,
    /// Tokens sent, cached ones not counted.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Tokens read from the prompt cache.
    pub cache_read_tokens: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.usd += other.usd;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cache_read_tokens += other.cache_read_tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FileChange;

    #[test]
    fn only_a_safe_proof_makes_a_proven_patch() {
        let patch = Patch::new(vec![FileChange { path: "m/a".parse().unwrap(), before: None, after: "x".to_owned() }]).unwrap();
        let fix = Evidence { grade: Grade::Proven, applicability: Applicability::Safe, tests: 1, seconds: 1.0, ..Evidence::default() };
        let is_fix = |evidence: Evidence| ProvenPatch::new(patch.clone(), evidence).is_some();
        let loss = Loss {
            kind: LossKind::Value,
            place: Location { path: "m/a".to_owned(), line: Some(1) },
            what: "the value is no longer written".to_owned(),
        };
        assert!(is_fix(fix.clone()));
        assert!(!is_fix(Evidence { new_failures: vec!["TestA.test_b".to_owned()], ..fix.clone() }));
        assert!(!is_fix(Evidence { losses: vec![loss], ..fix.clone() }));
        for applicability in [Applicability::Unsafe, Applicability::DisplayOnly] {
            assert!(!is_fix(Evidence { applicability, ..fix.clone() }));
        }
        for grade in [Grade::Consistent, Grade::Refuted] {
            assert!(!is_fix(Evidence { grade, ..fix.clone() }));
        }
    }

    #[test]
    fn confidence_is_earned_and_stays_a_rate() {
        assert_eq!(Confidence::earned(0, 0).value(), 0.5);
        assert!(Confidence::earned(0, 1_000_000).value() < 0.01);
        assert!(Confidence::earned(7, 7).value() < 0.90, "seven right ones of seven are too few");
        assert!(Confidence::earned(8, 8).value() >= 0.90);
        let rate = Confidence::earned(19, 19);
        assert_eq!(rate.in_patch(Grade::Proven), rate);
        assert_eq!((rate.in_patch(Grade::Consistent).value(), rate.in_patch(Grade::Refuted).value()), (0.5, 0.0));
    }

    #[test]
    fn source_survives_its_round_trip() {
        for source in [Source::Recall, Source::Rule("tree_to_list".to_owned()), Source::Claude, Source::Person] {
            assert_eq!(Source::try_from(source.to_string()), Ok(source));
        }
        assert!(Source::try_from("rule:".to_owned()).is_err());
    }
}
