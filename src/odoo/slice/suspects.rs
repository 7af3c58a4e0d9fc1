//! The expressions of the failing line that may have had the wrong value.

use tree_sitter::Node;

use super::clue::Clue;
use super::text::{Source, children};

/// Expressions that do not begin on the failing line, but belong to its statement.
const ELSEWHERE: f32 = 0.5;
/// What is suspected only because it stands there.
const BYSTANDER: f32 = 0.45;

/// The suspected expressions of the failing statement, with how much each is.
pub(super) fn suspects<'s>(source: &'s Source, clue: &Clue) -> Vec<(Node<'s>, f32)> {
    let nodes = source.failing();
    let mut found: Vec<(Node<'s>, f32)> = Vec::new();
    for node in &nodes {
        let share = if node.start_position().row == source.row || node.kind() == "for_statement" { 1.0 } else { ELSEWHERE };
        let mut add = |node: Option<Node<'s>>, weight: f32| found.extend(node.map(|node| (node, weight * share)));
        match clue {
            Clue::Iterated => iterated(source, *node, &mut add),
            Clue::Subscripted => add(item_of(*node), 1.0),
            Clue::Key(key) => keyed(source, *node, key, &mut add),
            Clue::Attribute(name) => {
                if node.kind() == "attribute" && node.child_by_field_name("attribute").is_some_and(|found| source.of_node(found) == name) {
                    add(node.child_by_field_name("object"), 1.0);
                }
            }
            Clue::Unpacked => add(unpacked(*node), 1.0),
            Clue::Operand(operator, first, second) => operand(source, *node, operator, (*first, *second), &mut add),
            Clue::Contained => {
                if node.kind() == "comparison_operator" && operators(source, *node).iter().any(|operator| operator.ends_with("in")) {
                    add(last(*node), 1.0);
                }
            }
            Clue::Called => {
                if node.kind() == "call" {
                    add(node.child_by_field_name("function"), 1.0);
                }
            }
            Clue::Argument | Clue::Raised => handed_on(*node, &mut add),
            Clue::Column(_) => {}
        }
    }
    if found.is_empty() { bystanders(&nodes) } else { found }
}

/// Every value of the failing statement.
fn bystanders<'s>(nodes: &[Node<'s>]) -> Vec<(Node<'s>, f32)> {
    let Some(top) = nodes.iter().min_by_key(|node| (node.start_byte(), std::cmp::Reverse(node.end_byte()))) else { return Vec::new() };
    let fields = ["right", "condition", "subject", "value"];
    let mut found: Vec<(Node<'s>, f32)> = Vec::new();
    for node in nodes {
        let is_value = matches!(
            node.kind(),
            "call" | "subscript" | "attribute" | "identifier" | "binary_operator" | "comparison_operator" | "boolean_operator"
        );
        let is_outermost = node.parent().is_none_or(|parent| {
            parent.id() == top.id()
                || parent.kind().ends_with("_statement")
                || fields.iter().any(|field| parent.child_by_field_name(field) == Some(*node))
        });
        if is_value && is_outermost {
            found.push((*node, BYSTANDER));
        }
    }
    found
}

fn iterated<'s>(source: &Source, node: Node<'s>, add: &mut impl FnMut(Option<Node<'s>>, f32)) {
    match node.kind() {
        "for_statement" | "for_in_clause" => add(node.child_by_field_name("right"), 1.0),
        "list_splat" | "dictionary_splat" => add(node.named_child(0), 1.0),
        "augmented_assignment" => add(node.child_by_field_name("right"), 0.9),
        "assignment" => add(unpacked(node), 0.9),
        "yield" => add(node.named_child(0), 0.8),
        // `in` says it in the same words before Python 3.14.
        "comparison_operator" if operators(source, node).iter().any(|operator| operator.ends_with("in")) => add(last(node), 0.6),
        "call" => {
            let name = node.child_by_field_name("function").map(|function| source.of_node(function)).unwrap_or_default();
            let name = name.rsplit('.').next().unwrap_or_default();
            // What is made of an iterable; a method of an addon seldom is.
            let makes = matches!(
                name,
                "list"
                    | "tuple"
                    | "set"
                    | "frozenset"
                    | "dict"
                    | "sorted"
                    | "sum"
                    | "any"
                    | "all"
                    | "zip"
                    | "enumerate"
                    | "reversed"
                    | "map"
                    | "filter"
                    | "min"
                    | "max"
                    | "iter"
                    | "join"
                    | "extend"
                    | "update"
                    | "fromkeys"
                    | "chain"
                    | "from_iterable"
                    | "union"
                    | "concat"
                    | "OrderedSet"
                    | "defaultdict"
                    | "Counter"
            );
            for argument in arguments(node).into_iter().filter(|_| makes).filter(|node| !node.kind().ends_with("_splat")) {
                add(Some(argument), 1.0);
            }
        }
        _ => {}
    }
}

fn keyed<'s>(source: &Source, node: Node<'s>, key: &str, add: &mut impl FnMut(Option<Node<'s>>, f32)) {
    if node.kind() == "subscript" {
        let named = node.child_by_field_name("subscript").is_some_and(|found| !key.is_empty() && source.of_node(found).contains(key));
        let literal = node.child_by_field_name("subscript").is_some_and(|found| found.kind() == "string");
        let weight = if named {
            1.0
        } else if literal {
            0.2
        } else {
            0.9
        };
        add(node.child_by_field_name("value"), weight);
        if !literal {
            add(node.child_by_field_name("subscript"), 0.5);
        }
    }
}

fn operand<'s>(source: &Source, node: Node<'s>, operator: &str, bad: (bool, bool), add: &mut impl FnMut(Option<Node<'s>>, f32)) {
    let same = match node.kind() {
        "binary_operator" => node.child_by_field_name("operator").is_some_and(|found| source.of_node(found) == operator),
        "augmented_assignment" => {
            node.child_by_field_name("operator").is_some_and(|found| source.of_node(found).trim_end_matches('=') == operator)
        }
        "comparison_operator" => operators(source, node).iter().any(|found| found.trim_end_matches('=') == operator),
        // `abs(x)`, `sum(xs)`, `max(a, b)` do it themselves.
        "call" => return arguments(node).into_iter().for_each(|argument| add(Some(argument), 0.3)),
        _ => false,
    };
    if same {
        let is_changed = node.kind() == "augmented_assignment";
        let first = node.child_by_field_name("left").or_else(|| node.named_child(0));
        let second = node.child_by_field_name("right").or_else(|| last(node));
        add(first.filter(|_| bad.0), if is_changed { 0.95 } else { 1.0 });
        add(second.filter(|_| bad.1), 1.0);
    }
}

/// What a function was called with, and what the condition before it looked at.
fn handed_on<'s>(node: Node<'s>, add: &mut impl FnMut(Option<Node<'s>>, f32)) {
    match node.kind() {
        "call" => arguments(node).into_iter().for_each(|argument| {
            if !matches!(argument.kind(), "string" | "integer" | "none") {
                add(Some(argument), 0.8);
            }
        }),
        "interpolation" => add(node.named_child(0), 0.9),
        "if_statement" | "elif_clause" | "assert_statement" => {
            add(node.child_by_field_name("condition").or_else(|| node.named_child(0)), 0.6);
        }
        _ => {}
    }
}

fn item_of(node: Node<'_>) -> Option<Node<'_>> {
    (node.kind() == "subscript").then(|| node.child_by_field_name("value"))?
}

/// The value that is taken apart into several names.
fn unpacked(node: Node<'_>) -> Option<Node<'_>> {
    let left = node.child_by_field_name("left").filter(|_| matches!(node.kind(), "assignment" | "for_statement" | "for_in_clause"))?;
    matches!(left.kind(), "pattern_list" | "tuple_pattern" | "list_pattern").then(|| node.child_by_field_name("right"))?
}

fn last(node: Node<'_>) -> Option<Node<'_>> {
    children(node).next_back()
}

fn operators<'s>(source: &'s Source, node: Node<'_>) -> Vec<&'s str> {
    node.children_by_field_name("operators", &mut node.walk()).map(|operator| source.of_node(operator)).collect()
}

/// The values that a call was given, without their names.
pub(super) fn arguments(call: Node<'_>) -> Vec<Node<'_>> {
    let Some(list) = call.child_by_field_name("arguments") else { return Vec::new() };
    if list.kind() != "argument_list" {
        return vec![list];
    }
    let mut found = Vec::new();
    for node in children(list).take(100) {
        if node.kind() == "keyword_argument" {
            found.extend(node.child_by_field_name("value"));
        } else if node.kind() != "comment" {
            found.push(node);
        }
    }
    found
}
