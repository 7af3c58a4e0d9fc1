//! One job's sandbox: one run after the other, each on a database of its own.

use std::sync::Arc;
use std::time::Instant;

use super::catalog::Catalog;
use super::container::Stop;
use super::progress::Tell;
use super::record::Record;
use super::warm::{Terms, Warm};
use super::{Engine, Limits, LintRun, Owner, SandboxError};
use crate::domain::{Domain, Finding, ModuleName, OdooVersion, Patch, Progress};
use crate::odoo::Addon;
use crate::odoo::source::Facts;

/// What to test.
#[derive(Debug, Clone, Copy)]
pub struct TestPlan<'a> {
    /// The addon that is installed and whose tests run.
    pub module: &'a ModuleName,
    /// Addons that are installed and tested with it, such as those that depend on it.
    pub also: &'a [ModuleName],
    /// Their sources and those of the addons that they depend on and Odoo does not bring; where two have one name the first counts.
    pub addons: &'a [Addon],
}

impl<'a> TestPlan<'a> {
    /// One addon by itself: the first of these, the others are what it depends on. `None` if there is none.
    pub fn of(addons: &'a [Addon]) -> Option<Self> {
        Some(Self { module: addons.first()?.name(), also: &[], addons })
    }

    /// Everything that is under test.
    pub(super) fn modules(&self) -> impl Iterator<Item = &'a ModuleName> {
        std::iter::once(self.module).chain(self.also)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Odoo ended by itself, with this exit code. Zero alone is no success.
    Exited(i64),
    /// The kernel ended a process for want of memory.
    OutOfMemory,
    /// The wall clock ran out.
    Deadline,
    /// The log stayed silent for too long.
    NoOutput,
    /// The log grew too long.
    TooMuchOutput,
}

impl End {
    /// What a person can do about a run that did not end by itself.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::Exited(_) => None,
            Self::OutOfMemory => Some("raise sandbox.limits.memory_bytes, or look for what fills the memory"),
            Self::Deadline => Some("raise sandbox.limits.seconds, or look for a loop that does not end"),
            Self::NoOutput => Some("raise sandbox.limits.idle_seconds, or look for what waits for ever"),
            Self::TooMuchOutput => Some("raise sandbox.limits.output_bytes, or look for what prints without an end"),
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit {code}"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Deadline => f.write_str("out of time"),
            Self::NoOutput => f.write_str("silent for too long"),
            Self::TooMuchOutput => f.write_str("too much output"),
        }
    }
}

/// Where the time of a run went, in wall-clock seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Phases {
    /// Until a container with Odoo imported was there; zero if it was.
    pub engine: f64,
    /// Sources sent, and Odoo's own addons imported; the database cloned meanwhile, if it could be.
    pub sources: f64,
    /// Dependencies installed that no template holds; only in the first run of a job.
    pub dependencies: f64,
    /// The database cloned after the dependencies were installed.
    pub database: f64,
    /// Odoo: registry, installation, tests.
    pub odoo: f64,
    /// What it left, read.
    pub state: f64,
}

/// What one run did.
#[derive(Debug, Clone)]
pub struct TestRun {
    /// How it ended.
    pub end: End,
    /// What Odoo printed, cut at the limit; bytes that are no UTF-8 are replaced. Secrets are not masked.
    pub log: String,
    /// Whether everything under test was installed in the end.
    pub installed: bool,
    /// Wall-clock seconds, preparation included.
    pub seconds: f64,
    /// The same in parts.
    pub phases: Phases,
    /// What the recorder saw; `None` if it said nothing that can be read.
    pub record: Option<Record>,
}

/// One container with PostgreSQL and Odoo, for one run after the other. Each has its own database and sees nothing of
/// the one before. Call [`Sandbox::close`] when done; a drop removes the container too, but cannot wait for it.
pub struct Sandbox {
    engine: Engine,
    version: OdooVersion,
    owner: Owner,
    /// What it may talk to.
    allow: Vec<Domain>,
    tell: Tell,
    /// `None` after a run that did not end well: what it left behind is thrown away with its container.
    warm: Option<Warm>,
    /// Whether what this job lacks was noted.
    noted: bool,
}

impl Sandbox {
    pub(super) async fn open(engine: Engine, version: OdooVersion, owner: Owner, allow: Vec<Domain>) -> Result<Self, SandboxError> {
        let warm = Some(engine.acquire(&version, &owner, &allow).await?);
        Ok(Self { engine, version, owner, allow, tell: Arc::new(|_| {}), warm, noted: false })
    }

    /// Has every run tell what it does while it does it.
    #[must_use]
    pub fn telling(self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell), ..self }
    }

    /// Installs what is under test on a fresh database and runs its tests.
    pub async fn test(&mut self, plan: &TestPlan<'_>) -> Result<TestRun, SandboxError> {
        let started = Instant::now();
        // Taken out, so that a run that is given up half way (this future dropped) takes its container with it.
        let mut kept = self.warm.take();
        let used = match &mut kept {
            Some(warm) => warm.is_clean().await,
            None => false,
        };
        let mut warm = match kept {
            Some(warm) if used => warm,
            dirty => {
                discard(dirty).await;
                self.engine.acquire(&self.version, &self.owner, &self.allow).await?
            }
        };
        if let Some(better) = self.better(&warm.catalog(), plan).await? {
            discard(Some(warm)).await;
            warm = better;
        }
        let engine = started.elapsed();
        let limits = &self.engine.config().limits;
        let terms = Terms { limits, tell: &self.tell };
        let mut ran = Box::pin(warm.run(plan, terms)).await;
        if used && matches!(ran, Err(SandboxError::Protocol(_))) {
            // Whatever an earlier run did to this container, it must not be held against this one.
            discard(Some(warm)).await;
            warm = self.engine.acquire(&self.version, &self.owner, &self.allow).await?;
            ran = Box::pin(warm.run(plan, terms)).await;
        }
        let ran = match ran {
            Ok(ran) => ran,
            Err(error) => {
                discard(Some(warm)).await;
                return Err(error);
            }
        };
        let mut end = end_of(ran.stop, ran.out_of_memory, (started.elapsed() - engine).as_secs(), limits);
        if ran.stop != Stop::Lost && matches!(end, End::Exited(_)) {
            self.warm = Some(warm);
        } else {
            let container = warm.into_container();
            // One that vanished with its run says nothing about the run.
            if container.out_of_memory().await? {
                end = End::OutOfMemory;
            }
            container.remove().await?;
        }
        let installed = ran.installed && matches!(end, End::Exited(_));
        let phases = Phases { engine: engine.as_secs_f64(), ..ran.phases };
        Ok(TestRun {
            end,
            log: ran.log,
            installed,
            seconds: started.elapsed().as_secs_f64(),
            phases,
            record: ran.record.map(|record| *record),
        })
    }

    /// A container whose templates spare the job an installation, if there is an image for it. Notes what would have spared it one.
    async fn better(&mut self, catalog: &Catalog, plan: &TestPlan<'_>) -> Result<Option<Warm>, SandboxError> {
        let Some(wanted) = catalog.wanted(plan)? else { return Ok(None) };
        if self.engine.config().templates.after == 0 || std::mem::replace(&mut self.noted, true) {
            return Ok(None);
        }
        let held = catalog.held(&wanted.template);
        let earned = self.engine.better_image(&self.version, held, |modules| catalog.fits(plan, modules)).await;
        self.engine.want(&self.version, wanted, earned.clone()).await;
        let Some(earned) = earned else { return Ok(None) };
        match Box::pin(self.engine.start_for(&earned.image, &self.version, &self.owner, &self.allow)).await {
            Ok(warm) => Ok(Some(warm)),
            Err(error) => {
                // It may have been given up meanwhile; the container at hand does the same in more time.
                tracing::info!(%error, image = earned.image, "an earned template could not be used");
                Ok(None)
            }
        }
    }

    /// Scans the Python files of a patch for what is dangerous; gives what the patch brings.
    pub async fn scan(&mut self, patch: &Patch) -> Result<Vec<Finding>, SandboxError> {
        let found = self.at_hand().await?.scan(patch).await;
        if found.is_err() {
            discard(self.warm.take()).await;
        }
        found
    }

    /// What Odoo's own addons define in this series.
    pub async fn facts(&mut self) -> Result<Arc<Facts>, SandboxError> {
        let (engine, version) = (self.engine.clone(), self.version.clone());
        engine.facts(self.at_hand().await?.container(), &version).await
    }

    /// Has a linter read an addon and propose fixes; `None` if the image has no linter. Nothing of it is verified.
    pub async fn lint(&mut self, addon: &Addon) -> Result<Option<LintRun>, SandboxError> {
        let linted = self.at_hand().await?.lint(addon).await;
        if linted.is_err() {
            discard(self.warm.take()).await;
        }
        linted
    }

    /// The container of the run before, or a new one.
    async fn at_hand(&mut self) -> Result<&mut Warm, SandboxError> {
        let warm = match self.warm.take() {
            Some(warm) => warm,
            None => self.engine.acquire(&self.version, &self.owner, &self.allow).await?,
        };
        Ok(self.warm.insert(warm))
    }

    /// Removes the container.
    pub async fn close(mut self) -> Result<(), SandboxError> {
        match self.warm.take() {
            Some(warm) => warm.into_container().remove().await,
            None => Ok(()),
        }
    }
}

/// Gets rid of a container that cannot be trusted to work any more.
async fn discard(warm: Option<Warm>) {
    if let Some(warm) = warm
        && let Err(error) = warm.into_container().remove().await
    {
        tracing::warn!(%error, "a sandbox container was left behind");
    }
}

/// `seconds` is how long the run took; 137 is also what a process leaves that was ended from outside.
fn end_of(stop: Stop, out_of_memory: bool, seconds: u64, limits: &Limits) -> End {
    match stop {
        Stop::Deadline => End::Deadline,
        Stop::Idle => End::NoOutput,
        Stop::TooMuch => End::TooMuchOutput,
        _ if out_of_memory => End::OutOfMemory,
        Stop::Exited(137) | Stop::Lost if seconds >= limits.seconds => End::Deadline,
        Stop::Exited(code) => End::Exited(code),
        Stop::Lost => End::Exited(137),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_name() {
        let limits = Limits { seconds: 60, ..Limits::default() };
        assert_eq!(end_of(Stop::Exited(0), false, 3, &limits), End::Exited(0));
        assert_eq!(end_of(Stop::Exited(137), true, 3, &limits), End::OutOfMemory);
        assert_eq!(end_of(Stop::Exited(137), false, 3, &limits), End::Exited(137));
        assert_eq!(end_of(Stop::Exited(137), false, 60, &limits), End::Deadline);
        assert_eq!(end_of(Stop::Lost, false, 3, &limits), End::Exited(137));
        assert_eq!(end_of(Stop::Deadline, false, 75, &limits), End::Deadline);
        assert_eq!(end_of(Stop::Idle, false, 30, &limits), End::NoOutput);
        assert_eq!(end_of(Stop::TooMuch, false, 30, &limits), End::TooMuchOutput);
    }

    #[test]
    fn every_end_that_is_none_says_what_to_do() {
        for end in [End::OutOfMemory, End::Deadline, End::NoOutput, End::TooMuchOutput] {
            assert!(end.advice().is_some_and(|advice| advice.contains("sandbox.limits.")), "{end}");
        }
    }
}
