//! Reading addons: which there are, and one with what it depends on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::domain::{ModuleName, RelPath};
use crate::odoo::Addon;

/// The largest file that is read; a larger one is left out (no source file of an addon is as large).
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// The most bytes that one addon may have.
const MAX_ADDON: u64 = 96 * 1024 * 1024;
/// The most files that one addon may have.
const MAX_FILES: usize = 20_000;

/// Why addons could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AddonsError {
    /// The folder is not there.
    #[error("the addons folder {0} does not exist or cannot be read: {1}")]
    Folder(PathBuf, std::io::Error),
    /// The folder holds no addon.
    #[error("{0} holds no addon: give the folder whose subfolders have a __manifest__.py")]
    NoAddon(PathBuf),
    /// The addon is not in the folder.
    #[error("the addon {module} is not in {folder}; there is: {there}")]
    Missing {
        /// Which was asked for.
        module: ModuleName,
        /// Where.
        folder: PathBuf,
        /// What is there instead, shortened.
        there: String,
    },
    /// The addon is larger than an addon may be.
    #[error("the addon {0} is too large: at most {MAX_FILES} files and {MAX_ADDON} bytes")]
    TooLarge(ModuleName),
}

/// A folder with addons in it. If the folder given is itself an addon, it is the only one in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    root: PathBuf,
    only: Option<ModuleName>,
}

impl Folder {
    /// Opens a folder of addons, or one addon.
    pub fn open(path: &Path) -> Result<Self, AddonsError> {
        let path = path.canonicalize().map_err(|error| AddonsError::Folder(path.to_owned(), error))?;
        if path.join("__manifest__.py").is_file() {
            let only = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            return match (path.parent(), only) {
                (Some(root), Some(only)) => Ok(Self { root: root.to_owned(), only: Some(only) }),
                _ => Err(AddonsError::NoAddon(path)),
            };
        }
        let folder = Self { root: path.clone(), only: None };
        if folder.names()?.is_empty() { Err(AddonsError::NoAddon(path)) } else { Ok(folder) }
    }

    /// The folder below which patch paths are meant.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The addons in it, by name.
    pub fn names(&self) -> Result<BTreeSet<ModuleName>, AddonsError> {
        if let Some(only) = &self.only {
            return Ok([only.clone()].into());
        }
        let entries = std::fs::read_dir(&self.root).map_err(|error| AddonsError::Folder(self.root.clone(), error))?;
        Ok(entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("__manifest__.py").is_file())
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect())
    }

    /// Reads one addon.
    pub fn read(&self, module: &ModuleName) -> Result<Addon, AddonsError> {
        let names = self.names()?;
        if !names.contains(module) {
            let there: Vec<_> = names.iter().take(8).map(ModuleName::as_str).collect();
            return Err(AddonsError::Missing { module: module.clone(), folder: self.root.clone(), there: there.join(", ") });
        }
        let mut files = Vec::new();
        let mut bytes = 0;
        for entry in WalkDir::new(self.root.join(module.as_str())).follow_links(false).into_iter().filter_entry(|e| wanted(e.path())) {
            let Ok(entry) = entry else { continue };
            let within = entry.path().strip_prefix(&self.root).ok().and_then(Path::to_str);
            let path: Option<RelPath> = within.and_then(|path| path.parse().ok());
            let small = entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_FILE);
            if let (Some(path), true) = (path, small)
                && let Ok(content) = std::fs::read(entry.path())
            {
                bytes += content.len() as u64;
                files.push((path, content));
            }
            if bytes > MAX_ADDON || files.len() > MAX_FILES {
                return Err(AddonsError::TooLarge(module.clone()));
            }
        }
        Ok(Addon::new(module.clone(), files))
    }
}

fn wanted(path: &Path) -> bool {
    !matches!(path.file_name().and_then(|name| name.to_str()), Some(".git" | "__pycache__" | "node_modules"))
}

/// The addon and every addon it depends on that lies in one of the folders; the addon itself first, from the first folder.
pub fn closure(folders: &[Folder], module: &ModuleName) -> Result<Vec<Addon>, AddonsError> {
    let Some(first) = folders.first() else { return Ok(Vec::new()) };
    let mut found = vec![first.read(module)?];
    let mut seen: BTreeSet<String> = [module.as_str().to_owned()].into();
    let mut next = 0;
    while let Some(addon) = found.get(next) {
        next += 1;
        let Some(manifest) = addon.manifest() else { continue };
        for name in manifest.texts("depends") {
            let Ok(name) = name.parse::<ModuleName>() else { continue };
            if !seen.insert(name.as_str().to_owned()) {
                continue;
            }
            for folder in folders {
                if folder.names()?.contains(&name) {
                    found.push(folder.read(&name)?);
                    break;
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addon(root: &Path, name: &str, depends: &str) {
        std::fs::create_dir_all(root.join(name).join("models")).unwrap();
        std::fs::write(root.join(name).join("__manifest__.py"), format!("{{'name': '{name}', 'depends': [{depends}]}}")).unwrap();
        std::fs::write(root.join(name).join("models/a.py"), "x = 1\n").unwrap();
    }

    #[test]
    fn closure_holds_local_dependencies_only() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        addon(one.path(), "a", "'base', 'b'");
        addon(one.path(), "unrelated", "");
        addon(two.path(), "b", "'a', 'c'");
        addon(two.path(), "c", "");
        let folders = [Folder::open(one.path()).unwrap(), Folder::open(two.path()).unwrap()];
        let names: Vec<_> = closure(&folders, &"a".parse().unwrap()).unwrap().iter().map(|addon| addon.name().to_string()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn one_addon_may_be_given_itself() {
        let root = tempfile::tempdir().unwrap();
        addon(root.path(), "a", "");
        addon(root.path(), "b", "");
        let folder = Folder::open(&root.path().join("a")).unwrap();
        assert_eq!(folder.names().unwrap().len(), 1);
        assert_eq!(folder.root(), root.path().canonicalize().unwrap());
    }

    #[test]
    fn symlinks_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        addon(root.path(), "a", "");
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("a/passwd")).unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("a/etc")).unwrap();
        let read = Folder::open(root.path()).unwrap().read(&"a".parse().unwrap()).unwrap();
        assert_eq!(read.files().count(), 2);
    }

    #[test]
    fn missing_folder_and_addon_are_named() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(Folder::open(root.path()), Err(AddonsError::NoAddon(_))));
        assert!(matches!(Folder::open(&root.path().join("nope")), Err(AddonsError::Folder(..))));
        addon(root.path(), "a", "");
        let error = Folder::open(root.path()).unwrap().read(&"zzz".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("zzz") && error.to_string().contains("there is: a"), "{error}");
    }
}
