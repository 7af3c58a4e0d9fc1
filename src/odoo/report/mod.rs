//! The errors of a log: entries grouped into occurrences, each occurrence read into a report.

mod build;
mod group;
mod recompute;

use std::collections::{HashMap, HashSet};

use self::group::Severity;
use super::json::decoded;
use super::log::entries;
use super::place::Places;
use crate::domain::{ErrorClass, ErrorReport, Fingerprint};

pub use recompute::recompute_fingerprint;

/// Reports kept of one log.
const REPORTS_MAX: usize = 300;

/// The errors of a log, each once, the one that the log is about first: a failure to load, then failing tests, then errors with a
/// traceback, other errors, warnings.
pub fn reports(text: &str) -> Vec<ErrorReport> {
    occurrences(text).into_iter().map(|(report, _)| report).collect()
}

/// The same, each with how often it occurs in the log.
pub fn occurrences(text: &str) -> Vec<(ErrorReport, u32)> {
    let text = decoded(text);
    let entries = entries(&text);
    let places = Places::of(&entries);
    let version = build::version(&entries);
    let mut occurrences = group::occurrences(&entries);
    occurrences.sort_by_key(|occurrence| occurrence.severity);
    let mut index: HashMap<Fingerprint, usize> = HashMap::new();
    let mut constraints = HashSet::new();
    let mut read: HashMap<blake3::Hash, Option<usize>> = HashMap::new();
    let mut found: Vec<(ErrorReport, u32)> = Vec::new();
    for occurrence in &occurrences {
        // Odoo says it of every addon on the path that is for another series; the log is about it only if about nothing else.
        if occurrence.severity == Severity::Aside && found.iter().any(|(report, _)| report.class != ErrorClass::ManifestVersion) {
            break;
        }
        // The same text at the same place is the same error; most logs repeat a few.
        let key = occurrence.key();
        if let Some(known) = read.get(&key) {
            if let Some(known) = known.and_then(|index| found.get_mut(index)) {
                known.1 = known.1.saturating_add(1);
            }
            continue;
        }
        // One more than are kept is only counted with those that are, so its fingerprint is all that is needed.
        let full = found.len() >= REPORTS_MAX;
        let at = match build::report(occurrence, &places, version.as_ref(), |print| full || index.contains_key(print)) {
            Err(print) => {
                let at = index.get(&print).copied();
                if let Some(known) = at.and_then(|at| found.get_mut(at)) {
                    known.1 = known.1.saturating_add(1);
                }
                at
            }
            // PostgreSQL refuses a constraint when the module is loaded, Odoo says again at the end that it is missing.
            Ok(report) if report.class == ErrorClass::SchemaConstraint && !constraints.insert(report.object.clone()) => None,
            Ok(report) => {
                index.insert(report.fingerprint.clone(), found.len());
                found.push((report, 1));
                Some(found.len() - 1)
            }
        };
        read.insert(key, at);
    }
    found
}

#[cfg(test)]
mod tests;
