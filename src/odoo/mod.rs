//! What Odoo prints and what addons are made of, read as values. Pure: text in, values out; never IO, never a panic on any bytes.

mod addon;
mod classify;
mod cut;
mod fingerprint;
mod head;
mod json;
mod kin;
mod log;
mod manifest;
mod mask;
mod pattern;
mod place;
mod record;
pub mod references;
mod report;
pub mod slice;
pub mod source;
mod test_log;
mod traceback;

pub use addon::Addon;
pub(crate) use head::is_head;
pub use kin::kin;
pub use manifest::{Item, List, Manifest, ManifestError};
pub use mask::{mask, mask_bytes, mask_json, mask_source};
pub(crate) use record::{Entry as JsonEntry, Record};
pub use report::{occurrences, recompute_fingerprint, reports};
pub use test_log::TestLog;
