//! `odoo-agent bench`: what this machine does, measured, as Markdown tables.

mod errors;
mod knowledge;
mod labelled;
mod log;
mod mask;
mod page;
mod sandbox;
mod soak;
mod tenants;
mod traps;

use std::time::{Duration, Instant};

use chrono::Utc;

use super::{Exit, show};
use crate::config::Config;
use crate::domain::{Failure, OdooVersion, RunId};
use crate::odoo::source::Index;
use crate::rules;
use crate::sandbox::{Engine, Owner, TestPlan};

use log::Sample;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    only: Option<Only>,
    /// Rounds in the sandbox; the median is shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// The Odoo series.
    #[arg(long, value_name = "SERIES", default_value = "19.0")]
    odoo_version: OdooVersion,
}

/// Without one of these: reading a log, and one proof from the log to the mended addon.
#[derive(Debug, clap::Subcommand)]
enum Only {
    /// Reading a log.
    Log,
    /// What is read out of broken addons' logs, and how many are mended.
    Errors(errors::Args),
    /// Cases in which the obvious answer is wrong, and their twins in which it is right: what is called fixed.
    Traps(traps::Args),
    /// How well and how fast the knowledge base finds.
    Knowledge(knowledge::Args),
    /// The cost of proving whose a transaction of the database is.
    Tenants(tenants::Args),
    /// The mask: recall on planted secrets, false masks, throughput.
    Mask(mask::Args),
    /// Whether what searches leave behind in memory is bounded.
    Soak(soak::Args),
    /// Verifying real addons: a naive run from nothing, ours, and the floor, side by side; and what twenty runs leave behind.
    Sandbox(sandbox::Args),
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    match args.only {
        Some(Only::Sandbox(args)) => return sandbox::run(config, args).await,
        Some(Only::Errors(args)) => return Box::pin(errors::run(config.clone(), args)).await,
        Some(Only::Traps(args)) => return Box::pin(traps::run(config.clone(), args)).await,
        Some(Only::Tenants(args)) => return Box::pin(tenants::run(config, args)).await,
        Some(Only::Knowledge(args)) => return Box::pin(knowledge::run(config, args)).await,
        Some(Only::Mask(args)) => return mask::run(&args),
        Some(Only::Soak(args)) => return Box::pin(soak::run(config.clone(), args)).await,
        Some(Only::Log) | None => {}
    }
    show::out(&format!("Measured on {}, {} CPUs\n", Utc::now().format("%Y-%m-%d"), std::thread::available_parallelism()?));
    show::out("| what | result |\n|---|---|");
    let sample = log::sample()?;
    log::read(&sample);
    if args.only.is_none() {
        proof(config, &args, &sample).await?;
    }
    Ok(Exit::Done)
}

/// A whole proof: open, before, rule, after, close.
async fn proof(config: &Config, args: &Args, sample: &Sample) -> anyhow::Result<()> {
    let engine = Engine::new(&config.sandbox);
    engine.ensure_image(&args.odoo_version, &|text| show::line(&format!("  image       {text}"))).await.map_err(Failure::from)?;
    let (mut open, mut before, mut after, mut close) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let started = Instant::now();
        let mut sandbox = engine.open(&args.odoo_version, &owner()?).await.map_err(Failure::from)?;
        open.push(started.elapsed().as_secs_f64());
        let broken = sandbox.test(&TestPlan { module: sample.addon.name(), also: &[], addons: std::slice::from_ref(&sample.addon) }).await;
        let broken = broken.map_err(Failure::from)?;
        before.push(broken.seconds);
        let report =
            crate::odoo::reports(&broken.log).into_iter().next().ok_or_else(|| anyhow::anyhow!("the sample is not broken any more"))?;
        let case = rules::Case { report: &report, addon: &sample.addon, version: &args.odoo_version, index: Index::default() };
        let fix = rules::propose(&case).into_iter().next().ok_or_else(|| anyhow::anyhow!("no rule mends the sample any more"))?;
        let mended = sample.addon.with(&fix.patch);
        let fixed = sandbox
            .test(&TestPlan { module: mended.name(), also: &[], addons: std::slice::from_ref(&mended) })
            .await
            .map_err(Failure::from)?;
        after.push(fixed.seconds);
        let started = Instant::now();
        sandbox.close().await.map_err(Failure::from)?;
        close.push(started.elapsed().as_secs_f64());
    }
    for (what, seconds) in [
        ("opening a sandbox", open),
        ("an addon on `base` that fails to install", before),
        ("the same, mended, installed", after),
        ("closing the sandbox", close),
    ] {
        show::out(&format!("| {what} (median of {}) | {:.1} s |", args.rounds, median(seconds)));
    }
    Ok(())
}

/// PostgreSQL runs as a user of its own, who must get to its folder.
fn open_to_all() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

/// Whose the sandboxes of a measurement are.
fn owner() -> anyhow::Result<Owner> {
    let deadline = Utc::now() + Duration::from_secs(900);
    Ok(Owner { run: RunId::generate(), tenant: "local".parse()?, instance: "bench".to_owned(), deadline })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
