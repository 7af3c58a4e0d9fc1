//! Everything that a proof means besides that the error is gone: every hunk needed and run, nothing lost, nothing reached for.

use super::{Proof, Trial};
use crate::cascade::probe::{self, is_in_the_code};
use crate::cascade::proof::{Part, compare, exercised, lost_values, not_run, parts, without};
use crate::cascade::verify::new_errors;
use crate::cascade::{Evidence, Failure, Grade, Observed, Patch, Progress, guard, lint};
use crate::domain::{Applicability, Fault, Hunk, Need, RelPath, Source};
use crate::losses::{losses, reaches};
use crate::odoo::references;
use crate::odoo::source::{Index, ModuleFacts};
use crate::sandbox::Record;

/// How many hunks of a rule are taken back one by one: a rule mends one fault in many places, and each further one is a run.
const MAX_TAKEN_BACK_OF_RULE: usize = 3;
/// How many hunks of anybody else.
const MAX_TAKEN_BACK: usize = 8;
/// How many probes may be added to reach what nothing ran.
const MAX_REACHING: usize = 3;

impl Trial<'_> {
    /// The proof of a patch that got rid of the error. Gives a smaller patch where a hunk turns out not to be needed.
    pub(super) async fn prove(
        &mut self,
        proof: Proof,
        author: &Source,
        (offered, doubts): (Applicability, &[String]),
    ) -> Result<Proof, Failure> {
        let mut needs = self.needs(&proof, author).await?;
        let mut proof = match self.smaller(&proof, &mut needs).await? {
            Some(smaller) => smaller,
            None => self.complete(proof, &needs).await?,
        };
        proof.evidence = self.weigh(&proof, author, offered, doubts);
        Ok(proof)
    }

    /// Looks at what ran each hunk and, if that leaves the patch proven, at what builds on the addon.
    async fn complete(&mut self, proof: Proof, needs: &[Need]) -> Result<Proof, Failure> {
        let mut proof = self.reach(proof, needs).await?;
        if proof.evidence.grade == Grade::Proven {
            let delivered = self.delivered(&proof.patch);
            proof.evidence = self.confirm(&delivered, proof.evidence, &proof.after).await?;
        }
        Ok(proof)
    }

    /// Takes the hunks back one by one. One of a rule that is not needed is a sweep: the rule mends the same fault elsewhere. One of
    /// anybody else is left `Idle`.
    async fn needs(&mut self, proof: &Proof, author: &Source) -> Result<Vec<Need>, Failure> {
        let found = parts(&proof.patch);
        if found.len() < 2 || proof.evidence.grade != Grade::Proven {
            // The untouched sources are the patch with its only hunk taken back.
            let need = if proof.evidence.grade == Grade::Proven { Need::Needed } else { Need::Untried };
            return Ok(vec![need; found.len()]);
        }
        let sweeps = matches!(author, Source::Rule(_)) && !lint::is_of_linter(author);
        let (most, unneeded) = if sweeps { (MAX_TAKEN_BACK_OF_RULE, Need::Sweep) } else { (MAX_TAKEN_BACK, Need::Idle) };
        let mut needs = vec![if sweeps { Need::Sweep } else { Need::Untried }; found.len()];
        for (need, part) in needs.iter_mut().zip(&found).take(most) {
            match self.is_needed(proof, part).await? {
                Some(true) => *need = Need::Needed,
                Some(false) => *need = unneeded,
                None => break,
            }
        }
        Ok(needs)
    }

    /// Whether the error or another failure returns without this hunk; `None` where there is no time to try.
    async fn is_needed(&mut self, proof: &Proof, part: &Part) -> Result<Option<bool>, Failure> {
        if self.spent().is_some() {
            return Ok(None);
        }
        let Ok(rest) = without(&proof.patch, &[part]) else { return Ok(Some(true)) };
        let delivered = self.delivered(&rest);
        // Sources that cannot even be sent are a failure that the hunk takes away.
        let Some(after) = self.run(&delivered).await?.ended() else { return Ok(Some(true)) };
        let needed = self.judged(&after).grade != Grade::Proven || self.is_worse(&after, &proof.after);
        let word = if needed { "is needed: without it something fails" } else { "is not needed for this error" };
        (self.progress)(Progress::new("needed", format!("the change at {}:{} {word} ({:.1} s)", part.path, part.line(), after.seconds)));
        Ok(Some(needed))
    }

    /// Whether the smoke run of a part of a patch shows something that the one of the whole patch does not.
    fn is_worse(&self, rest: &Observed, whole: &Observed) -> bool {
        let (Some(rest), Some(whole)) = (&rest.record, &whole.record) else { return true };
        let known = compare(self.baseline_record(), whole);
        let found = compare(self.baseline_record(), rest);
        !compare(Some(whole), rest).broken.is_empty()
            || found.broken.iter().any(|line| !known.broken.contains(line))
            || found.unknown.iter().any(|line| !known.unknown.contains(line))
    }

    /// The patch without the hunks that are not needed, if it is worth as much. What builds on the addon may need them.
    async fn smaller(&mut self, whole: &Proof, needs: &mut [Need]) -> Result<Option<Proof>, Failure> {
        let found = parts(&whole.patch);
        let is_idle = |(_, need): &(&Part, &Need)| **need == Need::Idle;
        let idle: Vec<&Part> = found.iter().zip(&*needs).filter(is_idle).map(|(part, _)| part).collect();
        if idle.is_empty() || idle.len() == found.len() || self.spent().is_some() {
            return Ok(None);
        }
        let Ok(patch) = without(&whole.patch, &idle) else { return Ok(None) };
        let Some((evidence, after)) = self.verify(&patch).await?.ended() else { return Ok(None) };
        if evidence.grade != Grade::Proven || self.is_worse(&after, &whole.after) {
            return Ok(None);
        }
        let kept: Vec<Need> = needs.iter().copied().filter(|need| *need != Need::Idle).collect();
        let proof = self.complete(Proof { patch, evidence, after }, &kept).await?;
        if proof.evidence.grade == Grade::Refuted {
            needs.iter_mut().filter(|need| **need == Need::Idle).for_each(|need| *need = Need::Needed);
            return Ok(None);
        }
        (self.progress)(Progress::new("needed", format!("{} hunk(s) that are not needed were dropped", idle.len())));
        Ok(Some(proof))
    }

    /// Says what ran each hunk; what nothing ran, probes try to reach. A hunk that stays unreached makes the patch consistent at most.
    async fn reach(&mut self, mut proof: Proof, needs: &[Need]) -> Result<Proof, Failure> {
        let found = parts(&proof.patch);
        let patched = self.request.addons[0].with(&proof.patch);
        let mut record: Record = proof.after.record.as_deref().cloned().unwrap_or_default();
        let idle: Vec<(&RelPath, u32)> = found
            .iter()
            .filter(|part| exercised(part, &patched, &record).is_none() && part.path.as_str().ends_with(".py"))
            .flat_map(|part| not_run(part, &patched, &record).into_iter().map(|line| (&part.path, line)))
            .collect();
        if proof.evidence.grade == Grade::Proven
            && let Some(more) = self.probe_lines(&proof.patch, &idle).await?
        {
            proof.evidence.reservations.extend(code_errors(&proof.after, &more));
            add_run_lines(&mut record, &more);
        }
        let hunk = |(n, part): (usize, &Part)| Hunk {
            path: part.path.clone(),
            line: part.line(),
            lines: part.lines(),
            exercised: exercised(part, &patched, &record),
            need: needs.get(n).copied().unwrap_or(Need::Untried),
        };
        proof.evidence.hunks = found.iter().enumerate().map(hunk).collect();
        for hunk in &proof.evidence.hunks {
            if hunk.exercised.is_none() {
                proof.evidence.reservations.push(format!("nothing ran the change at {}:{} after the patch", hunk.path, hunk.line));
                proof.evidence.grade = proof.evidence.grade.min(Grade::Consistent);
            }
        }
        Ok(proof)
    }

    /// One run with tests that call the methods which these lines are in; `None` if none can be made, or if the run is not to be trusted.
    async fn probe_lines(&mut self, patch: &Patch, idle: &[(&RelPath, u32)]) -> Result<Option<Observed>, Failure> {
        if self.spent().is_some() {
            return Ok(None);
        }
        let mut whole = self.delivered(patch);
        let mut made: Vec<String> = Vec::new();
        for (path, line) in idle {
            let addon = self.request.addons[0].with(&whole);
            let Some(probe) = probe::reaching(&addon, path, *line).filter(|probe| !made.contains(&probe.what)) else { continue };
            let Some(with) = probe.patch(&addon).and_then(|added| whole.then(&added).ok()) else { continue };
            (self.progress)(Progress::new("probe", format!("running {} to reach {path}:{line}", probe.what)));
            whole = with;
            made.push(probe.what);
            if made.len() == MAX_REACHING {
                break;
            }
        }
        if made.is_empty() {
            return Ok(None);
        }
        Ok(self.run(&whole).await?.ended().filter(Observed::is_trusted))
    }

    /// Puts the verdict together: what the smoke run shows, what is lost, what is reached for, and what its author was not sure of.
    fn weigh(&self, proof: &Proof, author: &Source, offered: Applicability, doubts: &[String]) -> Evidence {
        let addon = &self.request.addons[0];
        let mut evidence = proof.evidence.clone();
        if let Some(after) = &proof.after.record {
            let smoke = compare(self.baseline_record(), after);
            if !smoke.broken.is_empty() {
                evidence.grade = Grade::Refuted;
                evidence.new_failures.extend(smoke.broken);
            }
            if !smoke.unknown.is_empty() {
                evidence.grade = evidence.grade.min(Grade::Consistent);
                evidence.reservations.extend(smoke.unknown);
            }
            evidence.losses.extend(self.before.record.iter().flat_map(|before| lost_values(before, after)));
        }
        let facts = ModuleFacts::of(addon);
        let index = Index::new(self.request.own, self.request.core).partial(self.request.more).with(addon.name().as_str(), &facts);
        for loss in losses(addon, &proof.patch, index) {
            if evidence.losses.iter().all(|known| known.place != loss.place || known.kind != loss.kind) {
                evidence.losses.push(loss);
            }
        }
        evidence.reservations.extend(self.dangling(&proof.patch, index));
        evidence.reservations.extend(guard::refusals(addon, &proof.patch, author));
        evidence.reservations.extend(reaches(&proof.patch));
        evidence.reservations.extend(unneeded(&evidence));
        evidence.reservations.extend(doubts.iter().cloned());
        let is_clean = evidence.losses.is_empty() && evidence.reservations.is_empty();
        evidence.applicability = if is_clean { offered } else { offered.min(Applicability::Unsafe) };
        evidence
    }

    /// The references that the patch adds and that lead to nothing.
    fn dangling(&self, patch: &Patch, index: Index<'_>) -> Vec<String> {
        let addon = &self.request.addons[0];
        let (name, version) = (addon.name().as_str(), self.request.version);
        let patched = addon.with(patch);
        let facts = ModuleFacts::of(&patched);
        let after = index.with(name, &facts);
        let scope = after.installed(name);
        let added = references::added(
            &references::unresolved(addon, index, &scope, version),
            &references::unresolved(&patched, after, &scope, version),
        );
        added.into_iter().map(|found| format!("{}:{}: {}", found.path, found.line, found.what)).collect()
    }

    /// The record of the untouched sources, if the addon could be installed from them.
    fn baseline_record(&self) -> Option<&Record> {
        self.before.record.as_deref().filter(|_| self.before.installed)
    }
}

/// Errors of a run with further probes that lie in the code whatever the data. Any other may stem from the records that a probe made up.
fn code_errors<'a>(after: &Observed, probed: &'a Observed) -> impl Iterator<Item = String> + 'a {
    let found = new_errors(after, probed).into_iter().filter(|report| is_in_the_code(report));
    found.map(|report| format!("a test that calls what was changed runs into: {}", report.title))
}

/// Adds the lines that ran, but for those that the run failed at.
fn add_run_lines(record: &mut Record, probed: &Observed) {
    let Some(more) = &probed.record else { return };
    let failed: Vec<_> =
        probed.reports.iter().filter(|report| report.fault == Fault::Code).filter_map(|report| report.location.as_ref()).collect();
    for (path, lines) in &more.lines {
        let ran = lines.iter().filter(|line| !failed.iter().any(|place| place.path == *path && place.line == Some(**line)));
        record.lines.entry(path.clone()).or_default().extend(ran);
    }
    for (path, lines) in &more.lambdas {
        record.lambdas.entry(path.clone()).or_default().extend(lines);
    }
}

/// Hunks that are not known to be needed.
fn unneeded(evidence: &Evidence) -> Vec<String> {
    let told = |hunk: &Hunk| match hunk.need {
        Need::Untried => Some(format!("it was not tried whether the change at {}:{} is needed", hunk.path, hunk.line)),
        Need::Idle => Some(format!("the change at {}:{} is not needed by itself", hunk.path, hunk.line)),
        Need::Needed | Need::Sweep => None,
    };
    evidence.hunks.iter().filter(|_| evidence.grade == Grade::Proven).filter_map(told).collect()
}
