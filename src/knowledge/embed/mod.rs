//! Text to vectors, behind one small interface. The name of an embedder carries its version and is stored beside every vector: vectors of
//! different names never meet, so that several can stand side by side.
//!
//! - `local.rs`: a sentence encoder in this process, from weights that `make setup` puts into the runtime folder; no network, no key.
//! - `remote.rs`: Voyage, or anything that speaks OpenAI's `/embeddings`.
//! - `hash.rs`: `hash-256@1`, for machines without the weights.

mod bert;
mod config;
mod error;
mod hash;
mod local;
mod remote;
mod weights;
mod wire;

use std::path::Path;
use std::sync::Arc;

pub use config::{Config, Kind};
pub use error::EmbedError;
pub use hash::HashEmbedder;
pub use local::LocalEmbedder;
pub use remote::RemoteEmbedder;

use crate::domain::Cost;

/// Makes vectors of texts. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Embedder {
    /// Words and parts of names, hashed.
    Hash(HashEmbedder),
    /// An encoder in this process.
    Local(Arc<LocalEmbedder>),
    /// An HTTP service.
    Remote(Arc<RemoteEmbedder>),
}

/// Vectors, and what they cost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embedded {
    /// One a text, in their order, each of length 1.
    pub vectors: Vec<Vec<f32>>,
    /// What was billed for them.
    pub cost: Cost,
}

impl Embedder {
    /// As configured. Where the weights of the local one were never installed, this is [`HashEmbedder`], with a warning: search still works then,
    /// by words alone.
    ///
    /// A process that asks for a remote one needs a rustls provider installed before.
    pub fn open(config: &Config, runtime_dir: &Path) -> Result<Self, EmbedError> {
        match config.kind {
            Kind::Hash => Ok(Self::Hash(HashEmbedder)),
            Kind::Voyage | Kind::OpenAi => Ok(Self::Remote(Arc::new(RemoteEmbedder::new(config)?))),
            Kind::Local => {
                let folder = config.folder(runtime_dir);
                if LocalEmbedder::installed(&folder) {
                    return Ok(Self::Local(Arc::new(LocalEmbedder::open(config, &folder)?)));
                }
                tracing::warn!(
                    folder = %folder.display(),
                    "the local embedder is not installed: texts are compared by their words alone; run `make setup`, then index again"
                );
                Ok(Self::Hash(HashEmbedder))
            }
        }
    }

    /// Name and version, as stored beside vectors: lower-case letters, digits, `-`, `_`, `.`, `@`.
    pub fn name(&self) -> &str {
        match self {
            Self::Hash(hash) => hash.name(),
            Self::Local(local) => local.name(),
            Self::Remote(remote) => remote.name(),
        }
    }

    /// How many numbers a vector has.
    pub fn dims(&self) -> usize {
        match self {
            Self::Hash(hash) => hash.dims(),
            Self::Local(local) => local.dims(),
            Self::Remote(remote) => remote.dims(),
        }
    }

    /// Whether somebody else makes the vectors, and may bill them.
    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Whether what it makes costs money.
    pub fn has_price(&self) -> bool {
        matches!(self, Self::Remote(remote) if remote.has_price())
    }

    /// The most US dollars that the vector of one text costs.
    pub fn at_most(&self, text: &str) -> f64 {
        match self {
            Self::Hash(_) | Self::Local(_) => 0.0,
            Self::Remote(remote) => remote.at_most(text),
        }
    }

    /// The vectors of texts that are to be found. Some hundreds at a time keep every core busy; work in this process cannot be cancelled.
    pub async fn documents(&self, texts: &[&str]) -> Result<Embedded, EmbedError> {
        match self {
            Self::Hash(hash) => Ok(Embedded { vectors: texts.iter().map(|text| hash.embed(text)).collect(), cost: Cost::default() }),
            Self::Local(local) => Ok(Embedded { vectors: local.embed(texts).await?, cost: Cost::default() }),
            Self::Remote(remote) => remote.embed(texts, wire::Role::Document).await,
        }
    }

    /// The vector of a text that finds others, and what it cost.
    pub async fn query(&self, text: &str) -> Result<(Vec<f32>, Cost), EmbedError> {
        let embedded = match self {
            Self::Remote(remote) => remote.embed(&[text], wire::Role::Query).await?,
            Self::Hash(_) | Self::Local(_) => self.documents(&[text]).await?,
        };
        let vector = embedded.vectors.into_iter().next().ok_or(EmbedError::Bug("a query without a vector"))?;
        Ok((vector, embedded.cost))
    }
}

/// A cosine needs a direction: a text without words gets one that no text with words is likely to share.
fn normalised(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() as f32;
    if length > 0.0 && length.is_finite() {
        vector.iter_mut().for_each(|x| *x /= length);
    } else {
        vector.fill(0.0);
        if let Some(first) = vector.first_mut() {
            *first = 1.0;
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_weights_words_are_hashed() {
        let empty = tempfile::tempdir().unwrap();
        let embedder = Embedder::open(&Config::default(), empty.path()).unwrap();
        assert_eq!((embedder.name(), embedder.dims()), ("hash-256@1", 256));
        let embedded = embedder.documents(&["sale order", ""]).await.unwrap();
        assert_eq!((embedded.vectors.len(), embedded.cost), (2, Cost::default()));
        assert_eq!(embedder.query("sale order").await.unwrap().0, embedded.vectors[0]);
    }

    #[test]
    fn every_vector_has_a_direction() {
        assert_eq!(normalised(vec![3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(normalised(vec![0.0, 0.0]), [1.0, 0.0]);
        assert_eq!(normalised(vec![f32::NAN, 1.0]), [1.0, 0.0]);
    }
}
