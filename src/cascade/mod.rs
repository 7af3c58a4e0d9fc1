//! The `cascade` room.

mod ask;

pub use ask::{Asked, PROMPT_VERSION, Proposal, ask, estimate};
