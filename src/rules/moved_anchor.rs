//! What: an anchor that Odoo itself writes otherwise in every view of a kind is written as it is now.
//!
//! Why: the parent view has no such element any more: `cannot be located in parent view`.
//! Before: `<xpath expr="//div[hasclass('oe_chatter')]" …>`. After: `<xpath expr="//chatter" …>`.
//! Since: each row of the table says it.

use roxmltree::{Document, Node};

use super::edit::{Edit, apply, xml};
use super::{Case, Proposal, Rule, changed, proposal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "moved_anchor", classes: ErrorClass::ALL, since: 17, propose };

/// A step of a path: since, the old one (quotes as `'`), the new one.
const STEPS: &[(u8, &str, &str)] = &[
    (18, "div[hasclass('oe_chatter')]", "chatter"),
    (18, "div[@class='oe_chatter']", "chatter"),
    (18, "div[contains(@class,'oe_chatter')]", "chatter"),
    (18, "div[contains(@class, 'oe_chatter')]", "chatter"),
    (18, "t[@t-name='kanban-box']", "t[@t-name='card']"),
    (18, "templates//t[@t-name='kanban-menu']", "templates//t[@t-name='menu']"),
    (18, "t[@t-name='kanban-menu']", "t[@t-name='menu']"),
    (17, "div[hasclass('settings')]", "form"),
    (19, "group[@expand='0']", "group"),
    (19, "group[@expand='1']", "group"),
    (19, "group[@string='Group By']", "group"),
    (19, "group[@string='Group by']", "group"),
    (19, "group[@name='group_by']", "group"),
];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    if !case.report.text.contains("cannot be located in parent view") {
        return Vec::new();
    }
    let major = case.version.major();
    let changes = changed(case.addon, "xml", |text| apply(text, edits(text, major, &case.report.text)?));
    proposal("Odoo writes an element of its views otherwise: the anchors follow.", changes)
}

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
    for (since, old, new) in STEPS.iter().filter(|row| row.0 <= major) {
        // What only some views lost is touched only where the error names it.
        let reported = said.contains(&raw.replace('\'', "&#39;")) || said.contains(raw);
        if *since == 19 && !reported {
            continue;
        }
        let Some(at) = plain.find(old).filter(|at| plain[..*at].ends_with(['/', ':']) || *at == 0) else { continue };
        let new = if raw.contains('"') { new.replace('\'', "\"") } else { (*new).to_owned() };
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
    use crate::domain::ErrorClass;
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
