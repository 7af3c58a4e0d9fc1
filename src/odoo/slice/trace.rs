//! Backwards from the failing expression to the calls that its value came from.

use tree_sitter::Node;

use super::bind::{Binding, Kind};
use super::found::{At, Found};
use super::suspects::arguments;
use super::text::{Source, children};
use super::words::{is_library, of_tools, through};
use super::{FrameSource, Receiver};

/// Assignments of one name that are followed, the nearest first, and what each weighs of the one before.
const ASSIGNMENTS_MAX: usize = 8;
const EARLIER: f32 = 0.8;
/// Bindings looked at of one name.
const NAMED_MAX: usize = 300;
/// Parts of one expression that are followed.
const PARTS_MAX: usize = 60;

/// The frames with all that is known of them.
pub(super) struct Slice<'a> {
    pub(super) frames: &'a [FrameSource<'a>],
    pub(super) sources: &'a [Option<Source>],
    pub(super) odoo_models: &'a [Option<String>],
    /// The key or column that was missing.
    pub(super) key: Option<&'a str>,
    /// Names that stand in the failing line of the innermost addon.
    pub(super) hints: Vec<String>,
}

impl<'a> Slice<'a> {
    pub(super) fn source(&self, frame: usize) -> Option<&'a Source> {
        self.sources.get(frame)?.as_ref()
    }

    /// Follows one expression of a frame to where its value came from.
    pub(super) fn trace(&self, found: &mut Found, node: Node<'_>, at: At) {
        let Some(source) = self.source(at.frame) else { return };
        if !found.follows(at, node.start_byte(), node.end_byte()) {
            return;
        }
        let field = |name: &str| node.child_by_field_name(name);
        let mut on = |node: Option<Node<'_>>, share: f32| node.map_or((), |node| self.trace(found, node, at.by(share)));
        match node.kind() {
            "identifier" => self.name(found, node, at),
            "call" => self.call(found, node, at),
            "attribute" => {
                on(field("object"), 0.4);
                self.field(found, field("attribute"), field("object"), at.by(0.45));
            }
            "subscript" => self.item(found, node, at),
            "conditional_expression" => {
                on(node.named_child(0), 0.95);
                on(node.named_child(2), 0.95);
                on(node.named_child(1), 0.2);
            }
            "pair" => {
                let named = field("key").map(|key| source.of_node(key).trim_matches(['\'', '"']));
                let share = match self.key {
                    Some(key) if named == Some(key) => 1.0,
                    Some(_) => 0.4,
                    None => 0.6,
                };
                on(field("value"), share);
            }
            "lambda" => on(field("body"), 0.8),
            "keyword_argument" => on(field("value"), 0.9),
            "dictionary_splat" | "list_splat" | "parenthesized_expression" | "await" | "interpolation" => on(node.named_child(0), 0.95),
            "named_expression" => on(field("value"), 1.0),
            "for_in_clause" => on(field("right"), 0.6),
            "list_comprehension" | "set_comprehension" | "generator_expression" | "dictionary_comprehension" => {
                on(field("body"), 0.95);
                children(node).filter(|part| part.kind() == "for_in_clause").take(PARTS_MAX).for_each(|part| on(Some(part), 1.0));
            }
            "if_clause" | "integer" | "float" | "none" | "true" | "false" | "comment" => {}
            _ => children(node).take(PARTS_MAX).for_each(|part| on(Some(part), 0.85)),
        }
    }

    /// `values[key]`, an item of the context, or a field by its name.
    fn item(&self, found: &mut Found, node: Node<'_>, at: At) {
        let (Some(source), Some(value)) = (self.source(at.frame), node.child_by_field_name("value")) else { return };
        let Some(key) = node.child_by_field_name("subscript") else { return };
        let text = source.of_node(value);
        if is_context(text) {
            return self.context(found, source.of_node(key), at);
        }
        // `self.env['sale.order']` is never nothing.
        if text == "env" || text.ends_with(".env") {
            return;
        }
        self.trace(found, value, at.by(0.95));
        match key.kind() {
            "call" => self.trace(found, key, at.by(0.25)),
            "identifier" | "string" => self.named_field(found, key, at.by(0.45)),
            _ => {}
        }
    }

    fn name(&self, found: &mut Found, node: Node<'_>, at: At) {
        let Some(source) = self.source(at.frame) else { return };
        let (name, here) = (source.of_node(node), node.start_byte());
        let visible = |binding: &&Binding| binding.within.is_none_or(|(start, end)| start <= here && node.end_byte() <= end);
        let all: Vec<&Binding> = source.bindings_of(name).filter(visible).take(NAMED_MAX).collect();
        // What binds it in the smallest part of the function hides the rest: the variable of a comprehension, a parameter of a function within.
        let size = |binding: &&&Binding| binding.within.map(|(start, end)| end - start);
        let local = all.iter().filter(|binding| binding.within.is_some()).min_by_key(size).copied();
        if let Some(local) = local.filter(|local| !matches!(local.kind, Kind::Parameter(_))) {
            return self.binding(found, local, at);
        }
        let start = local.and_then(|local| local.within).map_or(0, |(start, _)| start);
        let plain = all.iter().copied().filter(|binding| binding.within.is_none() && binding.at >= start);
        let (before, after): (Vec<&Binding>, Vec<&Binding>) = plain.partition(|binding| binding.at <= here);
        let mut share = 1.0;
        for binding in before.iter().rev().take(ASSIGNMENTS_MAX) {
            let changed = if binding.kind == Kind::Changed { 0.8 } else { 1.0 };
            self.binding(found, binding, at.by(share * changed));
            share *= EARLIER;
        }
        // In a loop, what stands below came before.
        for binding in after.iter().take(2) {
            self.binding(found, binding, at.by(share * 0.3));
        }
        if let Some(local) = local {
            self.binding(found, local, at.by(share));
        } else if before.is_empty() && !source.whole {
            self.unseen(found, name, at);
        }
    }

    fn binding(&self, found: &mut Found, binding: &Binding, at: At) {
        let Some(value) = self.source(at.frame).and_then(|source| source.at(binding.value.0, binding.value.1)) else { return };
        match binding.kind {
            Kind::Assigned | Kind::Looped => self.trace(found, value, at.by(0.97)),
            Kind::Changed if value.kind() == "argument_list" => {
                children(value).take(10).for_each(|argument| self.trace(found, argument, at.by(0.9)));
            }
            Kind::Changed => self.trace(found, value, at.by(0.9)),
            Kind::Parameter(position) => self.parameter(found, value, &binding.name, position, at),
            Kind::LambdaParameter => {
                // `records.filtered(lambda record: …)`: an item of the records.
                let list = value.parent().filter(|parent| parent.kind() == "argument_list");
                let function = list.and_then(|list| list.parent()).and_then(|call| call.child_by_field_name("function"));
                if let Some(object) = function.and_then(|function| function.child_by_field_name("object")) {
                    self.trace(found, object, at.by(0.8));
                }
            }
        }
    }

    fn call(&self, found: &mut Found, node: Node<'_>, at: At) {
        let (Some(source), Some(function)) = (self.source(at.frame), node.child_by_field_name("function")) else { return };
        if function.kind() == "identifier" {
            return self.function(found, node, source.of_node(function), at);
        }
        let parts = function.child_by_field_name("object").zip(function.child_by_field_name("attribute"));
        let Some((object, method)) = parts else { return self.trace(found, function, at.by(0.8)) };
        let (name, base) = (source.of_node(method), source.of_node(object));
        let given = arguments(node);
        let mut all = |nodes: &[Node<'_>], share: f32| nodes.iter().for_each(|node| self.trace(found, *node, at.by(share)));
        if name == "get" && is_context(base) {
            let key = given.first().map(|key| source.of_node(*key)).unwrap_or_default();
            return self.context(found, key, at);
        }
        if is_foreign(source, object) {
            return all(&given, 0.9);
        }
        if through(name) {
            all(&[object], 0.95);
            return all(&given, 0.3);
        }
        all(&[object], 0.35);
        all(&given, 0.35);
        self.accuse_of_field(found, name, at);
        let receiver = self.receiver(at.frame, node);
        self.accuse(found, name, receiver, at, "called for the value");
    }

    /// A call without an object: of Python, of Odoo's tools, of a function within, or of one that was imported.
    fn function(&self, found: &mut Found, call: Node<'_>, name: &str, at: At) {
        let Some(source) = self.source(at.frame) else { return };
        let mut all = |nodes: &[Node<'_>], share: f32| nodes.iter().for_each(|node| self.trace(found, *node, at.by(share)));
        let given = arguments(call);
        if of_tools(name) {
            return all(&given, 0.9);
        }
        let inner = source.inner_function(name);
        if let Some(inner) = inner.filter(|inner| !(inner.start_byte() <= call.start_byte() && call.end_byte() <= inner.end_byte())) {
            all(&returned(source, inner), 0.9);
            return all(&given, 0.2);
        }
        all(&given, 0.3);
        self.accuse(found, name, Receiver::Unknown, at, "called for the value");
    }

    /// All that is called in a frame before the failing line, the last call first.
    pub(super) fn earlier_calls(&self, found: &mut Found, at: At) {
        let Some(source) = self.source(at.frame).filter(|source| source.whole) else { return };
        let end = source.statement().end_byte();
        let calls: Vec<Node<'_>> = source.nodes(source.root()).filter(|node| node.kind() == "call" && node.start_byte() < end).collect();
        for (n, call) in calls.into_iter().rev().take(40).enumerate() {
            let function = call.child_by_field_name("function").and_then(|function| function.child_by_field_name("attribute"));
            let Some(name) = function.map(|name| source.of_node(name)).filter(|name| !through(name) && !of_tools(name)) else { continue };
            let share = 1.0 / (1.0 + 0.1 * f32::from(u8::try_from(n).unwrap_or(u8::MAX)));
            self.accuse(found, name, self.receiver(at.frame, call), at.by(share), "called before the failing line");
        }
    }
}

/// The values that a function returns or yields, the last first.
pub(super) fn returned<'s>(source: &'s Source, function: Node<'s>) -> Vec<Node<'s>> {
    let gives = |node: &Node<'_>| matches!(node.kind(), "return_statement" | "yield");
    let mut found: Vec<Node<'s>> = source.nodes(function).filter(gives).filter_map(|node| node.named_child(0)).take(30).collect();
    found.reverse();
    found
}

/// Whether what a method is called on is no record: a library, a class, the cursor.
fn is_foreign(source: &Source, object: Node<'_>) -> bool {
    let base = source.of_node(object);
    let is_bound = source.bindings_of(base).next().is_some();
    let is_class = object.kind() == "identifier" && base.starts_with(|c: char| c.is_ascii_uppercase());
    base.ends_with(".cr") || base == "self.env" || (!is_bound && (is_library(base) || is_class))
}

fn is_context(text: &str) -> bool {
    text.ends_with("env.context") || text.ends_with("_context") || text == "context"
}
