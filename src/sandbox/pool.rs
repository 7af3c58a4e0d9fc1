//! Sandboxes that wait for work: started, Odoo imported, handed out at once, used for one job and thrown away.
//!
//! How many wait is set by demand (as many as were busy at the same time lately, at least one) and bounded by the settings and by
//! memory. An empty pool costs a second or two, nothing else.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Notify;

use super::lease::{self, IDLE};
use super::warm::Warm;
use super::{Engine, SandboxError};
use crate::domain::OdooVersion;

/// How long a series stays in demand after it was last asked for.
const MEMORY: Duration = Duration::from_secs(30 * 60);

/// How long after one was handed out the next is started.
const AFTER_YOU: Duration = Duration::from_secs(3);

/// How many sandboxes may wait.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// The most sandboxes that wait for each series of Odoo; 0 switches waiting off.
    pub most: usize,
    /// The share of the engine's memory, 0 to 1, that all sandboxes together may be promised, before no more are started ahead.
    pub memory_share: f64,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { most: 2, memory_share: 0.5 }
    }
}

/// The sandboxes that wait, and what was asked for.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    demand: BTreeMap<OdooVersion, Demand>,
}

struct Idle {
    version: OdooVersion,
    warm: Warm,
    renewed: Instant,
}

/// When sandboxes of a series were handed out.
#[derive(Default)]
struct Demand {
    times: Vec<Instant>,
}

impl Demand {
    /// How many were asked for within the time that it takes to make new ones.
    fn at_once(&self, now: Instant) -> usize {
        let burst = Duration::from_secs(5);
        let starting_at = |first: &Instant| self.times.iter().filter(|time| **time >= *first && **time - *first < burst).count();
        let lately = self.times.iter().filter(|time| now.saturating_duration_since(**time) < MEMORY);
        lately.map(starting_at).max().unwrap_or(0)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("idle", &self.state().idle.len()).finish()
    }
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that waits, if there is one; counts as demand either way.
    pub(super) fn take(&self, version: &OdooVersion) -> Option<Warm> {
        let mut state = self.state();
        let times = &mut state.demand.entry(version.clone()).or_default().times;
        times.push(Instant::now());
        let cut = times.len().saturating_sub(100);
        times.drain(..cut);
        let now = Instant::now();
        // One whose lease is nearly over may be swept while it is handed out. Dropping it removes it.
        let (fresh, late): (Vec<_>, Vec<_>) = state.idle.drain(..).partition(|idle| is_fresh(idle.renewed, now));
        state.idle = fresh;
        let found = state.idle.iter().position(|idle| idle.version == *version).map(|index| state.idle.swap_remove(index).warm);
        drop(state);
        drop(late);
        self.wake.notify_one();
        found
    }

    /// The series of which one more should wait.
    fn wanted(&self, most: usize) -> Option<OdooVersion> {
        let (state, now) = (self.state(), Instant::now());
        let waiting = |version: &OdooVersion| state.idle.iter().filter(|idle| idle.version == *version).count();
        let lacks = |(version, demand): &(&OdooVersion, &Demand)| waiting(version) < demand.at_once(now).min(most);
        state.demand.iter().find(lacks).map(|(version, _)| version.clone())
    }

    /// The series that were ever asked for.
    fn versions(&self) -> Vec<OdooVersion> {
        self.state().demand.keys().cloned().collect()
    }

    fn add(&self, version: OdooVersion, warm: Warm) {
        self.state().idle.push(Idle { version, warm, renewed: Instant::now() });
    }

    /// Takes out what is no longer in demand, and what must be renewed.
    fn due(&self) -> (Vec<Idle>, Vec<Idle>) {
        let (mut state, now) = (self.state(), Instant::now());
        let State { idle, demand } = &mut *state;
        let asked = |version: &OdooVersion| demand.get(version).map_or(0, |demand| demand.at_once(now)) > 0;
        let (keep, stale): (Vec<_>, Vec<_>) = idle.drain(..).partition(|idle| asked(&idle.version));
        let (renew, keep): (Vec<_>, Vec<_>) = keep.into_iter().partition(|idle| now - idle.renewed > IDLE / 4);
        *idle = keep;
        (stale, renew)
    }

    fn drain(&self) -> Vec<Idle> {
        std::mem::take(&mut self.state().idle)
    }
}

/// Whether a lease has long enough to go for its sandbox to be handed out.
fn is_fresh(renewed: Instant, now: Instant) -> bool {
    now.saturating_duration_since(renewed) <= IDLE * 3 / 4
}

impl Engine {
    /// Keeps sandboxes waiting, those of `first` from the start, until `stop` is done; then removes them. Images are not built for it.
    pub async fn keep_warm(&self, first: &[OdooVersion], stop: impl Future<Output = ()>) {
        let most = self.config().pool.most;
        if most == 0 {
            return;
        }
        for version in first {
            self.pool().state().demand.entry(version.clone()).or_default().times.push(Instant::now());
        }
        tokio::select! {
            () = stop => {}
            () = Box::pin(self.tend(most)) => {}
            () = Box::pin(self.tend_templates()) => {}
        }
        for idle in self.pool().drain() {
            let _ = idle.warm.into_container().remove().await;
        }
    }

    async fn tend(&self, most: usize) {
        loop {
            // A start that fails has its reason, such as a missing image; it is tried again later, not at once.
            if let Err(error) = self.fill_pool(most).await {
                tracing::debug!(%error, "no sandbox could be started ahead");
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            let (stale, renew) = self.pool().due();
            for idle in stale {
                let _ = idle.warm.into_container().remove().await;
            }
            for idle in renew {
                match idle.warm.container().rename(&lease::idle()).await {
                    Ok(()) => self.pool().add(idle.version, idle.warm),
                    Err(_) => drop(idle.warm.into_container().remove().await),
                }
            }
            if tokio::time::timeout(IDLE / 5, self.pool().wake.notified()).await.is_ok() {
                // The job that has just got one has the machine first.
                tokio::time::sleep(AFTER_YOU).await;
            }
        }
    }

    /// Makes templates beside the renewals: one takes longer than a lease lasts.
    async fn tend_templates(&self) {
        loop {
            for version in self.pool().versions() {
                if let Err(error) = self.earn(&version).await {
                    tracing::debug!(%error, "templates were not looked after");
                }
            }
            tokio::time::sleep(IDLE / 5).await;
        }
    }

    /// Starts what is wanted and may be promised memory.
    async fn fill_pool(&self, most: usize) -> Result<(), SandboxError> {
        while let Some(version) = self.pool().wanted(most) {
            if self.image(&version).await?.is_none() || self.alive().await? >= self.capacity().await? {
                return Ok(());
            }
            let warm = self.start_idle(&version, &lease::idle()).await?;
            self.pool().add(version, warm);
        }
        Ok(())
    }

    /// How many sandboxes wait.
    pub fn waiting(&self) -> usize {
        self.pool().state().idle.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version() -> OdooVersion {
        "19.0".parse().unwrap()
    }

    #[test]
    fn demand_is_how_many_were_asked_for_at_once() {
        let now = Instant::now();
        let at = |seconds: &[u64]| Demand { times: seconds.iter().map(|s| now + Duration::from_secs(*s)).collect() };
        let later = now + Duration::from_secs(120);
        assert_eq!(at(&[]).at_once(later), 0);
        assert_eq!(at(&[0, 60, 119]).at_once(later), 1);
        assert_eq!(at(&[0, 60, 61, 62, 119]).at_once(later), 3);
        assert_eq!(at(&[0]).at_once(now + MEMORY + Duration::from_secs(1)), 0, "long ago");
    }

    #[test]
    fn empty_pool_gives_nothing_and_wants_one() {
        let pool = Pool::default();
        assert_eq!(pool.wanted(2), None);
        assert!(pool.take(&version()).is_none());
        assert_eq!(pool.wanted(2), Some(version()));
        assert_eq!(pool.wanted(0), None, "switched off");
        for _ in 0..1000 {
            assert!(pool.take(&version()).is_none());
        }
        assert!(pool.state().demand[&version()].times.len() <= 100);
    }

    #[test]
    fn lease_that_is_nearly_over_is_not_handed_out() {
        let renewed = Instant::now();
        assert!(is_fresh(renewed, renewed) && is_fresh(renewed, renewed + IDLE / 2));
        assert!(!is_fresh(renewed, renewed + IDLE * 4 / 5) && !is_fresh(renewed, renewed + IDLE * 2));
    }

    #[test]
    fn unknown_setting_is_refused() {
        assert!(toml::from_str::<PoolConfig>("size = 3").is_err());
        assert_eq!(toml::from_str::<PoolConfig>("most = 0").unwrap().most, 0);
    }
}
