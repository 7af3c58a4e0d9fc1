//! What the recorder in a sandbox saw of a run. It comes over a descriptor of its own, not out of the log.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// What happened in one run, as the recorder saw it. Paths start with the addon's folder; lines are counted from 1.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Whether the recorder saw the run to its end: every test that was found was run, and Odoo ended by its own end.
    pub complete: bool,
    /// What of the test runner or of Odoo was found changed, so that the results cannot be trusted; one sentence each.
    pub tampering: Vec<String>,
    /// Every test that was run, in order.
    pub tests: Vec<TestResult>,
    /// The lines of the addons under test that were run, by file.
    pub lines: BTreeMap<String, BTreeSet<u32>>,
    /// The lines of lambdas that were called, by file. A line that makes one runs without calling it.
    pub lambdas: BTreeMap<String, BTreeSet<u32>>,
    /// The data files that were loaded to their end.
    pub loaded: BTreeSet<String>,
    /// What the smoke run tried after the tests.
    pub smoke: Vec<Check>,
    /// What the smoke run had no time left to try, or why there was none; one name or reason each.
    pub left_out: Vec<String>,
    /// The values that the addons under test handed to `create` and `write`.
    pub written: Vec<Written>,
}

/// How one test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestOutcome {
    /// It ended without an error.
    Passed,
    /// An assertion did not hold.
    Failed,
    /// It raised something else.
    Errored,
    /// It was not run.
    Skipped,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TestResult {
    /// The addon.
    pub module: String,
    /// `Class.method`.
    pub name: String,
    /// How it ended.
    pub outcome: TestOutcome,
}

/// One thing that the smoke run tried.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Check {
    /// What was tried, stable between runs: `view m.form`, `create m.order`, `cron m.nightly`.
    pub name: String,
    /// Whether it was tried as a user with few rights.
    #[serde(default)]
    pub low_rights: bool,
    /// The data file or Python file that it is about, if it is about one.
    #[serde(default)]
    pub path: Option<String>,
    /// The exception and its message; `None` if it went well.
    #[serde(default)]
    pub error: Option<String>,
    /// Whether the error is one that users are meant to see (`UserError`, `ValidationError`, `AccessError` …) and so no fault by itself.
    #[serde(default)]
    pub meant: bool,
}

/// A value that was handed to `create` or `write`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Written {
    /// The test or the check that was running.
    pub during: String,
    /// The Odoo model.
    pub odoo_model: String,
    /// The field.
    pub field: String,
    /// The value as Python shows it, cut.
    pub value: String,
    /// The file that called.
    pub path: String,
    /// The line that called.
    pub line: u32,
}
