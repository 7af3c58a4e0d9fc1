//! Splitting the text of a log into its entries.

use std::borrow::Cow;
use std::sync::LazyLock;

use chrono::{DateTime, NaiveDateTime, Utc};
use regex::Regex;

use super::cut;
use super::pattern::Pattern;

/// Bytes kept of one entry: both ends.
const ENTRY_HEAD: usize = 32 * 1024;
const ENTRY_TAIL: usize = 32 * 1024;

/// A head is looked for in the start of a line only, so that a huge line costs nothing.
const HEAD_MAX: usize = 600;

/// One entry of a log: from one timestamped head to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When, as the log says it (Odoo logs UTC).
    pub at: Option<DateTime<Utc>>,
    /// Process.
    pub pid: Option<u32>,
    /// `INFO`, `WARNING`, `ERROR`, `CRITICAL` …
    pub level: &'a str,
    /// Database, `None` for `?`.
    pub database: Option<&'a str>,
    /// Python logger; empty for a bare traceback.
    pub logger: &'a str,
    /// What was logged, every line of it, colours and the prefixes of log shippers removed, at most 64 KiB.
    pub message: Cow<'a, str>,
}

impl Entry<'_> {
    /// Whether the level is `ERROR` or `CRITICAL`.
    pub fn is_error(&self) -> bool {
        matches!(self.level, "ERROR" | "CRITICAL")
    }
}

// Prefixes: docker compose (`web-1  | `), Kubernetes and `docker logs -t` (a time stamp), journald and syslog.
// ASCII classes only: bounded repetitions of Unicode classes grow past the size that a regular expression may have.
const PREFIX: &str = concat!(
    r"(?:[A-Za-z0-9_.-]{1,80}[ \t]{1,40}\|[ ]|",
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}(?:Z|[+-][0-9]{2}:?[0-9]{2})[ ](?:(?:stdout|stderr)[ ][FP][ ])?|",
    r"(?:<[0-9]{1,3}>)?[A-Z][a-z]{2}[ ]{1,2}[0-9]{1,2}[ ][0-9:]{8}[ ][A-Za-z0-9_.-]{1,80}[ ][A-Za-z0-9_.@/-]{1,80}(?:\[[0-9]{1,9}\])?:[ ])"
);
const COLOUR: &str = r"(?:\x1b\[[0-9;]*m)*";
const HEAD: &str = concat!(
    r"C(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:,[0-9]{1,6})?) (?P<pid>[0-9]{1,9}) ",
    r"C(?P<level>DEBUG|RUNBOT|TEST|INFO|WARNING|WARN|ERROR|CRITICAL)C C(?P<db>[!-~]{1,128}?)C C(?P<logger>[A-Za-z0-9_.$-]{1,200})C: ?"
);

static LINE_HEAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let head = HEAD.replace("C(", &format!("{COLOUR}(")).replace(")C", &format!("){COLOUR}"));
    Regex::new(&format!("^(?P<prefix>{PREFIX})?{head}")).ok()
});
static LINE_PREFIX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!("^{PREFIX}")).ok());
static COLOURS: Pattern = Pattern::new(r"\x1b\[[0-9;]*m");

struct Head<'a> {
    at: &'a str,
    pid: &'a str,
    level: &'a str,
    database: &'a str,
    logger: &'a str,
    prefixed: bool,
    len: usize,
}

fn head(line: &str) -> Option<Head<'_>> {
    // Every head holds a colon-separated time; most lines of a traceback fail here without the regular expression.
    let start = cut::head(line, HEAD_MAX);
    if !start.contains(':') {
        return None;
    }
    let found = LINE_HEAD.as_ref()?.captures(start)?;
    let part = |name| found.name(name).map_or("", |part| part.as_str());
    Some(Head {
        at: part("at"),
        pid: part("pid"),
        level: part("level"),
        database: part("db"),
        logger: part("logger"),
        prefixed: found.name("prefix").is_some(),
        len: found.get(0).map_or(0, |all| all.end()),
    })
}

/// The entries of a log, in order. Text before the first head, or without any, is one entry of level `ERROR` if it holds a traceback.
pub fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(Head<'_>, usize)> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if let Some(next) = head(line) {
            match open.take() {
                Some((head, start)) => found.push(entry(&head, &text[start..offset])),
                None => found.extend(bare(&text[..offset])),
            }
            let start = offset + next.len;
            open = Some((next, start));
        }
        offset += line.len();
    }
    match open {
        Some((head, start)) => found.push(entry(&head, &text[start..])),
        None => found.extend(bare(text)),
    }
    found
}

fn entry<'a>(head: &Head<'a>, body: &'a str) -> Entry<'a> {
    let at = head.at.replace(',', ".");
    Entry {
        at: NaiveDateTime::parse_from_str(&at, "%Y-%m-%d %H:%M:%S%.f").ok().map(|at| at.and_utc()),
        pid: head.pid.parse().ok(),
        level: if head.level == "WARN" { "WARNING" } else { head.level },
        database: (head.database != "?").then_some(head.database),
        logger: head.logger,
        message: clean(body, head.prefixed),
    }
}

/// A text without a head: only worth an entry if it is a traceback.
fn bare(text: &str) -> Option<Entry<'_>> {
    let is_traceback = text.contains("Traceback (most recent call last):") || text.contains("  File \"");
    if !is_traceback {
        return None;
    }
    let prefixed = LINE_PREFIX.as_ref().is_some_and(|prefix| {
        text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| prefix.is_match(cut::head(line, HEAD_MAX)))
    });
    Some(Entry { at: None, pid: None, level: "ERROR", database: None, logger: "", message: clean(text, prefixed) })
}

fn clean(body: &str, prefixed: bool) -> Cow<'_, str> {
    let body = cut::middle(body.trim_end(), ENTRY_HEAD, ENTRY_TAIL);
    if !prefixed && !body.contains(['\x1b', '\r']) {
        return body;
    }
    let mut lines = Vec::new();
    for line in body.lines() {
        let line = match LINE_PREFIX.as_ref().filter(|_| prefixed).and_then(|prefix| prefix.find(cut::head(line, HEAD_MAX))) {
            Some(prefix) => &line[prefix.end()..],
            None => line,
        };
        lines.push(COLOURS.replace_all(line, ""));
    }
    Cow::Owned(lines.join("\n").replace('\r', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "2026-11-22 18:58:03,295 56 ERROR shop odoo.registry: Failed to load registry \n";

    #[test]
    fn head_is_read() {
        let all = entries(HEAD);
        let [one] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((one.pid, one.level, one.database, one.logger), (Some(56), "ERROR", Some("shop"), "odoo.registry"));
        assert_eq!(one.message, "Failed to load registry");
        assert_eq!(one.at.unwrap().to_rfc3339(), "2026-11-22T18:58:03.295+00:00");
    }

    #[test]
    fn entry_runs_to_the_next_head() {
        let text = format!("{HEAD}Traceback (most recent call last):\nKeyError: 'x'\n{HEAD}");
        let all = entries(&text);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].message, "Failed to load registry \nTraceback (most recent call last):\nKeyError: 'x'");
    }

    #[test]
    fn shippers_prefixes_go_away() {
        for prefix in
            ["web-1  | ", "2026-11-22T18:58:03.123Z ", "2026-11-22T18:58:03.1234567Z stdout F ", "Nov 22 18:58:03 host odoo[56]: "]
        {
            let text = format!("{prefix}{HEAD}{prefix}Traceback (most recent call last):\r\n{prefix}KeyError: 'x'\r\n");
            let all = entries(&text);
            assert_eq!(all.len(), 1, "{prefix}");
            assert_eq!(all[0].message, "Failed to load registry \nTraceback (most recent call last):\nKeyError: 'x'", "{prefix}");
        }
    }

    #[test]
    fn colours_go_away() {
        let text = "2026-11-22 18:58:03,295 56 \x1b[1;31m\x1b[1;49mERROR\x1b[0m ? odoo.http: \x1b[1mboom\x1b[0m\n";
        let all = entries(text);
        assert_eq!((all[0].level, all[0].database, all[0].message.as_ref()), ("ERROR", None, "boom"));
    }

    #[test]
    fn bare_traceback_is_one_error() {
        let all = entries("Traceback (most recent call last):\n  File \"x.py\", line 1, in f\nKeyError: 'x'");
        assert_eq!((all.len(), all[0].level), (1, "ERROR"));
        assert!(entries("hello").is_empty());
    }

    #[test]
    fn quoted_head_is_no_head() {
        let text = format!("{HEAD}he said: {HEAD}");
        assert_eq!(entries(&text).len(), 1);
    }

    #[test]
    fn huge_entry_is_cut_at_both_ends() {
        let text = format!("{HEAD}{}\nKeyError: 'x'", "y".repeat(3_000_000));
        let all = entries(&text);
        assert!(all[0].message.len() < 70_000);
        assert!(all[0].message.ends_with("KeyError: 'x'"));
    }
}
