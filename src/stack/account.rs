//! Whom the servers run as: PostgreSQL refuses to run as root.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, lchown};
use std::path::Path;

use nix::unistd::{Uid, User};

use super::{StackError, io};

/// The user to become before a server is run.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    name: String,
}

impl Account {
    /// Nobody else than ourselves (`None`), unless we are root.
    pub(super) fn for_servers() -> Result<Option<Self>, StackError> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        ["odoo-agent", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), name: user.name }))
            .ok_or(StackError::NoUser)
    }

    /// Lets this user pass through `dir`, which is ours, and checks that it also can through the directories above.
    pub(super) fn let_through(&self, dir: &Path) -> Result<(), StackError> {
        let found = fs::metadata(dir).map_err(io(dir))?;
        if !self.may_enter(&found) {
            let mode = found.permissions().mode() | 0o001;
            fs::set_permissions(dir, fs::Permissions::from_mode(mode)).map_err(io(dir))?;
        }
        self.reaches(dir)
    }

    /// Whether this user can get to `path` through every directory above it.
    pub(super) fn reaches(&self, path: &Path) -> Result<(), StackError> {
        for dir in path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()) {
            let found = fs::metadata(dir).map_err(io(dir))?;
            if !self.may_enter(&found) {
                return Err(StackError::Unreachable { user: self.name.clone(), dir: dir.to_owned() });
            }
        }
        Ok(())
    }

    fn may_enter(&self, dir: &fs::Metadata) -> bool {
        let shift = if dir.uid() == self.uid {
            6
        } else if dir.gid() == self.gid {
            3
        } else {
            0
        };
        dir.mode() >> shift & 1 == 1
    }
}

/// Makes a directory of mode 0700 that belongs to whoever runs the servers. One that is there and belongs to somebody else
/// is taken over by root, with all that is in it, and refused otherwise.
pub(super) fn private_dir(dir: &Path, account: Option<&Account>) -> Result<(), StackError> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(dir)(error)),
        _ => {}
    }
    let found = fs::symlink_metadata(dir).map_err(io(dir))?;
    if !found.is_dir() {
        return Err(io(dir)(std::io::Error::other("this is no directory; move it away")));
    }
    let owner = account.map_or_else(|| Uid::effective().as_raw(), |account| account.uid);
    if found.uid() != owner {
        let Some(account) = account else {
            return Err(io(dir)(std::io::Error::other("this directory belongs to another user; run as that user, or move it away")));
        };
        for entry in walkdir::WalkDir::new(dir).follow_links(false) {
            let entry = entry.map_err(|error| io(dir)(error.into()))?;
            lchown(entry.path(), Some(account.uid), Some(account.gid)).map_err(io(entry.path()))?;
        }
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(io(dir))?;
    }
    Ok(())
}

/// Gives one file to whoever runs the servers.
pub(super) fn give(path: &Path, account: Option<&Account>) -> Result<(), StackError> {
    account.map_or(Ok(()), |account| lchown(path, Some(account.uid), Some(account.gid)).map_err(io(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_parent_is_named() {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("closed/data");
        fs::create_dir_all(&inner).unwrap();
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(top.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = Account { uid: 64_999, gid: 64_999, name: "stranger".to_owned() };
        let error = stranger.let_through(&inner).unwrap_err().to_string();
        assert!(error.contains("stranger") && error.contains("/closed: run `chmod o+x"), "{error}");
    }

    #[test]
    fn symlink_is_no_private_dir() {
        let top = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", top.path().join("run")).unwrap();
        assert!(private_dir(&top.path().join("run"), None).is_err());
    }
}
