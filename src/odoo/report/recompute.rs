//! The fingerprint of a report that came from outside, out of what the report says: what it claims to be named is nobody's proof.

use super::super::cut;
use super::super::fingerprint::Print;
use super::reports;
use crate::domain::{ErrorReport, Fingerprint, ModuleName, Raised};

/// The most bytes of the text that are read; triage keeps fewer.
const MAX_TEXT: usize = 64 * 1024;
/// The entry of a log that says which addon is loaded next.
const LOADING: &str = "2000-01-01 00:00:00,000 1 INFO ? odoo.modules.loading: Loading module ";

/// Returns the fingerprint that triage gives to the text of a report, where the text shows the error that the report is about. For any other
/// report it is a hash of what the report says, which no error that triage reads ever has.
pub fn recompute_fingerprint(report: &ErrorReport) -> Fingerprint {
    let text = cut::head(&report.text, MAX_TEXT);
    // Which addon was being loaded stands in the log before the text, and not always in the text.
    let loading = report.module.as_ref().map(|module| format!("{LOADING}{module}\n{text}"));
    let read = reports(text).into_iter().chain(loading.iter().flat_map(|text| reports(text)));
    let is_same = |read: &ErrorReport| read.class == report.class && read.object == report.object && read.module == report.module;
    let same: Vec<_> = read.filter(is_same).map(|read| read.fingerprint).collect();
    let named = same.iter().find(|fingerprint| **fingerprint == report.fingerprint).or(same.first());
    named.cloned().unwrap_or_else(|| of_fields(report))
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

    /// Those of all reports of the probes whose fingerprint is another one when they claim this one.
    fn renamed(claim: impl Fn(&ErrorReport) -> Fingerprint) -> (usize, Vec<String>) {
        let mut all = 0;
        let mut renamed = Vec::new();
        for (name, log) in logs() {
            for report in reports(&log) {
                all += 1;
                let claimed = ErrorReport { fingerprint: claim(&report), ..report.clone() };
                if recompute_fingerprint(&claimed) != report.fingerprint {
                    renamed.push(format!("{name}: {} {}", report.class.as_str(), report.title));
                }
            }
        }
        (all, renamed)
    }

    #[test]
    fn report_of_triage_keeps_its_fingerprint_whatever_it_claims() {
        let (all, kept) = renamed(|report| report.fingerprint.clone());
        // What is lost is never taken for another error; it is only not recognised.
        assert!(kept.len() * 50 <= all, "{} of {all}: {kept:#?}", kept.len());
        let (_, claimed) = renamed(|_| "0".repeat(32).parse().unwrap());
        assert_eq!(claimed, kept);
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
