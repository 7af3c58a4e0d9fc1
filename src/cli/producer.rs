//! `odoo-agent producer`: programs that publish straight to NATS, each for one tenant.

use clap::Subcommand;
use nkeys::KeyPair;
use serde_json::json;

use super::connect::{Connected, connect};
use super::{Exit, show};
use crate::config::Config;
use crate::domain::{Failure, TenantId};
use crate::stack::{self, Producer, producers};
use crate::tenants::{self, audit};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// The tenant that it publishes for.
    #[arg(long, default_value = "default", global = true)]
    tenant: TenantId,
    /// Print one JSON object.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a user of NATS who may publish for one tenant and nothing else. Its seed is shown this once.
    Add {
        /// What it is called: letters, digits, '-' or '_'.
        name: String,
    },
    /// Show the producers of the embedded server.
    List,
    /// Shut a producer out of the embedded server, at once.
    Remove {
        /// What it is called.
        name: String,
    },
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let embedded = config.queue.url.is_none().then(|| config.stack());
    let prefix = config.queue.prefix.clone();
    let connected = connect(config).await?;
    let done = act(&connected, embedded.as_ref(), &prefix, args).await;
    connected.close().await;
    show::out(&done?);
    Ok(Exit::Done)
}

/// Does it; gives what is to be printed.
async fn act(connected: &Connected, embedded: Option<&stack::Config>, prefix: &str, args: Args) -> anyhow::Result<String> {
    let tenant = &args.tenant;
    let elsewhere =
        || Failure::bad_input("the users of a nats-server that this program does not run are in that server's configuration; look there");
    match args.action {
        Action::Add { name } => {
            if !tenants::exists(&connected.app.db, tenant).await? {
                return Err(Failure::bad_input(format!("there is no tenant {tenant}; `key create --tenant {tenant}` makes it")).into());
            }
            let pair = KeyPair::new_user();
            let producer = Producer { name, tenant: tenant.to_string(), prefix: prefix.to_owned(), public_key: pair.public_key() };
            if let Some(embedded) = embedded
                && !producers::add(embedded, producer.clone()).await?
            {
                return Err(Failure::bad_input(format!("the tenant {tenant} has a producer {}; remove it first", producer.name)).into());
            }
            note(connected, tenant, "producer.added", &producer).await?;
            Ok(made(&producer, &pair.seed()?, embedded.is_some(), args.json))
        }
        Action::List => {
            let known = producers::list(embedded.ok_or_else(elsewhere)?).await?;
            let of_tenant: Vec<_> = known.iter().filter(|producer| producer.tenant == tenant.as_str()).collect();
            if args.json {
                return Ok(json!({ "producers": of_tenant }).to_string());
            }
            Ok(of_tenant.iter().map(|producer| format!("{:<16}  {}", producer.name, producer.public_key)).collect::<Vec<_>>().join("\n"))
        }
        Action::Remove { name } => {
            if !producers::remove(embedded.ok_or_else(elsewhere)?, tenant.as_str(), &name).await? {
                return Err(Failure::bad_input(format!(
                    "the tenant {tenant} has no producer {}; `producer list` shows them",
                    show::clean(&name)
                ))
                .into());
            }
            let gone = Producer { name: name.clone(), tenant: tenant.to_string(), prefix: prefix.to_owned(), public_key: String::new() };
            note(connected, tenant, "producer.removed", &gone).await?;
            Ok(if args.json { json!({ "name": name, "removed": true }).to_string() } else { format!("{name} is shut out") })
        }
    }
}

async fn note(connected: &Connected, tenant: &TenantId, action: &str, producer: &Producer) -> Result<(), Failure> {
    let mut tx = connected.app.db.tenant(tenant).await?;
    audit::write(&mut tx, "operator", action, &producer.name, &json!({ "public_key": producer.public_key })).await?;
    Ok(tx.commit().await?)
}

/// What a person needs to set the producer up.
fn made(producer: &Producer, seed: &str, is_embedded: bool, json: bool) -> String {
    if json {
        return json!({
            "name": producer.name, "tenant": producer.tenant, "seed": seed, "public_key": producer.public_key,
            "inbox_prefix": producer.inbox(), "publish": producer.publishes(), "subscribe": producer.subscribes(),
            "server_entry": (!is_embedded).then(|| producer.entry()),
        })
        .to_string();
    }
    let mut lines = vec![
        format!("producer      {} of {}", producer.name, producer.tenant),
        format!("seed          {seed}  (shown this once; an NKEY for the client)"),
        format!("inbox prefix  {}  (the client must set it)", producer.inbox()),
        format!("publishes to  {}", producer.publishes().join(", ")),
        format!("hears         {}", producer.subscribes()[0]),
    ];
    if !is_embedded {
        lines.push(format!("Put this into `authorization.users` of the server's configuration and reload it:\n{}", producer.entry()));
    }
    lines.join("\n")
}
