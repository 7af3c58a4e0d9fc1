//! Writing a patch that is proven or approved: every file with a backup, all of them or none.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{AddonsError, Folder};
use crate::domain::{FileChange, Patch, RelPath, WritablePatch};
use crate::odoo::Addon;

/// The most backups of one file.
const MAX_BACKUPS: u32 = 1000;

/// Why a patch was not written. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file is not what the proof was made with.
    #[error("{0} has changed since the fix was proven; run the job again")]
    Changed(RelPath),
    /// Another file of the addon is not what the proof was made with, so the sum of both is proven by nobody.
    #[error("other files of {0} have changed since the fix was proven; run the job again")]
    Elsewhere(String),
    /// The sources cannot be read again.
    #[error(transparent)]
    Unreadable(#[from] AddonsError),
    /// A part of the path is a symlink, so the write could end elsewhere.
    #[error("{0} is, or lies behind, a symbolic link; a patch is never written through one")]
    Symlink(RelPath),
    /// The file system said no.
    #[error("{0} could not be written: {1}")]
    Io(RelPath, std::io::Error),
}

impl ApplyError {
    /// Whether trying again cannot help: nobody but a person changes rights.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Io(_, error) => matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem),
            Self::Changed(_) | Self::Elsewhere(_) | Self::Unreadable(_) | Self::Symlink(_) => true,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The files that were changed.
    pub files: Vec<RelPath>,
    /// Their backups, for those that existed; paths on disk.
    pub backups: Vec<PathBuf>,
}

/// What identifies the sources that a patch was proven on, besides the files that it changes. Backups and hidden files do not count: the
/// first are ours, and Odoo reads neither.
pub fn tested(addon: &Addon, patch: &Patch) -> String {
    let mut hasher = blake3::Hasher::new();
    for (path, bytes) in addon.files() {
        let name = path.as_str().rsplit('/').next().unwrap_or_default();
        let ours = patch.changes().iter().any(|change| change.path == *path);
        if ours || name.starts_with('.') || name.contains(".bak") {
            continue;
        }
        hasher.update(format!("{path}\0{}\0", bytes.len()).as_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().to_hex().to_string()
}

/// Fails if the addon below `root` is not the one that the patch was proven on.
pub fn check_tested(root: &Path, proven: &impl WritablePatch, expected: &str) -> Result<(), ApplyError> {
    let modules: BTreeSet<&str> = proven.patch().changes().iter().map(|change| change.path.module()).collect();
    for name in modules {
        let changed = || ApplyError::Elsewhere(name.to_owned());
        let module = name.parse().map_err(|_| changed())?;
        if tested(&Folder::of_one(root, &module).read(&module)?, proven.patch()) != expected {
            return Err(changed());
        }
    }
    Ok(())
}

/// Writes the patch below `root`, each old file kept beside the new one as `NAME.bak` (`.bak.1`, … if that exists).
/// Writing what is already there is no error, so that a second try after a crash ends well.
pub fn apply(root: &Path, proven: &impl WritablePatch) -> Result<Applied, ApplyError> {
    let changes = proven.patch().changes();
    let mut pending = Vec::new();
    for change in changes {
        if !is_applied(root, change)? {
            pending.push(change);
        }
    }
    let mut undo: Vec<(&FileChange, Option<PathBuf>)> = Vec::new();
    for change in &pending {
        match write(root, change) {
            Ok(backup) => undo.push((change, backup)),
            Err(error) => {
                undo_writes(root, &undo);
                return Err(ApplyError::Io(change.path.clone(), error));
            }
        }
    }
    Ok(Applied {
        files: changes.iter().map(|change| change.path.clone()).collect(),
        backups: undo.into_iter().filter_map(|(_, backup)| backup).collect(),
    })
}

/// Whether the file, or a folder on the way to it, is a symlink.
pub(super) fn is_behind_symlink(root: &Path, path: &RelPath) -> bool {
    let mut at = root.to_owned();
    path.as_str().split('/').any(|part| {
        at.push(part);
        at.symlink_metadata().is_ok_and(|meta| meta.file_type().is_symlink())
    })
}

/// The name of a file with this behind it.
pub(super) fn sibling_name(path: &Path, suffix: &str) -> String {
    format!("{}{suffix}", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Whether the file already is as it should be; an error if it is neither that nor what the proof was made with.
fn is_applied(root: &Path, change: &FileChange) -> Result<bool, ApplyError> {
    if is_behind_symlink(root, &change.path) {
        return Err(ApplyError::Symlink(change.path.clone()));
    }
    let now = match std::fs::read(root.join(change.path.as_str())) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(ApplyError::Io(change.path.clone(), error)),
    };
    if now.as_deref() == Some(change.after.as_bytes()) {
        Ok(true)
    } else if now.as_deref() == change.before.as_deref().map(str::as_bytes) {
        Ok(false)
    } else {
        Err(ApplyError::Changed(change.path.clone()))
    }
}

/// Writes one file by rename, so that no reader ever sees half of it.
fn write(root: &Path, change: &FileChange) -> std::io::Result<Option<PathBuf>> {
    let path = root.join(change.path.as_str());
    let folder = path.parent().unwrap_or(root);
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(change.after.as_bytes())?;
    let mut backup = None;
    if change.before.is_some() {
        let meta = std::fs::metadata(&path)?;
        file.as_file().set_permissions(meta.permissions())?;
        backup = Some(back_up(&path, &meta)?);
    } else {
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    // A file that somebody made meanwhile is not ours to replace.
    let written = if change.before.is_some() { file.persist(&path) } else { file.persist_noclobber(&path) };
    if let (Err(_), Some(backup)) = (&written, &backup) {
        // Best effort: a backup of what was not changed only confuses.
        let _ = std::fs::remove_file(backup);
    }
    written.map_err(|error| error.error)?;
    Ok(backup)
}

/// Copies a file to the first name beside it that is free. Made anew or not at all: a name may be a symlink that leads nowhere yet, and
/// writing through it would write somewhere else.
fn back_up(path: &Path, meta: &std::fs::Metadata) -> std::io::Result<PathBuf> {
    let named = |suffix: String| path.with_file_name(sibling_name(path, &suffix));
    for name in std::iter::once(".bak".to_owned()).chain((1..MAX_BACKUPS).map(|n| format!(".bak.{n}"))).map(named) {
        match std::fs::OpenOptions::new().write(true).create_new(true).open(&name) {
            Ok(mut kept) => {
                std::io::copy(&mut std::fs::File::open(path)?, &mut kept)?;
                kept.set_permissions(meta.permissions())?;
                kept.sync_all()?;
                return Ok(name);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::new(ErrorKind::AlreadyExists, format!("{MAX_BACKUPS} backups of it are there already; remove some")))
}

/// Best effort: what was written goes back to what it was, in reverse order.
fn undo_writes(root: &Path, undo: &[(&FileChange, Option<PathBuf>)]) {
    for (change, backup) in undo.iter().rev() {
        let path = root.join(change.path.as_str());
        let undone = match backup {
            Some(backup) => std::fs::rename(backup, &path),
            None => std::fs::remove_file(&path),
        };
        if let Err(error) = undone {
            tracing::error!(file = %path.display(), %error, "a half-applied patch could not be taken back; its backup stands beside it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Applicability, Evidence, Grade, Patch, ProvenPatch};

    fn proven(changes: &[(&str, Option<&str>, &str)]) -> ProvenPatch {
        let changes = changes.iter().map(|(path, before, after)| FileChange {
            path: path.parse().unwrap(),
            before: before.map(str::to_owned),
            after: (*after).to_owned(),
        });
        let evidence = Evidence { grade: Grade::Proven, applicability: Applicability::Safe, ..Evidence::default() };
        ProvenPatch::new(Patch::new(changes.collect()).unwrap(), evidence).unwrap()
    }

    #[test]
    fn patch_is_written_with_backups() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("m")).unwrap();
        std::fs::write(root.path().join("m/a"), "old").unwrap();
        let patch = proven(&[("m/a", Some("old"), "new"), ("m/security/b.csv", None, "x")]);
        let applied = apply(root.path(), &patch).unwrap();
        assert_eq!(std::fs::read_to_string(root.path().join("m/a")).unwrap(), "new");
        assert_eq!(std::fs::read_to_string(root.path().join("m/a.bak")).unwrap(), "old");
        assert_eq!(std::fs::read_to_string(root.path().join("m/security/b.csv")).unwrap(), "x");
        assert_eq!(applied.backups.len(), 1);
        assert!(apply(root.path(), &patch).unwrap().backups.is_empty(), "a second time there is nothing to do");
    }

    #[test]
    fn addon_that_changed_elsewhere_is_not_patched() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("m")).unwrap();
        for (file, text) in [("__manifest__.py", "{}"), ("a.py", "old"), ("b.py", "b")] {
            std::fs::write(root.path().join("m").join(file), text).unwrap();
        }
        let module = "m".parse().unwrap();
        let patch = proven(&[("m/a.py", Some("old"), "new")]);
        let before = tested(&Folder::of_one(root.path(), &module).read(&module).unwrap(), patch.patch());
        check_tested(root.path(), &patch, &before).unwrap();
        apply(root.path(), &patch).unwrap();
        check_tested(root.path(), &patch, &before).expect("what we write ourselves, backups included, is no change");
        std::fs::write(root.path().join("m/b.py"), "edited meanwhile").unwrap();
        assert!(matches!(check_tested(root.path(), &patch, &before), Err(ApplyError::Elsewhere(_))));
    }

    #[test]
    fn changed_file_stops_all() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("m")).unwrap();
        std::fs::write(root.path().join("m/a"), "old").unwrap();
        std::fs::write(root.path().join("m/b"), "edited meanwhile").unwrap();
        let patch = proven(&[("m/a", Some("old"), "new"), ("m/b", Some("old"), "new")]);
        assert!(matches!(apply(root.path(), &patch), Err(ApplyError::Changed(_))));
        assert_eq!(std::fs::read_to_string(root.path().join("m/a")).unwrap(), "old");
        assert!(!root.path().join("m/a.bak").exists());
    }

    #[test]
    fn failed_write_is_taken_back() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("m")).unwrap();
        std::fs::write(root.path().join("m/a"), "old").unwrap();
        let patch = proven(&[("m/a", Some("old"), "new"), ("m/b", None, "x")]);
        let undo: Vec<_> = patch.patch().changes().iter().map(|change| (change, write(root.path(), change).unwrap())).collect();
        undo_writes(root.path(), &undo);
        assert_eq!(std::fs::read_to_string(root.path().join("m/a")).unwrap(), "old");
        assert_eq!(std::fs::read_dir(root.path().join("m")).unwrap().count(), 1, "no backup and no new file is left");
    }

    #[test]
    fn backup_is_not_written_through_a_symlink() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(root.path().join("m")).unwrap();
        std::fs::write(root.path().join("m/a"), "old").unwrap();
        std::os::unix::fs::symlink(outside.path().join("planted"), root.path().join("m/a.bak")).unwrap();
        let applied = apply(root.path(), &proven(&[("m/a", Some("old"), "new")])).unwrap();
        assert_eq!(applied.backups, [root.path().join("m/a.bak.1")]);
        assert!(!outside.path().join("planted").exists());
    }

    #[test]
    fn symlink_is_never_written_through() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("a"), "old").unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("m")).unwrap();
        assert!(matches!(apply(root.path(), &proven(&[("m/a", Some("old"), "new")])), Err(ApplyError::Symlink(_))));
        assert_eq!(std::fs::read_to_string(outside.path().join("a")).unwrap(), "old");
    }
}
