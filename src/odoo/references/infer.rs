//! The types of Python expressions, as far as the sources say: which Odoo model a variable holds records of.
//!
//! A variable has a type only where everything that is bound to it in its function agrees.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use tree_sitter::Node;

use super::world::World;
use crate::odoo::source::python::{PythonFile, children};

/// How deep an expression is followed.
const MAX_DEPTH: usize = 40;
/// How many questions one file may cost.
const MAX_STEPS: usize = 500_000;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// Nothing of use, such as `None`: it says nothing against another type.
    Nothing,
    /// The environment.
    Env,
    /// Records of an Odoo model; whether they are the `self` of one of its classes.
    Records(Rc<str>, bool),
    /// What `super()` gives in a class of an Odoo model.
    Super(Rc<str>),
    /// Not known.
    Unknown,
}

impl Type {
    pub(super) fn records(odoo_model: &str) -> Self {
        Self::Records(odoo_model.into(), false)
    }

    /// The Odoo model, and whether it is the `self` of one of its classes.
    pub(super) fn odoo_model(&self) -> Option<(&str, bool)> {
        match self {
            Self::Records(name, on_self) => Some((name, *on_self)),
            Self::Super(name) => Some((name, true)),
            _ => None,
        }
    }

    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (Self::Records(one, a), Self::Records(other, b)) if one == other => Self::Records(one, a && b),
            (one, other) if one == other => one,
            _ => Self::Unknown,
        }
    }
}

/// What is bound to a name.
#[derive(Debug, Clone)]
enum Binding<'n> {
    Value(Node<'n>),
    /// One of the elements of it; `n`: of pairs, which half.
    Element(Node<'n>, Option<usize>),
    Known(Type),
}

type Bindings<'n> = HashMap<String, Vec<Binding<'n>>>;

/// One piece of Python with its types.
pub(super) struct Code<'n, 'a> {
    pub(super) file: &'n PythonFile<'n>,
    pub(super) world: &'n World<'a>,
    /// The types of names that the piece does not bind itself.
    globals: HashMap<String, Type>,
    scopes: RefCell<HashMap<usize, Rc<Bindings<'n>>>>,
    types: RefCell<HashMap<usize, Type>>,
    open: RefCell<BTreeSet<usize>>,
    steps: Cell<usize>,
    cuts: Cell<usize>,
}

impl<'n, 'a> Code<'n, 'a> {
    pub(super) fn new(file: &'n PythonFile<'n>, world: &'n World<'a>, globals: HashMap<String, Type>) -> Self {
        Self {
            file,
            world,
            globals,
            scopes: RefCell::default(),
            types: RefCell::default(),
            open: RefCell::default(),
            steps: Cell::default(),
            cuts: Cell::default(),
        }
    }

    /// Whether there was more to find out than is looked at.
    pub(super) fn is_cut(&self) -> bool {
        self.steps.get() > MAX_STEPS
    }

    /// The source of a node.
    pub(super) fn text(&self, node: Node<'n>) -> &'n str {
        self.file.of(node)
    }

    /// What an expression gives.
    pub(super) fn type_of(&self, node: Node<'n>) -> Type {
        if let Some(known) = self.types.borrow().get(&node.id()) {
            return known.clone();
        }
        self.steps.set(self.steps.get() + 1);
        if self.open.borrow().len() > MAX_DEPTH || self.steps.get() > MAX_STEPS {
            self.cuts.set(self.cuts.get() + 1);
            return Type::Unknown;
        }
        // A variable that depends on itself adds nothing to its own type.
        if !self.open.borrow_mut().insert(node.id()) {
            self.cuts.set(self.cuts.get() + 1);
            return Type::Nothing;
        }
        let cuts = self.cuts.get();
        let found = self.evaluate(node);
        self.open.borrow_mut().remove(&node.id());
        // What was cut off inside of another question may have a fuller answer by itself.
        if self.open.borrow().is_empty() || cuts == self.cuts.get() {
            self.types.borrow_mut().insert(node.id(), found.clone());
        }
        found
    }

    fn evaluate(&self, node: Node<'n>) -> Type {
        let field = |name: &str| node.child_by_field_name(name);
        match node.kind() {
            "identifier" => self.variable(node),
            "none" | "false" => Type::Nothing,
            "parenthesized_expression" => children(node).first().map_or(Type::Unknown, |inner| self.type_of(*inner)),
            "named_expression" => field("value").map_or(Type::Unknown, |value| self.type_of(value)),
            "conditional_expression" => match children(node).as_slice() {
                [yes, _, no] => self.type_of(*yes).join(self.type_of(*no)),
                _ => Type::Unknown,
            },
            "boolean_operator" => {
                let (Some(left), Some(right)) = (field("left"), field("right")) else { return Type::Unknown };
                let right = self.type_of(right);
                if field("operator").is_some_and(|operator| operator.kind() == "and") { right } else { self.type_of(left).join(right) }
            }
            "binary_operator" => match field("left").map(|left| self.type_of(left)) {
                Some(Type::Records(name, on_self))
                    if field("operator").is_some_and(|operator| matches!(operator.kind(), "|" | "&" | "-" | "+")) =>
                {
                    Type::Records(name, on_self)
                }
                _ => Type::Unknown,
            },
            "attribute" => self.attribute(node),
            "subscript" => self.subscript(node),
            "call" => self.call(node),
            _ => Type::Unknown,
        }
    }

    fn attribute(&self, node: Node<'n>) -> Type {
        let (Some(object), Some(name)) = (node.child_by_field_name("object"), node.child_by_field_name("attribute")) else {
            return Type::Unknown;
        };
        let name = self.text(name);
        if name == "env" {
            return Type::Env;
        }
        match self.type_of(object) {
            Type::Env => match name {
                "user" => Type::records("res.users"),
                "company" | "companies" => Type::records("res.company"),
                _ => Type::Unknown,
            },
            Type::Records(odoo_model, on_self) if name == "_origin" => Type::Records(odoo_model, on_self),
            Type::Records(odoo_model, _) => self.field(&odoo_model, name),
            _ => Type::Unknown,
        }
    }

    /// The type of a field.
    pub(super) fn field(&self, odoo_model: &str, name: &str) -> Type {
        self.world.comodel(odoo_model, name).map_or(Type::Unknown, |comodel| Type::records(&comodel))
    }

    fn subscript(&self, node: Node<'n>) -> Type {
        let (Some(value), Some(key)) = (node.child_by_field_name("value"), node.child_by_field_name("subscript")) else {
            return Type::Unknown;
        };
        match (self.type_of(value), key.kind()) {
            (Type::Env, _) => self.file.string(key).map_or(Type::Unknown, |name| Type::records(&name)),
            (Type::Records(odoo_model, _), "string") => self.file.string(key).map_or(Type::Unknown, |name| self.field(&odoo_model, &name)),
            (Type::Records(odoo_model, on_self), "integer" | "slice" | "unary_operator") => Type::Records(odoo_model, on_self),
            _ => Type::Unknown,
        }
    }

    /// The object and the name of `object.name(…)`.
    pub(super) fn method(&self, call: Node<'n>) -> Option<(Node<'n>, &'n str)> {
        let function = call.child_by_field_name("function").filter(|function| function.kind() == "attribute")?;
        Some((function.child_by_field_name("object")?, self.text(function.child_by_field_name("attribute")?)))
    }

    /// The arguments of a call: those by place, then those by name.
    pub(super) fn arguments(&self, call: Node<'n>) -> Vec<(Option<&'n str>, Node<'n>)> {
        let list = call.child_by_field_name("arguments").filter(|list| list.kind() == "argument_list").map(children).unwrap_or_default();
        let named = |node: Node<'n>| {
            let by_name =
                (node.kind() == "keyword_argument").then(|| Some((node.child_by_field_name("name")?, node.child_by_field_name("value")?)));
            match by_name.flatten() {
                Some((name, value)) => (Some(self.text(name)), value),
                None => (None, node),
            }
        };
        list.into_iter().map(named).collect()
    }

    fn call(&self, node: Node<'n>) -> Type {
        let Some((object, name)) = self.method(node) else {
            let function = node.child_by_field_name("function").map(|function| self.text(function));
            return match (function, self.own_model(node)) {
                (Some("super"), Some(own)) => Type::Super(own.as_str().into()),
                _ => Type::Unknown,
            };
        };
        let of = self.type_of(object);
        let arguments = self.arguments(node);
        match of {
            Type::Env if name == "ref" => {
                let id = arguments.first().and_then(|(_, first)| self.file.string(*first));
                let record = id.and_then(|id| self.world.index.record(&id));
                record.map_or(Type::Unknown, |record| Type::records(&record.odoo_model))
            }
            Type::Records(odoo_model, on_self) => self.called(&odoo_model, on_self, name, &arguments),
            Type::Super(odoo_model) => self.called(&odoo_model, false, name, &arguments),
            _ => Type::Unknown,
        }
    }

    fn called(&self, odoo_model: &str, on_self: bool, name: &str, arguments: &[(Option<&'n str>, Node<'n>)]) -> Type {
        match name {
            "search" if arguments.iter().any(|(name, _)| *name == Some("count")) => Type::Unknown,
            "sudo" | "with_context" | "with_user" | "with_company" | "with_env" | "with_prefetch" | "exists" | "ensure_one"
            | "filtered" | "filtered_domain" | "sorted" => Type::Records(odoo_model.into(), on_self),
            "search" | "search_fetch" | "browse" | "create" | "copy" | "new" | "concat" | "union" => Type::records(odoo_model),
            "mapped" => match arguments.first() {
                Some((None, path)) if path.kind() == "string" => {
                    let path = self.file.string(*path).unwrap_or_default();
                    let mut steps = path.split('.');
                    steps
                        .try_fold(odoo_model.to_owned(), |at, name| self.world.comodel(&at, name))
                        .map_or(Type::Unknown, |at| Type::records(&at))
                }
                Some((None, lambda)) if lambda.kind() == "lambda" => {
                    lambda.child_by_field_name("body").map_or(Type::Unknown, |body| self.type_of(body))
                }
                _ => Type::Unknown,
            },
            _ => Type::Unknown,
        }
    }

    fn variable(&self, node: Node<'n>) -> Type {
        let name = self.text(node);
        let mut at = node;
        let mut is_inner = false;
        for _ in 0..1_000 {
            let Some(parent) = at.parent() else { break };
            // What a class assigns is not seen by the functions in it.
            if is_scope(parent)
                && !(parent.kind() == "class_definition" && is_inner)
                && let Some(bindings) = self.bindings(parent).get(name)
            {
                return bindings.iter().fold(Type::Nothing, |so_far, binding| so_far.join(self.bound(binding)));
            }
            is_inner |= matches!(parent.kind(), "function_definition" | "lambda");
            at = parent;
        }
        self.globals.get(name).cloned().unwrap_or(Type::Unknown)
    }

    fn bound(&self, binding: &Binding<'n>) -> Type {
        match binding {
            Binding::Known(known) => known.clone(),
            Binding::Value(value) => self.type_of(*value),
            Binding::Element(of, half) => self.element(*of, *half),
        }
    }

    fn element(&self, of: Node<'n>, half: Option<usize>) -> Type {
        let called = (of.kind() == "call").then(|| of.child_by_field_name("function")).flatten().map(|function| self.text(function));
        match (called, half) {
            (Some("enumerate"), Some(1)) | (Some("reversed" | "sorted" | "list" | "set" | "tuple" | "iter"), None) => {
                self.arguments(of).first().map_or(Type::Unknown, |(_, inner)| self.element(*inner, None))
            }
            (_, None) => match self.type_of(of) {
                Type::Records(name, on_self) => Type::Records(name, on_self),
                _ => Type::Unknown,
            },
            _ => Type::Unknown,
        }
    }

    /// What is bound to a name where a node stands: the values that are assigned there.
    pub(super) fn assigned(&self, node: Node<'n>) -> Vec<Node<'n>> {
        let Some(function) = function_of(node) else { return Vec::new() };
        let bindings = self.bindings(function);
        let found = bindings.get(self.text(node)).into_iter().flatten();
        found.filter_map(|binding| if let Binding::Value(value) = binding { Some(*value) } else { None }).collect()
    }

    fn bindings(&self, scope: Node<'n>) -> Rc<Bindings<'n>> {
        if let Some(known) = self.scopes.borrow().get(&scope.id()) {
            return known.clone();
        }
        let mut found = Bindings::new();
        self.parameters(scope, &mut found);
        let mut open: Vec<Node<'n>> = children(scope);
        open.reverse();
        while let Some(node) = open.pop() {
            self.bind(node, &mut found);
            if !is_scope(node) {
                let inner = children(node);
                open.extend(inner.into_iter().rev());
            }
        }
        let found = Rc::new(found);
        self.scopes.borrow_mut().insert(scope.id(), found.clone());
        found
    }

    fn bind(&self, node: Node<'n>, found: &mut Bindings<'n>) {
        let field = |name: &str| node.child_by_field_name(name);
        match node.kind() {
            "assignment" | "named_expression" => {
                let left = field("left").or_else(|| field("name"));
                if let (Some(left), Some(value)) = (left, field("right").or_else(|| field("value"))) {
                    self.target(left, &Binding::Value(value), found);
                }
            }
            "for_statement" | "for_in_clause" => {
                if let (Some(left), Some(right)) = (field("left"), field("right")) {
                    self.target(left, &Binding::Element(right, None), found);
                }
            }
            "as_pattern_target"
            | "import_statement"
            | "import_from_statement"
            | "case_pattern"
            | "global_statement"
            | "nonlocal_statement" => {
                for name in names_in(node) {
                    add(found, self.text(name), Binding::Known(Type::Unknown));
                }
            }
            "function_definition" | "class_definition" => {
                if let Some(name) = field("name") {
                    add(found, self.text(name), Binding::Known(Type::Unknown));
                }
            }
            _ => {}
        }
    }

    fn target(&self, left: Node<'n>, binding: &Binding<'n>, found: &mut Bindings<'n>) {
        match left.kind() {
            "identifier" => add(found, self.text(left), binding.clone()),
            "pattern_list" | "tuple_pattern" | "list_pattern" => {
                let values = match binding {
                    Binding::Value(value) if matches!(value.kind(), "expression_list" | "tuple" | "list") => children(*value),
                    _ => Vec::new(),
                };
                let parts = children(left);
                for (n, part) in parts.iter().enumerate() {
                    let part_of = match binding {
                        Binding::Value(_) if values.len() == parts.len() => Binding::Value(values[n]),
                        Binding::Element(of, None) => Binding::Element(*of, Some(n)),
                        _ => Binding::Known(Type::Unknown),
                    };
                    if part.kind() == "identifier" {
                        add(found, self.text(*part), part_of);
                    } else {
                        names_in(*part).into_iter().for_each(|name| add(found, self.text(name), Binding::Known(Type::Unknown)));
                    }
                }
            }
            _ => {}
        }
    }

    fn parameters(&self, scope: Node<'n>, found: &mut Bindings<'n>) {
        let Some(parameters) = scope.child_by_field_name("parameters") else { return };
        let is_method = scope.kind() == "function_definition" && class_of_method(scope).is_some();
        let decorators = scope.parent().filter(|parent| parent.kind() == "decorated_definition").map(children).unwrap_or_default();
        let is_static = decorators.iter().any(|node| node.kind() == "decorator" && self.text(*node).contains("staticmethod"));
        for (n, parameter) in children(parameters).into_iter().enumerate() {
            let names = names_in(parameter);
            let Some(name) = names.first().map(|name| self.text(*name)) else { continue };
            let own = || self.own_model(scope).map(|own| Type::Records(own.as_str().into(), true));
            let known = match scope.kind() {
                // What is set on a class is set for all, and nothing here says by whom.
                "function_definition" if n == 0 && is_method && !is_static && name != "cls" => own(),
                "lambda" if n == 0 => {
                    self.lambda_parameter(scope).or_else(|| own().filter(|_| name == "self" && function_of(scope).is_none()))
                }
                _ => None,
            };
            add(found, name, Binding::Known(known.unwrap_or(Type::Unknown)));
        }
    }

    /// The records that a lambda is called with: `records.filtered(lambda record: …)`.
    fn lambda_parameter(&self, lambda: Node<'n>) -> Option<Type> {
        let mut list = lambda.parent()?;
        if list.kind() == "keyword_argument" {
            list = list.parent()?;
        }
        let call = list.parent().filter(|call| call.kind() == "call")?;
        let (object, name) = self.method(call)?;
        let of = self.type_of(object);
        (matches!(name, "filtered" | "mapped" | "sorted" | "grouped") && matches!(of, Type::Records(..))).then_some(of)
    }

    /// The Odoo model of the class around a node, where it is sure.
    pub(super) fn own_model(&self, node: Node<'n>) -> Option<String> {
        let mut at = node;
        for _ in 0..1_000 {
            at = at.parent()?;
            if at.kind() == "class_definition" {
                return self.file.head(at).odoo_model().map(str::to_owned);
            }
        }
        None
    }
}

fn add<'n>(found: &mut Bindings<'n>, name: &str, binding: Binding<'n>) {
    found.entry(name.to_owned()).or_default().push(binding);
}

fn is_scope(node: Node<'_>) -> bool {
    let comprehension =
        matches!(node.kind(), "list_comprehension" | "set_comprehension" | "dictionary_comprehension" | "generator_expression");
    comprehension || matches!(node.kind(), "function_definition" | "lambda" | "class_definition" | "module")
}

/// The function or the file that a node stands in.
pub(super) fn function_of(node: Node<'_>) -> Option<Node<'_>> {
    let mut at = node;
    for _ in 0..1_000 {
        at = at.parent()?;
        if at.kind() == "function_definition" {
            return Some(at);
        }
    }
    None
}

/// The class that a function is a method of.
pub(super) fn class_of_method(function: Node<'_>) -> Option<Node<'_>> {
    let mut at = function.parent()?;
    if at.kind() == "decorated_definition" {
        at = at.parent()?;
    }
    at.parent().filter(|class| at.kind() == "block" && class.kind() == "class_definition")
}

/// The identifiers in a pattern or an import.
fn names_in(node: Node<'_>) -> Vec<Node<'_>> {
    let (mut found, mut open) = (Vec::new(), vec![node]);
    while let Some(node) = open.pop() {
        if node.kind() == "identifier" {
            found.push(node);
        } else if !matches!(node.kind(), "type" | "attribute" | "subscript" | "call") {
            open.extend(children(node).into_iter().rev());
        }
    }
    found
}
