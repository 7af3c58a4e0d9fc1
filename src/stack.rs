//! The `stack` room.
