//! `odoo-agent group`: which errors there are, and what is one error and what two.

use clap::Subcommand;
use serde_json::json;

use super::connect::connect;
use super::{Exit, show};
use crate::app::{App, GroupFilter, GroupPage, GroupState, GroupView};
use crate::config::Config;
use crate::domain::{Cursor, ErrorClass, Failure, Fingerprint, GroupId, ModuleName, Submitter, TenantId};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Whose groups.
    #[arg(long, default_value = "default", global = true)]
    tenant: TenantId,
    /// Print one JSON object.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the groups, the last seen first.
    List {
        /// Only in this state: open, fixed or ignored.
        #[arg(long)]
        state: Option<GroupState>,
        /// Only of this addon.
        #[arg(long)]
        module: Option<ModuleName>,
        /// Only of this class, such as `view_type_tree`.
        #[arg(long, value_parser = class)]
        class: Option<ErrorClass>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only what comes after the page before, as it said at its end.
        #[arg(long)]
        after: Option<Cursor>,
    },
    /// Show one group.
    Show {
        /// The group.
        group: GroupId,
    },
    /// Make a fingerprint of a group a group of its own, for good.
    Split {
        /// The group.
        group: GroupId,
        /// The fingerprint, as `group show` shows it.
        fingerprint: Fingerprint,
    },
    /// Say how a group stands.
    Mark {
        /// The group.
        group: GroupId,
        /// open, fixed or ignored.
        state: GroupState,
    },
}

fn class(text: &str) -> Result<ErrorClass, String> {
    let known = ErrorClass::ALL.iter().find(|class| class.as_str() == text);
    known.copied().ok_or_else(|| "it is no class of errors: `group list` shows those that occurred".to_owned())
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let done = act(&connected.app, &args.tenant, args.action, args.json).await;
    connected.close().await;
    show::out(&done?);
    Ok(Exit::Done)
}

/// Does it; gives what is to be printed.
async fn act(app: &App, tenant: &TenantId, action: Action, json: bool) -> Result<String, Failure> {
    let (group, found) = match action {
        Action::List { state, module, class, limit, after } => {
            let page = app.groups(tenant, &GroupFilter { state, module, class, limit: Some(limit), after }).await?;
            return Ok(if json { json!(page).to_string() } else { table(&page) });
        }
        Action::Show { group } => (group, app.group(tenant, group).await?),
        Action::Split { group, fingerprint } => (group, app.split_group(tenant, group, &fingerprint, Submitter::Operator).await?),
        Action::Mark { group, state } => (group, app.set_group_state(tenant, group, state).await?),
    };
    let found = found.ok_or_else(|| {
        Failure::bad_input(format!("the tenant {tenant} has no group {group} (with this fingerprint); `group list` shows them"))
    })?;
    Ok(if json { json!(found).to_string() } else { page_of(&found) })
}

fn table(page: &GroupPage) -> String {
    let line = |group: &GroupView| {
        let (seen, module) = (group.last_seen.format("%Y-%m-%d %H:%M"), group.module.as_deref().unwrap_or("-"));
        let title: String = show::clean(&group.title).chars().take(80).collect();
        format!("{}  {:<7}  {:>7}  {seen}  {}  {module}  {title}", group.id, group.state, group.count, direction(group))
    };
    let mut lines: Vec<_> = page.groups.iter().map(line).collect();
    lines.extend(page.next.map(|next| format!("more: --after {next}")));
    lines.join("\n")
}

fn page_of(group: &GroupView) -> String {
    let known = |release: &Option<String>| show::clean(release.as_deref().unwrap_or("-"));
    let (trend, releases) = (&group.trend, &group.releases);
    let mut lines = vec![
        format!("group       {}", group.id),
        format!("state       {} (openings: {})", group.state, group.openings),
        format!("error       {} in {}", group.class, group.module.as_deref().unwrap_or("-")),
        format!("            {}", show::clean(&group.title)),
        format!("seen        {} times, {} to {}", group.count, group.first_seen.to_rfc3339(), group.last_seen.to_rfc3339()),
        format!("trend       {}: {} in the last 24 hours, {} in the 24 before", direction(group), trend.last_24h, trend.previous_24h),
        format!("releases    first in {}, last in {}", known(&releases.first), known(&releases.last)),
    ];
    if releases.fixed.is_some() || releases.reopened.is_some() {
        lines.push(format!("            fixed after {}, came back in {}", known(&releases.fixed), known(&releases.reopened)));
    }
    lines.extend(group.last_run.map(|run| format!("run         {run}")));
    let print = |print: &crate::runs::groups::FingerprintView| {
        let apart = if print.apart { " (set apart)" } else { "" };
        format!("fingerprint {} {} times{apart}: {}", print.fingerprint, print.count, show::clean(&print.title))
    };
    lines.extend(group.fingerprints.iter().map(print));
    lines.join("\n")
}

fn direction(group: &GroupView) -> String {
    json!(group.trend.direction).as_str().unwrap_or_default().to_owned()
}
