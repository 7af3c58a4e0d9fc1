//! A change to addon sources: a value that is safe to show and, once proven, to apply.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ModuleName;

/// The most files that one patch may touch.
const MAX_FILES: usize = 60;
/// The most bytes that one patch may leave in the files it touches.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// What a diff calls the side on which there is no file.
const NO_FILE: &str = "/dev/null";

/// Why something is no patch that may be handled further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The path could reach outside the addon.
    #[error("the path {0:?} is not allowed in a patch: use a path inside the addon, relative, without '..'")]
    Path(String),
    /// Nothing would change.
    #[error("the patch changes nothing")]
    Empty,
    /// More than a fix may hold.
    #[error("the patch is too large: at most {MAX_FILES} files and {MAX_BYTES} bytes")]
    TooLarge,
    /// The text is no unified diff.
    #[error("the diff cannot be read: {0}")]
    Malformed(String),
    /// The diff takes a file away.
    #[error("the diff deletes {0:?}, which a patch cannot")]
    Deletes(String),
    /// The diff was made for other contents.
    #[error("the diff does not fit {0}: {1}")]
    DoesNotApply(RelPath, String),
}

/// A path below an addons folder, `module/file`, with `/` between its parts. It cannot climb out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

impl RelPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first part: the addon's folder.
    pub fn module(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// What follows the addon's folder.
    pub fn within_module(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, rest)| rest)
    }
}

impl FromStr for RelPath {
    type Err = PatchError;
    fn from_str(text: &str) -> Result<Self, PatchError> {
        let safe_part = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && part.trim() == part && !part.to_ascii_lowercase().starts_with(".git")
        };
        let safe_text = !text.is_empty()
            && text.len() <= 400
            && !text.contains(['\\', ':', '\0'])
            && !text.chars().any(char::is_control)
            && text.split('/').all(safe_part);
        if safe_text { Ok(Self(text.to_owned())) } else { Err(PatchError::Path(text.chars().take(120).collect())) }
    }
}

impl TryFrom<String> for RelPath {
    type Error = PatchError;
    fn try_from(text: String) -> Result<Self, PatchError> {
        text.parse()
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> String {
        path.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One text file before and after. `None` before: the file is new. Files are never deleted by a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Which file.
    pub path: RelPath,
    /// Its text now, or `None` if there is no such file.
    pub before: Option<String>,
    /// Its text afterwards.
    pub after: String,
}

/// A set of file changes, one a path, none of them empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<FileChange>", into = "Vec<FileChange>")]
pub struct Patch(Vec<FileChange>);

impl Patch {
    /// Checks sizes, drops what changes nothing, orders by path. Fails with [`PatchError::Empty`] if nothing is left.
    pub fn new(changes: Vec<FileChange>) -> Result<Self, PatchError> {
        let mut by_path: BTreeMap<RelPath, FileChange> = BTreeMap::new();
        for change in changes {
            if change.before.as_deref() != Some(change.after.as_str()) {
                by_path.insert(change.path.clone(), change);
            }
        }
        let changes: Vec<_> = by_path.into_values().collect();
        if changes.is_empty() {
            return Err(PatchError::Empty);
        }
        if changes.len() > MAX_FILES || changes.iter().map(|change| change.after.len()).sum::<usize>() > MAX_BYTES {
            return Err(PatchError::TooLarge);
        }
        Ok(Self(changes))
    }

    /// The changes, ordered by path.
    pub fn changes(&self) -> &[FileChange] {
        &self.0
    }

    /// This patch followed by `later`, whose `before` is this one's `after`. Fails with [`PatchError::Empty`] if they cancel out.
    pub fn then(&self, later: &Self) -> Result<Self, PatchError> {
        let mut by_path: BTreeMap<&RelPath, FileChange> = self.0.iter().map(|change| (&change.path, change.clone())).collect();
        for change in &later.0 {
            by_path.entry(&change.path).and_modify(|first| first.after.clone_from(&change.after)).or_insert_with(|| change.clone());
        }
        Self::new(by_path.into_values().collect())
    }

    /// The patch as a unified diff with `a/` and `b/` prefixes, that `git apply` and `patch -p1` read.
    pub fn unified_diff(&self) -> String {
        self.0.iter().map(file_diff).collect()
    }

    /// Reads a unified diff against the files that `read` knows. Paths are checked before anything is read.
    pub fn from_unified_diff(diff: &str, read: impl Fn(&RelPath) -> Option<String>) -> Result<Self, PatchError> {
        if diff.len() > MAX_BYTES {
            return Err(PatchError::TooLarge);
        }
        let mut changes = Vec::new();
        for part in split_files(diff) {
            let parsed = parse(part)?;
            if parsed.modified() == Some(NO_FILE) {
                return Err(PatchError::Deletes(parsed.original().unwrap_or_default().chars().take(120).collect()));
            }
            let target = parsed.modified().or(parsed.original()).ok_or_else(|| PatchError::Malformed("no file name".to_owned()))?;
            let path: RelPath = target.strip_prefix("b/").unwrap_or(target).parse()?;
            let before = read(&path);
            let after = diffy::apply(before.as_deref().unwrap_or_default(), &parsed)
                .map_err(|error| PatchError::DoesNotApply(path.clone(), error.to_string()))?;
            changes.push(FileChange { path, before, after });
        }
        Self::new(changes)
    }

    /// Checks a unified diff as far as that goes without the files that it is against, and gives their paths. It may delete files.
    pub fn files_of(diff: &str) -> Result<Vec<RelPath>, PatchError> {
        let parts = split_files(diff);
        if diff.len() > MAX_BYTES || parts.len() > MAX_FILES {
            return Err(PatchError::TooLarge);
        }
        if parts.is_empty() {
            return Err(PatchError::Malformed("no line '--- a/addon/file' is followed by one '+++ b/addon/file'".to_owned()));
        }
        let mut files = Vec::new();
        for part in parts {
            let parsed = parse(part)?;
            if parsed.hunks().is_empty() {
                return Err(PatchError::Empty);
            }
            let named = [(parsed.original(), "a/"), (parsed.modified(), "b/")];
            let named = named.into_iter().filter_map(|(name, side)| name.map(|name| name.strip_prefix(side).unwrap_or(name)));
            for name in named.filter(|name| *name != NO_FILE) {
                files.push(inside_an_addon(name)?);
            }
        }
        files.sort();
        files.dedup();
        if files.is_empty() { Err(PatchError::Malformed("no file name".to_owned())) } else { Ok(files) }
    }
}

fn parse(part: &str) -> Result<diffy::Patch<'_, str>, PatchError> {
    diffy::Patch::from_str(part).map_err(|error| PatchError::Malformed(error.to_string()))
}

fn inside_an_addon(name: &str) -> Result<RelPath, PatchError> {
    let path: RelPath = name.parse()?;
    let is_inside = path.module().parse::<ModuleName>().is_ok() && !path.within_module().is_empty();
    if is_inside { Ok(path) } else { Err(PatchError::Path(name.chars().take(120).collect())) }
}

impl TryFrom<Vec<FileChange>> for Patch {
    type Error = PatchError;
    fn try_from(changes: Vec<FileChange>) -> Result<Self, PatchError> {
        Self::new(changes)
    }
}

impl From<Patch> for Vec<FileChange> {
    fn from(patch: Patch) -> Self {
        patch.0
    }
}

fn file_diff(change: &FileChange) -> String {
    let before = change.before.as_deref().unwrap_or_default();
    let old_name = if change.before.is_some() { format!("a/{}", change.path) } else { NO_FILE.to_owned() };
    let diff = similar::TextDiff::from_lines(before, change.after.as_str());
    let text = diff.unified_diff().context_radius(3).header(&old_name, &format!("b/{}", change.path)).to_string();
    if text.is_empty() {
        // A new file without content has no hunk; the header alone still names it.
        return format!("--- {old_name}\n+++ b/{}\n", change.path);
    }
    text
}

/// Cuts a diff of several files at its `--- ` headers; what stands before the first (`diff --git` lines) is dropped.
fn split_files(diff: &str) -> Vec<&str> {
    let mut starts = Vec::new();
    let mut offset = 0;
    let mut lines = diff.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("--- ") && lines.peek().is_some_and(|next| next.starts_with("+++ ")) {
            starts.push(offset);
        }
        offset += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([diff.len()]);
    starts.iter().zip(ends).map(|(start, end)| &diff[*start..end]).map(without_git_lines).collect()
}

fn without_git_lines(part: &str) -> &str {
    part.find("\ndiff --git ").map_or(part, |end| &part[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    fn change(name: &str, before: Option<&str>, after: &str) -> FileChange {
        FileChange { path: path(name), before: before.map(str::to_owned), after: after.to_owned() }
    }

    #[test]
    fn path_cannot_climb_out() {
        for bad in [
            "/etc/passwd",
            "../x",
            "m/../../x",
            "m//x",
            "m/./x",
            "",
            "m\\x",
            "C:/x",
            "m/x\n",
            "m/.git/hooks/pre-commit",
            "m/.gitattributes",
            ".GIT/x",
        ] {
            assert_eq!(bad.parse::<RelPath>(), Err(PatchError::Path(bad.to_owned())), "{bad:?}");
        }
        assert_eq!(path("m/views/v.xml").module(), "m");
        assert_eq!(path("m/views/v.xml").within_module(), "views/v.xml");
    }

    #[test]
    fn diff_survives_its_round_trip() {
        let patch = Patch::new(vec![change("m/a.py", Some("a\nb\nc\n"), "a\nB\nc\n"), change("m/new.csv", None, "id,name\n")]).unwrap();
        let text = patch.unified_diff();
        let again = Patch::from_unified_diff(&text, |p| (p.as_str() == "m/a.py").then(|| "a\nb\nc\n".to_owned())).unwrap();
        assert_eq!(again, patch);
    }

    #[test]
    fn diff_keeps_a_missing_last_newline() {
        let patch = Patch::new(vec![change("m/a", Some("a\nb"), "a\nc")]).unwrap();
        let again = Patch::from_unified_diff(&patch.unified_diff(), |_| Some("a\nb".to_owned())).unwrap();
        assert_eq!(again, patch);
    }

    #[test]
    fn diff_that_slips_out_is_refused() {
        let diff = "--- a/../../etc/cron.d/x\n+++ b/../../etc/cron.d/x\n@@ -0,0 +1 @@\n+boom\n";
        assert_eq!(Patch::from_unified_diff(diff, |_| None), Err(PatchError::Path("../../etc/cron.d/x".to_owned())));
    }

    #[test]
    fn deletion_is_no_patch() {
        let diff = "--- a/m/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n";
        assert_eq!(Patch::from_unified_diff(diff, |_| Some("a\n".to_owned())), Err(PatchError::Deletes("a/m/a".to_owned())));
    }

    #[test]
    fn garbage_is_no_diff() {
        assert!(Patch::from_unified_diff("hello\u{0}\u{1}", |_| None).is_err());
        assert!(Patch::from_unified_diff("--- a/m/x\n+++ b/m/x\n@@ broken\n", |_| None).is_err());
    }

    #[test]
    fn files_of_a_diff_need_no_sources() {
        let files = |diff: &str| Patch::files_of(diff).map(|files| files.iter().map(ToString::to_string).collect::<Vec<_>>());
        let patch = Patch::new(vec![change("m/a.py", Some("a\nb\n"), "a\nB\n"), change("m/new.csv", None, "id,name\n")]).unwrap();
        assert_eq!(files(&patch.unified_diff()).unwrap(), ["m/a.py", "m/new.csv"]);
        let mail = "Subject: x\n\ndiff --git a/m/x b/m/x\nindex 1..2 100644\n--- a/m/x\n+++ b/m/x\n@@ -1 +1 @@\n-a\n+b\ndiff --git a/m/y b/m/y\n\
                    deleted file mode 100644\n--- a/m/y\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n";
        assert_eq!(files(mail).unwrap(), ["m/x", "m/y"]);
        assert_eq!(files("--- m/x\n+++ m/x\n@@ -1 +1 @@\n-a\n+b\n").unwrap(), ["m/x"], "not everybody has git's prefixes");
    }

    #[test]
    fn files_outside_of_addons_are_refused() {
        let diff = |from: &str, to: &str| format!("--- {from}\n+++ {to}\n@@ -1 +1 @@\n-a\n+b\n");
        let outside =
            [("a/../x", "b/m/x"), ("a/m/x", "b/m/../../x"), ("/etc/passwd", "/etc/passwd"), ("a/x", "b/x"), ("a/.git/x", "b/.git/x")];
        for (from, to) in outside {
            assert!(matches!(Patch::files_of(&diff(from, to)), Err(PatchError::Path(_))), "{from} {to}");
        }
        let head = "--- a/m/x\n+++ b/m/x\n";
        let garbage = ["", "hello", "\u{0}", "@@ -1 +1 @@\n-a\n+b\n", &format!("{head}@@ broken\n"), &diff("/dev/null", "/dev/null")];
        for text in garbage {
            assert!(matches!(Patch::files_of(text), Err(PatchError::Malformed(_))), "{text:?}");
        }
        assert_eq!(Patch::files_of(head), Err(PatchError::Empty));
        assert_eq!(Patch::files_of(&diff("a/m/x", "b/m/x").repeat(MAX_FILES + 1)), Err(PatchError::TooLarge));
    }

    #[test]
    fn later_change_builds_on_the_first() {
        let first = Patch::new(vec![change("m/a", Some("1"), "2")]).unwrap();
        let second = Patch::new(vec![change("m/a", Some("2"), "3"), change("m/b", None, "x")]).unwrap();
        let both = first.then(&second).unwrap();
        assert_eq!(both.changes(), [change("m/a", Some("1"), "3"), change("m/b", None, "x")]);
        let undo = Patch::new(vec![change("m/a", Some("2"), "1")]).unwrap();
        assert_eq!(first.then(&undo), Err(PatchError::Empty));
    }
}
