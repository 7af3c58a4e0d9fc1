//! Settings of the HTTP door: how long a client may take, how much it may hold, how much it may send.

use std::net::SocketAddr;

use serde::Deserialize;

/// The HTTP door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Address and port.
    pub bind: SocketAddr,
    /// The most seconds that a client may take to send the headers of a request, and that a connection may be silent between two.
    pub header_timeout: u64,
    /// The seconds that a body may take beyond the slowest rate that is served (64 KiB a second).
    pub body_timeout: u64,
    /// The most connections at once. One more takes the place of the one that has waited longest without a valid key.
    pub max_connections: usize,
    /// The most bytes that larger request bodies (over 64 KiB) may take together; one tenant gets a quarter.
    pub body_memory: usize,
    /// Quotas of a tenant and of a key.
    pub limits: LimitsConfig,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 7420)),
            header_timeout: 15,
            body_timeout: 20,
            max_connections: 1024,
            body_memory: 256 * 1024 * 1024,
            limits: LimitsConfig::default(),
        }
    }
}

impl ApiConfig {
    /// Returns what is out of range.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let seconds = |value: u64| (1..=3600).contains(&value);
        let quotas = [self.limits.tenant, self.limits.key];
        if !seconds(self.header_timeout) || !seconds(self.body_timeout) {
            Some("api.header_timeout and api.body_timeout must be 1 to 3600 seconds")
        } else if !(8..=1_000_000).contains(&self.max_connections) {
            Some("api.max_connections must be 8 to 1000000")
        } else if !(64 * 1024 * 1024..=64 * 1024 * 1024 * 1024).contains(&self.body_memory) {
            Some("api.body_memory must be 64 MiB to 64 GiB")
        } else if self.limits.ingest_wait > 60 || !(1..=1000).contains(&self.limits.concurrent) {
            Some("api.limits.ingest_wait must be 0 to 60 seconds, api.limits.concurrent 1 to 1000")
        } else if quotas.iter().any(|quota| [quota.requests, quota.ingests, quota.bytes].iter().any(|n| !(1..=1 << 40).contains(n))) {
            Some("every rate below api.limits.tenant and api.limits.key must be 1 to 2^40 a second")
        } else {
            None
        }
    }
}

/// Quotas of a tenant and of a key over all replicas, and the wait beyond them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Quota of all keys of a tenant together.
    pub tenant: Quota,
    /// Quota of one key.
    pub key: Quota,
    /// The seconds that raw events wait for the next window before they are refused.
    pub ingest_wait: u64,
    /// The most requests of a tenant that one replica works on at once, raw events aside. More wait for their turn.
    pub concurrent: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let tenant = Quota { requests: 500, ingests: 20_000, bytes: 128 * 1024 * 1024 };
        Self { tenant, key: tenant, ingest_wait: 10, concurrent: 8 }
    }
}

/// Rates a second, counted over windows of ten seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Requests other than raw events.
    pub requests: u64,
    /// Requests that bring raw events.
    pub ingests: u64,
    /// Bytes of bodies, as they are after decoding.
    pub bytes: u64,
}

impl Default for Quota {
    fn default() -> Self {
        LimitsConfig::default().tenant
    }
}
