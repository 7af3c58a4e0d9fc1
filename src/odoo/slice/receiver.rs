//! Which Odoo model a method was called on, as far as the sources of the frames say.

use tree_sitter::Node;

use super::bind::Kind;
use super::text::Source;
use super::words::through;
use super::{FrameSource, Receiver};

const DEPTH_MAX: usize = 12;

/// The Odoo model that `self` is in each frame. A mixin's method runs on the records of whoever inherits from it; the caller knows whose.
pub(super) fn odoo_models(frames: &[FrameSource<'_>], sources: &[Option<Source>]) -> Vec<Option<String>> {
    let mut found: Vec<Option<String>> = Vec::with_capacity(frames.len());
    for (n, frame) in frames.iter().enumerate() {
        let own = frame.odoo_model.map(str::to_owned);
        let called = n.checked_sub(1).and_then(|caller| {
            let source = sources[caller].as_ref()?;
            let call = call_named(source, frame.function)?;
            match receiver(source, found[caller].as_deref(), call, 0) {
                Receiver::OdooModel(name) | Receiver::Super(Some(name)) => Some(name),
                _ => None,
            }
        });
        // `create` reaches `create` by way of a decorator that knows nothing.
        let earlier =
            (0..n).rev().take(3).find(|earlier| frames[*earlier].function == frame.function).and_then(|earlier| found[earlier].clone());
        found.push(called.or(earlier).or(own));
    }
    found
}

/// The call of this function in the failing statement.
pub(super) fn call_named<'s>(source: &'s Source, function: &str) -> Option<Node<'s>> {
    source.failing_calls().find(|call| {
        let called = call.child_by_field_name("function");
        called.is_some_and(|called| source.of_node(called.child_by_field_name("attribute").unwrap_or(called)) == function)
    })
}

/// What a call was made on.
pub(super) fn receiver(source: &Source, own: Option<&str>, call: Node<'_>, depth: usize) -> Receiver {
    let object = call.child_by_field_name("function").and_then(|function| function.child_by_field_name("object"));
    object.map_or(Receiver::Unknown, |object| of(source, own, object, depth))
}

fn of(source: &Source, own: Option<&str>, node: Node<'_>, depth: usize) -> Receiver {
    if depth > DEPTH_MAX {
        return Receiver::Unknown;
    }
    match node.kind() {
        "identifier" => identifier(source, own, node, depth),
        "parenthesized_expression" => node.named_child(0).map_or(Receiver::Unknown, |inner| of(source, own, inner, depth + 1)),
        "binary_operator" => node.child_by_field_name("left").map_or(Receiver::Unknown, |left| of(source, own, left, depth + 1)),
        "subscript" => subscript(source, own, node, depth),
        "attribute" => {
            let name = node.child_by_field_name("attribute").map(|name| source.of_node(name)).unwrap_or_default();
            if name == "_origin" {
                return node.child_by_field_name("object").map_or(Receiver::Unknown, |object| of(source, own, object, depth + 1));
            }
            Receiver::Named(vec![name.to_owned()])
        }
        "call" => {
            let Some(function) = node.child_by_field_name("function") else { return Receiver::Unknown };
            let name = source.of_node(function.child_by_field_name("attribute").unwrap_or(function));
            match (name, function.kind()) {
                ("super", "identifier") => Receiver::Super(own.map(str::to_owned)),
                (name, "attribute") if through(name) || matches!(name, "search" | "create" | "copy" | "new") => {
                    function.child_by_field_name("object").map_or(Receiver::Unknown, |object| of(source, own, object, depth + 1))
                }
                _ => Receiver::Unknown,
            }
        }
        _ => Receiver::Unknown,
    }
}

/// `self.env['sale.order']`, or one record of several.
fn subscript(source: &Source, own: Option<&str>, node: Node<'_>, depth: usize) -> Receiver {
    let (Some(value), Some(key)) = (node.child_by_field_name("value"), node.child_by_field_name("subscript")) else {
        return Receiver::Unknown;
    };
    let text = source.of_node(key).trim_matches(['\'', '"']);
    let base = source.of_node(value);
    if base == "env" || base.ends_with(".env") {
        let is_literal = key.kind() == "string" && !text.is_empty();
        return if is_literal { Receiver::OdooModel(text.to_owned()) } else { Receiver::Unknown };
    }
    match key.kind() {
        "string" => Receiver::Named(vec![text.to_owned()]),
        "slice" | "integer" | "unary_operator" => of(source, own, value, depth + 1),
        _ => Receiver::Unknown,
    }
}

fn identifier(source: &Source, own: Option<&str>, node: Node<'_>, depth: usize) -> Receiver {
    let name = source.of_node(node);
    if matches!(name, "self" | "cls") {
        return own.map_or(Receiver::Unknown, |own| Receiver::OdooModel(own.to_owned()));
    }
    let named = Receiver::Named(vec![name.to_owned()]);
    let visible = |within: Option<(usize, usize)>| within.is_none_or(|(start, end)| start <= node.start_byte() && node.end_byte() <= end);
    let mut bindings = source.bindings_of(name).filter(|binding| visible(binding.within) && binding.kind != Kind::Changed);
    let before = bindings.clone().rfind(|binding| binding.at <= node.start_byte() || binding.within.is_some());
    let Some(binding) = before.or_else(|| bindings.next()) else { return named };
    if matches!(binding.kind, Kind::Parameter(_) | Kind::LambdaParameter) {
        return named;
    }
    let Some(value) = source.at(binding.value.0, binding.value.1) else { return named };
    match of(source, own, value, depth + 1) {
        Receiver::Unknown | Receiver::Super(_) => named,
        Receiver::Named(mut names) => {
            names.push(name.to_owned());
            names.truncate(3);
            Receiver::Named(names)
        }
        known => known,
    }
}
