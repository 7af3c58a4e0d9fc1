//! What no fix may add to code, however well it is argued for: wider rights, other programs, code that knows it is being tested.
//!
//! These checks read text, so they can be too strict and cannot be complete. What they refuse goes to a person; what they let pass
//! still needs its proof.

use std::sync::LazyLock;

use regex::Regex;

use crate::domain::{FileChange, RelPath};
use crate::odoo::{Addon, Manifest};

/// What must not become more, and what it is called.
static NEVER_MORE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\bsudo\b", "adds sudo"),
        (r"\bSUPERUSER_ID\b|\bwith_user\s*\(\s*\d|\bbase\.user_root\b", "acts as the superuser"),
        (r"\bsubprocess\b|\bos\s*\.\s*(?:system|popen|exec|spawn|fork)|\bpty\b", "runs another program"),
        (r"\b(?:eval|exec|__import__)\s*\(", "evaluates text as code"),
        (r#"\bauth\s*=\s*['"](?:public|none)['"]"#, "makes a route public"),
        (r"\bcsrf\s*=\s*False\b", "switches a check against forgery off"),
        (r#"['"]ir\.(?:rule|model\.access)['"]"#, "changes access rights by code"),
        (
            r"\b(?:test_enable|in_test_mode|current_test|unittest)\b|\bodoo\.tests\b|\bodoo\s+import\s+tests\b",
            "behaves differently under test",
        ),
    ]
    .into_iter()
    .map(|(text, what)| (pattern(text), what))
    .collect()
});

/// A pattern that stands in this source.
#[expect(clippy::expect_used, reason = "a constant pattern that every test of this room compiles")]
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("constant pattern")
}

/// Checks one edit by itself, so that what it adds is not made up for by what another takes away.
pub(super) fn edit(path: &RelPath, find: &str, replace: &str) -> Result<(), String> {
    additions(path, find, replace).map_or(Ok(()), Err)
}

/// Checks a whole file, so that a word is not put together from several edits; and its manifest, if it is one.
pub(super) fn refusals(addon: &Addon, change: &FileChange) -> Vec<String> {
    let before = change.before.as_deref().unwrap_or_default();
    let mut refused: Vec<String> = additions(&change.path, before, &change.after).into_iter().collect();
    if change.path.within_module() == "__manifest__.py" {
        refused.extend(manifest(addon, before, &change.after));
    }
    refused
}

fn additions(path: &RelPath, before: &str, after: &str) -> Option<String> {
    if !path.as_str().ends_with(".py") && !path.as_str().ends_with(".xml") {
        return None;
    }
    // Of XML, the record of a rule is looked at as a record, in `rights`; there the quoted name alone says nothing.
    let applies = |what: &str| path.as_str().ends_with(".py") || what != "changes access rights by code";
    let more = |pattern: &Regex| pattern.find_iter(after).count() > pattern.find_iter(before).count();
    let (_, what) = NEVER_MORE.iter().find(|(pattern, what)| applies(what) && more(pattern))?;
    Some(format!("the edit of {path} {what}"))
}

/// An addon that no longer loads a file shows no error in it, and an addon that is not installed shows none at all.
fn manifest(addon: &Addon, before: &str, after: &str) -> Vec<String> {
    let after = match Manifest::parse(after) {
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
