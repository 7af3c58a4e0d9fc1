//! The errors of a log: entries grouped into occurrences, each occurrence read into a report.

mod build;
mod group;

use std::collections::HashSet;

use super::log::entries;
use super::place::Places;
use crate::domain::{ErrorClass, ErrorReport};

/// Reports kept of one log.
const REPORTS_MAX: usize = 300;

/// The errors of a log, each once, the one that the log is about first: a failure to load, then failing tests, then errors with a
/// traceback, other errors, warnings.
pub fn reports(text: &str) -> Vec<ErrorReport> {
    let entries = entries(text);
    let places = Places::of(&entries);
    let version = build::version(&entries);
    let mut occurrences = group::occurrences(&entries);
    occurrences.sort_by_key(|occurrence| occurrence.severity);
    let (mut seen, mut constraints) = (HashSet::new(), HashSet::new());
    occurrences
        .iter()
        .filter_map(|occurrence| build::report(occurrence, &places, version.as_ref()))
        .filter(|report| seen.insert(report.fingerprint.clone()))
        // PostgreSQL refuses a constraint when the module is loaded, Odoo says again at the end that it is missing.
        .filter(|report| report.class != ErrorClass::SchemaConstraint || constraints.insert(report.object.clone()))
        .take(REPORTS_MAX)
        .collect()
}

#[cfg(test)]
mod tests;
