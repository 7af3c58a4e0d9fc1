//! The sources of Odoo itself, out of an image into a folder of the cache: read once for each image.

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::ContainerCreateBody;
use futures::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::container::{ADDON, Attached, Container};
use super::{Engine, SandboxError, lease};
use crate::domain::OdooVersion;

/// Raise it when other files are read: what was kept before is then read anew.
const FORMAT: u32 = 1;
/// Runs inside the container; not part of the image, so that every image will do.
const SCRIPT: &str = include_str!("core_tree.py");
/// How long all of it may take, and how long it may say nothing.
const TOTAL: Duration = Duration::from_secs(600);
const IDLE: Duration = Duration::from_secs(60);
/// The most bytes of it; Odoo 19.0 has 250 MB.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// The most files of it.
const MAX_FILES: usize = 300_000;

impl Engine {
    /// A folder with the sources of Odoo and its own addons in this series, as `odoo/…`. The first time they are read out of the image, which
    /// takes a minute. Fails with [`SandboxError::ImageMissing`] if there is none.
    pub async fn core_tree(&self, version: &OdooVersion) -> Result<PathBuf, SandboxError> {
        let tag = self.image(version).await?.ok_or_else(|| self.image_missing(version))?;
        let id = self.docker().await?.inspect_image(&tag).await?.id.unwrap_or_default();
        let id: String = id.trim_start_matches("sha256:").chars().filter(char::is_ascii_alphanumeric).take(24).collect();
        let folder = self.config().cache_dir.join(format!("core-{FORMAT}-{id}"));
        if folder.is_dir() {
            return Ok(folder);
        }
        let cache = self.config().cache_dir.clone();
        std::fs::create_dir_all(&cache).map_err(unkept)?;
        let archive = tempfile::NamedTempFile::new_in(&cache).map_err(unkept)?;
        self.read_core(&tag, version, archive.path()).await?;
        let unpacked = tokio::task::spawn_blocking(move || keep(archive.path(), &cache, &folder).map(|()| folder)).await;
        unpacked.map_err(|error| SandboxError::Protocol(error.to_string()))?
    }

    async fn read_core(&self, image: &str, version: &OdooVersion, into: &Path) -> Result<(), SandboxError> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec!["sleep".to_owned(), TOTAL.as_secs().to_string()]),
            cmd: Some(Vec::new()),
            user: Some(format!("{0}:{0}", ADDON.id)),
            working_dir: Some("/".to_owned()),
            labels: Some(self.labels()),
            host_config: Some(self.host_config().await?),
            ..ContainerCreateBody::default()
        };
        let container = Container::start(self.docker().await?, &lease::making(), body).await?;
        let (output, input) = container.attach(&ADDON, &["python3", "-c", SCRIPT, version.as_str()]).await?;
        let copied = timeout(TOTAL, copy((output, input), into)).await;
        container.remove().await?;
        copied.unwrap_or_else(|_| Err(SandboxError::Protocol(format!("the sources of Odoo were not read within {} s", TOTAL.as_secs()))))
    }
}

/// What the script prints, into a file.
async fn copy((mut output, _input): Attached, into: &Path) -> Result<(), SandboxError> {
    let mut file = tokio::io::BufWriter::new(tokio::fs::File::create(into).await.map_err(unkept)?);
    let (mut bytes, mut said) = (0u64, String::new());
    loop {
        let chunk = match timeout(IDLE, output.next()).await {
            Ok(None) => break,
            Ok(Some(chunk)) => chunk?,
            Err(_) => return Err(SandboxError::Protocol("the sources of Odoo stopped coming".to_owned())),
        };
        match chunk {
            LogOutput::StdOut { message } => {
                bytes += message.len() as u64;
                if bytes > MAX_BYTES {
                    return Err(SandboxError::Protocol(format!("the sources of Odoo have more than {MAX_BYTES} bytes")));
                }
                file.write_all(&message).await.map_err(unkept)?;
            }
            other if said.len() < 2_000 => said.push_str(&String::from_utf8_lossy(&other.into_bytes())),
            _ => {}
        }
    }
    file.flush().await.map_err(unkept)?;
    if !said.trim().is_empty() {
        return Err(SandboxError::Protocol(format!("the sources of Odoo could not be read: {}", said.trim())));
    }
    Ok(())
}

/// Unpacks beside the folder and then moves there, so that nobody ever sees half of it.
fn keep(archive: &Path, cache: &Path, folder: &Path) -> Result<(), SandboxError> {
    let staged = tempfile::tempdir_in(cache).map_err(unkept)?;
    let files = unpack(std::fs::File::open(archive).map_err(unkept)?, staged.path()).map_err(unkept)?;
    if files == 0 {
        return Err(SandboxError::Protocol("the image holds no sources of Odoo".to_owned()));
    }
    let staged = staged.keep();
    match std::fs::rename(&staged, folder) {
        Ok(()) => Ok(()),
        Err(error) => {
            // Another process may have been quicker.
            let _ = std::fs::remove_dir_all(&staged);
            if folder.is_dir() { Ok(()) } else { Err(unkept(error)) }
        }
    }
}

/// Unpacks the regular files of a tar, none of them outside of the folder; says how many.
fn unpack(archive: impl Read, folder: &Path) -> std::io::Result<usize> {
    let mut files = 0;
    for entry in tar::Archive::new(std::io::BufReader::new(archive)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !entry.header().entry_type().is_file() || !inside {
            continue;
        }
        files += 1;
        if files > MAX_FILES {
            return Err(std::io::Error::other(format!("there are more than {MAX_FILES} files")));
        }
        let target = folder.join(path);
        std::fs::create_dir_all(target.parent().unwrap_or(folder))?;
        std::io::copy(&mut entry, &mut std::fs::File::create_new(&target)?)?;
    }
    Ok(files)
}

fn unkept(error: std::io::Error) -> SandboxError {
    SandboxError::Protocol(format!("the sources of Odoo could not be kept: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::sources::archive;

    #[test]
    fn nothing_is_unpacked_outside() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("in");
        std::fs::create_dir(&folder).unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |name: &str, kind: tar::EntryType| {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(kind);
            header.set_size(1);
            header.set_cksum();
            tar.append(&header, b"x".as_slice()).unwrap();
        };
        add("../out.py", tar::EntryType::Regular);
        add("/etc/out.py", tar::EntryType::Regular);
        add("odoo/link", tar::EntryType::Symlink);
        add("odoo/a.py", tar::EntryType::Regular);
        let bytes = tar.into_inner().unwrap();
        assert_eq!(unpack(bytes.as_slice(), &folder).unwrap(), 1);
        assert!(folder.join("odoo/a.py").is_file() && !folder.join("odoo/link").exists() && !outer.path().join("out.py").exists());
    }

    #[test]
    fn half_an_archive_is_not_kept() {
        let cache = tempfile::tempdir().unwrap();
        let whole = archive([("odoo/a.py", b"x".repeat(5_000).as_slice())].into_iter()).unwrap();
        let (file, folder) = (cache.path().join("t"), cache.path().join("core"));
        std::fs::write(&file, &whole[..2_000]).unwrap();
        assert!(keep(&file, cache.path(), &folder).is_err() && !folder.exists());
        std::fs::write(&file, &whole).unwrap();
        keep(&file, cache.path(), &folder).unwrap();
        keep(&file, cache.path(), &folder).unwrap();
        assert!(folder.join("odoo/a.py").is_file());
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 2, "nothing else is left");
    }
}
