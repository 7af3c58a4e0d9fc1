//! The `tenants` room.
