//! Tests against real parts: nats-server, PostgreSQL with pgvector, Docker, Odoo. Only Claude is stood in for.
//!
//! A missing part fails a test; it never skips one. `make setup` installs them all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod support;

mod ask;
mod audit;
mod authority;
mod bad_input;
mod catalogue;
mod classify;
mod claude;
mod confidence;
mod corrections;
mod defined;
mod doors;
mod egress;
mod embed;
mod escape;
mod fix;
mod forgery;
mod groups;
mod hostile;
mod index;
mod keys;
mod knowledge;
mod knowledge_named;
mod lint;
mod manners;
mod masking;
mod mcp;
mod paid;
mod pool;
mod producers;
mod proof;
mod queue;
mod recorder;
mod recovery;
mod reliability;
mod reproduce;
mod rollback;
mod sandbox;
mod schedule;
mod stack;
mod store;
mod tenancy;
mod tickets;
mod upgrade;
