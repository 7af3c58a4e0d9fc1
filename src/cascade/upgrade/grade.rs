//! The grade of an upgraded addon: what was shown of it, and what is missing for more.

use serde::Serialize;

use super::Step;
use crate::cascade::Observed;
use crate::domain::{Evidence, Severity};
use crate::odoo::references::References;

/// What an upgrade showed of an addon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeGrade {
    /// It does not install, or errors or failing tests are left.
    Unfinished,
    /// It installs without an error; something is missing for a proof.
    Installs,
    /// It installs, every reference is resolved, the smoke run is clean, its tests ran and passed, and no change is left to a person.
    Proven,
}

impl UpgradeGrade {
    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Installs => "installs",
            Self::Proven => "proven",
        }
    }
}

/// A grade with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The grade.
    pub grade: UpgradeGrade,
    /// What is missing for *proven*, one sentence each. Empty exactly if the grade is that.
    pub missing: Vec<String>,
}

impl Verdict {
    /// Grades the last run of an addon, with the evidence on all its changes together.
    pub(super) fn new(after: &Observed, references: &References, evidence: &Evidence, steps: &[Step]) -> Self {
        let broken = broken(after);
        let unfinished = !broken.is_empty() || !after.is_clean();
        let mut missing = broken;
        if unfinished && missing.is_empty() {
            missing.push(format!("the run did not end well ({})", after.end));
        }
        missing.extend(unproven(after, references));
        missing.extend(left_to_a_person(evidence, steps));
        let grade = match (unfinished, missing.is_empty()) {
            (true, _) => UpgradeGrade::Unfinished,
            (false, false) => UpgradeGrade::Installs,
            (false, true) => UpgradeGrade::Proven,
        };
        Self { grade, missing }
    }
}

fn broken(after: &Observed) -> Vec<String> {
    let mut found = Vec::new();
    if !after.installed {
        found.push("it does not install".to_owned());
    }
    if !after.reports.is_empty() {
        found.push(format!("{} in the log of the last run", count(after.reports.len(), "error is", "errors are")));
    }
    if !after.tests.failed.is_empty() {
        found.push(format!("{} of its tests {}", after.tests.failed.len(), if after.tests.failed.len() == 1 { "fails" } else { "fail" }));
    }
    found
}

/// What a person has to decide on, whatever the run shows.
fn left_to_a_person(evidence: &Evidence, steps: &[Step]) -> Vec<String> {
    let losses = evidence.losses.iter().map(|loss| format!("a change loses something: {loss}"));
    let holes = evidence.findings.iter().filter(|found| found.severity >= Severity::Medium).map(|found| format!("security scan: {found}"));
    let unsure = steps.iter().filter_map(|step| Some(format!("{} ({})", step.doubt.as_ref()?, step.rule)));
    losses.chain(holes).chain(evidence.reservations.iter().cloned()).chain(unsure).collect()
}

fn unproven(after: &Observed, references: &References) -> Vec<String> {
    let mut found = Vec::new();
    if after.tests.ran == 0 {
        found.push("no test ran".to_owned());
    }
    match &after.record {
        None => found.push("the smoke run did not run".to_owned()),
        Some(record) => {
            if !record.complete {
                found.push("the run was not recorded to its end".to_owned());
            }
            if record.smoke.is_empty() {
                found.push("the smoke run tried nothing".to_owned());
            }
            if !record.left_out.is_empty() {
                found.push(count(record.left_out.len(), "check of the smoke run was left out", "checks of the smoke run were left out"));
            }
            let failed = record.smoke.iter().filter(|check| !check.meant).filter_map(|check| Some((&check.name, check.error.as_ref()?)));
            found.extend(failed.map(|(name, error)| format!("the smoke run fails at {name}: {error}")));
        }
    }
    if !references.unresolved.is_empty() {
        found.push(count(references.unresolved.len(), "reference is not resolved", "references are not resolved"));
    }
    if !references.deprecated.is_empty() {
        found.push(count(references.deprecated.len(), "reference is deprecated", "references are deprecated"));
    }
    found.extend(references.unknown.iter().map(|why| format!("not every reference could be resolved: {why}")));
    found
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Finding;
    use crate::odoo::TestLog;
    use crate::odoo::references::{Kind, Unresolved};
    use crate::sandbox::{Check, End, Record};

    fn run(tests: u32, smoke: Option<&[(&str, Option<&str>)]>) -> Observed {
        let check = |(name, error): &(&str, Option<&str>)| Check {
            name: (*name).to_owned(),
            low_rights: false,
            path: None,
            error: error.map(str::to_owned),
            meant: false,
        };
        let record = smoke
            .map(|smoke| std::sync::Arc::new(Record { complete: true, smoke: smoke.iter().map(check).collect(), ..Record::default() }));
        Observed {
            end: End::Exited(0),
            installed: true,
            reports: Vec::new(),
            tests: TestLog { ran: tests, summary_seen: true, ..TestLog::default() },
            seconds: 1.0,
            record,
        }
    }

    fn unresolved() -> References {
        let one = Unresolved {
            path: "m/models/a.py".to_owned(),
            line: 3,
            kind: Kind::Field,
            name: "mobile".to_owned(),
            model: Some("res.partner".to_owned()),
            what: "res.partner has no field mobile".to_owned(),
        };
        References { checked: 1, unresolved: vec![one], ..References::default() }
    }

    #[test]
    fn proven_needs_tests_smoke_and_references() {
        let grade = |run: Observed, references: References| Verdict::new(&run, &references, &Evidence::default(), &[]).grade;
        let smoke: &[(&str, Option<&str>)] = &[("create m.a", None)];
        assert_eq!(
            Verdict::new(&run(3, Some(smoke)), &References::default(), &Evidence::default(), &[]),
            Verdict { grade: UpgradeGrade::Proven, missing: Vec::new() }
        );
        assert_eq!(grade(run(0, Some(smoke)), References::default()), UpgradeGrade::Installs, "no test");
        // A run of which there is no record is not trusted, whatever its log says.
        assert_eq!(grade(run(3, None), References::default()), UpgradeGrade::Unfinished, "no record");
        assert_eq!(grade(run(3, Some(&[])), References::default()), UpgradeGrade::Installs, "an empty smoke run");
        assert_eq!(
            grade(run(3, Some(&[("create m.a", Some("KeyError: 'x'"))])), References::default()),
            UpgradeGrade::Installs,
            "a failing one"
        );
        assert_eq!(grade(run(3, Some(smoke)), unresolved()), UpgradeGrade::Installs, "a reference that leads nowhere");
        let absent = References { unknown: vec!["the sources of x are not known".to_owned()], ..References::default() };
        assert_eq!(grade(run(3, Some(smoke)), absent), UpgradeGrade::Installs, "sources that were not read");
    }

    #[test]
    fn what_is_left_to_a_person_is_not_proven() {
        let clean = run(3, Some(&[("create m.a", None)]));
        let missing = |evidence: &Evidence, steps: &[Step]| {
            let verdict = Verdict::new(&clean, &References::default(), evidence, steps);
            assert_eq!(verdict.grade, UpgradeGrade::Installs);
            verdict.missing
        };
        let guessed = Step {
            rule: "renamed_field?".to_owned(),
            summary: String::new(),
            error: String::new(),
            doubt: Some("the field means something wider".to_owned()),
        };
        assert_eq!(missing(&Evidence::default(), &[guessed]), ["the field means something wider (renamed_field?)"]);
        let reserved = Evidence { reservations: vec!["it reaches for the runner".to_owned()], ..Evidence::default() };
        assert_eq!(missing(&reserved, &[]), ["it reaches for the runner"]);
        let (id, path, message) = ("B608".to_owned(), "m/models/a.py".to_owned(), "SQL is put together".to_owned());
        let hole = Finding { id, severity: Severity::High, path, line: 3, message };
        let scanned = Evidence { findings: vec![hole], ..Evidence::default() };
        assert_eq!(missing(&scanned, &[]), ["security scan: m/models/a.py:3: SQL is put together (B608)"]);
        let mut cut = Record::clone(clean.record.as_ref().unwrap());
        cut.left_out.push("view m.a".to_owned());
        let cut = Observed { record: Some(std::sync::Arc::new(cut)), ..clean.clone() };
        let verdict = Verdict::new(&cut, &References::default(), &Evidence::default(), &[]);
        assert_eq!(verdict.missing, ["1 check of the smoke run was left out"]);
    }

    #[test]
    fn what_does_not_install_is_unfinished() {
        let broken = Observed { installed: false, ..run(0, None) };
        let verdict = Verdict::new(&broken, &unresolved(), &Evidence::default(), &[]);
        assert_eq!(verdict.grade, UpgradeGrade::Unfinished);
        let said = ["it does not install", "no test ran", "the smoke run did not run", "1 reference is not resolved"];
        assert_eq!(verdict.missing, said);
        assert_eq!(
            Verdict::new(&Observed { end: End::Exited(1), ..run(3, None) }, &References::default(), &Evidence::default(), &[]).grade,
            UpgradeGrade::Unfinished
        );
    }
}
