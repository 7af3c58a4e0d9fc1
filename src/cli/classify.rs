//! `odoo-agent classify`: every error of a log, read. It needs no server and no sandbox.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Exit, fix, show};
use crate::domain::{ErrorReport, ModuleName};
use crate::odoo;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Logs that Odoo printed, or texts of errors; `-`, or none, reads standard input.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let stdin = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &stdin } else { args.files.as_slice() };
    let several = files.len() > 1;
    let mut errors = Vec::new();
    for path in files {
        for (index, (report, count)) in odoo::occurrences(&fix::read(path)?).iter().enumerate() {
            let mut error = error(report, *count, index == 0);
            if several {
                error["log"] = json!(path.display().to_string());
            }
            errors.push(error);
        }
    }
    if args.json {
        show::out(&json!({ "errors": errors }).to_string());
    } else if errors.is_empty() {
        show::out("no error");
    } else {
        errors.iter().for_each(|error| show::out(&for_people(error)));
    }
    Ok(Exit::Done)
}

/// What is printed of one error. The first of a log is the one that the log is about.
fn error(report: &ErrorReport, count: u32, primary: bool) -> Value {
    let place = report.location.as_ref();
    // An error in an addon of Odoo's own has a place, but no addon that anybody here would change.
    let module = report.module.as_ref().map(ModuleName::as_str).or(place.and_then(|place| place.path.split('/').next()));
    let exception = report.chain.last().map(|raised| raised.exception.as_str());
    json!({
        "primary": primary,
        "class": report.class,
        "subclass": report.subclass,
        "fault": report.fault,
        "owner": report.owner,
        "module": module,
        "location": place.map(ToString::to_string),
        "object": report.object,
        "title": report.title,
        "exception": exception,
        "level": report.level,
        "logger": report.logger,
        "database": report.database,
        "odoo_version": report.odoo_version,
        "occurred_at": report.occurred_at,
        "fingerprint": report.fingerprint,
        "count": count,
    })
}

fn for_people(error: &Value) -> String {
    let text = |key: &str| show::clean(error[key].as_str().unwrap_or("-"));
    let named = error["object"].as_object().into_iter().flatten();
    let object: Vec<_> = named.map(|(what, name)| format!("{what} {}", show::clean(name.as_str().unwrap_or_default()))).collect();
    let log = error["log"].as_str().map(|log| format!("log         {}\n", show::clean(log))).unwrap_or_default();
    format!(
        "{log}error       {}\nclass       {} · {}\nfault       {}\nwhere       {} in {} ({})\nnames       {}\nseen        {} × as {}\n",
        text("title"),
        text("class"),
        text("subclass"),
        text("fault"),
        text("location"),
        text("module"),
        text("owner"),
        if object.is_empty() { "-".to_owned() } else { object.join(", ") },
        error["count"],
        text("fingerprint"),
    )
}
