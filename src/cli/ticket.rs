//! `odoo-agent ticket`: what is left to people, and what they say mended it.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::connect::connect;
use super::{Exit, show};
use crate::app::{App, Resolution, TicketFilter, TicketLine, TicketPage, TicketState, TicketView};
use crate::config::Config;
use crate::domain::{Cursor, Failure, TenantId, TicketId};

/// The most bytes of a file that are read; what is said may have fewer.
const MAX_FILE: u64 = 2 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Whose tickets.
    #[arg(long, default_value = "default", global = true)]
    tenant: TenantId,
    /// Print one JSON object.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the tickets, the newest first.
    List {
        /// Only in this state: open or closed.
        #[arg(long)]
        state: Option<TicketState>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only what comes after the page before, as it said at its end.
        #[arg(long)]
        after: Option<Cursor>,
    },
    /// Show one ticket.
    Show {
        /// The ticket.
        ticket: TicketId,
    },
    /// Say what mended the error of a ticket: the next one like it is answered by that first.
    Resolve {
        /// The ticket.
        ticket: TicketId,
        #[command(flatten)]
        said: Said,
        /// The change that mended it: a unified diff with paths such as addon/models/file.py; `-` reads standard input.
        #[arg(long, value_name = "FILE")]
        patch: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Said {
    /// What mended it.
    #[arg(long)]
    text: Option<String>,
    /// A file that says what mended it; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    // What is wrong in the files is said before anything is started.
    let said = match &args.action {
        Action::Resolve { said, patch, .. } => Some(resolution(said, patch.as_deref())?),
        _ => None,
    };
    let connected = connect(config).await?;
    let done = act(&connected.app, &args.tenant, args.action, said, args.json).await;
    connected.close().await;
    show::out(&done?);
    Ok(Exit::Done)
}

fn resolution(said: &Said, patch: Option<&Path>) -> Result<Resolution, Failure> {
    let is_stdin = |path: &Path| path == Path::new("-");
    if said.file.as_deref().is_some_and(is_stdin) && patch.is_some_and(is_stdin) {
        return Err(Failure::bad_input("standard input can be read only once: --file or --patch must name a file"));
    }
    let text = match (&said.text, &said.file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => read(file)?,
        (None, None) => String::new(),
    };
    let patch = patch.map(read).transpose()?;
    Resolution::new(&text, patch.as_deref()).map_err(|error| Failure::bad_input(error.to_string()))
}

fn read(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Failure::bad_input(format!("{shown} cannot be read: {error}"));
    let mut bytes = Vec::new();
    let taken = if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).map_err(unreadable)?.take(MAX_FILE + 1).read_to_end(&mut bytes)
    };
    taken.map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::bad_input(format!("{shown} has more than {MAX_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Failure::bad_input(format!("{shown} is no text in UTF-8")))
}

/// Does it; gives what is to be printed.
async fn act(app: &App, tenant: &TenantId, action: Action, said: Option<Resolution>, json: bool) -> Result<String, Failure> {
    let (ticket, found) = match (action, said) {
        (Action::List { state, limit, after }, _) => {
            let page = app.tickets(tenant, &TicketFilter { state, limit: Some(limit), after }).await?;
            return Ok(if json { json!(page).to_string() } else { table(&page) });
        }
        (Action::Resolve { ticket, .. }, Some(said)) => (ticket, app.resolve_ticket(tenant, ticket, &said, None).await?),
        (Action::Show { ticket } | Action::Resolve { ticket, .. }, _) => (ticket, app.ticket(tenant, ticket).await?),
    };
    let found = found.ok_or_else(|| Failure::bad_input(format!("the tenant {tenant} has no ticket {ticket}; `ticket list` shows them")))?;
    Ok(if json { json!(found).to_string() } else { page_of(&found) })
}

fn table(page: &TicketPage) -> String {
    let line = |ticket: &TicketLine| {
        let title: String = show::clean(&ticket.title).chars().take(80).collect();
        format!("{}  {:<6}  {}  {title}", ticket.id, ticket.state, ticket.created_at.format("%Y-%m-%d %H:%M"))
    };
    let mut lines: Vec<_> = page.tickets.iter().map(line).collect();
    lines.extend(page.next.map(|next| format!("more: --after {next}")));
    lines.join("\n")
}

fn page_of(found: &TicketView) -> String {
    let mut parts = vec![format!(
        "ticket      {}\nstate       {}\nrun         {}\nfiled       {}\n            {}",
        found.id,
        found.state,
        found.run,
        found.created_at.to_rfc3339(),
        show::clean(&found.ticket.title),
    )];
    if let (Some(said), Some(at)) = (&found.resolution, found.closed_at) {
        parts.push(format!("resolved    {}\n\n{}", at.to_rfc3339(), show::clean(said)));
    }
    parts.extend(found.correction.as_deref().map(|diff| show::clean(diff).trim_end().to_owned()));
    parts.push(show::clean(&found.ticket.body));
    parts.extend(found.ticket.patch.as_deref().map(|patch| show::clean(patch).trim_end().to_owned()));
    parts.join("\n\n")
}
