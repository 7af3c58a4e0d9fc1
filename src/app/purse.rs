//! The money of the tenants for vectors that no run asks for: those of a search at a door, of what runs left behind, of a command that indexes.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::config::Config;
use crate::db::Db;
use crate::domain::{Cost, Failure, TenantId};
use crate::knowledge::{Payer, Purpose};
use crate::tenants::Account;

/// Pays in the name of whichever tenant it is.
pub(super) struct Purse {
    db: Db,
    config: Arc<Config>,
}

impl Purse {
    pub(super) fn new(db: Db, config: Arc<Config>) -> Self {
        Self { db, config }
    }

    fn account(&self, tenant: &TenantId) -> Account {
        Account::new(self.db.clone(), tenant.clone(), super::allowed(&self.config, tenant))
    }
}

// The settings hold secrets, and are of no use in a log.
impl std::fmt::Debug for Purse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Purse")
    }
}

impl Payer for Purse {
    fn may<'a>(&'a self, tenant: &'a TenantId, usd: f64) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { self.account(tenant).check(usd).await })
    }

    fn paid<'a>(&'a self, tenant: &'a TenantId, purpose: Purpose, cost: Cost) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { self.account(tenant).charge(purpose.step(), &cost).await })
    }
}
