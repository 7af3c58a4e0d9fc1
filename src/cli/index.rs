//! `odoo-agent index`: sources and known errors into the knowledge base.

mod errors;
mod show_report;

pub(super) use errors::read as read_errors;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::connect::{Connected, connect};
use super::up::on_signal;
use super::{Exit, show};
use crate::config::Config;
use crate::domain::{Failure, OdooVersion, TenantId};
use crate::knowledge::index::{Arrival, Origin, Report, Root, Status, Tell, Tree, has_translations, series};
use crate::sandbox::Engine;
use crate::tenants;

/// How often a person is told how far it is.
const TELL: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to index: `core`, `oca`, `custom`, `errors`, or a source that the settings name.
    source: String,
    /// The folder of the sources; of errors a file with `{id, version, text, solution}` a line.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The series of Odoo; without it that which the sources name.
    #[arg(long, value_name = "SERIES")]
    version: Option<OdooVersion>,
    /// What the source is called, where there are several of its sort; the same name replaces what it held.
    #[arg(long)]
    name: Option<String>,
    /// What sort of source it is, if its name does not say so.
    #[arg(long, value_name = "core|oca|custom")]
    doc_type: Option<Origin>,
    /// Whose it is, if it is not for everybody: custom sources and errors.
    #[arg(long, default_value = "default")]
    tenant: TenantId,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    if args.source == "errors" {
        return Box::pin(errors::run(config, &args)).await;
    }
    let mut tree = tree(&config, &args)?;
    let connected = connect(config).await?;
    add_translations(&connected.app.sandbox, &mut tree).await;
    let ended = indexed(&connected, &args, &tree).await;
    connected.close().await;
    let Some(report) = ended? else { return Ok(Exit::Outside) };
    if args.json {
        show::out(&json!(report).to_string());
    } else {
        show_report::print(&report);
    }
    Ok(Exit::Done)
}

/// What is to be indexed, by the command line and the settings.
fn tree(config: &Config, args: &Args) -> anyhow::Result<Tree> {
    let named = config.knowledge.sources.get(&args.source);
    let origin = match (args.doc_type, named) {
        (Some(origin), _) => origin,
        (None, Some(named)) => named.doc_type,
        (None, None) => args.source.parse()?,
    };
    let path = args.path.clone().or_else(|| named.filter(|named| named.from == Arrival::Folder).and_then(|named| named.path.clone()));
    let path = path.ok_or_else(|| {
        Failure::bad_input(format!(
            "--path must say where the sources of {} are; a worker fetches what the settings name: submit reindex",
            args.source
        ))
    })?;
    let version = version(config, args, &path);
    let path = std::path::absolute(path.to_string_lossy().replace("{version}", version.as_str()))?;
    let name = args.name.clone().unwrap_or_else(|| args.source.clone());
    if name.is_empty() || name.len() > 40 || name.contains(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
        return Err(Failure::bad_input("a name of a source has 1 to 40 letters, digits, dots, dashes and underscores").into());
    }
    Ok(Tree { name, origin, version, location: path.display().to_string(), roots: vec![Root { path, translations_only: false }] })
}

/// The series that was asked for, else the one of the sources, else the tenant's.
fn version(config: &Config, args: &Args, path: &std::path::Path) -> OdooVersion {
    if let Some(version) = args.version.clone().or_else(|| series(path)) {
        return version;
    }
    let version = config.tenants.get(&args.tenant).cloned().unwrap_or_default().odoo_version;
    show::line(&format!("the sources do not name their series; {version} is taken, which --version changes"));
    version
}

/// What an error says in another language leads to its source only through translations. Where the sources have none they come out of the
/// sandbox image of the series, if it is there.
pub(super) async fn add_translations(sandbox: &Engine, tree: &mut Tree) {
    if tree.origin != Origin::Core || tree.roots.iter().any(|root| has_translations(&root.path)) {
        return;
    }
    if !matches!(sandbox.image(&tree.version).await, Ok(Some(_))) {
        show::line("the sources have no translations, and there is no sandbox image to take them from: messages are known in English only");
        return;
    }
    show::line(&format!("the sources have no translations: they are taken from the sandbox image of Odoo {}", tree.version));
    match sandbox.core_tree(&tree.version).await {
        Ok(path) => tree.roots.push(Root { path, translations_only: true }),
        Err(error) => show::line(&format!("they could not be read: {error}")),
    }
}

async fn indexed(connected: &Connected, args: &Args, tree: &Tree) -> anyhow::Result<Option<Report>> {
    let app = &connected.app;
    tenants::ensure(&app.db, &args.tenant).await?;
    let stop = on_signal()?;
    tokio::select! {
        report = app.knowledge.index(tree, &args.tenant, teller()) => Ok(Some(report.map_err(Failure::from)?)),
        () = stop.cancelled() => {
            show::line("interrupted: what is indexed by now stays, and the next run goes on from there");
            Ok(None)
        }
    }
}

/// Tells a person how far it is, not too often.
fn teller() -> Tell {
    let last = Mutex::new(None::<(Instant, &'static str)>);
    Arc::new(move |status: &Status| {
        let Ok(mut last) = last.lock() else { return };
        let now = Instant::now();
        if status.phase == "done" || last.is_some_and(|(at, phase)| phase == status.phase && now.duration_since(at) < TELL) {
            return;
        }
        *last = Some((now, status.phase));
        show::line(&format!("  {status}"));
    })
}
