//! Splitting the text of a log into its entries.

mod bare;

use std::borrow::Cow;
use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, Utc};
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
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}(?:Z|[+-][0-9]{2}:?[0-9]{2})[ ](?:(?:stdout|stderr)[ ][FP][ ]|[A-Za-z0-9_.-]{1,80}[ ][A-Za-z0-9_.@/-]{1,80}\[[0-9]{1,9}\]:[ ])?|",
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

/// Where a time such as `2026-11-22 18:58:03` starts. Every head holds one; the lines of a traceback fail here, which is what makes
/// reading fast.
fn time(line: &str) -> Option<usize> {
    const SHAPE: &[u8] = b"dddd-dd-dd dd:dd:dd";
    let bytes = line.as_bytes();
    let fits = |start: usize| {
        bytes.get(start..start + SHAPE.len()).is_some_and(|found| {
            found.iter().zip(SHAPE).all(|(byte, shape)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape })
        })
    };
    let mut from = 0;
    while let Some(colon) = line.get(from..)?.find(':').map(|at| from + at) {
        if let Some(start) = colon.checked_sub(13).filter(|start| fits(*start)) {
            return Some(start);
        }
        from = colon + 1;
    }
    None
}

fn head(line: &str) -> Option<Head<'_>> {
    let start = cut::head(line, HEAD_MAX);
    if time(start)? == 0
        && let Some(plain) = plain_head(start)
    {
        return Some(plain);
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

/// A head without a prefix and without colours, as most are: the same as the regular expression reads, in a tenth of the time.
fn plain_head(line: &str) -> Option<Head<'_>> {
    let mut words = line.splitn(6, ' ');
    let (day, hour, pid, level, database) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let fraction = hour.get(8..)?;
    let is_fraction = fraction.is_empty() || (fraction.starts_with(',') && (2..=7).contains(&fraction.len()) && is_digits(&fraction[1..]));
    let is_level = matches!(level, "DEBUG" | "RUNBOT" | "TEST" | "INFO" | "WARNING" | "WARN" | "ERROR" | "CRITICAL");
    let is_database = (1..=128).contains(&database.len()) && database.bytes().all(|byte| byte.is_ascii_graphic());
    if !(is_fraction && is_level && is_database && (1..=9).contains(&pid.len()) && is_digits(pid)) {
        return None;
    }
    let rest = words.next()?;
    let logger = &rest[..rest.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b'-')))?];
    let after = rest[logger.len()..].strip_prefix(':').filter(|_| (1..=200).contains(&logger.len()))?;
    let after = after.strip_prefix(' ').unwrap_or(after);
    let at = &line[..day.len() + 1 + hour.len()];
    Some(Head { at, pid, level, database, logger, prefixed: false, len: line.len() - after.len() })
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands after a log shipper's prefix, or `None` where there is none.
pub(super) fn without_prefix(line: &str) -> Option<&str> {
    let found = LINE_PREFIX.as_ref()?.find(cut::head(line, HEAD_MAX))?;
    Some(&line[found.end()..])
}

/// The entries of a log, in order. Text before the first head, or without any, is of level `ERROR` where it holds a traceback or starts
/// with an exception.
pub fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(Head<'_>, usize)> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if let Some(next) = head(line) {
            match open.take() {
                Some((head, start)) => found.push(entry(&head, &text[start..offset])),
                None => found.extend(bare::entries(&text[..offset])),
            }
            let start = offset + next.len;
            open = Some((next, start));
        }
        offset += line.len();
    }
    match open {
        Some((head, start)) => found.push(entry(&head, &text[start..])),
        None => found.extend(bare::entries(text)),
    }
    found
}

fn entry<'a>(head: &Head<'a>, body: &'a str) -> Entry<'a> {
    Entry {
        // The start of 1970 stands for no time.
        at: instant(head.at).filter(|at| at.timestamp() != 0),
        pid: head.pid.parse().ok(),
        level: if head.level == "WARN" { "WARNING" } else { head.level },
        database: (head.database != "?").then_some(head.database),
        logger: head.logger,
        message: clean(body, head.prefixed),
    }
}

/// `2026-11-22 18:58:03,295`; the fraction may be missing.
fn instant(at: &str) -> Option<DateTime<Utc>> {
    let number = |from: usize, to: usize| at.get(from..to)?.parse::<u32>().ok();
    let day = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)?;
    let fraction = at.get(20..).unwrap_or_default();
    let micros = format!("{fraction:0<6}").parse().ok()?;
    Some(day.and_hms_micro_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, micros)?.and_utc())
}

fn clean(body: &str, prefixed: bool) -> Cow<'_, str> {
    let body = cut::middle(body.trim_end(), ENTRY_HEAD, ENTRY_TAIL);
    if !prefixed && !body.contains('\x1b') && !body.contains('\r') {
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
