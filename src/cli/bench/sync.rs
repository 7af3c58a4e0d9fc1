//! `odoo-agent bench sync`: what it costs to have accepted events on the disk itself, for each setting of `queue.sync_interval`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};

use super::{open_to_all, page};
use crate::cli::{Exit, show};
use crate::config::Config;
use crate::domain::{EventId, TenantId};
use crate::queue::{self, Queue};
use crate::stack::{self, Stack, SyncInterval};

/// Between which marks a file takes the result.
const MARK: &str = "sync";
/// Bytes of one event: a usual traceback.
const EVENT: usize = 8 * 1024;
/// How many publish at once.
const CALLERS: [usize; 3] = [1, 16, 64];
/// Room for all that is published with one setting.
const ROOM: i64 = 2 * 1024 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long each setting is measured with each number of callers, in seconds.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
    seconds: u64,
    /// Also write the result into this Markdown file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    args.write.as_ref().map(|file| page::check(file, MARK)).transpose()?;
    let settings = [
        ("120 s, the server's own default", SyncInterval::Every(Duration::from_secs(120))),
        ("0.5 s, the default here", SyncInterval::default()),
        ("0: each message", SyncInterval::Always),
    ];
    let mut table = format!(
        "Measured {}, {} CPUs: events of 8 KiB, each acknowledged, {} s a figure (`odoo-agent bench sync`).\n\n\
         | `queue.sync_interval` | a power loss takes | 1 caller | 16 callers | 64 callers |\n|---|---|---|---|---|\n",
        Utc::now().format("%Y-%m-%d"),
        std::thread::available_parallelism()?,
        args.seconds
    );
    for (name, sync) in settings {
        show::line(&format!("  measuring   {name}"));
        let figures = measure(config, sync, Duration::from_secs(args.seconds)).await?;
        let lost = match sync {
            SyncInterval::Always => "nothing".to_owned(),
            SyncInterval::Every(interval) => format!("up to {} s", interval.as_secs_f64()),
        };
        writeln!(table, "| {name} | {lost} | {} |", figures.join(" | "))?;
    }
    let table = table.trim_end();
    show::out(table);
    if let Some(file) = &args.write {
        page::write(file, MARK, table)?;
    }
    Ok(Exit::Done)
}

/// Rates and times with one setting, for each number of callers, on a server of its own.
async fn measure(config: &Config, sync: SyncInterval, time: Duration) -> anyhow::Result<Vec<String>> {
    let folder = tempfile::Builder::new().prefix("odoo-agent-bench").permissions(open_to_all()).tempdir()?;
    let wanted =
        stack::Config { data_dir: folder.path().to_owned(), runtime_dir: config.runtime_dir.clone(), nats: true, postgres: false, sync };
    let stack = Box::pin(Stack::start(&wanted)).await.context("the embedded stack did not start")?;
    let settings = queue::Config { url: stack.nats_url().map(str::to_owned), ingest_max_bytes: ROOM, ..queue::Config::default() };
    let queue = Queue::connect(&settings).await?;
    queue.ensure_topology().await?;
    let mut figures = Vec::new();
    for callers in CALLERS {
        figures.push(publish(&queue, callers, time).await?);
    }
    drop(queue);
    stack.stop(Duration::from_secs(5)).await;
    Ok(figures)
}

async fn publish(queue: &Queue, callers: usize, time: Duration) -> anyhow::Result<String> {
    let tenant: TenantId = "bench".parse()?;
    let body = Bytes::from(vec![b'x'; EVENT]);
    let started = Instant::now();
    let one = |_| async {
        let mut waits = Vec::new();
        while started.elapsed() < time {
            let asked = Instant::now();
            queue.publish_raw(&tenant, "odoo_log", EventId::generate(), body.clone()).await?;
            waits.push(asked.elapsed());
        }
        Ok::<_, queue::QueueError>(waits)
    };
    let waits: Vec<Vec<Duration>> = stream::iter(0..callers).map(one).buffer_unordered(callers).try_collect().await?;
    let taken = started.elapsed().as_secs_f64();
    let mut waits: Vec<Duration> = waits.into_iter().flatten().collect();
    waits.sort_unstable();
    let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    Ok(format!("{:.0}/s, p50 {:.1} ms, p99 {:.1} ms", waits.len() as f64 / taken, at(0.50), at(0.99)))
}
