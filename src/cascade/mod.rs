//! The `cascade` room.
