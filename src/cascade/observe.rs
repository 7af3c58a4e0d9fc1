//! What one sandbox run showed, read.

use serde_json::{Value, json};

use crate::domain::{ErrorReport, ModuleName};
use crate::odoo::{self, Addon, TestLog};
use crate::sandbox::{End, Record, TestRun};

/// One run of an addon's tests on one state of its sources.
#[derive(Debug, Clone)]
pub struct Observed {
    /// How the process ended.
    pub end: End,
    /// Whether Odoo says that the addon is installed.
    pub installed: bool,
    /// The errors in the log, most severe first.
    pub reports: Vec<ErrorReport>,
    /// Which tests ran and failed.
    pub tests: TestLog,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// What the recorder saw; `None` if it said nothing that can be read.
    pub record: Option<Record>,
}

impl Observed {
    /// Reads a run.
    pub fn read(run: &TestRun) -> Self {
        Self {
            end: run.end,
            installed: run.installed,
            reports: odoo::reports(&run.log),
            tests: TestLog::read(&run.log),
            seconds: run.seconds,
            record: run.record.clone(),
        }
    }

    /// The occurrence of this error in the run, if it is there.
    pub fn occurrence(&self, error: &ErrorReport) -> Option<&ErrorReport> {
        self.reports.iter().find(|report| same_error(report, error))
    }

    /// Whether nothing at all is wrong. Exit code 0 alone would not say so.
    pub fn is_clean(&self) -> bool {
        self.end == End::Exited(0) && self.installed && self.reports.is_empty() && self.tests.failed.is_empty()
    }

    /// The run in a form for people and programs.
    pub fn summary(&self) -> Value {
        json!({
            "end": self.end.to_string(),
            "installed": self.installed,
            "errors": self.reports.iter().take(10).map(|report| json!({
                "class": report.class,
                "title": report.title,
                "location": report.location.as_ref().map(ToString::to_string),
            })).collect::<Vec<_>>(),
            "tests": self.tests.ran,
            "failed_tests": self.tests.failed,
            "seconds": (self.seconds * 10.0).round() / 10.0,
        })
    }
}

/// The same fingerprint, or the same class about the same named thing in the same addon: production and sandbox may
/// wrap one error differently.
pub fn same_error(one: &ErrorReport, other: &ErrorReport) -> bool {
    one.fingerprint == other.fingerprint
        || (one.class == other.class && one.module == other.module && one.object == other.object && one.object != Default::default())
}

/// Whether the addon brings tests, so that a run without one proves nothing.
pub fn brings_tests(addons: &[Addon], module: &ModuleName) -> bool {
    addons.iter().filter(|addon| addon.name() == module).any(|addon| {
        addon.texts("py").any(|(path, text)| {
            let name = path.within_module().strip_prefix("tests/");
            name.is_some_and(|name| name.starts_with("test_")) && text.contains("def test_")
        })
    })
}
