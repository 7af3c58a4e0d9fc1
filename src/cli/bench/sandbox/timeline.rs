//! Where the seconds of a run went, read from the clocks in its log.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;

/// How far the clocks of the log and our own may be apart.
const SLACK: f64 = 0.05;
/// What Odoo says when everything is loaded, and instead of it when a test has failed by then.
const LOADED: [&str; 2] = ["Modules loaded.", "At least one test failed when loading the modules."];

/// Seconds by part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Parts {
    /// The container, and PostgreSQL answering in it.
    pub engine: f64,
    /// The database: cluster made, created, cloned.
    pub database: f64,
    /// Odoo started, and what was installed before loaded.
    pub registry: f64,
    /// Installing: dependencies and addon.
    pub install: f64,
    /// The tests, as Odoo times them.
    pub tests: f64,
    /// The end of the process, and reading what it left.
    pub rest: f64,
}

impl Parts {
    pub fn sum(&self) -> f64 {
        self.all().iter().sum()
    }

    pub fn all(&self) -> [f64; 6] {
        [self.engine, self.database, self.registry, self.install, self.tests, self.rest]
    }

    /// Fails unless these are the parts of `whole`: none negative, nothing left over.
    pub fn check(&self, whole: f64) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.all().iter().all(|part| *part > -SLACK) && (self.sum() - whole).abs() < SLACK,
            "the parts {self:.2?} are not those of {whole:.2} s: does the engine run on another machine, with another clock?"
        );
        Ok(())
    }
}

/// What the log of one process of Odoo says. Engine and database are not its to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    pub parts: Parts,
    /// What it installed.
    pub installed: Vec<String>,
}

/// Reads the log of a process that was started at `start` and ended at `end`, in seconds since 1970.
pub fn process(log: &str, start: f64, end: f64) -> anyhow::Result<Process> {
    let (mut first, mut loaded, mut afterwards, mut tests) = (None, None, 0.0, 0.0);
    let mut installed = Vec::new();
    for Line { at, logger, message } in log.lines().filter_map(line) {
        match logger {
            "odoo.modules.loading" => {
                // Said of what is installed only; loading what is there already is silent.
                if let Some((module, _)) = message.strip_prefix("Loading module ").and_then(|rest| rest.split_once(" (")) {
                    first = first.or(Some(at));
                    installed.push(module.to_owned());
                } else if LOADED.contains(&message) {
                    loaded = loaded.or(Some(at));
                }
            }
            "odoo.service.server" => afterwards += seconds_after(message, " post-tests in "),
            "odoo.tests.stats" => tests += seconds_after(message, " tests "),
            _ => {}
        }
    }
    let Some(loaded) = loaded else { anyhow::bail!("Odoo did not come as far as \"Modules loaded.\"") };
    // Some tests run between the installation of two modules, the others when all are loaded.
    let between = f64::max(tests - afterwards, 0.0);
    let registry_until = first.unwrap_or(loaded - between);
    let parts = Parts {
        registry: registry_until - start,
        install: if first.is_some() { loaded - registry_until - between } else { 0.0 },
        tests: between + afterwards,
        rest: end - loaded - afterwards,
        ..Parts::default()
    };
    Ok(Process { parts, installed })
}

/// The times `@@ NAME SECONDS` that our scripts print.
pub fn marks(text: &str) -> BTreeMap<&str, f64> {
    let mark = |line| str::strip_prefix(line, "@@ ")?.split_once(' ');
    let timed = |(name, seconds): (_, &str)| Some((name, seconds.trim().parse::<f64>().ok().filter(|seconds| seconds.is_finite())?));
    text.lines().filter_map(mark).filter_map(timed).collect()
}

struct Line<'a> {
    at: f64,
    logger: &'a str,
    message: &'a str,
}

/// `2026-11-22 23:43:58,643 51 INFO database logger: message`
fn line(text: &str) -> Option<Line<'_>> {
    let (at, rest) = text.split_at_checked("2026-11-22 23:43:58,643".len())?;
    let at = NaiveDateTime::parse_from_str(at, "%Y-%m-%d %H:%M:%S,%3f").ok()?.and_utc();
    let mut words = rest.trim_start().splitn(4, ' ').skip(3);
    let (logger, message) = words.next()?.split_once(": ")?;
    Some(Line { at: at.timestamp_millis() as f64 / 1000.0, logger, message: message.trim_end() })
}

/// The `1.72` of `…66 tests 1.72s 1928 queries`; 0 if it is not there.
fn seconds_after(message: &str, word: &str) -> f64 {
    let after = message.split_once(word).and_then(|(_, rest)| rest.split_once('s'));
    after.and_then(|(seconds, _)| seconds.parse::<f64>().ok()).filter(|seconds| seconds.is_finite() && *seconds >= 0.0).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-11-23 00:17:43,090 38 INFO ? odoo: Odoo version 19.0 \n\
2026-11-23 00:17:45,656 38 INFO naive odoo.modules.loading: Loading module base (1/1) \n\
2026-11-23 00:17:52,531 38 INFO naive odoo.modules.loading: Loading module m (14/15) \n\
2026-11-23 00:17:57,206 38 INFO naive odoo.modules.loading: Module m loaded in 1.89s (incl. 1.73s test), 180 queries \n\
2026-11-23 00:17:57,510 38 INFO naive odoo.modules.loading: Modules loaded. \n\
2026-11-23 00:18:00,526 38 INFO naive odoo.service.server: 2 post-tests in 3.00s, 0 queries \n\
2026-11-23 00:18:00,526 38 INFO naive odoo.tests.stats: m: 66 tests 5.00s 1928 queries \n";
    /// 2026-11-23 00:17:42
    const START: f64 = 1_795_393_062.0;

    fn near(parts: Parts, expected: [f64; 4]) {
        let found = [parts.registry, parts.install, parts.tests, parts.rest];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.002), "{found:?}");
    }

    #[test]
    fn parts_are_the_whole() {
        let read = process(LOG, START, START + 19.0).unwrap();
        near(read.parts, [3.656, 9.854, 5.0, 0.49]);
        assert_eq!(read.installed, ["base", "m"]);
        read.parts.check(19.0).unwrap();
        assert!(read.parts.check(20.0).is_err(), "a second is missing");
        let failing = LOG.replace("Modules loaded.", "At least one test failed when loading the modules.");
        assert_eq!(process(&failing, START, START + 19.0).unwrap(), read);
    }

    #[test]
    fn ready_registry_installs_nothing() {
        let log: String = LOG.lines().filter(|line| !line.contains("Loading module")).map(|line| format!("{line}\n")).collect();
        let read = process(&log, START, START + 19.0).unwrap();
        near(read.parts, [13.51, 0.0, 5.0, 0.49]);
        assert!(read.installed.is_empty());
    }

    #[test]
    fn clock_that_runs_elsewhere_is_no_measurement() {
        let read = process(LOG, START + 3600.0, START + 3619.0).unwrap();
        assert!(read.parts.check(19.0).is_err());
    }

    #[test]
    fn garbage_has_no_time() {
        for text in ["", "\u{fffd}", "2026-11-23 00:17:57,510", "2026-99-23 00:17:57,510 38 INFO d odoo.modules.loading: Modules loaded."] {
            assert!(process(text, 0.0, 1.0).is_err(), "{text}");
        }
        for text in ["é26-11-23 00:17:57,510 1 I d l: m", "2026-11-23 00:17:57,510 1 INFO", "2026-11-23 00:17:57,51x 1 INFO d l: m"] {
            assert!(line(text).is_none(), "{text}");
        }
        for text in ["m: 66 tests NaNs 3 queries", "m: 66 tests infs", "m: 66 tests -1.0s", "m: 66 tests ", "tests"] {
            assert!(seconds_after(text, " tests ").abs() < f64::EPSILON, "{text}");
        }
    }

    #[test]
    fn marks_are_read_and_garbage_is_not() {
        let found = marks("log\n@@ start 1.5\n@@ end x\n@@ nan NaN\n@@\n @@ late 2\n@@ code 0\n");
        assert_eq!(found, BTreeMap::from([("start", 1.5), ("code", 0.0)]));
    }
}
