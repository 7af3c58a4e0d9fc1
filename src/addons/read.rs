//! Reading addons: which there are, and one with what it depends on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::beneath::{self, Directory};
use crate::domain::{ModuleName, RelPath};
use crate::odoo::Addon;

/// The largest file that is read; a larger one is left out (no source file of an addon is as large).
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// The most bytes that one addon may have, and one together with all that it depends on.
pub(super) const MAX_ADDON: u64 = 96 * 1024 * 1024;
/// The most files that one addon may have.
const MAX_FILES: usize = 20_000;

/// What Odoo loads: leaving one of these out would show an error that the addon does not have, and have it "mended".
const LOADED: [&str; 5] = ["py", "xml", "csv", "sql", "json"];

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
    /// A file that counts cannot be had, so a test would be one of something else.
    #[error("{0} cannot be tested with its addon: {1}")]
    LeftOut(PathBuf, String),
    /// The addon is larger than an addon may be.
    #[error("the addon {0} is too large, alone or with what it depends on: at most {MAX_FILES} files and {MAX_ADDON} bytes")]
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

    /// One addon of a folder that was opened before.
    pub(super) fn of_one(root: &Path, module: &ModuleName) -> Self {
        Self { root: root.to_owned(), only: Some(module.clone()) }
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
            // Neither may be a symlink: it could lead to where this folder's owner must not read.
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter(|entry| entry.path().join("__manifest__.py").symlink_metadata().is_ok_and(|meta| meta.is_file()))
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
        let directory = Directory::open(&self.root).map_err(|error| AddonsError::Folder(self.root.clone(), error))?;
        let mut files = Vec::new();
        let mut bytes = 0;
        let walk = WalkDir::new(self.root.join(module.as_str())).follow_links(false).follow_root_links(false);
        for entry in walk.into_iter().filter_entry(|e| wanted(e.path())) {
            let entry = entry.map_err(|error| {
                AddonsError::LeftOut(error.path().unwrap_or(&self.root).to_owned(), "it cannot be read; check its rights".to_owned())
            })?;
            let within = entry.path().strip_prefix(&self.root).unwrap_or(entry.path());
            match content(&directory, within, &entry) {
                Ok(Some(content)) => {
                    let path = within.to_str().and_then(|path| path.parse::<RelPath>().ok());
                    bytes += content.len() as u64;
                    files.extend(path.map(|path| (path, content)));
                }
                Ok(None) => {}
                Err(why) if counts(within, &entry) => return Err(AddonsError::LeftOut(within.to_owned(), why)),
                Err(_) => {}
            }
            if bytes > MAX_ADDON || files.len() > MAX_FILES {
                return Err(AddonsError::TooLarge(module.clone()));
            }
        }
        Ok(Addon::new(module.clone(), files))
    }
}

/// The bytes of a file; nothing for a folder; or why it is left out. It is opened beneath the folder: what was a file when it was listed may be
/// a link by now.
fn content(directory: &Directory, within: &Path, entry: &DirEntry) -> Result<Option<Vec<u8>>, String> {
    if entry.file_type().is_dir() {
        return Ok(None);
    }
    let no_file = || "it is a symbolic link or no regular file, and none is followed".to_owned();
    if !entry.file_type().is_file() {
        return Err(no_file());
    }
    match directory.file(within).and_then(|file| file.map(|mut file| file.read(MAX_FILE)).transpose()) {
        Ok(Some(content)) => Ok(Some(content)),
        Ok(None) => Err("it was removed while the addon was read".to_owned()),
        Err(error) if beneath::is_link(&error) => Err(no_file()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether Odoo would load it: a source file outside `static`, or a link there to what may be a folder of them.
fn counts(within: &Path, entry: &DirEntry) -> bool {
    let parts = || within.components().filter_map(|part| part.as_os_str().to_str());
    let extension = within.extension().and_then(|extension| extension.to_str());
    let loaded = extension.map_or(entry.path_is_symlink(), |extension| LOADED.contains(&extension));
    loaded && parts().nth(1) != Some("static")
}

fn wanted(path: &Path) -> bool {
    !matches!(path.file_name().and_then(|name| name.to_str()), Some(".git" | "__pycache__" | "node_modules"))
}

/// The addon and every addon it depends on that lies in one of the folders; the addon itself first, from the first folder.
pub fn closure(folders: &[Folder], module: &ModuleName) -> Result<Vec<Addon>, AddonsError> {
    let Some(first) = folders.first() else { return Ok(Vec::new()) };
    let mut found = vec![first.read(module)?];
    complete(folders, &mut found, 0, MAX_ADDON)?;
    Ok(found)
}

/// Every addon of the folders that is not among these, the first folder's where several have the name; as many as hold no more than `most`
/// bytes together, and whether those are all. What cannot be read is left out.
pub fn others(folders: &[Folder], but: &[Addon], most: u64) -> Result<(Vec<Addon>, bool), AddonsError> {
    let mut seen: BTreeSet<ModuleName> = but.iter().map(|addon| addon.name().clone()).collect();
    let (mut found, mut bytes) = (Vec::new(), 0);
    for folder in folders {
        for name in folder.names()? {
            if !seen.insert(name.clone()) {
                continue;
            }
            let Ok(addon) = folder.read(&name) else { continue };
            bytes += size(&addon);
            if bytes > most {
                return Ok((found, false));
            }
            found.push(addon);
        }
    }
    Ok((found, true))
}

fn size(addon: &Addon) -> u64 {
    addon.files().map(|(_, content)| content.len() as u64).sum()
}

/// Adds every addon of the folders that those from place `next` on depend on and that is not there yet. Fails where all together hold
/// more than `most` bytes; what was added until then is left to the caller.
pub(super) fn complete(folders: &[Folder], found: &mut Vec<Addon>, mut next: usize, most: u64) -> Result<(), AddonsError> {
    let mut seen: BTreeSet<ModuleName> = found.iter().map(|addon| addon.name().clone()).collect();
    let mut bytes: u64 = found.iter().map(size).sum();
    while let Some(addon) = found.get(next) {
        if bytes > most {
            return Err(AddonsError::TooLarge(addon.name().clone()));
        }
        next += 1;
        let Some(manifest) = addon.manifest() else { continue };
        for name in manifest.texts("depends") {
            let Ok(name) = name.parse::<ModuleName>() else { continue };
            if !seen.insert(name.clone()) {
                continue;
            }
            for folder in folders {
                if folder.names()?.contains(&name) {
                    let addon = folder.read(&name)?;
                    bytes += size(&addon);
                    // Not only when its turn comes: a long list of large ones would be read until then.
                    if bytes > most {
                        return Err(AddonsError::TooLarge(name));
                    }
                    found.push(addon);
                    break;
                }
            }
        }
    }
    Ok(())
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
    fn others_are_what_is_not_depended_on() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        addon(one.path(), "a", "'b'");
        addon(one.path(), "b", "");
        addon(one.path(), "c", "");
        addon(two.path(), "c", "'elsewhere'");
        addon(two.path(), "d", "");
        let folders = [Folder::open(one.path()).unwrap(), Folder::open(two.path()).unwrap()];
        let known = closure(&folders, &"a".parse().unwrap()).unwrap();
        let (found, all) = others(&folders, &known, MAX_ADDON).unwrap();
        assert_eq!(found.iter().map(|addon| addon.name().as_str()).collect::<Vec<_>>(), ["c", "d"]);
        assert!(all && found[0].manifest().unwrap().texts("depends").is_empty());
        let (found, all) = others(&folders, &known, 1).unwrap();
        assert!(found.is_empty() && !all);
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
        std::fs::create_dir(root.path().join("a/static")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("a/passwd.txt")).unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("a/static/etc")).unwrap();
        let read = || Folder::open(root.path()).unwrap().read(&"a".parse().unwrap());
        assert_eq!(read().unwrap().files().count(), 2);
        let (outside, link) = (tempfile::tempdir().unwrap(), root.path().join("linked"));
        addon(outside.path(), "secret", "");
        std::os::unix::fs::symlink(outside.path().join("secret"), link).unwrap();
        assert!(!Folder::open(root.path()).unwrap().names().unwrap().contains(&"linked".parse().unwrap()));
    }

    #[test]
    fn source_that_cannot_be_had_is_no_missing_file() {
        for link in ["a/views", "a/v.xml"] {
            let root = tempfile::tempdir().unwrap();
            addon(root.path(), "a", "");
            std::os::unix::fs::symlink("/etc/passwd", root.path().join(link)).unwrap();
            let error = Folder::open(root.path()).unwrap().read(&"a".parse().unwrap()).unwrap_err();
            assert!(matches!(error, AddonsError::LeftOut(..)) && error.to_string().contains(link), "{error}");
        }
        let root = tempfile::tempdir().unwrap();
        addon(root.path(), "a", "");
        let large = vec![b'x'; usize::try_from(MAX_FILE).unwrap() + 1];
        std::fs::write(root.path().join("a/film.mp4"), &large).unwrap();
        assert!(Folder::open(root.path()).unwrap().read(&"a".parse().unwrap()).is_ok());
        std::fs::write(root.path().join("a/data.xml"), &large).unwrap();
        assert!(Folder::open(root.path()).unwrap().read(&"a".parse().unwrap()).is_err());
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
