//! Real sources: how fast they are indexed, what a second run costs, and how well queries with known answers are answered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use super::own::Own;
use super::score::{Asked, Score, score};
use super::times::Times;
use super::{Args, show, table};
use crate::cli::index::{add_translations, read_errors};
use crate::domain::TenantId;
use crate::knowledge::index::{Origin, Report, Root, Tree};
use crate::knowledge::{Embedder, Knowledge, Purpose, Query};
use crate::sandbox::Engine;

/// Answers of one search.
const LIMIT: usize = 10;
/// One file of so many is touched.
const ONE_OF: usize = 100;
/// The most bytes of a file of queries.
const MAX_QUERIES: u64 = 64 * 1024 * 1024;
/// How many errors are kept together.
const BATCH: usize = 200;

pub(super) async fn measure(own: &Own, args: &Args, embedder: &Embedder, tenant: &TenantId, sandbox: &Engine) -> anyhow::Result<String> {
    let queries = args.queries.as_ref().map(|folder| read_queries(folder)).transpose()?.unwrap_or_default();
    let database = own.database("sources", tenant).await?;
    let knowledge = Knowledge::new(database.db.clone(), embedder.clone());
    let mut text = table::head(&format!("the embedder is `{}`.", embedder.name()));
    text.push_str("\n| indexed | files | read | texts | seconds | files/s | texts/s | share of the embedder | most memory |\n|---|---|---|---|---|---|---|---|---|\n");
    for (origin, folder) in [(Origin::Core, &args.core), (Origin::Oca, &args.oca)] {
        if let Some(folder) = folder {
            index(&knowledge, args, tenant, (origin, folder, sandbox), &mut text).await?;
        }
    }
    if let Some(file) = &args.errors {
        let errors = read_errors(file, None)?;
        let started = Instant::now();
        for batch in errors.chunks(BATCH) {
            knowledge.keep_errors(tenant, batch).await?;
        }
        knowledge.embed_texts(tenant, Purpose::Index, Arc::new(|_| {})).await?;
        let seconds = started.elapsed().as_secs_f64();
        let (count, rate) = (errors.len(), errors.len() as f64 / seconds.max(1e-9));
        let _ = writeln!(text, "| past errors | - | - | {count} | {seconds:.1} | - | {rate:.0} | - | - |");
    }
    if !queries.is_empty() {
        text.push_str(&answered(&knowledge, tenant, &queries).await?);
    }
    database.db.close().await;
    Ok(text)
}

/// A first run over a copy, a second over the same, and one after one file of a hundred has changed.
async fn index(
    knowledge: &Knowledge,
    args: &Args,
    tenant: &TenantId,
    (origin, folder, sandbox): (Origin, &Path, &Engine),
    text: &mut String,
) -> anyhow::Result<()> {
    let copied = tempfile::Builder::new().prefix("odoo-agent-bench").tempdir()?;
    let files = copy(folder, copied.path())?;
    let mut tree = Tree {
        name: origin.as_str().to_owned(),
        origin,
        version: args.odoo_version.clone(),
        roots: vec![Root { path: copied.path().to_owned(), translations_only: false }],
        location: folder.display().to_string(),
    };
    add_translations(sandbox, &mut tree).await;
    let mut first = None;
    for run in ["first run", "nothing changed", "1 % of the files changed"] {
        if run.starts_with("1 %") {
            touch(&files)?;
        }
        show::line(&format!("  index       {}, {run}", origin.as_str()));
        forget_peak();
        let report = knowledge.index(&tree, tenant, Arc::new(|_| {})).await.map_err(crate::domain::Failure::from)?;
        let Report { files, seconds, .. } = &report;
        let total = seconds.total.max(1e-9);
        let first = *first.get_or_insert(total);
        let _ = writeln!(
            text,
            "| {}, {run} | {} | {} | {} | {total:.2} ({:.1} %) | {:.0} | {:.0} | {:.0} % | {} |",
            origin.as_str(),
            files.seen,
            files.new + files.changed,
            report.chunks,
            100.0 * total / first,
            files.seen as f64 / total,
            report.chunks as f64 / total,
            100.0 * report.embedder_share,
            peak().map_or_else(|| "?".to_owned(), |kilobytes| format!("{:.0} MB", kilobytes as f64 / 1024.0)),
        );
    }
    Ok(())
}

/// Copies plain files; gives where the copies of Python files are.
fn copy(from: &Path, to: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut python = Vec::new();
    for entry in walkdir::WalkDir::new(from).sort_by_file_name() {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else if entry.file_type().is_file() {
            fs::copy(entry.path(), &target)?;
            if target.extension().is_some_and(|extension| extension == "py") {
                python.push(target);
            }
        }
    }
    Ok(python)
}

/// Adds a line at the end of one file of a hundred, so that every other line stays where it is.
fn touch(files: &[PathBuf]) -> anyhow::Result<()> {
    for file in files.iter().step_by(ONE_OF) {
        fs::OpenOptions::new().append(true).open(file)?.write_all(b"\n\ndef touched():\n    return 1\n")?;
    }
    Ok(())
}

/// Lets the peak of this process's memory start anew; where that is not allowed it stays that of the whole run.
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The peak of this process's memory, in kilobytes.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// The sets of queries of a folder, by the names of their files.
fn read_queries(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<Asked>>> {
    let mut sets = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_none_or(|extension| extension != "jsonl") || fs::metadata(&path)?.len() > MAX_QUERIES {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let asked: Vec<serde_json::Result<Asked>> = lines.map(serde_json::from_str).collect();
        // Beside queries there may be files of other things.
        if asked.iter().any(Result::is_ok) {
            let asked = asked.into_iter().collect::<Result<Vec<_>, _>>();
            sets.insert(name, asked.with_context(|| format!("a line of {} is no query", path.display()))?);
        }
    }
    anyhow::ensure!(!sets.is_empty(), "{} holds no queries with answers", folder.display());
    Ok(sets)
}

/// Asks every query; scores by set and family.
async fn answered(knowledge: &Knowledge, tenant: &TenantId, sets: &BTreeMap<String, Vec<Asked>>) -> anyhow::Result<String> {
    let mut text = "\n| queries | family | n | nDCG@10 | MRR@10 | recall@10 | p50 | p95 |\n|---|---|---|---|---|---|---|---|\n".to_owned();
    for (name, queries) in sets {
        show::line(&format!("  queries     {name}"));
        let mut families = BTreeMap::<&str, (Vec<Score>, Times)>::new();
        for asked in queries {
            let query = Query { text: asked.text.clone(), filters: asked.filters.clone(), limit: LIMIT };
            let started = Instant::now();
            let hits = knowledge.search(tenant, &query).await?;
            let score = score(asked, &hits);
            let rows = if asked.family.is_empty() { vec!["all"] } else { vec!["all", asked.family.as_str()] };
            for row in rows {
                let (scores, times) = families.entry(row).or_default();
                scores.push(score);
                times.since(started);
            }
        }
        for (family, (scores, times)) in families {
            let Score { ndcg, mrr, recall } = Score::mean(&scores);
            let (p50, p95) = (times.share(0.5), times.share(0.95));
            let _ =
                writeln!(text, "| {name} | {family} | {} | {ndcg:.3} | {mrr:.3} | {recall:.3} | {p50:.1} ms | {p95:.1} ms |", scores.len());
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_queries_with_answers_are_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_queries(folder.path()).is_err());
        fs::write(folder.path().join("q1.jsonl"), "{\"text\": \"t\", \"answers\": []}\n\n").unwrap();
        fs::write(folder.path().join("errors.jsonl"), "{\"id\": \"e\", \"text\": \"t\"}\n").unwrap();
        fs::write(folder.path().join("readme.md"), "x").unwrap();
        let sets = read_queries(folder.path()).unwrap();
        assert_eq!(sets.iter().map(|(name, asked)| (name.as_str(), asked.len())).collect::<Vec<_>>(), [("q1", 1)]);
        fs::write(folder.path().join("q1.jsonl"), "{\"text\": \"t\", \"answers\": []}\n{half\n").unwrap();
        assert!(read_queries(folder.path()).is_err());
    }

    #[test]
    fn touched_files_keep_their_lines() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(from.path().join("a")).unwrap();
        fs::write(from.path().join("a/b.py"), "x = 1\n").unwrap();
        fs::write(from.path().join("a/c.xml"), "<odoo/>").unwrap();
        let files = copy(from.path(), to.path()).unwrap();
        touch(&files).unwrap();
        assert!(fs::read_to_string(to.path().join("a/b.py")).unwrap().starts_with("x = 1\n\n"));
        assert_eq!(fs::read_to_string(to.path().join("a/c.xml")).unwrap(), "<odoo/>");
        assert_eq!(fs::read_to_string(from.path().join("a/b.py")).unwrap(), "x = 1\n");
    }

    #[test]
    fn memory_has_a_peak() {
        forget_peak();
        assert!(peak().unwrap() > 0);
    }
}
