//! The container engine: is it there, has it the image, what did an earlier attempt leave behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::ListContainersOptionsBuilder;
use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;

use super::container::{Container, DB, remove};
use super::{Config, Sandbox, SandboxError, image};
use crate::domain::{OdooVersion, RunId, TenantId};

const LABEL_RUN: &str = "odoo-agent.run";
const LABEL_TENANT: &str = "odoo-agent.tenant";
const LABEL_INSTANCE: &str = "odoo-agent.instance";
const LABEL_DEADLINE: &str = "odoo-agent.deadline";

/// Whose container it is; becomes its labels.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The run it works for.
    pub run: RunId,
    /// The tenant of that run.
    pub tenant: TenantId,
    /// The worker that opened it.
    pub instance: String,
    /// When it may be swept away, whoever it belongs to.
    pub deadline: DateTime<Utc>,
}

impl Owner {
    fn labels(&self) -> HashMap<String, String> {
        HashMap::from([
            (LABEL_RUN.to_owned(), self.run.to_string()),
            (LABEL_TENANT.to_owned(), self.tenant.to_string()),
            (LABEL_INSTANCE.to_owned(), self.instance.clone()),
            (LABEL_DEADLINE.to_owned(), self.deadline.timestamp().to_string()),
        ])
    }
}

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
}

#[derive(Debug)]
struct Connection {
    docker: Docker,
    cpus: Option<i64>,
}

impl Engine {
    /// An engine with these settings. Connects to nothing yet.
    pub fn new(config: &Config) -> Self {
        Self { inner: Arc::new(Inner { config: config.clone(), connection: OnceCell::new(), building: Mutex::new(()) }) }
    }

    pub(super) fn config(&self) -> &Config {
        &self.inner.config
    }

    async fn connection(&self) -> Result<&Connection, SandboxError> {
        let connect = || async {
            let docker = match &self.config().docker_host {
                Some(host) => Docker::connect_with_host(host)?,
                None => Docker::connect_with_local_defaults()?,
            };
            let answered = timeout(Duration::from_secs(15), async {
                let docker = docker.negotiate_version().await?;
                let cpus = docker.info().await?.ncpu;
                Ok::<_, SandboxError>(Connection { docker, cpus })
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
            format!("build it with: sandbox/build.sh {version} {image}")
        };
        SandboxError::ImageMissing { version: version.clone(), image, how }
    }

    /// A sandbox for this series with PostgreSQL ready. Fails with [`SandboxError::ImageMissing`] if there is no image.
    pub async fn open(&self, version: &OdooVersion, owner: &Owner) -> Result<Sandbox, SandboxError> {
        Sandbox::open(self.clone(), version.clone(), owner.clone()).await
    }

    /// A started container with PostgreSQL answering.
    pub(super) async fn start(&self, version: &OdooVersion, owner: &Owner) -> Result<Container, SandboxError> {
        let image = self.image(version).await?.ok_or_else(|| self.image_missing(version))?;
        let connection = self.connection().await?;
        let config = self.config();
        let body = ContainerCreateBody {
            image: Some(image),
            entrypoint: Some(vec!["bash".to_owned(), "/opt/odoo-agent/start.sh".to_owned()]),
            cmd: Some(Vec::new()),
            user: Some(format!("{0}:{0}", DB.id)),
            working_dir: Some("/".to_owned()),
            hostname: Some("sandbox".to_owned()),
            labels: Some(owner.labels()),
            host_config: Some(config.limits.host_config(connection.cpus, config.runtime.clone())),
            ..ContainerCreateBody::default()
        };
        let container = Container::start(&connection.docker, body).await?;
        match container.script(&DB, &["/opt/odoo-agent/ready.sh", "60"], None).await {
            Ok(_) => Ok(container),
            Err(SandboxError::Protocol(why)) => {
                let why = format!("{why}; PostgreSQL said: {}", container.last_words().await.trim());
                container.remove().await?;
                Err(SandboxError::Protocol(why))
            }
            Err(error) => Err(error),
        }
    }

    /// Removes the containers that an earlier attempt of this run left behind; says how many.
    pub async fn remove_run(&self, run: RunId) -> Result<usize, SandboxError> {
        let doomed = self.containers(&format!("{LABEL_RUN}={run}")).await?;
        self.remove_all(doomed.into_iter().map(|(id, _)| id)).await
    }

    /// Removes the containers that are past their deadline, whoever made them; says how many.
    pub async fn sweep(&self) -> Result<usize, SandboxError> {
        let now = Utc::now().timestamp();
        let found = self.containers(LABEL_DEADLINE).await?;
        // A deadline that cannot be read is not ours to keep alive.
        let overdue =
            |labels: &HashMap<String, String>| labels.get(LABEL_DEADLINE).and_then(|at| at.parse::<i64>().ok()).is_none_or(|at| at < now);
        self.remove_all(found.into_iter().filter(|(_, labels)| overdue(labels)).map(|(id, _)| id)).await
    }

    async fn containers(&self, label: &str) -> Result<Vec<(String, HashMap<String, String>)>, SandboxError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.docker().await?.list_containers(Some(options)).await?;
        Ok(found.into_iter().filter_map(|container| Some((container.id?, container.labels.unwrap_or_default()))).collect())
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
