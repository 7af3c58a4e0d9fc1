//! One trap or twin: how it is read, and what an answer to it is worth.

use std::path::{Path, PathBuf};

use fancy_regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::Failure;

/// A case as it stands on the disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Trap {
    /// The rule whose obvious answer it is about.
    pub(super) rule: String,
    /// The name of its folder.
    pub(super) name: String,
    /// Whether the obvious answer is right here.
    pub(super) is_twin: bool,
    /// What Odoo printed.
    pub(super) log: PathBuf,
    /// The folder that may be changed.
    pub(super) addons: PathBuf,
    /// What the diff of a right answer holds, all of them.
    pub(super) right: Vec<Regex>,
    /// What the diff of a wrong answer holds, any of them.
    pub(super) wrong: Vec<Regex>,
}

#[derive(Deserialize)]
struct CaseFile {
    rule: String,
    kind: Kind,
    right: Vec<String>,
    wrong: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Trap,
    Twin,
}

/// What became of a case.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) rule: String,
    pub(super) name: String,
    pub(super) is_twin: bool,
    /// `fixed`, `proposed`, `ticket` or `failed`.
    pub(super) outcome: String,
    /// Who made the patch.
    pub(super) source: String,
    /// Whether the patch is one that a maintainer would take; `None` if there is no patch.
    pub(super) is_good: Option<bool>,
    /// Why it did not end fixed.
    pub(super) why: String,
    pub(super) seconds: f64,
}

impl Judged {
    /// Whether something was called fixed that a maintainer would reject.
    pub(super) fn is_wrong(&self) -> bool {
        self.outcome == "fixed" && self.is_good == Some(false)
    }

    /// Whether it was fixed as a maintainer would.
    pub(super) fn is_right(&self) -> bool {
        self.outcome == "fixed" && self.is_good == Some(true)
    }

    /// The same for people.
    pub(super) fn line(&self) -> String {
        let kind = if self.is_twin { "twin" } else { "trap" };
        let mark = match (self.is_wrong(), self.is_right()) {
            (true, _) => "WRONG",
            (_, true) => "right",
            _ => "",
        };
        let why: String = if self.is_twin && !self.is_right() { self.why.chars().take(300).collect() } else { String::new() };
        format!("{:<24} {kind} {:<28} {:<9} {mark:<6} {:<30} {:.1} s  {why}", self.rule, self.name, self.outcome, self.source, self.seconds)
    }
}

/// The cases below a folder, by rule and name.
pub(super) fn read(folder: &Path) -> Result<Vec<Trap>, Failure> {
    let mut found = Vec::new();
    for rule in folders(folder)? {
        for case in folders(&rule)? {
            found.push(read_one(&case)?);
        }
    }
    Ok(found)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let bad = |error: std::io::Error| Failure::bad_input(format!("the folder {} cannot be read: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(bad)?;
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    found.sort();
    Ok(found)
}

fn read_one(folder: &Path) -> Result<Trap, Failure> {
    let file = folder.join("case.json");
    let bad = |why: String| Failure::bad_input(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|error| bad(error.to_string()))?;
    let CaseFile { rule, kind, right, wrong } = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    // As Python reads them with re.M: the cases are written and tried by hand.
    let patterns = |texts: &[String]| -> Result<Vec<Regex>, Failure> {
        texts.iter().map(|text| Regex::new(&format!("(?m){text}")).map_err(|error| bad(format!("{text:?}: {error}")))).collect()
    };
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (right, wrong) = (patterns(&right)?, patterns(&wrong)?);
    let is_twin = matches!(kind, Kind::Twin);
    Ok(Trap { rule, name, is_twin, log: folder.join("log.txt"), addons: folder.join("addons"), right, wrong })
}

/// What an answer is worth.
pub(super) fn judge(trap: &Trap, result: &Value, seconds: f64) -> Judged {
    let text = |key: &str| result[key].as_str().unwrap_or("-").to_owned();
    // A test that was written to show the error stands behind the fix in the patch; it is no part of the answer.
    let is_good = result["patch"].as_str().map(|diff| {
        let holds = |pattern: &Regex| pattern.is_match(diff).unwrap_or(false);
        trap.right.iter().all(holds) && !trap.wrong.iter().any(holds)
    });
    Judged {
        rule: trap.rule.clone(),
        name: trap.name.clone(),
        is_twin: trap.is_twin,
        outcome: text("outcome"),
        source: text("source"),
        is_good,
        why: reasons(result),
        seconds,
    }
}

fn reasons(result: &Value) -> String {
    let losses = result["losses"].as_array().into_iter().flatten().filter_map(|loss| loss["what"].as_str());
    let reservations = result["reservations"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let failures = result["verification"]["new_failures"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let told: Vec<&str> = losses.chain(reservations).chain(failures).collect();
    if told.is_empty() { result["why"].as_str().unwrap_or_default().to_owned() } else { told.join("; ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trap(right: &[&str], wrong: &[&str]) -> Trap {
        let all = |texts: &[&str]| texts.iter().map(|text| Regex::new(&format!("(?m){text}")).unwrap()).collect();
        Trap { right: all(right), wrong: all(wrong), ..Trap::default() }
    }

    #[test]
    fn answer_is_right_only_if_all_is_there_and_nothing_wrong() {
        let trap = trap(&[r"^\+.*phone", r"^\+.*name"], &[r"^-.*limit(?!ed)"]);
        let judged = |outcome: &str, diff: &str| judge(&trap, &json!({ "outcome": outcome, "patch": diff }), 1.0);
        assert!(judged("fixed", "+ phone\n+ name\n").is_right());
        assert!(judged("fixed", "+ phone\n").is_wrong());
        assert!(judged("fixed", "+ phone\n+ name\n- limit\n").is_wrong());
        assert!(judged("fixed", "+ phone\n+ name\n- limited\n").is_right());
        let proposed = judged("proposed", "+ phone\n");
        assert!(!proposed.is_wrong() && !proposed.is_right(), "a proposal claims nothing");
        assert!(!judge(&trap, &json!({ "outcome": "ticket" }), 1.0).is_wrong());
    }

    #[test]
    fn every_case_of_the_repository_is_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traps");
        let traps = read(&folder).unwrap();
        assert!(traps.iter().filter(|trap| !trap.is_twin).count() >= 80, "{}", traps.len());
        assert!(traps.iter().filter(|trap| trap.is_twin).count() >= 80);
        for trap in &traps {
            assert!(trap.log.is_file() && trap.addons.is_dir(), "{}/{}", trap.rule, trap.name);
            assert!(!trap.is_twin || !trap.right.is_empty(), "{}/{} says nothing of a right answer", trap.rule, trap.name);
        }
    }
}
