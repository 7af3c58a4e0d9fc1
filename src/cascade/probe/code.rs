//! What the addon's own Python says of a frame: which method of which Odoo model it is, or which route.

use std::sync::LazyLock;

use regex::Regex;
use tree_sitter::Node;

use super::super::guard::pattern;
use super::trace::Step;
use crate::odoo::Addon;
use crate::rules::edit::python::{Source, ancestors, children, field, walk};

/// Names that may enter a test. They come from the addon's own sources, and a strange one is left out all the same.
static MODEL_NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*$"));
static ROUTE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^/[A-Za-z0-9_./-]{0,200}$"));

/// How many optional fields and lines a record gets.
const MAX_FIELDS: usize = 20;
const MAX_LINES: usize = 3;

/// How a method is called so that it runs as it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// On records, without arguments.
    Records,
    /// On the Odoo model, without arguments.
    Api,
    /// By making a record.
    Create,
    /// By writing to one.
    Write,
    /// By reading this computed field.
    Read(String),
    /// On records, with a value of each of these fields.
    RecordsWith(Vec<String>),
    /// On the Odoo model, with a value of each of these fields.
    ApiWith(Vec<String>),
}

/// What a frame of the addon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A method of an Odoo model.
    Method { odoo_model: String, name: String, call: Call },
    /// A method of an Odoo model that cannot be called without knowing more.
    Uncallable { odoo_model: String, name: String },
    /// A route that a browser asks for.
    Route { path: String, name: String, needs_user: bool },
}

/// The method or route that a frame is in.
pub(super) fn at(step: &Step<'_>) -> Option<Found> {
    let source = Source::parse(step.text)?;
    let (function, class) = method(&source, step)?;
    of_method(&source, function, class)
}

/// The method or route that a line is in.
pub(super) fn around(text: &str, line: u32) -> Option<Found> {
    let source = Source::parse(text)?;
    let row = usize::try_from(line).ok()?.checked_sub(1)?;
    let methods = source.all("function_definition").filter_map(|function| Some((function, class_of(function)?)));
    let mut around = methods.filter(|(function, _)| (function.start_position().row..=function.end_position().row).contains(&row));
    let (function, class) = around.next()?;
    of_method(&source, function, class)
}

fn of_method(source: &Source<'_>, function: Node<'_>, class: Node<'_>) -> Option<Found> {
    let name = source.of(field(function, "name")?).to_owned();
    if let Some(route) = decorators(function).into_iter().find_map(|decorator| route(source, decorator, &name)) {
        return Some(route);
    }
    let odoo_model = odoo_model(source, class)?;
    Some(match call(source, function, class, &name) {
        Some(call) => Found::Method { odoo_model, name, call },
        None => Found::Uncallable { odoo_model, name },
    })
}

/// The method with the frame's name, with its class: the one around the frame's line, else the only one.
fn method<'a>(source: &'a Source<'_>, step: &Step<'_>) -> Option<(Node<'a>, Node<'a>)> {
    let line = usize::try_from(step.line).ok()?.checked_sub(1)?;
    let named = source.all("function_definition").filter(|node| field(*node, "name").is_some_and(|name| source.of(name) == step.function));
    let methods: Vec<_> = named.filter_map(|function| Some((function, class_of(function)?))).collect();
    let around = methods.iter().find(|(function, _)| (function.start_position().row..=function.end_position().row).contains(&line));
    match (around, methods.as_slice()) {
        (Some(method), _) | (None, [method]) => Some(*method),
        _ => None,
    }
}

/// The class that a function is directly in.
fn class_of(function: Node<'_>) -> Option<Node<'_>> {
    let mut above = ancestors(function).filter(|node| node.kind() != "decorated_definition");
    above.next().filter(|node| node.kind() == "block")?;
    above.next().filter(|node| node.kind() == "class_definition")
}

fn decorators(function: Node<'_>) -> Vec<Node<'_>> {
    let Some(decorated) = function.parent().filter(|parent| parent.kind() == "decorated_definition") else { return Vec::new() };
    children(decorated).into_iter().filter(|child| child.kind() == "decorator").collect()
}

/// The Odoo model of a class: its `_name`, or the only one that it inherits.
fn odoo_model(source: &Source<'_>, class: Node<'_>) -> Option<String> {
    let body = field(class, "body")?;
    let stated = source.assigned(body, "_name").or_else(|| source.assigned(body, "_inherit"))?;
    let name = match (stated.kind(), children(stated).as_slice()) {
        ("list" | "tuple", [only]) => source.literal(*only)?,
        _ => source.literal(stated)?,
    };
    MODEL_NAME.is_match(&name).then_some(name)
}

fn call(source: &Source<'_>, function: Node<'_>, class: Node<'_>, name: &str) -> Option<Call> {
    let parameters = children(field(function, "parameters")?);
    let (first, others) = parameters.split_first()?;
    if source.of(*first) != "self" {
        return None;
    }
    let needed = others.iter().filter(|node| matches!(node.kind(), "identifier" | "typed_parameter") && !is_rest(source, **node)).count();
    match (name, needed) {
        ("create", 1) => Some(Call::Create),
        ("write", 1) => Some(Call::Write),
        (_, 0) => Some(match computed(source, class, name) {
            Some(field) => Call::Read(field),
            None if decorators(function).iter().any(|decorator| source.of(*decorator).starts_with("@api.model")) => Call::Api,
            None => Call::Records,
        }),
        (_, needed) if needed <= MAX_ARGUMENTS => {
            // Arguments that are called as fields are take values of theirs.
            let names: Vec<&str> = others.iter().filter(|node| node.kind() == "identifier").map(|node| source.of(*node)).collect();
            let fields = declared(source, class);
            let known = |name: &&str| fields.iter().any(|field| field.name == *name && PLAIN.contains(&field.kind));
            let all = names.len() == needed && names.iter().all(known);
            let names = all.then(|| names.into_iter().map(str::to_owned).collect::<Vec<_>>())?;
            let is_api = decorators(function).iter().any(|decorator| source.of(*decorator).starts_with("@api.model"));
            Some(if is_api { Call::ApiWith(names) } else { Call::RecordsWith(names) })
        }
        _ => None,
    }
}

/// Kinds of fields with values that can be given as an argument.
const PLAIN: [&str; 8] = ["Char", "Text", "Integer", "Float", "Monetary", "Date", "Datetime", "Selection"];
/// How many arguments a method may need.
const MAX_ARGUMENTS: usize = 3;

/// `*args: x` and `**kwargs: x` are typed parameters too.
fn is_rest(source: &Source<'_>, node: Node<'_>) -> bool {
    source.of(node).starts_with('*')
}

/// A route without variable parts that answers a plain GET.
fn route(source: &Source<'_>, decorator: Node<'_>, name: &str) -> Option<Found> {
    let call = children(decorator).first().copied().filter(|node| node.kind() == "call")?;
    if !matches!(source.of(field(call, "function")?), "http.route" | "route") {
        return None;
    }
    let arguments = children(field(call, "arguments")?);
    let keyword = |wanted: &str| {
        let named = arguments.iter().filter(|node| node.kind() == "keyword_argument");
        named
            .clone()
            .find(|node| field(**node, "name").is_some_and(|name| source.of(name) == wanted))
            .and_then(|node| field(*node, "value"))
    };
    let is_http = keyword("type").is_none_or(|kind| source.literal(kind).as_deref() == Some("http"));
    let answers_get = keyword("methods").is_none_or(|methods| walk(methods).any(|node| source.simple(node) == Some("GET")));
    if !is_http || !answers_get {
        return None;
    }
    let paths = keyword("route").or_else(|| arguments.first().copied().filter(|node| node.kind() != "keyword_argument"))?;
    let path = walk(paths).filter_map(|node| source.simple(node)).find(|path| ROUTE.is_match(path))?.to_owned();
    let needs_user = keyword("auth").is_none_or(|auth| source.literal(auth).as_deref() == Some("user"));
    Some(Found::Route { path, name: name.to_owned(), needs_user })
}

/// A field as its class declares it.
struct Declared<'t> {
    name: &'t str,
    kind: &'t str,
    arguments: Vec<(&'t str, String)>,
}

impl Declared<'_> {
    fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
    }
}

/// The fields that a class declares: `name = fields.Kind(…)`.
fn declared<'t>(source: &Source<'t>, class: Node<'_>) -> Vec<Declared<'t>> {
    let Some(body) = field(class, "body") else { return Vec::new() };
    let assignments =
        children(body).into_iter().filter_map(|statement| statement.named_child(0)).filter(|node| node.kind() == "assignment");
    let read = |assignment: Node<'_>| {
        let name = field(assignment, "left").filter(|left| left.kind() == "identifier")?;
        let call = field(assignment, "right").filter(|right| right.kind() == "call")?;
        let kind = source.of(field(call, "function")?).strip_prefix("fields.")?;
        let mut arguments = Vec::new();
        for (n, node) in children(field(call, "arguments")?).into_iter().enumerate() {
            match (node.kind(), kind, n) {
                ("keyword_argument", ..) => {
                    let value = field(node, "value")?;
                    let text = source.literal(value).unwrap_or_else(|| source.of(value).to_owned());
                    arguments.push((source.of(field(node, "name")?), text));
                }
                (_, "One2many" | "Many2one", 0) => arguments.push(("comodel_name", source.literal(node)?)),
                (_, "One2many", 1) => arguments.push(("inverse_name", source.literal(node)?)),
                _ => {}
            }
        }
        Some(Declared { name: source.of(name), kind, arguments })
    };
    assignments.filter_map(read).collect()
}

fn computed(source: &Source<'_>, class: Node<'_>, method: &str) -> Option<String> {
    declared(source, class).iter().find(|field| field.argument("compute") == Some(method)).map(|field| field.name.to_owned())
}

/// What the addon's sources say of one of its Odoo models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Whether it has no records of its own.
    pub(super) is_abstract: bool,
    /// Fields that may be filled and need not be.
    pub(super) optional: Vec<String>,
    /// Lines: the Odoo model, and the field of it that points back.
    pub(super) lines: Vec<(String, String)>,
}

/// The shape of an Odoo model, from every class of the addon that is about it.
pub(super) fn shape(addon: &Addon, wanted: &str) -> Shape {
    let mut shape = Shape::default();
    for (_, text) in addon.texts("py").filter(|(path, _)| !path.within_module().starts_with("tests/")) {
        let Some(source) = Source::parse(text).filter(|_| text.contains(wanted)) else { continue };
        for class in source.all("class_definition").filter(|class| odoo_model(&source, *class).as_deref() == Some(wanted)) {
            let bases = field(class, "superclasses").map(|bases| source.of(bases)).unwrap_or_default();
            shape.is_abstract |= bases.contains("AbstractModel");
            for field in declared(&source, class) {
                shape.add(&field);
            }
        }
    }
    shape.optional.truncate(MAX_FIELDS);
    shape.lines.truncate(MAX_LINES);
    shape
}

impl Shape {
    fn add(&mut self, field: &Declared<'_>) {
        let is_plain = ["compute", "related", "company_dependent"].iter().all(|name| field.argument(name).is_none());
        match field.kind {
            "One2many" if is_plain => {
                let (comodel, inverse) = (field.argument("comodel_name"), field.argument("inverse_name"));
                if let (Some(comodel), Some(inverse)) = (comodel.filter(|name| MODEL_NAME.is_match(name)), inverse)
                    && MODEL_NAME.is_match(inverse)
                {
                    self.lines.push((comodel.to_owned(), inverse.to_owned()));
                }
            }
            "Char" | "Text" | "Html" | "Integer" | "Float" | "Monetary" | "Date" | "Datetime" | "Selection" | "Many2one"
                if is_plain && field.argument("required") != Some("True") && field.argument("default").is_none() =>
            {
                self.optional.push(field.name.to_owned());
            }
            _ => {}
        }
    }
}
