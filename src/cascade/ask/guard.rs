//! What no fix may add to code, however well it is argued for: wider rights, other programs, code that knows it is being tested.
//!
//! These checks read text, so they can be too strict and cannot be complete. What they refuse goes to a person; what they let pass
//! still needs its proof.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use tree_sitter::Node;

use crate::domain::{FileChange, RelPath};
use crate::odoo::Addon;

/// What must not become more, and what it is called.
static NEVER_MORE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\bsudo\b", "adds sudo"),
        (r"\bSUPERUSER_ID\b|\bwith_user\s*\(\s*\d|\bbase\.user_root\b", "acts as the superuser"),
        (r"\bsubprocess\b|\bos\s*\.\s*(?:system|popen|exec|spawn|fork)|\bpty\b", "runs another program"),
        (r"\b(?:eval|exec|__import__)\s*\(", "evaluates text as code"),
        (r#"\bauth\s*=\s*['"](?:public|none)['"]"#, "makes a route public"),
        (r"\bcsrf\s*=\s*False\b", "switches a check against forgery off"),
        (r#"['"]ir\.(?:rule|model\.access)['"]"#, "changes access rights by code"),
        (
            r"\b(?:test_enable|in_test_mode|current_test|unittest)\b|\bodoo\.tests\b|\bodoo\s+import\s+tests\b",
            "behaves differently under test",
        ),
    ]
    .into_iter()
    .map(|(text, what)| (pattern(text), what))
    .collect()
});

/// A pattern that stands in this source.
#[expect(clippy::expect_used, reason = "a constant pattern that every test of this room compiles")]
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("constant pattern")
}

/// Checks one edit by itself, so that what it adds is not made up for by what another takes away.
pub(super) fn edit(path: &RelPath, find: &str, replace: &str) -> Result<(), String> {
    additions(path, find, replace).map_or(Ok(()), Err)
}

/// Checks a whole file, so that a word is not put together from several edits; and its manifest, if it is one.
pub(super) fn refusals(addon: &Addon, change: &FileChange) -> Vec<String> {
    let before = change.before.as_deref().unwrap_or_default();
    let mut refused: Vec<String> = additions(&change.path, before, &change.after).into_iter().collect();
    if change.path.within_module() == "__manifest__.py" {
        refused.extend(manifest(addon, before, &change.after));
    }
    refused
}

fn additions(path: &RelPath, before: &str, after: &str) -> Option<String> {
    if !path.as_str().ends_with(".py") && !path.as_str().ends_with(".xml") {
        return None;
    }
    // Of XML, the record of a rule is looked at as a record, in `rights`; there the quoted name alone says nothing.
    let applies = |what: &str| path.as_str().ends_with(".py") || what != "changes access rights by code";
    let more = |pattern: &Regex| pattern.find_iter(after).count() > pattern.find_iter(before).count();
    let (_, what) = NEVER_MORE.iter().find(|(pattern, what)| applies(what) && more(pattern))?;
    Some(format!("the edit of {path} {what}"))
}

/// An addon that no longer loads a file shows no error in it, and an addon that is not installed shows none at all.
fn manifest(addon: &Addon, before: &str, after: &str) -> Vec<String> {
    let (before, after) = (Manifest::read(before), Manifest::read(after));
    let exists = |name: &&String| addon.path(name).is_some_and(|path| addon.text(&path).is_some());
    let gone = before.data.difference(&after.data).filter(exists);
    let mut refused: Vec<String> = gone.map(|name| format!("the manifest leaves out {name}, which exists")).collect();
    if after.off && !before.off {
        refused.push("the manifest makes the addon not installable".to_owned());
    }
    refused
}

#[derive(Default)]
struct Manifest {
    data: BTreeSet<String>,
    off: bool,
}

impl Manifest {
    /// What the dictionary says, as far as it can be read; comments do not count.
    fn read(text: &str) -> Self {
        let mut parser = tree_sitter::Parser::new();
        let tree = parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok().and_then(|()| parser.parse(text, None));
        let mut manifest = Self::default();
        let Some(tree) = tree else { return manifest };
        let Some(dictionary) = first(tree.root_node(), "dictionary") else { return manifest };
        for pair in dictionary.named_children(&mut dictionary.walk()).filter(|node| node.kind() == "pair") {
            let (Some(key), Some(value)) = (pair.child_by_field_name("key"), pair.child_by_field_name("value")) else { continue };
            match content(key, text) {
                "data" => manifest.data = strings(value, text),
                "installable" => manifest.off = matches!(&text[value.byte_range()], "False" | "0" | "None"),
                _ => {}
            }
        }
        manifest
    }
}

fn first<'t>(node: Node<'t>, kind: &str) -> Option<Node<'t>> {
    // Only the outermost expression: a manifest is one literal.
    let mut current = node;
    while current.kind() != kind {
        current = current.named_children(&mut current.walk()).find(|child| child.kind() != "comment")?;
    }
    Some(current)
}

fn strings(node: Node<'_>, text: &str) -> BTreeSet<String> {
    let children: Vec<_> = node.named_children(&mut node.walk()).collect();
    children.into_iter().filter(|child| child.kind() == "string").map(|child| content(child, text).to_owned()).collect()
}

fn content<'t>(string: Node<'_>, text: &'t str) -> &'t str {
    text[string.byte_range()].trim_matches(['"', '\''])
}
