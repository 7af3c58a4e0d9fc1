//! `odoo-agent bench knowledge`: how well and how fast the knowledge base finds, over made-up texts of any number and over real sources with
//! queries whose answers are known.

mod exact;
mod load;
mod made;
mod near;
mod neighbours;
mod own;
mod plain;
mod score;
mod sources;
mod table;
mod times;
mod whole;

use std::path::PathBuf;

use super::{page, show};
use crate::cli::Exit;
use crate::config::Config;
use crate::domain::{OdooVersion, TenantId};
use crate::knowledge::Embedder;
use crate::sandbox::Engine;

pub(super) use own::Own;

/// How many texts are made up where nothing else is said.
const CHUNKS: u32 = 20_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder of queries with known answers, `*.jsonl`.
    #[arg(long, value_name = "DIR")]
    queries: Option<PathBuf>,
    /// Odoo's own sources, which the queries are about.
    #[arg(long, value_name = "DIR")]
    core: Option<PathBuf>,
    /// Addons of the OCA, which the queries are about.
    #[arg(long, value_name = "DIR")]
    oca: Option<PathBuf>,
    /// Past errors, which the queries are about: one `{id, version, text, solution}` a line.
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// How many texts are made up and searched; may be given several times. 20000 unless there are sources.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1_000..=5_000_000))]
    chunks: Vec<u32>,
    /// The Odoo series of the sources.
    #[arg(long, value_name = "SERIES", default_value = "19.0")]
    odoo_version: OdooVersion,
    /// A Markdown file whose parts between marks are replaced by what was measured.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

impl Args {
    fn has_sources(&self) -> bool {
        self.core.is_some() || self.oca.is_some() || self.errors.is_some()
    }

    /// The mark of each number of texts is its own, because the large ones take an hour.
    fn mark(chunks: u32) -> String {
        format!("knowledge {chunks}")
    }
}

/// Between which marks a file takes what was measured over sources.
const SOURCES: &str = "knowledge sources";

pub async fn run(config: &Config, mut args: Args) -> anyhow::Result<Exit> {
    if args.chunks.is_empty() && !args.has_sources() {
        args.chunks.push(CHUNKS);
    }
    if let Some(file) = &args.write {
        let marks = args.chunks.iter().map(|chunks| Args::mark(*chunks)).chain(args.has_sources().then(|| SOURCES.to_owned()));
        marks.into_iter().try_for_each(|mark| page::check(file, &mark))?;
    }
    let embedder = Embedder::open(&config.knowledge.embedder, &config.runtime_dir)?;
    let own = Own::start(config).await?;
    let measured = Box::pin(all(config, &own, &args, &embedder)).await;
    own.stop().await;
    measured?;
    Ok(Exit::Done)
}

async fn all(config: &Config, own: &Own, args: &Args, embedder: &Embedder) -> anyhow::Result<()> {
    let tenant: TenantId = "default".parse()?;
    if args.has_sources() {
        let text = sources::measure(own, args, embedder, &tenant, &Engine::new(&config.sandbox)).await?;
        told(args, SOURCES, &text)?;
    }
    for chunks in &args.chunks {
        let name = format!("made_{chunks}");
        let database = own.database(&name, &tenant).await?;
        let loaded = load::load(&database, *chunks).await?;
        let near = near::measure(&database, &tenant, embedder, &loaded).await?;
        let whole = whole::measure(&database, &tenant, embedder, &loaded).await?;
        let neighbours = neighbours::measure(&database, &tenant, embedder, &loaded).await?;
        database.db.close().await;
        own.drop_database(&name).await?;
        told(args, &Args::mark(*chunks), &table::made(&loaded, &near, &whole, &neighbours))?;
    }
    Ok(())
}

/// Prints a result, and writes it where it was asked for.
fn told(args: &Args, mark: &str, text: &str) -> anyhow::Result<()> {
    show::out(text);
    args.write.as_ref().map(|file| page::write(file, mark, text)).transpose()?;
    Ok(())
}
