//! Taking back a patch that was written: every file as it was before, unless somebody has changed one since.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::apply::{is_behind_symlink, sibling_name};
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

/// State of a file, beside the two that the patch knows.
#[derive(PartialEq)]
enum State {
    Patched,
    Original,
}

/// Brings the files of a patch below `root` back to what they were. All of them are looked at before the first is written; one that already
/// is as it was counts as done. `backups` are the copies that [`super::apply()`] made.
pub fn roll_back(root: &Path, patch: &Patch, backups: &[PathBuf]) -> Result<RolledBack, RollbackError> {
    let mut patched = Vec::new();
    for change in patch.changes() {
        if state(root, change)? == State::Patched {
            patched.push(change);
        }
    }
    for change in patched {
        restore(root, change, backups).map_err(|error| RollbackError::Io(change.path.clone(), error))?;
    }
    let paths = |existed: bool| patch.changes().iter().filter(move |change| change.before.is_some() == existed);
    let named = |existed| paths(existed).map(|change| change.path.clone()).collect();
    Ok(RolledBack { restored: named(true), removed: named(false) })
}

fn state(root: &Path, change: &FileChange) -> Result<State, RollbackError> {
    if is_behind_symlink(root, &change.path) {
        return Err(RollbackError::Symlink(change.path.clone()));
    }
    let now = match std::fs::read(root.join(change.path.as_str())) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(RollbackError::Io(change.path.clone(), error)),
    };
    if now.as_deref() == Some(change.after.as_bytes()) {
        Ok(State::Patched)
    } else if now.as_deref() == change.before.as_deref().map(str::as_bytes) {
        Ok(State::Original)
    } else {
        Err(RollbackError::Changed(change.path.clone()))
    }
}

/// Restores one file by rename. The backup itself goes back where it is what it should be; else the text that the run kept.
fn restore(root: &Path, change: &FileChange, backups: &[PathBuf]) -> std::io::Result<()> {
    let path = root.join(change.path.as_str());
    let Some(before) = &change.before else {
        std::fs::remove_file(&path)?;
        remove_empty_folders(root, change);
        return Ok(());
    };
    let is_backup = |backup: &&PathBuf| {
        let suffix = backup.file_name().and_then(|name| name.to_str()?.strip_prefix(&sibling_name(&path, ".bak")));
        let numbered = suffix.is_some_and(|suffix| suffix.is_empty() || suffix.strip_prefix('.').is_some_and(is_number));
        let is_file = backup.symlink_metadata().is_ok_and(|meta| meta.is_file());
        numbered && is_file && backup.parent() == path.parent() && std::fs::read(backup).is_ok_and(|bytes| bytes == before.as_bytes())
    };
    if let Some(backup) = backups.iter().find(is_backup) {
        return std::fs::rename(backup, &path);
    }
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(root))?;
    file.write_all(before.as_bytes())?;
    file.as_file().set_permissions(std::fs::metadata(&path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Removes the folders inside the addon that the patch had created for a file. One with anything in it stays.
fn remove_empty_folders(root: &Path, change: &FileChange) {
    let module = root.join(change.path.module());
    let path = root.join(change.path.as_str());
    let inside = path.ancestors().skip(1).take_while(|folder| *folder != module && folder.starts_with(&module));
    for folder in inside {
        if std::fs::remove_dir(folder).is_err() {
            return;
        }
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
