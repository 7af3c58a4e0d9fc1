//! What a fix must pass after the tests of its own addon, before it counts as proven: those of the addons that build on it, and a scan
//! of what it changes.

use std::time::Instant;

use super::{Trial, read};
use crate::cascade::verify::judge_dependents;
use crate::cascade::{Evidence, Failure, Grade, Observed, Patch, Progress};
use crate::domain::{ModuleName, Severity};
use crate::odoo::Addon;
use crate::sandbox::TestPlan;

impl Trial<'_> {
    /// Gives the evidence as it is after that; `after` is the run of the addon itself.
    pub(super) async fn confirm(&mut self, patch: &Patch, evidence: Evidence, after: &Observed) -> Result<Evidence, Failure> {
        let scanned = self.scan(patch, evidence).await?;
        if scanned.grade != Grade::Proven || self.request.dependents.is_empty() {
            return Ok(scanned);
        }
        self.try_dependents(patch, scanned, after).await
    }

    async fn scan(&mut self, patch: &Patch, evidence: Evidence) -> Result<Evidence, Failure> {
        let findings = self.sandbox.scan(patch).await?;
        // A matter of style is reported; what may be a hole is a person's decision.
        let holes: Vec<String> =
            findings.iter().filter(|found| found.severity >= Severity::Medium).map(|found| format!("security scan: {found}")).collect();
        if holes.is_empty() {
            return Ok(Evidence { findings, ..evidence });
        }
        (self.progress)(Progress::new("scanned", holes.join("; ")));
        Ok(Evidence { grade: Grade::Refuted, new_failures: holes, findings, ..evidence })
    }

    async fn try_dependents(&mut self, patch: &Patch, evidence: Evidence, after: &Observed) -> Result<Evidence, Failure> {
        let names = self.request.dependents.iter().map(ModuleName::as_str).collect::<Vec<_>>().join(", ");
        if Instant::now() >= self.answer_by() {
            let why = format!("the addons that build on it ({names}) were not tried: the time of the job is nearly up");
            return Ok(Evidence { grade: Grade::Consistent, new_failures: vec![why], ..evidence });
        }
        (self.progress)(Progress::new("dependents", format!("running the tests of what builds on it: {names}")));
        // What cannot be installed cannot carry what builds on it either: there is nothing to compare with.
        if self.before.installed && self.dependents_before.is_none() {
            self.dependents_before = Some(self.run_dependents(None).await?);
        }
        let with = self.run_dependents(Some(patch)).await?;
        let mut broken = judge_dependents(self.request.addons[0].name(), self.dependents_before.as_ref(), &with, self.request.dependents);
        if self.dependents_before.is_none() {
            // The run of the addon alone was judged already.
            broken.retain(|line| !after.reports.iter().any(|report| line.starts_with(&report.title)));
        }
        let (grade, word) = if broken.is_empty() { (evidence.grade, "nothing broke") } else { (Grade::Refuted, "broken") };
        (self.progress)(
            Progress::new("dependents", format!("{word} ({:.1} s, {} tests)", with.seconds, with.tests.ran)).with(with.summary()),
        );
        Ok(Evidence { grade, new_failures: broken, dependents: self.request.dependents.to_vec(), ..evidence })
    }

    async fn run_dependents(&mut self, patch: Option<&Patch>) -> Result<Observed, Failure> {
        self.runs += 1;
        let patched = |addon: &Addon| patch.map_or_else(|| addon.clone(), |patch| addon.with(patch));
        let addons: Vec<Addon> = self.request.with_dependents.iter().map(patched).collect();
        let plan = TestPlan { module: self.request.addons[0].name(), also: self.request.dependents, addons: &addons };
        read(self.sandbox.test(&plan).await?).await
    }
}
