//! Expressions of Python, reduced to what they say: without layout, names of variables and ways to put texts together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use tree_sitter::Node;

use super::facts::{Item, Role};
use super::known::Known;
use crate::rules::edit::python::{Source, ancestors, children, field, walk};
use crate::rules::known::is_gone_method;

/// How deep conditions and receivers are followed.
const MAX_DEPTH: usize = 40;
/// How deep a source may be nested to be read.
const DEEPEST: u32 = 300;
/// Stands for any variable.
const VARIABLE: &str = "§";

/// Attributes and modules that lead to what is used and are not used themselves.
const PLUMBING: [&str; 9] = ["env", "cr", "models", "api", "fields", "tools", "odoo", "exceptions", "pool"];
/// Methods whose result is of the Odoo model that they are called on.
const SAME_MODEL: [&str; 19] = [
    "search",
    "browse",
    "create",
    "sudo",
    "with_context",
    "with_company",
    "with_user",
    "with_env",
    "filtered",
    "filtered_domain",
    "sorted",
    "exists",
    "copy",
    "new",
    "ensure_one",
    "search_fetch",
    "with_prefetch",
    "concat",
    "union",
];
/// Methods that hand each of their records to a function.
const EACH: [&str; 5] = ["filtered", "mapped", "sorted", "grouped", "filtered_domain"];

/// What is needed to read expressions of one function.
pub(super) struct Context<'s, 'k> {
    /// The file.
    pub(super) source: &'s Source<'s>,
    /// The names that the function binds.
    pub(super) variables: BTreeSet<&'s str>,
    /// The Odoo models of some of them.
    pub(super) models: BTreeMap<&'s str, String>,
    /// What is known of Odoo models.
    pub(super) known: &'k Known<'k>,
}

impl<'s, 'k> Context<'s, 'k> {
    /// The context of a node that holds all of a function, a class body or a module.
    pub(super) fn of(source: &'s Source<'s>, root: Node<'s>, known: &'k Known<'k>, own: Option<&str>) -> Self {
        let mut context = Self { source, variables: BTreeSet::new(), models: BTreeMap::new(), known };
        for node in walk(root).filter(|node| node.kind() == "identifier" && binds(*node)) {
            context.variables.insert(source.of(node));
        }
        if let Some(own) = own {
            context.models.insert("self", own.to_owned());
        }
        context.learn(root);
        context
    }

    /// Finds the Odoo models of variables, in reading order.
    fn learn(&mut self, root: Node<'s>) {
        for node in walk(root) {
            let (left, right) = match node.kind() {
                "assignment" | "for_statement" | "for_in_clause" => (field(node, "left"), field(node, "right")),
                "named_expression" => (field(node, "name"), field(node, "value")),
                "lambda" => (field(node, "parameters").and_then(|list| list.named_child(0)), self.each(node)),
                _ => continue,
            };
            let Some((left, right)) = left.zip(right).filter(|(left, _)| left.kind() == "identifier") else { continue };
            let name = self.source.of(left);
            match self.model_of(right, 0) {
                Some(found) => drop(self.models.insert(name, found)),
                None if name != "self" => drop(self.models.remove(name)),
                None => {}
            }
        }
    }

    /// The records whose each is handed to this lambda.
    fn each(&self, lambda: Node<'s>) -> Option<Node<'s>> {
        let call = lambda.parent()?.parent().filter(|node| node.kind() == "call")?;
        let function = field(call, "function").filter(|node| node.kind() == "attribute")?;
        EACH.contains(&self.source.of(field(function, "attribute")?)).then(|| field(function, "object"))?
    }

    /// The Odoo model of an expression.
    pub(super) fn model_of(&self, node: Node<'_>, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        let of = |node: Node<'_>| self.source.of(node);
        match node.kind() {
            "identifier" => self.models.get(of(node)).cloned(),
            "parenthesized_expression" | "await" => self.model_of(node.named_child(0)?, depth + 1),
            "subscript" => {
                let (value, key) = (field(node, "value")?, field(node, "subscript")?);
                if is_registry(of(value)) {
                    return self.source.literal(key);
                }
                self.model_of(value, depth + 1)
            }
            "attribute" => {
                let (object, name) = (field(node, "object")?, of(field(node, "attribute")?));
                if of(object).rsplit('.').next() == Some("env") {
                    return match name {
                        "user" => Some("res.users".to_owned()),
                        "company" | "companies" => Some("res.company".to_owned()),
                        _ => None,
                    };
                }
                self.known.comodel(&self.model_of(object, depth + 1)?, name)
            }
            "call" => {
                let function = field(node, "function").filter(|node| node.kind() == "attribute")?;
                let (object, name) = (field(function, "object")?, of(field(function, "attribute")?));
                let model = self.model_of(object, depth + 1)?;
                if name == "mapped" {
                    let path = self.source.literal(children(field(node, "arguments")?).into_iter().next()?)?;
                    return path.split('.').take(MAX_DEPTH).try_fold(model, |at, part| self.known.comodel(&at, part));
                }
                SAME_MODEL.contains(&name).then_some(model)
            }
            "binary_operator" | "boolean_operator" => self.model_of(field(node, "left")?, depth + 1),
            _ => None,
        }
    }

    /// The ingredients of an expression or statement, and how many variables it names.
    pub(super) fn items(&self, root: Node<'_>) -> (Vec<Item>, usize) {
        let (mut items, mut variables) = (Vec::new(), 0);
        let mut stack = vec![root];
        while let Some(node) = stack.pop() {
            let mut push = |role: Role, text: String, model: Option<String>| {
                items.push(Item { role, text, model, line: line_of(node) });
            };
            match node.kind() {
                "comment" | "type" | "import_statement" | "import_from_statement" | "future_import_statement" => continue,
                "expression_statement" if only_text(node) => continue,
                "string" | "concatenated_string" => {
                    let (role, model) = self.text_role(node);
                    let text = text_of(self.source, node);
                    if !matches!(text.as_str(), "|" | "&" | "!") {
                        push(role, text, model);
                    }
                    stack.extend(walk(node).filter(|part| part.kind() == "interpolation").filter_map(|part| part.named_child(0)));
                    continue;
                }
                "pair" if field(node, "key").is_some_and(|key| key.kind().ends_with("string")) => {
                    // The keys of dictionaries are facts of their own.
                    stack.extend(field(node, "value"));
                    continue;
                }
                "subscript" if self.is_fallback(node) => continue,
                "integer" if self.is_index_of_gone(node) => continue,
                "integer" | "float" => push(Role::Number, self.source.of(node).to_owned(), None),
                "true" | "false" | "none" => push(Role::Constant, self.source.of(node).to_owned(), None),
                "comparison_operator" => operators(node, self.source).into_iter().for_each(|text| push(Role::Operator, text, None)),
                "call" if self.is_environment(node) => continue,
                "call" if callee(self.source, node) == "super" => continue,
                "call" if let Some(text) = self.no_number(node) => {
                    push(Role::Number, text, None);
                    continue;
                }
                "identifier" => match self.name_role(node) {
                    Some((role, model)) => push(role, alias(self.source.of(node)).to_owned(), model),
                    None => variables += usize::from(self.is_variable(node)),
                },
                _ => {}
            }
            let mut cursor = node.walk();
            let below: Vec<_> = node.named_children(&mut cursor).collect();
            stack.extend(below.into_iter().rev());
        }
        (items, variables)
    }

    /// The text in `int("ten")`, which never gives a value, in quotes, as no number is written.
    fn no_number(&self, call: Node<'_>) -> Option<String> {
        let name = field(call, "function").filter(|function| function.kind() == "identifier").map(|name| self.source.of(name))?;
        let given = field(call, "arguments").filter(|given| given.named_child_count() == 1)?;
        let text = given.named_child(0).filter(|text| text.kind() == "string")?;
        if self.variables.contains(name) || walk(text).any(|part| part.kind() == "interpolation") {
            return None;
        }
        let text = text_of(self.source, text);
        let has_letters = text.chars().any(|letter| letter.is_ascii_alphabetic());
        let is_none = match name {
            "int" => has_letters,
            "float" => has_letters && text.trim().replace('_', "").parse::<f64>().is_err(),
            _ => false,
        };
        is_none.then(|| format!("'{text}'"))
    }

    fn is_variable(&self, node: Node<'_>) -> bool {
        let is_part = node.parent().is_some_and(|parent| {
            (parent.kind() == "attribute" && field(parent, "attribute") == Some(node))
                || (parent.kind() == "keyword_argument" && field(parent, "name") == Some(node))
        });
        !is_part && self.variables.contains(self.source.of(node))
    }

    /// The role of an identifier; `None` if it is a variable, the name of an argument or only leads to something.
    fn name_role(&self, node: Node<'_>) -> Option<(Role, Option<String>)> {
        let text = self.source.of(node);
        let parent = node.parent()?;
        let called = |node: Node<'_>| node.parent().is_some_and(|up| up.kind() == "call" && field(up, "function") == Some(node));
        if PLUMBING.contains(&text) || matches!(text, "_" | "super" | "_cr" | "format") {
            return None;
        }
        match parent.kind() {
            "attribute" if field(parent, "attribute") == Some(node) => {
                let model = field(parent, "object").and_then(|object| self.model_of(object, 0));
                Some((if called(parent) { Role::Call } else { Role::Attribute }, model))
            }
            "keyword_argument" if field(parent, "name") == Some(node) => None,
            "function_definition" | "class_definition" if field(parent, "name") == Some(node) => None,
            _ if self.variables.contains(text) => None,
            _ => Some((if called(node) { Role::Call } else { Role::Name }, None)),
        }
    }

    fn text_role(&self, node: Node<'_>) -> (Role, Option<String>) {
        let Some(parent) = node.parent() else { return (Role::Text, None) };
        match parent.kind() {
            "subscript" if field(parent, "value").is_some_and(|value| is_registry(self.source.of(value))) => (Role::Model, None),
            "keyword_argument" => match field(parent, "name").map(|name| self.source.of(name)) {
                Some("comodel_name" | "model_name") => (Role::Model, None),
                _ => (Role::Text, None),
            },
            "argument_list" => {
                let Some(call) = parent.parent() else { return (Role::Text, None) };
                let receiver = || {
                    let function = field(call, "function").filter(|function| function.kind() == "attribute")?;
                    self.model_of(field(function, "object")?, 0)
                };
                match callee(self.source, call) {
                    "ref" | "has_group" | "has_groups" | "user_has_groups" | "_for_xml_id" | "_xmlid_to_res_id" => (Role::Id, None),
                    "Many2one" | "One2many" | "Many2many" if parent.named_child(0) == Some(node) => (Role::Model, None),
                    "mapped" | "filtered" | "sorted" | "grouped" => (Role::Text, receiver()),
                    _ => (Role::Text, None),
                }
            }
            _ => (Role::Text, None),
        }
    }

    /// The empty records in `… or self.env["res.groups"]`, which stand for nothing.
    fn is_fallback(&self, node: Node<'_>) -> bool {
        let last = node.parent().filter(|parent| parent.kind() == "boolean_operator" && field(*parent, "right") == Some(node));
        last.is_some() && field(node, "value").is_some_and(|value| is_registry(self.source.of(value)))
    }

    /// A number that picks a part of what a method gave that Odoo no longer has.
    fn is_index_of_gone(&self, node: Node<'_>) -> bool {
        let indexed = ancestors(node).take_while(|up| up.kind() == "subscript").last().and_then(|up| {
            let mut inner = field(up, "value")?;
            while inner.kind() == "subscript" {
                inner = field(inner, "value")?;
            }
            Some(inner)
        });
        indexed.is_some_and(|value| value.kind() == "call" && is_gone_method(callee(self.source, value)))
    }

    /// `api.Environment(cr, SUPERUSER_ID, {})`: what hooks are given now.
    fn is_environment(&self, call: Node<'_>) -> bool {
        callee(self.source, call) == "Environment"
    }

    /// What an expression says, without layout and names of variables.
    pub(super) fn content(&self, root: Node<'_>) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut stack = vec![root];
        while let Some(node) = stack.pop() {
            match node.kind() {
                "comment" | "," | "(" | ")" | "type" => continue,
                "string" | "concatenated_string" => {
                    parts.push(format!("\"{}\"", text_of(self.source, node)));
                    stack.extend(walk(node).filter(|part| part.kind() == "interpolation").filter_map(|part| part.named_child(0)));
                    continue;
                }
                "attribute" if field(node, "attribute").is_some_and(|name| self.source.of(name) == "_") => {
                    parts.push("_".to_owned());
                    continue;
                }
                "call" if self.is_environment(node) => {
                    parts.push(VARIABLE.to_owned());
                    continue;
                }
                "call" if callee(self.source, node) == "super" => {
                    parts.push("super".to_owned());
                    continue;
                }
                "identifier" if self.is_variable(node) => parts.push(VARIABLE.to_owned()),
                _ if node.child_count() == 0 => parts.push(alias(self.source.of(node)).to_owned()),
                _ => {}
            }
            let mut cursor = node.walk();
            let below: Vec<_> = node.children(&mut cursor).collect();
            stack.extend(below.into_iter().rev());
        }
        parts.join(" ")
    }

    /// The parts of a condition, each with what it says, and how they are joined.
    pub(super) fn condition<'n>(&self, node: Node<'n>) -> (Vec<(String, Node<'n>)>, String) {
        let (mut parts, mut joins) = (Vec::new(), Vec::new());
        self.split(node, false, &mut parts, &mut joins, 0);
        joins.sort_unstable();
        (parts, joins.into_iter().collect())
    }

    fn split<'n>(&self, node: Node<'n>, negated: bool, parts: &mut Vec<(String, Node<'n>)>, joins: &mut Vec<char>, depth: usize) {
        if depth < MAX_DEPTH {
            match node.kind() {
                "parenthesized_expression" if node.named_child_count() == 1 => {
                    if let Some(inner) = node.named_child(0) {
                        return self.split(inner, negated, parts, joins, depth + 1);
                    }
                }
                "not_operator" => {
                    if let Some(inner) = field(node, "argument") {
                        return self.split(inner, !negated, parts, joins, depth + 1);
                    }
                }
                "boolean_operator" => {
                    let both = field(node, "left").zip(field(node, "right"));
                    if let Some((left, right)) = both {
                        let is_and = field(node, "operator").is_some_and(|operator| self.source.of(operator) == "and");
                        joins.push(if is_and == negated { '|' } else { '&' });
                        self.split(left, negated, parts, joins, depth + 1);
                        return self.split(right, negated, parts, joins, depth + 1);
                    }
                }
                "comparison_operator" => {
                    if let Some(text) = self.comparison(node, negated) {
                        parts.push((text, node));
                        return;
                    }
                }
                _ => {}
            }
        }
        let text = self.content(node);
        parts.push((if negated { format!("not {text}") } else { text }, node));
    }

    fn comparison(&self, node: Node<'_>, negated: bool) -> Option<String> {
        let sides = children(node);
        let [left, right] = sides.as_slice() else { return None };
        let operator = operators(node, self.source).into_iter().next()?;
        let operator = if negated { opposite(&operator) } else { &operator };
        let (left, right) = (self.content(*left), self.content(*right));
        Some(match (operator, right.as_str()) {
            ("==" | "is", "False" | "None") | ("!=" | "is not", "True") => format!("not {left}"),
            ("!=" | "is not", "False" | "None") | ("==" | "is", "True") => left,
            _ => format!("{left} {operator} {right}"),
        })
    }
}

/// Reads a text; `None` if it is no Python or nested more deeply than people write.
///
/// To find the parent of a node takes the longer the deeper it stands, so that hostile nesting would take minutes.
pub(super) fn parse(text: &str) -> Option<Source<'_>> {
    Source::parse(text).filter(|source| is_shallow(source.root()))
}

fn is_shallow(root: Node<'_>) -> bool {
    let mut cursor = root.walk();
    while cursor.depth() <= DEEPEST {
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return true;
            }
        }
    }
    false
}

/// The line of a node, counted from 1.
pub(super) fn line_of(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX)
}

/// The last name of what a call calls.
pub(super) fn callee<'s>(source: &Source<'s>, call: Node<'_>) -> &'s str {
    let Some(function) = field(call, "function") else { return "" };
    match function.kind() {
        "attribute" => field(function, "attribute").map_or("", |name| source.of(name)),
        "identifier" => source.of(function),
        _ => "",
    }
}

/// The last name of the nearest call around a node, within one statement.
pub(super) fn callee_around<'s>(source: &Source<'s>, node: Node<'_>) -> Option<&'s str> {
    let inside = ancestors(node).take_while(|up| !up.kind().ends_with("statement") && up.kind() != "lambda");
    inside.filter(|up| up.kind() == "call").map(|call| callee(source, call)).next()
}

fn is_registry(text: &str) -> bool {
    matches!(text.rsplit('.').next(), Some("env" | "pool"))
}

/// A statement that is a text: the description of a function.
fn only_text(statement: Node<'_>) -> bool {
    statement.named_child_count() == 1 && statement.named_child(0).is_some_and(|child| child.kind().ends_with("string"))
}

fn alias(name: &str) -> &str {
    match name {
        "_context" => "context",
        "_uid" => "uid",
        "_cr" => "cr",
        other => other,
    }
}

fn binds(node: Node<'_>) -> bool {
    let mut child = node;
    for up in ancestors(node).take(6) {
        let is = |role: &str| field(up, role) == Some(child);
        match up.kind() {
            "parameters" | "lambda_parameters" | "as_pattern_target" | "global_statement" => return true,
            "default_parameter" | "typed_default_parameter" if !is("name") => return false,
            "typed_parameter" if is("type") => return false,
            "assignment" | "augmented_assignment" | "for_statement" | "for_in_clause" => return is("left"),
            "named_expression" => return is("name"),
            "pattern_list"
            | "tuple_pattern"
            | "list_pattern"
            | "list_splat_pattern"
            | "dictionary_splat_pattern"
            | "typed_parameter"
            | "default_parameter"
            | "typed_default_parameter" => {}
            "function_definition" => return is("name") && up.parent().is_some_and(|block| block.kind() == "block"),
            _ => return false,
        }
        child = up;
    }
    false
}

/// The operators of a comparison.
pub(super) fn operators(node: Node<'_>, source: &Source<'_>) -> Vec<String> {
    let mut cursor = node.walk();
    let parts = node.children(&mut cursor).filter(|child| !child.is_named() || child.kind().contains(' '));
    let texts: Vec<String> = parts.map(|part| source.of(part).split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let mut joined: Vec<String> = Vec::new();
    for text in texts {
        match (joined.last_mut(), text.as_str()) {
            (Some(last), "in") if last == "not" => last.push_str(" in"),
            (Some(last), "not") if last == "is" => last.push_str(" not"),
            (_, "<>") => joined.push("!=".to_owned()),
            _ => joined.push(text),
        }
    }
    joined
}

fn opposite(operator: &str) -> &str {
    match operator {
        "==" => "!=",
        "!=" => "==",
        "<" => ">=",
        ">=" => "<",
        ">" => "<=",
        "<=" => ">",
        "in" => "not in",
        "not in" => "in",
        "is" => "is not",
        "is not" => "is",
        other => other,
    }
}

/// The text of a string, without what is put into it.
pub(super) fn text_of(source: &Source<'_>, node: Node<'_>) -> String {
    let parts = walk(node).filter(|part| part.kind() == "string_content" && !within_interpolation(*part, node));
    let joined: String = parts.map(|part| source.of(part)).collect();
    plain_text(&joined)
}

fn within_interpolation(part: Node<'_>, root: Node<'_>) -> bool {
    ancestors(part).take_while(|up| *up != root).any(|up| up.kind() == "interpolation")
}

static PLACEHOLDER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"%(?:\(\w+\))?[-+#0]*\d*(?:\.\d+)?[sdrfiuxgG]|\{[^{}\s]*\}").ok());

/// A text without placeholders, layout and the old name of list views.
pub(super) fn plain_text(text: &str) -> String {
    let without = PLACEHOLDER.as_ref().map_or_else(|| text.into(), |pattern| pattern.replace_all(text, ""));
    let joined = without.split_whitespace().collect::<Vec<_>>().join(" ");
    let joined = joined.replace("\\n", " ").replace("\\'", "'").replace("\\\"", "\"").replace("tree_view_ref", "list_view_ref");
    let modes = ["tree", "list", "form", "kanban", "calendar", "graph", "pivot", "activity", "search", "gantt", "map", "hierarchy"];
    if joined.contains("tree") && joined.split(',').all(|mode| modes.contains(&mode.trim())) {
        return joined.split(',').map(|mode| if mode.trim() == "tree" { "list" } else { mode.trim() }).collect::<Vec<_>>().join(",");
    }
    joined.trim().to_owned()
}
