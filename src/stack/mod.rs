//! The embedded stack: a private nats-server and a private PostgreSQL, run as child processes out of one data directory.
//!
//! The first process on a data directory starts the servers, restarts one that dies, and stops them with itself. A second
//! process on the same directory attaches to them by `endpoints.json`. After a crash the next start ends what was left
//! running and keeps the data.
//!
//! It never runs a migration and never opens a port beyond 127.0.0.1: PostgreSQL has a socket in a directory of mode 0700
//! and nothing else, NATS a random token.

mod account;
mod binaries;
mod guests;
mod health;
mod leftovers;
mod nats;
mod postgres;
mod process;
pub mod producers;

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use account::Account;
use process::Supervised;
pub use producers::Producer;

/// How long a second process waits for the first one's servers, and a server may take to answer. Crash recovery takes time.
const PATIENCE: Duration = Duration::from_secs(90);

/// Which servers to run, and where.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where data, logs and sockets are kept. Two directories give two stacks side by side.
    pub data_dir: PathBuf,
    /// Where the servers are: `nats/nats-server` and `postgres/bin/…` below it. What is not there is looked for on `PATH`.
    pub runtime_dir: PathBuf,
    /// Whether a nats-server is wanted.
    pub nats: bool,
    /// Whether a PostgreSQL is wanted.
    pub postgres: bool,
    /// How often the nats-server has its data written to the disk itself.
    pub sync: SyncInterval,
}

/// How often the nats-server has what it accepted written to the disk itself: what a power loss may take. The end of the program, or of
/// the server, takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncInterval {
    /// Each message, before it is acknowledged.
    Always,
    /// This often.
    Every(Duration),
}

impl Default for SyncInterval {
    /// What was accepted in the last half second is written by the next one, so that less than a second is lost.
    fn default() -> Self {
        Self::Every(Duration::from_millis(500))
    }
}

/// Why the stack could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A program is not on this machine.
    #[error("{what} was not found ({looked}). {}", binaries::ADVICE)]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Where it was looked for.
        looked: String,
    },
    /// The user that the servers run as cannot get to a file or directory.
    #[error("the servers run as user {user}, who cannot enter {}: run `chmod o+x {}` or choose another directory", .dir.display(), .dir.display())]
    Unreachable {
        /// The user.
        user: String,
        /// The directory in the way.
        dir: PathBuf,
    },
    /// There is no user that the servers could run as.
    #[error("PostgreSQL does not run as root and there is neither a user odoo-agent nor nobody: run `useradd --system odoo-agent`")]
    NoUser,
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// A server did not come up.
    #[error("{server} did not start ({why}). The end of {}:\n{tail}", .log.display())]
    NotReady {
        /// Which one.
        server: &'static str,
        /// What was seen.
        why: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// `initdb` failed.
    #[error("initdb failed ({status}): {output}")]
    Initdb {
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },
    /// The data was written by another major version.
    #[error("{} was written by PostgreSQL {found}, but the one here is {here}: install {found}, or dump and restore", .dir.display())]
    DataVersion {
        /// The cluster.
        dir: PathBuf,
        /// Version of the data.
        found: String,
        /// Version of the program.
        here: String,
    },
    /// PostgreSQL runs but something in it could not be set up.
    #[error("PostgreSQL could not be set up: {0}")]
    Database(#[from] sqlx::Error),
    /// A producer cannot be added.
    #[error("the producer cannot be added: {0}")]
    Producer(String),
    /// Another process holds the data directory, and its servers do not answer.
    #[error("another process holds {} and its servers do not answer: wait for it, or end it", .0.display())]
    Occupied(PathBuf),
    /// Another process holds the data directory and runs fewer servers than are asked for.
    #[error("the process that holds {} runs no {missing} there: end it, or choose another data directory", .dir.display())]
    Incomplete {
        /// The data directory.
        dir: PathBuf,
        /// What it does not run.
        missing: &'static str,
    },
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StackError {
    let path = path.to_owned();
    move |source| StackError::Io { path, source }
}

/// Where the servers are reached; this is what `endpoints.json` holds.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Endpoints {
    nats: Option<String>,
    postgres: Option<postgres::Urls>,
}

/// The running servers. Dropping it kills them, if this process started them.
pub struct Stack {
    endpoints: Endpoints,
    servers: Vec<Supervised>,
    /// Held for as long as the servers are ours; the kernel gives it back however we end.
    lock: Option<File>,
    /// Held for as long as we use servers of another process, which waits for it before it stops them.
    _guest: Option<File>,
    paths: Paths,
}

impl std::fmt::Debug for Stack {
    // By hand: the address of NATS holds its token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").field("data_dir", &self.paths.data).field("attached", &self.attached()).finish_non_exhaustive()
    }
}

impl Stack {
    /// Starts the servers, or attaches to those that another process runs on the same data directory.
    pub async fn start(config: &Config) -> Result<Self, StackError> {
        let paths = blocking({
            let config = config.clone();
            move || Paths::prepare(&config)
        })
        .await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Tried again in each round: the process that holds it may be just ending.
            if let Some(lock) = paths.try_lock()? {
                return Self::own(config, paths, lock).await;
            }
            // First the guest's lock, then the look: what answers now cannot be stopped under us.
            if let Some(guest) = guests::enter(&paths.data)?
                && let Some(endpoints) = paths.answering(config).await?
            {
                return Ok(Self { endpoints, servers: Vec::new(), lock: None, _guest: Some(guest), paths });
            }
            if Instant::now() > deadline {
                return Err(StackError::Occupied(paths.data));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn own(config: &Config, paths: Paths, lock: File) -> Result<Self, StackError> {
        let (account, paths) = blocking(move || {
            paths.forget_endpoints()?;
            let account = Account::for_servers()?;
            paths.hand_over(account.as_ref())?;
            leftovers::end(&paths);
            Ok((account, paths))
        })
        .await?;
        let nats = async { if config.nats { nats::start(config, &paths, account.as_ref()).await.map(Some) } else { Ok(None) } };
        let postgres = async {
            if config.postgres { postgres::start(&config.runtime_dir, &paths, account.as_ref()).await.map(Some) } else { Ok(None) }
        };
        let (nats, postgres) = tokio::try_join!(nats, postgres)?;
        let mut stack = Self { endpoints: Endpoints::default(), servers: Vec::new(), lock: Some(lock), _guest: None, paths };
        if let Some((url, server)) = nats {
            stack.endpoints.nats = Some(url);
            stack.servers.push(server);
        }
        if let Some((urls, server)) = postgres {
            stack.endpoints.postgres = Some(urls);
            stack.servers.push(server);
        }
        stack.paths.publish(&stack.endpoints)?;
        Ok(stack)
    }

    /// Address of NATS. It holds the token: do not log it.
    pub fn nats_url(&self) -> Option<&str> {
        self.endpoints.nats.as_deref()
    }

    /// Address of the database for migrations: its user owns everything.
    pub fn owner_database_url(&self) -> Option<&str> {
        self.endpoints.postgres.as_ref().map(|urls| urls.owner.as_str())
    }

    /// Address of the database for the application: its user owns nothing, so that row-level security binds it.
    pub fn app_database_url(&self) -> Option<&str> {
        self.endpoints.postgres.as_ref().map(|urls| urls.app.as_str())
    }

    /// Whether the servers belong to another process. They end with that one.
    pub fn attached(&self) -> bool {
        self.lock.is_none()
    }

    /// Stops the servers in an orderly way, if this process started them; before that, waits for other processes that use them,
    /// but no longer than `patience`.
    pub async fn stop(mut self, patience: Duration) {
        if self.attached() {
            return;
        }
        let gate = guests::wait_until_gone(&self.paths.data, patience).await;
        if !matches!(gate, Ok(Some(_))) {
            tracing::warn!("the servers are stopped although another odoo-agent uses them");
        }
        if let Err(error) = self.paths.forget_endpoints() {
            tracing::warn!(%error, "the endpoints of the embedded stack stay behind");
        }
        let servers = std::mem::take(&mut self.servers);
        for server in &servers {
            server.request_stop();
        }
        let joined = tokio::task::spawn_blocking(move || servers.into_iter().for_each(Supervised::join)).await;
        if joined.is_err() {
            tracing::warn!("a server of the embedded stack could not be waited for");
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.servers.is_empty() {
            return;
        }
        // The second net, for a panic or an early return: no orderly shutdown, but nothing stays behind.
        let _ = self.paths.forget_endpoints();
        self.servers.clear();
    }
}

/// The places in a data directory.
#[derive(Debug, Clone)]
struct Paths {
    data: PathBuf,
    /// Pid files, and the socket where its path is short enough.
    run: PathBuf,
    log: PathBuf,
    nats: PathBuf,
    cluster: PathBuf,
}

impl Paths {
    fn prepare(config: &Config) -> Result<Self, StackError> {
        fs::create_dir_all(&config.data_dir).map_err(io(&config.data_dir))?;
        let data = config.data_dir.canonicalize().map_err(io(&config.data_dir))?;
        Ok(Self { run: data.join("run"), log: data.join("log"), nats: data.join("nats"), cluster: data.join("postgres"), data })
    }

    fn try_lock(&self) -> Result<Option<File>, StackError> {
        let path = self.data.join("lock");
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(StackError::Io { path, source }),
        }
    }

    /// Makes the directories and gives them to whoever runs the servers.
    fn hand_over(&self, account: Option<&Account>) -> Result<(), StackError> {
        if let Some(account) = account {
            account.let_through(&self.data)?;
        }
        for dir in [&self.run, &self.log, &self.nats] {
            account::private_dir(dir, account)?;
        }
        if self.cluster.exists() {
            account::private_dir(&self.cluster, account)?;
        }
        Ok(())
    }

    fn pid_file(&self, server: &str) -> PathBuf {
        self.run.join(format!("{server}.pid"))
    }

    fn log_file(&self, server: &str) -> PathBuf {
        self.log.join(format!("{server}.log"))
    }

    fn endpoints_file(&self) -> PathBuf {
        self.data.join("endpoints.json")
    }

    fn publish(&self, endpoints: &Endpoints) -> Result<(), StackError> {
        let text = serde_json::to_vec_pretty(endpoints).map_err(|error| io(&self.endpoints_file())(error.into()))?;
        write_private(&self.endpoints_file(), &text)
    }

    fn forget_endpoints(&self) -> Result<(), StackError> {
        let path = self.endpoints_file();
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(StackError::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// The endpoints of the process that holds the lock, once all that is asked for answers.
    async fn answering(&self, config: &Config) -> Result<Option<Endpoints>, StackError> {
        let Some(endpoints) = fs::read(self.endpoints_file()).ok().and_then(|text| serde_json::from_slice::<Endpoints>(&text).ok()) else {
            return Ok(None);
        };
        let missing = |missing| StackError::Incomplete { dir: self.data.clone(), missing };
        if config.nats {
            let url = endpoints.nats.as_deref().ok_or_else(|| missing("NATS"))?;
            if nats::check(url).await.is_err() {
                return Ok(None);
            }
        }
        if config.postgres {
            let urls = endpoints.postgres.as_ref().ok_or_else(|| missing("PostgreSQL"))?;
            if postgres::check(&urls.app).await.is_err() {
                return Ok(None);
            }
        }
        Ok(Some(endpoints))
    }
}

/// Writes a file that only its owner reads, whole or not at all.
fn write_private(path: &Path, content: &[u8]) -> Result<(), StackError> {
    let fresh = path.with_extension("new");
    let write = || {
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(io(path))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StackError> + Send + 'static) -> Result<T, StackError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(StackError::Io { path: PathBuf::from("embedded stack"), source: std::io::Error::other(error) }))
}
