//! One run's purse: asked before money is spent, and told what was.

use uuid::Uuid;

use super::{Settings, budget, usage};
use crate::db::Db;
use crate::domain::{Cost, Failure, FailureKind, RunId, TenantId};

/// What one run of one tenant may spend, and has.
#[derive(Debug, Clone)]
pub struct Ledger {
    db: Db,
    tenant: TenantId,
    run: RunId,
    /// Names this attempt's payments. The number alone would not do: an attempt that was handed back gives its number to the next.
    payer: String,
    settings: Settings,
}

impl Ledger {
    /// The ledger of one attempt at a run.
    pub fn new(db: Db, tenant: TenantId, run: RunId, attempt: u32, settings: &Settings) -> Self {
        let payer = format!("attempt {attempt} ({})", Uuid::now_v7().simple());
        Self { db, tenant, run, payer, settings: settings.clone() }
    }

    /// Fails with [`FailureKind::Budget`] if a step that may cost this much (US dollars) could go over a limit.
    pub async fn check(&self, usd: f64) -> Result<(), Failure> {
        let left = budget::check(&self.db, &self.tenant, self.run, &self.settings).await?.usd();
        if usd <= left {
            return Ok(());
        }
        let text = format!(
            "the next step may cost {usd:.2} US dollars and {left:.2} are left for this run; raise max_usd_per_job or max_usd_per_day"
        );
        Err(Failure::new(FailureKind::Budget, anyhow::anyhow!(text)))
    }

    /// Writes down what a step has cost. A step that a later attempt pays for again is written down again.
    pub async fn charge(&self, step: &str, cost: &Cost) -> Result<(), Failure> {
        let mut tx = self.db.tenant(&self.tenant).await?;
        usage::record(&mut tx, self.run, &format!("{}/{step}", self.payer), cost).await?;
        tx.commit().await?;
        Ok(())
    }
}
