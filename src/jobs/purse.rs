//! The money of a run for vectors: what is embedded while a job is done is charged to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;

use crate::domain::{Cost, Failure, TenantId};
use crate::knowledge::{Payer, Purpose};
use crate::tenants::Ledger;

/// Whose tenant is that of the run, whichever is named.
#[derive(Debug)]
struct Purse {
    ledger: Ledger,
    payments: AtomicU64,
}

/// Pays out of the ledger of one attempt.
pub fn purse(ledger: Ledger) -> Arc<dyn Payer> {
    Arc::new(Purse { ledger, payments: AtomicU64::new(0) })
}

impl Payer for Purse {
    fn may<'a>(&'a self, _: &'a TenantId, usd: f64) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.ledger.check(usd))
    }

    fn paid<'a>(&'a self, _: &'a TenantId, purpose: Purpose, cost: Cost) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let number = self.payments.fetch_add(1, Ordering::Relaxed);
            self.ledger.charge(&format!("{}/{number}", purpose.step()), &cost).await
        })
    }
}
