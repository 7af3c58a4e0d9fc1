//! A source that the settings name, brought into the knowledge base. What a job may say is a name: never a folder, never an address, so that
//! nobody can have the server read what is not theirs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Ctx;
use crate::domain::{Failure, OdooVersion, Outcome, Progress};
use crate::knowledge::SourceSettings;
use crate::knowledge::index::{Arrival, Report, Root, Status, Tell, Tree};
use crate::sources::{self, Bounds, Branch, GitUrl, Requirement};

/// The source that is not of files: the tenant's own tickets.
const TICKETS: &str = "tickets";
/// How often followers are told how far it is.
const TELL: Duration = Duration::from_secs(5);
/// How long the image of a series may take to be built is the job's own time; fetching may take this.
const FETCH: Duration = Duration::from_secs(2 * 3600);

#[derive(Debug, Deserialize)]
struct Payload {
    source: String,
    version: Option<OdooVersion>,
}

/// Indexes one source, each of its series.
pub(super) async fn run(ctx: &Ctx, payload: &Value) -> Result<Outcome, Failure> {
    let payload: Payload = serde_json::from_value(payload.clone()).map_err(|error| Failure::bad_input(format!("the payload: {error}")))?;
    if payload.source == TICKETS {
        let kept = ctx.knowledge.index_tickets(&ctx.tenant, teller(ctx, TICKETS)).await?;
        return Ok(outcome(ctx, format!("{kept} tickets are new or have changed"), &[]));
    }
    let (name, settings) = named(ctx, &payload.source)?;
    let mut reports = Vec::new();
    for version in versions(settings, payload.version)? {
        let roots = fetch(ctx, name, settings, &version).await?;
        let location =
            settings.path.as_ref().map_or_else(|| format!("{:?}", settings.from).to_lowercase(), |path| path.display().to_string());
        let tree = Tree { name: name.to_owned(), origin: settings.doc_type, version, roots, location };
        reports.push(ctx.knowledge.index(&tree, &ctx.tenant, teller(ctx, name)).await?);
    }
    let written: u64 = reports.iter().map(|report| report.chunks).sum();
    Ok(outcome(ctx, format!("{name}, {written} texts written"), &reports))
}

fn outcome(ctx: &Ctx, summary: String, reports: &[Report]) -> Outcome {
    let result = json!({ "run_id": ctx.run, "outcome": "indexed", "summary": summary, "reports": reports });
    Outcome { result, effects: Vec::new(), next: Vec::new() }
}

/// The settings of a source. One that is another's is as unknown as one that is not there.
fn named<'a>(ctx: &'a Ctx, name: &str) -> Result<(&'a str, &'a SourceSettings), Failure> {
    let found = ctx.sources.named.get_key_value(name).filter(|(_, settings)| settings.may_index(&ctx.tenant, &ctx.sources.operator));
    let unknown = || {
        Failure::bad_input(format!("{name:?} is no source that {} may index; the settings name them below knowledge.sources", ctx.tenant))
    };
    found.map(|(name, settings)| (name.as_str(), settings)).ok_or_else(unknown)
}

fn versions(settings: &SourceSettings, asked: Option<OdooVersion>) -> Result<Vec<OdooVersion>, Failure> {
    match asked {
        None => Ok(settings.versions.clone()),
        Some(version) if settings.versions.contains(&version) => Ok(vec![version]),
        Some(version) => Err(Failure::bad_input(format!("the source is not configured for Odoo {version}"))),
    }
}

/// The folders of a source, with its newest state in them.
async fn fetch(ctx: &Ctx, name: &str, settings: &SourceSettings, version: &OdooVersion) -> Result<Vec<Root>, Failure> {
    let whole = |path: PathBuf| Root { path, translations_only: false };
    let with_series = |text: &str| text.replace("{version}", version.as_str());
    let kept = ctx.sources.folder.join(name).join(version.as_str());
    let bounds = Bounds { total: FETCH, ..Bounds::default() };
    Ok(match settings.from {
        Arrival::Folder => {
            let path = settings.path.as_ref().ok_or_else(|| Failure::bad_input(format!("{name} has no path")))?;
            vec![whole(with_series(&path.to_string_lossy()).into())]
        }
        Arrival::Git => {
            let branch: Branch = with_series(settings.branch.as_deref().unwrap_or("{version}")).parse()?;
            let mut roots = Vec::new();
            for url in &settings.urls {
                let url: GitUrl = url.parse()?;
                let folder = kept.join(url.folder());
                ctx.tell("index", format!("fetching {}", url.folder()));
                if let Err(error) = sources::checkout(&url, &branch, &folder, bounds).await {
                    // One repository that is away must not hold up the others; what is there of it stays as it is.
                    ctx.tell("note", format!("{}: {error}", url.folder()));
                }
                if folder.is_dir() {
                    roots.push(whole(folder));
                }
            }
            if roots.is_empty() {
                return Err(Failure::unavailable(anyhow::anyhow!("none of the repositories of {name} could be fetched")));
            }
            roots
        }
        Arrival::Packages => {
            let packages = settings.packages.iter().map(|package| package.parse()).collect::<Result<Vec<Requirement>, _>>()?;
            ctx.tell("index", format!("fetching {} packages", packages.len()));
            let folder = kept.join("packages");
            sources::download(&packages, version, &folder, bounds).await?;
            vec![whole(folder)]
        }
        Arrival::Image => {
            ctx.sandbox.ensure_image(version, &|line| ctx.tell("index", line)).await?;
            vec![whole(ctx.sandbox.core_tree(version).await?)]
        }
    })
}

/// Tells the followers of the run how far it is, not too often.
fn teller(ctx: &Ctx, name: &str) -> Tell {
    let (progress, name) = (ctx.progress.clone(), name.to_owned());
    let last = Mutex::new(None::<(Instant, &'static str)>);
    Arc::new(move |status: &Status| {
        let Ok(mut last) = last.lock() else { return };
        let now = Instant::now();
        if last.is_some_and(|(at, phase)| phase == status.phase && now.duration_since(at) < TELL) {
            return;
        }
        *last = Some((now, status.phase));
        progress(Progress::new("index", format!("{name}: {status}")).with(json!(status)));
    })
}
