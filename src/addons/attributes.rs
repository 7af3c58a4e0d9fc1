//! Attributes of a file: owner, group, mode, access list, times. They are kept when it is replaced, else nothing is written.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{self, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

/// The extended attribute that holds a POSIX access list.
const ACCESS_LIST: &CStr = c"system.posix_acl_access";
const SELINUX: &CStr = c"security.selinux";
/// The bytes of the longest value, and of the longest list of names, that Linux knows.
const MAX_EXTENDED: usize = 64 * 1024;

/// Reason why a file or folder could not be made as it has to be.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKept {
    /// The process or the file system cannot give it what it must have.
    #[error("{0}")]
    Attributes(String),
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Owner, group, mode, extended attributes and times that a file is to have.
#[derive(Debug, Clone)]
pub(super) struct Attributes {
    uid: u32,
    gid: u32,
    mode: u32,
    /// `None`: those that the file system gives a new file, which is the default access list of its folder.
    extended: Option<Vec<(Box<CStr>, Vec<u8>)>>,
    times: Option<Times>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    access: Timespec,
    modification: Timespec,
}

impl Attributes {
    /// Reads those of an open file. Set-user and set-group bits are left out: no source file has a use for them.
    pub(super) fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = fs::fstat(file)?;
        let extended = Some(extended(file)?);
        Ok(Self { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o777, extended, times: Some(times(&stat)) })
    }

    /// The same for a copy that says something else, and so is of now.
    pub(super) fn as_of_now(&self) -> Self {
        Self { times: None, ..self.clone() }
    }

    /// Returns those of a new file in this folder: its owner and group, the mode of its neighbours, else the folder's without execution.
    pub(super) fn of_new_file(folder: BorrowedFd<'_>, neighbours: Option<u32>) -> io::Result<Self> {
        let stat = fs::fstat(folder)?;
        let mode = neighbours.unwrap_or(stat.st_mode & 0o666);
        Ok(Self { uid: stat.st_uid, gid: stat.st_gid, mode, extended: None, times: None })
    }

    /// Returns those of a new folder in this folder: the same owner, group and mode.
    pub(super) fn of_new_folder(folder: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = fs::fstat(folder)?;
        Ok(Self { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o2777, extended: None, times: None })
    }

    /// Gives them to a new file or folder and reads back whether it has them.
    pub(super) fn give(&self, file: BorrowedFd<'_>) -> Result<(), NotKept> {
        let now = stat(file)?;
        if (now.st_uid, now.st_gid) != (self.uid, self.gid) {
            fs::fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid))).map_err(|error| {
                let (uid, gid) = (now.st_uid, now.st_gid);
                NotKept::Attributes(format!(
                    "it would belong to user {uid}, group {gid} and not to user {}, group {} ({error})",
                    self.uid, self.gid
                ))
            })?;
        }
        if let Some(wanted) = &self.extended {
            give_extended(file, wanted)?;
        }
        // After the owner, which takes bits away, and after the access list, whose mask is the group's part of the mode.
        if stat(file)?.st_mode & 0o7777 != self.mode {
            fs::fchmod(file, Mode::from_raw_mode(self.mode))
                .map_err(|error| NotKept::Attributes(format!("its mode cannot be set to {:o} ({error})", self.mode)))?;
        }
        if let Some(times) = self.times {
            let times = Timestamps { last_access: times.access, last_modification: times.modification };
            fs::futimens(file, &times).map_err(|error| NotKept::Attributes(format!("its times cannot be set ({error})")))?;
        }
        let given = stat(file)?;
        // Some file systems take all of it and keep nothing.
        if (given.st_uid, given.st_gid, given.st_mode & 0o7777) != (self.uid, self.gid, self.mode) {
            return Err(NotKept::Attributes(format!(
                "the file system made it user {}, group {}, mode {:o} instead of user {}, group {}, mode {:o}",
                given.st_uid,
                given.st_gid,
                given.st_mode & 0o7777,
                self.uid,
                self.gid,
                self.mode
            )));
        }
        Ok(())
    }
}

fn stat(file: BorrowedFd<'_>) -> io::Result<Stat> {
    Ok(fs::fstat(file)?)
}

fn times(stat: &Stat) -> Times {
    Times {
        access: Timespec { tv_sec: stat.st_atime, tv_nsec: i64::try_from(stat.st_atime_nsec).unwrap_or(0) },
        modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) },
    }
}

fn give_extended(file: BorrowedFd<'_>, wanted: &[(Box<CStr>, Vec<u8>)]) -> Result<(), NotKept> {
    let now = extended(file)?;
    for (name, _) in now.iter().filter(|(name, _)| !wanted.iter().any(|(kept, _)| kept == name)) {
        // The folder's default access list gave it one that the file before it did not have.
        fs::fremovexattr(file, &**name).map_err(|error| not_set(name, error))?;
    }
    for (name, value) in wanted.iter().filter(|pair| !now.contains(pair)) {
        fs::fsetxattr(file, &**name, value, XattrFlags::empty()).map_err(|error| not_set(name, error))?;
    }
    Ok(())
}

fn not_set(name: &CStr, error: Errno) -> NotKept {
    let what = if name == ACCESS_LIST { "its access list".to_owned() } else { format!("its attribute {}", name.to_string_lossy()) };
    NotKept::Attributes(format!("{what} cannot be kept ({error})"))
}

/// The extended attributes that are kept: the access list, the label of `SELinux` and those of users.
fn extended(file: BorrowedFd<'_>) -> io::Result<Vec<(Box<CStr>, Vec<u8>)>> {
    let mut buffer = vec![0_u8; MAX_EXTENDED];
    let listed: Vec<&CStr> = match fs::flistxattr(file, &mut buffer[..]) {
        Ok(length) => buffer[..length].split_inclusive(|byte| *byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok()).collect(),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    // Not every file system lists the access list.
    let users = listed.iter().copied().filter(|name| name.to_bytes().starts_with(b"user.") || *name == SELINUX);
    let mut found = Vec::new();
    for name in users.chain([ACCESS_LIST]) {
        let mut value = vec![0_u8; MAX_EXTENDED];
        match fs::fgetxattr(file.as_fd(), name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                found.push((name.into(), value));
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}
