//! A tree of sources to the files that are worth reading, each under the name that it has wherever it lies: `addon/path`, or `odoo/path` for
//! the framework. Nothing outside of the tree is looked at: links are not followed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Component, Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::report::Skips;
use super::{IndexError, Root};
use crate::knowledge::chunk;

/// How deep a tree is looked into.
const MAX_DEPTH: usize = 40;
/// The most files of one tree.
const MAX_FILES: usize = 500_000;
/// What marks an addon.
const MANIFESTS: [&str; 2] = ["__manifest__.py", "__openerp__.py"];
/// Folders that hold nothing of interest.
const IGNORED: [&str; 3] = ["__pycache__", "node_modules", "site-packages"];

/// One file to read.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Where it lies.
    pub(super) file: PathBuf,
    /// What it is called.
    pub(super) path: String,
    pub(super) bytes: u64,
}

/// The files of an addon, or one file of the framework.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) module: Option<String>,
    pub(super) files: Vec<Found>,
}

impl Unit {
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|found| found.bytes).sum()
    }
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) units: Vec<Unit>,
    pub(super) skips: Skips,
    /// What the folders that could not be looked into are called: what was known of them stays.
    pub(super) unreadable: Vec<String>,
}

impl Walked {
    pub(super) fn files(&self) -> usize {
        self.units.iter().map(|unit| unit.files.len()).sum()
    }
}

/// The name of the manifest file, if this is one.
pub(super) fn is_manifest(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| MANIFESTS.contains(&name))
}

/// Walks all roots; where two hold a file of one name, the first counts.
pub(super) fn walk(roots: &[Root]) -> Result<Walked, IndexError> {
    let mut walked = Walked::default();
    let mut modules: BTreeMap<String, Unit> = BTreeMap::new();
    let mut framework = Vec::new();
    let mut seen = HashSet::new();
    for root in roots {
        let files = if root.translations_only { translations(root, &modules) } else { Places::read(root, &mut walked)?.files(&mut walked) };
        for (within, found) in files {
            if !seen.insert(found.path.clone()) {
                walked.skips.add("a second file of the same name", &found.path);
                continue;
            }
            match within {
                Some(module) => {
                    let unit = modules.entry(module.clone()).or_default();
                    unit.module = Some(module);
                    unit.files.push(found);
                }
                None => framework.push(Unit { module: None, files: vec![found] }),
            }
        }
    }
    walked.units = modules.into_values().chain(framework).collect();
    // The large ones first, so that no worker is left alone with one at the end.
    walked.units.sort_by_cached_key(|unit| std::cmp::Reverse(unit.bytes()));
    Ok(walked)
}

/// The translations of those addons that have code: only there do they name a place. Looked up by name, for the root may be large.
fn translations(root: &Root, modules: &BTreeMap<String, Unit>) -> Vec<(Option<String>, Found)> {
    let is_code =
        |found: &Found| Path::new(&found.path).extension().is_some_and(|extension| extension == "py") && !is_manifest(&found.path);
    let mut files = Vec::new();
    for module in modules.iter().filter(|(_, unit)| unit.files.iter().any(is_code)).map(|(module, _)| module) {
        let folders = ["odoo/addons", "addons", ""].map(|place| root.path.join(place).join(module).join("i18n"));
        let Some(entries) = folders.iter().find_map(|folder| std::fs::read_dir(folder).ok()) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let (name, metadata) = (entry.file_name(), entry.metadata());
            if let (Some(name), Ok(metadata)) = (name.to_str(), metadata)
                && metadata.is_file()
                && chunk::wanted(&format!("i18n/{name}"))
            {
                let path = format!("{module}/i18n/{name}");
                files.push((Some(module.clone()), Found { file: entry.path(), path, bytes: metadata.len() }));
            }
        }
    }
    files.sort_by(|(_, one), (_, two)| one.path.cmp(&two.path));
    files
}

pub(super) fn is_translation(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "po" || extension == "pot")
}

/// Whether there is a file of translations in a folder.
pub fn has_translations(root: &Path) -> bool {
    let walk = WalkDir::new(root).follow_links(false).max_depth(MAX_DEPTH).into_iter().filter_entry(is_of_interest);
    walk.filter_map(Result::ok).any(|entry| entry.file_type().is_file() && is_translation(&entry.file_name().to_string_lossy()))
}

/// Whether the root is still there; if not, what it held has not gone but cannot be seen.
pub(super) fn is_there(root: &Root) -> bool {
    root.path.is_dir()
}

/// The files of one root, and which of its folders are addons.
struct Places {
    root: PathBuf,
    addons: BTreeSet<PathBuf>,
    found: Vec<(PathBuf, u64)>,
}

impl Places {
    fn read(root: &Root, walked: &mut Walked) -> Result<Self, IndexError> {
        let canonical = root.path.canonicalize().map_err(|_| IndexError::Gone(root.path.clone()))?;
        let mut places = Self { root: canonical.clone(), addons: BTreeSet::new(), found: Vec::new() };
        let mut unreadable = Vec::new();
        let walk = WalkDir::new(&canonical).follow_links(false).max_depth(MAX_DEPTH).sort_by_file_name();
        for entry in walk.into_iter().filter_entry(is_of_interest) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(&canonical);
                    if path == canonical {
                        return Err(IndexError::Gone(root.path.clone()));
                    }
                    // One that is gone by now is no trouble.
                    if error.io_error().is_some_and(|error| error.kind() != std::io::ErrorKind::NotFound) {
                        walked.skips.add("cannot be read", &shown(&canonical, path));
                        unreadable.push(path.to_owned());
                    }
                    continue;
                }
            };
            places.take(&entry, walked);
            if places.found.len() >= MAX_FILES {
                return Err(IndexError::TooMany(MAX_FILES));
            }
        }
        // One that is no part of an addon may be an addon itself: its manifest could not be seen.
        let own_name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let prefix = |path: &PathBuf| places.name(path).map(|(_, name)| name).or_else(|| own_name(path));
        walked.unreadable.extend(unreadable.iter().filter_map(prefix).map(|name| format!("{name}/")));
        Ok(places)
    }

    fn take(&mut self, entry: &DirEntry, walked: &mut Walked) {
        let kind = entry.file_type();
        let name = entry.file_name().to_string_lossy();
        if kind.is_symlink() {
            walked.skips.add("a symbolic link", &shown(&self.root, entry.path()));
        } else if kind.is_dir() {
            if entry.depth() == MAX_DEPTH {
                walked.skips.add("too deep", &shown(&self.root, entry.path()));
            }
        } else if !kind.is_file() {
            walked.skips.add("no regular file", &shown(&self.root, entry.path()));
        } else {
            let folder = entry.path().parent().unwrap_or(&self.root);
            if MANIFESTS.contains(&name.as_ref()) {
                self.addons.insert(folder.to_owned());
            }
            let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
            self.found.push((entry.path().to_owned(), bytes));
        }
    }

    /// The files that are wanted, each with the addon that it belongs to.
    fn files(self, walked: &mut Walked) -> Vec<(Option<String>, Found)> {
        let mut files = Vec::new();
        for (file, bytes) in &self.found {
            if file.to_str().is_none() {
                walked.skips.add("a name that is no UTF-8", &shown(&self.root, file));
                continue;
            }
            let Some((module, path)) = self.name(file) else {
                if matches!(file.extension().and_then(|extension| extension.to_str()), Some("py" | "xml" | "csv")) {
                    walked.skips.add("in no addon", &shown(&self.root, file));
                }
                continue;
            };
            // The first part is the addon, or the framework.
            if path.split_once('/').is_some_and(|(_, within)| chunk::wanted(within)) {
                files.push((module, Found { file: file.clone(), path, bytes: *bytes }));
            }
        }
        files
    }

    /// What a file or folder of this root is called, and the addon that it is in.
    fn name(&self, file: &Path) -> Option<(Option<String>, String)> {
        let addon = file.ancestors().take_while(|folder| folder.starts_with(&self.root)).find(|folder| self.addons.contains(*folder));
        if let Some(addon) = addon {
            let module = addon.file_name()?.to_str()?;
            let within = slashed(file.strip_prefix(addon).ok()?)?;
            return Some((Some(module.to_owned()), format!("{module}/{within}")));
        }
        let within = slashed(file.strip_prefix(&self.root).ok()?)?;
        if let Some(start) = within.split('/').position(|part| part == "odoo") {
            let path: Vec<_> = within.split('/').skip(start).collect();
            return Some((None, path.join("/")));
        }
        let is_framework = self.root.file_name().is_some_and(|name| name == "odoo") && self.root.join("sql_db.py").is_file();
        is_framework.then(|| (None, format!("odoo/{within}")))
    }
}

fn is_of_interest(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0 || !(entry.file_type().is_dir() && (name.starts_with('.') || IGNORED.contains(&name.as_ref())))
}

fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<_>> =
        path.components().map(|part| if let Component::Normal(name) = part { name.to_str() } else { None }).collect();
    Some(parts?.join("/"))
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x = 1\n").unwrap();
        }
        dir
    }

    fn names(walked: &Walked) -> Vec<String> {
        let mut names: Vec<_> = walked.units.iter().flat_map(|unit| unit.files.iter().map(|found| found.path.clone())).collect();
        names.sort();
        names
    }

    fn root(path: &Path) -> Root {
        Root { path: path.to_owned(), translations_only: false }
    }

    #[test]
    fn files_are_named_by_their_addon() {
        let dir = tree(&[
            "odoo/addons/sale/__manifest__.py",
            "odoo/addons/sale/models/a.py",
            "odoo/orm/models.py",
            "setup.py",
            "addons/crm/__openerp__.py",
        ]);
        let walked = walk(&[root(dir.path())]).unwrap();
        assert_eq!(names(&walked), ["crm/__openerp__.py", "odoo/orm/models.py", "sale/__manifest__.py", "sale/models/a.py"]);
        assert_eq!(walked.skips.count("in no addon"), 1);
        let alone = walk(&[root(&dir.path().join("odoo/addons/sale"))]).unwrap();
        assert_eq!(names(&alone), ["sale/__manifest__.py", "sale/models/a.py"]);
    }

    #[test]
    fn links_are_never_followed() {
        let dir = tree(&["sale/__manifest__.py"]);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("sale/loop")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("sale/x.py")).unwrap();
        let walked = walk(&[root(dir.path())]).unwrap();
        assert_eq!(names(&walked), ["sale/__manifest__.py"]);
        assert_eq!(walked.skips.count("a symbolic link"), 2);
    }

    #[test]
    fn first_of_two_roots_counts() {
        let (one, two) = (tree(&["a/__manifest__.py", "a/m.py"]), tree(&["a/__manifest__.py", "b/__manifest__.py", "b/m.py"]));
        let walked = walk(&[root(one.path()), root(two.path())]).unwrap();
        assert_eq!(names(&walked), ["a/__manifest__.py", "a/m.py", "b/__manifest__.py", "b/m.py"]);
        assert!(walk(&[root(Path::new("/nonexistent"))]).is_err());
    }

    #[test]
    fn translations_come_to_code_alone() {
        let tree_of_code = tree(&["a/__manifest__.py", "a/m.py", "b/__manifest__.py"]);
        let whole = tree(&["odoo/addons/a/i18n/es.po", "odoo/addons/a/x.py", "odoo/addons/b/i18n/es.po", "odoo/addons/c/i18n/es.po"]);
        assert!(has_translations(whole.path()) && !has_translations(tree_of_code.path()));
        let translations = Root { path: whole.path().to_owned(), translations_only: true };
        let walked = walk(&[root(tree_of_code.path()), translations]).unwrap();
        assert_eq!(names(&walked), ["a/__manifest__.py", "a/i18n/es.po", "a/m.py", "b/__manifest__.py"]);
    }
}
