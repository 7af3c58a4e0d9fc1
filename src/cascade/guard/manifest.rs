//! A manifest must stay readable and load what it loaded.

use crate::domain::FileChange;
use crate::odoo::{Addon, Manifest};

/// An addon that no longer loads a file shows no error in it, and an addon that is not installed shows none at all.
pub(super) fn refusals(addon: &Addon, change: &FileChange) -> Vec<String> {
    let before = change.before.as_deref().unwrap_or_default();
    let after = match Manifest::parse(&change.after) {
        Ok(after) => after,
        Err(error) => return vec![format!("after the edits {error}")],
    };
    let was = Manifest::parse(before).ok();
    let mut loaded = after.texts("data");
    let named = |path: &str| ['\'', '"'].iter().any(|quote| before.contains(&format!("{quote}{path}{quote}")));
    let is_data = |path: &str| path.rsplit_once('.').is_some_and(|(_, extension)| matches!(extension, "xml" | "csv" | "sql"));
    let files = addon.files().map(|(path, _)| path.within_module());
    let listed: Vec<&str> = match &was {
        Some(was) => files.filter(|path| was.texts("data").contains(path)).collect(),
        // One that could not be read has listed what it names, as data or as demo data.
        None => {
            loaded.extend(after.texts("demo"));
            files.filter(|path| is_data(path) && named(path)).collect()
        }
    };
    let gone = listed.into_iter().filter(|path| !loaded.contains(path));
    let mut refused: Vec<String> = gone.map(|path| format!("the manifest leaves out {path}, which exists")).collect();
    let off = |manifest: &Manifest| manifest.truth("installable") == Some(false);
    if off(&after) && !was.as_ref().is_some_and(off) {
        refused.push("the manifest makes the addon not installable".to_owned());
    }
    refused
}
