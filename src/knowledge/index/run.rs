//! One indexing from start to end: look, compare, cut up on all processors while the database writes, take away what is gone, embed.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::cut::{Task, UnitRows};
use super::report::Skips;
use super::source::{self, SourceId, seconds};
use super::tree::{self, Unit, Walked};
use super::write::{Batch, Writer, Written};
use super::{IndexError, Options, Report, Status, Tree};
use crate::db::Db;

/// How much is written together: texts, files, and bytes of memory.
const BATCH: (usize, usize, usize) = (1_500, 400, 16 * 1024 * 1024);
/// How many units may wait to be written.
const WAITING: usize = 16;
/// From so many new rows on the statistics are made anew at once.
const MANY: u64 = 1_000;
/// The most threads that cut up.
const THREADS: usize = 8;

/// Brings a tree into the knowledge base. Another run over the same tree is waited for.
pub async fn run(db: &Db, tree: &Tree, options: &Options) -> Result<Report, IndexError> {
    if let Some(root) = tree.roots.iter().find(|root| !tree::is_there(root)) {
        return Err(IndexError::Gone(root.path.clone()));
    }
    let wait = || (options.progress)(&Status { phase: "wait", ..Status::default() });
    let _alone = source::alone(db, tree, options, wait).await?;
    let source = source::begin(db, tree, options).await?;
    let ended = Run::new(db, tree, options, source).work().await;
    let written = source::end(db, tree, options, source, &ended).await;
    let report = ended?;
    written?;
    (options.progress)(&Status {
        phase: "done",
        files: report.files.seen,
        files_total: report.files.seen,
        chunks: report.chunks,
        ..Status::default()
    });
    Ok(report)
}

struct Run<'a> {
    writer: Writer<'a>,
    started: Instant,
    report: Report,
    busy: Duration,
    writing: Duration,
    /// Files that went between being found and being read. They stay until the next time: the tree may be on its way out.
    lost: Skips,
}

impl<'a> Run<'a> {
    fn new(db: &'a Db, tree: &'a Tree, options: &'a Options, source: SourceId) -> Self {
        let report = Report {
            source: tree.name.clone(),
            doc_type: tree.origin.as_str().to_owned(),
            version: tree.version.to_string(),
            embedder: options.embedder.as_ref().map(|embedder| embedder.name().to_owned()),
            ..Report::default()
        };
        let writer = Writer { db, tree, options, source };
        Self { writer, started: Instant::now(), report, busy: Duration::ZERO, writing: Duration::ZERO, lost: Skips::default() }
    }

    async fn work(mut self) -> Result<Report, IndexError> {
        self.tell("walk", 0);
        let walked = self.walk().await?;
        let (known, unreadable) = (source::known(self.writer.db, self.writer.options, self.writer.source).await?, walked.unreadable);
        let seen: HashSet<&str> = walked.units.iter().flat_map(|unit| unit.files.iter().map(|found| found.path.as_str())).collect();
        let hidden = |path: &str| unreadable.iter().any(|folder| path.starts_with(folder.as_str()));
        let gone: Vec<String> = known.keys().filter(|path| !seen.contains(path.as_str()) && !hidden(path)).cloned().collect();
        let dirty = gone.iter().filter_map(|path| path.split('/').next().map(ToOwned::to_owned)).collect();
        let task = Task { origin: self.writer.tree.origin, version: self.writer.tree.version.to_string(), known, dirty };
        self.cut_and_write(task, walked.units).await?;
        self.take_away(gone).await?;
        self.settle(self.report.chunks).await;
        let embedding = Instant::now();
        if let Some(embedder) = &self.writer.options.embedder {
            let embedded = self.writer.embed(embedder.as_ref(), self.report.chunks).await?;
            (self.report.embedded, self.report.reused) = (embedded.embedded, embedded.reused);
            self.report.usd = embedded.cost.usd;
            self.settle(embedded.embedded).await;
        }
        Ok(self.finished(embedding.elapsed()))
    }

    async fn walk(&mut self) -> Result<Walked, IndexError> {
        let roots = self.writer.tree.roots.clone();
        let walked = tokio::task::spawn_blocking(move || tree::walk(&roots)).await.map_err(broken)??;
        self.report.seconds.walk = seconds(self.started.elapsed());
        self.report.files.seen = walked.files() as u64;
        if self.report.files.seen == 0 {
            return Err(IndexError::Empty(self.writer.tree.roots.first().map(|root| root.path.clone()).unwrap_or_default()));
        }
        self.report.skipped.merge(walked.skips.clone());
        Ok(walked)
    }

    /// Threads cut up, this task writes; neither gets far ahead of the other.
    async fn cut_and_write(&mut self, task: Task, units: Vec<Unit>) -> Result<(), IndexError> {
        let began = Instant::now();
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let (shared, next) = (Arc::new((task, units)), Arc::new(AtomicUsize::new(0)));
        let mut threads = JoinSet::new();
        for _ in 0..std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(THREADS) {
            let (shared, next, sender) = (shared.clone(), next.clone(), sender.clone());
            threads.spawn_blocking(move || {
                while let Some(unit) = shared.1.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Nobody receives any more: the run was given up.
                    if sender.blocking_send(shared.0.cut(unit)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        self.tell("index", 0);
        let mut batch = Batch::default();
        while let Some(unit) = receiver.recv().await {
            self.take_in(unit, &mut batch);
            if is_full(&batch) {
                self.write(std::mem::take(&mut batch)).await?;
                self.tell_rate(began);
            }
        }
        while let Some(ended) = threads.join_next().await {
            ended.map_err(broken)?;
        }
        self.write(batch).await?;
        self.tell_rate(began);
        Ok(())
    }

    fn take_in(&mut self, unit: UnitRows, batch: &mut Batch) {
        let files = &mut self.report.files;
        files.unchanged += unit.unchanged;
        files.new += unit.new;
        files.changed += unit.changed;
        for path in &unit.gone {
            self.lost.add("gone while it was read", path);
        }
        self.report.skipped.merge(unit.skips);
        self.report.trouble.merge(unit.trouble);
        self.busy += unit.busy;
        batch.files.extend(unit.files);
    }

    async fn write(&mut self, batch: Batch) -> Result<(), IndexError> {
        if batch.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let Written { chunks, removed, symbols } = self.writer.write(batch).await?;
        self.writing += began.elapsed();
        self.report.chunks += chunks;
        self.report.removed += removed;
        self.report.symbols += symbols;
        Ok(())
    }

    /// Takes away the files that are gone, unless it is the tree that is gone.
    async fn take_away(&mut self, gone: Vec<String>) -> Result<(), IndexError> {
        if let Some(root) = self.writer.tree.roots.iter().find(|root| !tree::is_there(root)) {
            return Err(IndexError::Gone(root.path.clone()));
        }
        self.report.files.gone = gone.len() as u64;
        for gone in gone.chunks(BATCH.1) {
            self.write(Batch { files: Vec::new(), gone: gone.to_vec() }).await?;
        }
        Ok(())
    }

    /// After many new rows a search would be planned for what was there before. Where it cannot be done, because somebody builds an index of
    /// the same table, the server does it by itself a little later: nothing ends for it.
    async fn settle(&self, written: u64) {
        if written < MANY {
            return;
        }
        if let Err(error) = self.writer.settle().await {
            tracing::warn!(%error, "the statistics of the knowledge base were not made anew; searches may be slow for some minutes");
        }
    }

    fn finished(mut self, embedding: Duration) -> Report {
        self.report.skipped.merge(std::mem::take(&mut self.lost));
        let total = self.started.elapsed();
        self.report.files.skipped = self.report.skipped.total();
        self.report.seconds.cut = seconds(self.busy);
        self.report.seconds.write = seconds(self.writing);
        self.report.seconds.embed = seconds(embedding);
        self.report.seconds.total = seconds(total);
        self.report.embedder_share = (embedding.as_secs_f64() / total.as_secs_f64().max(0.001) * 1000.0).round() / 1000.0;
        self.report
    }

    fn status(&self, phase: &'static str) -> Status {
        let files = &self.report.files;
        let looked_at = files.unchanged + files.new + files.changed;
        Status { phase, files: looked_at, files_total: files.seen, chunks: self.report.chunks, ..Status::default() }
    }

    fn tell(&self, phase: &'static str, files: u64) {
        (self.writer.options.progress)(&Status { files, ..self.status(phase) });
    }

    fn tell_rate(&self, began: Instant) {
        let status = self.status("index");
        let (done, of) = (status.files, status.files_total);
        (self.writer.options.progress)(&status.timed(done, of, began.elapsed().as_secs_f64()));
    }
}

fn is_full(batch: &Batch) -> bool {
    let (texts, files, bytes) = BATCH;
    batch.files.len() >= files
        || batch.files.iter().map(|file| file.rows.len()).sum::<usize>() >= texts
        || batch.files.iter().map(super::cut::FileRows::bytes).sum::<usize>() >= bytes
}

fn broken(error: impl std::fmt::Display) -> IndexError {
    IndexError::Broken(error.to_string())
}
