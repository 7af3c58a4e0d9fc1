//! What: `expand`, `string` and `col` leave the `<group>` elements of search views.
//!
//! Why: the schema of search views in Odoo 19 no longer knows them; the reason stands only in the warnings before the error.
//! Before: `<search><group expand="0" string="Group By" name="g">…</group></search>`.
//! After: `<search><group name="g">…</group></search>`.
//! Since: 19.

use roxmltree::{Document, Node};

use super::edit::{Edit, apply, xml};
use super::{Case, Proposal, Rule, changed, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "search_group_attributes", classes: &[ErrorClass::ViewInvalid], since: 19, propose };

/// Attributes that the schema dropped; `name`, `invisible`, `groups` and sizes are still allowed.
const DROPPED: [&str; 3] = ["expand", "string", "col"];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    if !case.report.text.contains("RELAXNG") {
        return Vec::new();
    }
    let changes = changed(case.addon, "xml", |text| apply(text, edits(text)?));
    graded("Odoo 19 refuses expand and string on a group of a search view: they are removed.", asked_for(case), changes)
}

/// Why the attributes may be missed: Python of the addon looks an element up by one of them.
fn asked_for(case: &Case<'_>) -> Option<String> {
    let lookups =
        DROPPED.iter().flat_map(|name| [format!("@{name}"), format!("get(\"{name}\"")].into_iter().chain([format!("get('{name}'")]));
    let lookups: Vec<String> = lookups.collect();
    let (path, _) = case.addon.texts("py").find(|(_, text)| lookups.iter().any(|lookup| text.contains(lookup.as_str())))?;
    Some(format!("{path} looks elements of views up by an attribute that goes."))
}

fn edits(text: &str) -> Option<Vec<Edit>> {
    let document: Document<'_> = xml::parse(text)?;
    let groups =
        xml::archs(&document).flat_map(|(arch, _)| arch.descendants()).filter(|node| node.has_tag_name("group") && in_search(*node));
    let dropped = groups.flat_map(|group| group.attributes()).filter(|attribute| DROPPED.contains(&attribute.name()));
    Some(dropped.map(|attribute| Edit::remove(xml::with_gap(text, &attribute))).collect())
}

/// In a search view, or in what is added to one: only there a group holds filters.
fn in_search(group: Node<'_, '_>) -> bool {
    group.ancestors().any(|node| node.has_tag_name("search")) || group.children().any(|node| node.has_tag_name("filter"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{candidates, first_diff, fixture};

    const CLASS: ErrorClass = ErrorClass::ViewInvalid;
    const TEXT: &str = "<string>:4:0:ERROR:RELAXNGV:RELAXNG_ERR_INVALIDATTR: Invalid attribute expand for element group";

    #[test]
    fn probe_is_mended() {
        insta::assert_snapshot!(first_diff(&fixture("search_group_attributes", "p_search"), CLASS, TEXT));
    }

    #[test]
    fn only_groups_of_search_views() {
        insta::assert_snapshot!(first_diff(&fixture("search_group_attributes", "everything"), CLASS, TEXT));
    }

    #[test]
    fn attribute_that_python_asks_for_is_missed() {
        let view = "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><search><group expand=\"0\" string=\"A\"><filter name=\"f\"/></group></search></field></record></odoo>";
        let is_safe = |python: &str| {
            let addon = crate::rules::testing::addon(&[("v.xml", view), ("a.py", python)]);
            candidates(&addon, CLASS, TEXT).iter().all(super::super::Candidate::is_safe)
        };
        assert!(is_safe("x = arch.xpath(\"//group[@name='g']\")\n"));
        assert!(!is_safe("x = arch.xpath(\"//group[@string='A']\")\n"));
    }

    #[test]
    fn other_invalid_views_are_left() {
        assert!(candidates(&fixture("search_group_attributes", "p_search"), CLASS, "Invalid view x definition").is_empty());
    }
}
