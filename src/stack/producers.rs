//! Programs that publish straight to NATS: each a user of its own, who may publish for one tenant and hear of that tenant's runs.
//!
//! A server of somebody else takes the same entry in its `authorization.users`.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::{Config, Paths, StackError, blocking, io, leftovers, nats, write_private};

/// The most producers of one server: each is a line that it reads at every start.
const MOST: usize = 10_000;

/// A user of NATS. It holds no secret: the server knows the public key alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// Its name, for people.
    pub name: String,
    /// The tenant that it publishes for.
    pub tenant: String,
    /// What stands before every subject of this installation; empty for nothing.
    pub prefix: String,
    /// The public part of its NKEY.
    pub public_key: String,
}

impl Producer {
    /// The subjects that it may publish to.
    pub fn publishes(&self) -> [String; 2] {
        let (dot, tenant) = (self.dot(), &self.tenant);
        [format!("{dot}jobs.*.{tenant}"), format!("{dot}ingest.{tenant}.*")]
    }

    /// The subjects that it may subscribe to: the steps of its tenant's runs, and answers to itself.
    pub fn subscribes(&self) -> [String; 2] {
        [format!("{}events.{}.*", self.dot(), self.tenant), format!("{}.>", self.inbox())]
    }

    /// What its client must put before the subjects of answers. The usual `_INBOX` would let one producer hear the answers to all.
    pub fn inbox(&self) -> String {
        format!("_INBOX_{}", self.public_key)
    }

    /// The entry in `authorization.users` of the server's configuration.
    pub fn entry(&self) -> String {
        let list = |subjects: [String; 2]| subjects.map(|subject| format!("\"{subject}\"")).join(", ");
        format!(
            "{{ nkey: \"{}\", permissions: {{ publish: [{}], subscribe: [{}] }} }} # {} of {}",
            self.public_key,
            list(self.publishes()),
            list(self.subscribes()),
            self.name,
            self.tenant
        )
    }

    fn dot(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}.", self.prefix) }
    }

    /// Whether every part can stand in the configuration: it is written there as it is.
    fn is_sound(&self) -> bool {
        let token = |text: &str, most: usize| {
            text.len() <= most && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        let key = &self.public_key;
        token(&self.name, 40)
            && !self.name.is_empty()
            && token(&self.tenant, 40)
            && !self.tenant.is_empty()
            && token(&self.prefix, 40)
            && token(key, 60)
            && key.starts_with('U')
    }
}

fn file(dir: &Path) -> std::path::PathBuf {
    dir.join("producers.json")
}

/// The producers of the server in this folder.
pub(super) fn load(dir: &Path) -> Result<Vec<Producer>, StackError> {
    let path = file(dir);
    match fs::read(&path) {
        Ok(text) => {
            let known: Vec<Producer> = serde_json::from_slice(&text).map_err(|error| io(&path)(error.into()))?;
            Ok(known.into_iter().filter(Producer::is_sound).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io(&path)(error)),
    }
}

/// Lists the producers of the embedded server.
pub async fn list(config: &Config) -> Result<Vec<Producer>, StackError> {
    let config = config.clone();
    blocking(move || load(&Paths::prepare(&config)?.nats)).await
}

/// Lets a producer in, at once. `false`: there is one of this name for this tenant.
pub async fn add(config: &Config, producer: Producer) -> Result<bool, StackError> {
    if !producer.is_sound() {
        return Err(StackError::Producer("the name must be 1 to 40 letters, digits, '-' or '_'".to_owned()));
    }
    change(config, move |known| {
        if known.iter().any(|other| (&other.name, &other.tenant) == (&producer.name, &producer.tenant)) {
            return Ok(false);
        }
        if known.len() >= MOST {
            return Err(StackError::Producer(format!("there are {MOST} producers already; remove some first")));
        }
        known.push(producer);
        Ok(true)
    })
    .await
}

/// Shuts a producer out, at once. `false`: there is none of this name for this tenant.
pub async fn remove(config: &Config, tenant: &str, name: &str) -> Result<bool, StackError> {
    let (tenant, name) = (tenant.to_owned(), name.to_owned());
    change(config, move |known| {
        let before = known.len();
        known.retain(|producer| (producer.name.as_str(), producer.tenant.as_str()) != (name.as_str(), tenant.as_str()));
        Ok(known.len() < before)
    })
    .await
}

/// One change at a time: what is written is what was read, but for this.
async fn change(
    config: &Config,
    alter: impl FnOnce(&mut Vec<Producer>) -> Result<bool, StackError> + Send + 'static,
) -> Result<bool, StackError> {
    let config = config.clone();
    blocking(move || {
        let paths = Paths::prepare(&config)?;
        let lock = paths.data.join("producers.lock");
        let held = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock).map_err(io(&lock))?;
        held.lock().map_err(io(&lock))?;
        let mut known = load(&paths.nats)?;
        if !alter(&mut known)? {
            return Ok(false);
        }
        let text = serde_json::to_vec_pretty(&known).map_err(|error| io(&file(&paths.nats))(error.into()))?;
        write_private(&file(&paths.nats), &text)?;
        nats::rewrite_config(&paths, config.sync, Account::for_servers()?.as_ref())?;
        reload(&paths);
        Ok(true)
    })
    .await
}

/// Has the running server read its configuration again. One that does not run reads it when it starts.
fn reload(paths: &Paths) {
    if let Some(pid) = leftovers::running(&paths.pid_file("nats"), &nats::config_file(&paths.nats))
        && let Err(error) = kill(pid, Signal::SIGHUP)
    {
        tracing::warn!(%error, "the nats-server was not told of its new configuration; it is read at its next start");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer() -> Producer {
        Producer { name: "erp".to_owned(), tenant: "acme".to_owned(), prefix: String::new(), public_key: "UABC".to_owned() }
    }

    #[test]
    fn producer_publishes_for_its_tenant_alone() {
        assert_eq!(producer().publishes(), ["jobs.*.acme", "ingest.acme.*"]);
        assert_eq!(producer().subscribes(), ["events.acme.*", "_INBOX_UABC.>"]);
        let with_prefix = Producer { prefix: "prod".to_owned(), ..producer() };
        assert_eq!(with_prefix.publishes(), ["prod.jobs.*.acme", "prod.ingest.acme.*"]);
    }

    #[test]
    fn nothing_in_a_name_reaches_the_configuration() {
        assert!(producer().is_sound());
        for bad in ["", "a b", "a\" }", "a\n", "*", ">", "a.b", &"a".repeat(41)] {
            assert!(!Producer { name: bad.to_owned(), ..producer() }.is_sound(), "{bad:?}");
            assert!(!Producer { tenant: bad.to_owned(), ..producer() }.is_sound(), "{bad:?}");
        }
        assert!(!Producer { public_key: "SUSECRET".to_owned(), ..producer() }.is_sound(), "a seed is no public key");
    }
}
