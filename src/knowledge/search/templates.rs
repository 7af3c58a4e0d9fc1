//! The template that failed, where it really stands, and those through which it was called.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;
use uuid::Uuid;

use super::found::{Candidate, Scope};
use super::frames;
use super::rendering::{Rendering, holds};
use super::symbols::{Definition, Wanted, definitions};
use crate::db::{DbError, TenantTx};
use crate::domain::ErrorReport;
use crate::knowledge::graph;

/// The most templates that may be the one that was to be rendered before it is no longer said first.
const FEW: usize = 3;
/// The most templates that call another which are given.
const CALLERS: usize = 10;

/// The templates that an error of QWeb is about, best first.
pub(super) async fn failed(tx: &mut TenantTx, scope: &Scope, text: &str, report: &ErrorReport) -> Result<Vec<Candidate>, DbError> {
    let read = Rendering::read(text);
    let mut names = read.names.clone();
    names.extend(report.object.view.iter().filter(|view| !read.names.contains(view)).cloned());
    let own = by_names(tx, scope, &names).await?;
    let mut found = holders(tx, scope, &read, &own).await?;
    if own.is_empty() {
        found.extend(inside(tx, scope, &names).await?);
    }
    let callers = calling(tx, scope, &names).await?;
    let entry = entry(tx, scope, &read, report).await?;
    // What several call works for the others: what differs is who called it.
    let shared = callers.iter().map(|caller| &caller.name).collect::<BTreeSet<_>>().len() > 1;
    let at = if shared && !entry.is_empty() && entry.len() <= FEW { 0 } else { found.len() };
    let few = entry.len() <= FEW;
    found.splice(at..at, entry);
    if few {
        let through = by_names(tx, scope, &read.compiled).await?;
        let through = through.iter().filter(|template| !names.contains(&template.name));
        found.extend(through.map(|template| said(template, "a template through which it was called")));
        // What calls the template that failed, or one on the way to it, gave it its values.
        let others = calling(tx, scope, &read.called).await?;
        let why = "calls a template on the way to the one that failed";
        found.extend(callers.iter().chain(&others).take(CALLERS).map(|template| said(template, why)));
    }
    Ok(found)
}

async fn by_names(tx: &mut TenantTx, scope: &Scope, names: &[String]) -> Result<Vec<Definition>, DbError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = definitions(tx, scope, Wanted { kinds: &["template", "view"], names, ..Wanted::default() }).await?;
    found.sort_by_key(|template| names.iter().position(|name| *name == template.name));
    Ok(found)
}

fn said(template: &Definition, why: &str) -> Candidate {
    Candidate::new(template.chunk, 1.0, format!("{why}: {}", template.name))
}

/// The template that failed, and what added the element to it, where it does not stand in the template itself.
async fn holders(tx: &mut TenantTx, scope: &Scope, read: &Rendering, own: &[Definition]) -> Result<Vec<Candidate>, DbError> {
    let failed: Vec<Candidate> = own.iter().map(|template| said(template, "the template that failed")).collect();
    let Some(name) = read.names.first().filter(|_| !read.directives.is_empty()) else { return Ok(failed) };
    let modules = scope.modules(tx).await?;
    let combined = graph::combined_view(tx, &modules, name, scope.version.as_deref()).await?;
    let allowed = |module: &String| scope.within.as_ref().is_none_or(|within| within.contains(module));
    let ids: Vec<Uuid> = combined.iter().filter(|part| allowed(&part.module)).map(|part| part.chunk).collect();
    let texts = contents(tx, &ids).await?;
    let has = |id: &Uuid| texts.get(id).is_some_and(|text| holds(text, &read.directives));
    if own.iter().any(|template| has(&template.chunk)) {
        return Ok(failed);
    }
    let added = ids.iter().filter(|id| has(id)).map(|id| Candidate::new(*id, 1.0, format!("adds the element that failed to {name}")));
    Ok(failed.iter().cloned().chain(added).collect())
}

/// A name that is no record of its own may be that of an element inside of one.
async fn inside(tx: &mut TenantTx, scope: &Scope, names: &[String]) -> Result<Vec<Candidate>, DbError> {
    let Some((module, id)) = names.first().and_then(|name| name.split_once('.')) else { return Ok(Vec::new()) };
    let marks = [format!(" id=\"{id}\""), format!(" id='{id}'")];
    let rows = sqlx::query(
        "select id from knowledge
          where corpus = 'data' and module = $1 and ($2::text is null or odoo_version = $2) and ($3::text[] is null or module = any($3))
            and kind in ('view', 'template', 'record') and (strpos(content, $4) > 0 or strpos(content, $5) > 0)
          order by path, start_line, id limit 5",
    )
    .bind(module)
    .bind(scope.version.as_deref())
    .bind(scope.within.as_deref())
    .bind(&marks[0])
    .bind(&marks[1])
    .fetch_all(tx.conn())
    .await?;
    rows.iter().map(|row| Ok(Candidate::new(row.try_get("id")?, 1.0, format!("holds an element that is called {id}")))).collect()
}

/// The template that was to be rendered, where another one failed: it is known by a number only, by what it calls and where.
async fn entry(tx: &mut TenantTx, scope: &Scope, read: &Rendering, report: &ErrorReport) -> Result<Vec<Candidate>, DbError> {
    let named = by_names(tx, scope, &read.entry_names).await?;
    let why = "what was to be rendered, and came to the template that failed";
    if !named.is_empty() {
        return Ok(named.iter().map(|template| said(template, why)).collect());
    }
    let calls = read.entry_calls();
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let callers = calling(tx, scope, &calls).await?;
    let mut by_chunk: BTreeMap<Uuid, BTreeSet<&str>> = BTreeMap::new();
    for caller in &callers {
        by_chunk.entry(caller.chunk).or_default().extend(caller.target.as_deref());
    }
    let mut all: Vec<&Definition> = Vec::new();
    for caller in &callers {
        if by_chunk.get(&caller.chunk).is_some_and(|called| called.len() == calls.len())
            && all.iter().all(|known| known.chunk != caller.chunk)
        {
            all.push(caller);
        }
    }
    let ids: Vec<Uuid> = all.iter().map(|caller| caller.chunk).collect();
    let texts = contents(tx, &ids).await?;
    let fits: Vec<&Definition> =
        all.iter().copied().filter(|caller| texts.get(&caller.chunk).is_some_and(|text| read.is_entry(text))).collect();
    // Other addons may have moved what stands in it.
    let likely = if fits.is_empty() { all } else { fits };
    Ok(spread(&likely, report).into_iter().take(CALLERS).map(|template| said(template, why)).collect())
}

/// Of many that are as likely, first those of addons that the frames name, then one of each addon.
fn spread<'d>(likely: &[&'d Definition], report: &ErrorReport) -> Vec<&'d Definition> {
    let frames: BTreeSet<String> = frames::of(&report.chain).iter().filter_map(|frame| frames::module_of(&frame.file)).collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rated: Vec<(bool, usize, &Definition)> = likely
        .iter()
        .map(|template| {
            let nth = seen.entry(&template.module).or_default();
            *nth += 1;
            (!frames.contains(&template.module), *nth, *template)
        })
        .collect();
    rated.sort_by_key(|(other, nth, _)| (*other, *nth));
    rated.into_iter().map(|(_, _, template)| template).collect()
}

async fn calling(tx: &mut TenantTx, scope: &Scope, names: &[String]) -> Result<Vec<Definition>, DbError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    definitions(tx, scope, Wanted { kinds: &["calls"], ..Wanted::default() }.leading_to(names)).await
}

async fn contents(tx: &mut TenantTx, ids: &[Uuid]) -> Result<BTreeMap<Uuid, String>, DbError> {
    let rows = sqlx::query("select id, content from knowledge where id = any($1)").bind(ids).fetch_all(tx.conn()).await?;
    rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("content")?))).collect()
}
