//! Renamed and removed fields inside views.

use std::ops::Range;

use roxmltree::Node;

use super::super::edit::python::{Source, children, field, is_reference};
use super::super::edit::{Edit, xml};
use super::super::renames::{Known, To, leads_to};

/// Attributes that hold Python expressions about the record.
const EXPRESSIONS: [&str; 4] = ["invisible", "readonly", "required", "column_invisible"];

/// Fields, labels, anchors, expressions and filters of a view of this Odoo model.
pub(super) fn edits(text: &str, arch: Node<'_, '_>, odoo_model: &str, known: &Known, edits: &mut Vec<Edit>) {
    // Not recursive: hostile nesting must not use up the stack.
    let mut stack: Vec<(Node<'_, '_>, Option<String>)> = arch.children().map(|node| (node, Some(odoo_model.to_owned()))).collect();
    while let Some((node, odoo_model)) = stack.pop() {
        if !node.is_element() {
            continue;
        }
        let Some(odoo_model) = odoo_model else {
            stack.extend(node.children().map(|child| (child, None)));
            continue;
        };
        let view = View { text, odoo_model: &odoo_model, known };
        let Some(below) = view.element(node, edits) else { continue };
        stack.extend(node.children().map(|child| (child, below.clone())));
    }
}

/// What is said of one Odoo model.
struct View<'a> {
    text: &'a str,
    odoo_model: &'a str,
    known: &'a Known,
}

impl View<'_> {
    /// Edits one element. `None` if it goes as a whole; else the Odoo model that its children speak of, if that is known.
    fn element(&self, node: Node<'_, '_>, edits: &mut Vec<Edit>) -> Option<Option<String>> {
        let same = Some(Some(self.odoo_model.to_owned()));
        self.expressions(node, edits);
        let beside = matches!(node.attribute("position"), Some("before" | "after" | "replace"));
        let key = match node.tag_name().name() {
            "field" => "name",
            "label" => "for",
            "filter" => {
                self.filter(node, edits);
                return same;
            }
            "xpath" => return self.xpath(node, beside, edits),
            _ => return same,
        };
        let Some(attribute) = node.attribute_node(key) else { return same };
        let (Some(range), name) = (xml::value_range(self.text, &attribute), attribute.value()) else { return same };
        match self.known.find(self.odoo_model, name) {
            Some(To::Field { write, .. } | To::Inverted { write }) => edits.push(Edit::new(range, write)),
            Some(To::Gone { near, idle }) if self.known.drops(self.odoo_model, name, idle, None) => {
                return self.gone(node, range, near, edits);
            }
            Some(To::Merged { into }) if self.stands_in(node, into) => edits.push(Edit::new(range, into)),
            Some(To::Merged { into }) => return self.gone(node, range, Some(into), edits),
            _ => {}
        }
        if key == "label" || beside {
            return same;
        }
        let has_view = node.children().any(|child| child.is_element());
        Some(if has_view { leads_to(Some(self.odoo_model), name).map(str::to_owned) } else { Some(self.odoo_model.to_owned()) })
    }

    /// Whether a field that was merged into another shows that one: in a view of its own that does not show it yet.
    fn stands_in(&self, node: Node<'_, '_>, into: &str) -> bool {
        let extends = node.ancestors().any(|up| up.has_attribute("position") || up.has_tag_name("xpath"));
        let view = node.ancestors().take_while(|up| up.attribute("name") != Some("arch")).filter(Node::is_element).last();
        let shown = view.is_some_and(|view| view.descendants().any(|other| other.attribute("name") == Some(into)));
        !extends && !shown
    }

    /// A field that is gone: its node goes, its anchor is taken by a field near it.
    fn gone(&self, node: Node<'_, '_>, name: Range<usize>, near: Option<&str>, edits: &mut Vec<Edit>) -> Option<Option<String>> {
        self.known.loses();
        let position = node.attribute_node("position");
        let empty = node.children().all(|child| !child.is_element());
        match (position.as_ref().map(roxmltree::Attribute::value), near) {
            (Some("before" | "after"), Some(near)) => edits.push(Edit::new(name, near)),
            (Some("replace"), Some(near)) if !empty => {
                edits.push(Edit::new(name, near));
                edits.extend(position.and_then(|position| xml::value_range(self.text, &position)).map(|range| Edit::new(range, "after")));
            }
            (Some("before" | "after"), None) => {}
            (Some("replace"), None) if !empty => {}
            _ => {
                edits.push(xml::remove_element(self.text, node));
                return None;
            }
        }
        Some(Some(self.odoo_model.to_owned()))
    }

    /// The steps of a path that name fields, each in the Odoo model to which the steps before it lead.
    fn xpath(&self, node: Node<'_, '_>, beside: bool, edits: &mut Vec<Edit>) -> Option<Option<String>> {
        let same = Some(Some(self.odoo_model.to_owned()));
        let Some(range) = node.attribute_node("expr").and_then(|attribute| xml::value_range(self.text, &attribute)) else { return same };
        let raw = &self.text[range.clone()];
        let mut now = Some(self.odoo_model.to_owned());
        let mut rest = 0;
        while let Some((start, end)) = next_name(raw, rest) {
            let after = raw[end..].find(']').map_or(raw.len(), |close| end + close + 1);
            let last = next_name(raw, after).is_none() && !raw[after..].contains('/');
            let name = &raw[start..end];
            let place = range.start + start..range.start + end;
            let Some(odoo_model) = now.as_deref() else { return Some(None) };
            match self.known.find(odoo_model, name) {
                Some(To::Field { write, .. } | To::Inverted { write }) => edits.push(Edit::new(place, write)),
                Some(To::Gone { near, idle }) if last && self.known.drops(odoo_model, name, idle, None) => {
                    return self.gone(node, place, near, edits);
                }
                Some(To::Merged { into }) if last => return self.gone(node, place, Some(into), edits),
                _ => {}
            }
            if last && beside {
                break;
            }
            // Only behind a field that holds records does the path go on in their view; the text of a label has no view.
            let is_field = raw[..start].rfind('[').is_some_and(|open| raw[..open].ends_with("field"));
            let goes_on = raw[after..].starts_with('/') || last && node.children().any(|child| child.is_element());
            if is_field && goes_on && !raw[after..].starts_with("/..") {
                now = leads_to(now.as_deref(), name).map(str::to_owned);
            }
            rest = after;
        }
        Some(now)
    }

    /// Names in conditions, as attributes or as overridden ones.
    fn expressions(&self, node: Node<'_, '_>, edits: &mut Vec<Edit>) {
        let holds = |name: &str| EXPRESSIONS.contains(&name) || name.starts_with("decoration-");
        for attribute in node.attributes().filter(|attribute| holds(attribute.name())) {
            if let Some(range) = xml::value_range(self.text, &attribute) {
                self.expression(range, edits);
            }
        }
        if node.has_tag_name("attribute")
            && node.attribute("name").is_some_and(holds)
            && let Some((range, _)) = xml::plain_text(self.text, node)
        {
            self.expression(range, edits);
        }
    }

    fn expression(&self, range: Range<usize>, edits: &mut Vec<Edit>) {
        let raw = &self.text[range.clone()];
        // With entities in it the positions in the value are not those in the file.
        let Some(source) = Some(raw).filter(|raw| !raw.contains('&')).map(str::trim_start).and_then(Source::parse) else { return };
        let shift = range.start + raw.len() - raw.trim_start().len();
        for node in source.all("identifier").filter(|node| is_reference(*node)) {
            let new = match self.known.find(self.odoo_model, source.of(node)) {
                Some(To::Field { write, .. } | To::Merged { into: write }) => write.to_owned(),
                Some(To::Inverted { write }) => format!("(not {write})"),
                _ => continue,
            };
            edits.push(Edit::new(shift + node.start_byte()..shift + node.end_byte(), new));
        }
    }

    /// What a filter searches and groups by.
    fn filter(&self, node: Node<'_, '_>, edits: &mut Vec<Edit>) {
        for attribute in node.attributes().filter(|attribute| matches!(attribute.name(), "domain" | "context")) {
            let Some(range) = xml::value_range(self.text, &attribute) else { continue };
            let Some(source) = Some(&self.text[range.clone()]).filter(|raw| !raw.contains('&')).and_then(Source::parse) else {
                continue;
            };
            for string in source.all("string") {
                let (Some(inside), Some(parent)) = (source.inside(string), string.parent()) else { continue };
                let asked = match parent.kind() {
                    "tuple" | "list" => children(parent).len() == 3 && children(parent).first() == Some(&string),
                    "pair" => field(parent, "key").is_some_and(|key| source.simple(key) == Some("group_by")),
                    _ => false,
                };
                let name = source.text[inside.clone()].split([':', '.']).next().unwrap_or_default();
                if let (true, Some(To::Field { write, .. })) = (asked, self.known.find(self.odoo_model, name)) {
                    let start = range.start + inside.start;
                    edits.push(Edit::new(start..start + name.len(), write));
                }
            }
        }
    }
}

/// Where the next `@name='…'` or `@for='…'` of a path holds its name.
fn next_name(raw: &str, from: usize) -> Option<(usize, usize)> {
    let rest = raw.get(from..)?;
    let (at, key) = [("@name=", 6), ("@for=", 5)].iter().filter_map(|(key, length)| Some((rest.find(key)?, *length))).min()?;
    let quote = rest[at + key..].chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let start = from + at + key + 1;
    Some((start, start + raw[start..].find(quote)?))
}

#[cfg(test)]
mod tests {
    use crate::domain::ErrorClass;
    use crate::rules::testing::mended_file;

    fn of(odoo_model: &str, old: &str, arch: &str) -> Option<String> {
        let file = |arch: &str| {
            format!(
                "<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"model\">{odoo_model}</field><field name=\"arch\" type=\"xml\">{arch}</field></record></odoo>"
            )
        };
        let text = format!("Element '<field name=\"{old}\">' cannot be located in parent view");
        let after = mended_file(&[("v.xml", &file(arch))], "v.xml", ErrorClass::ViewAnchorMissing, &text)?;
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
            (
                "<form><field name='a' invisible=\"groups_id and x.groups_id == 'groups_id'\"/></form>",
                "<form><field name='a' invisible=\"group_ids and x.groups_id == 'groups_id'\"/></form>",
            ),
            (
                "<search><filter name='groups_id' domain=\"[('groups_id', '=', 'groups_id')]\" context=\"{'group_by': 'groups_id'}\"/></search>",
                "<search><filter name='groups_id' domain=\"[('group_ids', '=', 'groups_id')]\" context=\"{'group_by': 'group_ids'}\"/></search>",
            ),
        ] {
            assert_eq!(of("ir.ui.menu", "groups_id", before).as_deref(), Some(expected));
        }
    }

    #[test]
    fn rows_of_an_unknown_field_are_left() {
        let arch =
            "<xpath expr=\"//field[@name='x_ids']/list/field[@name='groups_id']\" position='after'><field name='groups_id'/></xpath>";
        assert_eq!(of("ir.ui.menu", "groups_id", arch), None);
    }

    #[test]
    fn rows_of_a_known_field_follow() {
        for (before, expected) in [
            (
                "<xpath expr=\"//field[@name='order_line']/list/field[@name='tax_id']\" position='after'><field name='tax_id'/></xpath>",
                "<xpath expr=\"//field[@name='order_line']/list/field[@name='tax_ids']\" position='after'><field name='tax_ids'/></xpath>",
            ),
            (
                "<xpath expr=\"//field[@name='order_line']/list\" position='inside'><field name='tax_id'/></xpath>",
                "<xpath expr=\"//field[@name='order_line']/list\" position='inside'><field name='tax_ids'/></xpath>",
            ),
            (
                "<form><field name='order_line'><list><field name='tax_id'/></list></field></form>",
                "<form><field name='order_line'><list><field name='tax_ids'/></list></field></form>",
            ),
        ] {
            assert_eq!(of("sale.order", "tax_id", before).as_deref(), Some(expected));
        }
    }

    #[test]
    fn removed_fields_leave_their_anchors_to_others() {
        for (before, expected) in [
            (
                "<field name='mobile' position='after'><field name='a'/></field>",
                "<field name='phone' position='after'><field name='a'/></field>",
            ),
            (
                "<xpath expr=\"//field[@name='child_ids']/form//field[@name='title']\" position='after'><field name='a'/></xpath>",
                "<xpath expr=\"//field[@name='child_ids']/form//field[@name='function']\" position='after'><field name='a'/></xpath>",
            ),
            (
                "<field name='mobile' position='replace'><field name='a'/></field>",
                "<field name='phone' position='after'><field name='a'/></field>",
            ),
            ("<form><field name='mobile'/><field name='a'/></form>", "<form><field name='phone'/><field name='a'/></form>"),
            ("<form><field name='mobile'/><field name='phone'/></form>", "<form><field name='phone'/></form>"),
            ("<data><field name='title' position='attributes'><attribute name='invisible'>1</attribute></field></data>", "<data></data>"),
        ] {
            let old = if before.contains("mobile") { "mobile" } else { "title" };
            assert_eq!(of("res.partner", old, before).as_deref(), Some(expected));
        }
    }
}
