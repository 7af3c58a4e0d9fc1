//! Everything that a proof means besides that the error is gone: every hunk needed and run, nothing lost, nothing reached for.

use std::sync::Arc;
use std::time::Instant;

use super::{MAX_RUNS, Proof, Trial};
use crate::cascade::probe;
use crate::cascade::proof::{Part, compare, exercised, lost_values, parts, without};
use crate::cascade::{Evidence, Failure, Grade, Observed, Patch, Progress, guard};
use crate::domain::{Applicability, Hunk, Need, Source};
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
        let (proof, needs) = self.shed(proof, author).await?;
        let mut proof = self.reach(proof, &needs).await?;
        if proof.evidence.grade == Grade::Proven {
            let delivered = self.delivered(&proof.patch);
            proof.evidence = self.confirm(&delivered, proof.evidence, &proof.after).await?;
        }
        proof.evidence = self.weigh(&proof, author, offered, doubts);
        Ok(proof)
    }

    /// Takes the hunks back one by one. One that is not needed is dropped, unless it is a rule's: that mends the same fault elsewhere.
    async fn shed(&mut self, proof: Proof, author: &Source) -> Result<(Proof, Vec<Need>), Failure> {
        let found = parts(&proof.patch);
        if found.len() < 2 || proof.evidence.grade != Grade::Proven {
            // The untouched sources are the patch with its only hunk taken back.
            let need = if proof.evidence.grade == Grade::Proven { Need::Needed } else { Need::Untried };
            return Ok((proof, vec![need; found.len()]));
        }
        let of_rule = matches!(author, Source::Rule(_));
        let most = if of_rule { MAX_TAKEN_BACK_OF_RULE } else { MAX_TAKEN_BACK };
        let mut needs = vec![if of_rule { Need::Sweep } else { Need::Untried }; found.len()];
        let mut idle = Vec::new();
        for (n, part) in found.iter().enumerate().take(most) {
            match self.is_needed(&proof.patch, part).await? {
                Some(true) => needs[n] = Need::Needed,
                Some(false) if !of_rule => idle.push(n),
                Some(false) => {}
                None => break,
            }
        }
        if idle.is_empty() || idle.len() == found.len() {
            return Ok((proof, needs));
        }
        let dropped: Vec<&Part> = idle.iter().map(|n| &found[*n]).collect();
        let Some(smaller) = self.try_without(&proof.patch, &dropped).await? else { return Ok((proof, needs)) };
        (self.progress)(Progress::new("needed", format!("{} hunk(s) that are not needed were dropped", dropped.len())));
        let kept = needs.into_iter().enumerate().filter(|(n, _)| !idle.contains(n)).map(|(_, need)| need).collect();
        Ok((smaller, kept))
    }

    /// Whether the error or another failure returns without this hunk; `None` where there is no time to try.
    async fn is_needed(&mut self, patch: &Patch, part: &Part) -> Result<Option<bool>, Failure> {
        if Instant::now() >= self.answer_by() || self.runs >= MAX_RUNS {
            return Ok(None);
        }
        let Ok(rest) = without(patch, &[part]) else { return Ok(Some(true)) };
        let delivered = self.delivered(&rest);
        let after = match self.run(&delivered).await {
            // Sources that cannot even be sent are a failure that the hunk takes away.
            Err(failure) if failure.kind == crate::domain::FailureKind::BadInput => return Ok(Some(true)),
            run => run?,
        };
        let needed = self.judged(&after).grade != Grade::Proven || self.breaks(&after).is_some();
        let word = if needed { "is needed: without it something fails" } else { "is not needed for this error" };
        (self.progress)(Progress::new("needed", format!("the change at {}:{} {word} ({:.1} s)", part.path, part.line(), after.seconds)));
        Ok(Some(needed))
    }

    /// The first thing that the smoke run finds broken.
    fn breaks(&self, after: &Observed) -> Option<String> {
        compare(self.baseline_record(), after.record.as_ref()?).broken.into_iter().next()
    }

    async fn try_without(&mut self, patch: &Patch, dropped: &[&Part]) -> Result<Option<Proof>, Failure> {
        let Ok(patch) = without(patch, dropped) else { return Ok(None) };
        if Instant::now() >= self.answer_by() || self.runs >= MAX_RUNS {
            return Ok(None);
        }
        let (evidence, after) = self.verify(&patch).await?;
        Ok((evidence.grade == Grade::Proven).then_some(Proof { patch, evidence, after }))
    }

    /// Says what ran each hunk; what nothing ran, probes try to reach. A hunk that stays unreached makes the patch consistent at most.
    async fn reach(&mut self, mut proof: Proof, needs: &[Need]) -> Result<Proof, Failure> {
        let found = parts(&proof.patch);
        let patched = self.request.addons[0].with(&proof.patch);
        let mut record: Record = proof.after.record.as_deref().cloned().unwrap_or_default();
        let unreached: Vec<&Part> = found.iter().filter(|part| exercised(part, &patched, &record).is_none()).collect();
        if !unreached.is_empty()
            && proof.evidence.grade == Grade::Proven
            && let Some(more) = self.probe_lines(&proof.patch, &unreached).await?
        {
            for (path, lines) in &more.lines {
                record.lines.entry(path.clone()).or_default().extend(lines);
            }
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

    /// One run with tests that call the methods which these hunks are in; `None` if none can be made.
    async fn probe_lines(&mut self, patch: &Patch, unreached: &[&Part]) -> Result<Option<Arc<Record>>, Failure> {
        if Instant::now() >= self.answer_by() || self.runs >= MAX_RUNS {
            return Ok(None);
        }
        let mut whole = self.delivered(patch);
        let mut count = 0;
        for part in unreached.iter().filter(|part| part.path.as_str().ends_with(".py")) {
            let addon = self.request.addons[0].with(&whole);
            let Some(probe) = probe::reaching(&addon, &part.path, part.line()) else { continue };
            let Some(with) = probe.patch(&addon).and_then(|added| whole.then(&added).ok()) else { continue };
            (self.progress)(Progress::new("probe", format!("running {} to reach {}:{}", probe.what, part.path, part.line())));
            whole = with;
            count += 1;
            if count == MAX_REACHING {
                break;
            }
        }
        if count == 0 {
            return Ok(None);
        }
        Ok(self.run(&whole).await?.record)
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
        evidence.reservations.extend(untried(&evidence));
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

/// Hunks of which it is not known whether they are needed.
fn untried(evidence: &Evidence) -> Vec<String> {
    let untried = evidence.hunks.iter().filter(|hunk| hunk.need == Need::Untried && evidence.grade == Grade::Proven);
    untried.map(|hunk| format!("it was not tried whether the change at {}:{} is needed", hunk.path, hunk.line)).collect()
}
