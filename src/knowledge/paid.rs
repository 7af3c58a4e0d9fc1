//! Vectors that somebody pays for: asked before each request, told after it, so that nothing runs up a bill behind a limit.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::embed::{EmbedError, Embedded, Embedder};
use super::index::{Vectored, Vectors};
use crate::domain::{Cost, Failure, TenantId};

/// What vectors are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The text of a search.
    Search,
    /// What runs left behind.
    Outcomes,
    /// Sources, known errors, tickets.
    Index,
}

impl Purpose {
    /// The step that is written beside what it cost.
    pub const fn step(self) -> &'static str {
        match self {
            Self::Search => "search/embed",
            Self::Outcomes => "outcomes/embed",
            Self::Index => "index/embed",
        }
    }
}

/// Who pays.
pub trait Payer: std::fmt::Debug + Send + Sync {
    /// Whether about so many US dollars may be spent in the name of this tenant; fails where a limit is in the way.
    fn may<'a>(&'a self, tenant: &'a TenantId, usd: f64) -> BoxFuture<'a, Result<(), Failure>>;
    /// Writes down what was spent.
    fn paid<'a>(&'a self, tenant: &'a TenantId, purpose: Purpose, cost: Cost) -> BoxFuture<'a, Result<(), Failure>>;
}

/// Pays without limit and keeps no books: for whoever measures.
#[derive(Debug)]
pub(super) struct Nobody;

impl Payer for Nobody {
    fn may<'a>(&'a self, _: &'a TenantId, _: f64) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn paid<'a>(&'a self, _: &'a TenantId, _: Purpose, _: Cost) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
}

/// An embedder with who pays for it, and for what.
pub(super) struct Paid {
    embedder: Embedder,
    payer: Arc<dyn Payer>,
    tenant: TenantId,
    purpose: Purpose,
    /// Requests under way.
    bills: TaskTracker,
    /// What the dearest batch has cost: about what the next one will. Nothing is known of the first, which is a few hundred texts.
    dearest: Mutex<f64>,
}

impl Paid {
    pub(super) fn new(embedder: Embedder, payer: Arc<dyn Payer>, tenant: TenantId, purpose: Purpose, bills: TaskTracker) -> Self {
        Self { embedder, payer, tenant, purpose, bills, dearest: Mutex::new(0.0) }
    }

    /// The vector of a text that finds others. One that was made is of use also where its cost could not be written down.
    pub(super) async fn query(&self, text: &str) -> Result<Vec<f32>, Failure> {
        self.ask(self.embedder.at_most(text)).await?;
        let (embedder, text) = (self.embedder.clone(), text.to_owned());
        let making = async move { embedder.query(&text).await.map(|(vector, cost)| Embedded { vectors: vec![vector], cost }) };
        let (made, _) = self.bill(making).await?;
        made?.vectors.pop().ok_or_else(|| EmbedError::Bug("a query without a vector").into())
    }

    /// Asks for leave where there is a price.
    async fn ask(&self, usd: f64) -> Result<(), Failure> {
        if self.embedder.has_price() { self.payer.may(&self.tenant, usd).await } else { Ok(()) }
    }

    /// Sees a request to its end and pays for it, also where nobody waits for it any more: it is billed all the same. The second of the two
    /// is whether the cost was written down.
    async fn bill(
        &self,
        making: impl Future<Output = Result<Embedded, EmbedError>> + Send + 'static,
    ) -> Result<(Result<Embedded, EmbedError>, Result<(), Failure>), Failure> {
        let (payer, tenant, purpose) = (self.payer.clone(), self.tenant.clone(), self.purpose);
        let billed = async move {
            let made = making.await;
            let cost = made.as_ref().map_or_else(EmbedError::cost, |made| made.cost);
            let paid = if cost == Cost::default() { Ok(()) } else { payer.paid(&tenant, purpose, cost).await };
            if let Err(error) = &paid {
                tracing::error!(%error, %tenant, usd = cost.usd, step = purpose.step(), "what the embedder bills was not written down");
            }
            (made, paid, cost.usd)
        };
        let (made, paid, usd) = self.bills.spawn(billed.in_current_span()).await.map_err(Failure::bug)?;
        let mut dearest = self.dearest.lock().unwrap_or_else(PoisonError::into_inner);
        *dearest = dearest.max(usd);
        Ok((made, paid))
    }

    fn estimate(&self) -> f64 {
        *self.dearest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vectors for Paid {
    fn name(&self) -> &str {
        self.embedder.name()
    }

    fn dims(&self) -> usize {
        self.embedder.dims()
    }

    fn documents(&self, texts: Vec<String>) -> BoxFuture<'_, Vectored> {
        if !self.embedder.is_remote() {
            return Vectors::documents(&self.embedder, texts);
        }
        Box::pin(async move {
            self.ask(self.estimate()).await?;
            let embedder = self.embedder.clone();
            let making = async move { embedder.documents(&texts.iter().map(String::as_str).collect::<Vec<_>>()).await };
            let (made, paid) = self.bill(making).await?;
            paid?;
            let made = made?;
            Ok((made.vectors, made.cost))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureKind;

    #[derive(Debug)]
    struct Miser;

    impl Payer for Miser {
        fn may<'a>(&'a self, _: &'a TenantId, _: f64) -> BoxFuture<'a, Result<(), Failure>> {
            Box::pin(async { Err(Failure::new(FailureKind::Budget, anyhow::anyhow!("no"))) })
        }

        fn paid<'a>(&'a self, _: &'a TenantId, _: Purpose, _: Cost) -> BoxFuture<'a, Result<(), Failure>> {
            Box::pin(async { Err(Failure::new(FailureKind::Budget, anyhow::anyhow!("no"))) })
        }
    }

    #[tokio::test]
    async fn what_is_free_asks_nobody() {
        let embedder = Embedder::Hash(super::super::HashEmbedder);
        let paid = Paid::new(embedder, Arc::new(Miser), "acme".parse().unwrap(), Purpose::Index, TaskTracker::new());
        let (vectors, cost) = paid.documents(vec!["sale order".to_owned()]).await.unwrap();
        assert_eq!((vectors.len(), cost), (1, Cost::default()));
        assert_eq!(paid.query("sale order").await.unwrap(), vectors[0]);
    }

    #[tokio::test]
    async fn bill_is_paid_though_nobody_waits() {
        #[derive(Debug)]
        struct Told(Mutex<Vec<(Purpose, u64)>>);
        impl Payer for Told {
            fn may<'a>(&'a self, _: &'a TenantId, _: f64) -> BoxFuture<'a, Result<(), Failure>> {
                Box::pin(async { Ok(()) })
            }
            fn paid<'a>(&'a self, _: &'a TenantId, purpose: Purpose, cost: Cost) -> BoxFuture<'a, Result<(), Failure>> {
                self.0.lock().unwrap().push((purpose, cost.input_tokens));
                Box::pin(async { Ok(()) })
            }
        }
        let (told, bills) = (Arc::new(Told(Mutex::default())), TaskTracker::new());
        let embedder = Embedder::Hash(super::super::HashEmbedder);
        let paid = Paid::new(embedder, told.clone(), "acme".parse().unwrap(), Purpose::Search, bills.clone());
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        let (asked, was_asked) = tokio::sync::oneshot::channel::<()>();
        let making = async move {
            let _ = asked.send(());
            let _ = answered.await;
            Ok(Embedded { vectors: Vec::new(), cost: Cost { input_tokens: 3, ..Cost::default() } })
        };
        let mut waiting = Box::pin(paid.bill(making));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("there is no answer yet"),
            _ = was_asked => {}
        }
        drop(waiting);
        answer.send(()).unwrap();
        bills.close();
        bills.wait().await;
        assert_eq!(*told.0.lock().unwrap(), [(Purpose::Search, 3)]);
    }
}
