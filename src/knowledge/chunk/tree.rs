//! Syntax trees, walked.

use tree_sitter::Node;

/// Visits a node and all in it, in reading order; where `visit` says no, what is in that node is left out. It does not call itself: hostile
/// nesting must not use up the stack.
pub(super) fn each<'n>(node: Node<'n>, visit: &mut dyn FnMut(Node<'n>) -> bool) {
    let mut cursor = node.walk();
    loop {
        if visit(cursor.node()) && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}
