//! Where a patch may write, and what it may leave there.

use crate::domain::{FileChange, RelPath};
use crate::odoo::Addon;

/// The kinds of file that a fix may touch: text that Odoo or a reader of the addon reads.
const EXTENSIONS: [&str; 14] = ["py", "xml", "csv", "js", "css", "scss", "html", "sql", "po", "pot", "md", "rst", "txt", "json"];
/// What tells a program how to run tests.
const FRAMEWORK: [&str; 5] = ["conftest.py", "pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml"];

/// Why this file must not be changed, or not into this.
pub(super) fn forbidden(addon: &Addon, change: &FileChange) -> Option<String> {
    let path = &change.path;
    if path.module() != addon.name().as_str() || path.within_module().is_empty() {
        return Some(format!("{path} is not inside the addon {}", addon.name()));
    }
    let file = name(path);
    if FRAMEWORK.contains(&file.as_str()) {
        return Some(format!("{path} says how tests are run"));
    }
    if path.within_module().split('/').any(|part| part.starts_with('.')) {
        return Some(format!("{path} is a hidden file"));
    }
    if !file.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension)) {
        return Some(format!("{path} is no kind of file that a fix may change"));
    }
    if addon.text(path).is_none() && addon.files().any(|(found, _)| found == path) {
        return Some(format!("{path} exists and is no UTF-8 text"));
    }
    characters(change)
}

/// Whether a file is a test, helps one, or decides which there are.
pub(in crate::cascade) fn is_test(path: &RelPath) -> bool {
    let file = name(path);
    path.within_module().split('/').any(|part| part.eq_ignore_ascii_case("tests"))
        || file.starts_with("test_")
        || file == "tests.py"
        || file == "conftest.py"
}

fn name(path: &RelPath) -> String {
    path.as_str().rsplit('/').next().unwrap_or_default().to_lowercase()
}

/// Text that is none, or that a reader sees in another order than the machine.
fn characters(change: &FileChange) -> Option<String> {
    let path = &change.path;
    let before = change.before.as_deref().unwrap_or_default();
    let more = |wanted: fn(char) -> bool| count(&change.after, wanted) > count(before, wanted);
    if change.after.contains('\0') || more(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
        return Some(format!("{path} would hold control characters: it is no text"));
    }
    let translation = path.as_str().ends_with(".po") || path.as_str().ends_with(".pot");
    let reorders = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (!translation && more(reorders)).then(|| format!("{path} would hold characters that show its text in another order"))
}

fn count(text: &str, wanted: fn(char) -> bool) -> usize {
    text.chars().filter(|c| wanted(*c)).count()
}
