//! The report of an indexing for a person.

use crate::cli::show;
use crate::knowledge::index::Report;

/// Prints what was done, and what was left out and why.
pub(super) fn print(report: &Report) {
    let (files, seconds) = (&report.files, &report.seconds);
    show::out(&format!("source      {} ({}, {})", report.source, report.doc_type, report.version));
    show::out(&format!(
        "files       {} seen: {} unchanged, {} new, {} changed; {} gone; {} skipped",
        files.seen, files.unchanged, files.new, files.changed, files.gone, files.skipped
    ));
    show::out(&format!("texts       {} written, {} removed; {} symbols", report.chunks, report.removed, report.symbols));
    if let Some(embedder) = &report.embedder {
        show::out(&format!("vectors     {} embedded by {embedder}, {} reused", report.embedded, report.reused));
    }
    show::out(&format!(
        "seconds     {:.1} in all; walk {:.1}, read and cut {:.1} (all threads), write {:.1}, embed {:.1}",
        seconds.total, seconds.walk, seconds.cut, seconds.write, seconds.embed
    ));
    for (what, skips) in [("skipped", &report.skipped), ("trouble", &report.trouble)] {
        for (reason, skipped) in skips.iter() {
            let first: Vec<&str> = skipped.first.iter().map(String::as_str).collect();
            show::out(&show::clean(&format!("{what:<11} {} {reason}: {}", skipped.count, first.join(", "))));
        }
    }
}
