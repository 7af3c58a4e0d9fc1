//! The `docker` command, for containers that are not ours to judge by: those of the naive run and of the floor.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

/// The most bytes that a command may print.
const OUTPUT_BYTES: u64 = 64 * 1024 * 1024;
/// How long a command may take; a naive run of a deep addon on a busy machine takes some minutes.
const LIMIT: Duration = Duration::from_secs(1800);

/// The engine, spoken to as people do.
#[derive(Debug, Clone)]
pub struct Docker {
    host: Option<String>,
}

impl Docker {
    pub fn new(host: Option<&str>) -> Self {
        Self { host: host.map(str::to_owned) }
    }

    /// What a command prints; it must end well.
    pub async fn text(&self, args: &[&str], stdin: &[u8]) -> anyhow::Result<String> {
        let mut command = Command::new("docker");
        if let Some(host) = &self.host {
            command.args(["-H", host]);
        }
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let name = args.first().copied().unwrap_or_default();
        let mut child = command.spawn().map_err(|error| anyhow::anyhow!("the docker command line cannot be started: {error}"))?;
        let (mut input, output, complaints) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let ended = timeout(LIMIT, async {
            let send = async {
                if let Some(mut input) = input.take() {
                    // A command that does not read says why in its output.
                    let _ = input.write_all(stdin).await;
                    let _ = input.shutdown().await;
                }
            };
            let ((), output, complaints) = tokio::join!(send, read(output), read(complaints));
            (output, complaints, child.wait().await)
        });
        let (output, complaints, status) = ended.await.map_err(|_| anyhow::anyhow!("docker {name}: not done within {LIMIT:?}"))?;
        let status = status?;
        anyhow::ensure!(status.success(), "docker {name}: {status}: {}", last_words(&format!("{output}\n{complaints}")));
        Ok(output)
    }

    /// The lines that a command prints.
    pub async fn lines(&self, args: &[&str]) -> anyhow::Result<Vec<String>> {
        Ok(self.text(args, &[]).await?.lines().map(str::to_owned).collect())
    }
}

/// Everything up to the limit, bytes that are no UTF-8 replaced. What comes after it is read and dropped, so that nobody waits.
async fn read(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut bytes = Vec::new();
    let _ = (&mut stream).take(OUTPUT_BYTES).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The end of a text, for an error.
pub fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn engine_that_is_away_is_an_error_with_its_words() {
        let docker = Docker::new(Some("unix:///nonexistent/docker.sock"));
        let error = docker.lines(&["ps"]).await.unwrap_err().to_string();
        assert!(error.starts_with("docker ps:") || error.contains("cannot be started"), "{error}");
    }

    #[test]
    fn last_words_are_few() {
        assert_eq!(last_words(""), "");
        assert_eq!(last_words(&"x\n\n".repeat(100)).lines().count(), 15);
    }
}
