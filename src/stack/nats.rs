//! The private nats-server.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::account::{self, Account};
use super::health::Health;
use super::process::{Program, Supervised, ready};
use super::producers;
use super::{Config, Paths, StackError, SyncInterval, binaries, blocking, io, write_private};

/// What is kept from one start to the next.
#[derive(Clone, Serialize, Deserialize)]
struct Settings {
    port: u16,
    token: String,
    /// The port of the health endpoint.
    #[serde(default)]
    health: u16,
}

impl Settings {
    /// The path of the health endpoint. Only whoever knows the token can make it up: what is beside it tells of connections and subjects.
    fn path(&self) -> String {
        format!("/{}", blake3::hash(format!("health {}", self.token).as_bytes()).to_hex())
    }
}

/// The user that this program is to its own server.
const USER: &str = "odoo-agent";

/// Starts it and waits until JetStream answers; gives its address with the token.
pub(super) async fn start(config: &Config, paths: &Paths, account: Option<&Account>) -> Result<(String, Supervised), StackError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (url, program) = {
            let (config, paths, account) = (config.clone(), paths.clone(), account.cloned());
            blocking(move || prepare(&config, &paths, account)).await?
        };
        let log = program.log.clone();
        let server = program.supervise()?;
        match ready(&server, &log, || check(&url)).await {
            Ok(()) => return Ok((url, server)),
            // The port was free a moment ago; another stack on this machine may have been quicker.
            Err(StackError::NotReady { tail, .. }) if attempt < 3 && tail.contains("address already in use") => {}
            Err(error) => return Err(error),
        }
    }
}

fn prepare(config: &Config, paths: &Paths, account: Option<Account>) -> Result<(String, Program), StackError> {
    let path = binaries::nats_server(&config.runtime_dir)?;
    if let Some(account) = &account {
        account.reaches(&path)?;
    }
    let settings = settings(&paths.nats)?;
    let store = paths.nats.join("store");
    write_config(&paths.nats, &settings, config.sync, account.as_ref())?;
    let config = config_file(&paths.nats);
    let program = Program {
        name: "nats",
        path,
        args: vec!["-c".into(), config.into()],
        env: Vec::new(),
        dir: paths.nats.clone(),
        account,
        log: paths.log_file("nats"),
        pid_file: paths.pid_file("nats"),
        stop: Signal::SIGTERM,
        abort: Signal::SIGKILL,
        health: Some(Health {
            address: SocketAddr::from(([127, 0, 0, 1], settings.health)),
            path: format!("{}/healthz", settings.path()),
            store,
        }),
    };
    Ok((format!("nats://{USER}:{}@127.0.0.1:{}", settings.token, settings.port), program))
}

/// Writes anew what the server reads, if it was ever started; its port and its token stay.
pub(super) fn rewrite_config(paths: &Paths, sync: SyncInterval, account: Option<&Account>) -> Result<(), StackError> {
    let kept = fs::read(paths.nats.join("settings.json")).ok().and_then(|text| serde_json::from_slice::<Settings>(&text).ok());
    kept.map_or(Ok(()), |settings| write_config(&paths.nats, &settings, sync, account))
}

pub(super) fn config_file(dir: &Path) -> PathBuf {
    dir.join("nats.conf")
}

/// Writes what the server reads, with the producers that there are.
fn write_config(dir: &Path, settings: &Settings, sync: SyncInterval, account: Option<&Account>) -> Result<(), StackError> {
    let config = config_file(dir);
    write_private(&config, render(settings, sync, &dir.join("store"), &producers::load(dir)?).as_bytes())?;
    account::give(&config, account)
}

/// The port and token of the last start; another port if that one is taken by now.
fn settings(dir: &Path) -> Result<Settings, StackError> {
    let path = dir.join("settings.json");
    let kept = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Settings>(&text).ok());
    // Both are held until both are known, or one could be chosen twice.
    let (port, held) = free_port(kept.as_ref().map(|kept| kept.port)).map_err(io(dir))?;
    let (health, _held) = free_port(kept.as_ref().map(|kept| kept.health)).map_err(io(dir))?;
    drop(held);
    if let Some(kept) = kept.as_ref().filter(|kept| (kept.port, kept.health) == (port, health)) {
        return Ok(kept.clone());
    }
    let token = kept.map_or_else(|| blake3::Hash::from_bytes(rand::random()).to_hex().to_string(), |kept| kept.token);
    let settings = Settings { port, token, health };
    let text = serde_json::to_vec(&settings).map_err(|error| io(&path)(error.into()))?;
    write_private(&path, &text)?;
    Ok(settings)
}

/// A port that is free, the wanted one if it is, and what keeps it for us.
fn free_port(wanted: Option<u16>) -> std::io::Result<(u16, TcpListener)> {
    let socket = TcpListener::bind(("127.0.0.1", wanted.unwrap_or(0))).or_else(|_| TcpListener::bind(("127.0.0.1", 0)))?;
    Ok((socket.local_addr()?.port(), socket))
}

fn render(settings: &Settings, sync: SyncInterval, store: &Path, producers: &[producers::Producer]) -> String {
    let Settings { port, token, health } = settings;
    let path = settings.path();
    // JSON's escapes are what the server's own format reads in quotes.
    let store = serde_json::Value::from(store.to_string_lossy().as_ref());
    let sync = match sync {
        SyncInterval::Always => "always".to_owned(),
        SyncInterval::Every(interval) => format!("\"{}ms\"", interval.as_millis()),
    };
    let producers: String = producers.iter().map(|producer| format!("    {}\n", producer.entry())).collect();
    format!(
        "# Written by odoo-agent at every start: a change here does not last.\n\
         host: \"127.0.0.1\"\nport: {port}\nhttp: \"127.0.0.1:{health}\"\nhttp_base_path: \"{path}\"\nmax_payload: 8MB\n\
         authorization {{\n  users: [\n    {{ user: \"{USER}\", password: \"{token}\" }}\n{producers}  ]\n}}\n\
         jetstream {{ store_dir: {store}, sync_interval: {sync} }}\n"
    )
}

/// Whether JetStream answers there, to our token.
pub(super) async fn check(url: &str) -> Result<(), String> {
    let login = url.strip_prefix("nats://").and_then(|rest| rest.split_once('@')).and_then(|(login, _)| login.split_once(':'));
    let address = url.rsplit('@').next().unwrap_or(url).to_owned();
    let options =
        async_nats::ConnectOptions::new().connection_timeout(Duration::from_secs(2)).request_timeout(Some(Duration::from_secs(2)));
    let options = match login {
        Some((user, password)) => options.user_and_password(user.to_owned(), password.to_owned()),
        None => options,
    };
    let client = options.connect(format!("nats://{address}")).await.map_err(|error| error.to_string())?;
    async_nats::jetstream::new(client).query_account().await.map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_is_kept_until_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let first = settings(dir.path()).unwrap();
        assert_eq!(settings(dir.path()).unwrap().port, first.port);
        let _taken = TcpListener::bind(("127.0.0.1", first.port)).unwrap();
        let second = settings(dir.path()).unwrap();
        assert_ne!(second.port, first.port);
        assert_eq!(second.token, first.token);
        assert_eq!(first.token.len(), 64);
    }
}
