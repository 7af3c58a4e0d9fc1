//! `odoo-agent key create`: a way in for a program.

use clap::Subcommand;
use secrecy::ExposeSecret;

use super::connect::connect;
use super::{Exit, show};
use crate::config::Config;
use crate::domain::{Failure, TenantId};
use crate::tenants;

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
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let Action::Create { tenant, name } = args.action;
    let connected = connect(config).await?;
    let created = create(&connected.app, &tenant, &name).await;
    connected.close().await;
    show::out(&created?);
    Ok(Exit::Done)
}

/// Makes the tenant if there is none, and a key for it.
pub async fn create(app: &crate::app::App, tenant: &TenantId, name: &str) -> Result<String, Failure> {
    tenants::ensure(&app.db, tenant).await?;
    let (_, key) = tenants::keys::create(&app.db, tenant, name).await?;
    Ok(key.expose_secret().to_owned())
}
