//! A test may be renamed in, so that it runs again; it may not say less than it did.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::pattern;
use super::python::{Class, Python};
use crate::domain::FileChange;
use crate::odoo::Addon;

/// What tests and checks are made of: none of it may become less, in the file or in one test.
static NEVER_LESS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [r"\bdef\s+test_", r"\bassert\w*|\bexpect\s*\(", r"\bfail\s*\(", r"\braise\b", r"\b(?:test|it|add_task)\s*\(|<record\b"]
        .into_iter()
        .map(pattern)
        .collect()
});
/// What keeps a test from running or from failing: none of it may become more.
static NEVER_MORE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(?i)skip|\bexpectedFailure\b|\btodo\b",
        r"\breturn\b|\byield\b",
        r"\bexcept\b|\bsuppress\b|\bfinally\b",
        r"\b(?:mock|patch|patch\w*|mute_logger)\b|\bsetattr\b",
        r"\bif\s+(?:False|0|not\s+True|None)\b|\bwhile\s+(?:False|0)\b",
        r"\bload_tests\b|\b__test__\b|\btest_tags\b|\btagged\b|\brun\b",
    ]
    .into_iter()
    .map(pattern)
    .collect()
});

/// How the change weakens a test, if it does.
pub(super) fn refusals(addon: &Addon, change: &FileChange) -> Option<String> {
    let before = change.before.as_deref()?;
    let weaker = if change.path.as_str().ends_with(".py") {
        python(before, &change.after, &siblings(addon, change))
    } else {
        text(before, &change.after)
    };
    weaker.map(|how| format!("the patch takes tests away or weakens them in {}: {how}", change.path))
}

fn text(before: &str, after: &str) -> Option<String> {
    let differs = |pattern: &Regex, fewer: bool| {
        let (was, is) = (pattern.find_iter(before).count(), pattern.find_iter(after).count());
        if fewer { is < was } else { is > was }
    };
    let found = |pattern: &Regex| pattern.find(before).or_else(|| pattern.find(after)).map_or("", |found| found.as_str()).trim().to_owned();
    let less = NEVER_LESS.iter().find(|pattern| differs(pattern, true)).map(|pattern| format!("fewer times {:?}", found(pattern)));
    less.or_else(|| NEVER_MORE.iter().find(|pattern| differs(pattern, false)).map(|pattern| format!("more often {:?}", found(pattern))))
}

fn python(before: &str, after: &str, siblings: &BTreeSet<String>) -> Option<String> {
    let (Some(was), Some(is)) = (Python::read(before), Python::read(after)) else { return Some("it is too large to compare".to_owned()) };
    // An assertion in a comment or in a text asserts nothing.
    let (old_code, new_code) = (was.code(), is.code());
    if let Some(gone) = siblings.iter().find(|name| names(&old_code, name) && !names(&new_code, name)) {
        return Some(format!("{gone} is no longer named"));
    }
    if let Some(how) = text(&old_code, &new_code) {
        return Some(how);
    }
    // A file that was no Python ran no test; and a tree with errors says little of what stands where.
    if !was.is_whole() || !is.is_whole() {
        return None;
    }
    functions(&old_code, &new_code).or_else(|| classes(&was.classes(), &is.classes()))
}

fn functions(old_code: &str, new_code: &str) -> Option<String> {
    let (was, is) = (Python::read(old_code)?.functions(), Python::read(new_code)?.functions());
    was.into_iter().find_map(|(name, before)| match is.get(&name) {
        Some(after) => text(&before, after).map(|how| format!("{how} in {}", if name.is_empty() { "the file" } else { &name })),
        None => name.rsplit('.').next().is_some_and(|last| last.starts_with("test")).then(|| format!("{name} is gone")),
    })
}

fn classes(was: &[Class], is: &[Class]) -> Option<String> {
    was.iter().find_map(|old| {
        let Some(new) = is.iter().find(|new| new.name == old.name) else { return Some(format!("the class {} is gone", old.name)) };
        if new.decorators != old.decorators {
            return Some(format!("other decorators on {}", old.name));
        }
        // What was renamed in Odoo is a test case still.
        let case = |base: &String| base.ends_with("Case") || base.ends_with("Common") || old.bases.contains(base);
        (new.bases.len() < old.bases.len() || !new.bases.iter().all(case)).then(|| format!("another base of {}", old.name))
    })
}

/// The modules and packages beside an `__init__.py`: what it may not stop to import.
fn siblings(addon: &Addon, change: &FileChange) -> BTreeSet<String> {
    let Some(folder) = change.path.as_str().strip_suffix("__init__.py") else { return BTreeSet::new() };
    let beside = addon.files().filter_map(|(path, _)| path.as_str().strip_prefix(folder));
    let module = |path: &str| match path.split_once('/') {
        Some((package, _)) => Some(package.to_owned()),
        None => path.strip_suffix(".py").map(str::to_owned),
    };
    beside.filter_map(module).filter(|name| name != "__init__").collect()
}

fn names(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}
