//! Where a traceback passes through an addon.

use crate::domain::{ErrorReport, RelPath};
use crate::odoo::Addon;

/// One place of a traceback in the addon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The file.
    pub(super) path: &'a RelPath,
    /// Its text.
    pub(super) text: &'a str,
    /// Line, counted from 1.
    pub(super) line: u32,
    /// Whether it is the last place of its traceback, of the addon or not.
    pub(super) innermost: bool,
}

/// The places in the addon's Python, the innermost first, each line once.
pub(super) fn places<'a>(report: &ErrorReport, addon: &'a Addon) -> Vec<Place<'a>> {
    let mut found: Vec<Place<'a>> = Vec::new();
    for raised in &report.chain {
        for (at, frame) in raised.frames.iter().enumerate().rev() {
            let Some((path, text)) = file(addon, &frame.file) else { continue };
            if found.iter().all(|place| (place.path, place.line) != (path, frame.line)) {
                found.push(Place { path, text, line: frame.line, innermost: at + 1 == raised.frames.len() });
            }
        }
    }
    if let Some(location) = &report.location
        && let (Some((path, text)), Some(line)) = (file(addon, &location.path), location.line)
        && found.iter().all(|place| (place.path, place.line) != (path, line))
    {
        found.push(Place { path, text, line, innermost: found.is_empty() });
    }
    found
}

/// The addon's Python file that a path of a log names.
fn file<'a>(addon: &'a Addon, logged: &str) -> Option<(&'a RelPath, &'a str)> {
    addon.texts("py").find(|(path, _)| {
        let path = path.as_str();
        logged == path || logged.strip_suffix(path).is_some_and(|before| before.ends_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ErrorClass, Frame, Raised};
    use crate::rules::testing::{addon, report};

    #[test]
    fn places_are_those_of_the_addon() {
        let frame = |file: &str, line| Frame { file: file.to_owned(), line, function: "f".to_owned(), source: String::new() };
        let frames = vec![frame("/x/m/a.py", 1), frame("/x/m/b.py", 2), frame("/usr/odoo/models.py", 3), frame("/x/othern/m/c.py", 4)];
        let mut report = report(ErrorClass::Other, "");
        report.chain = vec![Raised { exception: "E".to_owned(), message: String::new(), frames }];
        let addon = addon(&[("a.py", ""), ("b.py", "")]);
        let found: Vec<_> = places(&report, &addon).iter().map(|place| (place.path.as_str(), place.line, place.innermost)).collect();
        assert_eq!(found, [("m/b.py", 2, false), ("m/a.py", 1, false)]);
    }
}
