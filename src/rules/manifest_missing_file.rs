//! What: an entry of the manifest whose file does not exist names the file that was meant; or it goes, if no file can be meant.
//!
//! Why: Odoo stops at the first listed file that it cannot open. An entry is dropped only where the addon has no unlisted file of its kind:
//! otherwise the views or data of that file would silently be missing, and no test might notice.
//! Before: `"data": ["views/product_states_views.xml"]` beside `views/product_state_views.xml`.
//! After: `"data": ["views/product_state_views.xml"]`.
//! An entry that goes is no loss only where nothing else names the file and it was not about rights: it never loaded anything. Nor is it
//! where the file moved: the same name is listed at its new place, and the old folder holds nothing of the kind any more.
//! Since: any Odoo.

use super::edit::manifest::removals;
use super::edit::{Edit, apply, near_miss};
use super::{Case, Proposal, Rule, graded, manifest_change, near, removal};
use crate::domain::ErrorClass;
use crate::odoo::Addon;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "manifest_missing_file", classes: &[ErrorClass::DataFileMissing], since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let (mut doubts, mut dropped): (Vec<String>, Vec<String>) = Default::default();
    let change = manifest_change(case.addon, |text, manifest| {
        let lists: Vec<_> = ["data", "demo"].iter().filter_map(|key| manifest.list(key)).collect();
        let listed: Vec<&str> = lists.iter().flat_map(|list| &list.items).map(|item| item.value.as_str()).collect();
        let missing = |value: &str| case.addon.path(value).is_none_or(|path| case.addon.files().all(|(file, _)| *file != path));
        // The report must be about one of them: a path that merely cannot be read is not ours to drop.
        if !listed.iter().any(|value| missing(value) && case.report.text.contains(&format!("{}/{value}", case.addon.name()))) {
            return None;
        }
        let mut used: Vec<String> = listed.iter().map(|value| (*value).to_owned()).collect();
        let mut edits = Vec::new();
        for list in &lists {
            let mut gone = Vec::new();
            for (at, item) in list.items.iter().enumerate().filter(|(_, item)| missing(&item.value)) {
                match meant(case.addon, &item.value, &used) {
                    Some(path) => {
                        doubts.extend(doubt(case.addon, &item.value, &path, &used));
                        edits.push(Edit::new(item.range.clone(), text[item.range.clone()].replace(&item.value, &path)));
                        used.push(path);
                    }
                    None if unlisted(case.addon, &item.value, &used).is_empty() => {
                        dropped.push(item.value.clone());
                        gone.push(at);
                    }
                    None => return None,
                }
            }
            edits.extend(removals(text, list, &gone));
        }
        apply(text, edits)
    });
    let summary = "The manifest lists a file that does not exist: the entry names the file that was meant, or goes where there is none.";
    let changes = change.into_iter().collect();
    let missed_entry = |entry: &String| if has_moved(case.addon, entry) { None } else { missed(case.addon, entry) };
    match dropped.iter().find_map(missed_entry) {
        Some(doubt) => removal(summary, doubt, changes),
        None => graded(summary, doubts.into_iter().next(), changes),
    }
}

/// Why another file may not be the one that an entry means.
fn doubt(addon: &Addon, entry: &str, path: &str, used: &[String]) -> Option<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    if name(entry) == name(path) {
        return None;
    }
    let stem = |path: &str| path.rsplit_once('.').map_or(path, |(stem, _)| stem).to_owned();
    let (entry_name, path_name) = (stem(&name(entry)), stem(&name(path)));
    let others: Vec<String> = unlisted(addon, entry, used).into_iter().map(|other| stem(&name(other))).collect();
    near::doubt_by(&entry_name, &path_name, others.iter().map(String::as_str), |word| word.chars().count() < near::SHORT)
}

/// Why a file that does not exist may be missed.
fn missed(addon: &Addon, entry: &str) -> Option<String> {
    let name = entry.rsplit('/').next().unwrap_or(entry);
    if ["security", "access", "rule", "group"].iter().any(|word| entry.contains(word)) {
        return Some(format!("{entry} was to say who may do what; it may not have been delivered."));
    }
    let named = addon.files().filter_map(|(path, _)| addon.text(path)).map(|text| text.matches(name).count()).sum::<usize>();
    (named > 1).then(|| format!("The addon names {name} elsewhere too; it may not have been delivered."))
}

/// Whether the file of an entry is at one other place now, which the manifest lists and which nothing else but these two entries names.
fn has_moved(addon: &Addon, entry: &str) -> bool {
    let split =
        |path: &str| path.rsplit_once('/').map_or((String::new(), path.to_owned()), |(folder, name)| (folder.to_owned(), name.to_owned()));
    let (folder, name) = split(entry);
    let Some(manifest) = addon.manifest() else { return false };
    let lists: Vec<_> = ["data", "demo"].iter().filter_map(|key| manifest.list(key)).collect();
    let listed: Vec<&str> = lists.iter().flat_map(|list| &list.items).map(|item| item.value.as_str()).collect();
    let same: Vec<&&str> = listed.iter().filter(|path| **path != entry && split(path).1 == name).collect();
    let [at] = same.as_slice() else { return false };
    let files: Vec<&str> = addon.files().map(|(path, _)| path.within_module()).collect();
    let is_there = files.contains(*at) && files.iter().filter(|path| split(path).1 == name).count() == 1;
    let extension = |path: &str| path.rsplit_once('.').map(|(_, extension)| extension.to_owned());
    let left_empty = files.iter().all(|path| split(path).0 != folder || extension(path) != extension(entry));
    let named = addon.files().filter_map(|(path, _)| addon.text(path)).map(|text| text.matches(name.as_str()).count()).sum::<usize>();
    // A row of rights has an own meaning in each list.
    let is_rows = extension(entry).as_deref() == Some("csv");
    is_there && left_empty && named == 2 && !is_rows && listed.iter().filter(|path| **path == entry).count() == 1
}

/// The file that an entry means: the same name in another folder, or a name that is clearly near, and not listed yet.
fn meant(addon: &Addon, entry: &str, used: &[String]) -> Option<String> {
    let unused = unlisted(addon, entry, used);
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let same: Vec<_> = unused.iter().filter(|path| name(path) == name(entry)).collect();
    match same.as_slice() {
        [only] => Some((**only).to_owned()),
        [] => near_miss(entry, unused.iter().copied()).map(str::to_owned),
        _ => None,
    }
}

/// The files of the entry's kind that no entry names. What the browser or the tests load is not for the manifest's lists.
fn unlisted<'a>(addon: &'a Addon, entry: &str, used: &[String]) -> Vec<&'a str> {
    let kind = |path: &str| path.rsplit_once('.').map(|(_, extension)| extension.to_owned());
    let elsewhere = |path: &str| ["static/", "tests/", "i18n/", "migrations/"].iter().any(|folder| path.starts_with(folder));
    let paths = addon.files().map(|(path, _)| path.within_module());
    paths.filter(|path| kind(path) == kind(entry) && !elsewhere(path) && !used.iter().any(|known| known == path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{candidates, first_diff, fixture, mended_file};

    const CLASS: ErrorClass = ErrorClass::DataFileMissing;
    const TEXT: &str = "FileNotFoundError: [Errno 2] No such file or directory: '/mnt/x/m/views/product_states_views.xml'";

    #[test]
    fn probe_loses_its_entry() {
        let text = "FileNotFoundError: [Errno 2] No such file or directory: '/p/addons/p_missfile/views/nofile.xml'";
        insta::assert_snapshot!(first_diff(&fixture("manifest_missing_file", "p_missfile"), CLASS, text));
    }

    #[test]
    fn near_name_is_meant() {
        let manifest = "{\n    'data': [\n        'a.xml',\n        'views/product_states_views.xml',\n    ],\n}\n";
        for file in ["views/product_state_views.xml", "data/product_states_views.xml"] {
            let after = mended_file(&[("__manifest__.py", manifest), ("a.xml", ""), (file, "")], "__manifest__.py", CLASS, TEXT);
            assert_eq!(after.unwrap(), manifest.replace("views/product_states_views.xml", file));
        }
    }

    #[test]
    fn listed_file_is_not_meant_twice() {
        let manifest = "{'data': ['views/product_state_views.xml', 'views/product_states_views.xml']}";
        let after = mended_file(&[("__manifest__.py", manifest), ("views/product_state_views.xml", "")], "__manifest__.py", CLASS, TEXT);
        assert_eq!(after.unwrap(), "{'data': ['views/product_state_views.xml']}");
    }

    #[test]
    fn unlisted_file_forbids_dropping_the_entry() {
        let files = [("__manifest__.py", "{'data': ['views/product_states_views.xml']}"), ("views/entirely_different.xml", "")];
        assert!(candidates(&crate::rules::testing::addon(&files), CLASS, TEXT).is_empty());
    }

    #[test]
    fn other_missing_file_is_not_ours() {
        let addon = crate::rules::testing::addon(&[("__manifest__.py", "{'data': ['x.xml']}")]);
        assert!(candidates(&addon, CLASS, "No such file or directory: '/etc/odoo.conf'").is_empty());
    }
}
