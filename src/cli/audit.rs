//! `odoo-agent audit`: what was done in a tenant's name, and whether the record of it is whole.

use clap::Subcommand;
use serde_json::{Value, json};

use super::connect::connect;
use super::{Exit, show};
use crate::app::App;
use crate::config::Config;
use crate::domain::{Failure, TenantId};
use crate::tenants;
use crate::tenants::audit::{self, EntryView, Head, MAX_LISTED, Verified};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the newest entries, newest first.
    List {
        /// Tenant of the entries.
        #[arg(long, default_value = "default")]
        tenant: TenantId,
        /// The most entries that are shown.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LISTED)))]
        limit: u32,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Check that no entry was changed, taken out or put in; name the first one that does not fit.
    Verify {
        /// Tenant of the entries; without it those of every tenant.
        #[arg(long)]
        tenant: Option<TenantId>,
        /// The end of the audit as it was printed before, NUMBER:HASH: it must still be part of it.
        #[arg(long, value_name = "NUMBER:HASH", requires = "tenant")]
        noted: Option<Head>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let done = match args.action {
        Action::List { tenant, limit, json } => list(&connected.app, &tenant, limit, json).await,
        Action::Verify { tenant, noted, json } => verify(&connected.app, tenant, noted.as_ref(), json).await,
    };
    connected.close().await;
    Ok(done?)
}

async fn list(app: &App, tenant: &TenantId, limit: u32, as_json: bool) -> Result<Exit, Failure> {
    let entries = audit::list(&app.db, tenant, limit).await?;
    if as_json {
        show::out(&json!({ "tenant": tenant, "entries": entries }).to_string());
    } else {
        let line = |entry: &EntryView| {
            let what = format!("{:<10} {:<18} {}", entry.actor, entry.action, entry.subject);
            format!("{:>6}  {}  {}", entry.number, entry.at.format("%Y-%m-%d %H:%M:%S"), show::clean(&what))
        };
        show::out(&entries.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    Ok(Exit::Done)
}

async fn verify(app: &App, tenant: Option<TenantId>, noted: Option<&Head>, as_json: bool) -> Result<Exit, Failure> {
    let tenants = match tenant {
        Some(tenant) => vec![tenant],
        None => tenants::all(&app.db).await?,
    };
    let mut results = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        let verified = audit::verify(&app.db, &tenant, noted).await?;
        results.push((tenant, verified));
    }
    if as_json {
        let values: Vec<Value> = results.iter().map(|(tenant, verified)| value(tenant, verified)).collect();
        show::out(&json!({ "tenants": values }).to_string());
    } else {
        results.iter().for_each(|(tenant, verified)| show::out(&line(tenant, verified)));
    }
    Ok(if results.iter().all(|(_, verified)| verified.fault.is_none()) { Exit::Done } else { Exit::NotProven })
}

fn value(tenant: &TenantId, verified: &Verified) -> Value {
    json!({ "tenant": tenant, "entries": verified.entries, "head": verified.head.to_string(), "fault": verified.fault })
}

fn line(tenant: &TenantId, verified: &Verified) -> String {
    let Some(fault) = &verified.fault else {
        return format!("{tenant}: all {} entries fit; the end is {}", verified.entries, verified.head);
    };
    let number = fault.number.map(|number| format!(" {number}")).unwrap_or_default();
    let id = fault.id.map(|id| format!(" ({id})")).unwrap_or_default();
    format!("{tenant}: {} entries fit; the first that does not is entry{number}{id}: {}", verified.entries, fault.reason)
}
