//! Whether nothing is neutral for a number: it is only ever added to or taken off something.

use tree_sitter::Node;

use super::edit::python::{Source, field, walk};
use crate::odoo::Addon;

/// What the code does with a field that holds a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uses {
    /// It is added to something or taken off it, or something is added to it, and it is used in no other way.
    Added,
    /// Nothing reads it.
    Unread,
    /// Something else: 0 may mean something there.
    Other,
}

/// What the addon's code, its tests left out, does with fields of this name. `but`: a method that only gives it values.
pub(super) fn uses(addon: &Addon, name: &str, but: &str) -> Uses {
    let mut all = Uses::Unread;
    for (_, text) in addon.texts("py").filter(|(path, _)| !path.within_module().starts_with("tests/")) {
        let Some(source) = Source::parse(text).filter(|_| text.contains(name)) else { continue };
        let attributes = source.all("attribute").filter(|node| field(*node, "attribute").is_some_and(|found| source.of(found) == name));
        for node in attributes {
            match of(&source, node, but) {
                Some(true) => all = Uses::Added,
                Some(false) => return Uses::Other,
                None => {}
            }
        }
        // A field that is named in a text is read in ways that are not seen here; what asks for a compute method is no reading.
        let told = source.all("string").filter(|node| source.literal(*node).is_some_and(|text| text.split('.').any(|part| part == name)));
        if told.filter(|node| !is_dependency(&source, *node)).count() > 0 {
            return Uses::Other;
        }
    }
    all
}

/// Whether this use only adds; `None` for one that gives a value.
fn of(source: &Source<'_>, node: Node<'_>, but: &str) -> Option<bool> {
    let within = std::iter::successors(node.parent(), Node::parent).find(|up| up.kind() == "function_definition");
    let is_own = within.and_then(|function| field(function, "name")).is_some_and(|name| source.of(name) == but);
    let up = node.parent()?;
    let operator = |up: Node<'_>| field(up, "operator").map(|operator| source.of(operator)).unwrap_or_default();
    match up.kind() {
        "assignment" if field(up, "left") == Some(node) => is_own.then_some(()).map_or(Some(false), |()| None),
        "augmented_assignment" => Some(matches!(operator(up), "+=" | "-=")),
        "binary_operator" => Some(matches!(operator(up), "+" | "-")),
        _ => Some(false),
    }
}

fn is_dependency(source: &Source<'_>, node: Node<'_>) -> bool {
    let call = node.parent().and_then(|arguments| arguments.parent()).filter(|up| up.kind() == "call");
    call.and_then(|call| field(call, "function")).is_some_and(|function| source.of(function) == "api.depends")
}

/// Whether a text says that there is something for those whom a condition leaves out.
pub(super) fn says_otherwise(text: &str) -> bool {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let others =
        ["else", "other", "others", "otherwise", "instead", "rest", "default", "falls", "fall", "fallback", "everybody", "everyone"];
    let nothing = ["nothing", "none", "zero", "0", "empty", "no"];
    words.iter().any(|word| others.contains(word)) && !words.iter().any(|word| nothing.contains(word))
}

/// The texts of a method: what stands between its quotes.
pub(super) fn docstring(source: &Source<'_>, function: Node<'_>) -> String {
    let first = field(function, "body").and_then(|body| body.named_child(0)).filter(|node| node.kind() == "expression_statement");
    first.into_iter().flat_map(walk).find(|node| node.kind() == "string").map_or_else(String::new, |node| source.of(node).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::addon;

    #[test]
    fn what_is_only_added_has_nothing_as_neutral_value() {
        for (code, expected) in [
            ("x.total = x.base - x.off", Uses::Added),
            ("x.off += 1", Uses::Added),
            ("x.total = x.base", Uses::Unread),
            ("x.total = x.base * x.off", Uses::Other),
            ("x.total = x.base if x.off else 0", Uses::Other),
            ("x.off = 1", Uses::Other),
            ("x.off *= 2", Uses::Other),
            ("x.write({'off': 2})", Uses::Other),
        ] {
            let text = format!("def f(self):\n    for x in self:\n        {code}\n");
            assert_eq!(uses(&addon(&[("a.py", &text)]), "off", "_compute_off"), expected, "{code}");
        }
    }

    #[test]
    fn docstrings_may_speak_of_the_others() {
        assert!(says_otherwise("Members pay nine tenths, all others the full amount."));
        assert!(says_otherwise("The number of the visit, or else that of its partner."));
        assert!(!says_otherwise("Members get a tenth off, all others nothing."));
        assert!(!says_otherwise("The street of the partner."));
    }
}
