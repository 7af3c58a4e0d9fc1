//! From what a function was given to the frame that gave it.

use tree_sitter::Node;

use super::Receiver;
use super::found::{At, Found};
use super::receiver::call_named;
use super::suspects::arguments;
use super::text::{Source, children};
use super::trace::Slice;

/// How many frames up a caller is looked for.
const CALLERS: usize = 8;

/// What of a call is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted<'n> {
    /// What the method was called on.
    Itself,
    /// The argument of this name, at this position.
    Nth(&'n str, usize),
    /// The argument of this name, of a function whose source is not known.
    Named(&'n str),
}

impl Slice<'_> {
    /// A parameter has its value from the caller, some frames up.
    pub(super) fn parameter(&self, found: &mut Found, function: Node<'_>, name: &str, position: usize, at: At) {
        let Some(source) = self.source(at.frame) else { return };
        let Some(called) = function.child_by_field_name("name").map(|name| source.of_node(name)) else { return };
        let first = function.child_by_field_name("parameters").and_then(|list| list.named_child(0)).map(|first| source.of_node(first));
        match (first, position) {
            (Some("self" | "cls"), 0) => self.callers(found, called, Wanted::Itself, at.by(0.6)),
            (Some("self" | "cls"), _) => self.callers(found, called, Wanted::Nth(name, position - 1), at.by(0.95)),
            _ => self.callers(found, called, Wanted::Nth(name, position), at.by(0.95)),
        }
    }

    /// Of a frame whose source is not known, a name can be a parameter or what an earlier definition of the same method gave.
    pub(super) fn unseen(&self, found: &mut Found, name: &str, at: At) {
        let function = self.frames[at.frame].function;
        if matches!(name, "self" | "cls" | "env") || function.is_empty() {
            return;
        }
        if self.frames[at.frame].module.is_some() {
            // In `super().create(vals)` it is an argument.
            let is_argument = self.source(at.frame).is_some_and(|source| call_named(source, function).is_some());
            let share = if is_result(name) && !is_argument { 0.75 } else { 0.3 };
            let receiver = Receiver::Super(self.odoo_models[at.frame].clone());
            self.accuse(found, function, receiver, at.by(share), "an earlier definition of the method that failed");
            self.accuse_start(found, function, at.by(0.5));
        }
        self.callers(found, function, Wanted::Named(name), at.by(0.9));
    }

    fn callers(&self, found: &mut Found, called: &str, wanted: Wanted<'_>, at: At) {
        for caller in (at.frame.saturating_sub(CALLERS)..at.frame).rev() {
            let Some(source) = self.source(caller) else { continue };
            let up = at.of(caller);
            if called.starts_with("__") {
                let operands = operands(source, called, wanted == Wanted::Itself);
                return operands.into_iter().for_each(|operand| self.trace(found, operand, up.by(1.0)));
            }
            if let Some(call) = call_named(source, called) {
                return self.handed(found, call, wanted, up);
            }
            // A decorator or a loop over callables hands it on under the same name.
            let given: Vec<Node<'_>> = source.failing_calls().flat_map(arguments).collect();
            let same = |name: &str| given.iter().find(|argument| source.of_node(**argument) == name);
            if let Wanted::Nth(name, _) | Wanted::Named(name) = wanted
                && let Some(same) = same(name)
            {
                return self.trace(found, *same, up.by(0.9));
            }
            if matches!(wanted, Wanted::Named(_)) && self.frames[caller].function != called {
                let values: Vec<Node<'_>> = given.into_iter().filter(|node| node.kind() != "string").collect();
                let share = if values.len() == 1 { 0.8 } else { 0.4 };
                return values.into_iter().for_each(|argument| self.trace(found, argument, up.by(share)));
            }
        }
    }

    fn handed(&self, found: &mut Found, call: Node<'_>, wanted: Wanted<'_>, at: At) {
        let (Some(source), Some(list)) = (self.source(at.frame), call.child_by_field_name("arguments")) else { return };
        let (name, position) = match wanted {
            Wanted::Itself => {
                let object = call.child_by_field_name("function").and_then(|function| function.child_by_field_name("object"));
                return object.map_or((), |object| self.trace(found, object, at.by(1.0)));
            }
            Wanted::Nth(name, position) => (name, Some(position)),
            Wanted::Named(name) => (name, None),
        };
        let given: Vec<Node<'_>> = if list.kind() == "argument_list" { children(list).take(100).collect() } else { vec![list] };
        let is_named = |argument: &&Node<'_>| argument.child_by_field_name("name").is_some_and(|found| source.of_node(found) == name);
        let by_name = given.iter().filter(|argument| argument.kind() == "keyword_argument").find(is_named);
        if let Some(value) = by_name.and_then(|argument| argument.child_by_field_name("value")) {
            return self.trace(found, value, at.by(1.0));
        }
        let positional: Vec<Node<'_>> =
            given.into_iter().filter(|argument| !matches!(argument.kind(), "keyword_argument" | "comment")).collect();
        let same = positional.iter().find(|argument| position.is_none() && source.of_node(**argument) == name);
        if let Some(argument) = same.or_else(|| positional.get(position?)) {
            return self.trace(found, *argument, at.by(1.0));
        }
        let share = if position.is_none() && positional.len() != 1 { 0.45 } else { 0.8 };
        for argument in positional.iter().filter(|argument| position.is_none() || argument.kind().ends_with("_splat")) {
            self.trace(found, *argument, at.by(share));
        }
    }
}

/// What a method such as `__or__` was given, or called on: the operator's sides, a key, what a class was made of.
fn operands<'s>(source: &'s Source, method: &str, itself: bool) -> Vec<Node<'s>> {
    let is_made = matches!(method, "__init__" | "__new__" | "__call__");
    let is_item = method.ends_with("item__");
    let mut found = Vec::new();
    for node in source.failing() {
        let left = node.child_by_field_name("left").or_else(|| node.named_child(0));
        let right = node.child_by_field_name("right").or_else(|| node.named_child(1));
        match node.kind() {
            "call" if is_made && !itself => {
                let function = node.child_by_field_name("function").map(|function| source.of_node(function)).unwrap_or_default();
                let name = function.rsplit('.').next().unwrap_or_default();
                if name.starts_with(|c: char| c.is_ascii_uppercase()) || method == "__call__" {
                    found.extend(arguments(node));
                }
            }
            // The container is asked, so that it stands on the right.
            "comparison_operator" if method == "__contains__" => found.extend(if itself { right } else { left }),
            "subscript" if is_item => found.extend(node.child_by_field_name(if itself { "value" } else { "subscript" })),
            "binary_operator" | "augmented_assignment" | "comparison_operator" if !is_made && !is_item => {
                found.extend(if itself { left } else { right });
            }
            "attribute" if itself && method == "__get__" => found.extend(node.child_by_field_name("object")),
            _ => {}
        }
    }
    found.truncate(12);
    found
}

/// Whether a variable is called as what `super()` gave mostly is.
fn is_result(name: &str) -> bool {
    matches!(name, "res" | "result" | "results" | "ret" | "vals" | "values" | "vals_list" | "values_list" | "records" | "data" | "domain")
}
