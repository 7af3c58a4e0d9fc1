//! `odoo-agent test`: an addon's tests in the sandbox, and the log that Odoo printed.

use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;

use super::{Exit, show};
use crate::addons::{Folder, closure};
use crate::cascade::Observed;
use crate::config::Config;
use crate::domain::{Failure, ModuleName, OdooVersion, RunId};
use crate::sandbox::{Engine, Owner, TestPlan};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An addons folder; may be given several times.
    #[arg(long, value_name = "DIR", required = true)]
    addons: Vec<PathBuf>,
    /// The addon.
    #[arg(long)]
    module: ModuleName,
    /// The Odoo series.
    #[arg(long, value_name = "SERIES", default_value = "19.0")]
    odoo_version: OdooVersion,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let folders: Result<Vec<_>, _> = args.addons.iter().map(|path| Folder::open(path)).collect();
    let addons = folders.and_then(|folders| closure(&folders, &args.module)).map_err(|error| Failure::bad_input(error.to_string()))?;
    let engine = Engine::new(&config.sandbox);
    engine.ensure_image(&args.odoo_version, &|text| show::line(&format!("  image       {text}"))).await.map_err(Failure::from)?;
    let owner = Owner {
        run: RunId::generate(),
        tenant: "local".parse()?,
        instance: "test".to_owned(),
        deadline: Utc::now() + Duration::from_secs(900),
    };
    let mut sandbox = engine.open(&args.odoo_version, &owner).await.map_err(Failure::from)?;
    let ran = sandbox.test(&TestPlan { module: &args.module, also: &[], addons: &addons }).await;
    sandbox.close().await.map_err(Failure::from)?;
    let ran = ran.map_err(Failure::from)?;
    show::out(&ran.log);
    let seen = Observed::read(&ran);
    let parts = ran.phases;
    show::line(&format!(
        "  seconds     sources {:.2}, dependencies {:.2}, database {:.2}, odoo {:.2}, state {:.2}",
        parts.sources, parts.dependencies, parts.database, parts.odoo, parts.state
    ));
    show::line(&format!("{}: installed {}, {} tests, {:.1} s", ran.end, ran.installed, seen.tests.ran, ran.seconds));
    Ok(if seen.is_clean() { Exit::Done } else { Exit::NotProven })
}
