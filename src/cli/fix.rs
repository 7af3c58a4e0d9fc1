//! `odoo-agent fix`: one error, start to end, in this process.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::connect::connect;
use super::{Exit, show};
use crate::addons::Folder;
use crate::app::App;
use crate::config::Config;
use crate::domain::{
    ErrorReport, Failure, FailureKind, Job, JobKind, ModuleName, OdooVersion, Progress, RunId, Submitter, TenantId, Verdict,
};
use crate::runs::{self, Claim};
use crate::worker::{Told, Worker, execute, recover};
use crate::{ingest, odoo};

/// The largest log that is read, in bytes.
const MAX_LOG: u64 = 64 * 1024 * 1024;
/// How long a run counts as worked on after its command was last heard of.
const LEASE: Duration = Duration::from_secs(30);
/// The longest that is spent on what an earlier command left behind.
const TIDYING: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The log that Odoo printed; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// An addons folder. May be given several times: only the first may be changed, the others are there to be depended on.
    #[arg(long, value_name = "DIR", required = true)]
    addons: Vec<PathBuf>,
    /// Write a fix that is trusted enough, with backups. `rollback` takes it back.
    #[arg(long)]
    apply: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// The addon to mend, where the log does not tell.
    #[arg(long)]
    module: Option<ModuleName>,
    /// The Odoo series, where the log does not tell.
    #[arg(long, value_name = "SERIES")]
    odoo_version: Option<OdooVersion>,
    /// Whose knowledge and limits count.
    #[arg(long, default_value = "default")]
    tenant: TenantId,
}

pub async fn run(mut config: Config, args: Args) -> anyhow::Result<Exit> {
    let log = read(&args.log)?;
    let there = names(&args.addons)?;
    let error = pick(&log, args.module.as_ref(), &there)?;
    // The person at the keyboard says which folders: for this process they are the tenant's.
    config.tenants.entry(args.tenant.clone()).or_default().addons.clone_from(&args.addons);

    let job = job(&error, &args.addons, args.apply, args.odoo_version.as_ref(), args.tenant);
    let connected = connect(config).await?;
    let worker = Worker::new(connected.app.clone());
    tidy(worker.app()).await;
    let result = until_interrupted(&worker, &job).await;
    drop(worker);
    connected.close().await;
    let result = result?;
    if args.json {
        show::out(&result.to_string());
    } else {
        show::result(&result);
    }
    Ok(show::exit_of(&result))
}

/// Ends the runs, and removes the containers, that a command left behind which was killed. Nobody else may be there to do it.
async fn tidy(app: &App) {
    let tidied = async {
        if let Err(error) = recover(app, Duration::ZERO).await {
            tracing::debug!(%error, "what earlier commands left behind was not looked at");
        }
        if let Err(error) = app.sandbox.sweep().await {
            tracing::debug!(%error, "no containers were swept");
        }
    };
    if tokio::time::timeout(TIDYING, tidied).await.is_err() {
        tracing::debug!("tidying up took too long; it is left to a worker");
    }
}

/// The job of mending one error.
pub(super) fn job(error: &ErrorReport, addons: &[PathBuf], apply: bool, version: Option<&OdooVersion>, tenant: TenantId) -> Job {
    let mut payload = json!({ "report": error, "addons": addons, "apply": apply });
    if let Some(version) = version {
        payload["odoo_version"] = json!(version);
    }
    Job { run_id: RunId::generate(), tenant, kind: JobKind::DebugError, payload }
}

/// The addons of the folder that may be changed. Every folder must hold some.
pub(super) fn names(folders: &[PathBuf]) -> Result<BTreeSet<ModuleName>, Failure> {
    let bad = |error: crate::addons::AddonsError| Failure::bad_input(error.to_string());
    let folders = folders.iter().map(|path| Folder::open(path)).collect::<Result<Vec<_>, _>>().map_err(bad)?;
    folders.first().map_or_else(|| Ok(BTreeSet::new()), Folder::names).map_err(bad)
}

/// The error that the log is about: of several the most severe, or that of the addon that was named; else one of an addon that may be
/// changed, for a log tells of all that a server runs.
pub(super) fn pick(log: &str, module: Option<&ModuleName>, there: &BTreeSet<ModuleName>) -> Result<ErrorReport, Failure> {
    let reports = odoo::reports(log);
    let wanted = |report: &ErrorReport| match module {
        Some(module) => report.module.as_ref() == Some(module),
        None => report.module.as_ref().is_some_and(|module| there.contains(module)),
    };
    let index = reports.iter().position(wanted).unwrap_or(0);
    let mut report = reports.into_iter().nth(index).ok_or_else(|| {
        Failure::bad_input(
            "there is no Odoo error in the log: give the text from the line with ERROR or CRITICAL to the end of its traceback",
        )
    })?;
    if let Some(module) = module {
        report.module = Some(module.clone());
    }
    Ok(report)
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let named = path.display();
    if path == Path::new("-") {
        std::io::stdin().take(MAX_LOG + 1).read_to_end(&mut bytes).context("standard input cannot be read")?;
    } else {
        let file = std::fs::File::open(path).map_err(|error| Failure::bad_input(format!("the log {named} cannot be read: {error}")))?;
        file.take(MAX_LOG + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::bad_input(format!("the log {named} cannot be read: {error}")))?;
    }
    if bytes.len() as u64 > MAX_LOG {
        return Err(Failure::bad_input(format!("the log {named} is larger than {} MiB: cut it around the error", MAX_LOG >> 20)).into());
    }
    ingest::check_file(&bytes).map_err(|error| Failure::bad_input(format!("the log {named}: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// At a signal the attempt is cut off as a worker's would be: its container is removed and its run ended. What is being written is
/// written to its end.
pub(super) async fn until_interrupted(worker: &Worker, job: &Job) -> anyhow::Result<Value> {
    let mut term = signal(SignalKind::terminate())?;
    let mut ended = std::pin::pin!(attempts(worker, job));
    tokio::select! {
        result = &mut ended => return result,
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
    show::line("interrupted: removing the sandbox");
    worker.hand_back();
    if let Ok(Ok(result)) = tokio::time::timeout(Duration::from_secs(15), &mut ended).await {
        return Ok(result);
    }
    // Between two attempts the run waits, and nobody else will ever take it.
    worker.app().refuse(job, "interrupted").await?;
    Err(anyhow::anyhow!("interrupted"))
}

/// The same attempt as a worker's, without a message behind it: this process waits where a worker would hand back.
async fn attempts(worker: &Worker, job: &Job) -> anyhow::Result<Value> {
    let app = worker.app();
    // The claim writes the row, as published at once: no worker is to take it.
    App::check(job.kind, &job.payload)?;
    let told: Told = Arc::new(|step: &Progress| show::line(&format!("  {:<11} {}", step.step, step.message)));
    loop {
        // As long as a worker's: what is killed counts as gone soon after.
        let lease = app.config.queue.ack_wait.mul_f64(0.9).min(LEASE);
        let (token, number) = match runs::claim_in_process(&app.db, job, "fix", lease).await.map_err(Failure::from)? {
            Claim::Granted { token, attempt } => (token, attempt),
            Claim::Held { for_ } => {
                tokio::time::sleep(for_).await;
                continue;
            }
            Claim::Finished => anyhow::bail!("the run has ended already"),
        };
        let failure = match execute(worker, job, token, number, Some(told.clone()), || async {}).await {
            Ok(result) => return Ok(result),
            Err(failure) => failure,
        };
        match failure.verdict(job.kind, number, 0.5) {
            Verdict::Retry(wait) if failure.kind == FailureKind::Bug => {
                show::line(&format!("  {:<11} {failure}; once more in {} s", "retry", wait.as_secs()));
                runs::release(&app.db, &job.tenant, job.run_id, token, true).await.map_err(Failure::from)?;
                tokio::time::sleep(wait).await;
            }
            // A person waits: what is away now is said now.
            _ => {
                app.give_up(job, token, &failure).await?;
                return Err(failure.into());
            }
        }
    }
}
