//! What: the manifest says that the addon is for the series that it runs on.
//!
//! Why: Odoo takes an addon of another series as not installable, and goes on without it.
//! Before: `"version": "18.0.1.0.0"`. After: `"version": "19.0.1.0.0"`.
//! Not sure: an addon of another series may need more than this. An upgrade, which somebody asks for, begins with it.
//! Since: any Odoo.

use std::sync::LazyLock;

use regex::Regex;

use super::edit::{Edit, apply};
use super::{Case, FileChange, Proposal, Rule, manifest_change, unsure};
use crate::domain::{ErrorClass, OdooVersion, Patch};
use crate::odoo::Addon;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "series", classes: &[ErrorClass::ManifestVersion], since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let changes = change(case.addon, case.version).into_iter().collect();
    let doubt = "An addon of another series may need more than another version in its manifest.";
    unsure(format!("The manifest is for another series; it says {} now, and nothing else is changed.", case.version), doubt, changes)
}

/// `17.0.1.2.3`: a series of Odoo, and the addon's own version behind it.
static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^(?:(?:[89]|1\d|2\d)\.0\.)?(\d+(?:\.\d+)*)$").ok());

/// The change that makes a manifest say that its addon is for this series and can be installed; `None` if it says so, or cannot be read.
pub fn ported(addon: &Addon, version: &OdooVersion) -> Option<Patch> {
    Patch::new(change(addon, version).into_iter().collect()).ok()
}

fn change(addon: &Addon, version: &OdooVersion) -> Option<FileChange> {
    manifest_change(addon, |text, manifest| {
        let mut edits = Vec::new();
        if let (Some(old), Some(range)) = (manifest.text("version"), manifest.value("version"))
            && !old.starts_with(&format!("{version}."))
        {
            let own = VERSION.as_ref()?.captures(old)?.get(1)?.as_str();
            // OCA starts a port anew at 1.0.0, so that the versions of all series tell nothing of one another.
            let own = if old.len() == own.len() { own } else { "1.0.0" };
            let quote = text.get(range.clone())?.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            edits.push(Edit::new(range, format!("{quote}{version}.{own}{quote}")));
        }
        if manifest.truth("installable") == Some(false) {
            edits.extend(manifest.value("installable").map(|range| Edit::new(range, "True")));
        }
        apply(text, edits)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::addon;
    use super::*;

    fn after(manifest: &str) -> Option<String> {
        let addon = addon(&[("__manifest__.py", manifest)]);
        let patch = ported(&addon, &"19.0".parse().unwrap())?;
        Some(patch.changes()[0].after.clone())
    }

    #[test]
    fn series_and_installable_are_changed_and_nothing_else() {
        let before = "{\n    'name': \"A\",  # kept\n    'version': '17.0.2.1.0',\n    'installable': False,\n}\n";
        assert_eq!(after(before).unwrap(), before.replace("17.0.2.1.0", "19.0.1.0.0").replace("False", "True"));
        assert_eq!(after("{\"version\": \"1.2\"}").unwrap(), "{\"version\": \"19.0.1.2\"}");
    }

    #[test]
    fn what_is_right_or_not_understood_stays() {
        for manifest in ["{'version': '19.0.1.0.0'}", "{'name': 'x'}", "{'version': 'latest'}", "{'version': VERSION}", "{", ""] {
            assert_eq!(after(manifest), None, "{manifest}");
        }
    }
}
