//! `odoo-agent bench sandbox`: verifying real addons, beside the naive run and the floor, in the same minutes.

mod docker;
mod leaks;
mod machine;
mod plain;
mod table;
mod timeline;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{owner, page, show};
use crate::addons::{Folder, closure};
use crate::cli::Exit;
use crate::config::Config;
use crate::domain::{Failure, ModuleName, OdooVersion};
use crate::odoo::{Addon, TestLog};
use crate::sandbox::{End, Engine, Sandbox, TestPlan, TestRun};

use docker::Docker;
use plain::{Floor, Plain};
use timeline::Parts;

/// Between which marks a file takes the result.
const MARK: &str = "sandbox";
/// How long a sandbox may take until it waits for work, on a busy machine.
const POOL_PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An addons folder; may be given several times.
    #[arg(long, value_name = "DIR", required = true)]
    addons: Vec<PathBuf>,
    /// An addon whose tests pass; may be given several times. The first is the one that is verified twenty times in a row.
    #[arg(long = "module", value_name = "MODULE", required = true)]
    modules: Vec<ModuleName>,
    /// Rounds; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// The Odoo series.
    #[arg(long, value_name = "SERIES", default_value = "19.0")]
    odoo_version: OdooVersion,
    /// A Markdown file whose part between the two marks is replaced by what was measured.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// An addon, with those that it depends on and Odoo does not bring.
pub struct Subject {
    addons: Vec<Addon>,
    module: ModuleName,
}

impl Subject {
    fn module(&self) -> &ModuleName {
        &self.module
    }

    fn plan(&self) -> TestPlan<'_> {
        TestPlan { module: &self.module, also: &[], addons: &self.addons }
    }
}

/// One run, measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed {
    /// From the wish to the verdict.
    seconds: f64,
    parts: Parts,
    /// Tests that ran.
    tests: u32,
    /// Those of them that did not pass. The naive run may have some that pass on a database where the dependencies were complete
    /// before: Odoo makes the chart of accounts, for example, when everything is loaded, and most tests run earlier.
    failed: u32,
    /// What was installed, as the log says it.
    installed: Vec<String>,
}

/// What was measured one after the other, within a minute or two.
#[derive(Debug, Clone)]
pub struct Round {
    naive: Timed,
    /// Ours, in a sandbox that waited.
    waiting: Timed,
    /// Ours, the next state of the sources in the same sandbox.
    second: Timed,
    /// Ours, when no sandbox waits.
    empty: Timed,
    floor: Timed,
}

/// All rounds of an addon.
pub struct Measured {
    module: ModuleName,
    rounds: Vec<Round>,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let subjects = subjects(&args)?;
    args.write.as_ref().map(|file| page::check(file, MARK)).transpose()?;
    let mut config = config.clone();
    // What else the engine is doing, or a small one, is no reason to measure without a sandbox that waits.
    config.sandbox.pool.most = config.sandbox.pool.most.max(1);
    config.sandbox.pool.memory_share = f64::INFINITY;
    let version = &args.odoo_version;
    let engine = Engine::new(&config.sandbox);
    let image = engine.ensure_image(version, &|text| show::line(&format!("  image       {text}"))).await.map_err(Failure::from)?;
    let docker = Docker::new(config.sandbox.docker_host.as_deref());
    let machine = machine::Machine::ask(&docker, &image).await?;
    let limits = config.sandbox.limits.clone();
    let plain = Plain { docker: docker.clone(), image, version: version.clone(), limits, cpus: machine.cpus };
    let pool = Pool::start(&engine, version);
    let measured = measure(&config, &engine, &plain, &subjects, args.rounds).await;
    pool.stop().await;
    let measured = measured?;
    let leaks = leaks::check(&config, &docker, version, &subjects[0]).await?;
    let text = table::render(&machine, &measured, &leaks);
    show::out(&text);
    if let Some(file) = &args.write {
        page::write(file, MARK, &text)?;
    }
    Ok(if leaks.is_clean() { Exit::Done } else { Exit::NotProven })
}

fn subjects(args: &Args) -> Result<Vec<Subject>, Failure> {
    let bad = |error: crate::addons::AddonsError| Failure::bad_input(error.to_string());
    let folders = args.addons.iter().map(|path| Folder::open(path)).collect::<Result<Vec<_>, _>>().map_err(bad)?;
    let read = |module: &ModuleName| Ok(Subject { addons: closure(&folders, module).map_err(bad)?, module: module.clone() });
    args.modules.iter().map(read).collect()
}

async fn measure(config: &Config, engine: &Engine, plain: &Plain, subjects: &[Subject], rounds: u8) -> anyhow::Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for subject in subjects {
        show::line(&format!("  floor       {}: being prepared", subject.module()));
        let mut floor = plain.floor(subject).await?;
        let ran = all_rounds(config, engine, plain, subject, &mut floor, rounds).await;
        floor.close().await?;
        measured.push(Measured { module: subject.module().clone(), rounds: ran? });
    }
    Ok(measured)
}

async fn all_rounds(
    config: &Config,
    engine: &Engine,
    plain: &Plain,
    subject: &Subject,
    floor: &mut Floor<'_>,
    rounds: u8,
) -> anyhow::Result<Vec<Round>> {
    let mut done = Vec::new();
    for number in 1..=rounds {
        // The order turns around each time, so that what a run leaves in the caches is nobody's advantage.
        let (naive, [waiting, second, empty], lowest);
        if number % 2 == 1 {
            naive = naive_run(engine, plain, subject).await?;
            [waiting, second, empty] = ours(config, engine, plain, subject).await?;
            lowest = floor_run(engine, floor).await?;
        } else {
            lowest = floor_run(engine, floor).await?;
            [waiting, second, empty] = ours(config, engine, plain, subject).await?;
            naive = naive_run(engine, plain, subject).await?;
        }
        let round = Round { naive, waiting, second, empty, floor: lowest };
        show::line(&format!(
            "  round {number}     {}: naive {:.1} s, ours {:.1} s, second {:.1} s, empty pool {:.1} s, floor {:.1} s",
            subject.module(),
            round.naive.seconds,
            round.waiting.seconds,
            round.second.seconds,
            round.empty.seconds,
            round.floor.seconds
        ));
        round.check()?;
        done.push(round);
    }
    Ok(done)
}

async fn naive_run(engine: &Engine, plain: &Plain, subject: &Subject) -> anyhow::Result<Timed> {
    waiting(engine).await?;
    plain.naive(subject).await.map_err(|error| error.context("the naive run"))
}

async fn floor_run(engine: &Engine, floor: &mut Floor<'_>) -> anyhow::Result<Timed> {
    waiting(engine).await?;
    floor.run().await.map_err(|error| error.context("the floor"))
}

/// Ours: in a sandbox that waited, a second time in the same one, and with no sandbox waiting.
async fn ours(config: &Config, engine: &Engine, plain: &Plain, subject: &Subject) -> anyhow::Result<[Timed; 3]> {
    waiting(engine).await?;
    let (mut sandbox, opened) = open(engine, &plain.version).await?;
    let first = verify(&mut sandbox, subject, opened).await;
    let second = verify(&mut sandbox, subject, 0.0).await;
    sandbox.close().await.map_err(Failure::from)?;
    // The pool has started its next one meanwhile; what is measured now must not pay for it.
    waiting(engine).await?;
    let empty = verify_once(&Engine::new(&config.sandbox), &plain.version, subject).await;
    Ok([first?, second?, empty?])
}

/// Opens a sandbox, verifies, closes it.
async fn verify_once(engine: &Engine, version: &OdooVersion, subject: &Subject) -> anyhow::Result<Timed> {
    let (mut sandbox, opened) = open(engine, version).await?;
    let timed = verify(&mut sandbox, subject, opened).await;
    sandbox.close().await.map_err(Failure::from)?;
    timed
}

async fn open(engine: &Engine, version: &OdooVersion) -> anyhow::Result<(Sandbox, f64)> {
    let started = Instant::now();
    let sandbox = engine.open(version, &owner()?).await.map_err(Failure::from)?;
    Ok((sandbox, started.elapsed().as_secs_f64()))
}

/// `opened` is how long the sandbox took to open.
async fn verify(sandbox: &mut Sandbox, subject: &Subject, opened: f64) -> anyhow::Result<Timed> {
    let started = plain::now();
    let ran = sandbox.test(&subject.plan()).await.map_err(Failure::from)?;
    read(&ran, started, opened).map_err(|error| error.context(docker::last_words(&ran.log)))
}

fn read(ran: &TestRun, started: f64, opened: f64) -> anyhow::Result<Timed> {
    anyhow::ensure!(ran.end == End::Exited(0) && ran.installed, "ours ended with {}, installed {}", ran.end, ran.installed);
    let phases = ran.phases;
    let before = phases.engine + phases.sources + phases.dependencies + phases.database;
    let process = timeline::process(&ran.log, started + before, started + before + phases.odoo)?;
    let parts = Parts {
        engine: opened + phases.engine,
        database: phases.database,
        // Odoo's own addons are imported while the sources are sent.
        registry: phases.sources + process.parts.registry,
        install: phases.dependencies + process.parts.install,
        tests: process.parts.tests,
        rest: process.parts.rest + ran.seconds - before - phases.odoo,
    };
    let seconds = opened + ran.seconds;
    parts.check(seconds)?;
    let tests = TestLog::read(&ran.log);
    Ok(Timed { seconds, parts, tests: tests.ran, failed: tests.failures + tests.errors, installed: process.installed })
}

impl Round {
    /// Every run by its name.
    fn runs(&self) -> [(&'static str, &Timed); 5] {
        [
            ("naive", &self.naive),
            ("ours, waiting", &self.waiting),
            ("ours, second", &self.second),
            ("ours, empty pool", &self.empty),
            ("floor", &self.floor),
        ]
    }

    /// Fails unless all of them did the same work, and all but the naive one with success.
    fn check(&self) -> anyhow::Result<()> {
        let told = || self.runs().map(|(name, run)| format!("{name}: {}", run.tests)).join(", ");
        anyhow::ensure!(self.runs().iter().all(|(_, run)| run.tests == self.naive.tests), "not the same tests ran: {}", told());
        anyhow::ensure!(self.naive.tests > 0, "no test ran");
        let failing = self.runs().into_iter().skip(1).find(|(_, run)| run.failed > 0);
        anyhow::ensure!(failing.is_none(), "tests failed: {failing:?}; the bench needs an addon whose tests pass");
        Ok(())
    }
}

/// Sandboxes kept waiting, as a worker does it.
struct Pool {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Pool {
    fn start(engine: &Engine, version: &OdooVersion) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (engine, version) = (engine.clone(), version.clone());
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            engine.keep_warm(&[version], stopped).await;
        });
        Self { stop, task }
    }

    /// Removes those that wait.
    async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Until a sandbox waits, so that its start is over.
async fn waiting(engine: &Engine) -> anyhow::Result<()> {
    let end = Instant::now() + POOL_PATIENCE;
    while engine.waiting() < 1 {
        anyhow::ensure!(
            Instant::now() < end,
            "no sandbox came to wait within {POOL_PATIENCE:?}; are there too many, or too little memory?"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
