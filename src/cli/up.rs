//! `odoo-agent up`, and its parts as roles of their own: `serve`, `work` and `schedule`.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::connect::connect;
use super::{Exit, key, show};
use crate::api;
use crate::app::{App, Authenticated};
use crate::config::Config;
use crate::domain::TenantId;
use crate::scheduler;
use crate::tenants::keys::NewKey;
use crate::worker::Worker;

/// How long a service waits at its end for commands that work on its servers.
const GRACE: Duration = Duration::from_secs(10);

/// API, worker and scheduler in one process.
pub async fn up(config: Config) -> anyhow::Result<Exit> {
    scheduler::Table::load(config.schedule.as_deref())?;
    let listener = listen(&config).await?;
    let key_file = config.data_dir.join("api-key");
    let connected = connect(config).await?;
    first_key(&connected.app, &key_file).await?;
    let stop = on_signal()?;
    let worker = Worker::new(connected.app.clone());
    show::line(&format!("odoo-agent is up: http://{}  (API key in {})", listener.local_addr()?, key_file.display()));
    let served = api::serve(connected.app.clone(), listener, stop.clone().cancelled_owned());
    let scheduled = scheduler::run(&connected.app, stop.clone().cancelled_owned());
    let (served, (), scheduled) = tokio::join!(served, worker.run(stop.clone().cancelled_owned()), scheduled);
    drop(worker);
    connected.close_within(GRACE).await;
    served?;
    scheduled?;
    Ok(Exit::Done)
}

/// The API alone.
pub async fn serve(config: Config) -> anyhow::Result<Exit> {
    let listener = listen(&config).await?;
    let connected = connect(config).await?;
    show::line(&format!("the API is up: http://{}", listener.local_addr()?));
    let served = api::serve(connected.app.clone(), listener, on_signal()?.cancelled_owned()).await;
    connected.close_within(GRACE).await;
    served?;
    Ok(Exit::Done)
}

/// A worker alone.
pub async fn work(config: Config) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let worker = Worker::new(connected.app.clone());
    show::line("the worker is up");
    worker.run(on_signal()?.cancelled_owned()).await;
    drop(worker);
    connected.close_within(GRACE).await;
    Ok(Exit::Done)
}

/// The scheduler alone. Several may run: each tick is submitted once.
pub async fn schedule(config: Config) -> anyhow::Result<Exit> {
    scheduler::Table::load(config.schedule.as_deref())?;
    let connected = connect(config).await?;
    show::line("the scheduler is up");
    let ended = scheduler::run(&connected.app, on_signal()?.cancelled_owned()).await;
    connected.close_within(GRACE).await;
    ended?;
    Ok(Exit::Done)
}

async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let bind = config.api.bind;
    TcpListener::bind(bind).await.with_context(|| format!("the API cannot listen on {bind}: choose another address with api.bind"))
}

/// The tenant `default` gets a key at the first start, kept where only its owner can read it.
async fn first_key(app: &App, file: &Path) -> anyhow::Result<()> {
    let tenant: TenantId = "default".parse()?;
    if let Ok(kept) = std::fs::read_to_string(file)
        && matches!(app.authenticate(kept.trim()).await?, Authenticated::Valid { .. })
    {
        return Ok(());
    }
    let made = key::create(app, &tenant, NewKey::named("made by up")).await?;
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create(true).truncate(true), 0o600);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut opened = options.open(file).with_context(|| format!("the API key cannot be kept in {}", file.display()))?;
    writeln!(opened, "{made}")?;
    Ok(())
}

/// Done at the first SIGTERM or SIGINT.
pub(super) fn on_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(token)
}
