//! Budgets that all replicas share: counters in a key-value bucket, out of which each replica takes a share at a time.
//!
//! The bucket is kept in memory and forgets by itself: a server that restarts forgets what was used, and a window later nothing of that is left.

use std::time::Duration;

use async_nats::jetstream::kv::{self, CreateErrorKind, Operation, Store, UpdateErrorKind};
use async_nats::jetstream::stream::StorageType;

use super::{Queue, QueueError};

const BUCKET: &str = "BUDGETS";
/// Longer than any window.
const MAX_AGE: Duration = Duration::from_secs(120);
const MAX_BYTES: i64 = 4 * 1024 * 1024;
/// Number of times that a share is asked for while others take theirs out of the same counter.
const TRIES: usize = 20;

/// A share of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Amount that was granted, at most what was asked for.
    pub granted: u64,
    /// Rest that is left for others.
    pub left: u64,
}

impl Queue {
    /// Takes a share of up to `wanted` out of a budget of `total`. `counter` names the budget and its window: letters, digits, `-`, `_` and `.`.
    pub async fn take_share(&self, counter: &str, wanted: u64, total: u64) -> Result<Share, QueueError> {
        self.online()?;
        let store = self.budgets().await?;
        let taken = share(&store, counter, wanted, total).await;
        if taken.is_err() {
            // A server that has restarted has no bucket; the next one who asks makes it again.
            *self.budgets.lock().await = None;
        }
        taken
    }

    async fn budgets(&self) -> Result<Store, QueueError> {
        let mut kept = self.budgets.lock().await;
        if let Some(store) = &*kept {
            return Ok(store.clone());
        }
        let config = kv::Config {
            bucket: self.name(BUCKET),
            description: "what tenants and keys have used of their limits".to_owned(),
            history: 1,
            max_age: MAX_AGE,
            max_bytes: MAX_BYTES,
            storage: StorageType::Memory,
            num_replicas: 1,
            ..kv::Config::default()
        };
        let made = match self.js.get_key_value(&config.bucket).await {
            // Replicas and placement are for whoever runs the server to choose.
            Ok(store) => store,
            Err(_) => self.js.create_key_value(config).await.map_err(|error| failed(&error))?,
        };
        *kept = Some(made.clone());
        Ok(made)
    }
}

fn failed(error: &dyn std::fmt::Display) -> QueueError {
    QueueError::unavailable("counting what a tenant uses", error)
}

async fn share(store: &Store, counter: &str, wanted: u64, total: u64) -> Result<Share, QueueError> {
    for _ in 0..TRIES {
        let entry = store.entry(counter).await.map_err(|error| failed(&error))?;
        let entry = entry.filter(|entry| entry.operation == Operation::Put);
        let used = entry.as_ref().map_or(0, |entry| number(&entry.value));
        let granted = wanted.min(total.saturating_sub(used));
        let share = Share { granted, left: total.saturating_sub(used + granted) };
        if granted == 0 {
            return Ok(share);
        }
        let value = (used + granted).to_string().into();
        let taken = match entry {
            Some(entry) => store.update(counter, value, entry.revision).await.map(drop).map_err(|error| match error.kind() {
                UpdateErrorKind::WrongLastRevision => None,
                _ => Some(failed(&error)),
            }),
            None => store.create(counter, value).await.map(drop).map_err(|error| match error.kind() {
                CreateErrorKind::AlreadyExists => None,
                _ => Some(failed(&error)),
            }),
        };
        match taken {
            Ok(()) => return Ok(share),
            // Another replica was faster.
            Err(None) => {}
            Err(Some(error)) => return Err(error),
        }
    }
    Err(failed(&"too many others count at the same time"))
}

fn number(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
