//! `odoo-agent bench traps`: small cases in which the obvious answer of a rule is wrong, each with a twin in which it is right.
//!
//! A trap that ends *fixed* with a wrong patch is a broken promise; a twin that does not end *fixed* is a promise not kept. See
//! `tests/fixtures/traps/README.md` for what a case is made of.

mod case;
mod table;

use std::path::PathBuf;
use std::time::Instant;

use case::{Judged, Trap, judge};
use futures::{StreamExt, TryStreamExt, stream};

use super::labelled::{self, Fixed};
use super::{open_to_all, page};
use crate::cli::connect::connect;
use crate::cli::{Exit, fix, show};
use crate::config::Config;
use crate::domain::{Failure, OdooVersion, TenantId};
use crate::worker::Worker;

/// Between which marks a file takes the result.
const MARK: &str = "traps";
/// The share of twins that have to end fixed, of all of them and of the few of the short form.
const TWINS_FIXED: f64 = 0.90;
const FEW_TWINS_FIXED: f64 = 0.75;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder with a folder for each rule, and in that one for each case.
    #[arg(long, value_name = "DIR", default_value = "tests/fixtures/traps")]
    fixtures: PathBuf,
    /// Only the cases of this rule. May be given several times.
    #[arg(long, value_name = "NAME")]
    rule: Vec<String>,
    /// At most this many cases, spread evenly over all: the short form.
    #[arg(long, value_name = "N")]
    at_most: Option<usize>,
    /// How many cases are tried at the same time.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// The Odoo series.
    #[arg(long, value_name = "SERIES", default_value = "19.0")]
    odoo_version: OdooVersion,
    /// Also write the result into this Markdown file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Also write, for each rule, how many of its fixes were tried and how many were right into this CSV file; rows of other sets stay.
    #[arg(long, value_name = "FILE")]
    labelled: Option<PathBuf>,
    /// Also write everything that was answered into this folder, one JSON file a case.
    #[arg(long, value_name = "DIR")]
    answers: Option<PathBuf>,
}

pub async fn run(mut config: Config, args: Args) -> anyhow::Result<Exit> {
    args.write.as_ref().map(|file| page::check(file, MARK)).transpose()?;
    let mut traps = case::read(&args.fixtures)?;
    traps.retain(|trap| args.rule.is_empty() || args.rule.contains(&trap.rule));
    let traps = spread(traps, args.at_most);
    if traps.is_empty() {
        return Err(Failure::bad_input(format!("there is no case below {}", args.fixtures.display())).into());
    }
    let tenant: TenantId = "default".parse()?;
    // What it measures is what is mended without a model, and without a memory: on servers of its own, which know nothing yet.
    config.claude.api_key = None;
    let folder = tempfile::Builder::new().prefix("odoo-agent-bench").permissions(open_to_all()).tempdir()?;
    config.data_dir = folder.path().to_owned();
    (config.queue.url, config.database.url) = (None, None);
    config.tenants.entry(tenant.clone()).or_default().addons = traps.iter().map(|trap| trap.addons.clone()).collect();
    let connected = connect(config).await?;
    let worker = Worker::new(connected.app.clone());
    let judged = try_all(&traps, &worker, &args, &tenant).await;
    drop(worker);
    connected.close().await;
    let judged = judged?;
    let text = table::render(&judged);
    show::out(&text);
    args.write.as_ref().map(|file| page::write(file, MARK, &text)).transpose()?;
    if let Some(file) = &args.labelled {
        let fixed = judged.iter().filter(|one| one.outcome == "fixed");
        let fixed: Vec<Fixed<'_>> = fixed.map(|one| Fixed { source: &one.source, is_right: one.is_right() }).collect();
        labelled::write(file, MARK, &fixed)?;
    }
    let wrong = judged.iter().filter(|one| one.is_wrong()).count();
    let twins = judged.iter().filter(|one| one.is_twin).count();
    let fixed = judged.iter().filter(|one| one.is_twin && one.is_right()).count();
    let share = if args.at_most.is_some() { FEW_TWINS_FIXED } else { TWINS_FIXED };
    let enough = fixed as f64 >= share * twins as f64;
    show::line(&format!("{wrong} wrong; {fixed} of {twins} twins fixed"));
    Ok(if wrong == 0 && enough { Exit::Done } else { Exit::NotProven })
}

/// Every n-th case, so that at most so many are left.
fn spread(traps: Vec<Trap>, at_most: Option<usize>) -> Vec<Trap> {
    let Some(most) = at_most.filter(|most| *most < traps.len()) else { return traps };
    let count = traps.len();
    let wanted: Vec<usize> = (0..most).map(|n| n * count / most).collect();
    traps.into_iter().enumerate().filter(|(n, _)| wanted.contains(n)).map(|(_, trap)| trap).collect()
}

async fn try_all(traps: &[Trap], worker: &Worker, args: &Args, tenant: &TenantId) -> anyhow::Result<Vec<Judged>> {
    let tried = stream::iter(traps).map(|trap| async move {
        let started = Instant::now();
        let log = fix::read(&trap.log)?;
        let error = fix::pick(&log, None, &fix::names(std::slice::from_ref(&trap.addons))?)?;
        let job = fix::job(&error, std::slice::from_ref(&trap.addons), false, Some(&args.odoo_version), tenant.clone());
        let result = fix::until_interrupted(worker, &job).await?;
        if let Some(folder) = &args.answers {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join(format!("{}.{}.json", trap.rule, trap.name)), serde_json::to_string_pretty(&result)?)?;
        }
        let judged = judge(trap, &result, started.elapsed().as_secs_f64());
        show::line(&judged.line());
        anyhow::Ok(judged)
    });
    tried.buffered(usize::from(args.jobs)).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_form_is_spread_over_all_cases() {
        let traps = |n: usize| (0..n).map(|n| Trap { name: n.to_string(), ..Trap::default() }).collect::<Vec<_>>();
        let names = |most| spread(traps(10), most).into_iter().map(|trap| trap.name).collect::<Vec<_>>();
        assert_eq!(names(Some(3)), ["0", "3", "6"]);
        assert_eq!(names(Some(20)).len(), 10);
        assert_eq!(names(None).len(), 10);
    }
}
