//! What verifications leave behind: containers, volumes, networks, memory.

use std::collections::BTreeSet;
use std::time::Duration;

use super::docker::Docker;
use super::{Pool, Subject, verify_once};
use crate::cli::show;
use crate::config::Config;
use crate::domain::OdooVersion;
use crate::sandbox::Engine;

/// Verifications in a row.
const TIMES: usize = 20;
/// The label of our containers; its value starts with the number of the process that made them.
const LABEL: &str = "odoo-agent.sandbox";
/// Megabytes by which this process may grow between the first verification and the last.
const GROWTH_MB: f64 = 8.0;
/// How long the engine may take to be rid of what it removed.
const PATIENCE: Duration = Duration::from_secs(15);

/// What there is at one moment.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    /// Containers of this process.
    pub containers: BTreeSet<String>,
    pub volumes: BTreeSet<String>,
    pub networks: BTreeSet<String>,
    /// Control groups whose container is gone, whoever made it; none where the engine runs on another machine.
    pub orphans: BTreeSet<String>,
    /// Megabytes of this process; 0 where the system does not tell.
    pub own_mb: f64,
    /// Megabytes that files in memory hold on the whole machine, those of removed containers included.
    pub shared_mb: f64,
}

/// What there was before, after the first verification, and after the last.
#[derive(Debug, Clone, Default)]
pub struct Leaks {
    pub times: usize,
    pub before: Stock,
    pub first: Stock,
    pub after: Stock,
}

impl Leaks {
    /// What was left of each: containers, volumes, networks.
    pub fn left(&self) -> [usize; 3] {
        let new = |before: &BTreeSet<String>, after: &BTreeSet<String>| after.difference(before).count();
        [
            new(&self.before.containers, &self.after.containers),
            new(&self.before.volumes, &self.after.volumes),
            new(&self.before.networks, &self.after.networks),
        ]
    }

    /// Control groups that outlived their container.
    pub fn orphans(&self) -> usize {
        self.after.orphans.difference(&self.before.orphans).count()
    }

    /// Whether nothing is left that the engine would keep.
    pub fn is_clean(&self) -> bool {
        self.left() == [0, 0, 0]
    }

    /// Whether no memory is left either: not in this process, and not in a container's control group.
    pub fn is_free_of_memory(&self) -> bool {
        self.orphans() == 0 && self.after.own_mb - self.first.own_mb < GROWTH_MB
    }
}

/// Opens a sandbox, verifies and closes it, again and again, with sandboxes kept waiting meanwhile.
pub async fn check(config: &Config, docker: &Docker, version: &OdooVersion, subject: &Subject) -> anyhow::Result<Leaks> {
    let before = stock(docker).await?;
    let engine = Engine::new(&config.sandbox);
    let pool = Pool::start(&engine, version);
    let mut first = Stock::default();
    let mut ran = Ok(());
    for time in 1..=TIMES {
        ran = verify_once(&engine, version, subject).await.map(|timed| {
            show::line(&format!("  leaks       {time} of {TIMES}: {} in {:.1} s", subject.module(), timed.seconds));
        });
        if ran.is_err() {
            break;
        }
        if time == 1 {
            first = stock(docker).await?;
        }
    }
    pool.stop().await;
    ran?;
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let leaks = Leaks { times: TIMES, before: before.clone(), first: first.clone(), after: stock(docker).await? };
        if (leaks.is_clean() && leaks.orphans() == 0) || tokio::time::Instant::now() > end {
            return Ok(leaks);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn stock(docker: &Docker) -> anyhow::Result<Stock> {
    // Before the containers are listed: one that is made in between has its group later.
    let mut orphans = cgroups();
    for id in docker.lines(&["ps", "-a", "-q", "--no-trunc"]).await? {
        orphans.remove(&id);
    }
    let filter = format!("label={LABEL}");
    let format = format!("{{{{.ID}}}} {{{{.Label {LABEL:?}}}}}");
    let ours = format!(" {}-", std::process::id());
    let containers = docker.lines(&["ps", "-a", "--no-trunc", "--filter", &filter, "--format", &format]).await?;
    Ok(Stock {
        containers: containers.into_iter().filter(|line| line.contains(&ours)).collect(),
        volumes: docker.lines(&["volume", "ls", "-q"]).await?.into_iter().collect(),
        networks: docker.lines(&["network", "ls", "-q", "--no-trunc"]).await?.into_iter().collect(),
        orphans,
        own_mb: field("/proc/self/status", "VmRSS:"),
        shared_mb: field("/proc/meminfo", "Shmem:"),
    })
}

/// The containers that have a control group, as the engine names them with either driver.
fn cgroups() -> BTreeSet<String> {
    let found = walkdir::WalkDir::new("/sys/fs/cgroup").max_depth(5).into_iter().filter_map(Result::ok);
    let folders = found.filter(|entry| entry.file_type().is_dir());
    folders.filter_map(|entry| container_of(entry.file_name().to_str()?).map(str::to_owned)).collect()
}

fn container_of(name: &str) -> Option<&str> {
    let id = name.strip_prefix("docker-").and_then(|name| name.strip_suffix(".scope")).unwrap_or(name);
    (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// A line such as `VmRSS:   1024 kB`, in megabytes.
fn field(file: &str, name: &str) -> f64 {
    std::fs::read_to_string(file).map(|text| kilobytes(&text, name) / 1000.0).unwrap_or_default()
}

fn kilobytes(text: &str, name: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u32>().ok());
    value.map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_are_read_and_garbage_is_zero() {
        assert!((kilobytes("Name:\tx\nVmRSS:\t   2048 kB\n", "VmRSS:") - 2048.0).abs() < 0.1);
        for text in ["", "VmRSS:", "VmRSS: -1 kB", "VmRSS: \u{fffd} kB", "VmRSS: 99999999999999999999 kB"] {
            assert!(kilobytes(text, "VmRSS:").abs() < 0.1, "{text}");
        }
    }

    #[test]
    fn container_is_read_from_the_name_of_its_group() {
        let id = "0af3".repeat(16);
        assert_eq!(container_of(&id), Some(id.as_str()));
        assert_eq!(container_of(&format!("docker-{id}.scope")), Some(id.as_str()));
        for name in ["", "docker", "docker-.scope", "system.slice", &id[1..], &"é".repeat(32)] {
            assert_eq!(container_of(name), None, "{name}");
        }
    }

    #[test]
    fn growth_of_this_process_is_a_leak_of_memory() {
        let mb = |own_mb| Stock { own_mb, ..Stock::default() };
        assert!(Leaks { first: mb(30.0), after: mb(31.0), ..Leaks::default() }.is_free_of_memory());
        assert!(!Leaks { first: mb(30.0), after: mb(60.0), ..Leaks::default() }.is_free_of_memory());
        let orphan = Stock { orphans: ["c".to_owned()].into(), ..Stock::default() };
        assert!(!Leaks { after: orphan, ..Leaks::default() }.is_free_of_memory());
    }

    #[test]
    fn what_was_there_before_is_no_leak() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let before = Stock { volumes: names(&["a", "b"]), ..Stock::default() };
        let mut leaks = Leaks { after: Stock { volumes: names(&["b"]), ..Stock::default() }, before, ..Leaks::default() };
        assert!(leaks.is_clean());
        leaks.after.networks = names(&["n"]);
        assert_eq!(leaks.left(), [0, 0, 1]);
    }
}
