//! What was measured, as Markdown.

use std::fmt::Write as _;

use chrono::Utc;

use super::load::Loaded;
use super::near::{Beside, Near, Way};
use super::neighbours::{self, Neighbours};
use super::times::Speed;
use super::whole::Whole;
use crate::knowledge::COMPARED;

/// When and on what.
pub(super) fn head(what: &str) -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!(
        "Measured {} by `odoo-agent bench knowledge`, {processors} CPUs, load {load} at the end: {what}\n",
        Utc::now().format("%Y-%m-%d")
    )
}

/// Over made-up texts.
pub(super) fn made(loaded: &Loaded, near: &Near, whole: &Whole, neighbours: &Neighbours) -> String {
    let mut text = head(&format!(
        "{} made-up texts, vectors around {} centres; loaded in {:.0} s, the index of the vectors made in {:.0} s, {:.0} MB.",
        loaded.chunks,
        loaded.made.centres(),
        loaded.load_seconds,
        loaded.index_seconds,
        loaded.index_bytes as f64 / 1e6
    ));
    text.push_str("\n| nearest vectors | recall@10 | answered with fewer than 10 | p50 | p99 | a second, two at once | p50 ÷ plain |\n|---|---|---|---|---|---|---|\n");
    for (filter, Beside { ours, ours_as_searched, plain, plain_iterative }) in
        [("", &near.all), (", a filter that keeps 1 %", &near.filtered)]
    {
        for (what, way) in [
            ("ours".to_owned(), ours),
            (format!("ours, the best of {COMPARED} as in a search"), ours_as_searched),
            ("plain pgvector query".to_owned(), plain),
            ("plain pgvector query, iterative scans".to_owned(), plain_iterative),
        ] {
            let Way { recall, short, speed } = way;
            let _ =
                writeln!(text, "| {what}{filter} | {recall:.3} | {short} of {} | {} |", loaded.queries.len(), speeds(speed, &plain.speed));
        }
    }
    text.push_str("\n| whole searches | p50 | p99 | a second, two at once | p50 ÷ plain |\n|---|---|---|---|---|\n");
    let among = format!("the same, with {} tenants that have {} texts each", neighbours::TENANTS, neighbours::TEXTS);
    let (among, of_them) = (format!("{among}, as one that has none"), format!("{among}, as one of them"));
    for (what, speed, beside) in [
        ("a question in words, embedded already", &whole.words, &near.all.plain.speed),
        (&among, &neighbours.without, &near.all.plain.speed),
        (&of_them, &neighbours.with, &near.all.plain.speed),
        ("an error that names what it is about, embedded already", &whole.errors, &near.all.plain.speed),
        ("from the text of a question to the answers", &whole.from_text, &whole.plain_from_text),
        ("plain pgvector query, the question embedded first", &whole.plain_from_text, &whole.plain_from_text),
    ] {
        let _ = writeln!(text, "| {what} | {} |", speeds(speed, beside));
    }
    let Speed { p50, p99, rate } = whole.embedding;
    let _ = write!(
        text,
        "\nEmbedding a question alone: {p50:.1} ms, p99 {p99:.1} ms, {rate:.0} a second one after the other (`{}`). \
         Of the questions {:.0} % found the text that their words were taken from.",
        whole.embedder, whole.found
    );
    text
}

fn speeds(speed: &Speed, beside: &Speed) -> String {
    format!("{:.1} ms | {:.1} ms | {:.0} | {:.1}", speed.p50, speed.p99, speed.rate, speed.p50 / beside.p50.max(1e-9))
}
