//! Vectors that somebody pays for: asked before each batch, told after it, so that no indexing runs up a bill behind a limit.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

use super::embed::{Vectored, Vectors};
use crate::domain::{Cost, Failure};
use crate::knowledge::embed::Embedder;

/// Who pays.
pub trait Payer: Send + Sync {
    /// Whether about so many US dollars may be spent; fails where a limit is in the way.
    fn may(&self, usd: f64) -> BoxFuture<'_, Result<(), Failure>>;
    /// Writes down what was spent.
    fn paid(&self, cost: Cost) -> BoxFuture<'_, Result<(), Failure>>;
}

/// An embedder with who pays for it.
pub(super) struct Paid {
    embedder: Embedder,
    payer: Arc<dyn Payer>,
    /// What the dearest batch has cost: about what the next one will. Nothing is known of the first, which is a few hundred texts.
    dearest: Mutex<f64>,
}

impl Paid {
    pub(super) fn new(embedder: Embedder, payer: Arc<dyn Payer>) -> Self {
        Self { embedder, payer, dearest: Mutex::new(0.0) }
    }

    fn estimate(&self) -> f64 {
        *self.dearest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, usd: f64) {
        let mut dearest = self.dearest.lock().unwrap_or_else(PoisonError::into_inner);
        *dearest = dearest.max(usd);
    }

    async fn pay(&self, cost: Cost) -> Result<(), Failure> {
        self.note(cost.usd);
        if cost == Cost::default() { Ok(()) } else { self.payer.paid(cost).await }
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
        Box::pin(async move {
            if self.embedder.is_remote() {
                self.payer.may(self.estimate()).await?;
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            match self.embedder.documents(&texts).await {
                Ok(embedded) => {
                    self.pay(embedded.cost).await?;
                    Ok((embedded.vectors, embedded.cost))
                }
                Err(error) => {
                    self.pay(error.cost()).await?;
                    Err(error.into())
                }
            }
        })
    }
}
