//! One addon as a value: its files by path.

use std::collections::BTreeMap;

use super::Manifest;
use crate::domain::{ModuleName, Patch, RelPath};

/// The sources of one addon. Paths start with the addon's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addon {
    name: ModuleName,
    files: BTreeMap<RelPath, Vec<u8>>,
}

impl Addon {
    /// An addon of these files; files of other folders are left out.
    pub fn new(name: ModuleName, files: impl IntoIterator<Item = (RelPath, Vec<u8>)>) -> Self {
        let files = files.into_iter().filter(|(path, _)| path.module() == name.as_str()).collect();
        Self { name, files }
    }

    /// Its technical name.
    pub fn name(&self) -> &ModuleName {
        &self.name
    }

    /// Every file, ordered by path.
    pub fn files(&self) -> impl Iterator<Item = (&RelPath, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path, bytes.as_slice()))
    }

    /// The text of one file, or `None` if there is no such file or it is not UTF-8.
    pub fn text(&self, path: &RelPath) -> Option<&str> {
        self.files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Every UTF-8 file with this extension (without the dot), ordered by path.
    pub fn texts<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = (&'a RelPath, &'a str)> {
        self.files.iter().filter_map(move |(path, bytes)| {
            let (_, found) = path.as_str().rsplit_once('.')?;
            (found == extension).then(|| std::str::from_utf8(bytes).ok()).flatten().map(|text| (path, text))
        })
    }

    /// The path of a file of this addon, given below its folder: `views/v.xml`. `None` if it would leave the addon.
    pub fn path(&self, within: &str) -> Option<RelPath> {
        format!("{}/{within}", self.name).parse().ok()
    }

    /// What `__manifest__.py` says; `None` if it is missing or cannot be read.
    pub fn manifest(&self) -> Option<Manifest> {
        Manifest::parse(self.text(&self.path("__manifest__.py")?)?).ok()
    }

    /// The addon after a patch. Changes of other addons are left out.
    #[must_use]
    pub fn with(&self, patch: &Patch) -> Self {
        let mut changed = self.clone();
        for change in patch.changes().iter().filter(|change| change.path.module() == self.name.as_str()) {
            changed.files.insert(change.path.clone(), change.after.clone().into_bytes());
        }
        changed
    }
}
