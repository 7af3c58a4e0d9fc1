//! `odoo-agent search`: the code that must be read, and what worked before.

use std::io::BufRead;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;

use super::connect::connect;
use super::{Exit, fix, show};
use crate::app::App;
use crate::config::Config;
use crate::domain::{Failure, TenantId};
use crate::knowledge::{Filters, Hit, Query};

/// The bytes of one line of a batch.
const MAX_LINE: usize = 1024 * 1024;
/// The lines of a text that are shown of one answer.
const SHOWN: usize = 12;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to look for: a question, a message, what a module does.
    #[arg(required_unless_present_any = ["log", "batch"])]
    text: Option<String>,
    /// A log or traceback to look for; `-` reads standard input. With a text, both count.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Many queries: a line each of `{"qid", "text", "filters"}`; prints `{"qid", "took_ms", "results"}` a line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "log"])]
    batch: Option<PathBuf>,
    /// Only these: core, oca, errors, custom, tickets.
    #[arg(long, value_name = "TYPE")]
    doc_type: Vec<String>,
    /// Only of these addons.
    #[arg(long, value_name = "MODULE")]
    module: Vec<String>,
    /// Only of this Odoo series.
    #[arg(long, value_name = "SERIES")]
    version: Option<String>,
    /// Only of what this addon is or depends on.
    #[arg(long, value_name = "MODULE")]
    closure: Option<String>,
    /// Only of these kinds: method, class, view, module, `known_error` …
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// The most answers.
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// Whose knowledge is searched beside what everybody may see.
    #[arg(long, default_value = "default")]
    tenant: TenantId,
    /// Print one JSON object; of a batch one a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
struct Line {
    qid: serde_json::Value,
    text: String,
    #[serde(default)]
    filters: Filters,
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let ended = match &args.batch {
        Some(file) => batch(&connected.app, &args, file).await,
        None => one(&connected.app, &args).await,
    };
    connected.close().await;
    ended
}

async fn one(app: &App, args: &Args) -> anyhow::Result<Exit> {
    let log = args.log.as_ref().map(|path| fix::read(path)).transpose()?;
    let text: Vec<String> = args.text.clone().into_iter().chain(log).collect();
    let filters = Filters {
        doc_type: args.doc_type.clone(),
        module: args.module.clone(),
        version: args.version.clone(),
        closure: args.closure.clone(),
        kind: args.kind.clone(),
    };
    let query = Query { text: text.join("\n"), filters, limit: args.limit };
    let started = Instant::now();
    let results = app.search(&args.tenant, &query).await?;
    let took_ms = started.elapsed().as_secs_f64() * 1000.0;
    if args.json {
        show::out(&json!({ "took_ms": took_ms, "results": results }).to_string());
    } else if results.is_empty() {
        show::out("nothing was found; `odoo-agent index` brings sources in");
    } else {
        results.iter().for_each(|hit| show::out(&for_people(hit)));
    }
    Ok(Exit::Done)
}

async fn batch(app: &App, args: &Args, file: &PathBuf) -> anyhow::Result<Exit> {
    let file = std::fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut reader = std::io::BufReader::new(file);
    let mut buffer = Vec::new();
    for number in 1_usize.. {
        buffer.clear();
        let read = std::io::Read::take(&mut reader, MAX_LINE as u64 + 1).read_until(b'\n', &mut buffer)?;
        if read == 0 {
            break;
        }
        if read > MAX_LINE {
            return Err(Failure::bad_input(format!("line {number} has more than {MAX_LINE} bytes")).into());
        }
        if buffer.trim_ascii().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_slice(&buffer)
            .map_err(|error| Failure::bad_input(format!("line {number} is no {{\"qid\", \"text\", \"filters\"}}: {error}")))?;
        let query = Query { text: line.text, filters: line.filters, limit: args.limit };
        let started = Instant::now();
        let results = app.search(&args.tenant, &query).await?;
        let took_ms = started.elapsed().as_secs_f64() * 1000.0;
        show::out(&json!({ "qid": line.qid, "took_ms": took_ms, "results": results }).to_string());
    }
    Ok(Exit::Done)
}

fn for_people(hit: &Hit) -> String {
    let text = |text: &Option<String>| show::clean(text.as_deref().unwrap_or("-"));
    let place = match (&hit.path, hit.start_line, hit.end_line) {
        (Some(path), Some(start), Some(end)) => format!("{path}:{start}-{end}"),
        _ => hit.r#ref.clone(),
    };
    let lines: Vec<String> = hit.text.lines().take(SHOWN).map(|line| format!("    {}", show::clean(line))).collect();
    format!(
        "{:.2}  {}  {}\n      {} {} {}  ({})\n{}\n",
        hit.score,
        show::clean(&place),
        text(&hit.symbol),
        hit.doc_type,
        hit.kind,
        text(&hit.version),
        show::clean(&hit.why),
        lines.join("\n")
    )
}
