//! Every setting: read once at start from `odoo-agent.toml` and the environment, checked, and handed down as values.
//!
//! Nothing below `app` reads this; each adapter gets its own part.

mod api;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};
use serde::Deserialize;

use crate::domain::TenantId;
use crate::{claude, db, knowledge, queue, sandbox, stack, telemetry, tenants};

pub use api::{ApiConfig, LimitsConfig, Quota};

/// The names that people already use, and the keys that they set.
const WELL_KNOWN: &[(&str, &str)] = &[
    ("DATABASE_URL", "database.url"),
    ("NATS_URL", "queue.url"),
    ("ANTHROPIC_API_KEY", "claude.api_key"),
    ("ANTHROPIC_BASE_URL", "claude.base_url"),
    ("VOYAGE_API_KEY", "knowledge.embedder.voyage_api_key"),
    ("OPENAI_API_KEY", "knowledge.embedder.openai_api_key"),
    ("DOCKER_HOST", "sandbox.docker_host"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("RUST_LOG", "telemetry.filter"),
];

/// Names with our prefix that are for the script that builds the sandbox image, and pass through.
const FOR_SCRIPTS: &[&str] = &["IMAGE_SOURCE", "CACHE_DIR"];

/// What may hold a secret. Text even if it looks like a number.
const SECRETS: &[&str] = &[
    "database.url",
    "database.migration_url",
    "database.signing_key",
    "queue.url",
    "queue.token",
    "claude.api_key",
    "knowledge.embedder.voyage_api_key",
    "knowledge.embedder.openai_api_key",
];

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the embedded stack keeps its data.
    pub data_dir: PathBuf,
    /// Where the binaries of the embedded stack are.
    pub runtime_dir: PathBuf,
    /// PostgreSQL.
    #[serde(default)]
    pub database: db::Config,
    /// NATS.
    #[serde(default)]
    pub queue: queue::Config,
    /// Docker.
    #[serde(default)]
    pub sandbox: sandbox::Config,
    /// Claude.
    #[serde(default)]
    pub claude: claude::Config,
    /// The HTTP door.
    #[serde(default)]
    pub api: ApiConfig,
    /// The worker.
    #[serde(default)]
    pub worker: WorkerConfig,
    /// The knowledge base.
    #[serde(default)]
    pub knowledge: knowledge::Config,
    /// How confidence in the sources of fixes is earned.
    #[serde(default)]
    pub confidence: knowledge::confidence::Config,
    /// The tenant whose jobs may index what is everybody's.
    #[serde(default = "operator")]
    pub operator: TenantId,
    /// A cron table in the place of the program's own.
    #[serde(default)]
    pub schedule: Option<PathBuf>,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: telemetry::Config,
    /// What each tenant is allowed. A tenant named here exists.
    #[serde(default)]
    pub tenants: BTreeMap<TenantId, tenants::Settings>,
}

/// The worker.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// How many jobs of one kind are done at once. Each may hold a sandbox of several GiB.
    pub concurrency: usize,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { concurrency: 2 }
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value has the wrong form or a key does not exist.
    #[error("the settings cannot be read: {0}; docs/settings.md lists every key")]
    Unreadable(#[from] Box<figment::Error>),
    /// A file was named that is not there.
    #[error("the settings file {0} does not exist")]
    NoFile(PathBuf),
    /// Two settings do not go together, or one is out of range.
    #[error("{0}")]
    Inconsistent(String),
}

impl Config {
    /// Reads the file (the one given, else `odoo-agent.toml` here if it exists), then the environment over it.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(file) = file
            && !file.is_file()
        {
            return Err(ConfigError::NoFile(file.to_owned()));
        }
        let file = file.unwrap_or(Path::new("odoo-agent.toml"));
        Self::from(
            Figment::from(Serialized::defaults(defaults()))
                .merge(Toml::file(file))
                .merge(well_known())
                .merge(Env::prefixed("ODOO_AGENT_").ignore(FOR_SCRIPTS).split("__"))
                .merge(texts()),
        )
    }

    fn from(figment: Figment) -> Result<Self, ConfigError> {
        let config: Self = figment.extract().map_err(|error| {
            // The usual text repeats the value, which must not be read over a shoulder or in a log.
            let key = error.path.join(".").to_ascii_lowercase();
            match SECRETS.iter().find(|secret| **secret == key) {
                Some(secret) => ConfigError::Inconsistent(format!("{secret} must be text, in quotes")),
                None => ConfigError::Unreadable(Box::new(error)),
            }
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.worker.concurrency == 0 || self.worker.concurrency > 64 {
            return Err(ConfigError::Inconsistent("worker.concurrency must be 1 to 64".to_owned()));
        }
        if let Some(fault) = self.api.fault() {
            return Err(ConfigError::Inconsistent(fault.to_owned()));
        }
        for (tenant, settings) in &self.tenants {
            if !(0.0..=1.0).contains(&settings.threshold) {
                return Err(ConfigError::Inconsistent(format!("tenants.{tenant}.threshold must be between 0 and 1")));
            }
        }
        if !(1..=365).contains(&self.confidence.settle_days) {
            return Err(ConfigError::Inconsistent("confidence.settle_days must be 1 to 365".to_owned()));
        }
        for (name, source) in &self.knowledge.sources {
            if let Some(fault) = source.fault() {
                return Err(ConfigError::Inconsistent(format!("knowledge.sources.{name}: {fault}")));
            }
        }
        Ok(())
    }

    /// The sources that may be indexed, and by whom.
    pub fn sources(&self) -> knowledge::Sources {
        knowledge::Sources {
            named: self.knowledge.sources.clone(),
            operator: self.operator.clone(),
            folder: self.sandbox.cache_dir.join("sources"),
        }
    }

    /// Which servers of the embedded stack are needed: those that no setting names.
    pub fn stack(&self) -> stack::Config {
        stack::Config {
            data_dir: self.data_dir.clone(),
            runtime_dir: self.runtime_dir.clone(),
            nats: self.queue.url.is_none(),
            postgres: self.database.url.is_none(),
            sync: if self.queue.sync_interval.is_zero() {
                stack::SyncInterval::Always
            } else {
                stack::SyncInterval::Every(self.queue.sync_interval)
            },
        }
    }
}

#[expect(clippy::expect_used, reason = "a constant, covered by a test")]
fn operator() -> TenantId {
    "default".parse().expect("default is a tenant")
}

/// As root everything is below /var/lib, where the unprivileged user of the servers can reach it; else in the user's own folder.
fn defaults() -> Dict {
    let folders: BTreeMap<_, _> =
        Env::raw().only(&["HOME", "XDG_DATA_HOME"]).iter().map(|(key, value)| (key.as_str().to_ascii_lowercase(), value)).collect();
    let base = if nix::unistd::geteuid().is_root() {
        PathBuf::from("/var/lib/odoo-agent")
    } else if let Some(data) = folders.get("xdg_data_home") {
        Path::new(data).join("odoo-agent")
    } else {
        Path::new(folders.get("home").map_or(".", String::as_str)).join(".local/share/odoo-agent")
    };
    let path = |name: &str| Value::from(base.join(name).to_string_lossy().into_owned());
    let sandbox = Dict::from([("cache_dir".to_owned(), path("cache"))]);
    Dict::from([("data_dir".to_owned(), path("data")), ("runtime_dir".to_owned(), path("runtime")), ("sandbox".to_owned(), sandbox.into())])
}

/// The environment's secrets once more, as text: a token of nothing but digits would count as a number.
fn texts() -> Figment {
    let set: Vec<_> = Env::prefixed("ODOO_AGENT_").split("__").iter().collect();
    SECRETS.iter().fold(Figment::new(), |figment, key| match set.iter().find(|(found, _)| found.as_str().eq_ignore_ascii_case(key)) {
        Some((_, value)) => figment.merge((*key, value.clone())),
        None => figment,
    })
}

fn well_known() -> Figment {
    let names: Vec<_> = WELL_KNOWN.iter().map(|(name, _)| *name).collect();
    let set = Env::raw().only(&names).iter().collect::<Vec<_>>();
    WELL_KNOWN.iter().fold(Figment::new(), |figment, (name, key)| {
        match set.iter().find(|(found, value)| found.as_str().eq_ignore_ascii_case(name) && !value.is_empty()) {
            Some((_, value)) => figment.merge((*key, value.clone())),
            None => figment,
        }
    })
}

#[cfg(test)]
mod tests {
    use figment::Jail;

    use super::*;

    #[test]
    #[expect(clippy::result_large_err, reason = "the type of figment's test harness")]
    fn environment_wins_over_the_file() {
        Jail::expect_with(|jail| {
            jail.clear_env();
            jail.create_file("odoo-agent.toml", "[worker]\nconcurrency = 3\n[tenants.acme]\naddons = [\"/srv/a\"]\n")?;
            jail.set_env("ODOO_AGENT_WORKER__CONCURRENCY", "5");
            jail.set_env("NATS_URL", "nats://127.0.0.1:4222");
            jail.set_env("ODOO_AGENT_IMAGE_SOURCE", "debian");
            let config = Config::load(None).unwrap();
            assert_eq!(config.worker.concurrency, 5);
            assert!(!config.stack().nats && config.stack().postgres);
            assert_eq!(config.tenants[&"acme".parse().unwrap()].addons, [PathBuf::from("/srv/a")]);
            Ok(())
        });
    }

    #[test]
    #[expect(clippy::result_large_err, reason = "the type of figment's test harness")]
    fn secret_of_digits_is_text_and_never_shown() {
        Jail::expect_with(|jail| {
            jail.clear_env();
            jail.set_env("ODOO_AGENT_QUEUE__TOKEN", "123456789");
            assert!(Config::load(None).unwrap().queue.token.is_some());
            jail.clear_env();
            jail.create_file("odoo-agent.toml", "[queue]\ntoken = 123456789\n")?;
            let error = format!("{:#}", anyhow::Error::from(Config::load(None).unwrap_err()));
            assert!(error.contains("queue.token") && !error.contains("123456789"), "{error}");
            Ok(())
        });
    }

    #[test]
    #[expect(clippy::result_large_err, reason = "the type of figment's test harness")]
    fn mistakes_are_named() {
        Jail::expect_with(|jail| {
            jail.clear_env();
            jail.create_file("odoo-agent.toml", "[worker]\nconcurency = 3\n")?;
            let error = Config::load(None).unwrap_err().to_string();
            assert!(error.contains("concurency"), "{error}");
            jail.create_file("odoo-agent.toml", "[tenants.\"A.*\"]\n")?;
            assert!(Config::load(None).is_err(), "a tenant that is no subject token");
            assert!(matches!(Config::load(Some(Path::new("nope.toml"))), Err(ConfigError::NoFile(_))));
            Ok(())
        });
    }
}
