//! What no patch may add to code or take out of it: wider rights, other programs, code that knows it is being tested.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::python::Python;
use super::{hunks, pattern, place};
use crate::domain::FileChange;

/// Where a pattern counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    /// Python, XML and SQL.
    Code,
    /// Python alone; of XML, the records are looked at as records, in `rights`.
    Python,
    /// Python that is no test.
    Program,
}

/// What must not become more, and what it is called.
static NEVER_MORE: LazyLock<Vec<(Regex, In, &str)>> = LazyLock::new(|| {
    [
        // Any value of `su` but a plain `False`; reading `env.su` is none.
        (
            r#"\bsudo\b|(?:\bsu['"]?\]?\s*=|(?:^|[^.\w])su['"]?\s*:=?)\s*(?:[^\sF=]|F(?:[^a]|a[^l]|al[^s]|als[^e]|alse\s*[^\s,)}]))"#,
            In::Code,
            "adds sudo",
        ),
        (
            r"\bSUPERUSER_ID\b|\bwith_user\s*\(\s*(?:user\s*=\s*)?\d|\buser_(?:root|admin)\b|\benv\s*\([^()]*\buser\s*=\s*\d|\bEnvironment\s*\([^(),]*,\s*\d",
            In::Code,
            "acts as the superuser",
        ),
        (r"\bsubprocess\b|\bos\s*\.\s*(?:system|popen|exec|spawn|fork|_exit|kill|abort)|\bpty\b", In::Code, "runs another program"),
        (r"\bsys\s*\.\s*exit\b|\bSystemExit\b|\bos\s+import\s[^\n]*\b(?:system|popen|_exit|kill)\b", In::Python, "runs another program or ends its own"),
        (r"\b(?:eval|exec|__import__)\s*\(", In::Code, "evaluates text as code"),
        (r#"\bauth\s*=\s*['"](?:public|none)['"]"#, In::Code, "makes a route public"),
        (r"\bcsrf\s*=\s*False\b", In::Code, "switches a check against forgery off"),
        (r#"['"]ir\.(?:rule|model\.access)['"]"#, In::Python, "changes access rights by code"),
        (r#"['"](?:implied_ids|implied_by_ids|groups_id|group_ids)['"]\s*:"#, In::Python, "changes by code who belongs to a group"),
        (
            r#"(?i)\b(?:update|insert\s+into|delete\s+from|truncate(?:\s+table)?|alter\s+table|drop\s+table)\s+(?:only\s+)?"?(?:ir_rule|ir_model_access|rule_group_rel|res_groups|res_users)"#,
            In::Code,
            "changes access rights by SQL",
        ),
        (
            r"\b(?:test_enable|test_tags|in_test_mode|current_test|unittest|pytest|TestCase|(?:Savepoint|Transaction|Http)Case)\b|\bodoo\.tests\b|\bodoo\s+import\s[^\n]*\btests\b",
            In::Program,
            "behaves differently under test",
        ),
        (r"\blogging\s*\.\s*(?:disable|root)\b|\.\s*setLevel\s*\(|\bmute_logger\b", In::Python, "silences the log"),
    ]
    .into_iter()
    .map(|(text, place, what)| (pattern(text), place, what))
    .collect()
});

/// What must not become less: fields for some only.
static NEVER_LESS: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\bgroups\s*=\s*['"]"#));
/// What must not vanish from a file: several checks may well become one.
static NEVER_GONE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:check_access\w*|_check_access\w*|has_group|user_has_groups|AccessError)\b"));
/// Where one literal ends and the next one goes on.
static SEAM: LazyLock<Regex> = LazyLock::new(|| pattern(r#"['"][\s\\]*\+?[\s\\]*['"]"#));
/// A line that tells Python in which encoding to read a file, wherever it takes a line to begin.
static COOKIE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[\r\n])[ \t\x0c]*#[^\n]*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)"));
/// A character as XML may write it.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| pattern(r"&#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));"));

/// What the change does to code and must not.
pub(super) fn refusals(change: &FileChange) -> Vec<String> {
    let path = &change.path;
    let before = change.before.as_deref().unwrap_or_default();
    let extension = path.as_str().rsplit_once('.').map_or("", |(_, extension)| extension);
    let python = extension == "py";
    if !python && extension != "xml" && extension != "sql" {
        return Vec::new();
    }
    let applies = |place: In| place == In::Code || (python && (place == In::Python || !place::is_test(path)));
    let compared = Compared::of(before, &change.after, python);
    let added = NEVER_MORE.iter().filter(|(pattern, place, _)| applies(*place) && compared.adds(pattern)).map(|(_, _, what)| *what);
    let mut refused: Vec<String> = added.map(|what| format!("the edit of {path} {what}")).collect();
    if python && count(&NEVER_LESS, before) > count(&NEVER_LESS, &change.after) {
        refused.push(format!("the edit of {path} opens to everybody what was limited to groups"));
    }
    if python && NEVER_GONE.is_match(before) && !NEVER_GONE.is_match(&change.after) {
        refused.push(format!("the edit of {path} takes the checks of access rights away"));
    }
    if python && strange_names(&change.after) > strange_names(before) {
        refused.push(format!("the edit of {path} names something in letters that Python reads as others"));
    }
    if python && reads_otherwise(&change.after) {
        refused.push(format!("the edit of {path} has a coding line other than utf-8, so that Python reads another text than was checked"));
    }
    refused
}

/// Whether one of the first two lines names another encoding than the one in which the text was checked.
fn reads_otherwise(text: &str) -> bool {
    let head = text.match_indices('\n').nth(1).map_or(text, |(end, _)| &text[..end]);
    let names = COOKIE.captures_iter(head).map(|found| found[1].to_ascii_lowercase().replace('_', "-"));
    let same = |name: &str| name == "utf8" || name == "utf-8" || name.starts_with("utf-8-");
    names.into_iter().any(|name| !same(&name))
}

/// Two texts, in all the ways in which something could be more in the later one.
struct Compared {
    /// Pairs of which the later must not hold more: the whole texts, each hunk, each function.
    pairs: Vec<(String, String)>,
    /// What belongs to functions that came or went: no later one may hold more than all the former ones together.
    renamed: (String, String),
}

impl Compared {
    fn of(before: &str, after: &str, python: bool) -> Self {
        let mut pairs = hunks(before, after);
        pairs.push((before.to_owned(), after.to_owned()));
        let mut renamed = (String::new(), String::new());
        if let Some((mut was, is)) = python.then(|| functions(before).zip(functions(after))).flatten() {
            for (name, text) in is {
                match was.remove(&name) {
                    Some(old) if old == text => {}
                    Some(old) => pairs.push((old, text)),
                    None => renamed.1.push_str(&text),
                }
            }
            renamed.0 = was.into_values().collect();
        }
        // A word must not be put together from literals or character references either.
        let joined: Vec<_> = pairs.iter().map(|(old, new)| (plain(old), plain(new))).collect();
        pairs.extend(joined);
        Self { pairs, renamed }
    }

    fn adds(&self, pattern: &Regex) -> bool {
        let more = |(old, new): &(String, String)| count(pattern, new) > count(pattern, old);
        self.pairs.iter().any(more) || more(&self.renamed)
    }
}

/// The functions of a text, if all of it is Python: only then they are where they seem to be.
fn functions(text: &str) -> Option<BTreeMap<String, String>> {
    Python::read(text).filter(Python::is_whole).map(|python| python.functions())
}

fn plain(text: &str) -> String {
    let decoded = REFERENCE.replace_all(text, |found: &Captures<'_>| {
        let code = found.get(1).map_or_else(|| found[2].parse().ok(), |hexadecimal| u32::from_str_radix(hexadecimal.as_str(), 16).ok());
        code.and_then(char::from_u32).map_or_else(|| found[0].to_owned(), String::from)
    });
    SEAM.replace_all(&decoded, "").into_owned()
}

/// Names that are not plain ASCII: Python takes look-alikes of a letter for the letter, these checks do not.
fn strange_names(text: &str) -> usize {
    if text.is_ascii() {
        return 0;
    }
    let code = Python::read(text).map_or_else(|| text.to_owned(), |python| python.code());
    code.chars().filter(|c| !c.is_ascii() && c.is_alphanumeric()).count()
}

fn count(pattern: &Regex, text: &str) -> usize {
    pattern.find_iter(text).count()
}
