//! The fingerprint of a report that came from outside, out of what the report says: what it claims to be named is nobody's proof.

use super::super::cut;
use super::super::fingerprint::Print;
use super::reports;
use crate::domain::{ErrorReport, Fingerprint, ModuleName, Raised};

/// The most bytes of the text that are read; triage keeps fewer.
const MAX_TEXT: usize = 64 * 1024;

/// Returns the fingerprint that triage gives to the text of a report, where the text shows the error that the report is about. For any other
/// report it is a hash of what the report says, which no error that triage reads ever has.
pub fn recompute_fingerprint(report: &ErrorReport) -> Fingerprint {
    let is_same = |read: &&ErrorReport| read.class == report.class && read.object == report.object && read.module == report.module;
    let read = reports(cut::head(&report.text, MAX_TEXT));
    let same: Vec<_> = read.iter().filter(is_same).collect();
    let named = same.iter().find(|read| read.fingerprint == report.fingerprint).or(same.first());
    named.map_or_else(|| of_fields(report), |read| read.fingerprint.clone())
}

fn of_fields(report: &ErrorReport) -> Fingerprint {
    let mut print = Print::default();
    print.add("made", "by hand");
    print.add("class", report.class.as_str());
    print.add("module", report.module.as_ref().map_or("", ModuleName::as_str));
    // An object of names is always JSON.
    print.add("object", &serde_json::to_string(&report.object).unwrap_or_default());
    for Raised { exception, message, frames } in &report.chain {
        print.add("exception", exception);
        print.add("message", message);
        for frame in frames {
            print.add("file", &frame.file);
            print.add("function", &frame.function);
        }
    }
    print.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The logs of the probes, each as a server printed it.
    fn logs() -> impl Iterator<Item = (String, String)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/logs");
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|ext| ext == "log")).map(|path| {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            (path.file_name().unwrap().to_string_lossy().into_owned(), text)
        })
    }

    #[test]
    fn report_of_triage_keeps_its_fingerprint() {
        for (name, log) in logs() {
            for report in reports(&log) {
                assert_eq!(recompute_fingerprint(&report), report.fingerprint, "{name}: {}", report.title);
            }
        }
    }

    #[test]
    fn claimed_fingerprint_counts_for_nothing() {
        for (name, log) in logs() {
            for report in reports(&log) {
                let claimed = ErrorReport { fingerprint: "0".repeat(32).parse().unwrap(), ..report.clone() };
                assert_eq!(recompute_fingerprint(&claimed), report.fingerprint, "{name}: {}", report.title);
            }
        }
    }

    #[test]
    fn text_of_another_error_lends_no_name() {
        let all: Vec<_> = logs().flat_map(|(_, log)| reports(&log)).collect();
        let (one, other) = (&all[0], all.iter().find(|other| other.class != all[0].class).unwrap());
        let borrowed = ErrorReport { text: other.text.clone(), fingerprint: other.fingerprint.clone(), ..one.clone() };
        let given = recompute_fingerprint(&borrowed);
        assert!(all.iter().all(|report| report.fingerprint != given));
        let again = ErrorReport { fingerprint: given.clone(), ..borrowed };
        assert_eq!(recompute_fingerprint(&again), given, "a second time nothing changes");
    }

    #[test]
    fn report_without_a_text_has_a_name_of_its_own() {
        let report = reports(&logs().next().unwrap().1).remove(0);
        let bare = ErrorReport { text: String::new(), ..report.clone() };
        assert_ne!(recompute_fingerprint(&bare), report.fingerprint);
    }
}
