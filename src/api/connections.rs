//! Connections: how many there may be, and which one has to go when another wants its place.
//!
//! A connection waits as long as no valid key has come with its current request. Those that wait can be cut at any time: they are idle, or somebody
//! holds them open. One that is worked on is never cut for another.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::domain::TenantId;

/// Time that the place of a connection that was cut is waited for before the next one is cut.
const AGAIN: Duration = Duration::from_millis(50);

/// All connections of this process.
pub(super) struct Connections {
    places: Arc<Semaphore>,
    most_of_tenant: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    next: u64,
    /// Those that wait, the longest first.
    waiting: BTreeMap<u64, CancellationToken>,
    /// Requests that are worked on.
    busy: HashMap<TenantId, usize>,
}

impl Known {
    fn wait(&mut self, cut: &CancellationToken) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, cut.clone());
        self.next
    }
}

/// One connection. Its place is free again once all clones are dropped.
#[derive(Clone)]
pub(super) struct Connection(Arc<Place>);

struct Place {
    of: Arc<Connections>,
    cut: CancellationToken,
    /// Its number among those that wait.
    waits: Mutex<Option<u64>>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { places: Arc::new(Semaphore::new(most)), most_of_tenant: (most / 4).max(1), known: Mutex::default() })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a place for a new connection. Where there is none, the one that has waited longest is cut; where all are worked on, this waits.
    pub(super) async fn place(self: &Arc<Self>) -> Result<Connection, AcquireError> {
        let permit = loop {
            if let Ok(permit) = self.places.clone().try_acquire_owned() {
                break permit;
            }
            self.cut_longest_waiting();
            if let Ok(permit) = tokio::time::timeout(AGAIN, self.places.clone().acquire_owned()).await {
                break permit?;
            }
        };
        let cut = CancellationToken::new();
        let waits = Mutex::new(Some(self.known().wait(&cut)));
        Ok(Connection(Arc::new(Place { of: self.clone(), cut, waits, _permit: permit })))
    }

    /// Cuts one connection that waits, if there is any.
    pub(super) fn cut_longest_waiting(&self) {
        if let Some((_, cut)) = self.known().waiting.pop_first() {
            cut.cancel();
        }
    }

    /// Returns how many requests with a valid key are worked on.
    #[cfg(test)]
    fn busy(&self) -> usize {
        self.known().busy.values().sum()
    }
}

impl Connection {
    /// Says that somebody has come: it waits from now on.
    pub(super) fn arrived(&self) {
        let mut known = self.0.of.known();
        let mut waits = self.0.waits();
        if let Some(number) = waits.take() {
            known.waiting.remove(&number);
        }
        *waits = Some(known.wait(&self.0.cut));
    }

    /// Done once the connection has to go.
    pub(super) async fn cut(&self) {
        self.0.cut.cancelled().await;
    }

    /// Says that a request of this tenant is worked on, until what is returned is dropped. `None`: the tenant has its share of connections.
    pub(super) fn busy(&self, tenant: &TenantId) -> Option<Busy> {
        let place = &self.0;
        let mut known = place.of.known();
        let count = known.busy.entry(tenant.clone()).or_default();
        if *count >= place.of.most_of_tenant {
            return None;
        }
        *count += 1;
        if let Some(number) = place.waits().take() {
            known.waiting.remove(&number);
        }
        Some(Busy { connection: self.clone(), tenant: tenant.clone() })
    }
}

impl Place {
    fn waits(&self) -> MutexGuard<'_, Option<u64>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.of.known();
        if let Some(number) = self.waits().take() {
            known.waiting.remove(&number);
        }
    }
}

/// A request that is worked on. Afterwards its connection waits again.
pub(super) struct Busy {
    connection: Connection,
    tenant: TenantId,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let place = &self.connection.0;
        let mut known = place.of.known();
        if let Some(count) = known.busy.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                known.busy.remove(&self.tenant);
            }
        }
        let mut waits = place.waits();
        if waits.is_none() {
            *waits = Some(known.wait(&place.cut));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn longest_waiting_connection_makes_room() {
        let connections = Connections::new(8);
        let mut open = Vec::new();
        for _ in 0..8 {
            open.push(connections.place().await.unwrap());
        }
        let busy = open[0].busy(&tenant("acme")).unwrap();
        let oldest = open.remove(1);
        let next = {
            let connections = connections.clone();
            tokio::spawn(async move { connections.place().await.unwrap() })
        };
        oldest.cut().await;
        assert!(!open[0].0.cut.is_cancelled(), "one that is worked on is not cut");
        drop(oldest);
        let next = next.await.unwrap();
        drop(busy);
        assert_eq!(connections.known().waiting.len(), 8);
        drop((open, next));
        assert_eq!((connections.known().waiting.len(), connections.places.available_permits()), (0, 8));
    }

    #[tokio::test]
    async fn tenant_has_a_quarter_of_the_connections() {
        let connections = Connections::new(8);
        let open = [connections.place().await.unwrap(), connections.place().await.unwrap(), connections.place().await.unwrap()];
        let _kept: Vec<Busy> = open[..2].iter().map(|connection| connection.busy(&tenant("acme")).unwrap()).collect();
        assert!(open[2].busy(&tenant("acme")).is_none());
        assert!(open[2].busy(&tenant("other")).is_some());
        assert_eq!(connections.busy(), 2);
    }
}
