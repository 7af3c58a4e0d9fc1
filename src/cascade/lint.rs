//! Candidates from a linter: what it would mend in the file that the error names, then all that it would mend.
//!
//! It comes after the rules, because it reads only sources: it does not know the error, and mends more than was asked for. What it
//! proposes is held against the guard and the proof as everything else is.

use std::time::Instant;

use super::attempts::{Candidate, Standing, Trial};
use super::{Attempt, Failure, Grade, Patch, Progress, Request, Source, guard};
use crate::domain::{Applicability, ErrorReport, FileChange};
use crate::sandbox::{LintRun, SandboxError};

/// The linter's name as a source.
const NAME: &str = "odl";
/// How many findings are told.
const MAX_TOLD: usize = 3;

/// Tries what the linter proposes; whether something was proven. A linter that is not there or gives no sensible answer is a note.
pub(super) async fn attempt(
    request: &Request<'_>,
    trial: &mut Trial<'_>,
    progress: &(dyn Fn(Progress) + Send + Sync),
    notes: &mut Vec<String>,
) -> Result<bool, Failure> {
    // Without the error there is nothing that its fixes could be measured by.
    if !trial.reproduced() || Instant::now() >= trial.answer_by() {
        return Ok(false);
    }
    // A rule read the error and was not sure: a linter that reads only sources cannot be surer.
    if trial.has_proposal() {
        progress(Progress::new("lint", "skipped: what a rule proposes is for a person to decide"));
        return Ok(false);
    }
    let mut skip = |why: String| {
        progress(Progress::new("lint", format!("skipped: {why}")));
        notes.push(format!("The linter was not asked: {why}."));
        Ok(false)
    };
    let run = match trial.lint().await {
        Ok(Some(run)) => run,
        Ok(None) => return skip("the sandbox image has none; one that is made where pip reaches a package index has it".to_owned()),
        Err(SandboxError::Protocol(why) | SandboxError::Sources(why)) => return skip(why),
        Err(error) => return Err(error.into()),
    };
    let source = Source::Rule(NAME.to_owned());
    for (patch, summary) in candidates(request.report, &run) {
        if trial.knows(&patch) {
            continue;
        }
        progress(Progress::new("lint", summary.clone()));
        let candidate =
            Candidate { patch: &patch, source: &source, origin: None, summary: &summary, applicability: Applicability::Safe, doubt: None };
        if trial.attempt(candidate).await? == Standing::Fix {
            return Ok(true);
        }
    }
    notes.extend(told(request.report, &run));
    Ok(false)
}

/// Whether it began with what the linter proposes.
pub(super) fn is_of_linter(source: &Source) -> bool {
    matches!(source, Source::Rule(names) if names.split('+').next() == Some(NAME))
}

/// Whether the linter mended something that had nothing to do with the error. A rule is asked about the error, so that even its failure says
/// something; the linter mends whatever it sees, and a ticket with that would only mislead.
pub(super) fn is_idle(attempt: &Attempt) -> bool {
    is_of_linter(&attempt.source) && attempt.evidence.grade == Grade::Refuted && attempt.evidence.new_failures.is_empty()
}

/// At most two: the fixes in the file that the error names, and all fixes. Tests stay as they are.
fn candidates(report: &ErrorReport, run: &LintRun) -> Vec<(Patch, String)> {
    let all: Vec<&FileChange> = run.changes.iter().filter(|change| !guard::is_test(&change.path)).collect();
    let near: Vec<&FileChange> = all.iter().copied().filter(|change| is_named(report, change.path.as_str())).collect();
    let mut found: Vec<(Patch, String)> = Vec::new();
    for changes in [near, all] {
        // More than a patch may hold is no candidate.
        let Ok(patch) = Patch::new(changes.into_iter().cloned().collect()) else { continue };
        if found.iter().all(|(known, _)| *known != patch) {
            let summary = summary(&patch, run);
            found.push((patch, summary));
        }
    }
    found
}

fn is_named(report: &ErrorReport, path: &str) -> bool {
    report.location.as_ref().is_some_and(|location| location.path == path)
}

fn summary(patch: &Patch, run: &LintRun) -> String {
    let of_patch = |path: &str| patch.changes().iter().any(|change| change.path.as_str() == path);
    let mut mended: Vec<String> = Vec::new();
    for finding in run.findings.iter().filter(|finding| finding.mended && of_patch(&finding.path)) {
        let line = format!("{} ({})", finding.message, finding.rule);
        if !mended.contains(&line) {
            mended.push(line);
        }
    }
    let more = if mended.len() > MAX_TOLD { format!("; and {} more", mended.len() - MAX_TOLD) } else { String::new() };
    mended.truncate(MAX_TOLD);
    let files = match patch.changes() {
        [one] => one.path.to_string(),
        many => format!("{} files", many.len()),
    };
    format!("The linter {NAME} mends {files}: {}{more}.", mended.join("; "))
}

/// What it says of the file that the error names and cannot mend, for whoever reads the ticket.
fn told(report: &ErrorReport, run: &LintRun) -> Vec<String> {
    let open = run.findings.iter().filter(|finding| !finding.mended && is_named(report, &finding.path));
    open.take(MAX_TOLD).map(|finding| format!("The linter {NAME} says: {finding}.")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odoo;
    use crate::sandbox::LintFinding;

    /// An error that names a file.
    fn report() -> ErrorReport {
        let log = include_str!("../../tests/fixtures/logs/p_tree.log");
        odoo::reports(log).into_iter().find(|report| report.location.is_some()).unwrap()
    }

    fn change(path: &str) -> FileChange {
        FileChange { path: path.parse().unwrap(), before: Some("a".to_owned()), after: "b".to_owned() }
    }

    fn finding(path: &str, message: &str, mended: bool) -> LintFinding {
        LintFinding { rule: "U1".to_owned(), path: path.to_owned(), line: 3, message: message.to_owned(), mended }
    }

    fn paths(patch: &Patch) -> Vec<&str> {
        patch.changes().iter().map(|change| change.path.as_str()).collect()
    }

    #[test]
    fn file_of_the_error_comes_first_and_then_all() {
        let report = report();
        let named = report.location.as_ref().unwrap().path.clone();
        let run = LintRun { changes: vec![change("p_tree/a.py"), change(&named)], findings: vec![finding(&named, "old", true)] };
        let found = candidates(&report, &run);
        assert_eq!(found.iter().map(|(patch, _)| paths(patch)).collect::<Vec<_>>(), [vec![named.as_str()], vec!["p_tree/a.py", &named]]);
        assert_eq!(found[0].1, format!("The linter odl mends {named}: old (U1)."));
    }

    #[test]
    fn one_file_makes_one_candidate_and_tests_none() {
        let report = report();
        let named = report.location.as_ref().unwrap().path.clone();
        let run = |paths: &[&str]| LintRun { changes: paths.iter().map(|path| change(path)).collect(), findings: Vec::new() };
        assert_eq!(candidates(&report, &run(&[&named])).len(), 1);
        assert_eq!(candidates(&report, &run(&["p_tree/tests/test_a.py", "p_tree/tests/common.py"])), []);
        assert_eq!(candidates(&report, &run(&[])), []);
    }

    #[test]
    fn too_many_files_leave_the_named_one() {
        let report = report();
        let named = report.location.as_ref().unwrap().path.clone();
        let many = (0..100).map(|n| change(&format!("p_tree/f{n}.py"))).chain([change(&named)]).collect();
        let found = candidates(&report, &LintRun { changes: many, findings: Vec::new() });
        assert_eq!(found.iter().map(|(patch, _)| paths(patch)).collect::<Vec<_>>(), [[named.as_str()]]);
    }

    #[test]
    fn what_it_cannot_mend_is_told_of_the_named_file_only() {
        let report = report();
        let named = report.location.as_ref().unwrap().path.clone();
        let findings = vec![finding(&named, "mended", true), finding("p_tree/other.xml", "far", false), finding(&named, "near", false)];
        let run = LintRun { changes: Vec::new(), findings };
        assert_eq!(told(&report, &run), [format!("The linter odl says: {named}:3: near (U1).")]);
    }
}
