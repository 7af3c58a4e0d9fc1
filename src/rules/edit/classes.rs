//! Where Odoo models, their fields and their methods stand in Python.

use tree_sitter::Node;

use super::python::{Source, children, field};

/// The classes of a file that define or extend this Odoo model.
pub fn of_model<'s>(source: &'s Source<'_>, odoo_model: &'s str) -> impl Iterator<Item = Node<'s>> {
    source.all("class_definition").filter(move |class| {
        let Some(body) = field(*class, "body") else { return false };
        let named = |name: &str| source.assigned(body, name);
        match named("_name").and_then(|value| source.literal(value)) {
            Some(name) => name == odoo_model,
            None => named("_inherit").is_some_and(|value| match value.kind() {
                "list" | "tuple" => children(value).iter().any(|item| source.literal(*item).as_deref() == Some(odoo_model)),
                _ => source.literal(value).as_deref() == Some(odoo_model),
            }),
        }
    })
}

/// The statement that defines a field in a class.
pub fn definition<'s>(source: &'s Source<'_>, class: Node<'s>, name: &str) -> Option<Node<'s>> {
    let statements = children(field(class, "body")?).into_iter();
    let mut found = statements.filter(|statement| {
        let assignment = statement.named_child(0).filter(|node| node.kind() == "assignment");
        assignment.and_then(|node| field(node, "left")).is_some_and(|left| source.of(left) == name)
    });
    found.next_back()
}
