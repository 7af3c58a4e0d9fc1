//! The `odoo-agent` program: parse, telemetry, run one command, exit code.

use std::process::ExitCode;

use clap::Parser;
use odoo_agent::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    // One TLS provider for every client; a second call could only mean that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::run(Cli::parse()).await.into()
}
