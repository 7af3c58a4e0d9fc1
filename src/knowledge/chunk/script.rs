//! JavaScript: one piece for each function, and for each class as a whole or, where it is large, each of its methods.

use std::collections::HashMap;
use std::ops::Range;

use tree_sitter::{Node, Parser};

use super::lines::{Lines, number};
use super::tree::each;
use super::{Chunk, FileChunks, Kind, Source, Symbol, Zone, card, context};

/// A class of so many lines is one piece; what is larger is cut at its methods.
const WHOLE: u32 = 40;
/// The longest line of a file that people wrote.
const MAX_LINE: usize = 5_000;
/// How deep functions that only hold a file together are looked into.
const MAX_DEPTH: usize = 3;
/// The most calls of one piece.
const MAX_CALLS: usize = 200;

struct Script<'s> {
    source: &'s Source<'s>,
    lines: Lines<'s>,
    /// The comments, by the line that they end in.
    comments: HashMap<u32, Range<usize>>,
}

/// Cuts a script up.
pub(super) fn cut(source: &Source<'_>, found: &mut FileChunks) {
    if source.text.lines().any(|line| line.len() > MAX_LINE) {
        found.trouble("it was written by a program: its lines are too long");
        return;
    }
    let mut parser = Parser::new();
    let tree = parser.set_language(&tree_sitter_javascript::LANGUAGE.into()).ok().and_then(|()| parser.parse(source.text, None));
    let Some(tree) = tree else {
        found.trouble("it cannot be parsed");
        return;
    };
    if tree.root_node().has_error() {
        found.trouble("it is not valid JavaScript everywhere");
    }
    let mut comments = HashMap::new();
    each(tree.root_node(), &mut |node| {
        if node.kind() == "comment" {
            comments.insert(line(node.end_position().row), node.byte_range());
        }
        true
    });
    Script { source, lines: Lines::of(source.text), comments }.block(tree.root_node(), 0, found);
}

impl<'s> Script<'s> {
    fn of(&self, node: Node<'_>) -> &'s str {
        self.source.text.get(node.byte_range()).unwrap_or_default()
    }

    fn block(&self, block: Node<'_>, depth: usize, found: &mut FileChunks) {
        for statement in named(block) {
            let inner = match statement.kind() {
                "export_statement" => statement.child_by_field_name("declaration").or_else(|| statement.child_by_field_name("value")),
                _ => Some(statement),
            };
            if let Some(inner) = inner {
                self.statement(statement, inner, depth, found);
            }
        }
    }

    fn statement(&self, whole: Node<'_>, inner: Node<'_>, depth: usize, found: &mut FileChunks) {
        let name = inner.child_by_field_name("name").map(|name| self.of(name)).unwrap_or("default");
        match inner.kind() {
            "function_declaration" | "generator_function_declaration" => self.piece(whole, name, "", found),
            "class_declaration" | "class" => self.value(whole, name, inner, depth, found),
            "lexical_declaration" | "variable_declaration" => {
                for declared in named(inner) {
                    let (name, value) = (declared.child_by_field_name("name"), declared.child_by_field_name("value"));
                    if let (Some(name), Some(value)) = (name, value) {
                        self.value(whole, self.of(name), value, depth, found);
                    }
                }
            }
            "expression_statement" => {
                let Some(expression) = inner.named_child(0) else { return };
                if expression.kind() == "assignment_expression" {
                    let (left, right) = (expression.child_by_field_name("left"), expression.child_by_field_name("right"));
                    if let (Some(left), Some(right)) = (left, right) {
                        self.value(whole, self.of(left), right, depth, found);
                    }
                } else {
                    self.value(whole, "", expression, depth, found);
                }
            }
            _ => {}
        }
    }

    /// What a name is given: a function, a class, or an object with methods that a call takes.
    fn value(&self, whole: Node<'_>, name: &str, value: Node<'_>, depth: usize, found: &mut FileChunks) {
        match value.kind() {
            "arrow_function" | "function_expression" | "function" => self.piece(whole, name, "", found),
            "class_declaration" | "class" => {
                let body = value.child_by_field_name("body");
                self.container(whole, name, body, found);
            }
            "object" if has_methods(value) => self.container(whole, name, Some(value), found),
            "call_expression" => self.call(whole, name, value, depth, found),
            _ => {}
        }
    }

    /// `patch(Order.prototype, {…})`, `Order.include({…})`, `Widget.extend({…})`, `odoo.define("…", function () {…})`.
    fn call(&self, whole: Node<'_>, name: &str, call: Node<'_>, depth: usize, found: &mut FileChunks) {
        let (Some(function), Some(arguments)) = (call.child_by_field_name("function"), call.child_by_field_name("arguments")) else {
            return;
        };
        let arguments = named(arguments);
        let target = if function.kind() == "member_expression" {
            function.child_by_field_name("object").map(|object| self.of(object))
        } else {
            arguments.first().map(|first| self.of(*first))
        };
        let target = target.unwrap_or_default().trim_end_matches(".prototype");
        let is_name = target.len() < 100 && !target.contains(['\n', '(', '{']);
        let name = if name.is_empty() && is_name { target } else { name };
        if let Some(object) = arguments.iter().find(|argument| argument.kind() == "object" && has_methods(**argument)) {
            self.container(whole, name, Some(*object), found);
        } else if depth < MAX_DEPTH {
            // A function that holds the whole file together.
            let wrapped = if function.kind() == "parenthesized_expression" { function.named_child(0) } else { None };
            let functions =
                wrapped.into_iter().chain(arguments).filter(|node| matches!(node.kind(), "function_expression" | "arrow_function"));
            for body in functions.filter_map(|function| function.child_by_field_name("body")) {
                self.block(body, depth + 1, found);
            }
        }
    }

    fn container(&self, whole: Node<'_>, name: &str, body: Option<Node<'_>>, found: &mut FileChunks) {
        let methods: Vec<(Node<'_>, &str)> =
            body.map(named).unwrap_or_default().into_iter().filter_map(|node| Some((node, self.method(node)?))).collect();
        let (first, last) = (line(whole.start_position().row), line(whole.end_position().row));
        let large = last - first >= WHOLE;
        let (Some((opening, _)), true) = (methods.first(), large) else { return self.piece(whole, name, "", found) };
        let head = line(opening.start_position().row).saturating_sub(1).max(first);
        self.lines_of(whole, (first, head), name, "", found);
        for (method, called) in methods {
            self.piece(method, &format!("{name}.{called}"), name, found);
        }
    }

    /// The name of a method of a class or of an object.
    fn method(&self, node: Node<'_>) -> Option<&'s str> {
        match node.kind() {
            "method_definition" => node.child_by_field_name("name").map(|name| self.of(name)),
            "pair" => {
                let function = node.child_by_field_name("value")?;
                is_function(function).then(|| node.child_by_field_name("key").map(|key| self.of(key)))?
            }
            "field_definition" => {
                let function = node.child_by_field_name("value")?;
                is_function(function).then(|| node.child_by_field_name("property").map(|key| self.of(key)))?
            }
            _ => None,
        }
    }

    fn piece(&self, node: Node<'_>, symbol: &str, class: &str, found: &mut FileChunks) {
        self.lines_of(node, (line(node.start_position().row), line(node.end_position().row)), symbol, class, found);
    }

    fn lines_of(&self, node: Node<'_>, (start_line, end_line): (u32, u32), symbol: &str, class: &str, found: &mut FileChunks) {
        let text = self.lines.text(start_line, end_line).to_owned();
        let (prose, calls) = self.inside(node, start_line, end_line);
        let name = symbol.strip_prefix(class).map_or(symbol, |rest| rest.trim_start_matches('.'));
        let chunk = Chunk {
            kind: Kind::Script,
            symbol: symbol.to_owned(),
            odoo_model: None,
            lang: None,
            start_line,
            end_line,
            title: format!("{symbol} (script)"),
            card: Some(card::function(
                self.source,
                class,
                name,
                prose.first().map(String::as_str).unwrap_or_default(),
                card::Does { calls: &calls, ..Default::default() },
            )),
            zones: vec![
                (Zone::Name, name.to_owned()),
                (Zone::Owner, class.to_owned()),
                (Zone::Members, card::telling(&calls).collect::<Vec<_>>().join(" ")),
                (Zone::Prose, prose.join("\n")),
                (Zone::Body, text.clone()),
                context(self.source),
            ],
            text,
        };
        let Some(place) = found.add(chunk) else { return };
        if !symbol.is_empty() {
            let name = symbol.to_owned();
            found.define(Symbol { kind: "script", odoo_model: None, name, target: None, line: start_line, detail: None, chunk: place });
        }
    }

    /// Comments before and in these lines, and what is called there.
    fn inside(&self, node: Node<'_>, start_line: u32, end_line: u32) -> (Vec<String>, Vec<String>) {
        let said = |comment: Range<usize>| {
            let rows = self.source.text.get(comment).unwrap_or_default().lines().map(|row| row.trim_matches(['/', '*', ' ', '\t']));
            rows.filter(|row| !row.is_empty() && !row.starts_with("@odoo")).collect::<Vec<_>>().join(" ")
        };
        let before = self.comments.get(&start_line.saturating_sub(1)).cloned();
        let mut prose: Vec<String> = before.map(said).into_iter().collect();
        let mut calls: Vec<String> = Vec::new();
        each(node, &mut |node| {
            if line(node.start_position().row) > end_line {
                return false;
            }
            match node.kind() {
                "comment" => prose.push(said(node.byte_range())),
                "call_expression" => {
                    let function = node.child_by_field_name("function");
                    let named = function.map(|function| function.child_by_field_name("property").unwrap_or(function));
                    let called =
                        named.filter(|named| matches!(named.kind(), "identifier" | "property_identifier")).map(|named| self.of(named));
                    if let Some(called) = called.filter(|called| calls.len() < MAX_CALLS && !calls.iter().any(|call| call == called)) {
                        calls.push(called.to_owned());
                    }
                }
                _ => {}
            }
            true
        });
        prose.retain(|text| !text.is_empty());
        (prose, calls)
    }
}

fn has_methods(object: Node<'_>) -> bool {
    let method = |node: &Node<'_>| node.kind() == "method_definition" || node.child_by_field_name("value").is_some_and(is_function);
    named(object).iter().any(method)
}

fn is_function(node: Node<'_>) -> bool {
    matches!(node.kind(), "function_expression" | "arrow_function" | "generator_function")
}

fn named(node: Node<'_>) -> Vec<Node<'_>> {
    node.named_children(&mut node.walk()).filter(|child| child.kind() != "comment").collect()
}

fn line(row: usize) -> u32 {
    number(row + 1)
}

#[cfg(test)]
mod tests {
    use super::super::cut;
    use super::*;

    fn of(text: &str) -> FileChunks {
        cut(&Source { module: Some("shop"), path: "shop/static/src/a.js", text })
    }

    fn pieces(found: &FileChunks) -> Vec<(&str, u32, u32)> {
        found.chunks.iter().map(|chunk| (chunk.symbol.as_str(), chunk.start_line, chunk.end_line)).collect()
    }

    #[test]
    fn functions_and_classes_are_pieces() {
        let text = "/** @odoo-module */\nimport { a } from \"b\";\n\n// Adds two.\nexport function add(a, b) {\n    return a + b;\n}\n\n\
                    export class Cart extends Base {\n    setup() {\n        this.load();\n    }\n}\n\
                    const twice = (x) => x * 2;\npatch(Order.prototype, {\n    pay() {},\n});\n";
        let found = of(text);
        assert_eq!(pieces(&found), [("add", 5, 7), ("Cart", 9, 13), ("twice", 14, 14), ("Order", 15, 17)]);
        assert_eq!(found.chunks[0].card.as_deref(), Some("add in shop: Adds two"));
        assert!(found.trouble.is_none() && found.symbols.len() == 4);
    }

    #[test]
    fn large_class_is_cut_at_methods() {
        let body = "        this.x = 1;\n".repeat(25);
        let text = format!("class Cart {{\n    static props = {{}};\n    one() {{\n{body}    }}\n    two() {{\n{body}    }}\n}}\n");
        assert_eq!(pieces(&of(&text)), [("Cart", 1, 2), ("Cart.one", 3, 29), ("Cart.two", 30, 56)]);
    }

    #[test]
    fn old_modules_are_looked_into() {
        let text = "odoo.define('shop.cart', function (require) {\n    var Cart = Widget.extend({\n        start: function () {},\n    });\n    \
                    Cart.include({ stop() {} });\n    return Cart;\n});\n(function () {\n    function inner() {}\n})();\n";
        assert_eq!(pieces(&of(text)), [("Cart", 2, 4), ("Cart", 5, 5), ("inner", 9, 9)]);
    }

    #[test]
    fn garbage_is_survived() {
        for text in [
            "{".repeat(4_000),
            "(".repeat(4_900),
            "((\n".repeat(20_000),
            "class".to_owned(),
            "a(() => {\n".repeat(3_000),
            "x".repeat(2_000_000),
        ] {
            assert!(of(&text).chunks.is_empty() && of(&text).trouble.is_some());
        }
    }
}
