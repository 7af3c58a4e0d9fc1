//! Errors as texts to be found: known ones with their solution, and those that were met with what came of them.

use serde_json::json;

use super::chunk::{Kind, Zone};
use super::essence::{essence, said};
use super::store::{DocType, Entry};
use super::wordings;
use crate::domain::{ErrorClass, OdooVersion, Subclass};
use crate::odoo;

/// The version of how errors are made into texts.
const ERRORS: u32 = 2;
/// The characters of an error that are embedded.
const MAX_CARD: usize = 400;

/// An error that somebody knows, with what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownError {
    /// Its name; given back as `ref`.
    pub id: String,
    /// The series it was met on, if that matters.
    pub version: Option<OdooVersion>,
    /// The log, or what was reported of it.
    pub text: String,
    /// What helps.
    pub solution: String,
}

impl KnownError {
    /// The text to keep of it.
    pub fn entry(&self) -> Entry {
        let said = said(&self.text);
        Entry {
            doc_type: DocType::Errors,
            kind: Kind::KnownError,
            r#ref: self.id.clone(),
            module: None,
            version: self.version.clone(),
            title: said.lines().last().unwrap_or(&self.solution).chars().take(200).collect(),
            content: format!("{}\n\nSolution: {}", self.text.trim_end(), self.solution),
            zones: zones(&self.text, &self.solution),
            card: Some(card(&self.text)),
            quality: 0.7,
            // Errors with the same solution have the same cause.
            made_by: json!({
                "errors": ERRORS,
                "cause": blake3::hash(self.solution.trim().as_bytes()).to_hex()[..16],
                "class": class_of(&self.text),
            }),
        }
    }
}

/// The words of an error, by what they are.
pub(super) fn zones(text: &str, solution: &str) -> Vec<(Zone, String)> {
    let said = said(text);
    vec![
        (Zone::Name, wordings::marks(&wordings::groups(&said))),
        (Zone::Owner, class_of(text).unwrap_or_default()),
        (Zone::Prose, essence(text)),
        (Zone::Body, said),
        (Zone::Context, solution.to_owned()),
    ]
}

/// The class of an error with its subclass, `none_value/iteration`; `None` for what is of no class.
pub(super) fn class_of(text: &str) -> Option<String> {
    let report = odoo::reports(text).into_iter().next().filter(|report| report.class != ErrorClass::Other)?;
    let subclass = report.subclass.map(Subclass::as_str).unwrap_or_default();
    Some(format!("{}/{subclass}", report.class.as_str()))
}

/// What is embedded of an error: what it says, without names and places.
pub(super) fn card(text: &str) -> String {
    let essence = essence(text);
    let start = essence.len().saturating_sub(MAX_CARD);
    essence[essence.ceil_char_boundary(start)..].to_owned()
}
