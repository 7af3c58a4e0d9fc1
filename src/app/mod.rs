//! The composition root: connects the adapters once, and offers what doors and workers do with them.
//!
//! Doors see only this; it never knows a door, a worker or a handler.

mod approve;
mod groups;
mod keys;
mod limits;
mod purse;
mod rollback;
mod search;
mod settle;
mod submit;
mod tickets;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use chrono::{DateTime, Utc};
use futures::Stream;
use serde_json::Value;

use crate::claude::Claude;
use crate::config::Config;
use crate::db::Db;
use crate::domain::{EventId, Failure, JobKind, Progress, RunId, TenantId};
use crate::knowledge::Embedder;
use crate::knowledge::{Knowledge, Sources};
use crate::queue::{Queue, QueueError};
use crate::runs::groups::EventView;
use crate::runs::{self, RunView};
use crate::sandbox::Engine;
use crate::tenants::{self, Settings};

pub use crate::knowledge::confidence::{Actor, Earned};
pub use crate::knowledge::{
    Answer as SearchAnswer, Defined, Hit, MAX_TOKENS, Question as DefinitionQuestion, Request as SearchRequest, Room, Sought, Span,
};
pub use crate::runs::groups::{Filter as GroupFilter, GroupPage, GroupState, GroupView, MAX_PAGE};
pub use crate::tenants::keys::{Authenticated, KeyId, KeyView};
pub use crate::tickets::{BadResolution, Filter as TicketFilter, Resolution, TicketLine, TicketPage, TicketState, TicketView};
pub use approve::Approved;
pub use limits::{Allowance, Limits, OverLimit, Standing, Use};
pub use rollback::Rollback;
pub use submit::Submitted;

/// Everything that is connected. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The settings that it was connected with.
    pub config: Arc<Config>,
    /// PostgreSQL.
    pub db: Db,
    /// JetStream.
    pub queue: Queue,
    /// Docker.
    pub sandbox: Engine,
    /// Claude, if there is a key.
    pub claude: Option<Claude>,
    /// What worked before.
    pub knowledge: Knowledge,
    /// The sources that may be indexed.
    pub sources: Arc<Sources>,
    /// Limits of what tenants and keys may send.
    pub limits: Arc<Limits>,
}

impl App {
    /// Connects to PostgreSQL and NATS and brings both to the version of this program. Docker is met when it is needed.
    pub async fn connect(config: Config) -> anyhow::Result<Self> {
        if let Some(owner) = config.database.owner_url() {
            let migrated = crate::db::migrate(owner).await.context("the database could not be brought to this version")?;
            anyhow::ensure!(
                migrated || config.database.migration_url.is_none(),
                "database.migration_url is a login that may not create tables"
            );
            if let (true, Some(secret)) = (migrated, &config.database.signing_key) {
                crate::db::store_signing_key(owner, secret).await.context("database.signing_key could not be stored")?;
            }
        }
        let db = Db::connect(&config.database).await?;
        let queue = Queue::connect(&config.queue).await?;
        queue.ensure_topology().await?;
        let embedder = Embedder::open(&config.knowledge.embedder, &config.runtime_dir)?;
        let config = Arc::new(config);
        let purse = Arc::new(purse::Purse::new(db.clone(), config.clone()));
        let app = Self {
            knowledge: Knowledge::new(db.clone(), embedder).paid_by(purse).trusting(config.confidence),
            sandbox: Engine::new(&config.sandbox),
            claude: Claude::new(&config.claude)?,
            sources: Arc::new(config.sources()),
            limits: Arc::new(Limits::new(queue.clone(), config.api.limits.clone())),
            config,
            db,
            queue,
        };
        for tenant in app.config.tenants.keys() {
            tenants::ensure(&app.db, tenant).await?;
        }
        Ok(app)
    }

    /// What a tenant is allowed, with the defaults where the settings do not name it.
    pub fn settings(&self, tenant: &TenantId) -> Settings {
        allowed(&self.config, tenant)
    }

    /// The tenants that the settings name, and the operator.
    pub fn tenants(&self) -> BTreeSet<&TenantId> {
        self.config.tenants.keys().chain([&self.sources.operator]).collect()
    }

    /// A run of this tenant.
    pub async fn run(&self, tenant: &TenantId, run: RunId) -> Result<Option<RunView>, Failure> {
        Ok(runs::get(&self.db, tenant, run).await?)
    }

    /// What became of an event of this tenant; empty until triage has read it.
    pub async fn event(&self, tenant: &TenantId, event: EventId) -> Result<Vec<EventView>, Failure> {
        Ok(runs::groups::event(&self.db, tenant, event).await?)
    }

    /// The steps of a run, from `after` (a sequence number) or from its start, until its end.
    pub async fn follow(
        &self,
        tenant: &TenantId,
        run: RunId,
        after: Option<u64>,
    ) -> Result<impl Stream<Item = Result<(u64, Progress), QueueError>> + Send + use<>, Failure> {
        Ok(self.queue.follow(tenant, run, after).await?)
    }

    /// Tells a step of a run to whoever follows it. A step that cannot be told is logged, and the run goes on.
    pub async fn tell(&self, tenant: &TenantId, run: RunId, progress: &Progress) {
        let mut told = self.queue.publish_progress(tenant, run, progress).await;
        if matches!(told, Err(QueueError::TooLarge { .. })) {
            // A result with a large patch: the followers must at least see that it is there. `GET /v1/jobs` has all of it.
            let message: String = progress.message.chars().take(2_000).collect();
            told = self.queue.publish_progress(tenant, run, &Progress::new(&progress.step, message)).await;
        }
        if let Err(error) = told {
            tracing::warn!(%error, %run, step = progress.step, "a step could not be told");
        }
    }

    /// Whether the settings have what such a job is about: the program's own cron table names sources that not everybody has.
    pub fn can_do(&self, kind: JobKind, payload: &Value) -> bool {
        match kind {
            JobKind::Reindex => payload["source"].as_str().is_some_and(|name| name == "tickets" || self.sources.named.contains_key(name)),
            JobKind::DebugError | JobKind::SearchKnowledge => true,
        }
    }

    /// Since when this database has anything to schedule: since its operator is there.
    pub async fn since(&self) -> Result<DateTime<Utc>, Failure> {
        tenants::ensure(&self.db, &self.sources.operator).await?;
        Ok(tenants::created_at(&self.db, &self.sources.operator).await?)
    }

    /// Returns how many connections the API may have: what the settings say, unless the process may not open as many files.
    pub fn most_connections(&self) -> usize {
        crate::telemetry::files::left_for_connections()
            .map_or(self.config.api.max_connections, |left| left.min(self.config.api.max_connections))
    }

    /// Whether PostgreSQL and NATS answer.
    pub async fn ready(&self) -> Result<(), Failure> {
        self.db.ping().await?;
        if !self.queue.is_connected() {
            return Err(Failure::unavailable(anyhow::anyhow!("NATS does not answer")));
        }
        Ok(())
    }
}

fn allowed(config: &Config, tenant: &TenantId) -> Settings {
    config.tenants.get(tenant).cloned().unwrap_or_default()
}
