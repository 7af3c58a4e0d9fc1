//! API keys: what one is, and which there are.

use super::App;
use crate::domain::{Failure, TenantId};
use crate::tenants::keys::{self, Authenticated, KeyId, KeyView};

impl App {
    /// Tells what a key is: whose, which, and what it may do.
    pub async fn authenticate(&self, key: &str) -> Result<Authenticated, Failure> {
        Ok(keys::authenticate(&self.db, key).await?)
    }

    /// The keys of this tenant, without their secrets.
    pub async fn keys(&self, tenant: &TenantId) -> Result<Vec<KeyView>, Failure> {
        Ok(keys::list(&self.db, tenant).await?)
    }

    /// Revokes a key, named by its id or its short id, in the name of another. `None`: the tenant has no such key that is not revoked.
    pub async fn revoke_key(&self, tenant: &TenantId, named: &str, by: KeyId) -> Result<Option<KeyId>, Failure> {
        let Some(key) = keys::find(&self.db, tenant, named).await? else { return Ok(None) };
        let revoked = keys::revoke_as(&self.db, tenant, key, &format!("key {}", by.0)).await?;
        Ok(revoked.then_some(key))
    }
}
