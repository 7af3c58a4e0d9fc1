//! Small addons and reports for the tests of the rules.

use std::path::Path;

use crate::domain::{ErrorClass, ErrorReport, Fault, ObjectRef};
use crate::odoo::Addon;
use crate::odoo::source::Index;

use super::{Candidate, Case, propose};

/// An addon `m` of these files.
pub(super) fn addon(files: &[(&str, &str)]) -> Addon {
    let file = |(path, text): &(&str, &str)| (format!("m/{path}").parse().unwrap(), text.as_bytes().to_vec());
    Addon::new("m".parse().unwrap(), files.iter().map(file))
}

/// The addon in `tests/fixtures/rules/<rule>/<name>`.
pub(super) fn fixture(rule: &str, name: &str) -> Addon {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules").join(rule).join(name))
}

/// An addon in a folder.
pub(super) fn load(root: &Path) -> Addon {
    let name = root.file_name().unwrap().to_str().unwrap();
    let files = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let file = |entry: walkdir::DirEntry| {
        let within = entry.path().strip_prefix(root).unwrap().to_str().unwrap();
        Some((format!("{name}/{within}").parse().ok()?, std::fs::read(entry.path()).unwrap()))
    };
    Addon::new(name.parse().unwrap(), files.filter_map(file))
}

/// A report of this class with this text.
pub(super) fn report(class: ErrorClass, text: &str) -> ErrorReport {
    ErrorReport {
        fingerprint: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        class,
        subclass: None,
        fault: Fault::Code,
        title: String::new(),
        occurred_at: None,
        level: "CRITICAL".to_owned(),
        logger: "odoo.service.server".to_owned(),
        database: None,
        odoo_version: None,
        module: None,
        owner: Default::default(),
        location: None,
        object: ObjectRef::default(),
        chain: Vec::new(),
        text: text.to_owned(),
    }
}

/// What all rules propose on Odoo 19.
pub(super) fn candidates(addon: &Addon, class: ErrorClass, text: &str) -> Vec<Candidate> {
    candidates_in("19.0", addon, class, text)
}

/// What all rules propose on this version of Odoo.
pub(super) fn candidates_in(version: &str, addon: &Addon, class: ErrorClass, text: &str) -> Vec<Candidate> {
    propose(&Case { report: &report(class, text), addon, version: &version.parse().unwrap(), index: Index::default() })
}

/// The addon after the first candidate.
pub(super) fn mended(addon: &Addon, class: ErrorClass, text: &str) -> Option<Addon> {
    candidates(addon, class, text).first().map(|candidate| addon.with(&candidate.patch))
}

/// The text of one file of addon `m` after the first candidate; `None` if there is no candidate.
pub(super) fn mended_file(files: &[(&str, &str)], path: &str, class: ErrorClass, text: &str) -> Option<String> {
    let mended = mended(&addon(files), class, text)?;
    mended.text(&mended.path(path)?).map(str::to_owned)
}

/// The first candidate's diff.
pub(super) fn first_diff(addon: &Addon, class: ErrorClass, text: &str) -> String {
    candidates(addon, class, text).first().map(|candidate| candidate.patch.unified_diff()).unwrap_or_default()
}
