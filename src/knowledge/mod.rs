//! What is known: texts with their embeddings, and past fixes with what the sandbox said of them.
//! Never decides what is tried or applied: it only remembers and finds.

mod embed;
mod fixes;
mod search;
mod store;

pub use embed::{Embedder, HashEmbedder};
pub use fixes::{PastFix, RememberedOutcome, recall, remember, success_rate};
pub use search::{Hit, similar};
pub use store::{DocType, Entry, Place, Shelf, upsert};
