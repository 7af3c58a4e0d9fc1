//! What one run may use.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, ResourcesUlimits};
use serde::Deserialize;

use super::container::DB;
use super::seccomp;

const MIB: u64 = 1024 * 1024;
/// The most bytes of sources that one run takes.
pub const SOURCE_BYTES: u64 = 64 * MIB;
/// The most files in one place that can be written to, so that what a run leaves there is cleaned up in seconds.
const FILES: u32 = 100_000;

/// What one run may use. Hitting a limit is a named end of the run, see [`super::End`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Memory in bytes, the files of the run included: they live in memory. There is no swap.
    pub memory_bytes: u64,
    /// Processors; a fraction is allowed. Never more than the engine has.
    pub cpus: f64,
    /// Processes and threads, PostgreSQL included.
    pub processes: u32,
    /// Files that one process may have open.
    pub open_files: u32,
    /// Bytes for the databases; half as much again for temporary files.
    pub disk_bytes: u64,
    /// Bytes of log that a run may print.
    pub output_bytes: usize,
    /// Wall-clock seconds of one run of tests.
    pub seconds: u64,
    /// Seconds without a line of log after which a run counts as stuck.
    pub idle_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 3 * 1024 * MIB,
            cpus: 2.0,
            processes: 512,
            open_files: 4096,
            disk_bytes: 1024 * MIB,
            output_bytes: 8 * 1024 * 1024,
            seconds: 300,
            idle_seconds: 120,
        }
    }
}

impl Limits {
    /// The clock of the run itself. The container has its own, somewhat shorter one; this holds if that is tampered with.
    pub(super) fn deadline(&self) -> Duration {
        Duration::from_secs(self.seconds.saturating_add(15))
    }

    /// The limits as the engine wants them. `cpus` is what the engine has.
    pub(super) fn host_config(&self, cpus: Option<i64>, runtime: Option<String>) -> HostConfig {
        let memory = i64::try_from(self.memory_bytes).unwrap_or(i64::MAX);
        let available = cpus.filter(|&cpus| cpus > 0).map_or(self.cpus, |cpus| self.cpus.min(cpus as f64));
        HostConfig {
            network_mode: Some("none".to_owned()),
            // Without a network the engine still writes the host's resolvers into the container.
            dns: Some(vec!["127.0.0.1".to_owned()]),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned(), format!("seccomp={}", seccomp::PROFILE)]),
            readonly_rootfs: Some(true),
            privileged: Some(false),
            ipc_mode: Some("private".to_owned()),
            // The host's names of control groups are none of its business.
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            shm_size: i64::try_from(16 * MIB).ok(),
            // If the host itself runs out of memory, a sandbox goes before anything that has to last.
            oom_score_adj: Some(500),
            memory: Some(memory),
            memory_swap: Some(memory),
            nano_cpus: Some((available * 1e9) as i64),
            pids_limit: Some(i64::from(self.processes)),
            init: Some(true),
            tmpfs: Some(self.tmpfs()),
            ulimits: Some(vec![
                ulimit("core", 0),
                // Queues of messages would outlive a run, and nothing here uses them.
                ulimit("msgqueue", 0),
                ulimit("nofile", i64::from(self.open_files)),
            ]),
            // Only PostgreSQL prints here; the engine would keep it on the host's disk without an end.
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([("max-size".to_owned(), "1m".to_owned()), ("max-file".to_owned(), "1".to_owned())])),
            }),
            runtime,
            ..HostConfig::default()
        }
    }

    /// The only places that can be written to, all in memory. The sources are root's, so the code under test cannot change them;
    /// so are the folders for temporary files themselves, so that no run can close them to the next.
    fn tmpfs(&self) -> HashMap<String, String> {
        let mount = |path: &str, size: u64, owner: &str, mode: &str| {
            let options = format!("rw,noexec,nosuid,nodev,size={size},nr_inodes={FILES},uid={owner},gid={owner},mode={mode}");
            (path.to_owned(), options)
        };
        HashMap::from([
            mount("/srv/db", self.disk_bytes, DB.id, "0755"),
            mount("/tmp", self.disk_bytes / 2, "0", "1777"),
            mount("/var/tmp", 16 * MIB, "0", "1777"),
            mount("/run", 16 * MIB, "0", "0755"),
            mount("/mnt/extra", 2 * SOURCE_BYTES, "0", "0755"),
        ])
    }
}

fn ulimit(name: &str, most: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(most), hard: Some(most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_stay_below_the_engine() {
        let limits = Limits { cpus: 8.0, ..Limits::default() };
        assert_eq!(limits.host_config(Some(2), None).nano_cpus, Some(2_000_000_000));
        assert_eq!(limits.host_config(None, None).nano_cpus, Some(8_000_000_000));
    }

    #[test]
    fn nothing_is_given_away() {
        let host = Limits::default().host_config(Some(2), None);
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.memory, host.memory_swap);
        assert!(host.binds.is_none() && host.mounts.is_none() && host.cap_add.is_none());
        let options = host.security_opt.unwrap();
        assert!(options.contains(&"no-new-privileges".to_owned()) && options.iter().any(|option| option.starts_with("seccomp={")));
        assert!(host.tmpfs.unwrap().values().all(|options| options.contains("noexec,nosuid,nodev,size=")));
    }

    #[test]
    fn unknown_limit_is_refused() {
        assert!(toml::from_str::<Limits>("memory = 3").is_err());
        assert_eq!(toml::from_str::<Limits>("seconds = 60").unwrap(), Limits { seconds: 60, ..Limits::default() });
    }
}
