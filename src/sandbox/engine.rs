//! The container engine: is it there, has it the image, what did an earlier attempt leave behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, HostConfig};
use bollard::query_parameters::ListContainersOptionsBuilder;
use chrono::Utc;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;

use super::catalog::Catalog;
use super::container::{Bounds, Container, DB, remove};
use super::egress::{self, Egress};
use super::forkserver::ForkServer;
use super::lease::{is_over, run_part};
use super::pool::Pool;
use super::warm::{Warm, script};
use super::{Config, Owner, Sandbox, SandboxError, image};
use crate::domain::{Domain, OdooVersion, RunId};

/// Marks a container of ours; its value is the process that made it. Who may use it stands in its name.
const LABEL: &str = "odoo-agent.sandbox";
/// The most bytes of a catalog; that of 19.0 has 90 kB.
const CATALOG_BYTES: usize = 4 * 1024 * 1024;

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
            pool: Pool::default(),
            instance: format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn config(&self) -> &Config {
        &self.inner.config
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

    async fn docker(&self) -> Result<&Docker, SandboxError> {
        Ok(&self.connection().await?.docker)
    }

    /// The version of the engine, if it answers.
    pub async fn ping(&self) -> Result<String, SandboxError> {
        let version = self.docker().await?.version().await?;
        Ok(version.version.unwrap_or_else(|| "unknown".to_owned()))
    }

    /// The image that runs of this series use: one that was named, or the one that this program builds.
    fn tag(&self, version: &OdooVersion) -> String {
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

    fn image_missing(&self, version: &OdooVersion) -> SandboxError {
        let image = self.tag(version);
        let how = if self.config().images.contains_key(version) {
            "it is named in the settings: pull it, or remove the name to have one built".to_owned()
        } else {
            format!("build it with: odoo-agent image --odoo-version {version}")
        };
        SandboxError::ImageMissing { version: version.clone(), image, how }
    }

    /// A sandbox for this series with PostgreSQL ready. Fails with [`SandboxError::ImageMissing`] if there is no image.
    pub async fn open(&self, version: &OdooVersion, owner: &Owner) -> Result<Sandbox, SandboxError> {
        self.open_with(version, owner, &[]).await
    }

    /// The same with a way out to these domains. One with none at all can reach nothing.
    pub async fn open_with(&self, version: &OdooVersion, owner: &Owner, allow: &[Domain]) -> Result<Sandbox, SandboxError> {
        Sandbox::open(self.clone(), version.clone(), owner.clone(), allow.to_vec()).await
    }

    /// A container that is ready for runs of this owner: one that waits, or a new one.
    pub(super) async fn acquire(&self, version: &OdooVersion, owner: &Owner, allow: &[Domain]) -> Result<Warm, SandboxError> {
        // The ones that wait have no way out, and none can be added.
        if !allow.is_empty() {
            let egress = self.egress(version, owner, allow).await?;
            return self.start_with(version, &owner.lease(), Some(egress)).await;
        }
        while let Some(mut warm) = self.pool().take(version) {
            // One may have ended while it waited, with the engine for example.
            if warm.is_alive().await && warm.container().rename(&owner.lease()).await.is_ok() {
                return Ok(warm);
            }
            tracing::info!("a waiting sandbox is gone");
            let _ = warm.into_container().remove().await;
        }
        self.start(version, &owner.lease()).await
    }

    /// A new container with PostgreSQL answering and Odoo imported.
    pub(super) async fn start(&self, version: &OdooVersion, name: &str) -> Result<Warm, SandboxError> {
        self.start_with(version, name, None).await
    }

    async fn egress(&self, version: &OdooVersion, owner: &Owner, allow: &[Domain]) -> Result<Egress, SandboxError> {
        let image = self.image(version).await?.ok_or_else(|| self.image_missing(version))?;
        let connection = self.connection().await?;
        Egress::start(&connection.docker, &owner.lease(), image, self.labels(), connection.cpus, self.config(), allow).await
    }

    fn labels(&self) -> HashMap<String, String> {
        HashMap::from([(LABEL.to_owned(), self.inner.instance.clone())])
    }

    async fn start_with(&self, version: &OdooVersion, name: &str, egress: Option<Egress>) -> Result<Warm, SandboxError> {
        let image = self.image(version).await?.ok_or_else(|| self.image_missing(version))?;
        let connection = self.connection().await?;
        let config = self.config();
        let body = ContainerCreateBody {
            image: Some(image.clone()),
            entrypoint: Some(vec!["bash".to_owned(), "/opt/odoo-agent/start.sh".to_owned()]),
            cmd: Some(Vec::new()),
            user: Some(format!("{0}:{0}", DB.id)),
            working_dir: Some("/".to_owned()),
            hostname: Some("sandbox".to_owned()),
            labels: Some(self.labels()),
            env: egress.as_ref().map(|_| egress::environment()),
            host_config: Some(HostConfig {
                mounts: egress.as_ref().map(|egress| vec![egress.mount()]),
                ..config.limits.host_config(connection.cpus, config.runtime.clone())
            }),
            ..ContainerCreateBody::default()
        };
        let mut container = Container::start(&connection.docker, name, body).await?;
        if let Some(egress) = egress {
            container.hold(egress);
        }
        match self.boot(&container, version, &image).await {
            Ok((server, catalog)) => Ok(Warm::new(container, server, catalog, version.clone())),
            Err(SandboxError::Protocol(why)) => {
                let why = format!("{why}; PostgreSQL said: {}", container.last_words().await.trim());
                container.remove().await?;
                Err(SandboxError::Protocol(why))
            }
            Err(error) => Err(error),
        }
    }

    /// Odoo is imported while PostgreSQL comes up.
    async fn boot(&self, container: &Container, version: &OdooVersion, image: &str) -> Result<(ForkServer, Arc<Catalog>), SandboxError> {
        let ready = script("ready.sh");
        let answering = [ready.as_str(), "60"];
        let serve = async {
            let catalog = self.catalog(container, image).await?;
            let mut server = ForkServer::start(container, version).await?;
            server.load(&catalog.base()).await?;
            Ok((server, catalog))
        };
        let egress = async { if container.has_egress() { egress::connect(container).await } else { Ok(()) } };
        let (_, served, ()) = tokio::try_join!(container.script(&DB, &answering, None), serve, egress)?;
        Ok(served)
    }

    /// What the image offers; read once.
    async fn catalog(&self, container: &Container, image: &str) -> Result<Arc<Catalog>, SandboxError> {
        let mut known = self.inner.catalogs.lock().await;
        if let Some(catalog) = known.get(image) {
            return Ok(catalog.clone());
        }
        let bounds = Bounds { bytes: CATALOG_BYTES, ..Bounds::SCRIPT };
        let text = container.exec(&DB, &["cat", "/opt/warm/catalog.json"], None, bounds).await?.text();
        let catalog = Arc::new(Catalog::parse(&text)?);
        known.insert(image.to_owned(), catalog.clone());
        Ok(catalog)
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

    /// Removes the containers that an earlier attempt of this run left behind; says how many.
    pub async fn remove_run(&self, run: RunId) -> Result<usize, SandboxError> {
        let part = format!(".{}.", run_part(run));
        let doomed = self.containers().await?;
        let removed = self.remove_all(doomed.into_iter().filter(|found| found.name.contains(&part)).map(|found| found.id)).await?;
        egress::remove_volumes(self.docker().await?, LABEL, |name| name.contains(&part)).await?;
        Ok(removed)
    }

    /// Removes the containers that nobody owns any more, whoever made them: those past their lease, and those that ended, for
    /// example with the engine. Says how many.
    pub async fn sweep(&self) -> Result<usize, SandboxError> {
        let now = Utc::now();
        let doomed = self.containers().await?.into_iter().filter(|found| found.ended || is_over(&found.name, now));
        let removed = self.remove_all(doomed.map(|found| found.id)).await?;
        egress::remove_volumes(self.docker().await?, LABEL, |_| true).await?;
        Ok(removed)
    }

    async fn containers(&self) -> Result<Vec<Found>, SandboxError> {
        let filters = HashMap::from([("label", vec![LABEL])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.docker().await?.list_containers(Some(options)).await?;
        let read = |container: ContainerSummary| {
            let ended = matches!(container.state, Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD));
            let name = container.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
            Some(Found { id: container.id?, name, ended })
        };
        Ok(found.into_iter().filter_map(read).collect())
    }

    async fn remove_all(&self, ids: impl Iterator<Item = String>) -> Result<usize, SandboxError> {
        let docker = self.docker().await?;
        let mut removed = 0;
        for id in ids {
            remove(docker, &id).await?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// A container of ours.
struct Found {
    id: String,
    name: String,
    ended: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

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
