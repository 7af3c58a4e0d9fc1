//! What a run of Odoo's tests printed, counted.

use std::collections::{BTreeMap, BTreeSet};

use super::json::decoded;
use super::log::{Entry, entries};
use super::pattern::Pattern;

static SUMMARY: Pattern = Pattern::new(r"(\d{1,7}) failed, (\d{1,7}) error\(s\) of (\d{1,7}) tests");
static POST_TESTS: Pattern = Pattern::new(r"^(\d{1,7}) post-tests in ");
static PER_MODULE: Pattern = Pattern::new(r"^Module (\w+): \d+ failures, \d+ errors of (\d{1,7}) tests");
static STATS: Pattern = Pattern::new(r"^(\w+): (\d{1,7}) tests\b");
static STARTED: Pattern = Pattern::new(r"^Starting (\w+\.\w+) ?\.\.\.");
static LOGGER: Pattern = Pattern::new(r"^(?:odoo|openerp)\.addons\.(\w+)");
static BLOCK: Pattern = Pattern::new(r"^(FAIL|ERROR): (?:[Ss]ub[Tt]est )?(\w+\.\w+)");
static FIXTURE: Pattern = Pattern::new(r"^(FAIL|ERROR): (setUpClass|tearDownClass|setUpModule|tearDownModule) \(([\w.]+)\)");

/// What a run of tests says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestLog {
    /// Tests that ran.
    pub ran: u32,
    /// Failures, as the summary counts them.
    pub failures: u32,
    /// Errors, as the summary counts them.
    pub errors: u32,
    /// `module: Class.method` of every test that failed or erred. A broken fixture is `module: Class.setUpClass`.
    pub failed: BTreeSet<String>,
    /// `module: Class.method` of every test that was started.
    pub started: BTreeSet<String>,
    /// Tests by module, as `odoo.tests.stats` counts them (it counts more than `ran`).
    pub by_module: BTreeMap<String, u32>,
    /// Whether Odoo got as far as its summary. Without it the other numbers are a lower bound.
    pub summary_seen: bool,
}

impl TestLog {
    /// Reads a log.
    pub fn read(text: &str) -> Self {
        let mut log = Self::default();
        let (mut while_loading, mut afterwards) = (BTreeMap::new(), 0);
        for entry in entries(&decoded(text)) {
            let line = entry.message.lines().next().unwrap_or("").trim_end();
            if let Some(test) = test_of(&entry) {
                log.failed.insert(format!("{}: {}", test.module, test.name));
            } else if let Some([failures, errors, ran]) = SUMMARY.groups(line) {
                // The last summary counts all that ran before it.
                (log.failures, log.errors, log.ran, log.summary_seen) = (number(failures), number(errors), number(ran), true);
            } else if let Some(name) = STARTED.first(line) {
                log.started.insert(format!("{}: {name}", LOGGER.first(entry.logger).unwrap_or_default()));
            } else if let Some(count) = POST_TESTS.first(line) {
                afterwards += number(count);
            } else if let Some([module, count]) = PER_MODULE.groups(line) {
                while_loading.insert(module.to_owned(), number(count));
            } else if let Some([module, count]) = STATS.groups(line).filter(|_| entry.logger.ends_with("tests.stats")) {
                log.by_module.insert(module.to_owned(), number(count));
            }
        }
        if !log.summary_seen {
            let counted = while_loading.values().sum::<u32>().saturating_add(afterwards);
            log.ran = counted.max(u32::try_from(log.started.len()).unwrap_or(u32::MAX));
        }
        log
    }
}

fn number(digits: &str) -> u32 {
    digits.parse().unwrap_or(0)
}

/// The failing test that an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) module: String,
    pub(super) name: String,
    /// `FAIL`: an assertion; otherwise another exception.
    pub(super) is_failure: bool,
}

/// Reads the head of a `FAIL:` or `ERROR:` block.
pub(super) fn test_of(entry: &Entry<'_>) -> Option<Test> {
    if !entry.is_error() {
        return None;
    }
    let line = entry.message.lines().next()?;
    let logger = LOGGER.first(entry.logger);
    if let Some([kind, fixture, path]) = FIXTURE.groups(line) {
        let class = path.rsplit('.').next().unwrap_or_default();
        let module = logger.or_else(|| LOGGER.first(path)).unwrap_or_default();
        return Some(Test { module: module.to_owned(), name: format!("{class}.{fixture}"), is_failure: kind == "FAIL" });
    }
    let [kind, name] = BLOCK.groups(line)?;
    Some(Test { module: logger.unwrap_or_default().to_owned(), name: name.to_owned(), is_failure: kind == "FAIL" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn failing_run_is_counted() {
        let log = TestLog::read(include_str!("../../tests/fixtures/logs/p_test.log"));
        assert_eq!((log.ran, log.failures, log.errors, log.summary_seen), (2, 1, 1, true));
        assert_eq!(log.failed, set(&["p_test: TestA.test_err", "p_test: TestA.test_fail"]));
        assert_eq!(log.started, log.failed);
        assert_eq!(log.by_module["p_test"], 4);
        let updated = TestLog::read(include_str!("../../tests/fixtures/logs/installed_update_runs_tests.log"));
        assert_eq!((updated.ran, updated.failed), (2, log.failed));
    }

    #[test]
    fn no_test_is_not_success() {
        for text in [
            include_str!("../../tests/fixtures/logs/installed_install_runs_no_test.log"),
            include_str!("../../tests/fixtures/logs/no_test_matched.log"),
        ] {
            let log = TestLog::read(text);
            assert_eq!((log.ran, log.summary_seen, log.failed.len()), (0, true, 0));
        }
    }

    #[test]
    fn fixtures_and_subtests_are_named() {
        let head = "2026-11-22 19:09:59,827 632 ERROR t odoo.addons.p.tests.test_a: ";
        let text = format!(
            "{head}ERROR: setUpClass (odoo.addons.p.tests.test_a.TestA)\nTraceback\n{head}FAIL: Subtest TestB.test_x (login='a')\n"
        );
        assert_eq!(TestLog::read(&text).failed, set(&["p: TestA.setUpClass", "p: TestB.test_x"]));
    }

    #[test]
    fn aborted_run_counts_what_started() {
        let text = "2026-11-22 19:09:59,827 632 INFO t odoo.addons.p.tests.test_a: Starting TestA.test_err ... \n";
        let log = TestLog::read(text);
        assert_eq!((log.ran, log.summary_seen), (1, false));
    }
}
