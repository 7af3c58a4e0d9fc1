//! Where a new test goes: a file of its own, and a line in `tests/__init__.py`.

use crate::domain::{FileChange, Patch, RelPath};
use crate::odoo::Addon;

/// The longest name of a test file; the rest of a longer one is cut.
const MAX_NAME: usize = 60;

/// A file for a test about these words, that is not there yet: `tests/test_….py`.
pub(super) fn new_file(addon: &Addon, words: &[&str]) -> Option<(RelPath, String)> {
    let word = words.iter().flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric())).filter(|word| !word.is_empty());
    let mut name = word.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    name.truncate(MAX_NAME);
    let names = std::iter::once(format!("test_{name}")).chain((2..10).map(|n| format!("test_{name}_{n}")));
    names
        .filter_map(|name| Some((addon.path(&format!("tests/{name}.py"))?, name)))
        .find(|(path, _)| !addon.files().any(|(file, _)| file == path))
}

/// The patch that adds a test to these sources; `None` if `tests/__init__.py` is there and no text.
pub(super) fn added(addon: &Addon, path: &RelPath, text: &str) -> Option<Patch> {
    let module = path.as_str().rsplit('/').next()?.strip_suffix(".py")?;
    let init = addon.path("tests/__init__.py")?;
    let before = addon.text(&init).map(str::to_owned);
    if before.is_none() && addon.files().any(|(file, _)| *file == init) {
        return None;
    }
    let after = imported(before.as_deref().unwrap_or_default(), module);
    let test = FileChange { path: path.clone(), before: addon.text(path).map(str::to_owned), after: text.to_owned() };
    Patch::new(vec![FileChange { path: init, before, after }, test]).ok()
}

/// The text with one more import: in its place where the others are in order, else after them.
fn imported(init: &str, module: &str) -> String {
    let line = format!("from . import {module}");
    let name = |line: &str| line.strip_prefix("from . import ").map(|name| name.trim_end().to_owned());
    let lines: Vec<&str> = init.lines().collect();
    if lines.iter().any(|found| found.trim_end() == line) {
        return init.to_owned();
    }
    let later = lines.iter().position(|line| name(line).is_some_and(|name| name.as_str() > module && !name.contains(['(', ',', '\\'])));
    let last = lines.iter().rposition(|line| name(line).is_some_and(|name| !name.contains(['(', '\\']))).map(|n| n + 1);
    let at = later.or(last).unwrap_or(lines.len());
    let mut with = lines;
    with.insert(at, &line);
    with.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_finds_its_place() {
        for (before, after) in [
            ("", "from . import test_m\n"),
            ("from . import test_a\nfrom . import test_z\n", "from . import test_a\nfrom . import test_m\nfrom . import test_z\n"),
            (
                "# c\n\nfrom . import common\nfrom . import test_a\n",
                "# c\n\nfrom . import common\nfrom . import test_a\nfrom . import test_m\n",
            ),
            ("from . import (\n    test_a,\n)\n", "from . import (\n    test_a,\n)\nfrom . import test_m\n"),
            ("from . import test_m\n", "from . import test_m\n"),
            ("from . import test_z", "from . import test_m\nfrom . import test_z\n"),
        ] {
            assert_eq!(imported(before, "test_m"), after);
        }
    }

    #[test]
    fn file_that_is_there_is_left() {
        let files = ["m/tests/test_a_b.py", "m/a.py"].map(|path| (path.parse().unwrap(), Vec::new()));
        let addon = Addon::new("m".parse().unwrap(), files);
        assert_eq!(new_file(&addon, &["a.b"]).unwrap().1, "test_a_b_2");
        let (path, name) = new_file(&addon, &["x.y", "_do-'it"]).unwrap();
        assert_eq!((path.as_str(), name.as_str()), ("m/tests/test_x_y_do_it.py", "test_x_y_do_it"));
        assert!(new_file(&addon, &[&"long".repeat(200)]).unwrap().1.len() < 80);
    }
}
