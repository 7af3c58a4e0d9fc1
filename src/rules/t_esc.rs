//! What: `t-esc` becomes `t-out`, in templates, views and what extends them.
//!
//! Why: Odoo 20 has no `t-esc`. A template with it shows nothing and logs `Unknown directives or unused attributes`, a kanban view is
//! refused, and an anchor that names it is not found, since Odoo's own templates say `t-out`. Both escape what is no markup.
//! Before: `<span t-esc="o.name"/>`. After: `<span t-out="o.name"/>`.
//! `t-raw` is left: it did not escape, so that only a person can say what its value holds.
//! Not sure: nothing was run against Odoo 20.
//! Since: Odoo 20.

use super::edit::{Edit, apply, xml};
use super::meaning::only_read;
use super::{Case, Proposal, Rule, changed, unsure};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "t_esc", classes: ErrorClass::ALL, since: 20, propose };

const OLD: &str = "t-esc";
const NEW: &str = "t-out";

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    if !case.report.text.contains(OLD) {
        return Vec::new();
    }
    let changes = changed(case.addon, "xml", |text| apply(text, edits(text)?));
    unsure("Odoo has no `t-esc` any more: `t-out` takes its place.", only_read(20), changes)
}

fn edits(text: &str) -> Option<Vec<Edit>> {
    let document = xml::parse(text)?;
    let mut edits = Vec::new();
    for node in document.descendants() {
        // An element with both says two things; which of them counts is not for a rule to say.
        if let Some(directive) = node.attribute_node(OLD).filter(|_| !node.has_attribute(NEW)) {
            let start = directive.range().start;
            edits.push(Edit::new(start..start + OLD.len(), NEW));
        }
        let names_it = node.has_tag_name("attribute");
        for attribute in node.attributes() {
            let Some(range) = xml::value_range(text, &attribute) else { continue };
            match attribute.name() {
                "name" if names_it && attribute.value() == OLD => edits.push(Edit::new(range, NEW)),
                "expr" => {
                    let found = anchors(&text[range.clone()]).map(|at| range.start + at..range.start + at + OLD.len());
                    edits.extend(found.map(|place| Edit::new(place, NEW)));
                }
                _ => {}
            }
        }
    }
    Some(edits)
}

/// Where a path asks for the attribute.
fn anchors(path: &str) -> impl Iterator<Item = usize> {
    let ends = |at: usize| !path[at + OLD.len()..].starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_'));
    path.match_indices("@t-esc").map(|(at, _)| at + 1).filter(move |at| ends(*at))
}

#[cfg(test)]
mod tests {
    use crate::domain::ErrorClass;
    use crate::rules::testing::{addon, candidates_in};

    fn after(version: &str, xml: &str) -> Option<String> {
        let text = "Unknown directives or unused attributes: {'t-esc'} in m.t";
        let found = candidates_in(version, &addon(&[("v.xml", xml)]), ErrorClass::Other, text);
        let only = found.into_iter().find(|candidate| candidate.rule == "t_esc")?;
        assert!(!only.is_safe() && only.name() == "t_esc?");
        Some(only.patch.changes()[0].after.clone())
    }

    #[test]
    fn directives_and_anchors_follow() {
        for (before, expected) in [
            ("<t><p class='a'  t-esc=\"o.name\"/></t>", "<t><p class='a'  t-out=\"o.name\"/></t>"),
            ("<t><attribute name=\"t-esc\">o.x</attribute></t>", "<t><attribute name=\"t-out\">o.x</attribute></t>"),
            ("<t><xpath expr=\"//p[@t-esc='o.x']\"/></t>", "<t><xpath expr=\"//p[@t-out='o.x']\"/></t>"),
        ] {
            assert_eq!(after("20.0", before).as_deref(), Some(expected));
        }
    }

    #[test]
    fn other_texts_and_versions_are_left() {
        for text in [
            "<t><p t-raw=\"o.x\"/></t>",
            "<t><p t-esc=\"x\" t-out=\"y\"/></t>",
            "<t><p>t-esc=\"x\"</p><x expr=\"@t-escape\"/></t>",
            "<t",
            "",
        ] {
            assert_eq!(after("20.0", text), None, "{text}");
        }
        assert_eq!(after("19.0", "<t><p t-esc=\"o.name\"/></t>"), None);
    }
}
