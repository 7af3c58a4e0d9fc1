//! What a run, or a tenant without one, may still spend. Who asks at the same time sees the same remainder, so a day's limit can be passed by
//! what those spend at most.

use super::{Settings, usage};
use crate::db::Db;
use crate::domain::{Failure, FailureKind, RunId, TenantId};

/// US dollars that are left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Left {
    /// For this run.
    pub job_usd: f64,
    /// For the tenant, today (UTC).
    pub day_usd: f64,
}

impl Left {
    fn new(settings: &Settings, by_run: f64, today: f64) -> Self {
        Self { job_usd: (settings.max_usd_per_job - by_run).max(0.0), day_usd: (settings.max_usd_per_day - today).max(0.0) }
    }

    /// What the next step may cost at most.
    pub fn usd(&self) -> f64 {
        self.job_usd.min(self.day_usd)
    }

    fn into_result(self, tenant: &TenantId, settings: &Settings) -> Result<Self, Failure> {
        let spent = |what: &str, limit: f64, setting: &str| {
            Failure::new(
                FailureKind::Budget,
                anyhow::anyhow!("the {what} of tenant {tenant}, {limit} US dollars, is spent; raise {setting} or wait"),
            )
        };
        if self.day_usd <= 0.0 {
            return Err(spent("limit for today", settings.max_usd_per_day, "max_usd_per_day"));
        }
        if self.job_usd <= 0.0 {
            return Err(spent("limit for one run", settings.max_usd_per_job, "max_usd_per_job"));
        }
        Ok(self)
    }
}

/// What is left for this run; fails with [`FailureKind::Budget`] if that is nothing.
pub async fn check(db: &Db, tenant: &TenantId, run: RunId, settings: &Settings) -> Result<Left, Failure> {
    let by_run = usage::spent_by_run(db, tenant, run).await?;
    let today = usage::spent_today(db, tenant).await?;
    Left::new(settings, by_run, today).into_result(tenant, settings)
}

/// US dollars that are left for the tenant today, whoever spends them; fails with [`FailureKind::Budget`] if that is nothing.
pub async fn check_day(db: &Db, tenant: &TenantId, settings: &Settings) -> Result<f64, Failure> {
    let today = usage::spent_today(db, tenant).await?;
    let alone = Settings { max_usd_per_job: f64::INFINITY, ..settings.clone() };
    Ok(Left::new(&alone, 0.0, today).into_result(tenant, settings)?.day_usd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tighter_limit_counts() {
        let settings = Settings { max_usd_per_job: 1.0, max_usd_per_day: 10.0, ..Settings::default() };
        let tenant: TenantId = "acme".parse().unwrap();
        assert!((Left::new(&settings, 0.25, 9.5).usd() - 0.5).abs() < 1e-9);
        for (by_run, today) in [(1.0, 1.0), (0.0, 10.0), (2.0, 50.0)] {
            let failure = Left::new(&settings, by_run, today).into_result(&tenant, &settings).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Budget);
        }
        assert!(Left::new(&settings, 0.0, 0.0).into_result(&tenant, &settings).is_ok());
    }
}
