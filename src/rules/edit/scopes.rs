//! Which names of a Python file stand for nothing.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use super::python::{Source, ancestors, children, field, is_reference};

const SCOPES: [&str; 8] = [
    "module",
    "function_definition",
    "class_definition",
    "lambda",
    "list_comprehension",
    "set_comprehension",
    "dictionary_comprehension",
    "generator_expression",
];

/// Every place where a name is read that is given no value there; none if the file imports with a star.
pub fn unbound_uses<'a, 't>(source: &'a Source<'t>) -> Vec<(Node<'a>, &'t str)> {
    if source.all("wildcard_import").next().is_some() {
        return Vec::new();
    }
    let mut bound: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut read: Vec<(Node<'_>, &'t str)> = Vec::new();
    for node in source.all("identifier") {
        let name = source.of(node);
        match binding_scope(node) {
            Some(scope) => drop(bound.entry(name).or_default().insert(scope.id())),
            None if is_reference(node) => read.push((node, name)),
            None => {}
        }
    }
    let is_free = |(node, name): &(Node<'_>, &'t str)| {
        let Some(scopes) = bound.get(name) else { return true };
        let mut direct = true;
        !scopes_of(*node).any(|scope| {
            // What a class binds is not seen by its methods.
            let seen = direct || scope.kind() != "class_definition";
            direct &=
                matches!(scope.kind(), "list_comprehension" | "set_comprehension" | "dictionary_comprehension" | "generator_expression");
            seen && scopes.contains(&scope.id())
        })
    };
    read.into_iter().filter(is_free).collect()
}

fn scopes_of(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    ancestors(node).filter(|up| SCOPES.contains(&up.kind()))
}

/// The scope in which an identifier gets a value here; `None` if it does not.
fn binding_scope(node: Node<'_>) -> Option<Node<'_>> {
    let mut child = node;
    for up in ancestors(node).take(12) {
        let is = |role: &str| field(up, role) == Some(child);
        match up.kind() {
            "dotted_name" if up.named_child(0) != Some(child) => return None,
            "aliased_import" if is("alias") => return scopes_of(node).next(),
            "aliased_import" => return None,
            "import_statement" | "future_import_statement" => return scopes_of(node).next(),
            "import_from_statement" => return if is("module_name") { None } else { scopes_of(node).next() },
            "function_definition" | "class_definition" if is("name") => return scopes_of(node).nth(1),
            "parameters" | "lambda_parameters" => return scopes_of(node).next(),
            "default_parameter" | "typed_default_parameter" | "keyword_argument" if !is("name") => return None,
            "named_expression" if is("name") => return scopes_of(node).next(),
            "assignment" | "augmented_assignment" | "for_statement" | "for_in_clause" => {
                return if is("left") { scopes_of(node).next() } else { None };
            }
            "as_pattern_target" | "global_statement" | "nonlocal_statement" | "delete_statement" | "case_pattern" => {
                return scopes_of(node).next();
            }
            "dotted_name"
            | "identifier"
            | "pattern_list"
            | "tuple_pattern"
            | "list_pattern"
            | "list_splat_pattern"
            | "dictionary_splat_pattern"
            | "typed_parameter"
            | "default_parameter"
            | "typed_default_parameter"
            | "as_pattern" => {}
            _ => return None,
        }
        if up.kind() == "typed_parameter" && field(up, "type") == Some(child) {
            return None;
        }
        child = up;
    }
    None
}

/// The function around a node, if there is one.
pub fn function(node: Node<'_>) -> Option<Node<'_>> {
    ancestors(node).find(|up| up.kind() == "function_definition")
}

/// The functions of a file that hold this line, the innermost first. Lines count from 1.
pub fn functions_at<'a>(source: &'a Source<'_>, line: u32) -> Vec<Node<'a>> {
    let row = (line as usize).saturating_sub(1);
    let holds = |node: &Node<'_>| node.start_position().row <= row && row <= node.end_position().row;
    let mut found: Vec<Node<'_>> = source.all("function_definition").filter(holds).collect();
    found.reverse();
    found
}

/// The statements of a function or loop.
pub fn body(node: Node<'_>) -> Vec<Node<'_>> {
    field(node, "body").map(children).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(text: &str) -> Vec<&str> {
        let source = Source::parse(text).unwrap();
        let names: BTreeSet<&str> = unbound_uses(&source).into_iter().map(|(_, name)| name).collect();
        names.into_iter().collect()
    }

    #[test]
    fn what_gets_a_value_is_bound() {
        for text in [
            "import a\na\n",
            "import a.b\na\n",
            "from x import a\na\n",
            "from x import b as a\na\n",
            "def f(a, *b, c=1, **d):\n    a, b, c, d\n",
            "def f(self):\n    for a, b in self:\n        a, b\n",
            "def f(self):\n    with self as a:\n        a\n",
            "def f(self):\n    try:\n        pass\n    except self as a:\n        a\n",
            "[a for a in ()]\n",
            "(lambda a: a)\n",
            "def f():\n    return a\na = 1\n",
            "class A:\n    a = 1\n    b = a\n",
            "def f(self):\n    if (a := self):\n        a\n",
            "from x import *\na\n",
        ] {
            assert_eq!(free(text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn what_gets_none_is_not() {
        for (text, names) in [
            ("a.b(c=1)\n", vec!["a"]),
            ("class A:\n    date = 1\n    def f(self):\n        return date\n", vec!["date"]),
            ("def f():\n    a = 1\ndef g():\n    return a\n", vec!["a"]),
            ("import x.a\na\n", vec!["a"]),
            ("from a import b\na\n", vec!["a"]),
            ("def f(x=a): pass\n", vec!["a"]),
        ] {
            assert_eq!(free(text), names, "{text}");
        }
    }
}
