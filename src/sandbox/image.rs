//! The image: its build context travels inside the program, and the tag says which context made it.

use std::path::Path;
use std::process::Stdio;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{SandboxError, series};
use crate::domain::OdooVersion;

macro_rules! context {
    ($($path:literal),+ $(,)?) => {
        /// The files of `sandbox/`, ordered by path.
        const CONTEXT: &[(&str, &str)] = &[$(($path, include_str!(concat!("../../sandbox/", $path)))),+];
    };
}

context!(
    "Dockerfile",
    "build.sh",
    "run/catalog.py",
    "run/channel.py",
    "run/clone.sh",
    "run/core.sh",
    "run/egress.conf",
    "run/egress.sh",
    "run/egress_relay.sh",
    "run/env.sh",
    "run/forkserver.py",
    "run/lint.sh",
    "run/ready.sh",
    "run/recorder.py",
    "run/scan.sh",
    "run/seal.sh",
    "run/series.py",
    "run/shell.sh",
    "run/smoke.py",
    "run/sources.sh",
    "run/start.sh",
    "run/state.sh",
    "run/tamper.py",
    "run/template.sh",
    "seccomp.json",
    "series.json",
    "warm.sh",
);

/// What the images of this program are called.
pub(super) const REPOSITORY: &str = "odoo-agent-sandbox";
/// How many lines of a failed build are kept for the error.
const LAST_LINES: usize = 15;
/// The most characters of one line of the build.
const LINE_CHARS: usize = 300;

/// The tag of the image that this program builds for a series.
pub(super) fn tag(version: &OdooVersion) -> String {
    let mut hash = Sha256::new();
    for (path, text) in CONTEXT {
        hash.update(format!("{path}\0{}\0", text.len()));
        hash.update(text);
    }
    let digest: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{REPOSITORY}:{version}-{digest}")
}

/// Writes the context below `dir`.
fn extract(dir: &Path) -> std::io::Result<()> {
    for (path, text) in CONTEXT {
        let file = dir.join(path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, text)?;
    }
    Ok(())
}

/// Builds the image; every line that the build prints goes to `progress`.
pub(super) async fn build(
    version: &OdooVersion,
    tag: &str,
    docker_host: Option<&str>,
    cache_dir: &Path,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<(), SandboxError> {
    let failed = |what: &str| SandboxError::ImageBuild(what.to_owned());
    let dir = tempfile::tempdir().map_err(|error| failed(&format!("no temporary folder: {error}")))?;
    extract(dir.path()).map_err(|error| failed(&format!("{}: {error}", dir.path().display())))?;
    let mut command = tokio::process::Command::new("bash");
    command.args(["-c", "exec bash \"$@\" 2>&1", "bash"]).arg(dir.path().join("build.sh")).args([
        version.as_str(),
        tag,
        series::official(version)?,
    ]);
    command.env("ODOO_AGENT_CACHE_DIR", cache_dir).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    if let Some(host) = docker_host {
        command.env("DOCKER_HOST", host);
    }
    let mut child = command.spawn().map_err(|error| failed(&format!("bash: {error}")))?;
    let mut last: Vec<String> = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).split(b'\n');
        while let Some(line) = lines.next_segment().await.map_err(|error| failed(&error.to_string()))? {
            let line: String = String::from_utf8_lossy(&line).trim_end().chars().take(LINE_CHARS).collect();
            if last.len() == LAST_LINES {
                last.remove(0);
            }
            last.push(line.clone());
            progress(line);
        }
    }
    let status = child.wait().await.map_err(|error| failed(&error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(&format!("build.sh {version} {tag}: {status}\n{}", last.join("\n")))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_is_stable_and_names_the_series() {
        let version: OdooVersion = "19.0".parse().unwrap();
        let tag = tag(&version);
        let digest = tag.strip_prefix("odoo-agent-sandbox:19.0-").unwrap();
        assert!(digest.len() == 12 && digest.bytes().all(|b| b.is_ascii_hexdigit()), "{tag}");
        assert_eq!(tag, super::tag(&version));
    }

    #[test]
    fn context_is_whole_and_in_order() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sandbox");
        let mut files: Vec<String> = walkdir::WalkDir::new(&root)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert_eq!(files, CONTEXT.iter().map(|(path, _)| (*path).to_owned()).collect::<Vec<_>>());
    }

    #[test]
    fn context_survives_extraction() {
        let dir = tempfile::tempdir().unwrap();
        extract(dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("run/state.sh")).unwrap(), include_str!("../../sandbox/run/state.sh"));
    }
}
