//! One sandbox and the runs in it.

use std::time::Instant;

use super::container::{ADDON, Bounds, Container, DB, Output, ROOT, Stop, User};
use super::{Engine, Limits, Owner, SandboxError, sources};
use crate::domain::{ModuleName, OdooVersion};
use crate::odoo::Addon;

const SCRIPTS: &str = "/opt/odoo-agent";

/// What to test.
#[derive(Debug, Clone, Copy)]
pub struct TestPlan<'a> {
    /// The addon that is installed and whose tests run.
    pub module: &'a ModuleName,
    /// Its sources and those of the addons that it depends on and Odoo does not bring; where two have one name the first counts.
    pub addons: &'a [Addon],
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

/// What one run did.
#[derive(Debug, Clone)]
pub struct TestRun {
    /// How it ended.
    pub end: End,
    /// What Odoo printed, cut at the limit; bytes that are no UTF-8 are replaced. Secrets are not masked.
    pub log: String,
    /// Whether the module was installed in the end.
    pub installed: bool,
    /// Wall-clock seconds, preparation included.
    pub seconds: f64,
}

/// One container with PostgreSQL and Odoo, for one run after the other. Each has its own database and sees nothing of
/// the one before. Call [`Sandbox::close`] when done; a drop removes the container too, but cannot wait for it.
pub struct Sandbox {
    engine: Engine,
    version: OdooVersion,
    owner: Owner,
    /// `None` after a run that did not end well: what it left behind is thrown away with its container.
    container: Option<Container>,
    runs: u32,
}

/// What is known after a run that ended by itself.
struct Aftermath {
    installed: bool,
    out_of_memory: bool,
}

impl Sandbox {
    pub(super) async fn open(engine: Engine, version: OdooVersion, owner: Owner) -> Result<Self, SandboxError> {
        let container = Some(engine.start(&version, &owner).await?);
        Ok(Self { engine, version, owner, container, runs: 0 })
    }

    /// Installs the module on a fresh database and runs its tests.
    pub async fn test(&mut self, plan: &TestPlan<'_>) -> Result<TestRun, SandboxError> {
        let started = Instant::now();
        let archive = sources::pack(plan)?;
        // Taken out, so that a run that is given up half way (this future dropped) takes its container with it.
        let container = match self.container.take() {
            Some(container) => container,
            None => self.engine.start(&self.version, &self.owner).await?,
        };
        self.runs += 1;
        let database = format!("run_{}", self.runs);
        let output = match self.run(&container, plan.module, &database, &archive).await {
            Ok(output) => output,
            Err(error) => {
                if let Err(left) = container.remove().await {
                    tracing::warn!(error = %left, "a sandbox container was left behind");
                }
                return Err(error);
            }
        };
        let elapsed = started.elapsed();
        let aftermath = aftermath(&container, plan.module, &database, output.stop).await;
        let end = end_of(output.stop, aftermath.as_ref(), elapsed.as_secs(), &self.engine.config().limits);
        let (end, installed) = match (end, aftermath) {
            (end @ End::Exited(_), Some(aftermath)) => {
                self.container = Some(container);
                (end, aftermath.installed)
            }
            (end, _) => {
                let end = if container.out_of_memory().await { End::OutOfMemory } else { end };
                container.remove().await?;
                (end, false)
            }
        };
        Ok(TestRun { end, log: output.text(), installed, seconds: started.elapsed().as_secs_f64() })
    }

    async fn run(&self, container: &Container, module: &ModuleName, database: &str, archive: &[u8]) -> Result<Output, SandboxError> {
        sources_step(container, &ROOT, &[&script("sources.sh")], Some(archive)).await?;
        let prepared = sources_step(container, &DB, &[&script("prepare.sh"), module.as_str(), database], None).await?;
        let template = prepared.lines().last().unwrap_or_default();
        let limits = &self.engine.config().limits;
        let bounds = Bounds { total: limits.deadline(), idle: limits.idle(), bytes: limits.output_bytes };
        let (test, seconds) = (script("test.sh"), limits.seconds.to_string());
        let command = ["bash", &test, self.version.as_str(), module.as_str(), database, template, &seconds];
        container.exec(&ADDON, &command, None, bounds).await
    }

    /// Removes the container.
    pub async fn close(mut self) -> Result<(), SandboxError> {
        match self.container.take() {
            Some(container) => container.remove().await,
            None => Ok(()),
        }
    }
}

/// Runs a script that exits with 64 if the sources are at fault.
async fn sources_step(container: &Container, user: &User, cmd: &[&str], stdin: Option<&[u8]>) -> Result<String, SandboxError> {
    let output = container.exec(user, &[&["bash"], cmd].concat(), stdin, Bounds::SCRIPT).await?;
    match output.stop {
        Stop::Exited(0) => Ok(output.text()),
        Stop::Exited(64) => Err(SandboxError::Sources(output.text().trim().to_owned())),
        stop => Err(SandboxError::Protocol(format!("{}: {stop:?}: {}", cmd.join(" "), output.text().trim()))),
    }
}

fn script(name: &str) -> String {
    format!("{SCRIPTS}/{name}")
}

/// Ends what a run left running, reads its state and drops its database. `None` if that cannot be done, for example
/// because the code under test used up every process: the container is then of no further use.
async fn aftermath(container: &Container, module: &ModuleName, database: &str, stop: Stop) -> Option<Aftermath> {
    if !matches!(stop, Stop::Exited(_)) {
        return None;
    }
    container.script(&ADDON, &[&script("clean.sh")], None).await.ok()?;
    let state = container.script(&DB, &[&script("state.sh"), module.as_str(), database], None).await.ok()?;
    Some(read_state(&state))
}

fn read_state(text: &str) -> Aftermath {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    Aftermath {
        installed: value("state ") == Some("installed"),
        out_of_memory: value("oom_kill ").and_then(|count| count.parse::<u64>().ok()).unwrap_or(0) > 0,
    }
}

/// `seconds` is how long the run took; 137 is also what the last resort of its own clock leaves.
fn end_of(stop: Stop, aftermath: Option<&Aftermath>, seconds: u64, limits: &Limits) -> End {
    match stop {
        Stop::Deadline => End::Deadline,
        Stop::Idle => End::NoOutput,
        Stop::TooMuch => End::TooMuchOutput,
        Stop::Exited(_) if aftermath.is_some_and(|after| after.out_of_memory) => End::OutOfMemory,
        Stop::Exited(124 | 137) if seconds >= limits.seconds => End::Deadline,
        Stop::Exited(code) => End::Exited(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_read_and_garbage_is_no_success() {
        let after = read_state("state installed\noom_kill 0\n");
        assert!(after.installed && !after.out_of_memory);
        let after = read_state("oom_kill 2\nstate to install\n");
        assert!(!after.installed && after.out_of_memory);
        for garbage in ["", "state", "installed", "state installed?\noom_kill x", "\u{fffd}"] {
            let after = read_state(garbage);
            assert!(!after.installed && !after.out_of_memory, "{garbage:?}");
        }
    }

    #[test]
    fn every_end_has_its_name() {
        let limits = Limits { seconds: 60, ..Limits::default() };
        let after = |out_of_memory| Aftermath { installed: false, out_of_memory };
        assert_eq!(end_of(Stop::Exited(0), Some(&after(false)), 3, &limits), End::Exited(0));
        assert_eq!(end_of(Stop::Exited(137), Some(&after(true)), 3, &limits), End::OutOfMemory);
        assert_eq!(end_of(Stop::Exited(137), None, 3, &limits), End::Exited(137));
        assert_eq!(end_of(Stop::Exited(124), Some(&after(false)), 60, &limits), End::Deadline);
        assert_eq!(end_of(Stop::Deadline, None, 75, &limits), End::Deadline);
        assert_eq!(end_of(Stop::Idle, None, 30, &limits), End::NoOutput);
        assert_eq!(end_of(Stop::TooMuch, None, 30, &limits), End::TooMuchOutput);
    }
}
