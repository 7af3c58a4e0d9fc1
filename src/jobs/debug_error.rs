//! `debug_error`: find and prove a fix for one error.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::Ctx;
use super::report::{self, Verdict};
use crate::addons::{AddonsError, Folder, closure};
use crate::cascade::{self, Found};
use crate::domain::{ErrorReport, Failure, Fingerprint, ModuleName, OdooVersion, Outcome};
use crate::odoo;

/// The payload, as `jobs/debug_error/schema.json` describes it.
#[derive(Debug, Deserialize)]
struct Payload {
    #[serde(default)]
    log: String,
    report: Option<ErrorReport>,
    fingerprint: Option<Fingerprint>,
    module: Option<ModuleName>,
    odoo_version: Option<OdooVersion>,
    #[serde(default)]
    addons: Vec<PathBuf>,
    #[serde(default)]
    apply: bool,
}

/// Reads the log, finds the sources, looks for a fix, and says what is to be done with it.
pub async fn run(ctx: &Ctx, payload: &Value) -> Result<Outcome, Failure> {
    let payload: Payload =
        serde_json::from_value(payload.clone()).map_err(|error| Failure::bad_input(format!("the payload of debug_error: {error}")))?;
    let error = pick(&payload)?;
    let version = payload.odoo_version.clone().or(error.odoo_version.clone()).unwrap_or(ctx.settings.odoo_version.clone());
    let place = error.location.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
    ctx.tell("read", format!("{}{place}: {}", error.class.as_str(), error.title));

    let verdict = match prepare(ctx, &payload, &error) {
        Err(why) => Verdict::Untried(why),
        Ok((folders, module)) => {
            let found = search(ctx, &error, &version, &folders, &module).await?;
            let confidence = report::confidence(ctx, &error, &found).await?;
            Verdict::Tried { found: Box::new(found), confidence, root: folders[0].root().to_owned() }
        }
    };
    Ok(report::outcome(ctx, &error, &version, verdict, payload.apply || ctx.settings.apply))
}

/// The error that the job is about.
fn pick(payload: &Payload) -> Result<ErrorReport, Failure> {
    if let Some(report) = &payload.report {
        return Ok(report.clone());
    }
    let mut reports = odoo::reports(&payload.log);
    let index = match &payload.fingerprint {
        Some(wanted) => reports.iter().position(|report| report.fingerprint == *wanted),
        None => reports.iter().position(|report| payload.module.is_none() || report.module == payload.module).or(Some(0)),
    };
    match index.filter(|index| *index < reports.len()) {
        Some(index) => {
            let mut report = reports.swap_remove(index);
            report.module = payload.module.clone().or(report.module);
            Ok(report)
        }
        None => Err(Failure::bad_input(
            "there is no Odoo error in the log: give the text from the line with ERROR or CRITICAL to the end of its traceback",
        )),
    }
}

/// The folders and the addon to work on, or why there is nothing to work on.
fn prepare(ctx: &Ctx, payload: &Payload, error: &ErrorReport) -> Result<(Vec<Folder>, ModuleName), String> {
    if !error.is_actionable() {
        return Err(match &error.module {
            None => "The log does not tell which addon the error is in; name it with `module`.".to_owned(),
            Some(_) => format!("A change of sources does not mend this class of error ({}).", error.class.as_str()),
        });
    }
    let Some(module) = error.module.clone() else { return Err("The log does not tell which addon the error is in.".to_owned()) };
    let paths = if payload.addons.is_empty() { &ctx.settings.addons } else { &payload.addons };
    if paths.is_empty() {
        return Err(format!("No addons folder is set for the tenant {}; set `tenants.{}.addons`.", ctx.tenant, ctx.tenant));
    }
    let mut folders = Vec::new();
    for path in paths {
        if !allowed(path, &ctx.settings.addons) {
            return Err(format!("The folder {} is not one that the tenant's settings allow.", path.display()));
        }
        folders.push(Folder::open(path).map_err(|error| error.to_string())?);
    }
    if !folders[0].names().map_err(|error| error.to_string())?.contains(&module) {
        return Err(format!("The addon {module} is not in {}, the only folder that may be changed.", folders[0].root().display()));
    }
    Ok((folders, module))
}

/// A path from outside must lie in a folder from the settings, after symlinks are resolved.
fn allowed(path: &Path, settings: &[PathBuf]) -> bool {
    let Ok(path) = path.canonicalize() else { return true };
    settings.iter().filter_map(|root| root.canonicalize().ok()).any(|root| path.starts_with(root))
}

async fn search(ctx: &Ctx, error: &ErrorReport, version: &OdooVersion, folders: &[Folder], module: &ModuleName) -> Result<Found, Failure> {
    let (owned, wanted) = (folders.to_vec(), module.clone());
    let addons =
        tokio::task::spawn_blocking(move || closure(&owned, &wanted)).await.map_err(Failure::bug)?.map_err(|error| match error {
            AddonsError::Folder(..) => Failure::unavailable(error),
            other => Failure::bad_input(other.to_string()),
        })?;
    let past = ctx.knowledge.recall(&ctx.tenant, &error.fingerprint, version).await?;
    ctx.tell(
        "recall",
        match past.len() {
            0 => "no fix is known for this error yet".to_owned(),
            n => format!("{n} proven fix(es) are known for this error"),
        },
    );
    ctx.sandbox.ensure_image(version, &|line| ctx.tell("image", line)).await?;
    let mut sandbox = ctx.sandbox.open(version, &ctx.owner()).await?;
    let request = cascade::Request { report: error, version, addons: &addons, past, deadline: ctx.deadline };
    let found = cascade::run(request, &mut sandbox, ctx.claude.as_ref(), &ctx.ledger, ctx.progress.as_ref()).await;
    // The container goes whatever came out; what could not be removed now is swept by its label.
    if let Err(error) = sandbox.close().await {
        tracing::warn!(%error, run = %ctx.run, "the sandbox could not be closed; the sweep will remove it");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_outside_the_settings_is_refused() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let roots = [inside.path().to_owned()];
        assert!(allowed(inside.path(), &roots));
        assert!(!allowed(outside.path(), &roots));
        assert!(!allowed(&inside.path().join(".."), &roots));
        std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
        assert!(!allowed(&inside.path().join("link"), &roots));
    }

    #[test]
    fn log_without_an_error_is_bad_input() {
        let payload: Payload = serde_json::from_str(r#"{"log": "2026-11-22 19:10:18,973 648 INFO t odoo: fine"}"#).unwrap();
        assert!(pick(&payload).unwrap_err().to_string().contains("no Odoo error"));
    }
}
