//! `odoo-agent confidence`: how far each source of fixes is trusted, and why.

use serde_json::{Value, json};

use super::connect::connect;
use super::{Exit, show};
use crate::app::Earned;
use crate::config::Config;
use crate::domain::{Source, TenantId};
use crate::rules;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// For whom the outcomes are counted.
    #[arg(long, default_value = "default")]
    tenant: TenantId,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let (settle_days, connected) = (config.confidence.settle_days, connect(config).await?);
    let threshold = connected.app.settings(&args.tenant).threshold;
    let known = rules::ALL.iter().map(|rule| Source::Rule(rule.name.to_owned())).chain([Source::Claude, Source::Person]);
    let earned = connected.app.knowledge.all_earned(&args.tenant, known.collect()).await;
    connected.close().await;
    let earned = earned?;
    show::out(&if args.json {
        let sources: Vec<Value> = earned.iter().map(with_figure).collect();
        json!({ "tenant": args.tenant, "threshold": threshold, "settle_days": settle_days, "sources": sources }).to_string()
    } else {
        table(&earned)
    });
    Ok(Exit::Done)
}

fn with_figure(earned: &Earned) -> Value {
    let mut value = json!(earned);
    value["confidence"] = json!(earned.confidence());
    value
}

/// One line for each source and class of error. Counts that are zero are left out.
fn table(earned: &[Earned]) -> String {
    let line = |one: &Earned| {
        let class = one.class.as_deref().map(show::clean).unwrap_or_else(|| "-".to_owned());
        let counts = [
            (one.applied_and_kept, "applied and kept"),
            (one.confirmed, "confirmed"),
            (one.merged, "merged"),
            (one.rejected, "rejected"),
            (one.rolled_back, "rolled back"),
            (one.came_back, "came back"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}")).collect::<String>();
        let source = show::clean(&one.source.to_string());
        format!("{:.2}  {source:<34} {class:<26} {} of {} cases right{counts}", one.confidence().value(), one.right, one.tried)
    };
    earned.iter().map(line).collect::<Vec<_>>().join("\n")
}
