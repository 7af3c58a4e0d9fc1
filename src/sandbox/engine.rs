//! The container engine: is it there, has it the image, what did an earlier attempt leave behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, HostConfig};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;

use super::catalog::Catalog;
use super::container::remove;
use super::egress;
use super::lease::{is_over, run_part};
use super::pool::Pool;
use super::{Config, SandboxError, image};
use crate::domain::{OdooVersion, RunId, TenantId};
use crate::odoo::source::Facts;

/// Marks a container of ours; its value is the process that made it. Who may use it stands in its name.
const LABEL: &str = "odoo-agent.sandbox";
/// How many seconds there may be between making and starting a container; later its maker is gone.
const STARTING: i64 = 60;

/// A connection to the container engine that is made when it is first needed. Clones share it.
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    connection: OnceCell<Connection>,
    building: Mutex<()>,
    catalogs: Mutex<HashMap<String, Arc<Catalog>>>,
    facts: Mutex<HashMap<String, Arc<OnceCell<Arc<Facts>>>>>,
    pool: Pool,
    instance: String,
}

#[derive(Debug)]
struct Connection {
    docker: Docker,
    cpus: Option<i64>,
    /// Bytes of memory of the engine's machine.
    memory: Option<i64>,
}

impl Engine {
    /// An engine with these settings. Connects to nothing yet.
    pub fn new(config: &Config) -> Self {
        let inner = Inner {
            config: config.clone(),
            connection: OnceCell::new(),
            building: Mutex::default(),
            catalogs: Mutex::default(),
            facts: Mutex::default(),
            pool: Pool::default(),
            instance: format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The value of the label that marks the containers of this process.
    pub fn instance(&self) -> &str {
        &self.inner.instance
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    async fn connection(&self) -> Result<&Connection, SandboxError> {
        let connect = || async {
            let docker = match &self.config().docker_host {
                Some(host) => Docker::connect_with_host(host)?,
                None => Docker::connect_with_local_defaults()?,
            };
            let answered = timeout(Duration::from_secs(15), async {
                let docker = docker.negotiate_version().await?;
                let info = docker.info().await?;
                Ok::<_, SandboxError>(Connection { docker, cpus: info.ncpu, memory: info.mem_total })
            });
            answered.await.unwrap_or_else(|_| Err(SandboxError::EngineGone("no answer within 15 s".to_owned())))
        };
        self.inner.connection.get_or_try_init(connect).await
    }

    pub(super) async fn cpus(&self) -> Result<Option<i64>, SandboxError> {
        Ok(self.connection().await?.cpus)
    }

    /// The catalogs that were read, by image.
    pub(super) fn catalogs(&self) -> &Mutex<HashMap<String, Arc<Catalog>>> {
        &self.inner.catalogs
    }

    /// What Odoo's own addons define, by image.
    pub(super) fn known_facts(&self) -> &Mutex<HashMap<String, Arc<OnceCell<Arc<Facts>>>>> {
        &self.inner.facts
    }

    /// The limits of a container, as this engine wants them.
    pub(super) async fn host_config(&self) -> Result<HostConfig, SandboxError> {
        Ok(self.config().limits.host_config(self.cpus().await?, self.config().runtime.clone()))
    }

    /// What marks a container as ours.
    pub(super) fn labels(&self) -> HashMap<String, String> {
        HashMap::from([(LABEL.to_owned(), self.inner.instance.clone())])
    }

    pub(super) async fn docker(&self) -> Result<&Docker, SandboxError> {
        Ok(&self.connection().await?.docker)
    }

    /// The version of the engine, if it answers.
    pub async fn ping(&self) -> Result<String, SandboxError> {
        let version = self.docker().await?.version().await?;
        Ok(version.version.unwrap_or_else(|| "unknown".to_owned()))
    }

    /// The image that runs of this series use: one that was named, or the one that this program builds.
    pub(super) fn tag(&self, version: &OdooVersion) -> String {
        self.config().images.get(version).cloned().unwrap_or_else(|| image::tag(version))
    }

    /// The image for this series, if the engine has it.
    pub async fn image(&self, version: &OdooVersion) -> Result<Option<String>, SandboxError> {
        let tag = self.tag(version);
        match self.docker().await?.inspect_image(&tag).await {
            Ok(_) => Ok(Some(tag)),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The image for this series; builds it if it is not there, which takes minutes. `progress` gets a line at a time.
    pub async fn ensure_image(&self, version: &OdooVersion, progress: &(dyn Fn(String) + Send + Sync)) -> Result<String, SandboxError> {
        // Whoever comes second finds it built.
        let _alone = self.inner.building.lock().await;
        if let Some(tag) = self.image(version).await? {
            return Ok(tag);
        }
        if self.config().images.contains_key(version) {
            return Err(self.image_missing(version));
        }
        let (tag, config) = (self.tag(version), self.config());
        image::build(version, &tag, config.docker_host.as_deref(), &config.cache_dir, progress).await?;
        self.image(version).await?.ok_or_else(|| SandboxError::ImageBuild(format!("{tag} is still not there after its build")))
    }

    pub(super) fn image_missing(&self, version: &OdooVersion) -> SandboxError {
        let image = self.tag(version);
        let how = if self.config().images.contains_key(version) {
            "it is named in the settings: pull it, or remove the name to have one built".to_owned()
        } else {
            format!("build it with: odoo-agent image --odoo-version {version}")
        };
        SandboxError::ImageMissing { version: version.clone(), image, how }
    }

    /// How many sandboxes the memory of the engine's machine allows, the busy ones included.
    pub(super) async fn capacity(&self) -> Result<usize, SandboxError> {
        let config = self.config();
        let memory = self.connection().await?.memory.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(u64::MAX);
        let share = (memory as f64 * config.pool.memory_share) as u64;
        Ok(usize::try_from(share / config.limits.memory_bytes.max(1)).unwrap_or(usize::MAX))
    }

    /// How many sandboxes there are, whoever made them.
    pub(super) async fn alive(&self) -> Result<usize, SandboxError> {
        Ok(self.containers().await?.into_iter().filter(|found| !found.ended).count())
    }

    /// Removes the containers that an earlier attempt of this run of this tenant left behind; says how many.
    pub async fn remove_run(&self, run: RunId, tenant: &TenantId) -> Result<usize, SandboxError> {
        let part = format!(".{}.{tenant}.", run_part(run));
        let doomed = self.containers().await?;
        let removed = self.remove_all(doomed.into_iter().filter(|found| found.name.contains(&part)).map(|found| found.id)).await;
        egress::remove_volumes(self.docker().await?, LABEL, |name| name.contains(&part)).await?;
        removed
    }

    /// Removes the containers that nobody owns any more, whoever made them: those past their lease, and those that ended, for
    /// example with the engine. Says how many.
    pub async fn sweep(&self) -> Result<usize, SandboxError> {
        let now = Utc::now();
        let mut doomed = Vec::new();
        for found in self.containers().await?.into_iter().filter(|found| found.is_doomed(now)) {
            // One may have been handed out or renewed since the list was made.
            if found.ended || self.is_still_over(&found.id).await {
                doomed.push(found.id);
            }
        }
        let removed = self.remove_all(doomed.into_iter()).await;
        egress::remove_volumes(self.docker().await?, LABEL, |_| true).await?;
        removed
    }

    /// Whether the lease in the present name is over. What cannot be looked at is left to the next sweep.
    async fn is_still_over(&self, id: &str) -> bool {
        let Ok(docker) = self.docker().await else { return false };
        let found = docker.inspect_container(id, None::<InspectContainerOptions>).await;
        found.is_ok_and(|container| is_over(&container.name.unwrap_or_default(), Utc::now()))
    }

    async fn containers(&self) -> Result<Vec<Found>, SandboxError> {
        let filters = HashMap::from([("label", vec![LABEL])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.docker().await?.list_containers(Some(options)).await?;
        let read = |container: ContainerSummary| {
            let ended = matches!(container.state, Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD));
            let never_started = container.state == Some(ContainerSummaryStateEnum::CREATED);
            let is_old = container.created.is_some_and(|created| Utc::now().timestamp() - created > STARTING);
            let name = container.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
            Some(Found { id: container.id?, name, ended: ended || (never_started && is_old) })
        };
        Ok(found.into_iter().filter_map(read).collect())
    }

    async fn remove_all(&self, ids: impl Iterator<Item = String>) -> Result<usize, SandboxError> {
        let docker = self.docker().await?;
        let (mut removed, mut last) = (0, None);
        for id in ids {
            // One that cannot be removed must not keep the others.
            match remove(docker, &id).await {
                Ok(()) => removed += 1,
                Err(error) => {
                    tracing::debug!(container = id, %error, "a container could not be removed");
                    last = Some(error);
                }
            }
        }
        last.map_or(Ok(removed), Err)
    }
}

/// A container of ours.
struct Found {
    id: String,
    name: String,
    ended: bool,
}

impl Found {
    /// Whether nobody owns it any more. One that makes a template ends before it becomes an image.
    fn is_doomed(&self, now: DateTime<Utc>) -> bool {
        let making = self.name.split('.').nth(1) == Some("making");
        (self.ended && !making) || is_over(&self.name, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::lease;

    #[test]
    fn what_makes_a_template_may_have_ended() {
        let found = |name: String, ended| Found { id: String::new(), name: format!("/{name}"), ended };
        let (now, later) = (Utc::now(), Utc::now() + Duration::from_secs(86400));
        assert!(!found(lease::making(), true).is_doomed(now) && found(lease::making(), true).is_doomed(later));
        assert!(found(lease::idle(), true).is_doomed(now) && !found(lease::idle(), false).is_doomed(now));
        assert!(found(lease::idle(), false).is_doomed(later) && found(String::new(), false).is_doomed(now), "nobody's");
    }

    #[tokio::test]
    async fn engine_that_is_away_says_so() {
        let config = Config { docker_host: Some("unix:///nonexistent/docker.sock".to_owned()), ..Config::default() };
        let error = Engine::new(&config).ping().await.unwrap_err();
        assert!(matches!(error, SandboxError::EngineGone(_)), "{error}");
    }

    #[test]
    fn named_image_wins() {
        let version: OdooVersion = "18.0".parse().unwrap();
        let config = Config { images: [(version.clone(), "mine:18".to_owned())].into(), ..Config::default() };
        let engine = Engine::new(&config);
        assert_eq!(engine.tag(&version), "mine:18");
        assert!(engine.image_missing(&version).to_string().contains("mine:18"));
        assert!(engine.tag(&"19.0".parse().unwrap()).starts_with("odoo-agent-sandbox:19.0-"));
    }
}
