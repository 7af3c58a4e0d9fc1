//! `odoo-agent submit KIND FILE`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::connect::connect;
use super::{Exit, show};
use crate::config::Config;
use crate::domain::{Failure, Job, JobKind, RunId, TenantId};
use crate::ingest;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind of job: `debug_error`, `reindex` or `search_knowledge`.
    kind: JobKind,
    /// The payload, as JSON.
    file: PathBuf,
    /// Whose job it is.
    #[arg(long, default_value = "default")]
    tenant: TenantId,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let file = args.file.display();
    let text = std::fs::read(&args.file).map_err(|error| Failure::bad_input(format!("{file} cannot be read: {error}")))?;
    let payload: Value = serde_json::from_slice(&text).map_err(|error| Failure::bad_input(format!("{file} is not JSON: {error}")))?;
    let connected = connect(config).await?;
    let payload = ingest::recompute_fingerprint(ingest::masked(payload));
    let job = Job { run_id: RunId::generate(), tenant: args.tenant, kind: args.kind, payload };
    let submitted = connected.app.submit(&job, None).await;
    connected.close().await;
    let submitted = submitted?;
    if args.json {
        show::out(&json!(submitted).to_string());
    } else {
        show::out(&submitted.run_id.to_string());
    }
    Ok(Exit::Done)
}
