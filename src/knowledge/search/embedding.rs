//! The vector of a query: there already, or still being made while what needs none is looked up.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, ready};

/// A vector of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryVector {
    /// The name of the embedder that made it.
    pub embedder: String,
    /// Its numbers, of length 1 together.
    pub values: Vec<f32>,
}

/// The embedding of a query, as soon as it is there. Cheap to clone; whoever asks first does not make it twice.
#[derive(Clone)]
pub struct QueryEmbedding(Option<Shared<BoxFuture<'static, Option<Arc<QueryVector>>>>>);

impl QueryEmbedding {
    /// There is none, and nobody is to wait for one.
    pub const fn none() -> Self {
        Self(None)
    }

    /// It is known.
    pub fn known(vector: QueryVector) -> Self {
        Self(Some(ready(Some(Arc::new(vector))).boxed().shared()))
    }

    /// It is being made from now on, whether anybody waits for it or not. `None`: it could not be made.
    pub fn coming(making: impl Future<Output = Option<QueryVector>> + Send + 'static) -> Self {
        let made = tokio::spawn(making);
        Self(Some(async move { made.await.ok().flatten().map(Arc::new) }.boxed().shared()))
    }

    /// Whether there may be one.
    pub(super) const fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// The vector; waits for it.
    pub(super) async fn vector(&self) -> Option<Arc<QueryVector>> {
        match &self.0 {
            Some(coming) => coming.clone().await,
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector() -> QueryVector {
        QueryVector { embedder: "e@1".to_owned(), values: vec![1.0] }
    }

    #[tokio::test]
    async fn every_asker_gets_the_same() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let coming = QueryEmbedding::coming(async { told.await.ok() });
        let other = coming.clone();
        tell.send(vector()).unwrap();
        assert_eq!(coming.vector().await.as_deref(), Some(&vector()));
        assert_eq!(other.vector().await, QueryEmbedding::known(vector()).vector().await);
    }

    #[tokio::test]
    async fn failed_making_gives_none() {
        assert!(QueryEmbedding::coming(async { None }).vector().await.is_none());
        assert!(QueryEmbedding::coming(async { panic!("of an embedder") }).vector().await.is_none());
        assert!(!QueryEmbedding::none().is_wanted() && QueryEmbedding::none().vector().await.is_none());
    }
}
