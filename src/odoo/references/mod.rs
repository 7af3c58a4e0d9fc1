//! The references of an addon, resolved against what the addons at hand and Odoo itself define in a series.
//!
//! Fields, methods, Odoo models, external ids, groups, templates, values of selections, signatures of overridden methods, JavaScript modules
//! with their exports, and interfaces whose meaning changed. A name counts as unresolved only where the Odoo model behind it is known, everything that the addon builds on was
//! read, and nothing in it can add names that the sources do not show. What is not sure is not said.

mod arch;
mod changed;
mod data;
mod domain;
mod infer;
mod names;
mod overrides;
mod python;
mod script;
#[cfg(test)]
mod tests;
mod vals;
mod world;

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::Serialize;

use super::Addon;
use super::source::{Index, Names};
use crate::domain::{OdooVersion, RelPath};
use world::World;

/// The largest file that is read.
const MAX_FILE: usize = 2 * 1024 * 1024;
/// The most findings of one addon.
const MAX_FOUND: usize = 500;

/// What a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A field.
    Field,
    /// A method.
    Method,
    /// An Odoo model.
    OdooModel,
    /// A record by its external id.
    Record,
    /// A group of users by its external id.
    Group,
    /// A view or a template by its external id.
    Template,
    /// A value of a selection.
    SelectionValue,
    /// The parameters of an overridden method or of a call.
    Signature,
    /// An interface of Odoo that changed its meaning.
    Api,
    /// A file that the manifest names.
    File,
    /// An addon that the manifest names.
    Addon,
    /// A JavaScript module, or a name that it exports.
    Script,
}

/// A reference that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unresolved {
    /// The file, below the addons folder.
    pub path: String,
    /// The line, counted from 1.
    pub line: u32,
    /// What it names.
    pub kind: Kind,
    /// The name.
    pub name: String,
    /// The Odoo model that was looked at.
    pub model: Option<String>,
    /// What is wrong, in one sentence.
    pub what: String,
}

/// What was found of an addon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// How many references were resolved or found not to hold.
    pub checked: usize,
    /// Those that do not hold, by file and line.
    pub unresolved: Vec<Unresolved>,
    /// Those that hold and that Odoo says will not for long, or that mean something else than they did.
    pub deprecated: Vec<Unresolved>,
    /// Why references could not be resolved: what was not read. Empty if all could.
    pub unknown: Vec<String>,
}

/// Resolves the references of an addon against everything that is installed with it in a series.
pub fn references(addon: &Addon, index: Index<'_>, version: &OdooVersion) -> References {
    let scope = index.installed(addon.name().as_str());
    resolve(addon, index, scope, version)
}

/// The references of an addon that do not hold among the addons of `scope`. A patch must not add to them.
pub fn unresolved(addon: &Addon, index: Index<'_>, scope: &Names, version: &OdooVersion) -> Vec<Unresolved> {
    resolve(addon, index, scope.clone(), version).unresolved
}

/// Those of `after` that `before` does not have, wherever they stand: what a change of the sources added.
pub fn added(before: &[Unresolved], after: &[Unresolved]) -> Vec<Unresolved> {
    let same = |one: &Unresolved, other: &Unresolved| {
        (&one.path, one.kind, &one.name, &one.model) == (&other.path, other.kind, &other.name, &other.model)
    };
    let count = |all: &[Unresolved], one: &Unresolved| all.iter().filter(|other| same(other, one)).count();
    after.iter().filter(|one| count(after, one) > count(before, one)).cloned().collect()
}

fn resolve(addon: &Addon, index: Index<'_>, scope: Names, version: &OdooVersion) -> References {
    let missing: Vec<&String> = scope.iter().filter(|name| index.module(name).is_none()).collect();
    let mut unknown: Vec<String> =
        missing.iter().map(|name| format!("the sources of {name}, on which it depends, are not known")).collect();
    if !index.knows_core() || index.orm().methods.is_empty() {
        unknown.push("the sources of Odoo were not read".to_owned());
    }
    unknown.extend(unread(addon));
    if !index.knows_scripts() && addon.files().any(|(path, _)| in_browser(path)) {
        unknown.push("the JavaScript of Odoo was not read".to_owned());
    }
    let world = World::new(index, addon.name().as_str(), scope);
    let sink = Sink::default();
    let check = Check { world: &world, addon, version, sink: &sink };
    names::manifest(&check);
    for (path, text) in addon.texts("py").filter(|(path, text)| counts(path.within_module()) && text.len() <= MAX_FILE) {
        python::read(&check, path.as_str(), text);
    }
    for (path, text) in addon.texts("xml").filter(|(path, text)| counts(path.within_module()) && text.len() <= MAX_FILE) {
        data::xml(&check, path.as_str(), text);
    }
    for (path, text) in addon.texts("csv").filter(|(path, text)| counts(path.within_module()) && text.len() <= MAX_FILE) {
        data::csv(&check, path.as_str(), text);
    }
    for (path, text) in addon.texts("js").filter(|(path, text)| in_browser(path) && text.len() <= MAX_FILE) {
        script::javascript(&check, path.as_str(), path.within_module(), text);
    }
    for (path, text) in addon.texts("xml").filter(|(path, text)| in_browser(path) && text.len() <= MAX_FILE) {
        script::templates(&check, path.as_str(), text);
    }
    let found = sink.found.into_inner();
    References {
        checked: found.checked,
        unresolved: found.unresolved.into_iter().take(MAX_FOUND).collect(),
        deprecated: found.deprecated.into_iter().take(MAX_FOUND).collect(),
        unknown: unknown.into_iter().chain(found.unknown).collect(),
    }
}

/// Files whose references are not looked at although the addon needs them.
fn unread(addon: &Addon) -> Vec<String> {
    let read = |path: &RelPath| in_browser(path) || (counts(path.within_module()) && matches!(ending(path), "py" | "xml" | "csv"));
    let odd = addon.files().filter(|(path, bytes)| read(path) && (bytes.len() > MAX_FILE || std::str::from_utf8(bytes).is_err()));
    odd.map(|(path, _)| format!("{path} is larger than {MAX_FILE} bytes, or is no UTF-8")).collect()
}

fn ending(path: &RelPath) -> &str {
    path.as_str().rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// Whether a file is code or a template that runs in the browser, and no library that somebody else wrote.
fn in_browser(path: &RelPath) -> bool {
    let is_library = path.as_str().ends_with(".min.js");
    path.within_module().starts_with("static/src/") && matches!(ending(path), "js" | "xml") && !is_library
}

/// Whether what a file refers to is needed to run the addon: tests show it when they run, scripts for other series are about what is gone.
fn counts(path: &str) -> bool {
    !["tests/", "static/", "migrations/", "upgrades/"].iter().any(|folder| path.starts_with(folder)) && path != "__manifest__.py"
}

/// What a check of one file needs.
#[derive(Clone, Copy)]
struct Check<'c, 'a> {
    world: &'c World<'a>,
    addon: &'c Addon,
    version: &'c OdooVersion,
    sink: &'c Sink,
}

#[derive(Default)]
struct Sink {
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    checked: usize,
    unresolved: BTreeSet<Unresolved>,
    deprecated: BTreeSet<Unresolved>,
    unknown: BTreeSet<String>,
}

/// Where a reference stands.
#[derive(Debug, Clone, Copy)]
struct Place<'p> {
    path: &'p str,
    line: u32,
}

impl Sink {
    fn checked(&self) {
        self.found.borrow_mut().checked += 1;
    }

    fn unknown(&self, why: String) {
        self.found.borrow_mut().unknown.insert(why);
    }

    fn unresolved(&self, place: Place<'_>, kind: Kind, name: &str, model: Option<&str>, what: String) {
        self.found.borrow_mut().unresolved.insert(finding(place, kind, name, model, what));
    }

    fn deprecated(&self, place: Place<'_>, kind: Kind, name: &str, model: Option<&str>, what: String) {
        self.found.borrow_mut().deprecated.insert(finding(place, kind, name, model, what));
    }
}

fn finding(place: Place<'_>, kind: Kind, name: &str, model: Option<&str>, what: String) -> Unresolved {
    Unresolved { path: place.path.to_owned(), line: place.line, kind, name: name.to_owned(), model: model.map(str::to_owned), what }
}
