//! Real tests of real Odoo in a container that can reach nothing: the image, the limits, one run after the other.
//!
//! An [`Engine`] opens a [`Sandbox`] for an owner; [`Sandbox::test`] installs one addon on a fresh database and runs its
//! tests. How a run ends is a value ([`End`]); an error means that it could not be found out. What happens inside the
//! container stands in `sandbox/run/*.sh`. It never judges a log and never gives a container with code under test a network.

mod catalog;
mod container;
mod core_tree;
mod earned;
mod egress;
mod engine;
mod error;
mod facts;
mod forkserver;
mod image;
mod lease;
mod limits;
mod lint;
mod pool;
mod progress;
mod record;
mod recording;
mod scan;
mod seccomp;
mod series;
mod session;
mod shell;
mod sources;
mod start;
mod warm;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use earned::TemplatesConfig;
pub use engine::Engine;
pub use error::SandboxError;
pub use lease::Owner;
pub use limits::{Limits, SOURCE_BYTES};
pub use lint::{LintFinding, LintRun};
pub use pool::PoolConfig;
pub use record::{Check, Record, TestOutcome, TestResult, Written};
pub use session::{End, Phases, Sandbox, TestPlan, TestRun};

use crate::domain::{HostName, OdooVersion};

/// Settings of the sandbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The engine, such as `unix:///var/run/docker.sock` or `tcp://10.0.0.2:2375`. `None`: the local socket.
    pub docker_host: Option<String>,
    /// Images of your own by Odoo series; one named here is used as it is and never built.
    pub images: BTreeMap<OdooVersion, String>,
    /// What one run may use.
    pub limits: Limits,
    /// Sandboxes that wait for work.
    pub pool: PoolConfig,
    /// Templates that are made because they are wanted often.
    pub templates: TemplatesConfig,
    /// Another container runtime, such as `runsc`. `None`: the engine's default.
    pub runtime: Option<String>,
    /// Names that the proxy of a sandbox resolves itself, for approved hosts that no name server knows.
    pub hosts: BTreeMap<HostName, IpAddr>,
    /// Where building an image keeps what is slow to make again.
    pub cache_dir: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            docker_host: None,
            images: BTreeMap::new(),
            limits: Limits::default(),
            pool: PoolConfig::default(),
            templates: TemplatesConfig::default(),
            runtime: None,
            hosts: BTreeMap::new(),
            cache_dir: PathBuf::from("/var/cache/odoo-agent"),
        }
    }
}
