//! Addons that are packages of the Python package index: the association publishes each of its own as `odoo-addon-NAME`. Only wheels are
//! taken, for a source archive would be run to build it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use tokio::process::Command;

use super::{Bounds, SourcesError, program, replace, stage};
use crate::domain::OdooVersion;

/// The most files of one wheel.
const MAX_FILES: usize = 50_000;
/// The most packages of one source.
const MAX_PACKAGES: usize = 5_000;
/// How many are asked for in one call.
const AT_ONCE: usize = 50;

/// A package, with its version if one was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement(String);

impl FromStr for Requirement {
    type Err = SourcesError;
    fn from_str(text: &str) -> Result<Self, SourcesError> {
        let (name, version) = text.split_once("==").map_or((text, None), |(name, version)| (name, Some(version)));
        let allowed = |text: &str, more: &str| {
            !text.is_empty() && text.len() <= 120 && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let addon = name.split_once("-addon-").is_some_and(|(odoo, rest)| {
            odoo.strip_prefix("odoo").is_some_and(|series| series.chars().all(|c| c.is_ascii_digit()))
                && allowed(rest, "-_.")
                && !rest.starts_with('-')
        });
        if addon && version.is_none_or(|version| allowed(version, ".*")) {
            return Ok(Self(text.to_owned()));
        }
        Err(SourcesError::Refused(format!(
            "{text:?} is no package of an addon; they are called odoo-addon-NAME, or odoo-addon-NAME==VERSION"
        )))
    }
}

impl Requirement {
    /// As pip takes it: where no version is named, the newest of the series.
    fn of_series(&self, version: &OdooVersion) -> String {
        if self.0.contains("==") { self.0.clone() } else { format!("{}=={version}.*", self.0) }
    }
}

/// Fetches the packages of a series and unpacks them into the folder, as `odoo/addons/NAME`. What is there stays until all have arrived.
pub async fn download(packages: &[Requirement], version: &OdooVersion, target: &Path, bounds: Bounds) -> Result<(), SourcesError> {
    if packages.len() > MAX_PACKAGES {
        return Err(SourcesError::Refused(format!("there are {} packages, and {MAX_PACKAGES} are the most", packages.len())));
    }
    let staged = stage(target)?;
    let (wheels, tree) = (staged.path().join("wheels"), staged.path().join("tree"));
    for folder in [&wheels, &tree] {
        std::fs::create_dir(folder).map_err(|error| SourcesError::Folder(folder.clone(), error))?;
    }
    for packages in packages.chunks(AT_ONCE) {
        let mut command = Command::new("python3");
        command.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--only-binary",
            ":all:",
        ]);
        command.args(["--timeout", "30", "--retries", "3", "--dest"]).arg(&wheels).arg("--");
        command.args(packages.iter().map(|package| package.of_series(version)));
        program::run("pip", command, staged.path(), bounds).await?;
    }
    let into = tree.clone();
    let unpacked = tokio::task::spawn_blocking(move || unpack_all(&wheels, &into, bounds.bytes)).await;
    unpacked.map_err(|error| SourcesError::Failed("unpacking", error.to_string()))??;
    replace(&tree, target)
}

fn unpack_all(wheels: &Path, into: &Path, bytes: u64) -> Result<(), SourcesError> {
    let failed = |error: std::io::Error| SourcesError::Folder(wheels.to_owned(), error);
    let mut left = bytes;
    let mut names: Vec<_> = std::fs::read_dir(wheels).map_err(failed)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.sort();
    for wheel in names {
        let file = File::open(&wheel).map_err(failed)?;
        unpack(file, into, &mut left).map_err(|why| SourcesError::Failed("unpacking", format!("{}: {why}", wheel.display())))?;
    }
    Ok(())
}

/// Unpacks the addons of a wheel. Nothing outside of the folder is written, no link is made, and no more bytes than are left.
fn unpack(wheel: File, into: &Path, left: &mut u64) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(wheel).map_err(|error| error.to_string())?;
    if archive.len() > MAX_FILES {
        return Err(format!("it holds {} files, and {MAX_FILES} are the most", archive.len()));
    }
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| error.to_string())?;
        let Some(path) = entry.enclosed_name().filter(|path| path.starts_with("odoo/addons")) else { continue };
        if !entry.is_file() || entry.is_symlink() {
            continue;
        }
        let target = into.join(&path);
        let write = || -> std::io::Result<u64> {
            std::fs::create_dir_all(target.parent().unwrap_or(into))?;
            // The size that the archive names may be a lie; one byte more tells.
            std::io::copy(&mut entry.by_ref().take(*left + 1), &mut File::create(&target)?)
        };
        let written = { write }().map_err(|error| error.to_string())?;
        *left = left.checked_sub(written).ok_or_else(|| "it holds more bytes than may arrive".to_owned())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn wheel(files: &[(&str, &[u8])]) -> File {
        let mut writer = zip::ZipWriter::new(tempfile::tempfile().unwrap());
        for (name, content) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn only_addons_are_asked_for() {
        for bad in [
            "",
            "requests",
            "odoo-addon-",
            "--index-url=x",
            "odoo-addon-x --pre",
            "odoo-addon-x; evil",
            "odoo-addon-x==1 2",
            "x-addon-y",
            "odoo-addon--r",
            "git+https://x",
        ] {
            assert!(bad.parse::<Requirement>().is_err(), "{bad}");
        }
        let series = "19.0".parse().unwrap();
        assert_eq!("odoo-addon-web_responsive".parse::<Requirement>().unwrap().of_series(&series), "odoo-addon-web_responsive==19.0.*");
        assert_eq!("odoo14-addon-x==14.0.1.0.0".parse::<Requirement>().unwrap().of_series(&series), "odoo14-addon-x==14.0.1.0.0");
    }

    #[test]
    fn archives_cannot_leave_their_folder() {
        let outer = tempfile::tempdir().unwrap();
        let into = outer.path().join("in");
        std::fs::create_dir(&into).unwrap();
        let hostile = wheel(&[
            ("odoo/addons/a/m.py", b"x"),
            ("odoo/addons/../../../out.py", b"x"),
            ("/odoo/addons/abs.py", b"x"),
            ("setup.py", b"x"),
        ]);
        unpack(hostile, &into, &mut 1_000).unwrap();
        assert!(into.join("odoo/addons/a/m.py").is_file() && !outer.path().join("out.py").exists() && !into.join("setup.py").exists());
        assert!(!Path::new("/odoo/addons/abs.py").exists());
    }

    #[test]
    fn bombs_and_garbage_are_refused() {
        let into = tempfile::tempdir().unwrap();
        let bomb = wheel(&[("odoo/addons/a/m.py", &vec![b'0'; 1_000_000])]);
        assert!(unpack(bomb, into.path(), &mut 1_000).unwrap_err().contains("more bytes"));
        let mut garbage = tempfile::tempfile().unwrap();
        garbage.write_all(b"PK\x03\x04 garbage").unwrap();
        assert!(unpack(garbage, into.path(), &mut 1_000).is_err());
    }
}
