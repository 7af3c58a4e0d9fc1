//! What log shippers send, decoded: bytes of a known format become log texts in Odoo's own layout, so that one parser reads them all.
//!
//! Pure: bytes in, values out. It never stores, never publishes, and never decides what an error means.

mod error;
mod format;
mod masked;
mod parts;
mod report;
mod shown;
mod split;
mod texts;

pub use error::IngestError;
pub use format::{Format, MAX_BODY, MAX_LINE, MAX_RECORDS, check, check_file, detect};
pub use masked::masked;
pub use parts::parts;
pub use report::recompute_fingerprint;
pub use shown::shown;
pub use split::split;
pub use texts::texts_received;
