//! `odoo-agent bench mask`: how much of what is planted the mask hides, how much it hides that is nobody's secret, and how fast it is.

mod corpus;

use std::path::{Path, PathBuf};
use std::time::Instant;

use corpus::{Planted, Sample, Sort};

use super::log::on_processor;
use super::page;
use crate::cli::{Exit, show};
use crate::odoo;

/// Between which marks a file takes the result.
const MARK: &str = "mask";
/// Number of times that each template is filled.
const TIMES: u32 = 20;
/// Signs of a secret in a row that may stay readable at most.
const READABLE: usize = 5;
/// Bytes that are masked to measure the throughput.
const BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder with the templates in `mask/`, and with logs and sources that hold no secret.
    #[arg(long, value_name = "DIR", default_value = "tests/fixtures")]
    fixtures: PathBuf,
    /// A folder of more sources that hold no secret. May be given several times.
    #[arg(long, value_name = "DIR")]
    code: Vec<PathBuf>,
    /// Print what was missed, and the lines in which something was hidden that is no secret.
    #[arg(long)]
    show: bool,
    /// Also write the result into this Markdown file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Number of planted values of one sort, and those that stayed readable.
#[derive(Debug, Default)]
struct Found {
    planted: usize,
    missed: Vec<String>,
}

impl Found {
    fn recall(&self) -> f64 {
        1.0 - self.missed.len() as f64 / self.planted.max(1) as f64
    }
}

/// Lines without a secret, and those of them that the mask changed.
#[derive(Debug, Default)]
struct Lines {
    all: usize,
    changed: Vec<String>,
}

impl Lines {
    fn share(&self) -> f64 {
        self.changed.len() as f64 / self.all.max(1) as f64
    }
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    args.write.as_ref().map(|file| page::check(file, MARK)).transpose()?;
    let mut text = format!("Measured {} by `odoo-agent bench mask`.\n\n", chrono::Utc::now().format("%Y-%m-%d"));
    text.push_str("| planted values | templates tuned on | templates held out |\n|---|---|---|\n");
    let halves = ["tuned", "held_out"].map(|name| samples(&args.fixtures, name));
    let [tuned, held_out] = halves;
    let (tuned, held_out) = (tuned?, held_out?);
    for (what, sort) in [("secrets hidden", Sort::Secret), ("personal data hidden", Sort::Personal)] {
        let [tuned, held_out] = [&tuned, &held_out].map(|samples| {
            let found = found(samples, sort);
            if args.show {
                found.missed.iter().for_each(|missed| show::line(missed));
            }
            format!("{:.2} % of {}", 100.0 * found.recall(), found.planted)
        });
        text.push_str(&format!("| {what} | {tuned} | {held_out} |\n"));
    }
    text.push_str("\n| lines without a secret | changed by the mask |\n|---|---|\n");
    let kinds: [(&str, Vec<PathBuf>, &[&str]); 3] = [
        ("made up to mislead", vec![args.fixtures.join("mask/clean.txt")], &["txt"]),
        ("logs of Odoo", vec![args.fixtures.join("logs")], &["log"]),
        (
            "sources",
            [vec![args.fixtures.join("addons"), args.fixtures.join("rules"), args.fixtures.join("traps")], args.code.clone()].concat(),
            &["py", "xml", "js", "csv", "sql"],
        ),
    ];
    for (what, roots, extensions) in kinds {
        let lines = lines(&roots, extensions);
        if args.show {
            lines.changed.iter().for_each(|line| show::line(line));
        }
        text.push_str(&format!("| {what} | {} of {} ({:.2} %) |\n", lines.changed.len(), lines.all, 100.0 * lines.share()));
    }
    text.push_str("\n| throughput, one core | MB/s |\n|---|---|\n");
    let logs = joined(&files(&[args.fixtures.join("logs")], &["log"]));
    let planted: String = tuned.iter().map(|sample| format!("{}\n", sample.text)).collect();
    for (what, text_of) in [("logs of Odoo", &logs), ("nothing but secrets", &planted)] {
        text.push_str(&format!("| {what} | {:.0} |\n", throughput(text_of)));
    }
    show::out(&text);
    args.write.as_ref().map(|file| page::write(file, MARK, &text)).transpose()?;
    Ok(Exit::Done)
}

fn samples(fixtures: &Path, name: &str) -> anyhow::Result<Vec<Sample>> {
    let file = fixtures.join("mask").join(format!("{name}.txt"));
    let templates = std::fs::read_to_string(&file).map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", file.display()))?;
    corpus::fill(&templates, TIMES, 7)
}

fn found(samples: &[Sample], sort: Sort) -> Found {
    let mut found = Found::default();
    for sample in samples {
        let masked = odoo::mask(&sample.text);
        for planted in sample.planted.iter().filter(|planted| planted.sort == sort) {
            found.planted += 1;
            if is_readable(planted, &masked) {
                found.missed.push(format!("missed in {}: {} in {masked}", sample.title, planted.value));
            }
        }
    }
    found
}

/// Whether the value, or more of it than a few signs, can still be read.
fn is_readable(planted: &Planted, masked: &str) -> bool {
    let signs: Vec<char> = planted.value.chars().collect();
    let most = signs.len().min(READABLE + 1);
    // The frame of a key in armour is known to everybody.
    let inside = |part: &str| !part.contains('-') || !planted.value.starts_with("-----");
    signs.windows(most).map(|part| part.iter().collect::<String>()).any(|part| inside(&part) && masked.contains(&part))
}

fn lines(roots: &[PathBuf], extensions: &[&str]) -> Lines {
    let mut lines = Lines::default();
    for text in files(roots, extensions) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            lines.all += 1;
            let masked = odoo::mask(line);
            if masked != line {
                lines.changed.push(format!("changed: {line}\n     to: {masked}"));
            }
        }
    }
    lines
}

fn files(roots: &[PathBuf], extensions: &[&str]) -> Vec<String> {
    let entries = roots.iter().flat_map(|root| walkdir::WalkDir::new(root).sort_by_file_name()).filter_map(Result::ok);
    let wanted = |path: &Path| path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted));
    entries
        .filter(|entry| entry.file_type().is_file() && wanted(entry.path()))
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .collect()
}

fn joined(texts: &[String]) -> String {
    texts.join("\n")
}

/// Megabytes a second, in texts of the length of an event.
fn throughput(text: &str) -> f64 {
    let pieces: Vec<&str> = pieces(text, 8 * 1024);
    let (mut bytes, started, before) = (0, Instant::now(), on_processor());
    while bytes < BYTES && !pieces.is_empty() {
        for piece in &pieces {
            bytes += piece.len();
            std::hint::black_box(odoo::mask(piece));
        }
    }
    let seconds = before.zip(on_processor()).map_or_else(|| started.elapsed().as_secs_f64(), |(before, after)| after - before);
    bytes as f64 / seconds / 1e6
}

fn pieces(mut text: &str, length: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (piece, rest) = text.split_at(text.ceil_char_boundary(length.min(text.len())));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
    }

    #[test]
    fn planted_secrets_and_personal_data_are_hidden() {
        for name in ["tuned", "held_out"] {
            let samples = samples(&fixtures(), name).unwrap();
            for (sort, least) in [(Sort::Secret, 0.99), (Sort::Personal, 0.95)] {
                let found = found(&samples, sort);
                let some: Vec<&String> = found.missed.iter().take(5).collect();
                assert!(found.planted > 200 && found.recall() >= least, "{name} {sort:?}: {} {some:#?}", found.recall());
            }
        }
    }

    #[test]
    fn masked_corpus_stays_as_it_is() {
        for name in ["tuned", "held_out"] {
            for sample in samples(&fixtures(), name).unwrap() {
                let once = odoo::mask(&sample.text).into_owned();
                assert_eq!(odoo::mask(&once), once);
            }
        }
    }

    #[test]
    fn code_and_logs_without_secrets_stay_as_they_are() {
        let fixtures = fixtures();
        let sources = ["addons", "rules", "traps", "upgrade"].map(|name| fixtures.join(name));
        for (roots, extensions, most) in [
            (vec![fixtures.join("mask/clean.txt")], &["txt"][..], 0.0),
            (vec![fixtures.join("logs")], &["log"][..], 0.01),
            (sources.to_vec(), &["py", "xml", "js", "csv", "sql"][..], 0.01),
        ] {
            let lines = lines(&roots, extensions);
            assert!(lines.all > 60 && lines.share() <= most, "{}: {:#?}", lines.share(), lines.changed);
        }
    }
}
