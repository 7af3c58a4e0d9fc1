//! Which entries belong to one error.

use super::super::classify::{of_warning, passes};
use super::super::log::Entry;
use super::super::pattern::Pattern;
use super::super::test_log::{Test, test_of};
use super::super::traceback::traceback;
use crate::domain::{ErrorClass, Raised};

static LOADING: Pattern = Pattern::new(r"^Loading module (\w+)");
static LOADED: Pattern = Pattern::new(r"^(?:Module \w+ loaded|\d+ modules loaded|Modules loaded)");
static DATA_FILE: Pattern = Pattern::new(r"^loading (\S+/\S+\.\w+)");
static COULD_NOT: Pattern = Pattern::new(r"Couldn't load module (\w+)");
static SUMMARY: Pattern = Pattern::new(
    r"\d+ failed, \d+ error\(s\) of \d+ tests|^Module \w+: \d+ failures, \d+ errors of \d+ tests|^At least one test failed when",
);
static TRIES_LEFT: Pattern = Pattern::new(r"\b(?:tries left|try again|retry)\b");
static POSTGRES: Pattern = Pattern::new(r"(?m)^ERROR: +([^\n]+)");

/// Reasons kept for one error; a log of nothing but `bad query` must stay linear.
const REASONS_MAX: usize = 40;

/// How much an error says about the run as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Load,
    Test,
    Traceback,
    Words,
    Warning,
    /// About an addon that may have nothing to do with the run.
    Aside,
}

/// One error as it stands in the log.
#[derive(Debug)]
pub(super) struct Occurrence<'e> {
    pub(super) severity: Severity,
    pub(super) entry: &'e Entry<'e>,
    pub(super) chain: Vec<Raised>,
    pub(super) reasons: Vec<&'e Entry<'e>>,
    pub(super) test: Option<Test>,
    /// The addon that was being loaded.
    pub(super) loading: Option<&'e str>,
    /// The data file that was being loaded.
    pub(super) data_file: Option<&'e str>,
}

impl Occurrence<'_> {
    /// The same for two occurrences of which nothing but the time, the process and the database differs.
    pub(super) fn key(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: &str| {
            hasher.update(&text.len().to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add(self.entry.level);
        add(self.entry.logger);
        add(&self.entry.message);
        add(self.loading.unwrap_or_default());
        add(self.data_file.unwrap_or_default());
        self.reasons.iter().for_each(|reason| add(&reason.message));
        hasher.update(&[self.severity as u8]);
        hasher.finalize()
    }
}

#[derive(Default)]
struct Grouper<'e> {
    found: Vec<Occurrence<'e>>,
    /// What names the reason of an error that is still to come.
    reasons: Vec<&'e Entry<'e>>,
    /// `Failed to load registry`, `Couldn't load module`: the traceback is still to come.
    failed_load: Option<&'e Entry<'e>>,
    loading: Option<&'e str>,
    data_file: Option<&'e str>,
}

/// The errors of a log, in the order of the log.
pub(super) fn occurrences<'e>(entries: &'e [Entry<'e>]) -> Vec<Occurrence<'e>> {
    let mut grouper = Grouper::default();
    for entry in entries {
        grouper.read(entry);
    }
    grouper.finish();
    grouper.found
}

fn is_reason(entry: &Entry<'_>) -> bool {
    let text = entry.message.as_ref();
    entry.logger.ends_with("tools.view_validation")
        || (entry.logger.ends_with("tools.convert") && (text.contains("RELAXNGV") || text.contains("does not fit the required schema")))
        || is_bad_query(entry)
}

fn is_bad_query(entry: &Entry<'_>) -> bool {
    entry.is_error() && entry.logger.ends_with("sql_db") && entry.message.starts_with("bad query:")
}

impl<'e> Grouper<'e> {
    fn read(&mut self, entry: &'e Entry<'e>) {
        let text = entry.message.as_ref();
        match entry.level {
            _ if is_reason(entry) => {
                if self.reasons.len() < REASONS_MAX {
                    self.reasons.push(entry);
                }
            }
            "WARNING" => self.warning(entry),
            "ERROR" | "CRITICAL" => self.error(entry),
            _ if TRIES_LEFT.is_match(text.lines().next().unwrap_or_default()) => {
                // What is tried again is no error, nor is the query that made it so.
                self.reasons.retain(|reason| !(is_bad_query(reason) && reason.pid == entry.pid));
            }
            _ => self.progress(entry),
        }
    }

    fn progress(&mut self, entry: &'e Entry<'e>) {
        // A message that was cleaned is owned by the entry, which lives as long.
        let text = entry.message.as_ref();
        if !entry.logger.ends_with("loading") {
            return;
        }
        if let Some(module) = LOADING.first(text) {
            (self.loading, self.data_file) = (Some(module), None);
        } else if let Some(file) = DATA_FILE.first(text) {
            self.data_file = Some(file);
        } else if LOADED.is_match(text) {
            (self.loading, self.data_file) = (None, None);
        }
    }

    fn warning(&mut self, entry: &'e Entry<'e>) {
        if let Some(found) = of_warning(entry, self.loading) {
            let severity = if found.class == ErrorClass::ManifestVersion { Severity::Aside } else { Severity::Warning };
            self.push(severity, entry, Vec::new(), Vec::new(), None);
        }
    }

    fn error(&mut self, entry: &'e Entry<'e>) {
        let text = entry.message.as_ref();
        if SUMMARY.is_match(text.lines().next().unwrap_or_default()) {
            return;
        }
        if let Some(module) = COULD_NOT.first(text) {
            self.loading = Some(module);
        }
        let chain = traceback(text);
        let test = test_of(entry);
        if test.is_some() {
            let reasons = self.matching_reasons(&chain);
            self.push(Severity::Test, entry, chain, reasons, test);
        } else if chain.is_empty() {
            self.words(entry);
        } else if self.is_load_failure(entry, &chain) {
            let reasons = std::mem::take(&mut self.reasons).into_iter().chain(self.failed_load.take()).collect();
            self.push(Severity::Load, entry, chain, reasons, None);
        } else {
            let reasons = self.matching_reasons(&chain);
            self.push(Severity::Traceback, entry, chain, reasons, None);
        }
    }

    fn is_load_failure(&self, entry: &Entry<'_>, chain: &[Raised]) -> bool {
        self.failed_load.is_some()
            || entry.message.starts_with("Failed to initialize database")
            || passes(chain, &["load_module_graph", "load_modules", "load_openerp_module", "preload_registries"])
    }

    fn words(&mut self, entry: &'e Entry<'e>) {
        let text = entry.message.as_ref();
        if text.starts_with("Failed to load registry") || text.starts_with("Failed to initialize database") || COULD_NOT.is_match(text) {
            // `Couldn't load module` says which, so it is the one that is kept.
            self.failed_load = Some(self.failed_load.filter(|kept| COULD_NOT.is_match(&kept.message)).unwrap_or(entry));
        } else {
            self.push(Severity::Words, entry, Vec::new(), Vec::new(), None);
        }
    }

    /// The queries that made one of these exceptions.
    fn matching_reasons(&mut self, chain: &[Raised]) -> Vec<&'e Entry<'e>> {
        let (matching, others) = std::mem::take(&mut self.reasons).into_iter().partition(|reason| {
            !is_bad_query(reason)
                || POSTGRES.first(&reason.message).is_some_and(|said| chain.iter().any(|raised| raised.message.contains(said)))
        });
        self.reasons = others;
        matching
    }

    fn push(&mut self, severity: Severity, entry: &'e Entry<'e>, chain: Vec<Raised>, reasons: Vec<&'e Entry<'e>>, test: Option<Test>) {
        let (loading, data_file) = (self.loading, self.data_file);
        self.found.push(Occurrence { severity, entry, chain, reasons, test, loading, data_file });
    }

    fn finish(&mut self) {
        if let Some(entry) = self.failed_load.take() {
            let reasons = std::mem::take(&mut self.reasons);
            self.push(Severity::Load, entry, Vec::new(), reasons, None);
        }
        // A query that nothing followed was caught somewhere: an error of its own.
        for entry in std::mem::take(&mut self.reasons).into_iter().filter(|entry| is_bad_query(entry)) {
            self.push(Severity::Words, entry, Vec::new(), Vec::new(), None);
        }
    }
}
