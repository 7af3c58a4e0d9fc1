//! A program that fetches: without questions, within its time, and watched for what it writes.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use walkdir::WalkDir;

use super::{Bounds, SourcesError};

/// How often what arrived is measured.
const LOOK: Duration = Duration::from_secs(2);
/// The bytes of what a program says that are kept.
const SAID: usize = 2_000;

/// Runs it to its end; gives the end of what it printed. It must end with 0, in time, and must not write more than it may below the folder.
pub(super) async fn run(name: &'static str, mut command: Command, folder: &Path, bounds: Bounds) -> Result<String, SourcesError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| SourcesError::Missing(name, error))?;
    let (printing, listening) = (tokio::spawn(heard(child.stdout.take())), tokio::spawn(heard(child.stderr.take())));
    let ended = tokio::time::timeout(bounds.total, async {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                status = child.wait() => return status.map_err(|error| SourcesError::Failed(name, error.to_string())),
                _ = looks.tick() => fits(name, folder, bounds)?,
            }
        }
    });
    let ended = ended.await.unwrap_or_else(|_| Err(SourcesError::Bound(name, format!("its time of {} s is up", bounds.total.as_secs()))));
    if ended.is_err() {
        // What it wrote is taken away next; it must not write on.
        let _ = child.kill().await;
    }
    let status = ended?;
    if !status.success() {
        let said = listening.await.unwrap_or_default();
        return Err(SourcesError::Failed(name, without_secrets(said.trim())));
    }
    fits(name, folder, bounds)?;
    Ok(printing.await.unwrap_or_default())
}

/// The end of a stream. All of it is read, for a full pipe would stop the program.
async fn heard(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut said = Vec::new();
    if let Some(mut stream) = stream {
        let mut piece = [0u8; 4096];
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            said.extend_from_slice(&piece[..read]);
            let over = said.len().saturating_sub(SAID);
            said.drain(..over);
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn fits(name: &'static str, folder: &Path, bounds: Bounds) -> Result<(), SourcesError> {
    let entries = WalkDir::new(folder).follow_links(false).into_iter().filter_map(Result::ok);
    let bytes: u64 = entries.filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file).map(|file| file.len()).sum();
    if bytes > bounds.bytes {
        return Err(SourcesError::Bound(name, format!("it wrote {bytes} bytes, and {} are the most", bounds.bytes)));
    }
    Ok(())
}

/// An address may hold a password, and programs repeat the address.
fn without_secrets(text: &str) -> String {
    #[expect(clippy::expect_used, reason = "a constant pattern, and a test reads it")]
    static USER: std::sync::LazyLock<regex::Regex> =
        std::sync::LazyLock::new(|| regex::Regex::new(r"://[^/\s@]+@").expect("a constant pattern"));
    USER.replace_all(text, "://…@").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn failure_tells_what_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let error = run("sh", shell("echo fatal: https://u:hunter2@host/x >&2; exit 3"), dir.path(), Bounds::default()).await.unwrap_err();
        assert_eq!(error.to_string(), "sh failed: fatal: https://…@host/x");
        let error = run("none", Command::new("/nonexistent"), dir.path(), Bounds::default()).await.unwrap_err();
        assert!(matches!(error, SourcesError::Missing("none", _)));
    }

    #[tokio::test]
    async fn time_and_size_end_it() {
        let dir = tempfile::tempdir().unwrap();
        let short = Bounds { total: Duration::from_millis(50), ..Bounds::default() };
        assert!(matches!(run("sh", shell("exec sleep 600"), dir.path(), short).await, Err(SourcesError::Bound(..))));
        let small = Bounds { bytes: 10, ..Bounds::default() };
        let write = format!("echo 0123456789abc > {}/f; yes loud | head -100000 >&2", dir.path().display());
        assert!(matches!(run("sh", shell(&write), dir.path(), small).await, Err(SourcesError::Bound(..))));
    }
}
