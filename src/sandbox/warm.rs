//! A container with PostgreSQL answering and Odoo imported, and how a plan is run in it.

use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::catalog::{Catalog, Start};
use super::container::{Bounds, Container, Output, ROOT, Stop, script};
use super::forkserver::{ForkServer, Order};
use super::lint::{LintRun, lint};
use super::progress::{Tell, Watch};
use super::record::Record;
use super::scan::scan;
use super::shell::Shell;
use super::{Limits, Phases, SandboxError, TestPlan, sources};
use crate::domain::{Finding, ModuleName, OdooVersion, Patch, Progress};
use crate::odoo::Addon;

/// A container that is ready for runs. It is used for one job and thrown away.
pub(super) struct Warm {
    container: Container,
    server: ForkServer,
    shell: Shell,
    catalog: Arc<Catalog>,
    version: OdooVersion,
    snapshots: Vec<Snapshot>,
    databases: u32,
}

/// What a run may use, and who is told what it does.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) limits: &'a Limits,
    pub(super) tell: &'a Tell,
}

/// A database with the dependencies of a plan installed, which later runs of the job clone.
struct Snapshot {
    start: Start,
    digest: Vec<u8>,
    database: String,
}

/// What a run did.
pub(super) struct Ran {
    pub(super) stop: Stop,
    pub(super) log: String,
    /// Whether everything under test was installed in the end.
    pub(super) installed: bool,
    pub(super) out_of_memory: bool,
    pub(super) phases: Phases,
    /// What the recorder saw of it.
    pub(super) record: Option<Box<Record>>,
}

/// What is known after a run that ended by itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Aftermath {
    installed: bool,
    out_of_memory: bool,
}

impl Warm {
    pub(super) fn new(container: Container, server: ForkServer, shell: Shell, catalog: Arc<Catalog>, version: OdooVersion) -> Self {
        Self { container, server, shell, catalog, version, snapshots: Vec::new(), databases: 0 }
    }

    /// Scans the Python files of a patch.
    pub(super) async fn scan(&mut self, patch: &Patch) -> Result<Vec<Finding>, SandboxError> {
        self.server.settle().await?;
        scan(&self.container, patch).await
    }

    /// Has the linter read an addon.
    pub(super) async fn lint(&mut self, addon: &Addon) -> Result<Option<LintRun>, SandboxError> {
        self.server.settle().await?;
        lint(&self.container, addon, &self.version).await
    }

    /// What its image offers.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }

    /// The container.
    pub(super) fn container(&self) -> &Container {
        &self.container
    }

    /// Whether one that waited can still be used.
    pub(super) async fn is_alive(&mut self) -> bool {
        self.server.is_alive().await
    }

    /// Whether one that was used can be used again: everything that the last run left is gone.
    pub(super) async fn is_clean(&mut self) -> bool {
        self.server.settle().await.is_ok()
    }

    /// Gives the container back, to be removed.
    pub(super) fn into_container(self) -> Container {
        self.container
    }

    /// Installs what is under test on a fresh database and runs its tests.
    pub(super) async fn run(&mut self, plan: &TestPlan<'_>, terms: Terms<'_>) -> Result<Ran, SandboxError> {
        let Terms { limits, tell } = terms;
        let mut phases = Phases::default();
        let archive = sources::pack(plan)?;
        let start = self.catalog.start(plan)?;
        if !self.server.fits(&start.core) {
            // What it has imported cannot be taken back, and the sources do not declare all of it any more.
            self.server = ForkServer::start(&self.container, &self.version).await?;
            self.snapshots.clear();
        }
        let database = self.next("run");
        let from = match self.prepare(plan, &start, &archive, &database, terms, &mut phases).await? {
            Ok(from) => from,
            Err(failed) => return Ok(Ran { phases, ..failed }),
        };

        let modules: Vec<&str> = plan.modules().map(ModuleName::as_str).collect();
        tell(Progress::new("sandbox", format!("installing {} on a copy of {}", modules.join(", "), start.template)));
        let tags = modules.iter().map(|module| format!("/{module}")).collect::<Vec<_>>().join(",");
        let order = Order { install: &modules, tags: Some(&tags), ..Order::new(limits, &database, &from) };
        let before = Instant::now();
        let (output, record) = self.server.run(&order, limits.deadline(), &mut Watch::over(tell).bytes()).await?;
        phases.odoo = before.elapsed().as_secs_f64();
        let before = Instant::now();
        let ran = after(&mut self.shell, output, &database, "drop", &modules).await;
        phases.state = before.elapsed().as_secs_f64();
        Ok(Ran { phases, record, ..ran })
    }

    /// Sends the sources and makes the database of a run; gives what that was cloned from. The inner error is a run: a dependency that
    /// cannot be installed is a finding about the sources.
    async fn prepare(
        &mut self,
        plan: &TestPlan<'_>,
        start: &Start,
        archive: &[u8],
        database: &str,
        terms: Terms<'_>,
        phases: &mut Phases,
    ) -> Result<Result<String, Ran>, SandboxError> {
        let started = Instant::now();
        let digest = digest(plan, &start.missing);
        let sent = async { tokio::try_join!(send(&self.container, archive), self.server.load(&start.core)) };
        if let Some(from) = ready(&self.snapshots, start, &digest) {
            tokio::try_join!(sent, clone_database(&mut self.shell, database, &from))?;
            phases.sources = started.elapsed().as_secs_f64();
            return Ok(Ok(from));
        }
        sent.await?;
        phases.sources = started.elapsed().as_secs_f64();
        let from = self.dependencies(start, digest, terms).await?;
        phases.dependencies = started.elapsed().as_secs_f64() - phases.sources;
        if let Ok(from) = &from {
            clone_database(&mut self.shell, database, from).await?;
            phases.database = started.elapsed().as_secs_f64() - phases.sources - phases.dependencies;
        }
        Ok(from)
    }

    /// Installs what the template lacks on a copy of it, to start from.
    async fn dependencies(&mut self, start: &Start, digest: Vec<u8>, terms: Terms<'_>) -> Result<Result<String, Ran>, SandboxError> {
        let Terms { limits, tell } = terms;
        tell(Progress::new("sandbox", format!("installing what it depends on: {}", start.missing.join(", "))));
        let database = self.next("deps");
        clone_database(&mut self.shell, &database, &start.template).await?;
        let modules: Vec<&str> = start.missing.iter().map(String::as_str).collect();
        let order = Order { keep: true, install: &modules, alone: true, ..Order::new(limits, &database, &start.template) };
        let (output, _) = self.server.run(&order, limits.deadline(), &mut |_| {}).await?;
        let ran = after(&mut self.shell, output, &database, "keep", &modules).await;
        if ran.stop != Stop::Exited(0) || !ran.installed || ran.out_of_memory {
            // Nothing may be left that a later run could reach.
            if matches!(ran.stop, Stop::Exited(_)) {
                self.shell.run("state.sh", &[&database, "drop"]).await?;
            }
            return Ok(Err(Ran { installed: false, ..ran }));
        }
        self.shell.run("seal.sh", &[&database]).await?;
        self.snapshots.push(Snapshot { start: start.clone(), digest, database: database.clone() });
        Ok(Ok(database))
    }

    fn next(&mut self, kind: &str) -> String {
        self.databases += 1;
        format!("{kind}_{}", self.databases)
    }
}

/// The database to start from, if it is there: a template that lacks nothing, or what an earlier run of the job made of one.
fn ready(snapshots: &[Snapshot], start: &Start, digest: &[u8]) -> Option<String> {
    if start.missing.is_empty() {
        return Some(start.template.clone());
    }
    snapshots.iter().find(|known| known.start == *start && known.digest == digest).map(|known| known.database.clone())
}

async fn clone_database(shell: &mut Shell, database: &str, from: &str) -> Result<(), SandboxError> {
    shell.run("clone.sh", &[database, from]).await.map(|_| ())
}

/// Reads what a run left in its database. A state that cannot be read, for example because the code under test used up every
/// process, makes the container useless.
async fn after(shell: &mut Shell, output: Output, database: &str, fate: &str, modules: &[&str]) -> Ran {
    let asked = [&[database, fate], modules].concat();
    let known = match output.stop {
        Stop::Exited(_) => shell.run("state.sh", &asked).await.ok().and_then(|text| read_state(&text)),
        _ => None,
    };
    let stop = match (output.stop, &known) {
        (Stop::Exited(_), None) => Stop::Lost,
        (stop, _) => stop,
    };
    let Aftermath { installed, out_of_memory } = known.unwrap_or_default();
    Ran { stop, log: output.text(), installed, out_of_memory, phases: Phases::default(), record: None }
}

/// What the sources of these addons are, so that a snapshot is never taken for one of other sources.
fn digest(plan: &TestPlan<'_>, modules: &[String]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for addon in plan.addons.iter().filter(|addon| modules.iter().any(|module| module == addon.name().as_str())) {
        for (path, bytes) in addon.files() {
            hash.update(format!("{path}\0{}\0", bytes.len()));
            hash.update(bytes);
        }
    }
    hash.finalize().to_vec()
}

/// Replaces the sources. The script exits with 64 if they are at fault.
async fn send(container: &Container, archive: &[u8]) -> Result<(), SandboxError> {
    let output = container.exec(&ROOT, &["bash", &script("sources.sh")], Some(archive), Bounds::SCRIPT).await?;
    match output.stop {
        Stop::Exited(0) => Ok(()),
        Stop::Exited(64) => Err(SandboxError::Sources(output.text().trim().to_owned())),
        stop => Err(SandboxError::Protocol(format!("sources.sh: {stop:?}: {}", output.text().trim()))),
    }
}

/// `None` unless the script came to its end.
fn read_state(text: &str) -> Option<Aftermath> {
    if text.lines().last() != Some("end") {
        return None;
    }
    let killed = text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|count| count.trim().parse::<u64>().ok());
    Some(Aftermath { installed: !text.lines().any(|line| line.starts_with("missing ")), out_of_memory: killed.unwrap_or(0) > 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_read_and_garbage_is_no_success() {
        assert_eq!(read_state("oom_kill 0\nend\n"), Some(Aftermath { installed: true, out_of_memory: false }));
        assert_eq!(read_state("missing sale\noom_kill 2\nend"), Some(Aftermath { installed: false, out_of_memory: true }));
        for garbage in ["", "oom_kill 0\n", "end\noom_kill 0", "\u{fffd}", "ended"] {
            assert_eq!(read_state(garbage), None, "{garbage:?}");
        }
    }
}
