//! The commands: one file each, thin over `app` and `worker`.
//!
//! People get progress on stderr; stdout holds the result, and with `--json` one JSON object and nothing else.

mod approve;
mod audit;
mod bench;
mod classify;
mod confidence;
mod connect;
mod defined;
mod doctor;
mod fix;
mod group;
mod image;
mod index;
mod key;
mod mcp;
mod rollback;
mod search;
mod show;
mod status;
mod submit;
mod test;
mod ticket;
mod up;
mod upgrade;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError};
use crate::domain::{Failure, FailureKind};
use crate::telemetry;

/// The work of an Odoo developer on call: from an error in a log to a fix that a sandbox has proven.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
pub struct Cli {
    /// Settings file; without it ./odoo-agent.toml is read if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one process: API, worker, and the embedded stack where no server is set.
    Up,
    /// The API alone.
    Serve,
    /// A worker alone.
    Work,
    /// The scheduler alone: submits what the cron table says.
    Schedule,
    /// Mend one error, from the log to the proven patch.
    Fix(fix::Args),
    /// Accept a patch that a run has found and not written: see it, then have it written with backups.
    Approve(approve::Args),
    /// Take back a fix that a run has written, from its backups.
    Rollback(rollback::Args),
    /// Show how far each source of fixes is trusted, and the counts behind it.
    Confidence(confidence::Args),
    /// Read a log: the class of every error, and what it names.
    Classify(classify::Args),
    /// Submit a job.
    Submit(submit::Args),
    /// Show how a run stands.
    Status(status::Args),
    /// Check everything that the program needs, and say how to mend what is missing.
    Doctor(doctor::Args),
    /// Build the sandbox image of an Odoo series, if it is not there.
    Image(image::Args),
    /// Run an addon's tests in the sandbox and print Odoo's log.
    Test(test::Args),
    /// Bring addons to another series of Odoo as far as rules can, proven in the sandbox.
    Upgrade(upgrade::Args),
    /// Measure this machine: reading logs, and a proof in the sandbox.
    Bench(bench::Args),
    /// Find the code that must be read for an error or a question, and what worked before.
    Search(search::Args),
    /// Show where a view, a method, a field or an Odoo model is defined and extended, in the order of Odoo.
    Defined(defined::Args),
    /// Serve the search and the definitions as tools for Claude Desktop, Claude Code and others that speak MCP, over stdin and stdout.
    Mcp(mcp::Args),
    /// Bring sources into the knowledge base.
    Index(index::Args),
    /// Groups of errors: list, show, split, or say how one stands.
    Group(group::Args),
    /// Tickets: list, show, or say what mended one.
    Ticket(ticket::Args),
    /// The audit of a tenant: list it, or check that it is whole.
    Audit(audit::Args),
    /// API keys.
    Key(key::Args),
}

/// How a command ended, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, and fixed where something was to be fixed.
    Done,
    /// Done, but not fixed: a person has to look at a proposal, a ticket, or a fix that was not applied.
    NotProven,
    /// The command or its input is wrong.
    Usage,
    /// Something outside failed.
    Outside,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::NotProven => 1,
            Exit::Usage => 2,
            Exit::Outside => 3,
        })
    }
}

/// Runs one command. Errors are printed to stderr here, once.
pub async fn run(cli: Cli) -> Exit {
    let mut config = match Config::load(cli.config.as_deref()) {
        Ok(config) => config,
        Err(error) => return report(&error.into()),
    };
    let serves = matches!(cli.command, Command::Up | Command::Serve | Command::Work | Command::Schedule);
    if !serves && config.telemetry.filter == telemetry::Config::default().filter {
        // A person at a terminal sees the steps already; the log of a server would say them again.
        config.telemetry.filter = "warn".to_owned();
    }
    let _telemetry = match telemetry::init(&config.telemetry) {
        Ok(guard) => guard,
        Err(error) => return report(&error.into()),
    };
    if serves || matches!(cli.command, Command::Doctor(_)) {
        telemetry::files::raise_limit();
    }
    // Boxed: a command's future holds everything that it connects to.
    let ended = match cli.command {
        Command::Up => Box::pin(up::up(config)).await,
        Command::Serve => Box::pin(up::serve(config)).await,
        Command::Work => Box::pin(up::work(config)).await,
        Command::Schedule => Box::pin(up::schedule(config)).await,
        Command::Fix(args) => Box::pin(fix::run(config, args)).await,
        Command::Approve(args) => Box::pin(approve::run(config, args)).await,
        Command::Rollback(args) => Box::pin(rollback::run(config, args)).await,
        Command::Confidence(args) => Box::pin(confidence::run(config, args)).await,
        Command::Classify(args) => classify::run(&args),
        Command::Submit(args) => Box::pin(submit::run(config, args)).await,
        Command::Status(args) => Box::pin(status::run(config, args)).await,
        Command::Doctor(args) => Box::pin(doctor::run(config, args)).await,
        Command::Image(args) => Box::pin(image::run(&config, args)).await,
        Command::Test(args) => Box::pin(test::run(&config, args)).await,
        Command::Upgrade(args) => Box::pin(upgrade::run(&config, args)).await,
        Command::Bench(args) => Box::pin(bench::run(&config, args)).await,
        Command::Search(args) => Box::pin(search::run(config, args)).await,
        Command::Defined(args) => Box::pin(defined::run(config, args)).await,
        Command::Mcp(args) => Box::pin(mcp::run(config, args)).await,
        Command::Index(args) => Box::pin(index::run(config, args)).await,
        Command::Group(args) => Box::pin(group::run(config, args)).await,
        Command::Ticket(args) => Box::pin(ticket::run(config, args)).await,
        Command::Audit(args) => Box::pin(audit::run(config, args)).await,
        Command::Key(args) => Box::pin(key::run(config, args)).await,
    };
    ended.unwrap_or_else(|error| report(&error))
}

fn report(error: &anyhow::Error) -> Exit {
    // A failure's text holds that of its cause already.
    match error.downcast_ref::<Failure>() {
        Some(failure) => show::line(&format!("error: {failure}")),
        None => show::line(&format!("error: {error:#}")),
    }
    let usage = error.downcast_ref::<Failure>().is_some_and(|failure| failure.kind == FailureKind::BadInput);
    if usage || error.is::<ConfigError>() { Exit::Usage } else { Exit::Outside }
}
