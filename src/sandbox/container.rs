//! One container and the commands run in it.

use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use bollard::Docker;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, ContainerUpdateBody, ExecConfig, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
};
use futures::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::SandboxError;
use super::egress::Egress;

/// A user inside the image, by number: names would need the engine to read the image's files.
pub(super) struct User {
    /// Its number, also that of its group.
    pub(super) id: &'static str,
}

/// Owns the sources; has no capability.
pub(super) const ROOT: User = User { id: "0" };
/// Runs the code under test.
pub(super) const ADDON: User = User { id: "64001" };
/// Runs PostgreSQL.
pub(super) const DB: User = User { id: "64002" };

/// Where a script of the image stands.
pub(super) fn script(name: &str) -> String {
    format!("/opt/odoo-agent/{name}")
}

/// How far a command may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) total: Duration,
    pub(super) idle: Duration,
    pub(super) bytes: usize,
}

impl Bounds {
    /// For our own small scripts: enough for a loaded machine.
    pub(super) const SCRIPT: Self = Self { total: Duration::from_secs(120), idle: Duration::from_secs(120), bytes: 64 * 1024 };
}

/// How a command came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Exited(i64),
    Deadline,
    Idle,
    TooMuch,
    /// It vanished without a word.
    Lost,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) stop: Stop,
    pub(super) bytes: Vec<u8>,
}

impl Output {
    /// What it printed, bytes that are no UTF-8 replaced.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A command that is talked to while it runs: what it prints, and what it reads.
pub(super) type Attached = (Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>, Pin<Box<dyn AsyncWrite + Send>>);

/// Starts the command that follows, and ends it when standard input ends. The watch is handed to the first process of the container, for
/// PostgreSQL takes the end of a child that it does not know for a crash.
const TETHERED: &str = r#"exec 3<&0 </dev/null; main=$$
( ( while read -r _ <&3; do :; done; kill -QUIT "$main"; sleep 5; kill -KILL "$main" ) >/dev/null 2>&1 & )
exec 3<&-; exec "$@""#;

/// A container that is removed when it is dropped, as far as a drop can do that.
pub(super) struct Container {
    docker: Docker,
    id: String,
    removed: bool,
    /// The connection to its standard input, which the engine closes when this process is gone, whatever becomes of it. Behind a lock only
    /// because it cannot be shared; nobody takes it.
    _tether: Mutex<Option<AttachContainerResults>>,
    /// Its way out, which goes with it.
    egress: Option<Box<Egress>>,
}

impl Container {
    /// Makes and starts one of this name.
    pub(super) async fn start(docker: &Docker, name: &str, body: ContainerCreateBody) -> Result<Self, SandboxError> {
        let container = Self::create(docker, name, body).await?;
        docker.start_container(&container.id, None).await?;
        Ok(container)
    }

    /// The same for one that ends and is removed when this process is gone, also after `kill -9`.
    pub(super) async fn start_tethered(docker: &Docker, name: &str, body: ContainerCreateBody) -> Result<Self, SandboxError> {
        let watched = ["bash", "-c", TETHERED, "tether"].map(str::to_owned).into_iter();
        let body = ContainerCreateBody {
            entrypoint: Some(watched.chain(body.entrypoint.unwrap_or_default()).collect()),
            open_stdin: Some(true),
            stdin_once: Some(true),
            host_config: body.host_config.map(|host| HostConfig { auto_remove: Some(true), ..host }),
            ..body
        };
        let mut container = Self::create(docker, name, body).await?;
        // Before it is started, so that there is no moment at which it runs without us.
        let options = AttachContainerOptionsBuilder::new().stdin(true).stream(true).build();
        container._tether = Mutex::new(Some(docker.attach_container(&container.id, Some(options)).await?));
        docker.start_container(&container.id, None).await?;
        Ok(container)
    }

    async fn create(docker: &Docker, name: &str, body: ContainerCreateBody) -> Result<Self, SandboxError> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let created = docker.create_container(Some(options), body).await?;
        Ok(Self { docker: docker.clone(), id: created.id, removed: false, _tether: Mutex::default(), egress: None })
    }

    /// The engine's name for it.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Has its way out removed with it.
    pub(super) fn hold(&mut self, egress: Egress) {
        self.egress = Some(Box::new(egress));
    }

    /// Whether it has a way out.
    pub(super) fn has_egress(&self) -> bool {
        self.egress.is_some()
    }

    /// Runs a command; its standard output and standard error come as one text, in the order in which they arrive.
    pub(super) async fn exec(&self, user: &User, cmd: &[&str], stdin: Option<&[u8]>, bounds: Bounds) -> Result<Output, SandboxError> {
        let started = Instant::now();
        let (id, (output, mut input)) = self.open(user, cmd, stdin.is_some()).await?;
        if let Some(stdin) = stdin {
            let send = async {
                input.write_all(stdin).await?;
                input.shutdown().await
            };
            // A command that ends before it has read everything says why in its output and exit code.
            let _ = timeout(bounds.total, send).await;
        }
        let (stopped, bytes) = collect(output, started, bounds).await?;
        let stop = match stopped {
            Some(stop) => stop,
            None => Stop::Exited(self.exit_code(&id).await?),
        };
        Ok(Output { stop, bytes })
    }

    /// Starts a command that is talked to while it runs. It ends when its input is dropped, or with the container.
    pub(super) async fn attach(&self, user: &User, cmd: &[&str]) -> Result<Attached, SandboxError> {
        Ok(self.open(user, cmd, true).await?.1)
    }

    async fn open(&self, user: &User, cmd: &[&str], stdin: bool) -> Result<(String, Attached), SandboxError> {
        let config = ExecConfig {
            cmd: Some(cmd.iter().map(ToString::to_string).collect()),
            user: Some(format!("{0}:{0}", user.id)),
            attach_stdin: Some(stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let exec = self.docker.create_exec(&self.id, config).await?;
        let options = StartExecOptions { output_capacity: Some(64 * 1024), ..StartExecOptions::default() };
        let StartExecResults::Attached { output, input } = self.docker.start_exec(&exec.id, Some(options)).await? else {
            return Err(SandboxError::Protocol("the engine ran a command without its output".to_owned()));
        };
        Ok((exec.id, (output, input)))
    }

    /// Gives it another name.
    pub(super) async fn rename(&self, name: &str) -> Result<(), SandboxError> {
        let options = RenameContainerOptionsBuilder::new().name(name).build();
        Ok(self.docker.rename_container(&self.id, options).await?)
    }

    /// Sets its weight where processors are scarce.
    pub(super) async fn set_shares(&self, shares: i32) -> Result<(), SandboxError> {
        let update = ContainerUpdateBody { cpu_shares: Some(shares.into()), ..ContainerUpdateBody::default() };
        Ok(self.docker.update_container(&self.id, update).await?)
    }

    /// The engine closes the output a moment before it knows the exit code.
    async fn exit_code(&self, exec: &str) -> Result<i64, SandboxError> {
        for _ in 0..100 {
            let state = self.docker.inspect_exec(exec).await?;
            match (state.running, state.exit_code) {
                (Some(true), _) | (_, None) => tokio::time::sleep(Duration::from_millis(20)).await,
                (_, Some(code)) => return Ok(code),
            }
        }
        Err(SandboxError::Protocol("the engine did not tell the exit code of a command".to_owned()))
    }

    /// Runs one of our scripts, which must exit with 0; gives what it printed.
    pub(super) async fn script(&self, user: &User, cmd: &[&str], stdin: Option<&[u8]>) -> Result<String, SandboxError> {
        let output = self.exec(user, &[&["bash"], cmd].concat(), stdin, Bounds::SCRIPT).await?;
        match output.stop {
            Stop::Exited(0) => Ok(output.text()),
            stop => Err(SandboxError::Protocol(format!("{}: {stop:?}: {}", cmd.join(" "), output.text().trim()))),
        }
    }

    /// Whether the kernel ended the container for want of memory. Fails if it is not there any more.
    pub(super) async fn out_of_memory(&self) -> Result<bool, SandboxError> {
        let container = self.docker.inspect_container(&self.id, None).await;
        let state = container.map_err(|error| SandboxError::EngineGone(format!("a sandbox is gone: {error}")))?.state;
        Ok(state.and_then(|state| state.oom_killed).unwrap_or(false))
    }

    /// The last lines of the main process, for an error text.
    pub(super) async fn last_words(&self) -> String {
        let options = bollard::query_parameters::LogsOptionsBuilder::new().stdout(true).stderr(true).tail("20").build();
        let chunks: Vec<_> = self.docker.logs(&self.id, Some(options)).filter_map(|chunk| async { chunk.ok() }).collect().await;
        chunks.into_iter().map(|chunk| String::from_utf8_lossy(&chunk.into_bytes()).into_owned()).collect()
    }

    /// Removes it with everything in it.
    pub(super) async fn remove(mut self) -> Result<(), SandboxError> {
        remove(&self.docker, &self.id).await?;
        self.removed = true;
        match self.egress.take() {
            Some(egress) => egress.remove().await,
            None => Ok(()),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        // A drop cannot wait. If the program ends before this is done, the sweep by label finds the container.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (docker, id, egress) = (self.docker.clone(), std::mem::take(&mut self.id), self.egress.take());
            runtime.spawn(async move {
                if let Err(error) = remove(&docker, &id).await {
                    tracing::warn!(container = id, %error, "a sandbox container was left behind");
                }
                if let Some(egress) = egress
                    && let Err(error) = egress.remove().await
                {
                    tracing::warn!(%error, "the way out of a sandbox was left behind");
                }
            });
        }
    }
}

/// Removes a container; it is fine if it is gone or going already.
pub(super) async fn remove(docker: &Docker, id: &str) -> Result<(), SandboxError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.remove_container(id, Some(options)).await {
        Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads until the end of the stream or a bound, whichever comes first.
async fn collect(
    mut output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin,
    started: Instant,
    bounds: Bounds,
) -> Result<(Option<Stop>, Vec<u8>), SandboxError> {
    let mut bytes = Vec::new();
    loop {
        let left = bounds.total.saturating_sub(started.elapsed());
        let chunk = match timeout(left.min(bounds.idle), output.next()).await {
            Ok(None) => return Ok((None, bytes)),
            Ok(Some(chunk)) => chunk?.into_bytes(),
            Err(_) => return Ok((Some(if left <= bounds.idle { Stop::Deadline } else { Stop::Idle }), bytes)),
        };
        let room = bounds.bytes - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((Some(Stop::TooMuch), bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn lines(texts: &[&'static str]) -> Vec<Result<LogOutput, bollard::errors::Error>> {
        texts.iter().map(|text| Ok(LogOutput::StdOut { message: text.as_bytes().into() })).collect()
    }

    async fn read(output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>>, bounds: Bounds) -> (Option<Stop>, Vec<u8>) {
        collect(Box::pin(output), Instant::now(), bounds).await.unwrap()
    }

    const BOUNDS: Bounds = Bounds { total: Duration::from_millis(200), idle: Duration::from_millis(50), bytes: 5 };

    #[tokio::test]
    async fn output_is_cut_at_its_limit() {
        assert_eq!(read(stream::iter(lines(&["abc", "de"])), BOUNDS).await, (None, b"abcde".to_vec()));
        assert_eq!(read(stream::iter(lines(&["abc", "def"])), BOUNDS).await, (Some(Stop::TooMuch), b"abcde".to_vec()));
    }

    #[tokio::test]
    async fn silence_ends_a_command() {
        let silent = stream::iter(lines(&["a"])).chain(stream::pending());
        assert_eq!(read(silent, BOUNDS).await, (Some(Stop::Idle), b"a".to_vec()));
    }

    #[tokio::test]
    async fn endless_talk_meets_the_deadline() {
        let talk = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok(LogOutput::StdOut { message: "".into() }), ()))
        });
        assert_eq!(read(talk, BOUNDS).await.0, Some(Stop::Deadline));
    }
}
