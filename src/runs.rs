//! The `runs` room.
