//! A test that does what production did, for an error that no test of the addon shows: built from the traceback and the addon's sources.
//!
//! The log is a stranger's. It is only compared with the sources; what enters a test was read from them. A probe claims nothing: the
//! sandbox says whether it shows the error, and only then is it of use.

mod code;
mod data;
mod suite;
mod trace;
mod write;

#[cfg(test)]
mod tests;

use code::{Call, Found, Shape};
use data::Rendering;
use serde::Serialize;
pub(super) use trace::shows;
use trace::{Step, called_on, is_of_use, steps};

use crate::domain::{ErrorClass, ErrorReport, Patch, RelPath};
use crate::odoo::Addon;

/// How many probes one error may cost.
const MAX_PROBES: usize = 3;
/// How many frames of the addon are looked at.
const MAX_STEPS: usize = 12;

/// What a probe does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It calls a method of an Odoo model.
    Method,
    /// It runs a scheduled action.
    Cron,
    /// It renders a report.
    Report,
    /// It renders a template.
    Template,
    /// It asks for a page.
    Route,
    /// It is one of the addon's own tests.
    OwnTest,
}

/// What a test plays.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scene {
    Method { odoo_model: String, name: String, call: Call },
    Cron { odoo_model: String, method: String, xml_id: String },
    Report { odoo_model: String, name: String },
    Template { key: String },
    Route { path: String, name: String, needs_user: bool },
}

/// A test that may show an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    /// What it does.
    pub(super) kind: Kind,
    /// The same in a sentence for people. It holds nothing of the log.
    pub(super) what: String,
    /// The test as a log names it: `module: Class.method`.
    pub(super) test: String,
    /// Its file.
    pub(super) path: RelPath,
    /// The text of the file.
    pub(super) text: String,
}

impl Probe {
    /// The patch that adds the test to these sources of the addon.
    pub(super) fn patch(&self, addon: &Addon) -> Option<Patch> {
        suite::added(addon, &self.path, &self.text)
    }
}

/// The probes for an error in use, the most telling first; none for one that is no such error, or whose way cannot be read.
pub(super) fn probes(report: &ErrorReport, addon: &Addon) -> Vec<Probe> {
    if !report.is_actionable() || !is_of_use(report, addon) {
        return Vec::new();
    }
    let mut found: Vec<Probe> = Vec::new();
    for (n, scene) in scenes(report, addon).iter().enumerate() {
        let shape = scene.odoo_model().map(|odoo_model| code::shape(addon, odoo_model)).unwrap_or_default();
        // A second try with more data is only worth its time for the place where the error came in.
        let more: &[bool] = if n == 0 && scene.has_more(&shape) { &[false, true] } else { &[false] };
        if n == 0 && says_none(report) && matches!(scene, Scene::Method { call: Call::Records | Call::RecordsWith(_), .. }) {
            found.extend(scene.probe_on(0, addon, &shape, false));
        }
        found.extend(more.iter().filter_map(|filled| scene.probe(report, addon, &shape, *filled)));
    }
    found.truncate(MAX_PROBES);
    found
}

/// Whether the error says that there was nothing to look for: the method may have been called on no records.
fn says_none(report: &ErrorReport) -> bool {
    report.class == ErrorClass::SqlInvalid && report.text.to_lowercase().contains("in ()")
}

/// A test that runs the method or route which a line of the addon is in; `None` if it cannot be called without knowing more.
pub(super) fn reaching(addon: &Addon, path: &RelPath, line: u32) -> Option<Probe> {
    let scene = match code::around(addon.text(path)?, line)? {
        Found::Method { odoo_model, name, call } => Scene::Method { odoo_model, name, call },
        Found::Route { path, name, needs_user } => Scene::Route { path, name, needs_user },
        Found::Uncallable { .. } => return None,
    };
    let shape = scene.odoo_model().map(|odoo_model| code::shape(addon, odoo_model)).unwrap_or_default();
    scene.probe_on(1, addon, &shape, scene.has_more(&shape))
}

/// What was going on, from the outside in.
fn scenes(report: &ErrorReport, addon: &Addon) -> Vec<Scene> {
    // What was raised last holds the outermost frames.
    let mut steps: Vec<Step<'_>> = report.chain.iter().rev().flat_map(|raised| steps(addon, raised)).collect();
    steps.dedup_by(|a, b| a.path == b.path && a.function == b.function);
    steps.truncate(MAX_STEPS);
    let found: Vec<Found> = steps.iter().filter_map(code::at).collect();
    let by_scheduler = report.logger.ends_with("ir_cron")
        || report.chain.iter().flat_map(|raised| &raised.frames).any(|frame| frame.file.ends_with("/ir_cron.py"));
    let mut scenes: Vec<Scene> = Vec::new();
    if by_scheduler {
        let crons = found.iter().filter_map(|found| match found {
            Found::Method { odoo_model, name, .. } | Found::Uncallable { odoo_model, name } => {
                Some(Scene::Cron { odoo_model: odoo_model.clone(), method: name.clone(), xml_id: data::cron(addon, odoo_model, name)? })
            }
            Found::Route { .. } => None,
        });
        scenes.extend(crons);
    }
    scenes.extend(report.object.view.as_deref().and_then(|view| data::rendering(addon, view)).map(|rendering| match rendering {
        Rendering::Report(report) => Scene::Report { odoo_model: report.odoo_model, name: report.name },
        Rendering::Template(key) => Scene::Template { key },
    }));
    let calls = found.into_iter().filter_map(|found| match found {
        Found::Method { odoo_model, name, call } => Some(Scene::Method { odoo_model, name, call }),
        Found::Route { path, name, needs_user } => Some(Scene::Route { path, name, needs_user }),
        Found::Uncallable { .. } => None,
    });
    scenes.extend(calls.take(if is_in_the_code(report) { MAX_PROBES } else { 1 }));
    let mut known = Vec::new();
    scenes.retain(|scene| {
        !known.contains(scene) && {
            known.push(scene.clone());
            true
        }
    });
    scenes
}

/// Whether the sources are wrong whatever the data: then any way to the line is the right one. Where data has a part in it, an inner
/// function must not be called past the conditions of the outer ones: it may fail there for a reason that production does not have.
pub(super) fn is_in_the_code(report: &ErrorReport) -> bool {
    use ErrorClass as C;
    match report.class {
        C::NameUndefined | C::CallArguments | C::ImportName | C::ImportModule | C::FieldInvalid | C::ModelMissing => true,
        // `None` and `False` have no attributes because a value is missing.
        C::AttributeMissing => report.object.model.is_some() || report.chain.iter().any(|raised| raised.message.starts_with("module '")),
        _ => false,
    }
}

impl Scene {
    fn odoo_model(&self) -> Option<&str> {
        match self {
            Self::Method { odoo_model, .. } | Self::Cron { odoo_model, .. } | Self::Report { odoo_model, .. } => Some(odoo_model),
            Self::Template { .. } | Self::Route { .. } => None,
        }
    }

    /// Whether there is something to fill that need not be.
    fn has_more(&self, shape: &Shape) -> bool {
        let fills = !shape.optional.is_empty() || !shape.lines.is_empty();
        !shape.is_abstract && (fills || matches!(self, Self::Method { call: Call::Api | Call::ApiWith(_), .. }))
    }

    /// The words that name it.
    fn words(&self) -> [&str; 2] {
        match self {
            Self::Method { odoo_model, call: Call::Read(field), .. } => [odoo_model, field],
            Self::Method { odoo_model, name, .. } | Self::Cron { odoo_model, method: name, .. } => [odoo_model, name],
            Self::Report { name, .. } => ["report", name.rsplit('.').next().unwrap_or(name)],
            Self::Template { key } => ["template", key.rsplit('.').next().unwrap_or(key)],
            Self::Route { name, .. } => ["route", name],
        }
    }

    fn told(&self) -> (Kind, String) {
        match self {
            Self::Method { odoo_model, name, call } => {
                let does = match call {
                    Call::Records | Call::RecordsWith(_) => format!("calls {name} on records of {odoo_model}"),
                    Call::Api | Call::ApiWith(_) => format!("calls {name} of {odoo_model}"),
                    Call::Create => format!("creates a record of {odoo_model}"),
                    Call::Write => format!("writes to a record of {odoo_model}"),
                    Call::Read(field) => format!("reads the computed field {field} of {odoo_model}"),
                };
                (Kind::Method, does)
            }
            Self::Cron { xml_id, .. } => (Kind::Cron, format!("runs the scheduled action {xml_id}")),
            Self::Report { name, odoo_model } => (Kind::Report, format!("renders the report {name} of a record of {odoo_model}")),
            Self::Template { key } => (Kind::Template, format!("renders the template {key}")),
            Self::Route { path, .. } => (Kind::Route, format!("asks for the page {path}")),
        }
    }

    fn probe(&self, report: &ErrorReport, addon: &Addon, shape: &Shape, filled: bool) -> Option<Probe> {
        let records = self.odoo_model().and_then(|odoo_model| called_on(report, odoo_model)).unwrap_or(1);
        self.probe_on(records, addon, shape, filled)
    }

    fn probe_on(&self, records: usize, addon: &Addon, shape: &Shape, filled: bool) -> Option<Probe> {
        let (path, file) = suite::new_file(addon, &self.words())?;
        let class = camel(&file);
        let method = format!("test_{}", self.words()[1].trim_matches('_'));
        let text = write::test(self, &write::Setting { class: &class, method: &method, shape, records, filled });
        let (kind, does) = self.told();
        let what = format!("a test that {does}{}", if filled { ", with all its fields filled" } else { "" });
        Some(Probe { kind, what, test: format!("{}: {class}.{method}", addon.name()), path, text })
    }
}

/// `TestDeskClose` for `test_desk_close`.
fn camel(file: &str) -> String {
    let upper = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
    };
    file.split('_').map(upper).collect()
}
