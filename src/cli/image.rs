//! `odoo-agent image`: the sandbox image, built if it is not there.

use super::{Exit, show};
use crate::config::Config;
use crate::domain::{Failure, OdooVersion};
use crate::sandbox::Engine;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Odoo series.
    #[arg(long, value_name = "SERIES", default_value = "19.0")]
    odoo_version: OdooVersion,
    /// Remove the sandbox images of this series that another version of this program made, and the templates made from them.
    #[arg(long)]
    prune: bool,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let engine = Engine::new(&config.sandbox);
    let tag = engine.ensure_image(&args.odoo_version, &|text| show::line(&format!("  image       {text}"))).await.map_err(Failure::from)?;
    if args.prune {
        for image in engine.prune_images(&args.odoo_version).await.map_err(Failure::from)? {
            show::line(&format!("  image       removed {image}"));
        }
    }
    show::out(&tag);
    Ok(Exit::Done)
}
