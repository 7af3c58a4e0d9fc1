//! `odoo-agent defined`: where something is defined and extended, in the order of Odoo.

use serde_json::json;

use super::connect::connect;
use super::{Exit, show};
use crate::config::Config;
use crate::domain::{OdooVersion, TenantId};
use crate::knowledge::{Defined, Question, Sought};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// view (all its parts), method, field (every definition), or owner (who makes an Odoo model).
    kind: Sought,
    /// `sale.view_order_form`, `sale.order.action_confirm`, `sale.order.partner_id`, `sale.order`.
    name: String,
    /// Only of this Odoo series.
    #[arg(long, value_name = "SERIES")]
    version: Option<OdooVersion>,
    /// Whose addons are looked at beside what everybody may see.
    #[arg(long, default_value = "default")]
    tenant: TenantId,
    /// Print the texts too.
    #[arg(long)]
    text: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let question = Question { kind: args.kind, name: args.name, version: args.version };
    let found = connected.app.defined(&args.tenant, &question).await;
    connected.close().await;
    let found = found?;
    if args.json {
        show::out(&json!({ "definitions": found }).to_string());
    } else if found.is_empty() {
        show::out("nothing that is indexed defines it; `odoo-agent index` brings sources in");
    } else {
        found.iter().for_each(|defined| show::out(&for_people(defined, args.text)));
    }
    Ok(Exit::Done)
}

fn for_people(defined: &Defined, text: bool) -> String {
    let Defined { version, path, line, symbol, .. } = defined;
    let mut shown = format!("{version}  {}:{line}  {}", show::clean(path), show::clean(symbol.as_deref().unwrap_or("-")));
    if text {
        shown.extend(defined.text.lines().map(|line| format!("\n    {}", show::clean(line))));
    }
    shown
}
