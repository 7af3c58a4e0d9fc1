//! A static scan of changed Python: what a patch brings that was not there before.
//!
//! The scanner is bandit, run inside the container: SQL built from strings, `eval`, shells, unsafe deserialisation, weak hashes,
//! secrets in the source and the like. It reads and never runs.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::container::{ADDON, Bounds, Container, Stop, script};
use super::{SandboxError, sources};
use crate::domain::{FileChange, Finding, Patch, Severity};

/// The most bytes of a report that are read.
const REPORT_BYTES: usize = 4 * 1024 * 1024;
/// The most characters of a message that are kept.
const MESSAGE_CHARS: usize = 300;

#[derive(Deserialize)]
struct Report {
    results: Vec<Found>,
    /// One entry for each file that was read.
    metrics: BTreeMap<String, serde_json::Value>,
    /// What could not be read to the end.
    #[serde(default)]
    errors: Vec<Unread>,
}

#[derive(Deserialize)]
struct Unread {
    filename: String,
}

#[derive(Deserialize)]
struct Found {
    filename: String,
    line_number: usize,
    test_id: String,
    issue_severity: Severity,
    issue_text: String,
}

/// Scans the Python files of a patch as they were and as they are to be; gives what is new.
pub(super) async fn scan(container: &Container, patch: &Patch) -> Result<Vec<Finding>, SandboxError> {
    let changes: Vec<&FileChange> = patch.changes().iter().filter(|change| change.path.as_str().ends_with(".py")).collect();
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let before = changes.iter().filter_map(|change| Some((format!("before/{}", change.path), change.before.as_deref()?)));
    let after = changes.iter().map(|change| (format!("after/{}", change.path), change.after.as_str()));
    let files: Vec<(String, &str)> = before.chain(after).collect();
    let archive = sources::archive(files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())))?;
    let bounds = Bounds { bytes: REPORT_BYTES, ..Bounds::SCRIPT };
    let output = container.exec(&ADDON, &["bash", &script("scan.sh")], Some(&archive), bounds).await?;
    let report = match output.stop {
        Stop::Exited(0) => read(&output.text()),
        _ => None,
    };
    // What was not scanned may hold anything.
    Ok(match report {
        Some(report) => new(report, &files),
        None => changes.iter().map(|change| unscanned(change.path.as_str())).collect(),
    })
}

fn unscanned(path: &str) -> Finding {
    Finding {
        id: "unscanned".to_owned(),
        severity: Severity::High,
        path: path.to_owned(),
        line: 1,
        message: "could not be scanned".to_owned(),
    }
}

/// `None` if it cannot be read.
fn read(text: &str) -> Option<Report> {
    serde_json::from_str(text).ok()
}

/// What was found after and not before. A finding is the same if it is of the same kind, about the same text, in the same file.
fn new(report: Report, files: &[(String, &str)]) -> Vec<Finding> {
    let Report { results: found, metrics, errors } = report;
    let bare = |name: &str| name.trim_start_matches("./").to_owned();
    let (scanned, unread): (Vec<_>, Vec<_>) =
        (metrics.keys().map(|name| bare(name)).collect(), errors.iter().map(|error| bare(&error.filename)).collect());
    let missed = files.iter().filter(|(path, _)| !scanned.contains(path) || unread.contains(path));
    let missed: Vec<Finding> = missed.filter_map(|(path, _)| path.strip_prefix("after/")).map(unscanned).collect();
    let line = |found: &Found| {
        let file = files.iter().find(|(path, _)| path == found.filename.trim_start_matches("./"));
        file.and_then(|(_, text)| text.lines().nth(found.line_number.checked_sub(1)?)).unwrap_or_default().trim().to_owned()
    };
    let mut old: BTreeMap<(String, String, String), u32> = BTreeMap::new();
    let mut fresh = Vec::new();
    for found in found {
        let path = found.filename.trim_start_matches("./");
        let key = |path: &str| (path.to_owned(), found.test_id.clone(), line(&found));
        if let Some(path) = path.strip_prefix("before/") {
            *old.entry(key(path)).or_default() += 1;
        } else if let Some(path) = path.strip_prefix("after/") {
            let message = found.issue_text.chars().take(MESSAGE_CHARS).collect();
            let line = u32::try_from(found.line_number).unwrap_or(0);
            fresh.push((
                key(path),
                Finding { id: found.test_id.clone(), severity: found.issue_severity, path: path.to_owned(), line, message },
            ));
        }
    }
    let is_new = |key: &(String, String, String)| match old.get_mut(key) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    let mut is_new = is_new;
    missed.into_iter().chain(fresh.into_iter().filter_map(|(key, finding)| is_new(&key).then_some(finding))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(results: &[(&str, usize, &str)]) -> String {
        let result = |(file, line, id): &(&str, usize, &str)| {
            format!(
                r#"{{"filename": "./{file}", "line_number": {line}, "test_id": "{id}", "issue_severity": "HIGH", "issue_text": "t", "more": 1}}"#
            )
        };
        let results = results.iter().map(result).collect::<Vec<_>>().join(",");
        format!(
            r#"{{"results": [{results}], "errors": [], "metrics": {{"_totals": {{}}, "./before/m/a.py": {{}}, "./after/m/a.py": {{}}}}}}"#
        )
    }

    fn files() -> Vec<(String, &'static str)> {
        vec![("before/m/a.py".to_owned(), "eval(x)\n"), ("after/m/a.py".to_owned(), "y = 1\neval(x)\neval(x)\neval(z)\n")]
    }

    #[test]
    fn what_moved_is_not_new() {
        let found = read(&report(&[("before/m/a.py", 1, "B307"), ("after/m/a.py", 2, "B307")])).unwrap();
        assert_eq!(new(found, &files()), []);
    }

    #[test]
    fn what_came_is_new() {
        let found = [("before/m/a.py", 1, "B307"), ("after/m/a.py", 2, "B307"), ("after/m/a.py", 3, "B307"), ("after/m/a.py", 4, "B307")];
        let new = new(read(&report(&found)).unwrap(), &files());
        assert_eq!(new.iter().map(|finding| finding.line).collect::<Vec<_>>(), [3, 4]);
        assert_eq!((new[0].path.as_str(), new[0].id.as_str(), new[0].severity), ("m/a.py", "B307", Severity::High));
    }

    #[test]
    fn file_that_was_not_read_is_a_finding() {
        let missing = r#"{"results": [], "errors": [], "metrics": {"./before/m/a.py": {}}}"#;
        let failed = r#"{"results": [], "errors": [{"filename": "./after/m/a.py", "reason": "x"}], "metrics": {"./after/m/a.py": {}}}"#;
        for text in [missing, failed] {
            assert_eq!(new(read(text).unwrap(), &files()), [unscanned("m/a.py")], "{text}");
        }
    }

    #[test]
    fn garbage_is_no_report() {
        for text in ["", "no", "{}", r#"{"results": [{}], "metrics": {}}"#, r#"{"results": 3, "metrics": {}}"#] {
            assert!(read(text).is_none(), "{text}");
        }
        let odd = report(&[("elsewhere", 1, "B1"), ("after/m/a.py", 0, "B2"), ("after/m/gone.py", 9, "B3")]);
        assert_eq!(new(read(&odd).unwrap(), &files()).len(), 2);
    }
}
