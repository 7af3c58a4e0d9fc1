//! Limits of requests and bytes: budgets a window that all replicas share.
//!
//! A replica takes a share of a budget at a time and counts it down in memory, so that only one request in many asks anybody. What it has taken and
//! not used is lost at the end of the window, which is why a share is small.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::config::{LimitsConfig, Quota};
use crate::domain::TenantId;
use crate::queue::Queue;

/// Seconds of a window.
const WINDOW: u64 = 10;
/// Of how many shares a budget is made.
const SHARES: u64 = 50;
/// Time that a request waits for its turn while others of its tenant are worked on.
const TURN: Duration = Duration::from_secs(10);
/// The most tenants, and the most keys, that are counted at once; who was not heard of for the longest time is forgotten.
const MOST: u64 = 100_000;
const FORGET: Duration = Duration::from_secs(3600);

/// Unit that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Requests other than raw events.
    Requests,
    /// Requests that bring raw events.
    Ingests,
    /// Bytes of bodies.
    Bytes,
}

impl Use {
    const ALL: [Self; 3] = [Self::Requests, Self::Ingests, Self::Bytes];

    const fn of(self, quota: Quota) -> u64 {
        match self {
            Self::Requests => quota.requests,
            Self::Ingests => quota.ingests,
            Self::Bytes => quota.bytes,
        }
    }

    const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Requests => ["tenant", "key"],
            Self::Ingests => ["tenant-ingests", "key-ingests"],
            Self::Bytes => ["tenant-bytes", "key-bytes"],
        }
    }
}

/// State of a budget, as far as this replica knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Name of the policy.
    pub policy: &'static str,
    /// Whether bytes are counted, else requests.
    pub bytes: bool,
    /// The budget of a window.
    pub quota: u64,
    /// Rest of the budget.
    pub left: u64,
    /// Seconds of a window.
    pub window: u64,
    /// Seconds until the next window, at least 1.
    pub reset: u64,
}

/// A limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverLimit {
    /// Which.
    pub policy: &'static str,
    /// The seconds after which another try may succeed.
    pub retry_after: u64,
}

/// The budgets of every tenant and key that was heard of lately.
pub struct Limits {
    queue: Queue,
    config: LimitsConfig,
    tenants: Cache<TenantId, Arc<Budgets>>,
    keys: Cache<Uuid, Arc<Budgets>>,
    turns: Cache<TenantId, Arc<Semaphore>>,
}

/// Budgets of one caller: those of its tenant and of its key.
#[derive(Clone)]
pub struct Allowance {
    limits: Arc<Limits>,
    tenant: Arc<Budgets>,
    key: Arc<Budgets>,
    turns: Arc<Semaphore>,
}

/// One budget for each [`Use`], in its order.
struct Budgets([Budget; 3]);

impl Budgets {
    /// `scope` is the place of the name in [`Use::names`].
    fn new(name: &str, scope: usize, quota: Quota) -> Self {
        Self(Use::ALL.map(|counted| Budget {
            policy: counted.names()[scope],
            bytes: counted == Use::Bytes,
            counter: format!("{name}.{}", counted.names()[scope]),
            // A window holds so many seconds' worth.
            total: counted.of(quota).saturating_mul(WINDOW),
            held: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }))
    }

    fn of(&self, counted: Use) -> &Budget {
        &self.0[counted as usize]
    }
}

struct Budget {
    policy: &'static str,
    bytes: bool,
    counter: String,
    total: u64,
    held: Mutex<Held>,
    /// One request asks for the next share, the others wait for it.
    asking: tokio::sync::Mutex<()>,
}

/// Share that this replica has of a budget.
#[derive(Default, Clone, Copy)]
struct Held {
    window: u64,
    /// Taken and not used.
    mine: u64,
    /// Amount that others had left when it was last asked.
    left: u64,
}

impl Budget {
    /// Works on what is held in this window. One that has begun meanwhile stays.
    fn held<T>(&self, window: u64, work: impl FnOnce(&mut Held) -> T) -> T {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.window < window {
            *held = Held { window, mine: 0, left: self.total };
        }
        work(&mut held)
    }

    /// Takes so much out of what is held. `None`: another share must be asked for. An error: there is none.
    fn take_held(&self, window: u64, amount: u64) -> Option<Result<(), ()>> {
        self.held(window, |held| match held.mine.checked_sub(amount) {
            Some(rest) => {
                held.mine = rest;
                Some(Ok(()))
            }
            None if held.left == 0 => Some(Err(())),
            None => None,
        })
    }

    async fn take(&self, queue: &Queue, amount: u64) -> Result<(), OverLimit> {
        // One that is larger than a whole window is let through in a window that nobody has used.
        let amount = amount.min(self.total);
        let (window, reset) = now();
        let over = |()| OverLimit { policy: self.policy, retry_after: reset };
        if let Some(taken) = self.take_held(window, amount) {
            return taken.map_err(over);
        }
        let _asking = self.asking.lock().await;
        loop {
            if let Some(taken) = self.take_held(window, amount) {
                return taken.map_err(over);
            }
            let missing = amount - self.held(window, |held| held.mine.min(amount));
            let wanted = missing.max(self.total / SHARES);
            let share = queue.take_share(&format!("{}.{window}", self.counter), wanted, self.total).await;
            self.held(window, |held| match share {
                Ok(share) => {
                    held.mine += share.granted;
                    held.left = if share.granted < wanted { 0 } else { share.left };
                }
                // Nobody can say what the others use: each replica keeps to the budget by itself.
                Err(error) => {
                    tracing::debug!(%error, counter = self.counter, "a budget is counted by this process alone");
                    let granted = wanted.min(held.left);
                    held.mine += granted;
                    held.left -= granted;
                }
            });
        }
    }

    fn standing(&self) -> Standing {
        let (window, reset) = now();
        let left = self.held(window, |held| held.mine + held.left);
        Standing { policy: self.policy, bytes: self.bytes, quota: self.total, left: left.min(self.total), window: WINDOW, reset }
    }
}

/// The window of this moment, and the seconds until the next one.
fn now() -> (u64, u64) {
    let seconds = u64::try_from(Utc::now().timestamp()).unwrap_or(0);
    (seconds / WINDOW, WINDOW - seconds % WINDOW)
}

impl Limits {
    pub(super) fn new(queue: Queue, config: LimitsConfig) -> Self {
        Self { queue, config, tenants: kept(), keys: kept(), turns: kept() }
    }

    /// Returns what this caller may use.
    pub fn of(self: &Arc<Self>, tenant: &TenantId, key: Uuid) -> Allowance {
        let budgets = || Arc::new(Budgets::new(&format!("tenant.{tenant}"), 0, self.config.tenant));
        Allowance {
            limits: self.clone(),
            tenant: self.tenants.get_with_by_ref(tenant, budgets),
            key: self.keys.get_with(key, || Arc::new(Budgets::new(&format!("key.{key}"), 1, self.config.key))),
            turns: self.turns.get_with_by_ref(tenant, || Arc::new(Semaphore::new(self.config.concurrent))),
        }
    }
}

fn kept<K, V>() -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(MOST).time_to_idle(FORGET).build()
}

impl Allowance {
    /// Uses so much of both budgets. Raw events wait for the next window, within bounds, before they are refused; `patient` says that it is them.
    pub async fn take(&self, counted: Use, amount: u64, patient: bool) -> Result<(), OverLimit> {
        let patience = if patient { Duration::from_secs(self.limits.config.ingest_wait) } else { Duration::ZERO };
        let until = tokio::time::Instant::now() + patience;
        for budget in [&self.key, &self.tenant] {
            while let Err(over) = budget.of(counted).take(&self.limits.queue, amount).await {
                // Not all at the first moment of the window: whoever waits is many.
                let wait = Duration::from_secs(over.retry_after) + Duration::from_millis(rand::random_range(0..250));
                if tokio::time::Instant::now() + wait > until {
                    return Err(over);
                }
                tokio::time::sleep(wait).await;
            }
        }
        Ok(())
    }

    /// Waits until this replica has room for one more request of the tenant. The turn lasts until what is returned is dropped.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, OverLimit> {
        match tokio::time::timeout(TURN, self.turns.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(OverLimit { policy: "concurrent", retry_after: 1 }),
        }
    }

    /// Returns how the budgets of this use stand, the tenant's first.
    pub fn standing(&self, counted: Use) -> [Standing; 2] {
        [&self.tenant, &self.key].map(|budgets| budgets.of(counted).standing())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(total: u64) -> Budget {
        let quota = Quota { requests: total / WINDOW, ingests: 1, bytes: 1 };
        let Budgets([budget, ..]) = Budgets::new("tenant.acme", 0, quota);
        budget
    }

    #[test]
    fn share_is_used_up_before_another_is_asked_for() {
        let budget = budget(100);
        assert_eq!(budget.take_held(7, 1), None, "nothing was taken yet");
        budget.held(7, |held| *held = Held { window: 7, mine: 2, left: 98 });
        assert_eq!([(); 3].map(|()| budget.take_held(7, 1)), [Some(Ok(())), Some(Ok(())), None]);
        budget.held(7, |held| held.left = 0);
        assert_eq!(budget.take_held(7, 1), Some(Err(())), "the others have used what was left");
        assert_eq!(budget.take_held(8, 1), None, "a new window is a new budget");
    }

    #[test]
    fn counter_is_a_key_of_the_bucket() {
        let counter = &budget(100).counter;
        assert!(counter.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)), "{counter}");
    }
}
