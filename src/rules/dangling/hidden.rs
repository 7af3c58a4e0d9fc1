//! Parts of inheriting views that only hide or take away a field which is gone: what they wanted is so.

use roxmltree::Node;

use super::super::edit::{Edit, apply, xml};
use super::super::scope::Scope;
use super::super::{Case, FileChange, change};

/// The addon's views without such parts; none if there are none, or nothing would be left of a view.
pub(super) fn gone(case: &Case<'_>, scope: &Scope<'_>) -> Vec<FileChange> {
    let mut changes = Vec::new();
    for (path, text) in case.addon.texts("xml") {
        let Some(document) = xml::parse(text) else { continue };
        let mut edits: Vec<Edit> = Vec::new();
        for (arch, odoo_model) in xml::archs(&document) {
            let Some(odoo_model) = odoo_model.filter(|odoo_model| scope.has_model(odoo_model)) else { continue };
            let Some(id) = arch.parent_element().and_then(|view| view.attribute("id")) else { continue };
            let view = if id.contains('.') { id.to_owned() } else { format!("{}.{id}", scope.module) };
            let anchors = scope.index.anchors(&view, &scope.names, Some(&view));
            let fields = scope.fields(odoo_model);
            let is_gone = |name: &str| !fields.contains_key(name) && !anchors.iter().any(|anchor| anchor.get("name") == Some(name));
            let parts: Vec<Node<'_, '_>> = arch.descendants().filter(|node| hidden(*node).is_some_and(is_gone)).collect();
            let outer = arch.children().find(|child| child.has_tag_name("data")).unwrap_or(arch);
            let left = outer.children().filter(|child| child.is_element() && !parts.contains(child)).count();
            if !anchors.is_empty() && !fields.is_empty() && left > 0 {
                edits.extend(parts.into_iter().map(|part| xml::remove_element(text, part)));
            }
        }
        changes.extend(apply(text, edits).map(|after| change(path, text, after)));
    }
    changes
}

/// The field that a part of a view only hides or takes away; `None` if it does anything else.
pub(crate) fn hidden<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    let position = node.attribute("position")?;
    let elements: Vec<Node<'_, '_>> = node.children().filter(Node::is_element).collect();
    let is_blank = node.children().filter(Node::is_text).all(|text| text.text().unwrap_or_default().trim().is_empty());
    let hides = |child: &Node<'_, '_>| {
        child.has_tag_name("attribute")
            && matches!(child.attribute("name"), Some("invisible" | "column_invisible"))
            && matches!(child.text().map(str::trim), Some("1" | "True"))
    };
    let only = match position {
        "replace" => elements.is_empty() && is_blank,
        "attributes" => !elements.is_empty() && is_blank && elements.iter().all(hides),
        _ => false,
    };
    if !only {
        return None;
    }
    match node.tag_name().name() {
        "field" => node.attribute("name"),
        "xpath" => {
            let (before, named) = node.attribute("expr")?.rsplit_once("field[@name=")?;
            let name = named.strip_suffix(']')?.trim_matches(['\'', '"']);
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            // A field of a list is one of another Odoo model.
            (plain && before.ends_with('/') && !before.contains("field")).then_some(name)
        }
        _ => None,
    }
}
