//! What a proof says beyond that an error is gone: that every hunk was run, that each is needed, that the values which the old code
//! wrote still arrive, and that what the addon can do otherwise still works. See `docs/proof.md`.
//!
//! Everything here compares what was seen; it never runs anything itself.

mod exercised;
mod followed;
mod hunks;
mod smoke;

pub(super) use exercised::{exercised, not_run};
pub(super) use followed::lost_values;
pub(super) use hunks::{Part, parts, without};
pub(super) use smoke::compare;
