//! A shell of the database's user that stays open, so that cloning and reading a database does not start a command in the container
//! each time; see `sandbox/run/shell.sh`.

use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use futures::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::SandboxError;
use super::container::{Container, DB};

/// Enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The most bytes that a script may print.
const PRINTED_BYTES: usize = 64 * 1024;

/// An open shell.
pub(super) struct Shell {
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>,
}

impl Shell {
    /// Opens one.
    pub(super) async fn open(container: &Container) -> Result<Self, SandboxError> {
        let (output, input) = container.attach(&DB, &["bash", "/opt/odoo-agent/shell.sh"]).await?;
        Ok(Self { input, output })
    }

    /// Runs a script, which must exit with 0; gives what it printed. After an error the shell is of no further use.
    pub(super) async fn run(&mut self, script: &str, arguments: &[&str]) -> Result<String, SandboxError> {
        let deadline = Instant::now() + PATIENCE;
        let failed = |what: &str| SandboxError::Protocol(format!("{script} {}: {what}", arguments.join(" ")));
        if arguments.iter().any(|argument| argument.contains(['\t', '\n']) || argument.is_empty()) {
            return Err(failed("an argument that cannot be sent"));
        }
        // Nothing that a script prints can be taken for its end.
        let token = uuid::Uuid::new_v4().simple().to_string();
        let line = [&[token.as_str(), script], arguments].concat().join("\t") + "\n";
        let sent = async {
            self.input.write_all(line.as_bytes()).await?;
            self.input.flush().await
        };
        timeout_at(deadline, sent).await.map_err(|_| failed("not taken"))?.map_err(|error| failed(&error.to_string()))?;
        let mut printed = Vec::new();
        loop {
            if let Some((text, code)) = ended(&printed, &token) {
                return if code == "0" { Ok(text) } else { Err(failed(&format!("exit {code}: {}", text.trim()))) };
            }
            if printed.len() > PRINTED_BYTES {
                return Err(failed("it prints too much"));
            }
            match timeout_at(deadline, self.output.next()).await.map_err(|_| failed("no answer"))? {
                Some(chunk) => printed.extend_from_slice(&chunk?.into_bytes()),
                None => return Err(failed("the shell is gone")),
            }
        }
    }
}

/// What was printed and the exit code, once the line with the token is there.
fn ended(printed: &[u8], token: &str) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(printed);
    let (before, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let code = last.strip_prefix(token)?.strip_prefix(' ')?;
    Some((before.to_owned(), code.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_is_the_line_with_the_token() {
        assert_eq!(ended(b"a\nb\nT 0\n", "T"), Some(("a\nb".to_owned(), "0".to_owned())));
        assert_eq!(ended(b"\nT 1\n", "T"), Some((String::new(), "1".to_owned())));
        for open in [&b""[..], b"a", b"a\n", b"T 0", b"a\nT 0", b"a\nU 0\n", b"a\nT0\n", b"\xff\xfe\n"] {
            assert_eq!(ended(open, "T"), None, "{open:?}");
        }
    }
}
