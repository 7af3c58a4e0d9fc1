//! What Odoo prints and what addons are made of, read as values. Pure: text in, values out; never IO, never a panic on any bytes.

mod addon;
mod classify;
mod cut;
mod fingerprint;
mod kin;
mod log;
mod manifest;
mod mask;
mod pattern;
mod place;
mod report;
pub mod source;
mod test_log;
mod traceback;

pub use addon::Addon;
pub use kin::kin;
pub use manifest::{Item, List, Manifest, ManifestError};
pub use mask::{mask, mask_source};
pub use report::{occurrences, reports};
pub use test_log::TestLog;
