//! How a container comes to be ready for runs: handed out by the pool, or started.

use std::sync::Arc;

use bollard::models::{ContainerCreateBody, HostConfig};

use super::catalog::Catalog;
use super::container::{Bounds, Container, DB, script};
use super::egress::{self, Egress};
use super::forkserver::ForkServer;
use super::shell::Shell;
use super::warm::Warm;
use super::{Engine, Owner, Sandbox, SandboxError};
use crate::domain::{Domain, OdooVersion};

/// The most bytes of a catalog; that of 19.0 has 90 kB.
const CATALOG_BYTES: usize = 4 * 1024 * 1024;
/// The engine's default weight of a container where processors are scarce, and that of one which nobody works in yet.
const SHARES: i32 = 1024;
const IDLE_SHARES: i64 = 16;

impl Engine {
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
        while let Some(mut warm) = allow.is_empty().then(|| self.pool().take(version)).flatten() {
            // One may have ended while it waited, with the engine for example.
            if warm.is_alive().await && self.hand_over(warm.container(), &owner.lease()).await.is_ok() {
                return Ok(warm);
            }
            tracing::info!("a waiting sandbox is gone");
            let _ = warm.into_container().remove().await;
        }
        let image = self.present_image(version).await?;
        // Boxed, for the many steps make a large future.
        Box::pin(self.start_for(&image, version, owner, allow)).await
    }

    /// A new container of this owner, from an image that is known to be there.
    pub(super) async fn start_for(
        &self,
        image: &str,
        version: &OdooVersion,
        owner: &Owner,
        allow: &[Domain],
    ) -> Result<Warm, SandboxError> {
        let egress = if allow.is_empty() {
            None
        } else {
            let (docker, cpus) = (self.docker().await?, self.cpus().await?);
            Some(Egress::start(docker, &owner.lease(), image.to_owned(), self.labels(), cpus, self.config(), allow).await?)
        };
        self.start_from(image, version, &owner.lease(), egress).await
    }

    /// A new container that belongs to nobody yet. While it starts it takes only the processor time that no run wants.
    pub(super) async fn start_idle(&self, version: &OdooVersion, name: &str) -> Result<Warm, SandboxError> {
        let image = self.present_image(version).await?;
        let host = HostConfig { cpu_shares: Some(IDLE_SHARES), ..self.host_config().await? };
        self.start_on(&image, version, name, host, None).await
    }

    /// Makes a container that waited one that works.
    async fn hand_over(&self, container: &Container, name: &str) -> Result<(), SandboxError> {
        container.set_shares(SHARES).await?;
        container.rename(name).await
    }

    async fn present_image(&self, version: &OdooVersion) -> Result<String, SandboxError> {
        self.image(version).await?.ok_or_else(|| self.image_missing(version))
    }

    async fn start_from(&self, image: &str, version: &OdooVersion, name: &str, egress: Option<Egress>) -> Result<Warm, SandboxError> {
        let host = HostConfig { mounts: egress.as_ref().map(|egress| vec![egress.mount()]), ..self.host_config().await? };
        self.start_on(image, version, name, host, egress).await
    }

    async fn start_on(
        &self,
        image: &str,
        version: &OdooVersion,
        name: &str,
        host: HostConfig,
        egress: Option<Egress>,
    ) -> Result<Warm, SandboxError> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec!["bash".to_owned(), script("start.sh")]),
            cmd: Some(Vec::new()),
            user: Some(format!("{0}:{0}", DB.id)),
            working_dir: Some("/".to_owned()),
            hostname: Some("sandbox".to_owned()),
            labels: Some(self.labels()),
            env: egress.as_ref().map(|_| egress::environment()),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let mut container = Container::start_tethered(self.docker().await?, name, body).await?;
        if let Some(egress) = egress {
            container.hold(egress);
        }
        match self.boot(&container, version, image).await {
            Ok((server, catalog)) => {
                let shell = Shell::open(&container).await?;
                Ok(Warm::new(container, server, shell, catalog, version.clone()))
            }
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
        let mut known = self.catalogs().lock().await;
        if let Some(catalog) = known.get(image) {
            return Ok(catalog.clone());
        }
        let bounds = Bounds { bytes: CATALOG_BYTES, ..Bounds::SCRIPT };
        let text = container.exec(&DB, &["cat", "/opt/warm/catalog.json"], None, bounds).await?.text();
        let catalog = Arc::new(Catalog::parse(&text)?);
        known.insert(image.to_owned(), catalog.clone());
        Ok(catalog)
    }
}
