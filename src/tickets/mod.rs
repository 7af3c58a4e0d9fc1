//! The `tickets` room.
