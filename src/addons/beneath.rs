//! Files of an addons folder by descriptor: opened beneath it and through no link, so that whoever owns the folder cannot lead a read or a
//! write elsewhere while it happens.
//!
//! A name is looked up once. What follows goes by the descriptor that came back, or by a single name below it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::attributes::{Attributes, NotKept};
use crate::domain::RelPath;

/// Nothing above the folder and no symbolic link on the way, whatever is renamed meanwhile.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
/// The most entries of a folder that are looked at for the mode of a new file.
const MAX_NEIGHBOURS: usize = 1000;

/// Identity of a file: which it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// A regular file that was opened to be read, and its status at that moment.
pub(super) struct Opened {
    file: File,
    stat: Stat,
}

impl Opened {
    pub(super) fn identity(&self) -> Identity {
        Identity::of(&self.stat)
    }

    pub(super) fn attributes(&self) -> io::Result<Attributes> {
        Attributes::of(self.file.as_fd())
    }

    /// Returns the size at the moment of opening, in bytes.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }

    /// Reads all of the file. Fails where it has more than `limit` bytes, also where it grows meanwhile.
    pub(super) fn read(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.file).take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// Whether the file holds exactly these bytes.
    pub(super) fn holds(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if self.len() != bytes.len() as u64 {
            return Ok(false);
        }
        match self.read(bytes.len() as u64) {
            Ok(read) => Ok(read == bytes),
            Err(error) if error.kind() == ErrorKind::FileTooLarge => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A folder, held open.
#[derive(Debug)]
pub(super) struct Directory {
    descriptor: OwnedFd,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Directory {
    /// Opens an addons folder by its path, which the operator chose: links above it are the operator's own.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { descriptor: fs::open(path, flags, Mode::empty())? })
    }

    /// Opens a folder beneath this one; `""` is this one itself.
    pub(super) fn folder(&self, path: &str) -> io::Result<Self> {
        let path = if path.is_empty() { "." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { descriptor: fs::openat2(self, path, flags, Mode::empty(), RESOLVE)? })
    }

    /// Opens a regular file beneath this folder; `None` where there is nothing of that name.
    pub(super) fn file(&self, path: impl AsRef<OsStr>) -> io::Result<Option<Opened>> {
        // Without NONBLOCK a pipe in the place of the file would hold up the caller for ever.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let descriptor = match fs::openat2(self, path.as_ref(), flags, Mode::empty(), RESOLVE) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened?,
        };
        let stat = fs::fstat(&descriptor)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(Some(Opened { file: File::from(descriptor), stat }))
    }

    pub(super) fn identity(&self) -> io::Result<Identity> {
        Ok(Identity::of(&fs::fstat(self)?))
    }

    /// Returns which file has this name now, itself where it is a link.
    pub(super) fn identity_of(&self, name: &OsStr) -> io::Result<Option<Identity>> {
        match fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            stat => Ok(Some(Identity::of(&stat?))),
        }
    }

    /// Opens a folder beneath this one and makes those on the way that are missing, each like the one that it is made in. Adds what was made to
    /// `made`, the outermost first, also where it fails.
    pub(super) fn make_folders(&self, path: &str, made: &mut Vec<(Directory, OsString)>) -> Result<Self, NotKept> {
        let mut at = self.folder("")?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = match at.folder(name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    fs::mkdirat(&at, name, Mode::RWXU).map_err(io::Error::from)?;
                    made.push((at.folder("")?, name.into()));
                    let new = at.folder(name)?;
                    new.check_ours()?;
                    Attributes::of_new_folder(at.as_fd())?.give(new.as_fd())?;
                    new
                }
                opened => opened?,
            };
        }
        Ok(at)
    }

    /// Fails unless this is a folder as [`Self::make_folders`] makes one. Another may have been put in its place before it was opened, and must
    /// not be given away.
    fn check_ours(&self) -> io::Result<()> {
        let stat = fs::fstat(self)?;
        let empty = Dir::read_from(self)?.filter_map(Result::ok).all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."));
        if stat.st_uid == geteuid().as_raw() && stat.st_mode & 0o777 == 0o700 && empty {
            Ok(())
        } else {
            Err(io::Error::other("the new folder was exchanged for another while it was made"))
        }
    }

    /// Writes a new file under a name of its own and returns the name and which file it is. It holds the bytes and has the attributes, or it is
    /// removed again.
    pub(super) fn write_temporary(&self, bytes: &[u8], attributes: &Attributes) -> Result<(OsString, Identity), NotKept> {
        loop {
            let name = OsString::from(format!(".odoo-agent-{:016x}.tmp", rand::random::<u64>()));
            match self.write_new(&name, bytes, attributes) {
                Err(NotKept::Io(error)) if error.kind() == ErrorKind::AlreadyExists => {}
                written => return written.map(|identity| (name, identity)),
            }
        }
    }

    /// The same under this name. Fails where anything has it, also a link that leads nowhere.
    pub(super) fn write_new(&self, name: &OsStr, bytes: &[u8], attributes: &Attributes) -> Result<Identity, NotKept> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = fs::openat2(self, name, flags, Mode::RUSR | Mode::WUSR, RESOLVE).map_err(io::Error::from)?;
        let mut file = File::from(descriptor);
        let identity = Identity::of(&fs::fstat(&file).map_err(io::Error::from)?);
        let written = file
            .write_all(bytes)
            .map_err(NotKept::from)
            .and_then(|()| attributes.give(file.as_fd()))
            .and_then(|()| file.sync_all().map_err(NotKept::from));
        if written.is_err() {
            self.remove_if(name, identity);
        }
        written.map(|()| identity)
    }

    /// Renames within the folder. With `replace` the target may exist.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr, replace: bool) -> io::Result<()> {
        if replace {
            return Ok(fs::renameat(self, from, self, to)?);
        }
        match fs::renameat_with(self, from, self, to, RenameFlags::NOREPLACE) {
            // The file system cannot say that: a second name never replaces anything.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                fs::linkat(self, from, self, to, AtFlags::empty())?;
                Ok(fs::unlinkat(self, from, AtFlags::empty())?)
            }
            renamed => Ok(renamed?),
        }
    }

    /// Removes a name, if it still stands for this file. Best effort.
    pub(super) fn remove_if(&self, name: &OsStr, identity: Identity) {
        if self.identity_of(name).is_ok_and(|now| now == Some(identity))
            && let Err(error) = fs::unlinkat(self, name, AtFlags::empty())
        {
            tracing::warn!(?name, %error, "a file of odoo-agent's own could not be removed");
        }
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(self, name, AtFlags::empty())?)
    }

    /// Removes a folder with nothing in it.
    pub(super) fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(self, name, AtFlags::REMOVEDIR)?)
    }

    /// Makes the names in the folder outlast a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(self)?)
    }

    /// Returns the mode that most files beside a new one have: of those with its extension, else of all. Hidden files and backups don't count.
    pub(super) fn mode_of_neighbours(&self, name: &str) -> io::Result<Option<u32>> {
        let extension = |name: &[u8]| Path::new(OsStr::from_bytes(name)).extension().map(OsStr::to_owned);
        let wanted = extension(name.as_bytes());
        let (mut alike, mut all) = (Vec::new(), Vec::new());
        for entry in Dir::read_from(self)?.take(MAX_NEIGHBOURS) {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_bytes().starts_with(b".") || name.to_string_lossy().contains(".bak") {
                continue;
            }
            let Ok(stat) = fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                let mode = stat.st_mode & 0o777;
                all.push(mode);
                if extension(name.to_bytes()) == wanted {
                    alike.push(mode);
                }
            }
        }
        Ok(most_frequent(if alike.is_empty() { all } else { alike }))
    }
}

/// Of several that are as frequent, the one that lets fewer people in.
fn most_frequent(mut modes: Vec<u32>) -> Option<u32> {
    modes.sort_unstable();
    let runs = modes.chunk_by(|one, other| one == other).map(|run| (run.len(), run[0]));
    runs.min_by_key(|(count, mode)| (std::cmp::Reverse(*count), *mode)).map(|(_, mode)| mode)
}

/// Whether an error says that a symbolic link stands on the way.
pub(super) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// The folder of a path, `""` where it has none, and the name in it.
pub(super) fn parts(path: &RelPath) -> (&str, &str) {
    path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()))
}
