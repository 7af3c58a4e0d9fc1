//! Addons folders on disk: read as values, and a patch that is proven or approved written with backups, all files or none.
//!
//! Never follows a symlink, never reads outside the folders it was given, never writes what has neither a proof nor a person's word.

mod apply;
mod attributes;
mod beneath;
mod dependents;
mod read;
mod rollback;

pub use apply::{Applied, ApplyError, apply, check_tested, tested};
pub use dependents::{Dependents, dependents};
pub use read::{AddonsError, Folder, closure, others};
pub use rollback::{RollbackError, RolledBack, roll_back};

#[cfg(test)]
mod tests;
