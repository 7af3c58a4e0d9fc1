//! Renamed fields inside views.

use roxmltree::Node;

use super::super::edit::{Edit, xml};
use super::super::renames::{To, find};

/// Fields, labels and anchors of a view of this Odoo model.
pub(super) fn edits(text: &str, arch: Node<'_, '_>, odoo_model: &str, major: u8, edits: &mut Vec<Edit>) {
    for node in arch.descendants().filter(|node| node.is_element() && *node != arch && of_the_view(*node, arch)) {
        let key = match node.tag_name().name() {
            "field" => "name",
            "label" => "for",
            "xpath" => {
                expr_edits(text, node, odoo_model, major, edits);
                continue;
            }
            _ => continue,
        };
        let Some(attribute) = node.attribute_node(key) else { continue };
        match find(major, odoo_model, attribute.value()) {
            Some(To::Field { write, .. }) => edits.extend(xml::value_range(text, &attribute).map(|range| Edit::new(range, write))),
            Some(To::Gone) if node.attribute("position").is_none() => edits.push(xml::remove_element(text, node)),
            _ => {}
        }
    }
}

/// Whether a node speaks of the view's own Odoo model, not of the rows of a field in it.
fn of_the_view(node: Node<'_, '_>, arch: Node<'_, '_>) -> bool {
    let within = node.ancestors().skip(1).take_while(|up| *up != arch).filter(Node::is_element);
    within.into_iter().all(|up| match up.tag_name().name() {
        "field" => matches!(up.attribute("position"), Some("before" | "after" | "replace")),
        // Behind a field in the path stand the rows of that field, unless the node is put beside it.
        "xpath" => !behind_a_field(up.attribute("expr").unwrap_or_default()),
        _ => true,
    })
}

/// Whether the path goes on into a view below a field.
fn behind_a_field(expr: &str) -> bool {
    expr.find("field[").is_some_and(|at| expr[at..].contains("]/"))
}

/// `@name='old'` of the only field in an xpath.
fn expr_edits(text: &str, node: Node<'_, '_>, odoo_model: &str, major: u8, edits: &mut Vec<Edit>) {
    let Some(range) = node.attribute_node("expr").and_then(|attribute| xml::value_range(text, &attribute)) else { return };
    let raw = &text[range.clone()];
    if behind_a_field(raw) {
        return;
    }
    for (at, key) in raw.match_indices("@name=") {
        let start = at + key.len() + 1;
        let Some(quote) = raw[at + key.len()..].chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
        let Some(length) = raw[start..].find(quote) else { continue };
        if let Some(To::Field { write, .. }) = find(major, odoo_model, &raw[start..start + length]) {
            edits.push(Edit::new(range.start + start..range.start + start + length, write));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::ErrorClass;
    use crate::rules::testing::mended_file;

    fn after(arch: &str) -> Option<String> {
        let file = |arch: &str| {
            format!(
                "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">ir.ui.menu</field><field name=\"arch\" type=\"xml\">{arch}</field></record></odoo>"
            )
        };
        let text = "Element '<field name=\"groups_id\">' cannot be located in parent view";
        let after = mended_file(&[("v.xml", &file(arch))], "v.xml", ErrorClass::ViewAnchorMissing, text)?;
        Some(after.split_once("type=\"xml\">").unwrap().1.strip_suffix("</field></record></odoo>").unwrap().to_owned())
    }

    #[test]
    fn anchors_labels_and_xpaths_follow() {
        for (before, expected) in [
            (
                "<field name='groups_id' position='after'><label for='groups_id'/></field>",
                "<field name='group_ids' position='after'><label for='group_ids'/></field>",
            ),
            (
                "<xpath expr=\"//field[@name='groups_id']\" position='after'/>",
                "<xpath expr=\"//field[@name='group_ids']\" position='after'/>",
            ),
            (
                "<form><field name='x_ids'><list><field name='groups_id'/></list></field><field name='groups_id'/></form>",
                "<form><field name='x_ids'><list><field name='groups_id'/></list></field><field name='group_ids'/></form>",
            ),
        ] {
            assert_eq!(after(before).as_deref(), Some(expected));
        }
    }

    #[test]
    fn rows_of_a_field_are_left() {
        assert_eq!(
            after(
                "<xpath expr=\"//field[@name='x_ids']/list/field[@name='groups_id']\" position='after'><field name='groups_id'/></xpath>"
            ),
            None
        );
    }
}
