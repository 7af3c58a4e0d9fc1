//! What: a list view is written `<list>`, no longer `<tree>`.
//!
//! Why: Odoo 18 renamed the view type; `<tree>`, `view_mode` with `tree`, xpath steps and `tree_view_ref` all break.
//! Before: `<tree><field name="name"/></tree>`, `<field name="view_mode">tree,form</field>`.
//! After: `<list><field name="name"/></list>`, `<field name="view_mode">list,form</field>`.
//! Since: 18.

use std::ops::Range;

use roxmltree::Node;

use super::edit::python::{Source, children, field};
use super::edit::{Edit, apply, xml};
use super::{Case, Proposal, Rule, changed, proposal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule =
    Rule { name: "tree_to_list", classes: &[ErrorClass::ViewTypeTree, ErrorClass::FieldValueInvalid], since: 18, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    // A view may say its type itself, besides its root.
    if case.report.class == ErrorClass::FieldValueInvalid && !case.report.text.contains("ir.ui.view.type: 'tree'") {
        return Vec::new();
    }
    let mut changes = changed(case.addon, "xml", |text| apply(text, xml_edits(text)));
    changes.extend(changed(case.addon, "py", |text| apply(text, python_edits(text))));
    proposal("Odoo 18 renamed the view type tree to list: tags, xpaths, view modes and references follow.", changes)
}

fn xml_edits(text: &str) -> Vec<Edit> {
    let Some(document) = xml::parse(text) else { return Vec::new() };
    let mut edits = Vec::new();
    for (arch, _) in xml::archs(&document) {
        for node in arch.descendants().filter(Node::is_element) {
            if node.has_tag_name("tree") {
                edits.extend(xml::tag_ranges(text, node).into_iter().map(|range| Edit::new(range, "list")));
            }
            attribute_edits(text, node, &mut edits);
        }
    }
    for record in document.descendants().filter(|node| node.has_tag_name("record")) {
        for node in record.children().filter(|node| node.has_tag_name("field")) {
            record_field_edits(text, record.attribute("model").unwrap_or_default(), node, &mut edits);
        }
    }
    edits
}

/// Inside a view: xpath steps, `mode` of x2many fields, references in contexts.
fn attribute_edits(text: &str, node: Node<'_, '_>, edits: &mut Vec<Edit>) {
    for attribute in node.attributes() {
        let Some(range) = xml::value_range(text, &attribute) else { continue };
        let raw = &text[range.clone()];
        let found = match attribute.name() {
            "expr" if node.has_tag_name("xpath") => steps(raw),
            "mode" if node.has_tag_name("field") => tokens(raw),
            "context" => words(raw, "tree_view_ref"),
            _ => Vec::new(),
        };
        edits.extend(found.into_iter().map(|part| as_list(range.start + part.start..range.start + part.end)));
    }
}

/// In records: `view_mode` and `type` as text, `views` and code as Python.
fn record_field_edits(text: &str, odoo_model: &str, node: Node<'_, '_>, edits: &mut Vec<Edit>) {
    let name = node.attribute("name").unwrap_or_default();
    if let Some((range, raw)) = xml::plain_text(text, node) {
        let moved = |part: Range<usize>| as_list(range.start + part.start..range.start + part.end);
        match (odoo_model, name) {
            ("ir.actions.act_window" | "ir.actions.act_window.view", "view_mode") | ("ir.ui.view", "type") => {
                edits.extend(tokens(raw).into_iter().map(moved));
            }
            (_, "context") => edits.extend(words(raw, "tree_view_ref").into_iter().map(moved)),
            (_, "code") => edits.extend(shifted(python_edits(raw), range.start)),
            _ => {}
        }
    }
    let eval = node.attribute_node("eval").filter(|_| matches!(name, "views" | "view_ids" | "context"));
    if let Some(range) = eval.and_then(|attribute| xml::value_range(text, &attribute)) {
        let raw = &text[range.clone()];
        // With entities in it the positions in the value are not those in the file.
        if !raw.contains('&') {
            edits.extend(shifted(python_edits(raw), range.start));
        }
    }
}

fn shifted(edits: Vec<Edit>, by: usize) -> impl Iterator<Item = Edit> {
    edits.into_iter().map(move |edit| Edit::new(edit.range.start + by..edit.range.end + by, edit.text))
}

/// `tree` stands at the start of the span, as in `tree_view_ref`; the rest stays.
fn as_list(range: Range<usize>) -> Edit {
    Edit::new(range.start..range.start + 4, "list")
}

/// `tree` among names separated by commas.
fn tokens(raw: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut found = Vec::new();
    for part in raw.split(',') {
        if part.trim() == "tree" {
            let at = start + (part.len() - part.trim_start().len());
            found.push(at..at + 4);
        }
        start += part.len() + 1;
    }
    found
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Whole words.
fn words(raw: &str, word: &str) -> Vec<Range<usize>> {
    let alone = |at: &usize| !raw[..*at].ends_with(is_name) && !raw[at + word.len()..].starts_with(is_name);
    raw.match_indices(word).map(|(at, _)| at).filter(alone).map(|at| at..at + word.len()).collect()
}

/// Steps of an xpath that name the element `tree`; attributes, functions and quoted text are something else.
fn steps(raw: &str) -> Vec<Range<usize>> {
    let quoted_before = |at: usize| {
        let mut quote = None;
        for c in raw[..at].chars().filter(|c| matches!(c, '"' | '\'')) {
            quote = match quote {
                None => Some(c),
                Some(open) if open == c => None,
                open => open,
            };
        }
        quote.is_some()
    };
    let is_step = |range: &Range<usize>| {
        let (before, after) = (raw[..range.start].trim_end(), raw[range.end..].trim_start());
        !before.ends_with(['@', '$', ';']) && !before.ends_with("attribute::") && !after.starts_with('(') && !quoted_before(range.start)
    };
    words(raw, "tree").into_iter().filter(is_step).collect()
}

fn python_edits(text: &str) -> Vec<Edit> {
    let Some(source) = Source::parse(text.trim_end()) else { return Vec::new() };
    let mut edits = Vec::new();
    for node in source.all("string") {
        let Some(range) = source.inside(node) else { continue };
        let value = &text[range.clone()];
        if value == "tree_view_ref" {
            edits.push(as_list(range));
        } else if is_view_mode(&source, node) || (value == "tree" && (is_view_entry(node) || is_view_type(&source, node))) {
            edits.extend(tokens(value).into_iter().map(|part| as_list(range.start + part.start..range.start + part.end)));
        }
    }
    let names = source.all("keyword_argument").filter_map(|argument| field(argument, "name"));
    edits.extend(names.filter(|name| source.of(*name) == "tree_view_ref").map(|name| as_list(name.byte_range())));
    edits
}

/// The name that a value is stored under: a key, an argument keyword or a subscript.
fn stored_under(source: &Source<'_>, value: tree_sitter::Node<'_>) -> Option<String> {
    let parent = value.parent()?;
    match parent.kind() {
        "pair" if field(parent, "value") == Some(value) => source.literal(field(parent, "key")?),
        "keyword_argument" => Some(source.of(field(parent, "name")?).to_owned()),
        "assignment" if field(parent, "right") == Some(value) => {
            let left = field(parent, "left")?;
            let key = if left.kind() == "subscript" { field(left, "subscript")? } else { return None };
            source.literal(key)
        }
        _ => None,
    }
}

fn is_view_mode(source: &Source<'_>, node: tree_sitter::Node<'_>) -> bool {
    stored_under(source, node).as_deref() == Some("view_mode")
}

/// `(view.id, "tree")` in a list, as `views` holds it.
fn is_view_entry(node: tree_sitter::Node<'_>) -> bool {
    let Some(entry) = node.parent().filter(|parent| matches!(parent.kind(), "tuple" | "list")) else { return false };
    let in_list = entry.parent().is_some_and(|outer| outer.kind() == "list");
    matches!(children(entry).as_slice(), [id, kind] if *kind == node && !matches!(id.kind(), "string" | "concatenated_string")) && in_list
}

/// `view_type="tree"` and `view_type == "tree"`.
fn is_view_type(source: &Source<'_>, node: tree_sitter::Node<'_>) -> bool {
    let Some(parent) = node.parent() else { return false };
    match parent.kind() {
        "keyword_argument" => stored_under(source, node).as_deref() == Some("view_type"),
        "comparison_operator" => children(parent).first().is_some_and(|left| source.of(*left) == "view_type"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{candidates, first_diff, fixture, mended_file};

    const CLASS: ErrorClass = ErrorClass::ViewTypeTree;

    fn in_view(arch: &str) -> String {
        format!("<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\">{arch}</field></record></odoo>")
    }

    #[test]
    fn whole_addon_follows() {
        insta::assert_snapshot!(first_diff(&fixture("tree_to_list", "everything"), CLASS, ""));
    }

    #[test]
    fn probe_is_mended() {
        insta::assert_snapshot!(first_diff(&fixture("tree_to_list", "p_tree"), CLASS, ""));
    }

    #[test]
    fn both_tags_on_one_line() {
        let before = in_view("<tree><field name='a'/></tree>");
        assert_eq!(mended_file(&[("v.xml", &before)], "v.xml", CLASS, "").unwrap(), in_view("<list><field name='a'/></list>"));
    }

    #[test]
    fn only_steps_of_an_xpath() {
        for (before, after) in [
            ("//tree", "//list"),
            ("/tree/field[@name='tree']", "/list/field[@name='tree']"),
            ("//field[@name='line_ids']/tree[@tree='x']/..", "//field[@name='line_ids']/list[@tree='x']/.."),
            ("tree", "list"),
            ("//treeview", "//treeview"),
            ("//field[@name='a.tree']", "//field[@name='a.tree']"),
            ("//field[ancestor::tree]", "//field[ancestor::list]"),
        ] {
            let edits = steps(before).into_iter().map(as_list).collect();
            assert_eq!(apply(before, edits).unwrap_or_else(|| before.to_owned()), after);
        }
    }

    #[test]
    fn words_and_other_tags_stay() {
        let before = in_view("<form><treeview/><p>a tree</p><field name='tree' string='tree'/></form>");
        assert!(
            candidates(&crate::rules::testing::addon(&[("v.xml", &before), ("a.py", "x = 'tree'\ny = {'kind': 'tree'}\n")]), CLASS, "")
                .is_empty()
        );
    }

    #[test]
    fn older_odoo_is_left_alone() {
        let addon = fixture("tree_to_list", "p_tree");
        let report = crate::rules::testing::report(CLASS, "");
        assert!(
            crate::rules::propose(&Case { report: &report, addon: &addon, version: &"17.0".parse().unwrap(), index: Default::default() })
                .is_empty()
        );
    }
}
