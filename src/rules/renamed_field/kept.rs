//! Whether a field that changed is only used with values that mean the same in the new one.

use roxmltree::Node as Element;
use tree_sitter::Node;

use super::super::edit::python::{Source, children, field};
use super::super::edit::xml;
use super::super::renames::Rename;
use super::super::scope::mentions;
use crate::odoo::Addon;

/// Whether every mention of the field in the addon's sources is held against such a value, or gives it to a record.
pub(super) fn is_kept(addon: &Addon, row: &Rename) -> bool {
    let mut found = 0;
    for (_, text) in addon.texts("py") {
        let all = mentions(text, &row.old);
        if all > 0 && Source::parse(text).is_none_or(|source| compared(&source, row) != all) {
            return false;
        }
        found += all;
    }
    for (_, text) in addon.texts("xml") {
        let all = mentions(text, &row.old);
        if all > 0 && xml::parse(text).is_none_or(|document| document.descendants().filter(|node| gives(text, *node, row)).count() != all) {
            return false;
        }
        found += all;
    }
    found > 0
}

/// How often Python holds the field against a value that means the same, as an attribute or in a domain.
fn compared(source: &Source<'_>, row: &Rename) -> usize {
    let keeps = |node: &Node<'_>| source.simple(*node).is_some_and(|value| row.keeps(value));
    let attribute = |node: &Node<'_>| {
        let up = node.parent().filter(|up| up.kind() == "comparison_operator");
        let sides = up.map(children).unwrap_or_default();
        let plain = up.is_some_and(|up| source.of(up).contains("==") || source.of(up).contains("!="));
        let is_field = field(*node, "attribute").is_some_and(|name| source.of(name) == row.old);
        is_field && plain && sides.len() == 2 && sides.iter().all(|side| side == node || keeps(side))
    };
    let term = |node: &Node<'_>| {
        let parts = node.parent().filter(|up| up.kind() == "tuple").map(children).unwrap_or_default();
        let [name, operator, value] = parts.as_slice() else { return false };
        name == node
            && source.simple(*name) == Some(row.old.as_str())
            && matches!(source.simple(*operator), Some("=" | "!="))
            && keeps(value)
    };
    source.all("attribute").filter(attribute).count() + source.all("string").filter(term).count()
}

/// Whether a data file gives a record of the Odoo model such a value.
fn gives(text: &str, node: Element<'_, '_>, row: &Rename) -> bool {
    let is_field = node.has_tag_name("field") && node.attribute("name") == Some(row.old.as_str());
    let of_model = node.parent_element().is_some_and(|record| record.attribute("model") == Some(row.odoo_model.as_str()));
    is_field && of_model && xml::plain_text(text, node).is_some_and(|(_, value)| row.keeps(value.trim()))
}

#[cfg(test)]
mod tests {
    use crate::domain::ErrorClass;
    use crate::rules::testing::{addon, candidates};

    fn is_safe(line: &str) -> bool {
        let python = format!("class A(models.Model):\n    _inherit = 'product.template'\n\n    def f(self):\n        return {line}\n");
        let found = candidates(
            &addon(&[("a.py", &python)]),
            ErrorClass::AttributeMissing,
            "'product.template' object has no attribute 'detailed_type'",
        );
        found.first().is_some_and(crate::rules::Candidate::is_safe)
    }

    #[test]
    fn value_that_means_the_same_is_safe_to_compare() {
        for line in ["self.detailed_type == 'service'", "self.search([('detailed_type', '=', 'service')])"] {
            assert!(is_safe(line), "{line}");
        }
        for line in ["self.detailed_type == 'product'", "self.detailed_type", "self.detailed_type == 'service' or self.detailed_type"] {
            assert!(!is_safe(line), "{line}");
        }
    }
}
