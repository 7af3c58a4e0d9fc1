//! The private nats-server.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::account::{self, Account};
use super::process::{Program, Supervised, ready};
use super::{Paths, StackError, binaries, blocking, io, write_private};

/// What is kept from one start to the next.
#[derive(Clone, Serialize, Deserialize)]
struct Settings {
    port: u16,
    token: String,
}

/// Starts it and waits until JetStream answers; gives its address with the token.
pub(super) async fn start(runtime: &Path, paths: &Paths, account: Option<&Account>) -> Result<(String, Supervised), StackError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (url, program) = {
            let (runtime, paths, account) = (runtime.to_owned(), paths.clone(), account.cloned());
            blocking(move || prepare(&runtime, &paths, account)).await?
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

fn prepare(runtime: &Path, paths: &Paths, account: Option<Account>) -> Result<(String, Program), StackError> {
    let path = binaries::nats_server(runtime)?;
    if let Some(account) = &account {
        account.reaches(&path)?;
    }
    let settings = settings(&paths.nats)?;
    let config = paths.nats.join("nats.conf");
    write_private(&config, render(&settings, &paths.nats.join("store")).as_bytes())?;
    account::give(&config, account.as_ref())?;
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
    };
    Ok((format!("nats://{}@127.0.0.1:{}", settings.token, settings.port), program))
}

/// The port and token of the last start; another port if that one is taken by now.
fn settings(dir: &Path) -> Result<Settings, StackError> {
    let path = dir.join("settings.json");
    let kept = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Settings>(&text).ok());
    if let Some(kept) = kept.as_ref().filter(|kept| TcpListener::bind(("127.0.0.1", kept.port)).is_ok()) {
        return Ok(kept.clone());
    }
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr()).map_err(io(dir))?.port();
    let token = kept.map_or_else(|| blake3::Hash::from_bytes(rand::random()).to_hex().to_string(), |kept| kept.token);
    let settings = Settings { port, token };
    let text = serde_json::to_vec(&settings).map_err(|error| io(&path)(error.into()))?;
    write_private(&path, &text)?;
    Ok(settings)
}

fn render(settings: &Settings, store: &Path) -> String {
    let Settings { port, token } = settings;
    // JSON's escapes are what the server's own format reads in quotes.
    let store = serde_json::Value::from(store.to_string_lossy().as_ref());
    format!(
        "# Written by odoo-agent at every start: a change here does not last.\n\
         host: \"127.0.0.1\"\nport: {port}\nmax_payload: 8MB\nauthorization {{ token: \"{token}\" }}\n\
         jetstream {{ store_dir: {store} }}\n"
    )
}

/// Whether JetStream answers there, to our token.
pub(super) async fn check(url: &str) -> Result<(), String> {
    let token = url.strip_prefix("nats://").and_then(|rest| rest.split_once('@')).map(|(token, _)| token.to_owned());
    let address = url.rsplit('@').next().unwrap_or(url).to_owned();
    let options =
        async_nats::ConnectOptions::new().connection_timeout(Duration::from_secs(2)).request_timeout(Some(Duration::from_secs(2)));
    let options = token.into_iter().fold(options, async_nats::ConnectOptions::token);
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
