//! `odoo-agent status RUN`.

use serde_json::json;

use super::connect::connect;
use super::{Exit, show};
use crate::config::Config;
use crate::domain::{Failure, RunId, RunState, TenantId};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run.
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
    let view = connected.app.run(&args.tenant, args.run).await;
    connected.close().await;
    let view = view?.ok_or_else(|| Failure::bad_input(format!("the tenant {} has no run {}", args.tenant, args.run)))?;
    if args.json {
        show::out(&json!(view).to_string());
    } else {
        show::out(&format!("run         {}", args.run));
        show::out(&format!("state       {} (attempts: {})", view.state.as_str(), view.attempts));
        if let Some(error) = &view.error {
            show::out(&format!("error       {}", show::clean(error)));
        }
        if let Some(result) = view.result.as_ref().filter(|_| view.state == RunState::Done) {
            show::result(result);
        }
    }
    Ok(match (view.state, &view.result) {
        (RunState::Done, Some(result)) => show::exit_of(result),
        (RunState::Queued | RunState::Running, _) => Exit::Done,
        _ => Exit::NotProven,
    })
}
