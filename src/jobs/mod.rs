//! What each kind of job does: one file a kind, one exhaustive match.
//!
//! A handler returns an [`Outcome`]; it never publishes, never acknowledges, and never writes outside its own run.

mod debug_error;
mod purse;
mod reindex;
mod report;
mod search_knowledge;

pub use purse::purse;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::claude::Claude;
use crate::domain::{Authority, Failure, Job, JobKind, Outcome, Progress, RunId, TenantId};
use crate::knowledge::{Knowledge, Sources};
use crate::sandbox::{Engine, Owner};
use crate::tenants::{Ledger, Settings};

/// What a handler works with.
#[derive(Clone)]
pub struct Ctx {
    /// Whose job it is.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// Submitter of the run.
    pub authority: Authority,
    /// What the tenant allows.
    pub settings: Settings,
    /// What is known; what is embedded for it is charged to the run.
    pub knowledge: Knowledge,
    /// The sources that may be indexed.
    pub sources: Arc<Sources>,
    /// Claude, if there is a key.
    pub claude: Option<Claude>,
    /// The containers.
    pub sandbox: Engine,
    /// Which worker this is, for the labels of containers.
    pub instance: String,
    /// The tenant's money.
    pub ledger: Ledger,
    /// When this attempt's time is up.
    pub deadline: Instant,
    /// Where steps are told.
    pub progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl Ctx {
    fn tell(&self, step: &str, message: impl Into<String>) {
        (self.progress)(Progress::new(step, message));
    }

    fn owner(&self) -> Owner {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // A little more than the attempt has: its own clean-up comes first, the sweep after it.
        let deadline = Utc::now() + left + Duration::from_secs(60);
        Owner { run: self.run, tenant: self.tenant.clone(), instance: self.instance.clone(), deadline }
    }
}

/// Does a job.
pub async fn run(ctx: &Ctx, job: &Job) -> Result<Outcome, Failure> {
    match job.kind {
        JobKind::DebugError => Box::pin(debug_error::run(ctx, &job.payload)).await,
        JobKind::SearchKnowledge => search_knowledge::run(ctx, &job.payload).await,
        JobKind::Reindex => Box::pin(reindex::run(ctx, &job.payload)).await,
    }
}
