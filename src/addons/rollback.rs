//! Taking back a patch that was written: every file as it was before, unless somebody has changed one since.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::attributes::{Attributes, NotKept};
use super::beneath::{self, Directory, Identity};
use crate::domain::{FileChange, Patch, RelPath};

/// Why a patch was not taken back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// Somebody has changed the file since; nothing was taken back.
    #[error("{0} was changed after the fix was applied; nothing was rolled back: take the fix back by hand, the backup is beside the file")]
    Changed(RelPath),
    /// A part of the path is a symlink, so the write could end elsewhere; nothing was taken back.
    #[error("{0} is, or lies behind, a symbolic link; nothing was rolled back: a file is never written through one")]
    Symlink(RelPath),
    /// The file could not have its owner, group, mode or access list; nothing was taken back.
    #[error("{0} was not restored: {1}; nothing was rolled back: run odoo-agent as root or as the owner of the addons folder")]
    Attributes(RelPath, String),
    /// The file system said no; the files before this one may be restored. A second try goes on from there.
    #[error("{0} could not be restored: {1}; put that right and run the rollback again")]
    Io(RelPath, std::io::Error),
}

/// Files that a rollback brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    /// The files that are as they were before the patch.
    pub restored: Vec<RelPath>,
    /// The files that the patch had created, and that are gone.
    pub removed: Vec<RelPath>,
}

impl RollbackError {
    fn of_io(path: &RelPath, error: std::io::Error) -> Self {
        match error.kind() {
            _ if beneath::is_link(&error) => Self::Symlink(path.clone()),
            // Another sort of file stands there now.
            ErrorKind::InvalidInput => Self::Changed(path.clone()),
            _ => Self::Io(path.clone(), error),
        }
    }
}

/// Brings the files of a patch below `root` back to what they were. All of them are looked at before the first is written; one that already
/// is as it was counts as done. `backups` are the copies that [`super::apply()`] made.
pub fn roll_back(root: &Path, patch: &Patch, backups: &[PathBuf]) -> Result<RolledBack, RollbackError> {
    if let Some(first) = patch.changes().first() {
        let directory = Directory::open(root).map_err(|error| RollbackError::Io(first.path.clone(), error))?;
        restore(&directory, root, patch, backups)?;
    }
    let paths = |existed: bool| patch.changes().iter().filter(move |change| change.before.is_some() == existed);
    let named = |existed| paths(existed).map(|change| change.path.clone()).collect();
    Ok(RolledBack { restored: named(true), removed: named(false) })
}

/// A file that says what the patch made of it.
struct Patched<'a> {
    change: &'a FileChange,
    folder: Directory,
    identity: Identity,
    attributes: Attributes,
}

/// The new file that takes the place of a patched one.
enum Original {
    /// The backup, whose name this is.
    Backup(OsString),
    /// The text that the run kept, written beside the file.
    Written(OsString, Identity),
    /// Nothing: the patch had made the file.
    Nothing,
}

fn restore(directory: &Directory, root: &Path, patch: &Patch, backups: &[PathBuf]) -> Result<(), RollbackError> {
    let mut patched = Vec::new();
    for change in patch.changes() {
        patched.extend(patched_file(directory, change)?);
    }
    let mut originals = Vec::new();
    for file in &patched {
        match original(file, root, backups) {
            Ok(original) => originals.push(original),
            Err(error) => {
                discard(patched.iter().zip(&originals));
                return Err(match error {
                    NotKept::Attributes(why) => RollbackError::Attributes(file.change.path.clone(), why),
                    NotKept::Io(error) => RollbackError::of_io(&file.change.path, error),
                });
            }
        }
    }
    for (at, (file, original)) in patched.iter().zip(&originals).enumerate() {
        if let Err(error) = put_back(directory, file, original) {
            discard(patched.iter().zip(&originals).skip(at));
            return Err(error);
        }
    }
    Ok(())
}

/// Removes what was written for nothing.
fn discard<'a>(files: impl Iterator<Item = (&'a Patched<'a>, &'a Original)>) {
    for (file, original) in files {
        if let Original::Written(name, identity) = original {
            file.folder.remove_if(name, *identity);
        }
    }
}

/// The file as the patch made it; nothing if it is as it was before. Fails if it is neither.
fn patched_file<'a>(root: &Directory, change: &'a FileChange) -> Result<Option<Patched<'a>>, RollbackError> {
    let failed = |error| RollbackError::of_io(&change.path, error);
    let changed = || RollbackError::Changed(change.path.clone());
    let (folder, name) = beneath::parts(&change.path);
    let folder = match root.folder(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound && change.before.is_none() => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let Some(mut file) = folder.file(name).map_err(failed)? else {
        return if change.before.is_none() { Ok(None) } else { Err(changed()) };
    };
    let longest = change.after.len().max(change.before.as_ref().map_or(0, String::len)) as u64;
    if file.len() > longest {
        return Err(changed());
    }
    let bytes = file.read(longest).map_err(failed)?;
    if bytes == change.after.as_bytes() {
        let (identity, attributes) = (file.identity(), file.attributes().map_err(failed)?);
        Ok(Some(Patched { change, folder, identity, attributes }))
    } else if change.before.as_deref().map(str::as_bytes) == Some(&bytes) {
        Ok(None)
    } else {
        Err(changed())
    }
}

/// The backup itself goes back where it is what it should be, with its owner, mode and times; else the text that the run kept.
fn original(file: &Patched<'_>, root: &Path, backups: &[PathBuf]) -> Result<Original, NotKept> {
    let Some(before) = &file.change.before else { return Ok(Original::Nothing) };
    let (folder, name) = beneath::parts(&file.change.path);
    let beside = root.join(folder);
    let named = |backup: &&PathBuf| {
        let suffix = backup.file_name().and_then(|found| found.to_str()?.strip_prefix(name)?.strip_prefix(".bak"));
        let numbered = suffix.is_some_and(|suffix| suffix.is_empty() || suffix.strip_prefix('.').is_some_and(is_number));
        numbered && backup.parent() == Some(&beside)
    };
    for backup in backups.iter().filter(named).filter_map(|backup| backup.file_name()) {
        let opened = file.folder.file(backup).ok().flatten();
        if opened.is_some_and(|mut opened| opened.holds(before.as_bytes()).unwrap_or(false)) {
            return Ok(Original::Backup(backup.to_owned()));
        }
    }
    let (name, identity) = file.folder.write_temporary(before.as_bytes(), &file.attributes.as_of_now())?;
    Ok(Original::Written(name, identity))
}

fn put_back(root: &Directory, file: &Patched<'_>, original: &Original) -> Result<(), RollbackError> {
    let path = &file.change.path;
    let name = OsStr::new(beneath::parts(path).1);
    let failed = |error| RollbackError::Io(path.clone(), error);
    if file.folder.identity_of(name).map_err(failed)? != Some(file.identity) {
        return Err(RollbackError::Changed(path.clone()));
    }
    match original {
        Original::Backup(from) | Original::Written(from, _) => file.folder.rename(from, name, true).map_err(failed)?,
        Original::Nothing => {
            file.folder.remove(name).map_err(failed)?;
            remove_empty_folders(root, path);
        }
    }
    file.folder.sync().map_err(failed)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Removes the folders inside the addon that the patch had created for a file. One with anything in it stays.
fn remove_empty_folders(root: &Directory, path: &RelPath) {
    let (mut folder, _) = beneath::parts(path);
    while let Some((above, name)) = folder.rsplit_once('/') {
        let Ok(parent) = root.folder(above) else { return };
        if parent.remove_folder(OsStr::new(name)).is_err() {
            return;
        }
        folder = above;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addons::apply;
    use crate::domain::{Applicability, Evidence, Grade, ProvenPatch};

    struct Applied {
        root: tempfile::TempDir,
        patch: Patch,
        backups: Vec<PathBuf>,
    }

    impl Applied {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir(root.path().join("m")).unwrap();
            std::fs::write(root.path().join("m/a"), "old").unwrap();
            let change = |path: &str, before: Option<&str>, after: &str| FileChange {
                path: path.parse().unwrap(),
                before: before.map(str::to_owned),
                after: after.to_owned(),
            };
            let patch = Patch::new(vec![change("m/a", Some("old"), "new"), change("m/security/b.csv", None, "x")]).unwrap();
            let evidence = Evidence { grade: Grade::Proven, applicability: Applicability::Safe, ..Evidence::default() };
            let backups = apply(root.path(), &ProvenPatch::new(patch.clone(), evidence).unwrap()).unwrap().backups;
            Self { root, patch, backups }
        }

        fn roll_back(&self) -> Result<RolledBack, RollbackError> {
            roll_back(self.root.path(), &self.patch, &self.backups)
        }

        fn write(&self, file: &str, text: &str) {
            std::fs::write(self.root.path().join(file), text).unwrap();
        }

        fn read(&self, file: &str) -> String {
            std::fs::read_to_string(self.root.path().join(file)).unwrap()
        }
    }

    #[test]
    fn files_are_as_they_were_before() {
        let applied = Applied::new();
        let done = applied.roll_back().unwrap();
        assert_eq!((done.restored, done.removed), (vec!["m/a".parse().unwrap()], vec!["m/security/b.csv".parse().unwrap()]));
        assert_eq!(applied.read("m/a"), "old");
        let left: Vec<_> = std::fs::read_dir(applied.root.path().join("m")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["a"], "the backup went back, and the created file and its folder are gone");
        applied.roll_back().expect("a second time there is nothing to do");
    }

    #[test]
    fn file_that_was_changed_since_stops_all() {
        let applied = Applied::new();
        applied.write("m/security/b.csv", "edited");
        assert!(matches!(applied.roll_back(), Err(RollbackError::Changed(path)) if path.as_str() == "m/security/b.csv"));
        assert_eq!((applied.read("m/a").as_str(), applied.read("m/a.bak").as_str()), ("new", "old"));
    }

    #[test]
    fn backup_that_is_not_what_it_was_is_not_used() {
        let applied = Applied::new();
        applied.write("m/a.bak", "tampered with");
        applied.roll_back().unwrap();
        assert_eq!((applied.read("m/a").as_str(), applied.read("m/a.bak").as_str()), ("old", "tampered with"));
    }

    #[test]
    fn symlink_is_never_written_through() {
        let applied = Applied::new();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("a"), "new").unwrap();
        std::fs::remove_file(applied.root.path().join("m/a")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("a"), applied.root.path().join("m/a")).unwrap();
        assert!(matches!(applied.roll_back(), Err(RollbackError::Symlink(_))));
        assert_eq!(std::fs::read_to_string(outside.path().join("a")).unwrap(), "new");
    }
}
