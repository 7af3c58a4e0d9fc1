//! The money of a tenant for what has no run: asked before it is spent, and told what was.

use uuid::Uuid;

use super::{Settings, budget, usage};
use crate::db::Db;
use crate::domain::{Cost, Failure, FailureKind, TenantId};

/// What one tenant may spend today beside its runs, and has.
#[derive(Debug, Clone)]
pub struct Account {
    db: Db,
    tenant: TenantId,
    settings: Settings,
}

impl Account {
    /// The account of a tenant that is allowed this much.
    pub fn new(db: Db, tenant: TenantId, settings: Settings) -> Self {
        Self { db, tenant, settings }
    }

    /// Fails with [`FailureKind::Budget`] if what may cost this much (US dollars) could go over the limit of the day.
    pub async fn check(&self, usd: f64) -> Result<(), Failure> {
        let left = budget::check_day(&self.db, &self.tenant, &self.settings).await?;
        if usd <= left {
            return Ok(());
        }
        let text = format!(
            "the next step may cost {usd:.6} US dollars and {left:.6} are left for tenant {} today; raise max_usd_per_day or wait",
            self.tenant
        );
        Err(Failure::new(FailureKind::Budget, anyhow::anyhow!(text)))
    }

    /// Writes down what something has cost; `step` says what it was. Each call is a payment of its own.
    pub async fn charge(&self, step: &str, cost: &Cost) -> Result<(), Failure> {
        let mut tx = self.db.tenant(&self.tenant).await?;
        usage::record_payment(&mut tx, Uuid::now_v7(), step, cost).await?;
        tx.commit().await?;
        Ok(())
    }
}
