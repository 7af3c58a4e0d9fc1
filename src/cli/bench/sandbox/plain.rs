//! What ours is held against: the naive run, from nothing, and the floor, which is Odoo loading a ready registry.

use std::time::SystemTime;

use super::docker::{Docker, last_words};
use super::timeline::{self, Parts};
use super::{Subject, Timed};
use crate::domain::OdooVersion;
use crate::odoo::TestLog;
use crate::sandbox::Limits;

const NAIVE: &str = include_str!("naive.sh");
const FLOOR: &str = include_str!("floor.sh");
/// The users of the image: code under test, PostgreSQL, and whom the sources belong to.
const ADDON: &str = "64001:64001";
const DB: &str = "64002:64002";
const ROOT: &str = "0:0";
/// Seconds after which a container of the bench ends by itself, should the bench not come to remove it.
const LIFE: &str = "7200";

/// Containers of the image, with our limits.
pub struct Plain {
    pub docker: Docker,
    pub image: String,
    pub version: OdooVersion,
    pub limits: Limits,
    /// Processors of the engine; more than it has cannot be asked for.
    pub cpus: f64,
}

impl Plain {
    /// A new container, a new cluster, a new database; everything that the addon depends on is installed, then the addon.
    pub async fn naive(&self, subject: &Subject) -> anyhow::Result<Timed> {
        let (memory, cpus, name) = (self.limits.memory_bytes.to_string(), self.cpus().to_string(), name("naive"));
        let module = subject.module().as_str();
        let mut args = vec!["run", "--rm", "-i", "--name", &name, "--network", "none", "--memory", &memory, "--memory-swap", &memory];
        args.extend(["--cpus", &cpus, "--env", "TZ=UTC", "--env", "HOME=/tmp", "--user", DB, "--entrypoint", "timeout", &self.image]);
        args.extend([LIFE, "bash", "-c", NAIVE, "naive.sh", module, self.version.as_str()]);
        let archive = pack(subject)?;
        let started = now();
        let ran = self.docker.text(&args, &archive).await;
        if ran.is_err() {
            let _ = self.docker.text(&["rm", "-f", &name], &[]).await;
        }
        let log = ran?;
        let marks = timeline::marks(&log);
        let at = |mark: &str| marks.get(mark).copied().ok_or_else(|| anyhow::anyhow!("no {mark} in: {}", last_words(&log)));
        let process = timeline::process(&log, at("database")?, at("end")?).map_err(|error| error.context(last_words(&log)))?;
        let parts = Parts {
            engine: at("start")? - started + at("postgres")? - at("cluster")?,
            database: at("cluster")? - at("start")? + at("database")? - at("postgres")?,
            ..process.parts
        };
        // 1 says that tests failed. That is how it is done today, and part of the comparison; see `Timed::failed`.
        anyhow::ensure!([0.0, 1.0].contains(&at("code")?), "Odoo did not end well: {}", last_words(&log));
        timed(&log, at("end")? - started, parts, process.installed)
    }

    /// A container like ours, with a database in which the addon is installed already.
    pub async fn floor(&self, subject: &Subject) -> anyhow::Result<Floor<'_>> {
        let (memory, cpus, name) = (self.limits.memory_bytes.to_string(), self.cpus().to_string(), name("floor"));
        let (disk, half) = (self.limits.disk_bytes, self.limits.disk_bytes / 2);
        let tmpfs = [
            format!("/srv/db:rw,noexec,nosuid,nodev,size={disk},uid=64002,gid=64002,mode=0755"),
            format!("/tmp:rw,noexec,nosuid,nodev,size={half},uid=64001,gid=64001,mode=1777"),
            "/run:rw,noexec,nosuid,nodev,size=16777216,mode=0755".to_owned(),
            "/mnt/extra:rw,noexec,nosuid,nodev,size=134217728,mode=0755".to_owned(),
        ];
        let mut args = vec!["run", "-d", "--rm", "--init", "--name", &name, "--network", "none", "--read-only", "--cap-drop", "ALL"];
        args.extend(["--security-opt", "no-new-privileges", "--memory", &memory, "--memory-swap", &memory, "--cpus", &cpus]);
        args.extend(tmpfs.iter().flat_map(|mount| ["--tmpfs", mount]));
        args.extend(["--user", DB, "--entrypoint", "timeout", &self.image, LIFE, "bash", "/opt/odoo-agent/start.sh"]);
        self.docker.text(&args, &[]).await?;
        let floor = Floor { plain: self, name, module: subject.module().to_string(), runs: 0 };
        match floor.prepare(subject).await {
            Ok(()) => Ok(floor),
            Err(error) => {
                floor.close().await?;
                Err(error.context("the floor could not be prepared"))
            }
        }
    }

    fn cpus(&self) -> f64 {
        self.limits.cpus.min(self.cpus)
    }
}

/// A container in which the addon is installed. Call [`Floor::close`] when done.
pub struct Floor<'a> {
    plain: &'a Plain,
    name: String,
    module: String,
    runs: u32,
}

impl Floor<'_> {
    async fn prepare(&self, subject: &Subject) -> anyhow::Result<()> {
        self.exec(DB, &["bash", "/opt/odoo-agent/ready.sh", "60"], &[]).await?;
        self.exec(ROOT, &["bash", "/opt/odoo-agent/sources.sh"], &pack(subject)?).await?;
        self.clone_database("prepared", "t_base").await?;
        let log = self.odoo("prepare", "prepared").await?;
        anyhow::ensure!(timeline::marks(&log).get("code") == Some(&0.0), "{}", last_words(&log));
        Ok(())
    }

    /// One fresh process that loads the registry and runs the tests. Its database is a copy, so that every round finds the same.
    pub async fn run(&mut self) -> anyhow::Result<Timed> {
        self.runs += 1;
        let database = format!("floor_{}", self.runs);
        self.clone_database(&database, "prepared").await?;
        let log = self.odoo("run", &database).await?;
        let drop = format!(". /opt/odoo-agent/env.sh; psql -X -q -d postgres -c 'DROP DATABASE {database} WITH (FORCE)'");
        self.exec(DB, &["bash", "-c", &drop], &[]).await?;
        let marks = timeline::marks(&log);
        let at = |mark: &str| marks.get(mark).copied().ok_or_else(|| anyhow::anyhow!("no {mark} in: {}", last_words(&log)));
        let (start, end) = (at("database")?, at("end")?);
        let process = timeline::process(&log, start, end).map_err(|error| error.context(last_words(&log)))?;
        anyhow::ensure!(process.installed.is_empty(), "the floor installed {}", process.installed.join(", "));
        anyhow::ensure!(at("code")? == 0.0, "Odoo did not end well: {}", last_words(&log));
        timed(&log, end - start, process.parts, process.installed)
    }

    async fn clone_database(&self, database: &str, from: &str) -> anyhow::Result<()> {
        self.exec(DB, &["bash", "/opt/odoo-agent/clone.sh", database, from], &[]).await.map(drop)
    }

    async fn odoo(&self, what: &str, database: &str) -> anyhow::Result<String> {
        let command = ["bash", "-c", FLOOR, "floor.sh", what, &self.module, self.plain.version.as_str(), database];
        self.exec(ADDON, &command, &[]).await
    }

    async fn exec(&self, user: &str, command: &[&str], stdin: &[u8]) -> anyhow::Result<String> {
        let args = [&["exec", "-i", "--user", user, &self.name], command].concat();
        self.plain.docker.text(&args, stdin).await
    }

    /// Removes the container.
    pub async fn close(self) -> anyhow::Result<()> {
        self.plain.docker.text(&["rm", "-f", &self.name], &[]).await.map(drop)
    }
}

/// A name that no other process uses.
fn name(kind: &str) -> String {
    format!("odoo-agent-bench-{kind}-{}", uuid::Uuid::new_v4().simple())
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn timed(log: &str, seconds: f64, parts: Parts, installed: Vec<String>) -> anyhow::Result<Timed> {
    parts.check(seconds)?;
    let tests = TestLog::read(log);
    anyhow::ensure!(tests.summary_seen, "no test ran: {}", last_words(log));
    Ok(Timed { seconds, parts, tests: tests.ran, failed: tests.failures + tests.errors, installed })
}

/// The sources, readable by everyone.
fn pack(subject: &Subject) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in subject.addons.iter().flat_map(crate::odoo::Addon::files) {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o444);
        header.set_size(bytes.len() as u64);
        header.set_mtime(1_600_000_000);
        archive.append_data(&mut header, path.as_str(), bytes)?;
    }
    Ok(archive.into_inner()?)
}
