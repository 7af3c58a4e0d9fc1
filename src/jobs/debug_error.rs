//! `debug_error`: find and prove a fix for one error.

mod behind;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::Ctx;
use super::report::{self, Trust, Verdict};
use crate::addons::{AddonsError, Dependents, Folder, closure, dependents, others};
use crate::cascade::{self, Found};
use crate::domain::{ErrorReport, Failure, Fault, Fingerprint, Frame, Location, ModuleName, ObjectRef, OdooVersion, Outcome, Raised};
use crate::knowledge::{Filters, Query, Span, pack};
use crate::odoo::source::Facts;
use crate::odoo::{self, Addon};
use crate::sandbox::{SOURCE_BYTES, Sandbox};

// Somewhat more than triage keeps of each, so that nothing of its reports is lost.
const MAX_TEXT: usize = 64 * 1024;
const MAX_MESSAGE: usize = 10 * 1024;
const MAX_NAME: usize = 1024;
const MAX_CHAIN: usize = 64;
const MAX_FRAMES: usize = 500;
/// How many bytes of other addons are read to find what an addon could depend on.
const OTHERS_BYTES: u64 = 32 * 1024 * 1024;
/// How many of the addons that build on a patched one are tried with it.
const MAX_DEPENDENTS: usize = 10;
/// What the knowledge base adds to a question: answers, and tokens of all of them together.
const MAX_RELATED: usize = 12;
const RELATED_TOKENS: usize = 4_000;

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
    apply: Option<bool>,
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
        Err(_) if error.fault == Fault::MissingUpgrade => {
            let folders = folders(ctx, &payload).unwrap_or_default();
            Verdict::Untried(behind::advice(ctx, &error, &version, &folders).await?)
        }
        Err(why) => Verdict::Untried(why),
        Ok((folders, module)) => match sources(&folders, &module).await? {
            Err(why) => Verdict::Untried(why),
            Ok(mut sources) => {
                let found = search(ctx, &error, &version, &sources).await?;
                let trust = Trust::in_found(ctx, &error, &found).await?;
                Verdict::Tried {
                    found: Box::new(found),
                    trust,
                    root: folders[0].root().to_owned(),
                    addon: Box::new(sources.addons.swap_remove(0)),
                }
            }
        },
    };
    let writing = ctx.authority.writing(&ctx.tenant, ctx.settings.apply, payload.apply);
    Ok(report::outcome(ctx, &error, &version, &verdict, &writing))
}

/// The error that the job is about.
fn pick(payload: &Payload) -> Result<ErrorReport, Failure> {
    if let Some(report) = &payload.report {
        return Ok(ErrorReport { module: payload.module.clone().or(report.module.clone()), ..bounded(report) });
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

/// A report from outside, as triage would have made it: of bounded length, with its secrets masked. It goes to tickets and to Claude.
fn bounded(report: &ErrorReport) -> ErrorReport {
    let cut = |text: &str, max: usize| odoo::mask(&text[..text.floor_char_boundary(max)]).into_owned();
    let name = |name: &Option<String>| name.as_deref().map(|name| name[..name.floor_char_boundary(MAX_NAME)].to_owned());
    let ObjectRef { model, field, method, view, xmlid, name: other } = &report.object;
    let frame = |frame: &Frame| Frame {
        file: cut(&frame.file, MAX_NAME),
        line: frame.line,
        function: cut(&frame.function, MAX_NAME),
        source: cut(&frame.source, MAX_NAME),
    };
    let raised = |raised: &Raised| Raised {
        exception: cut(&raised.exception, MAX_NAME),
        message: cut(&raised.message, MAX_MESSAGE),
        frames: raised.frames.iter().take(MAX_FRAMES).map(frame).collect(),
    };
    ErrorReport {
        title: cut(&report.title, MAX_NAME),
        logger: cut(&report.logger, MAX_NAME),
        level: cut(&report.level, MAX_NAME),
        database: name(&report.database),
        location: report.location.as_ref().map(|place| Location { path: cut(&place.path, MAX_NAME), line: place.line }),
        object: ObjectRef {
            model: name(model),
            field: name(field),
            method: name(method),
            view: name(view),
            xmlid: name(xmlid),
            name: name(other),
        },
        chain: report.chain.iter().take(MAX_CHAIN).map(raised).collect(),
        text: cut(&report.text, MAX_TEXT),
        ..report.clone()
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
    let folders = folders(ctx, payload)?;
    if !folders[0].names().map_err(|error| error.to_string())?.contains(&module) {
        return Err(format!("The addon {module} is not in {}, the only folder that may be changed.", folders[0].root().display()));
    }
    Ok((folders, module))
}

/// The folders that are named or set, at least one, or why there is none.
fn folders(ctx: &Ctx, payload: &Payload) -> Result<Vec<Folder>, String> {
    if payload.addons.is_empty() && ctx.settings.addons.is_empty() {
        return Err(format!("No addons folder is set for the tenant {}; set `tenants.{}.addons`.", ctx.tenant, ctx.tenant));
    }
    let open = |path: &Path| Folder::open(path).map_err(|error| error.to_string());
    if payload.addons.is_empty() {
        ctx.settings.addons.iter().map(|path| open(path)).collect()
    } else {
        let asked = payload.addons.iter().map(|path| match allowed(path, &ctx.settings.addons) {
            Some(path) => open(&path),
            None => Err(format!("The folder {} is not one that the tenant's settings allow.", path.display())),
        });
        asked.collect()
    }
}

/// A path from outside must lie in a folder from the settings, after symlinks are resolved; the resolved path is what is used. Whether a
/// path elsewhere exists is not told.
fn allowed(path: &Path, settings: &[PathBuf]) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    settings.iter().filter_map(|root| root.canonicalize().ok()).any(|root| path.starts_with(root)).then_some(path)
}

/// What is read of the folders.
struct Sources {
    /// The addon and what it depends on.
    addons: Vec<Addon>,
    /// What builds on it.
    dependents: Dependents,
    /// The other addons of the folders, and whether these are all.
    others: (Vec<Addon>, bool),
    /// What all of them define.
    own: Facts,
}

/// The addon, what it depends on and what builds on it, or why they cannot be tested.
async fn sources(folders: &[Folder], module: &ModuleName) -> Result<Result<Sources, String>, Failure> {
    let (owned, wanted) = (folders.to_vec(), module.clone());
    let read = move || {
        let addons = closure(&owned, &wanted)?;
        let others = others(&owned, &addons, OTHERS_BYTES)?;
        let own = Facts::of(addons.iter().chain(&others.0));
        Ok(Sources { addons, dependents: dependents(&owned, &wanted, MAX_DEPENDENTS, SOURCE_BYTES)?, others, own })
    };
    match tokio::task::spawn_blocking(read).await.map_err(Failure::bug)? {
        Ok(sources) => Ok(Ok(sources)),
        Err(error @ AddonsError::Folder(..)) => Err(Failure::unavailable(error)),
        Err(other) => Ok(Err(format!("{other}."))),
    }
}

/// A sandbox for this job.
async fn open(ctx: &Ctx, version: &OdooVersion) -> Result<Sandbox, Failure> {
    ctx.sandbox.ensure_image(version, &|line| ctx.tell("image", line)).await?;
    let tell = ctx.progress.clone();
    let opened = ctx.sandbox.open_with(version, &ctx.owner(), &ctx.settings.allow_domains).await?;
    Ok(opened.telling(move |progress| tell(progress)))
}

async fn search(ctx: &Ctx, error: &ErrorReport, version: &OdooVersion, sources: &Sources) -> Result<Found, Failure> {
    let corrections = ctx.knowledge.corrections(&ctx.tenant, &error.fingerprint, version).await?;
    if !corrections.is_empty() {
        ctx.tell("recall", format!("{} correction(s) by people are known for this error", corrections.len()));
    }
    let past = ctx.knowledge.recall(&ctx.tenant, &error.fingerprint, version).await?;
    ctx.tell(
        "recall",
        match past.len() {
            0 => "no fix is known for this error yet".to_owned(),
            n => format!("{n} proven fix(es) are known for this error"),
        },
    );
    let mut sandbox = open(ctx, version).await?;
    let Dependents { names, left_out, addons: with_dependents } = &sources.dependents;
    if *left_out > 0 {
        ctx.tell("read", format!("{left_out} more addons build on this one and are not tried: the nearest {} are", names.len()));
    }
    let (others, all) = &sources.others;
    if !all {
        ctx.tell("read", format!("the folders hold more addons than the {} that are looked at for what is missing", others.len()));
    }
    // An image of somebody's own may not tell; the rules that need it then have nothing to say.
    let core = sandbox.facts().await.unwrap_or_else(|error| {
        ctx.tell("read", format!("what Odoo's own addons define is not known: {error}"));
        Arc::default()
    });
    let related = related(ctx, error, version).await;
    let request = cascade::Request {
        report: error,
        version,
        addons: &sources.addons,
        dependents: names,
        with_dependents,
        others,
        more: !all,
        own: &sources.own,
        core: &core,
        corrections,
        past,
        related: &related,
        is_patient: ctx.is_patient,
        deadline: ctx.deadline,
    };
    let found = cascade::run(request, &mut sandbox, ctx.claude.as_ref(), &ctx.ledger, ctx.progress.as_ref()).await;
    // The container goes whatever came out; what could not be removed now is swept by its label.
    if let Err(error) = sandbox.close().await {
        tracing::warn!(%error, run = %ctx.run, "the sandbox could not be closed; the sweep will remove it");
    }
    found
}

/// What the knowledge base has about an error, for Claude. Without it the question is poorer, and no more.
async fn related(ctx: &Ctx, error: &ErrorReport, version: &OdooVersion) -> Vec<Span> {
    if ctx.claude.is_none() {
        return Vec::new();
    }
    let filters = Filters { version: Some(version.to_string()), ..Filters::default() };
    let query = Query { text: error.text.clone(), filters, limit: MAX_RELATED };
    match ctx.knowledge.search(&ctx.tenant, &query).await {
        Ok(hits) => pack(&hits, RELATED_TOKENS),
        Err(problem) => {
            ctx.tell("recall", format!("the knowledge base could not be searched: {problem}"));
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_outside_the_settings_is_refused() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let roots = [inside.path().to_owned()];
        assert_eq!(allowed(inside.path(), &roots), inside.path().canonicalize().ok());
        assert_eq!(allowed(outside.path(), &roots), None);
        assert_eq!(allowed(&inside.path().join(".."), &roots), None);
        assert_eq!(allowed(Path::new("/nonexistent"), &roots), None, "the answer is that for a path that exists");
        std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
        assert_eq!(allowed(&inside.path().join("link"), &roots), None);
    }

    #[test]
    fn report_from_outside_is_masked_and_cut() {
        let log = include_str!("../../tests/fixtures/logs/p_tree.log");
        let report = odoo::reports(log).remove(0);
        let payload = |report: &ErrorReport, module: Option<&str>| -> Payload {
            serde_json::from_value(serde_json::json!({ "report": report, "module": module })).unwrap()
        };
        assert_eq!(pick(&payload(&report, None)).unwrap(), report, "what triage made is not changed");
        let mut hostile = report.clone();
        hostile.text = format!("db_password = hunter2secret {}", "ü".repeat(1 << 20));
        hostile.chain[0].message = "Authorization: Bearer abcdef123456".to_owned();
        hostile.chain.extend(vec![hostile.chain[0].clone(); 1000]);
        let picked = pick(&payload(&hostile, Some("other"))).unwrap();
        let text = serde_json::to_string(&picked).unwrap();
        assert!(!text.contains("hunter2secret") && !text.contains("abcdef123456"));
        assert!(text.len() < 1 << 20 && picked.chain.len() == MAX_CHAIN);
        assert_eq!(picked.module.unwrap().as_str(), "other");
    }

    #[test]
    fn log_without_an_error_is_bad_input() {
        let payload: Payload = serde_json::from_str(r#"{"log": "2026-11-22 19:10:18,973 648 INFO t odoo: fine"}"#).unwrap();
        assert!(pick(&payload).unwrap_err().to_string().contains("no Odoo error"));
    }
}
