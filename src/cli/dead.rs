//! `odoo-agent dead`: what was given up, tried again or dropped.

use clap::Subcommand;
use serde_json::json;

use super::connect::connect;
use super::{Exit, show};
use crate::app::{Actor, App, DeadPage, DeadView};
use crate::config::Config;
use crate::domain::{Failure, TenantId};
use crate::ingest;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Whose dead letters.
    #[arg(long, default_value = "default", global = true)]
    tenant: TenantId,
    /// Those of every tenant, also of names that no tenant has.
    #[arg(long, global = true)]
    all: bool,
    /// Print one JSON object.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the dead letters, the oldest first.
    List {
        /// From this number on, as the page before said at its end.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one dead letter with its message; secrets are masked.
    Show {
        /// Its number.
        id: u64,
    },
    /// Try one again and delete the letter. A run that failed is done by another run.
    Replay {
        /// Its number.
        id: u64,
    },
    /// Delete one for good.
    Drop {
        /// Its number.
        id: u64,
    },
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let tenant = (!args.all).then_some(&args.tenant);
    let done = act(&connected.app, tenant, args.action, args.json).await;
    connected.close().await;
    show::out(&done?);
    Ok(Exit::Done)
}

/// Does it; gives what is to be printed.
async fn act(app: &App, tenant: Option<&TenantId>, action: Action, json: bool) -> Result<String, Failure> {
    let missing = |id: u64| match tenant {
        Some(tenant) => Failure::bad_input(format!("the tenant {tenant} has no dead letter {id}; `dead list` shows them")),
        None => Failure::bad_input(format!("there is no dead letter {id}; `dead list --all` shows them")),
    };
    match action {
        Action::List { from, limit } => {
            let page = app.dead_letters(tenant, from, limit).await?;
            Ok(if json { json!(page).to_string() } else { table(&page) })
        }
        Action::Show { id } => {
            let found = app.dead_letter(tenant, id).await?.ok_or_else(|| missing(id))?;
            let message = ingest::shown(&found.message);
            if !json {
                return Ok(page_of(&found, &message));
            }
            let mut shown = json!(found);
            shown["message"] = json!(message);
            Ok(shown.to_string())
        }
        Action::Replay { id } => {
            let replayed = app.replay_dead_letter(tenant, id, Actor::Operator).await?.ok_or_else(|| missing(id))?;
            Ok(match (&replayed.run_id, &replayed.event) {
                _ if json => json!(replayed).to_string(),
                (Some(run), _) => format!("dead letter {id} is replayed as run {run}"),
                (None, Some(event)) => format!("dead letter {id} is replayed as event {}", show::clean(event)),
                (None, None) => format!("dead letter {id} is replayed"),
            })
        }
        Action::Drop { id } => {
            if !app.drop_dead_letter(tenant, id, Actor::Operator).await? {
                return Err(missing(id));
            }
            Ok(if json { json!({ "id": id, "dropped": true }).to_string() } else { format!("dead letter {id} is dropped") })
        }
    }
}

fn table(page: &DeadPage) -> String {
    let line = |letter: &DeadView| {
        let reason: String = show::clean(&letter.reason).chars().take(80).collect();
        let at = letter.at.format("%Y-%m-%d %H:%M");
        format!("{:<8}  {at}  {:<16}  {:<16}  {reason}", letter.id, show::clean(&letter.tenant), show::clean(&letter.kind))
    };
    let mut lines: Vec<_> = page.letters.iter().map(line).collect();
    lines.extend(page.next.map(|next| format!("more: --from {next}")));
    lines.join("\n")
}

fn page_of(letter: &DeadView, message: &str) -> String {
    let run = letter.run_id.map_or_else(|| "-".to_owned(), |run| run.to_string());
    let whole = if letter.whole { "" } else { ", cut: it cannot be replayed" };
    format!(
        "letter      {}\ntenant      {}\nsubject     {}\nrun         {run}\ngiven up    {} after {} attempt(s)\nreason      {}\nmessage     {} bytes{whole}\n\n{}",
        letter.id,
        show::clean(&letter.tenant),
        show::clean(&letter.origin),
        letter.at.to_rfc3339(),
        letter.attempts,
        show::clean(&letter.reason),
        letter.bytes,
        show::clean(message),
    )
}
