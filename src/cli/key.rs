//! `odoo-agent key create`: a way in for a program.

use clap::Subcommand;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::connect::connect;
use super::{Exit, show};
use crate::app::App;
use crate::config::Config;
use crate::domain::{Failure, TenantId};
use crate::tenants;
use crate::tenants::keys::{KeyId, KeyView};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and print it. It is shown this once; only its hash is kept.
    Create {
        /// Whose key it is; the tenant is made if there is none.
        #[arg(long, default_value = "default")]
        tenant: TenantId,
        /// What it is for.
        #[arg(long, default_value = "cli")]
        name: String,
    },
    /// Show the keys of a tenant, without their secrets.
    List {
        /// Whose keys.
        #[arg(long, default_value = "default")]
        tenant: TenantId,
    },
    /// Make a key worthless, at once.
    Revoke {
        /// The key's id, as `key list` shows it.
        id: Uuid,
        /// Whose key it is.
        #[arg(long, default_value = "default")]
        tenant: TenantId,
    },
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let done = act(&connected.app, args.action).await;
    connected.close().await;
    show::out(&done?);
    Ok(Exit::Done)
}

/// Does it; gives what is to be printed.
async fn act(app: &App, action: Action) -> Result<String, Failure> {
    match action {
        Action::Create { tenant, name } => create(app, &tenant, &name).await,
        Action::List { tenant } => {
            let line = |key: KeyView| {
                let state = if key.revoked_at.is_some() { "revoked" } else { "valid" };
                format!("{}  {state:<7}  {}  {}", key.id.0, key.created_at.format("%Y-%m-%d"), show::clean(&key.name))
            };
            let keys = tenants::keys::list(&app.db, &tenant).await?;
            Ok(keys.into_iter().map(line).collect::<Vec<_>>().join("\n"))
        }
        Action::Revoke { id, tenant } => match tenants::keys::revoke(&app.db, &tenant, KeyId(id)).await? {
            true => Ok(format!("{id} is revoked")),
            false => Err(Failure::bad_input(format!("the tenant {tenant} has no valid key {id}; `key list` shows them"))),
        },
    }
}

/// Makes the tenant if there is none, and a key for it.
pub async fn create(app: &App, tenant: &TenantId, name: &str) -> Result<String, Failure> {
    tenants::ensure(&app.db, tenant).await?;
    let (_, key) = tenants::keys::create(&app.db, tenant, name).await?;
    Ok(key.expose_secret().to_owned())
}
