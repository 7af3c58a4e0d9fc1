//! `odoo-agent approve RUN`: a person's word for a patch that a run has found.

use serde_json::{Value, json};
use uuid::Uuid;

use super::connect::connect;
use super::{Exit, show};
use crate::app::{App, Approved};
use crate::config::Config;
use crate::domain::{Approval, Approver, Failure, Loss, PatchDigest, RunId, TenantId, TicketId};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run whose patch is accepted, or the ticket that it filed.
    run: Uuid,
    /// The digest of the patch that you have seen; without it the patch is shown, and nothing is written.
    #[arg(long)]
    digest: Option<PatchDigest>,
    /// Accept what the patch loses, as it was shown. A proposal is written only with this.
    #[arg(long, requires = "digest")]
    accept_losses: bool,
    /// Tenant of the run.
    #[arg(long, default_value = "default")]
    tenant: TenantId,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let done = act(&connected.app, &args).await;
    connected.close().await;
    let (text, exit) = done?;
    show::out(&text);
    Ok(exit)
}

/// Does it; gives what is to be printed, and how the command ends.
async fn act(app: &App, args: &Args) -> Result<(String, Exit), Failure> {
    let (tenant, id) = (&args.tenant, args.run);
    let missing = || Failure::bad_input(format!("the tenant {tenant} has no run and no ticket {id}; `ticket list` shows the tickets"));
    let run = match app.ticket(tenant, TicketId(id)).await? {
        Some(ticket) => ticket.run,
        None => RunId(id),
    };
    let view = app.run(tenant, run).await?.ok_or_else(missing)?;
    let result = view.result.unwrap_or_default();
    let Some(digest) = args.digest.clone() else { return shown(run, &result, args.json) };
    // What is accepted is what the result lists now; the digest says that it is the patch that was seen.
    let losses = args.accept_losses.then(|| serde_json::from_value::<Vec<Loss>>(result["losses"].clone()).unwrap_or_default());
    let approval = Approval { by: Approver::operator(), digest, losses };
    match app.approve(tenant, run, &approval).await? {
        Approved::Done(result) => Ok((told(&result, false, args.json), Exit::Done)),
        Approved::Before(result) => Ok((told(&result, true, args.json), Exit::Done)),
        Approved::Refused(why) => Err(Failure::bad_input(format!("nothing was written: {why}"))),
        Approved::Missing => Err(missing()),
    }
}

/// What has to be looked at before.
fn shown(run: RunId, result: &Value, json: bool) -> Result<(String, Exit), Failure> {
    let Some(digest) = result["digest"].as_str() else {
        return Err(Failure::bad_input(format!("the run {run} offers no patch that can be approved")));
    };
    if json {
        return Ok((result.to_string(), Exit::NotProven));
    }
    show::result(result);
    let accept = if result["outcome"] == "proposed" { " --accept-losses" } else { "" };
    Ok((format!("\nnothing is written yet; to accept this patch: odoo-agent approve {run} --digest {digest}{accept}"), Exit::NotProven))
}

fn told(result: &Value, duplicate: bool, json: bool) -> String {
    let [run, applied, approved] = ["run_id", "applied", "approved"].map(|key| &result[key]);
    if json {
        return json!({ "run_id": run, "applied": applied, "approved": approved, "duplicate": duplicate }).to_string();
    }
    let files = applied["files"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let before = duplicate.then(|| format!("it was approved before, at {}", approved["at"].as_str().unwrap_or("-")));
    let lines: Vec<_> = before.into_iter().chain(files.map(|file| format!("written     {file}"))).collect();
    show::clean(&lines.join("\n"))
}
