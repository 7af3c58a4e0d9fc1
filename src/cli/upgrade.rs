//! `odoo-agent upgrade`: a folder of addons brought to another series of Odoo, as far as rules can.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::Utc;
use serde_json::{Value, json};

use super::up::on_signal;
use super::{Exit, show};
use crate::addons::{Folder, apply};
use crate::cascade::{Port, Ported, UpgradeGrade, upgrade};
use crate::config::Config;
use crate::domain::{ErrorReport, Failure, ModuleName, OdooVersion, Progress, ProvenPatch, RunId};
use crate::odoo::Addon;
use crate::odoo::source::{Facts, ModuleFacts};
use crate::sandbox::{Engine, Owner, Sandbox};

/// How long one addon may take.
const ADDON: Duration = Duration::from_secs(30 * 60);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An addons folder. May be given several times: those of the first are upgraded, the others must be on the new series already.
    #[arg(long, value_name = "DIR", required = true)]
    addons: Vec<PathBuf>,
    /// The series that they are written for.
    #[arg(long, value_name = "SERIES")]
    from: OdooVersion,
    /// The series that they are to run on.
    #[arg(long, value_name = "SERIES", default_value = "19.0")]
    to: OdooVersion,
    /// Only this addon, and those of the folder that it depends on. May be given several times.
    #[arg(long, value_name = "NAME")]
    module: Vec<ModuleName>,
    /// Write what is proven, with backups.
    #[arg(long)]
    apply: bool,
    /// Write all changes, proven or not, into one file.
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    if args.from.major() >= args.to.major() {
        return Err(Failure::bad_input(format!("--from {} is not older than --to {}", args.from, args.to)).into());
    }
    let bad = |error: crate::addons::AddonsError| Failure::bad_input(error.to_string());
    let folders = args.addons.iter().map(|path| Folder::open(path)).collect::<Result<Vec<_>, _>>().map_err(bad)?;
    let mut shelf = Shelf::read(&folders).map_err(bad)?;
    let order = shelf.order(&args.module)?;
    let engine = Engine::new(&config.sandbox);
    engine.ensure_image(&args.to, &|text| show::line(&format!("  image       {text}"))).await.map_err(Failure::from)?;
    let mut sandbox = open(&engine, &args.to, order.len()).await?;
    let stop = on_signal()?;
    let ended = tokio::select! {
        ended = all(&mut shelf, &order, &args, &mut sandbox) => ended,
        () = stop.cancelled() => {
            show::line("interrupted: removing the sandbox");
            Err(anyhow::anyhow!("interrupted; nothing was written"))
        }
    };
    sandbox.close().await.map_err(Failure::from)?;
    let results = ended?;

    // What took long to find out is told before anything can fail on the disk.
    if args.json {
        show::out(
            &json!({ "from": args.from, "to": args.to, "addons": results.iter().map(Upgraded::json).collect::<Vec<_>>() }).to_string(),
        );
    } else {
        results.iter().for_each(Upgraded::print);
    }
    if let Some(file) = &args.patch {
        let diffs: String = results.iter().filter_map(|result| Some(result.ported.as_ref()?.patch.as_ref()?.unified_diff())).collect();
        std::fs::write(file, diffs).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if args.apply {
        write(&results, &shelf, &folders[0])?;
    }
    Ok(if results.iter().all(Upgraded::is_proven) { Exit::Done } else { Exit::NotProven })
}

/// Writes what is proven, and rests on nothing that is left to a person.
fn write(results: &[Upgraded], shelf: &Shelf, folder: &Folder) -> anyhow::Result<()> {
    for result in results {
        let needs = shelf.closure(&result.name);
        match results.iter().find(|other| needs.contains(&other.name) && other.is_held_back()) {
            Some(held) => show::line(&format!("{}: not written, because {} is left to you", result.name, held.name)),
            None => result.apply(folder)?,
        }
    }
    Ok(())
}

async fn open(engine: &Engine, version: &OdooVersion, addons: usize) -> anyhow::Result<Sandbox> {
    let time = ADDON * u32::try_from(addons.max(1)).unwrap_or(u32::MAX);
    let owner = Owner {
        run: RunId::generate(),
        tenant: "local".parse()?,
        instance: "upgrade".to_owned(),
        deadline: Utc::now() + chrono::Duration::from_std(time).unwrap_or(chrono::Duration::MAX),
    };
    Ok(engine.open(version, &owner).await.map_err(Failure::from)?)
}

async fn all(shelf: &mut Shelf, order: &[ModuleName], args: &Args, sandbox: &mut Sandbox) -> anyhow::Result<Vec<Upgraded>> {
    let core = sandbox.facts().await.map_err(Failure::from)?;
    let tell = |progress: Progress| show::line(&format!("  {:<11} {}", progress.step, progress.message));
    let mut own = Facts::of(shelf.addons.values());
    let mut results: Vec<Upgraded> = Vec::new();
    for name in order {
        let addon = shelf.addons[name].clone();
        let needs = shelf.closure(name);
        let broken = results.iter().find(|result| needs.contains(&result.name) && !result.installs());
        if let Some(broken) = broken {
            show::line(&format!("{name}: waits for {}", broken.name));
            results.push(Upgraded { waits_for: Some(broken.name.clone()), name: name.clone(), ported: None });
            continue;
        }
        show::line(&format!("{name}: from {} to {}", args.from, args.to));
        let depends: Vec<Addon> = needs.iter().filter(|need| *need != name).map(|need| shelf.addons[need].clone()).collect();
        let port = Port { addon: &addon, depends: &depends, version: &args.to, own: &own, core: &core, deadline: Instant::now() + ADDON };
        let ported = upgrade(&port, sandbox, &tell).await?;
        if let Some(patch) = &ported.patch {
            let addon = addon.with(patch);
            own.modules.insert(name.as_str().to_owned(), ModuleFacts::of(&addon));
            shelf.addons.insert(name.clone(), addon);
        }
        results.push(Upgraded { name: name.clone(), waits_for: None, ported: Some(ported) });
    }
    Ok(results)
}

/// The addons of all folders.
struct Shelf {
    /// Of one name, that of the first folder.
    addons: BTreeMap<ModuleName, Addon>,
    /// Those that are upgraded.
    first: BTreeSet<ModuleName>,
}

impl Shelf {
    fn read(folders: &[Folder]) -> Result<Self, crate::addons::AddonsError> {
        let mut addons = BTreeMap::new();
        for folder in folders {
            for name in folder.names()? {
                if !addons.contains_key(&name) {
                    addons.insert(name.clone(), folder.read(&name)?);
                }
            }
        }
        Ok(Self { addons, first: folders[0].names()? })
    }

    fn depends(&self, name: &ModuleName) -> Vec<ModuleName> {
        let manifest = self.addons.get(name).and_then(Addon::manifest);
        let depends = manifest.map(|manifest| manifest.texts("depends").into_iter().filter_map(|name| name.parse().ok()).collect());
        depends.unwrap_or_default()
    }

    /// The addon with all that it depends on and that is at hand.
    fn closure(&self, name: &ModuleName) -> BTreeSet<ModuleName> {
        let mut found = BTreeSet::new();
        let mut open = vec![name.clone()];
        while let Some(next) = open.pop() {
            if self.addons.contains_key(&next) && found.insert(next.clone()) {
                open.extend(self.depends(&next));
            }
        }
        found
    }

    /// What is to be upgraded, each after what it depends on.
    fn order(&self, asked: &[ModuleName]) -> Result<Vec<ModuleName>, Failure> {
        if let Some(missing) = asked.iter().find(|name| !self.first.contains(*name)) {
            return Err(Failure::bad_input(format!("the addon {missing} is not in the first folder")));
        }
        let wanted: BTreeSet<ModuleName> = if asked.is_empty() {
            self.first.clone()
        } else {
            asked.iter().flat_map(|name| self.closure(name)).filter(|name| self.first.contains(name)).collect()
        };
        let mut order: Vec<ModuleName> = wanted.into_iter().collect();
        // What an addon depends on has a smaller closure than the addon; a circle cannot be installed in any order.
        order.sort_by_cached_key(|name| (self.closure(name).len(), name.clone()));
        Ok(order)
    }
}

/// What became of one addon.
struct Upgraded {
    name: ModuleName,
    waits_for: Option<ModuleName>,
    ported: Option<Ported>,
}

impl Upgraded {
    fn installs(&self) -> bool {
        self.ported.as_ref().is_some_and(Ported::installs)
    }

    fn is_proven(&self) -> bool {
        self.ported.as_ref().is_some_and(|ported| ported.verdict.grade == UpgradeGrade::Proven)
    }

    /// The patch, if a machine may write it.
    fn proven(&self) -> Option<ProvenPatch> {
        let ported = self.ported.as_ref().filter(|_| self.is_proven())?;
        ProvenPatch::new(ported.patch.clone()?, ported.evidence.clone())
    }

    /// Whether it has changes that are left to a person, so that what was proven on top of them is not proven without.
    fn is_held_back(&self) -> bool {
        self.ported.as_ref().is_some_and(|ported| ported.patch.is_some()) && self.proven().is_none()
    }

    fn apply(&self, folder: &Folder) -> anyhow::Result<()> {
        if let Some(proven) = self.proven() {
            let applied = apply(folder.root(), &proven).map_err(|error| Failure::bad_input(error.to_string()))?;
            show::line(&format!("{}: {} files written, {} backups", self.name, applied.files.len(), applied.backups.len()));
        }
        Ok(())
    }

    /// What became of it. An addon that installs and refers to what is gone breaks when it is used: it is not done.
    fn outcome(&self) -> &'static str {
        match &self.ported {
            None => "waiting",
            Some(ported) if !ported.installs() || !ported.references.unresolved.is_empty() => "unfinished",
            Some(ported) if ported.patch.is_none() => "unchanged",
            Some(_) => "upgraded",
        }
    }

    fn json(&self) -> Value {
        let mut value = json!({ "module": self.name, "outcome": self.outcome(), "waits_for": self.waits_for });
        if let Some(ported) = &self.ported {
            let step = |step: &crate::cascade::Step| json!({ "rule": step.rule, "summary": step.summary, "error": step.error, "doubt": step.doubt });
            value["steps"] = ported.steps.iter().map(step).collect();
            value["left"] = ported.left.iter().map(left).collect();
            value["refused"] = json!(ported.refused);
            value["stopped"] = json!(ported.stopped);
            value["grade"] = json!(ported.verdict.grade);
            value["missing"] = json!(ported.verdict.missing);
            value["unresolved"] = json!(ported.references.unresolved);
            value["deprecated"] = json!(ported.references.deprecated);
            value["references"] = json!(ported.references.checked);
            value["held_back"] = json!(self.is_held_back());
            value["tests"] = json!({ "ran": ported.after.tests.ran, "failed": ported.after.tests.failed });
            value["patch"] = json!(ported.patch.as_ref().map(crate::domain::Patch::unified_diff));
        }
        value
    }

    fn print(&self) {
        let waits = self.waits_for.as_ref().map_or_else(String::new, |name| format!(" for {name}"));
        let grade = self.ported.as_ref().map_or("waiting", |ported| ported.verdict.grade.as_str());
        show::out(&format!("{}: {grade}{waits}", self.name));
        let Some(ported) = &self.ported else { return };
        for step in &ported.steps {
            show::out(&show::clean(&format!("  mended   {}: {}", step.rule, step.summary)));
        }
        for report in &ported.left {
            let place = report.location.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            show::out(&show::clean(&format!("  left     {place}: {}", report.title)));
        }
        for (word, found) in [("unresolved", &ported.references.unresolved), ("deprecated", &ported.references.deprecated)] {
            for found in found {
                show::out(&show::clean(&format!("  {word} {}:{}: {}", found.path, found.line, found.what)));
            }
        }
        for why in ported.refused.iter().chain(&ported.stopped) {
            show::out(&show::clean(&format!("  to you   {why}")));
        }
        for missing in &ported.verdict.missing {
            show::out(&show::clean(&format!("  missing  {missing}")));
        }
        show::out(&format!("  tests    {} ran, {} failed", ported.after.tests.ran, ported.after.tests.failed.len()));
    }
}

fn left(report: &ErrorReport) -> Value {
    json!({
        "class": report.class,
        "title": report.title,
        "module": report.module,
        "location": report.location,
        "object": report.object,
    })
}
