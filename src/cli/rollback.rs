//! `odoo-agent rollback RUN`: takes back what a run has written.

use serde_json::json;

use super::connect::connect;
use super::{Exit, show};
use crate::app::{Actor, Rollback};
use crate::config::Config;
use crate::domain::{RunId, TenantId};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run whose fix was applied.
    run: RunId,
    /// Whose run it is.
    #[arg(long, default_value = "default")]
    tenant: TenantId,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let done = connected.app.roll_back(&args.tenant, args.run, Actor::Operator).await;
    connected.close().await;
    let text = match done? {
        Rollback::Done(done) if args.json => {
            json!({ "run_id": args.run, "rolled_back": true, "restored": done.restored, "removed": done.removed }).to_string()
        }
        Rollback::Done(done) => {
            let restored = done.restored.iter().map(|path| format!("restored    {path}"));
            let removed = done.removed.iter().map(|path| format!("removed     {path}"));
            restored.chain(removed).collect::<Vec<_>>().join("\n")
        }
        Rollback::Before(detail) if args.json => json!({ "run_id": args.run, "rolled_back": false, "before": detail }).to_string(),
        Rollback::Before(detail) => {
            format!("the run {} was rolled back already, at {}; nothing was done", args.run, detail["at"].as_str().unwrap_or("-"))
        }
    };
    show::out(&show::clean(&text));
    Ok(Exit::Done)
}
