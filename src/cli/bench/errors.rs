//! `odoo-agent bench errors`: broken addons with the logs that Odoo printed, mended without a key as far as that goes.

mod labels;
mod read;
mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use super::labelled::{self, Fixed};
use super::{open_to_all, page};
use crate::cli::connect::connect;
use crate::cli::{Exit, fix, show};
use crate::config::Config;
use crate::domain::{Failure, OdooVersion, TenantId};
use crate::worker::Worker;

/// Between which marks a file takes the result.
const MARK: &str = "errors";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder with `logs/NAME.log` and the addon `addons/NAME` for each case, and in `right_fixes.json` what the diff of a right fix holds.
    #[arg(long, value_name = "DIR", default_value = "tests/fixtures")]
    fixtures: PathBuf,
    /// A folder of cases, each a folder with `case.json`, `log.txt` and the addons below `module/`; they are tried, not scored.
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// An addons folder that cases of the corpus may depend on.
    #[arg(long, value_name = "DIR")]
    depends: Option<PathBuf>,
    /// Only cases whose name starts so. May be given several times.
    #[arg(long, value_name = "PREFIX")]
    only: Vec<String>,
    /// The Odoo series.
    #[arg(long, value_name = "SERIES", default_value = "19.0")]
    odoo_version: OdooVersion,
    /// Also write the result into this Markdown file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Also write, for each rule, how many of its fixes were tried and how many were right into this CSV file; rows of other sets stay.
    #[arg(long, value_name = "FILE")]
    labelled: Option<PathBuf>,
}

/// One broken addon with its log.
struct Case {
    name: String,
    log: PathBuf,
    /// The folder that may be changed first.
    addons: Vec<PathBuf>,
}

/// What became of it.
struct Tried {
    name: String,
    /// `None` if the log holds no error.
    result: Option<Value>,
    seconds: f64,
}

pub async fn run(mut config: Config, args: Args) -> anyhow::Result<Exit> {
    args.write.as_ref().map(|file| page::check(file, MARK)).transpose()?;
    let cases: Vec<Case> = cases(&args)?
        .into_iter()
        .filter(|case| args.only.is_empty() || args.only.iter().any(|prefix| case.name.starts_with(prefix.as_str())))
        .collect();
    let tenant: TenantId = "default".parse()?;
    // What it measures is what is mended without a model, and without a memory: on servers of its own, which know nothing yet.
    config.claude.api_key = None;
    let folder = tempfile::Builder::new().prefix("odoo-agent-bench").permissions(open_to_all()).tempdir()?;
    config.data_dir = folder.path().to_owned();
    (config.queue.url, config.database.url) = (None, None);
    config.tenants.entry(tenant.clone()).or_default().addons = cases.iter().flat_map(|case| case.addons.clone()).collect();
    let connected = connect(config).await?;
    let worker = Worker::new(connected.app.clone());
    let tried = try_all(&cases, &worker, &args.odoo_version, &tenant).await;
    drop(worker);
    connected.close().await;
    let tried = tried?;
    let labels = labels::read(&args.fixtures)?;
    if let Some(file) = &args.labelled {
        let judged = tried.iter().filter_map(|case| Some(Fixed { source: case.source(), is_right: labels.is_right(case)? }));
        labelled::write(file, "probes", &judged.collect::<Vec<_>>())?;
    }
    let text = table::render(&read::tables(&args.fixtures)?, &tried, &labels);
    show::out(&text);
    args.write.as_ref().map(|file| page::write(file, MARK, &text)).transpose()?;
    Ok(Exit::Done)
}

async fn try_all(cases: &[Case], worker: &Worker, version: &OdooVersion, tenant: &TenantId) -> anyhow::Result<Vec<Tried>> {
    let mut tried = Vec::new();
    for case in cases {
        let started = Instant::now();
        let result = match fix::pick(&fix::read(&case.log)?, None, &fix::names(&case.addons)?) {
            Ok(error) => {
                let job = fix::job(&error, &case.addons, false, Some(version), tenant.clone());
                Some(fix::until_interrupted(worker, &job).await?)
            }
            Err(_) => None,
        };
        let outcome = result.as_ref().and_then(|result| result["outcome"].as_str()).unwrap_or("nothing to mend");
        show::line(&format!("{}: {outcome}", case.name));
        tried.push(Tried { name: case.name.clone(), result, seconds: started.elapsed().as_secs_f64() });
    }
    Ok(tried)
}

fn cases(args: &Args) -> anyhow::Result<Vec<Case>> {
    let mut found = Vec::new();
    for name in names(&args.fixtures.join("logs"))?.iter().filter_map(|name| name.strip_suffix(".log")) {
        let (log, addon) = (args.fixtures.join("logs").join(format!("{name}.log")), args.fixtures.join("addons").join(name));
        if addon.is_dir() {
            found.push(Case { name: name.to_owned(), log, addons: vec![addon] });
        }
    }
    if let Some(corpus) = &args.corpus {
        for name in names(corpus)? {
            let (log, module) = (corpus.join(&name).join("log.txt"), corpus.join(&name).join("module"));
            if log.is_file() && module.is_dir() {
                found.push(Case { name, log, addons: std::iter::once(module).chain(args.depends.clone()).collect() });
            }
        }
    }
    Ok(found)
}

fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let bad = |error: std::io::Error| Failure::bad_input(format!("the folder {} cannot be read: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(bad)?;
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
