//! Where the names of a function get their values.

use tree_sitter::Node;

use super::text::{Source, children};

const BINDINGS_MAX: usize = 4_000;

/// How a name gets its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The value itself.
    Assigned,
    /// Something was added to it: `+=`, `append`, `update`, an item set.
    Changed,
    /// An item of the value.
    Looped,
    /// From whoever calls, at this position (`self` counts).
    Parameter(usize),
    /// From whoever calls the function without a name.
    LambdaParameter,
}

/// One place where a name gets a value. Nodes are kept as bytes, because the tree stands beside them.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Where it takes effect.
    pub(super) at: usize,
    /// Where the name means this one, if not in the whole function.
    pub(super) within: Option<(usize, usize)>,
    /// Where the value stands; of a parameter, the function.
    pub(super) value: (usize, usize),
}

/// Every binding of a function, in reading order.
pub(super) fn bindings(source: &Source) -> Vec<Binding> {
    let mut found = Vec::new();
    for node in source.nodes(source.root()) {
        if found.len() > BINDINGS_MAX {
            break;
        }
        binding(source, node, &mut found);
    }
    found
}

fn binding(source: &Source, node: Node<'_>, found: &mut Vec<Binding>) {
    let field = |name: &str| node.child_by_field_name(name);
    match node.kind() {
        "assignment" => both(source, field("left"), field("right"), Kind::Assigned, None, found),
        "augmented_assignment" => both(source, field("left"), field("right"), Kind::Changed, None, found),
        "named_expression" => both(source, field("name"), field("value"), Kind::Assigned, None, found),
        "for_statement" => both(source, field("left"), field("right"), Kind::Looped, None, found),
        "for_in_clause" => {
            let within = node.parent().map(|parent| (parent.start_byte(), parent.end_byte()));
            both(source, field("left"), field("right"), Kind::Looped, within, found);
        }
        "as_pattern" => both(source, field("alias"), node.named_child(0), Kind::Assigned, None, found),
        "call" => mutator(source, node, found),
        "function_definition" => parameters(source, node, Kind::Parameter(0), found),
        "lambda" => parameters(source, node, Kind::LambdaParameter, found),
        _ => {}
    }
}

fn both(
    source: &Source,
    left: Option<Node<'_>>,
    right: Option<Node<'_>>,
    kind: Kind,
    within: Option<(usize, usize)>,
    found: &mut Vec<Binding>,
) {
    let (Some(left), Some(right)) = (left, right) else { return };
    let value = (right.start_byte(), right.end_byte());
    for (name, kind) in targets(source, left, kind) {
        found.push(Binding { name: name.to_owned(), kind, at: right.end_byte(), within, value });
    }
}

/// The names that an assignment's left side sets, or changes.
fn targets<'s>(source: &'s Source, left: Node<'_>, kind: Kind) -> Vec<(&'s str, Kind)> {
    match left.kind() {
        "identifier" => vec![(source.of_node(left), kind)],
        "subscript" | "attribute" => {
            let base = left.child_by_field_name("value").or_else(|| left.child_by_field_name("object"));
            base.filter(|base| base.kind() == "identifier").map(|base| (source.of_node(base), Kind::Changed)).into_iter().collect()
        }
        "pattern_list" | "tuple_pattern" | "list_pattern" | "as_pattern_target" | "list_splat_pattern" => {
            source.nodes(left).filter(|node| node.kind() == "identifier").map(|node| (source.of_node(node), kind)).collect()
        }
        _ => Vec::new(),
    }
}

/// `values.append(x)` changes `values`.
fn mutator(source: &Source, call: Node<'_>, found: &mut Vec<Binding>) {
    let parts = call.child_by_field_name("function").filter(|function| function.kind() == "attribute").and_then(|function| {
        let base = function.child_by_field_name("object")?;
        Some((base, function.child_by_field_name("attribute")?, call.child_by_field_name("arguments")?))
    });
    let Some((base, method, arguments)) = parts else { return };
    // Of `values['lines'].append(x)` as well.
    let base = if base.kind() == "subscript" { base.child_by_field_name("value").unwrap_or(base) } else { base };
    let changes = matches!(source.of_node(method), "append" | "extend" | "update" | "add" | "insert" | "setdefault" | "appendleft");
    if base.kind() == "identifier" && changes && arguments.named_child_count() > 0 {
        let name = source.of_node(base).to_owned();
        let value = (arguments.start_byte(), arguments.end_byte());
        found.push(Binding { name, kind: Kind::Changed, at: arguments.end_byte(), within: None, value });
    }
}

fn parameters(source: &Source, function: Node<'_>, kind: Kind, found: &mut Vec<Binding>) {
    let Some(list) = function.child_by_field_name("parameters") else { return };
    let own = (function.start_byte(), function.end_byte());
    for (n, parameter) in children(list).take(100).enumerate() {
        let name = parameter.child_by_field_name("name").or_else(|| source.nodes(parameter).find(|node| node.kind() == "identifier"));
        if let Some(name) = name {
            let kind = if kind == Kind::LambdaParameter { kind } else { Kind::Parameter(n) };
            let name = source.of_node(name).to_owned();
            found.push(Binding { name, kind, at: list.start_byte(), within: Some(own), value: own });
        }
    }
}
