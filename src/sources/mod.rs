//! Where trees of sources come from: git repositories and packages of the Python package index, each into a folder of its own. What arrives is
//! hostile until it is read as text: nothing of it is run, and nothing outside its folder is written.

mod git;
mod packages;
mod program;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use git::{Branch, GitUrl, checkout};
pub use packages::{Requirement, download};

use crate::domain::Failure;

/// How far fetching sources may go.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long it may take.
    pub total: Duration,
    /// How many bytes may arrive on the disk.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { total: Duration::from_secs(3600), bytes: 8 * 1024 * 1024 * 1024 }
    }
}

/// Why sources did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// What was asked for is not of a form that is taken.
    #[error("{0}")]
    Refused(String),
    /// A program is missing.
    #[error("{0} is needed and cannot be run: {1}; install it")]
    Missing(&'static str, std::io::Error),
    /// A program failed; what it said.
    #[error("{0} failed: {1}")]
    Failed(&'static str, String),
    /// A bound was reached.
    #[error("{0} was stopped: {1}")]
    Bound(&'static str, String),
    /// The folder cannot be written.
    #[error("the folder {0} cannot be written: {1}")]
    Folder(PathBuf, std::io::Error),
}

impl From<SourcesError> for Failure {
    fn from(error: SourcesError) -> Self {
        match error {
            SourcesError::Refused(_) => Self::bad_input(error.to_string()),
            _ => Self::unavailable(error),
        }
    }
}

/// Puts a folder in the place of another, which is there until then.
fn replace(staged: &Path, target: &Path) -> Result<(), SourcesError> {
    let failed = |error| SourcesError::Folder(target.to_owned(), error);
    let old = target.with_extension("old");
    let _ = std::fs::remove_dir_all(&old);
    match std::fs::rename(target, &old) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    std::fs::rename(staged, target).map_err(failed)?;
    let _ = std::fs::remove_dir_all(&old);
    Ok(())
}

/// A folder beside the target, on the same disk, that goes if it is not used.
fn stage(target: &Path) -> Result<tempfile::TempDir, SourcesError> {
    let parent = target.parent().unwrap_or(Path::new("."));
    let failed = |error| SourcesError::Folder(parent.to_owned(), error);
    std::fs::create_dir_all(parent).map_err(failed)?;
    tempfile::Builder::new().prefix(".arriving-").tempdir_in(parent).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (target, staged) = (dir.path().join("t"), dir.path().join("s"));
        for (folder, file) in [(&target, "old"), (&staged, "new")] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join(file), "x").unwrap();
        }
        replace(&staged, &target).unwrap();
        assert!(target.join("new").is_file() && !target.join("old").exists() && !staged.exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::create_dir(&staged).unwrap();
        replace(&staged, &dir.path().join("first")).unwrap();
    }
}
