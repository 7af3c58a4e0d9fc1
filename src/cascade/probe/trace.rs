//! What a traceback says of the addon, and whether two of them tell of one error.

use std::sync::LazyLock;

use regex::Regex;

use super::super::guard::pattern;
use crate::domain::{ErrorReport, ObjectRef, Raised, RelPath};
use crate::odoo::Addon;

/// Functions that only run while addons are loaded: what fails below them needs no probe.
const LOADING: [&str; 5] = ["load_module_graph", "load_modules", "load_openerp_module", "preload_registries", "convert_file"];
/// Bytes of a message that are compared.
const MAX_COMPARED: usize = 4 * 1024;

/// What differs between two occurrences: ids, addresses, numbers.
static NUMBERS: LazyLock<Regex> = LazyLock::new(|| pattern(r"0x[0-9a-fA-F]+|\d+(?:\s*,\s*\d+)*,?"));
/// `Expected singleton: res.partner(6, 7)`.
static SINGLETON: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Expected singleton: ([\w.]+)\(([\d, ]*)\)"));

/// A frame in a file of the addon, as its sources have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step<'a> {
    /// The file.
    pub(super) path: RelPath,
    /// Its text.
    pub(super) text: &'a str,
    /// The line that the log names; the sources there may be of another day.
    pub(super) line: u32,
    /// The function that the log names. Of a stranger: only ever compared.
    pub(super) function: &'a str,
    /// The source line that the log prints, empty if it prints none. Of a stranger: only ever compared.
    pub(super) printed: &'a str,
}

/// The frames of one exception that lie in the addon, outermost first.
pub(super) fn steps<'a>(addon: &'a Addon, raised: &'a Raised) -> Vec<Step<'a>> {
    let found = raised.frames.iter().filter_map(|frame| {
        let (path, text) = source(addon, &frame.file)?;
        Some(Step { path, text, line: frame.line, function: &frame.function, printed: frame.source.trim() })
    });
    found.collect()
}

/// The file of the addon that a path of another machine means.
fn source<'a>(addon: &'a Addon, file: &str) -> Option<(RelPath, &'a str)> {
    let file = file.replace('\\', "/");
    let folder = format!("/{}/", addon.name());
    let (at, _) = file.rmatch_indices(&folder).next()?;
    let path = addon.path(&file[at + folder.len()..]).filter(|path| path.as_str().ends_with(".py"))?;
    let text = addon.text(&path)?;
    Some((path, text))
}

/// Whether the error happened while addons were loaded, or in a test, rather than in use.
pub(super) fn is_of_use(report: &ErrorReport, addon: &Addon) -> bool {
    let mut frames = report.chain.iter().flat_map(|raised| &raised.frames);
    let in_tests = |step: &Step<'_>| step.path.within_module().starts_with("tests/");
    !frames.any(|frame| LOADING.contains(&frame.function.as_str()))
        && !report.chain.iter().flat_map(|raised| steps(addon, raised)).any(|step| in_tests(&step))
}

/// On how many records a method was called that wants one, if the error says so of this Odoo model.
pub(super) fn called_on(report: &ErrorReport, odoo_model: &str) -> Option<usize> {
    let said = report.chain.iter().find_map(|raised| SINGLETON.captures(&raised.message))?;
    let ids = said.get(2)?.as_str();
    (said.get(1)?.as_str() == odoo_model).then(|| ids.split(',').filter(|id| !id.trim().is_empty()).count())
}

/// Whether a run shows the error that the report tells of, although another way led to it: the same class, exception and named object, the
/// same words but for numbers, and the same innermost function of the addon, or the same template.
pub(in crate::cascade) fn shows(seen: &ErrorReport, wanted: &ErrorReport, addon: &Addon) -> bool {
    let known = |core: &Core<'_>| core.at.is_some() || wanted.object.view.is_some();
    seen.class == wanted.class
        && seen.module.as_ref() == Some(addon.name())
        && named(&seen.object) == named(&wanted.object)
        && core(seen, addon).filter(known).zip(core(wanted, addon)).is_some_and(|(seen, wanted)| seen.is(&wanted))
}

/// What is named, without the name that a test puts in place of any other.
fn named(object: &ObjectRef) -> ObjectRef {
    ObjectRef { name: None, ..object.clone() }
}

/// What stays the same of an error whichever way led to it.
#[derive(Debug)]
struct Core<'a> {
    exception: &'a str,
    message: String,
    at: Option<(RelPath, &'a str)>,
    /// The source line there, empty if the log has none.
    printed: &'a str,
}

impl Core<'_> {
    /// The same function may fail in two places for two reasons: where both logs print the line, it must be one.
    fn is(&self, other: &Self) -> bool {
        let one_line = self.printed.is_empty() || other.printed.is_empty() || self.printed == other.printed;
        one_line && (self.exception, &self.message, &self.at) == (other.exception, &other.message, &other.at)
    }
}

fn core<'a>(report: &'a ErrorReport, addon: &'a Addon) -> Option<Core<'a>> {
    let within = |raised: &'a Raised| {
        let step = steps(addon, raised).into_iter().rfind(|step| !step.path.within_module().starts_with("tests/"))?;
        Some((raised, Some((step.path, step.function)), step.printed))
    };
    let (raised, at, printed) = report.chain.iter().find_map(within).or_else(|| Some((report.chain.last()?, None, "")))?;
    let exception = raised.exception.rsplit('.').next().unwrap_or_default();
    Some(Core { exception, message: without_numbers(&raised.message), at, printed })
}

fn without_numbers(message: &str) -> String {
    let message = &message[..message.floor_char_boundary(MAX_COMPARED)];
    // What follows in the message of a template is the way to it.
    let lines = message.lines().take_while(|line| !line.trim_start().starts_with("Reference:"));
    let words = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    NUMBERS.replace_all(&words, "0").into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{addon, error, log};
    use super::*;

    #[test]
    fn numbers_do_not_count() {
        for (one, other) in [
            ("Expected singleton: a.b(6, 7)", "Expected singleton: a.b(1, 2, 3)"),
            ("a.b(5,) of <X object at 0x7f00aa>", "a.b(17,) of <X object at 0x7f11bb>"),
            (
                "Error:\n  KeyError: 'x'\n  Template: m.t\n  Reference: 3\n  Path: /a",
                "Error:\n  KeyError: 'x'\n  Template: m.t\n  Reference: 4",
            ),
        ] {
            assert_eq!(without_numbers(one), without_numbers(other));
        }
        assert_ne!(without_numbers("Expected singleton: a.b(6, 7)"), without_numbers("Expected singleton: a.b()"));
    }

    #[test]
    fn same_error_is_known_by_another_way() {
        let (addon, wanted) = (addon("p_run_button"), error("p_run_button"));
        let other_way = log("p_run_button").replace("action_close", "test_x").replace("production odoo.http: E", "t odoo.other: e");
        let seen = |text: &str| crate::odoo::reports(text).remove(0);
        assert!(shows(&seen(&other_way), &wanted, &addon));
        for (what, from, to) in [
            ("another function", "in _may_close", "in _may_open"),
            ("another attribute", "groups_id", "groups"),
            ("another exception", "AttributeError:", "KeyError:"),
            ("another addon", "p_run_button", "p_run_other"),
        ] {
            assert!(!shows(&seen(&other_way.replace(from, to)), &wanted, &addon), "{what}");
        }
    }

    #[test]
    fn only_files_of_the_addon_are_steps() {
        let addon = addon("p_run_button");
        for (file, found) in [
            ("/mnt/a/p_run_button/models/desk.py", true),
            ("C:\\addons\\p_run_button\\models\\desk.py", true),
            ("/mnt/a/p_run_button/models/nope.py", false),
            ("/mnt/a/p_run_button/../../etc/passwd", false),
            ("/mnt/p_run_button", false),
            ("", false),
        ] {
            assert_eq!(source(&addon, file).is_some(), found, "{file}");
        }
    }
}
