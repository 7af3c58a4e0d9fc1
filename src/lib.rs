//! The Odoo Developer Agent: from an error in a log to a fix that a sandbox has proven.
//!
//! The flow, in the order in which the rooms are met:
//!
//! 1. a door (`api`, `mcp`, `cli`) turns outside words into a [`domain::Job`] or a raw event;
//! 2. `ingest` decodes raw events into [`domain::ErrorReport`]s, `worker::triage` groups them and submits one job a group;
//! 3. `app` writes the run row and publishes the job; `worker` pulls it and guards the attempt;
//! 4. `jobs` runs the handler: `cascade` asks for candidates (recall, deduce, ask) and has each verified in `sandbox`;
//! 5. the outcome is applied with a backup, or becomes a ticket; `knowledge` remembers it.
//!
//! Who may import whom is written in `docs/architecture.md` and held by `tests/architecture.rs`.

// pure: no async, no IO
pub mod domain;
pub mod losses;
pub mod odoo;
pub mod rules;

// adapters: one outside system each
pub mod addons;
pub mod claude;
pub mod db;
pub mod knowledge;
pub mod queue;
pub mod runs;
pub mod sandbox;
pub mod sources;
pub mod stack;
pub mod telemetry;
pub mod tenants;
pub mod tickets;

// work
pub mod cascade;
pub mod jobs;
pub mod worker;

// composition and doors
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod ingest;
pub mod mcp;
pub mod scheduler;
