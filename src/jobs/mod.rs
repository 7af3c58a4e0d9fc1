//! The `jobs` room.
