//! `odoo-agent bench soak`: whether what a search leaves behind in memory is bounded.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::{open_to_all, page};
use crate::app::{App, SearchRequest};
use crate::cli::connect::connect;
use crate::cli::{Exit, show};
use crate::config::Config;
use crate::domain::TenantId;
use crate::knowledge::{KnownError, Purpose};

/// Between which marks a file takes the result.
const MARK: &str = "soak";
/// Searches after which a process has everything that it needs.
const WARM: u32 = 500;
/// Known errors that are searched in.
const KNOWN: u32 = 80;
/// Searches that run at the same time.
const AT_ONCE: u32 = 2;
/// Megabytes that the searches after the first may leave behind.
const MOST: f64 = 50.0;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of searches, each with a text of its own.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    searches: u32,
    /// Also write the result into this Markdown file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub async fn run(mut config: Config, args: Args) -> anyhow::Result<Exit> {
    args.write.as_ref().map(|file| page::check(file, MARK)).transpose()?;
    let tenant: TenantId = "default".parse()?;
    let folder = tempfile::Builder::new().prefix("odoo-agent-bench").permissions(open_to_all()).tempdir()?;
    config.data_dir = folder.path().to_owned();
    (config.queue.url, config.database.url) = (None, None);
    config.tenants.entry(tenant.clone()).or_default();
    let connected = connect(config).await?;
    let text = measure(&connected.app, &tenant, args.searches).await;
    connected.close().await;
    let text = text?;
    show::out(&text);
    args.write.as_ref().map(|file| page::write(file, MARK, &text)).transpose()?;
    Ok(Exit::Done)
}

async fn measure(app: &App, tenant: &TenantId, searches: u32) -> anyhow::Result<String> {
    let known: Vec<KnownError> = (0..KNOWN).map(known).collect();
    app.knowledge.keep_errors(tenant, &known).await?;
    app.knowledge.embed_texts(tenant, Purpose::Search, Arc::new(|_| {})).await?;
    let (mut rows, mut warm) = (String::new(), 0.0);
    let started = Instant::now();
    for number in (0..searches).step_by(AT_ONCE as usize) {
        let answers = (number..number + AT_ONCE).map(|number| app.answer(tenant, request(number)));
        futures::future::try_join_all(answers).await?;
        let done = number + AT_ONCE;
        if done == WARM {
            warm = resident()?;
        }
        if done.is_multiple_of(WARM) {
            show::line(&format!("{done} searches: {:.0} MiB", resident()?));
        }
        if done == WARM || done.is_multiple_of((searches / 8).max(WARM) / AT_ONCE * AT_ONCE) || done >= searches {
            rows.push_str(&format!("| {done} | {:.0} |\n", resident()?));
        }
    }
    let (end, seconds) = (resident()?, started.elapsed().as_secs_f64());
    let verdict = if end - warm <= MOST { "bounded" } else { "NOT bounded" };
    Ok(format!(
        "Measured {} by `odoo-agent bench soak --searches {searches}` with `{}`, {:.1} ms a search.\n\
         After the first {WARM} searches the process had {warm:.0} MiB, after the last {end:.0} MiB: {:+.0} MiB, **{verdict}** \
         (at most {MOST:.0} MiB more are allowed).\n\n| searches, each another text | MiB in memory |\n|---|---|\n{rows}",
        chrono::Utc::now().format("%Y-%m-%d"),
        app.knowledge.embedder_name(),
        seconds * 1000.0 / f64::from(searches),
        end - warm,
    ))
}

/// Words that differ from search to search, as many as number tells: a log is long, a question short.
fn words(number: u32) -> String {
    const WORDS: [&str; 12] =
        ["invoice", "partner", "stock", "move", "line", "currency", "journal", "picking", "product", "tax", "company", "sequence"];
    let count = 6 + number as usize * 7 % 90;
    (0..count)
        .map(|at| format!("{}_{}", WORDS[(at * 5 + number as usize) % WORDS.len()], number as usize * 31 % 9973 + at))
        .collect::<Vec<_>>()
        .join(" ")
}

fn request(number: u32) -> SearchRequest {
    let text = if number.is_multiple_of(3) {
        format!(
            "Traceback (most recent call last):\n  File \"/mnt/addons/shop/models/order.py\", line {number}, in go\n    x = {}\nValueError: order {number} of {}",
            words(number + 1),
            words(number)
        )
    } else {
        format!("why does {} fail when {number} is posted", words(number))
    };
    SearchRequest { text, filters: crate::knowledge::Filters::default(), limit: 10, pack: None }
}

fn known(number: u32) -> KnownError {
    KnownError {
        id: format!("known-{number}"),
        version: None,
        text: format!(
            "Traceback (most recent call last):\n  File \"/mnt/addons/shop/models/m{number}.py\", line 7, in go\nValueError: {}",
            words(number * 17)
        ),
        solution: format!("Give {} a value before it is posted. {}", words(number + 3), words(number + 5).repeat(2)),
    }
}

/// Mebibytes of this process that are in memory.
fn resident() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: f64 = line.and_then(|line| line.split_whitespace().next()).unwrap_or_default().parse()?;
    Ok(kibibytes / 1024.0)
}
