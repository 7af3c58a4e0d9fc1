//! What: the manifest says that the addon is for the series that it runs on.
//!
//! Why: Odoo takes an addon of another series as not installable, and goes on without it.
//! Before: `"version": "18.0.1.0.0"`. After: `"version": "19.0.1.0.0"`.
//! Sure where the sources say that this version is for the series (a script of an upgrade to it, or a list of changes), and they name nothing
//! that the series has otherwise. Else not: an addon of another series may need more than this. An upgrade, which somebody asks for, begins with it.
//! Since: any Odoo.

use std::sync::LazyLock;

use regex::Regex;

use super::edit::{Edit, apply};
use super::{Case, FileChange, Proposal, Rule, manifest_change, proposal, unsure};
use crate::domain::{ErrorClass, OdooVersion, Patch};
use crate::odoo::Addon;
use crate::odoo::references::references;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "series", classes: &[ErrorClass::ManifestVersion], since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    if let Some((own, change)) = stated(case) {
        let version = case.version;
        return proposal(
            format!("The manifest is for another series; the sources say that {version}.{own} is for this one."),
            vec![change],
        );
    }
    let changes = change(case.addon, case.version).into_iter().collect();
    let doubt = "An addon of another series may need more than another version in its manifest.";
    unsure(format!("The manifest is for another series; it says {} now, and nothing else is changed.", case.version), doubt, changes)
}

/// The addon's own version with the change that says it is of this series, if its sources say so and name nothing that the series lacks.
fn stated(case: &Case<'_>) -> Option<(String, FileChange)> {
    let manifest = case.addon.manifest()?;
    let old = manifest.text("version")?;
    let own = VERSION.as_ref()?.captures(old)?.get(1)?.as_str().to_owned();
    let version = format!("{}.{own}", case.version);
    let is_script = |path: &str| ["migrations", "upgrades"].iter().any(|folder| path.starts_with(&format!("{folder}/{version}/")));
    let is_list = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
        ["change", "history", "news", "release"].iter().any(|word| name.contains(word))
            && [".md", ".rst", ".txt"].iter().any(|end| name.ends_with(end))
    };
    let says = |text: &str| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).any(|word| word.trim_matches('.') == version);
    let mut files = case
        .addon
        .files()
        .filter(|(path, _)| is_script(path.within_module()) || is_list(path.within_module()) && case.addon.text(path).is_some_and(says));
    (old.len() > own.len() && files.next().is_some()).then_some(())?;
    let found = references(case.addon, case.index, case.version);
    (found.unresolved.is_empty() && found.deprecated.is_empty()).then_some(())?;
    let change = manifest_change(case.addon, |text, manifest| {
        let range = manifest.value("version")?;
        let quote = text.get(range.clone())?.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let mut edits = vec![Edit::new(range, format!("{quote}{version}{quote}"))];
        if manifest.truth("installable") == Some(false) {
            edits.extend(manifest.value("installable").map(|range| Edit::new(range, "True")));
        }
        apply(text, edits)
    })?;
    Some((own, change))
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
    fn version_that_the_sources_state_is_sure() {
        let first = |files: &[(&str, &str)]| {
            let manifest = [("__manifest__.py", "{'name': 'A', 'version': '18.0.1.2.0'}")];
            let addon = addon(&[&manifest, files].concat());
            crate::rules::testing::candidates(&addon, ErrorClass::ManifestVersion, "").remove(0)
        };
        for file in [("migrations/19.0.1.2.0/post-migrate.py", ""), ("CHANGES.md", "## 19.0.1.2.0\n\nFor Odoo 19.\n")] {
            let found = first(&[file]);
            assert!(found.is_safe());
            assert!(found.patch.changes()[0].after.contains("'19.0.1.2.0'"));
        }
        let named = "class A(models.Model):\n    _name = 'a.b'\n\n    def name_get(self):\n        return []\n";
        assert!(!first(&[("CHANGES.md", "## 19.0.1.2.0\n"), ("a.py", named)]).is_safe());
        assert!(!first(&[("CHANGES.md", "## 19.0.1.3.0\n")]).is_safe());
    }

    #[test]
    fn what_is_right_or_not_understood_stays() {
        for manifest in ["{'version': '19.0.1.0.0'}", "{'name': 'x'}", "{'version': 'latest'}", "{'version': VERSION}", "{", ""] {
            assert_eq!(after(manifest), None, "{manifest}");
        }
    }
}
