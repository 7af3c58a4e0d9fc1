//! Secrets out of what is published: whatever this program puts into a stream passes here.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::QueueError;
use crate::odoo;

/// The header of a message whose secrets are masked. What comes without it was published by somebody else, and is erased from the disk once it
/// is read.
pub(super) const MASKED_HEADER: &str = "Odoo-Masked";

/// The most bytes that are masked where they are; more are masked on a thread of their own.
const INLINE: usize = 32 * 1024;

/// Returns a body with its secrets masked.
pub(super) async fn masked(body: Bytes) -> Result<Bytes, QueueError> {
    if body.len() <= INLINE {
        return Ok(mask(body));
    }
    // What cannot be masked is not published: the error is one that passes.
    tokio::task::spawn_blocking(move || mask(body)).await.map_err(|error| QueueError::unavailable("masking a message", error))
}

fn mask(body: Bytes) -> Bytes {
    match odoo::mask_bytes(&body) {
        Cow::Owned(masked) => Bytes::from(masked),
        Cow::Borrowed(_) => body,
    }
}

/// Returns a value as JSON with its secrets masked.
pub(super) fn masked_json(value: &impl Serialize) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(value)?;
    odoo::mask_json(&mut value);
    Ok(value)
}
