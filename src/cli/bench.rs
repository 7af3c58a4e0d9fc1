//! `odoo-agent bench`: what this machine does, measured, as a Markdown table.

use std::time::{Duration, Instant};

use chrono::Utc;

use super::{Exit, show};
use crate::config::Config;
use crate::domain::{Failure, JobKind, ModuleName, OdooVersion, RunId};
use crate::odoo::{self, Addon};
use crate::rules;
use crate::sandbox::{Engine, Owner, TestPlan};

/// How much log is read for the throughput.
const LOG_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rounds in the sandbox; the median is shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// The Odoo series.
    #[arg(long, value_name = "SERIES", default_value = "19.0")]
    odoo_version: OdooVersion,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    show::out(&format!("Measured on {}, {} CPUs\n", Utc::now().format("%Y-%m-%d"), std::thread::available_parallelism()?));
    show::out("| what | result |\n|---|---|");
    let sample = sample()?;
    read(&sample);
    sandbox(config, &args, &sample).await?;
    Ok(Exit::Done)
}

/// The example of the job kind: a log, and an addon that prints it.
struct Sample {
    log: String,
    addon: Addon,
}

fn sample() -> anyhow::Result<Sample> {
    let example: serde_json::Value = serde_json::from_str(JobKind::DebugError.example())?;
    let module: ModuleName = example["module"].as_str().unwrap_or_default().parse()?;
    let manifest =
        format!("{{'name': '{module}', 'version': '19.0.1.0.0', 'license': 'LGPL-3', 'depends': ['base'], 'data': ['v.xml']}}\n");
    let view = "<odoo>\n  <record id=\"v\" model=\"ir.ui.view\">\n    <field name=\"name\">v</field>\n    <field name=\"model\">res.partner</field>\n    \
                <field name=\"arch\" type=\"xml\"><tree><field name=\"name\"/></tree></field>\n  </record>\n</odoo>\n";
    let files = [("__init__.py", String::new()), ("__manifest__.py", manifest), ("v.xml", view.to_owned())];
    let files = files.into_iter().map(|(name, text)| Ok((format!("{module}/{name}").parse()?, text.into_bytes())));
    let files: Result<Vec<_>, crate::domain::PatchError> = files.collect();
    Ok(Sample { log: example["log"].as_str().unwrap_or_default().to_owned(), addon: Addon::new(module, files?) })
}

/// One core: entries, tracebacks, classes, fingerprints.
fn read(sample: &Sample) {
    let log = sample.log.repeat(LOG_BYTES / sample.log.len().max(1));
    let started = Instant::now();
    let found = odoo::occurrences(&log);
    let rate = log.len() as f64 / started.elapsed().as_secs_f64() / 1e6;
    let errors: u32 = found.iter().map(|(_, times)| times).sum();
    show::out(&format!("| reading a log, one core | {rate:.0} MB/s ({errors} errors in {} MB) |", log.len() / 1_000_000));
}

/// A whole proof: open, before, rule, after, close.
async fn sandbox(config: &Config, args: &Args, sample: &Sample) -> anyhow::Result<()> {
    let engine = Engine::new(&config.sandbox);
    engine.ensure_image(&args.odoo_version, &|text| show::line(&format!("  image       {text}"))).await.map_err(Failure::from)?;
    let (mut open, mut before, mut after, mut close) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let deadline = Utc::now() + Duration::from_secs(600);
        let owner = Owner { run: RunId::generate(), tenant: "local".parse()?, instance: "bench".to_owned(), deadline };
        let started = Instant::now();
        let mut sandbox = engine.open(&args.odoo_version, &owner).await.map_err(Failure::from)?;
        open.push(started.elapsed().as_secs_f64());
        let broken = sandbox.test(&TestPlan { module: sample.addon.name(), also: &[], addons: std::slice::from_ref(&sample.addon) }).await;
        let broken = broken.map_err(Failure::from)?;
        before.push(broken.seconds);
        let report = odoo::reports(&broken.log).into_iter().next().ok_or_else(|| anyhow::anyhow!("the sample is not broken any more"))?;
        let case = rules::Case { report: &report, addon: &sample.addon, version: &args.odoo_version };
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
