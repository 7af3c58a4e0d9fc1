//! The `claude` room.
