//! What: an anchor that Odoo itself writes otherwise in every view of a kind is written as it is now.
//!
//! Why: the parent view has no such element any more: `cannot be located in parent view`.
//! Before: `<xpath expr="//div[hasclass('oe_chatter')]" …>`. After: `<xpath expr="//chatter" …>`.
//! A group of a search is no longer found by its label, which Odoo refuses as a selector: the only group of the parent is the one.
//! Since: each row of `changes/anchors.csv` says it.

use std::sync::LazyLock;

use regex::Regex;
use roxmltree::{Document, Node};
use serde::Deserialize;

use super::edit::{Edit, apply, xml};
use super::meaning::{Meaning, joined};
use super::renames::rows;
use super::{Case, FileChange, Proposal, Rule, changed, graded, proposal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "moved_anchor", classes: ErrorClass::ALL, since: 17, propose };

/// A step of a path that is written otherwise since a version.
#[derive(Debug, Deserialize)]
struct Step {
    /// The first major version with the new one.
    since: u8,
    /// As it was, its quotes `'`.
    old: String,
    /// As it is now.
    new: String,
    /// `yes` for what only some views lost: it is touched only where the error names it.
    only_reported: String,
    meaning: Meaning,
    evidence: String,
}

static STEPS: LazyLock<Vec<Step>> = LazyLock::new(|| rows(include_str!("changes/anchors.csv")));

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let is_lost = case.report.text.contains("cannot be located in parent view");
    let is_refused = case.report.text.contains("may not use attribute") && case.report.text.contains("as a selector");
    if !is_lost && !is_refused {
        return Vec::new();
    }
    let groups = only_groups(case);
    if !groups.is_empty() {
        return proposal(
            "Odoo's group of a search view has no label any more, and the parent view has one group: the anchor is that one.",
            groups,
        );
    }
    if !is_lost {
        return Vec::new();
    }
    let major = case.version.major();
    let mut doubts = Vec::new();
    let changes = changed(case.addon, "xml", |text| apply(text, edits(text, major, &case.report.text)?));
    for step in STEPS.iter().filter(|step| step.since <= major) {
        let written = |text: &str| text.replace('"', "'").matches(step.old.as_str()).count();
        // A step of a path that is not followed any more was taken by its row.
        if changes.iter().any(|change| change.before.as_deref().is_some_and(|before| written(before) > written(&change.after))) {
            doubts.extend(step.meaning.doubt(&step.old, &step.new, &step.evidence));
        }
    }
    graded("Odoo writes an element of its views otherwise: the anchors follow.", joined(doubts), changes)
}

/// The views whose anchor is a group by a label, where the search view that they extend has just one group and none with that label.
fn only_groups(case: &Case<'_>) -> Vec<FileChange> {
    let Some(pattern) = LABELLED.as_ref() else { return Vec::new() };
    let module = case.addon.name().as_str();
    let names = case.index.closure(module);
    changed(case.addon, "xml", |text| {
        let document = xml::parse(text)?;
        let mut edits = Vec::new();
        for (arch, _) in xml::archs(&document) {
            let Some(id) = arch.parent_element().and_then(|view| view.attribute("id")) else { continue };
            let view = if id.contains('.') { id.to_owned() } else { format!("{module}.{id}") };
            let anchors = case.index.anchors(&view, &names, Some(&view));
            let mut groups =
                anchors.iter().filter(|anchor| anchor.tag == "group" && anchor.within.first().is_some_and(|root| root == "search"));
            let (Some(only), None) = (groups.next(), groups.next()) else { continue };
            for node in arch.descendants().filter(|node| node.has_tag_name("xpath") && node.attribute("position").is_some()) {
                let Some(range) = node.attribute_node("expr").and_then(|attribute| xml::value_range(text, &attribute)) else { continue };
                let raw = &text[range.clone()];
                let Some(found) = pattern.captures(raw) else { continue };
                // What groups belongs to what groups, and a condition to conditions.
                let groups_by = |context: Option<&str>| context.is_some_and(|context| context.contains("group_by"));
                let brought: Vec<bool> =
                    node.descendants().filter(|new| new.has_tag_name("filter")).map(|new| groups_by(new.attribute("context"))).collect();
                let mut there =
                    anchors.iter().filter(|anchor| anchor.tag == "filter" && anchor.within.last().is_some_and(|tag| tag == "group"));
                let kind = brought.first().copied().unwrap_or_default();
                let is_alike = !brought.is_empty()
                    && brought.iter().all(|one| *one == kind)
                    && there.all(|anchor| groups_by(anchor.get("context")) == kind);
                let is_there = only.get(&found[1]) == Some(&found[2]) && case.report.text.contains("cannot be located");
                if is_there || !is_alike {
                    continue;
                }
                edits.push(Edit::new(range, "//group"));
            }
        }
        apply(text, edits)
    })
}

/// `//group[@string='Group By']`, and nothing behind it.
static LABELLED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^(?://|/search/)group\[@(string|expand)=(?:'|"|&quot;|&apos;)([^'"&\]]*)(?:'|"|&quot;|&apos;)\]$"#).ok()
});

fn edits(text: &str, major: u8, said: &str) -> Option<Vec<Edit>> {
    let document: Document<'_> = xml::parse(text)?;
    let mut edits = Vec::new();
    for (arch, odoo_model) in xml::archs(&document) {
        for node in arch.descendants().filter(Node::is_element) {
            if node.has_tag_name("xpath") {
                path_edits(text, node, major, odoo_model == Some("res.config.settings"), said, &mut edits);
            } else if major >= 18 && is_chatter(node) {
                edits.extend(xml::tag_ranges(text, node).into_iter().map(|range| Edit::new(range, "chatter")));
                edits.extend(node.attribute_node("class").map(|class| Edit::remove(xml::with_gap(text, &class))));
            }
        }
    }
    Some(edits)
}

/// `<div class="oe_chatter" position="…">`.
fn is_chatter(node: Node<'_, '_>) -> bool {
    node.has_tag_name("div") && node.attribute("class") == Some("oe_chatter") && node.attribute("position").is_some()
}

fn path_edits(text: &str, node: Node<'_, '_>, major: u8, settings: bool, said: &str, edits: &mut Vec<Edit>) {
    let Some(range) = node.attribute_node("expr").and_then(|attribute| xml::value_range(text, &attribute)) else { return };
    let raw = &text[range.clone()];
    let plain = raw.replace('"', "'");
    let reported = said.contains(&raw.replace('\'', "&#39;")) || said.contains(raw);
    for Step { old, new, .. } in STEPS.iter().filter(|step| step.since <= major && (reported || step.only_reported.is_empty())) {
        let Some(at) = plain.find(old.as_str()).filter(|at| plain[..*at].ends_with(['/', ':']) || *at == 0) else { continue };
        let new = if raw.contains('"') { new.replace('\'', "\"") } else { new.clone() };
        edits.push(Edit::new(range.start + at..range.start + at + old.len(), new));
        return;
    }
    if settings {
        settings_edit(&plain, range.start, edits);
    }
}

/// The form of settings is made of apps, blocks and settings since Odoo 17, with the ids and keys that its boxes had.
fn settings_edit(plain: &str, start: usize, edits: &mut Vec<Edit>) {
    if let Some(at) = plain.find("div[@data-key='") {
        edits.push(Edit::new(start + at..start + at + "div[@data-key=".len(), "app[@name="));
    } else if let Some(at) = plain.find("div[@id='").filter(|at| plain[..*at].ends_with('/')) {
        edits.push(Edit::new(start + at..start + at + "div".len(), "*"));
    }
}

#[cfg(test)]
mod tests {
    use super::STEPS;
    use crate::domain::ErrorClass;
    use crate::rules::testing_index::candidates;

    #[test]
    fn only_group_of_a_search_is_the_one_that_had_the_label() {
        let text = "View inheritance may not use attribute 'string' as a selector.";
        let view = |id: &str, parent: &str, arch: &str| {
            format!(
                "<record id=\"{id}\" model=\"ir.ui.view\"><field name=\"model\">res.partner</field>{parent}<field name=\"arch\" type=\"xml\">{arch}</field></record>"
            )
        };
        let group = |by: &str| format!("<group><filter name=\"a\" {by}/></group>");
        let (grouping, asking) = (group("context=\"{'group_by': 'a'}\""), group("domain=\"[('a', '=', 1)]\""));
        let more = |path: &str| {
            let arch = format!("<xpath expr=\"{path}\" position=\"inside\"><filter name=\"b\" context=\"{{'group_by': 'b'}}\"/></xpath>");
            view("t", "<field name=\"inherit_id\" ref=\"s\"/>", &arch)
        };
        let first = |groups: &str| {
            let search = view("s", "", &format!("<search>{groups}</search>"));
            let file = format!("<odoo>{search}{}</odoo>", more("//group[@string='Group By']"));
            let files = [("__manifest__.py", "{'depends': ['base'], 'data': ['v.xml']}"), ("v.xml", file.as_str())];
            candidates(&files, ErrorClass::ViewInvalid, text).into_iter().find(|one| one.rule == "moved_anchor")
        };
        let found = first(&grouping).unwrap();
        assert!(found.is_safe());
        assert!(found.patch.changes()[0].after.contains(&more("//group")));
        assert!(first(&asking).is_none());
        assert!(first(&format!("{grouping}{asking}")).is_none());
    }
    use crate::rules::testing::mended_file;

    fn of(odoo_model: &str, arch: &str) -> Option<String> {
        let file = |arch: &str| {
            format!(
                "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">{odoo_model}</field><field name=\"arch\" type=\"xml\">{arch}</field></record></odoo>"
            )
        };
        let text = "Element '<xpath expr=\"//group[@expand=&#39;0&#39;]\">' cannot be located in parent view";
        let after = mended_file(&[("v.xml", &file(arch))], "v.xml", ErrorClass::ViewAnchorMissing, text)?;
        Some(after.split_once("type=\"xml\">").unwrap().1.strip_suffix("</field></record></odoo>").unwrap().to_owned())
    }

    #[test]
    fn every_row_is_read() {
        assert_eq!(STEPS.len() + 1, include_str!("changes/anchors.csv").lines().count());
        for step in STEPS.iter() {
            assert!((16..=20).contains(&step.since) && step.old != step.new && !step.old.contains('"'), "{step:?}");
            assert!(["", "yes"].contains(&step.only_reported.as_str()) && step.evidence.len() > 5, "{step:?}");
        }
    }

    #[test]
    fn anchors_are_written_as_they_are_now() {
        for (before, after) in [
            ("<xpath expr=\"//div[hasclass('oe_chatter')]\" position=\"before\"/>", "<xpath expr=\"//chatter\" position=\"before\"/>"),
            ("<div class=\"oe_chatter\" position=\"before\"><p/></div>", "<chatter position=\"before\"><p/></chatter>"),
            (
                "<xpath expr='//t[@t-name=\"kanban-box\"]/div' position='inside'/>",
                "<xpath expr='//t[@t-name=\"card\"]/div' position='inside'/>",
            ),
            ("<xpath expr=\"//group[@expand='0']\" position=\"inside\"/>", "<xpath expr=\"//group\" position=\"inside\"/>"),
        ] {
            assert_eq!(of("m.x", before).as_deref(), Some(after));
        }
    }

    #[test]
    fn settings_are_apps_and_blocks() {
        let before = "<xpath expr=\"//div[@data-key='sale']//div[@id='a']\" position=\"inside\"/>";
        assert_eq!(of("res.config.settings", before).unwrap(), before.replace("div[@data-key=", "app[@name="));
        let before = "<xpath expr=\"//div[@id='a']\" position=\"inside\"/>";
        assert_eq!(of("res.config.settings", before).unwrap(), before.replace("div", "*"));
        assert_eq!(of("m.x", before), None);
    }
}
