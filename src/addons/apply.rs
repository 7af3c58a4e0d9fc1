//! Writing a patch that is proven or approved: every file with a backup, all of them or none.
//!
//! Everything is prepared before the first file is replaced: the new folders, the backups and the new contents stand beside their targets with
//! the owner, mode and access list that they must have. What follows is one rename a file, by descriptor.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::attributes::{Attributes, NotKept};
use super::beneath::{self, Directory, Identity};
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
    /// The file could not have the owner, group, mode or access list that it must have.
    #[error("{0} was not written: {1}; run odoo-agent as root or as the owner of the addons folder")]
    Attributes(RelPath, String),
    /// Somebody put another folder in the place of the file's while it was written.
    #[error(
        "the folder of {0} was exchanged while the patch was written; nothing was applied: see who else writes there, then run the job again"
    )]
    Exchanged(RelPath),
    /// The file system said no.
    #[error("{0} could not be written: {1}")]
    Io(RelPath, std::io::Error),
}

impl ApplyError {
    /// Whether trying again cannot help: nobody but a person changes rights.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Io(_, error) => matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem),
            Self::Changed(_) | Self::Elsewhere(_) | Self::Unreadable(_) | Self::Symlink(_) | Self::Attributes(..) | Self::Exchanged(_) => {
                true
            }
        }
    }

    /// Whether the sources are not those of the proof any more, so that it proves nothing here.
    pub fn is_of_other_sources(&self) -> bool {
        matches!(self, Self::Changed(_) | Self::Elsewhere(_) | Self::Unreadable(_))
    }

    fn of_io(path: &RelPath, error: std::io::Error) -> Self {
        if beneath::is_link(&error) { Self::Symlink(path.clone()) } else { Self::Io(path.clone(), error) }
    }

    fn not_kept(path: &RelPath, error: NotKept) -> Self {
        match error {
            NotKept::Attributes(why) => Self::Attributes(path.clone(), why),
            NotKept::Io(error) => Self::of_io(path, error),
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

/// Writes the patch below `root`, each old file kept beside the new one as `NAME.bak` (`.bak.1`, … if that exists). Owner, group, mode and access
/// list stay as they are; what is new has the owner and group of its folder and a mode like what stands beside it.
/// Writing what is already there is no error, so that a second try after a crash ends well.
pub fn apply(root: &Path, proven: &impl WritablePatch) -> Result<Applied, ApplyError> {
    let changes = proven.patch().changes();
    let Some(first) = changes.first() else { return Ok(Applied { files: Vec::new(), backups: Vec::new() }) };
    let directory = Directory::open(root).map_err(|error| ApplyError::Io(first.path.clone(), error))?;
    let mut pending = Vec::new();
    for change in changes {
        if let Some(old) = pending_change(&directory, change)? {
            pending.push((change, old));
        }
    }
    let mut writing = Writing::new(directory);
    for (change, old) in pending {
        writing.prepare(change, old)?;
    }
    let backups = writing.commit()?;
    Ok(Applied {
        files: changes.iter().map(|change| change.path.clone()).collect(),
        backups: backups.into_iter().map(|path| root.join(path)).collect(),
    })
}

/// The file that a change replaces, as it was found.
struct Old {
    identity: Identity,
    attributes: Attributes,
}

/// What a change has to replace (nothing for a new file), or `None` if the file already is as it should be. Fails if it is neither that nor what
/// the proof was made with.
fn pending_change(root: &Directory, change: &FileChange) -> Result<Option<Option<Old>>, ApplyError> {
    let failed = |error: std::io::Error| match error.kind() {
        // Another sort of file is not what the proof was made with.
        ErrorKind::InvalidInput => ApplyError::Changed(change.path.clone()),
        _ => ApplyError::of_io(&change.path, error),
    };
    let Some(mut file) = root.file(change.path.as_str()).map_err(failed)? else {
        return if change.before.is_none() { Ok(Some(None)) } else { Err(ApplyError::Changed(change.path.clone())) };
    };
    let longest = change.after.len().max(change.before.as_ref().map_or(0, String::len)) as u64;
    if file.len() > longest {
        return Err(ApplyError::Changed(change.path.clone()));
    }
    let bytes = file.read(longest).map_err(failed)?;
    if bytes == change.after.as_bytes() {
        Ok(None)
    } else if change.before.as_deref().map(str::as_bytes) == Some(&bytes) {
        let attributes = file.attributes().map_err(failed)?;
        Ok(Some(Some(Old { identity: file.identity(), attributes })))
    } else {
        Err(ApplyError::Changed(change.path.clone()))
    }
}

/// A change whose content stands beside its target.
struct Prepared<'a> {
    change: &'a FileChange,
    folder: Directory,
    old: Option<Identity>,
    /// Name of the backup, and which file it is.
    backup: Option<(OsString, Identity)>,
    temporary: OsString,
    written: Identity,
    renamed: bool,
}

impl Prepared<'_> {
    fn name(&self) -> &OsStr {
        OsStr::new(beneath::parts(&self.change.path).1)
    }

    fn failed(&self, error: std::io::Error) -> ApplyError {
        ApplyError::of_io(&self.change.path, error)
    }

    /// Puts the new content in the place of the old, unless somebody was faster.
    fn rename(&mut self, root: &Directory) -> Result<(), ApplyError> {
        let changed = || ApplyError::Changed(self.change.path.clone());
        if let Some(old) = self.old {
            let now = self.folder.file(self.name()).map_err(|error| self.failed(error))?;
            let mut now = now.filter(|now| now.identity() == old).ok_or_else(changed)?;
            let before = self.change.before.as_deref().unwrap_or_default().as_bytes();
            if !now.holds(before).map_err(|error| self.failed(error))? {
                return Err(changed());
            }
        }
        let renamed = self.folder.rename(&self.temporary, self.name(), self.old.is_some());
        renamed.map_err(|error| if error.kind() == ErrorKind::AlreadyExists { changed() } else { self.failed(error) })?;
        self.renamed = true;
        self.folder.sync().map_err(|error| self.failed(error))?;
        // What was written is where the patch says, not where the folder has gone meanwhile.
        let exchanged = || ApplyError::Exchanged(self.change.path.clone());
        let there = root.folder(beneath::parts(&self.change.path).0).and_then(|folder| folder.identity()).map_err(|_| exchanged())?;
        let here = self.folder.identity().map_err(|error| self.failed(error))?;
        let file = self.folder.identity_of(self.name()).map_err(|error| self.failed(error))?;
        if there == here && file == Some(self.written) { Ok(()) } else { Err(exchanged()) }
    }

    /// Best effort: the file goes back to what it was, and nothing of ours stays.
    fn undo(&self) {
        let undone = match (&self.backup, self.renamed) {
            (Some((backup, _)), true) => self.folder.rename(backup, self.name(), true),
            (Some((backup, identity)), false) => {
                self.folder.remove_if(backup, *identity);
                Ok(())
            }
            (None, true) => {
                self.folder.remove_if(self.name(), self.written);
                Ok(())
            }
            (None, false) => Ok(()),
        };
        if !self.renamed {
            self.folder.remove_if(&self.temporary, self.written);
        }
        if let Err(error) = undone {
            let file = &self.change.path;
            tracing::error!(%file, %error, "a half-applied patch could not be taken back; its backup stands beside it");
        }
    }
}

/// A patch on its way to disk. Unless it is committed, everything is taken back when it is dropped.
struct Writing<'a> {
    root: Directory,
    /// The folders that were made, the outermost first: where, and their name.
    made: Vec<(Directory, OsString)>,
    prepared: Vec<Prepared<'a>>,
    committed: bool,
}

impl<'a> Writing<'a> {
    fn new(root: Directory) -> Self {
        Self { root, made: Vec::new(), prepared: Vec::new(), committed: false }
    }

    /// Writes everything that a change needs, under names that nobody reads.
    fn prepare(&mut self, change: &'a FileChange, old: Option<Old>) -> Result<(), ApplyError> {
        let not_kept = |error: NotKept| ApplyError::not_kept(&change.path, error);
        let (path, name) = beneath::parts(&change.path);
        let neighbours = self.mode_of_neighbours(path, name).map_err(|error| ApplyError::of_io(&change.path, error))?;
        let folder = self.root.make_folders(path, &mut self.made).map_err(not_kept)?;
        let attributes = match &old {
            Some(old) => old.attributes.as_of_now(),
            None => Attributes::of_new_file(folder.as_fd(), neighbours).map_err(|error| not_kept(error.into()))?,
        };
        let (temporary, written) = folder.write_temporary(change.after.as_bytes(), &attributes).map_err(not_kept)?;
        let prepared =
            Prepared { change, folder, old: old.as_ref().map(|old| old.identity), backup: None, temporary, written, renamed: false };
        self.prepared.push(prepared);
        if let (Some(old), Some(before), Some(prepared)) = (old, &change.before, self.prepared.last_mut()) {
            let backup = back_up(&prepared.folder, name, before.as_bytes(), &old.attributes).map_err(not_kept)?;
            prepared.backup = Some(backup);
        }
        Ok(())
    }

    /// Returns the mode of what stands beside a new file, or in the nearest folder above that holds files.
    fn mode_of_neighbours(&self, path: &str, name: &str) -> std::io::Result<Option<u32>> {
        let mut path = path;
        loop {
            match self.root.folder(path) {
                Ok(folder) => {
                    if let Some(mode) = folder.mode_of_neighbours(name)? {
                        return Ok(Some(mode));
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            match path.rsplit_once('/') {
                Some((above, _)) => path = above,
                // What stands beside addons is no neighbour of what is in one.
                None => return Ok(None),
            }
        }
    }

    /// Renames everything into its place and returns the paths of the backups below the root.
    fn commit(mut self) -> Result<Vec<PathBuf>, ApplyError> {
        for prepared in &mut self.prepared {
            prepared.rename(&self.root)?;
        }
        self.committed = true;
        let backup = |prepared: &Prepared<'_>| {
            let (name, _) = prepared.backup.as_ref()?;
            Some(Path::new(beneath::parts(&prepared.change.path).0).join(name))
        };
        Ok(self.prepared.iter().filter_map(backup).collect())
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        for prepared in self.prepared.iter().rev() {
            prepared.undo();
        }
        for (above, name) in self.made.iter().rev() {
            // One in which somebody has put something stays.
            let _ = above.remove_folder(name);
        }
    }
}

/// Writes the old content to the first name beside the file that is free. Made anew or not at all: a name may be a symlink that leads nowhere
/// yet, and writing through it would write somewhere else.
fn back_up(folder: &Directory, name: &str, before: &[u8], attributes: &Attributes) -> Result<(OsString, Identity), NotKept> {
    for suffix in std::iter::once(".bak".to_owned()).chain((1..MAX_BACKUPS).map(|n| format!(".bak.{n}"))) {
        let name = OsString::from(format!("{name}{suffix}"));
        match folder.write_new(&name, before, attributes) {
            Err(NotKept::Io(error)) if error.kind() == ErrorKind::AlreadyExists => {}
            written => return written.map(|identity| (name, identity)),
        }
    }
    let full = format!("{MAX_BACKUPS} backups of it are there already; remove some");
    Err(std::io::Error::new(ErrorKind::AlreadyExists, full).into())
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

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
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
        let patch = proven(&[("m/a", Some("old"), "new"), ("m/c/b", None, "x")]);
        // The last rename fails: somebody made the new file meanwhile.
        let directory = Directory::open(root.path()).unwrap();
        let mut writing = Writing::new(Directory::open(root.path()).unwrap());
        for change in patch.patch().changes() {
            writing.prepare(change, pending_change(&directory, change).unwrap().unwrap()).unwrap();
        }
        std::fs::write(root.path().join("m/c/b"), "somebody's").unwrap();
        assert!(matches!(writing.commit(), Err(ApplyError::Changed(_))));
        assert_eq!(std::fs::read_to_string(root.path().join("m/a")).unwrap(), "old");
        assert_eq!(names(&root.path().join("m")), ["a", "c"], "no backup and no new file is left");
        assert_eq!(names(&root.path().join("m/c")), ["b"], "what is somebody's stays");
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
