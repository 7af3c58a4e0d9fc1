//! One server as a child process: started, watched, started again if it dies, ended with us.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::account::Account;
use super::health::{Health, Observed};
use super::{StackError, io};

/// How often a child is asked whether it still lives.
const TICK: Duration = Duration::from_millis(50);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Whoever lived this long is no longer in a loop of crashes.
const STEADY: Duration = Duration::from_secs(60);
const ORDERLY: Duration = Duration::from_secs(20);
const HURRIED: Duration = Duration::from_secs(3);
const TAIL: u64 = 2048;

/// What to run and how to end it.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) path: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) dir: PathBuf,
    pub(super) account: Option<Account>,
    pub(super) log: PathBuf,
    pub(super) pid_file: PathBuf,
    /// Asks for an orderly end.
    pub(super) stop: Signal,
    /// Asks for an end at once, without leaving anything behind.
    pub(super) abort: Signal,
    /// Where to ask whether it is well.
    pub(super) health: Option<Health>,
}

/// A server that is being watched. Dropping it ends the server at once.
pub(super) struct Supervised {
    name: &'static str,
    orders: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    exits: Arc<AtomicU32>,
}

/// A command with nothing of our environment: it holds keys that are none of a server's business.
pub(super) fn command(path: &Path, account: Option<&Account>, dir: &Path, env: &[(OsString, OsString)]) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C").envs(env.iter().map(|(name, value)| (name, value)));
    command.current_dir(dir).stdin(Stdio::null());
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

impl Program {
    /// Starts the thread that starts the server. The thread is ours for as long as the server is: on Linux the server is told
    /// to end when the very thread that started it ends, however that comes about.
    pub(super) fn supervise(self) -> Result<Supervised, StackError> {
        let rotated = self.log.with_extension("log.1");
        if self.log.exists() {
            fs::rename(&self.log, &rotated).map_err(io(&rotated))?;
        }
        let (orders, inbox) = mpsc::channel();
        let exits = Arc::new(AtomicU32::new(0));
        let (name, path, counter) = (self.name, self.path.clone(), Arc::clone(&exits));
        let thread =
            std::thread::Builder::new().name(format!("stack-{name}")).spawn(move || self.run(&inbox, &counter)).map_err(io(&path))?;
        Ok(Supervised { name, orders: Some(orders), thread: Some(thread), exits })
    }

    fn run(&self, orders: &Receiver<()>, exits: &AtomicU32) {
        let mut pause = FIRST_PAUSE;
        loop {
            let born = Instant::now();
            match self.launch() {
                Ok(mut child) => match self.watch(&mut child, orders) {
                    Some(status) => tracing::warn!(server = self.name, %status, "a server of the embedded stack died; starting it again"),
                    None => break,
                },
                Err(error) => tracing::error!(server = self.name, %error, "a server of the embedded stack cannot be started"),
            }
            exits.fetch_add(1, Ordering::Relaxed);
            pause = if born.elapsed() > STEADY { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            if !matches!(orders.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
                break;
            }
        }
        let _ = fs::remove_file(&self.pid_file);
    }

    fn launch(&self) -> std::io::Result<Child> {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = command(&self.path, self.account.as_ref(), &self.dir, &self.env);
        command.args(&self.args).stdout(log.try_clone()?).stderr(log);
        // Ctrl-C in a terminal is for us; we end the servers when we no longer need them.
        command.process_group(0);
        die_with_parent(&mut command, self.stop);
        let child = command.spawn()?;
        fs::write(&self.pid_file, format!("{}\n", child.id()))?;
        Ok(child)
    }

    /// How the child ended by itself, or `None` if it was told to.
    fn watch(&self, child: &mut Child, orders: &Receiver<()>) -> Option<std::process::ExitStatus> {
        let mut observed = Observed::new();
        loop {
            let order = orders.recv_timeout(TICK);
            if let Ok(Some(status)) = child.try_wait() {
                return matches!(order, Err(RecvTimeoutError::Timeout)).then_some(status);
            }
            match order {
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(why) = self.health.as_ref().and_then(|health| observed.fault(health)) {
                        tracing::error!(server = self.name, why, "a server of the embedded stack is not well; it is started anew");
                        self.end(child, &[(self.stop, HURRIED), (self.abort, HURRIED)]);
                    }
                }
                Ok(()) => {
                    self.end(child, &[(self.stop, ORDERLY), (self.abort, HURRIED)]);
                    return None;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.end(child, &[(self.abort, HURRIED)]);
                    return None;
                }
            }
        }
    }

    fn end(&self, child: &mut Child, steps: &[(Signal, Duration)]) {
        let (_never, tick) = mpsc::channel::<()>();
        for (signal, limit) in steps {
            // Safe from a reused number: only this thread reaps the child, and it has not yet.
            if let Ok(pid) = i32::try_from(child.id()) {
                let _ = kill(Pid::from_raw(pid), *signal);
            }
            let deadline = Instant::now() + *limit;
            while Instant::now() < deadline {
                if !matches!(child.try_wait(), Ok(None)) {
                    return;
                }
                let _ = tick.recv_timeout(TICK / 5);
            }
        }
        tracing::warn!(server = self.name, "a server of the embedded stack does not end; killing it");
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Supervised {
    /// Asks the server to end in an orderly way; `join` waits for it.
    pub(super) fn request_stop(&self) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(());
        }
    }

    /// Waits for the end that `request_stop` asked for. Blocks.
    pub(super) fn join(mut self) {
        self.wait();
    }

    /// How often the server has ended by itself.
    pub(super) fn exits(&self) -> u32 {
        self.exits.load(Ordering::Relaxed)
    }

    fn wait(&mut self) {
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(server = self.name, "the thread that watches a server panicked");
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.orders = None;
        self.wait();
    }
}

/// Lets the kernel end the child if we are killed. Set after the change of user, which would clear it.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command, signal: Signal) {
    let parent = nix::unistd::getpid();
    let hook = move || {
        nix::sys::prctl::set_pdeathsig(signal)?;
        // We may have died between the fork and the line above.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(nix::errno::Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec only prctl and getppid are called; both are async-signal-safe and neither allocates.
    #[expect(unsafe_code, reason = "there is no other way to run code between fork and exec")]
    unsafe {
        command.pre_exec(hook);
    }
}

/// Elsewhere the next start ends what was left running.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command, _: Signal) {}

/// Waits until `check` succeeds. Gives up at the limit, or when the server has died too often to be worth waiting for.
pub(super) async fn ready<E: std::fmt::Display, F: Future<Output = Result<(), E>>>(
    server: &Supervised,
    log: &Path,
    check: impl Fn() -> F,
) -> Result<(), StackError> {
    let deadline = tokio::time::Instant::now() + super::PATIENCE;
    loop {
        let Err(error) = check().await else { return Ok(()) };
        let why = match server.exits() {
            3.. => "it ended three times".to_owned(),
            _ if tokio::time::Instant::now() > deadline => format!("no answer in {} s: {error}", super::PATIENCE.as_secs()),
            _ => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        return Err(StackError::NotReady { server: server.name, why, log: log.to_owned(), tail: tail(log) });
    }
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    let read = || {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_else(|error| format!("(cannot be read: {error})"))
}
