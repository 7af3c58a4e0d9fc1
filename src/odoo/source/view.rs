//! What stands in a view together with everything that extends it.

use roxmltree::{Document, Node, ParsingOptions};

/// How deep the elements of a view may stand.
const MAX_DEPTH: usize = 100;

/// One element of a view that an inheriting view could hold on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Its tag: `field`, `page`, `button` …
    pub tag: String,
    /// Its attributes, in the order in which they stand.
    pub attributes: Vec<(String, String)>,
    /// The tags of the elements around it, the outermost first.
    pub within: Vec<String>,
    /// The external id of the view that brings it.
    pub view: String,
}

impl Anchor {
    /// The value of an attribute.
    pub fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.as_str())
    }

    /// Its `name`.
    pub fn name(&self) -> Option<&str> {
        self.get("name")
    }
}

/// The elements of an arch, in reading order. Of an extension, those that it brings: not the specs that say where they go.
pub(super) fn anchors(view: &str, arch: &str, is_extension: bool) -> Vec<Anchor> {
    let options = ParsingOptions { nodes_limit: 100_000, ..ParsingOptions::default() };
    let Ok(document) = Document::parse_with_options(arch, options) else { return Vec::new() };
    // Each element keeps what is around it; no view that people write is as deep.
    if document.descendants().any(|node| !node.has_children() && node.ancestors().nth(MAX_DEPTH).is_some()) {
        return Vec::new();
    }
    let brought = |node: &Node<'_, '_>| !is_extension || !is_spec(*node, document.root_element());
    let elements = document.descendants().filter(|node| node.is_element() && brought(node));
    elements.map(|node| anchor(view, node)).collect()
}

/// Whether an element of an extension only says where something goes.
fn is_spec(node: Node<'_, '_>, root: Node<'_, '_>) -> bool {
    let wrapper = |node: Node<'_, '_>| matches!(node.tag_name().name(), "data" | "template" | "odoo");
    node == root
        || node.tag_name().name() == "xpath"
        || node.attribute("position").is_some()
        || (wrapper(node) && node.parent() == Some(root))
        || node.tag_name().name() == "attribute"
        || node
            .parent_element()
            .is_some_and(|parent| parent == root && wrapper(root) && node.attribute("position").is_none() && node.tag_name().name() != "t")
}

fn anchor(view: &str, node: Node<'_, '_>) -> Anchor {
    let mut within: Vec<String> = node.ancestors().skip(1).filter(Node::is_element).map(|up| up.tag_name().name().to_owned()).collect();
    within.reverse();
    Anchor {
        tag: node.tag_name().name().to_owned(),
        attributes: node.attributes().map(|attribute| (attribute.name().to_owned(), attribute.value().to_owned())).collect(),
        within,
        view: view.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extension_brings_what_it_puts_in() {
        let arch = r#"<data><xpath expr="//field[@name='a']" position="after"><group><field name="b"/></group></xpath><field name="c" position="after"><field name="d"/></field></data>"#;
        let names: Vec<String> =
            anchors("m.v", arch, true).iter().map(|found| format!("{} {}", found.tag, found.name().unwrap_or("-"))).collect();
        assert_eq!(names, ["group -", "field b", "field d"]);
        let lone = anchors("m.v", r#"<field name="a" position="after"><field name="b"/></field>"#, true);
        assert_eq!(lone.iter().filter_map(Anchor::name).collect::<Vec<_>>(), ["b"]);
        let base = anchors("m.v", r#"<form><sheet><field name="a"/></sheet></form>"#, false);
        assert_eq!(base[2].within, ["form", "sheet"]);
        assert!(anchors("m.v", "<form", false).is_empty());
        let deep = format!("{}{}", "<a>".repeat(20_000), "</a>".repeat(20_000));
        assert!(anchors("m.v", &deep, false).is_empty());
    }
}
