//! The references of a Python file.

use std::collections::HashMap;

use tree_sitter::Node;

use super::domain::row;
use super::infer::{Code, Type, class_of_method, function_of};
use super::world::Member;
use super::{Check, Kind, Place, changed, overrides};
use crate::odoo::source::Class;
use crate::odoo::source::python::{FieldHead, PythonFile, children, definition};

/// What a function says where it looks first whether a name exists.
const GUARDS: [&str; 9] = [
    "hasattr(",
    "_fields",
    "in self.env",
    "in request.env",
    "in env",
    ".env.get(",
    "except AttributeError",
    "except KeyError",
    "except Exception",
];

/// Resolves what a file refers to.
pub(super) fn read(check: &Check<'_, '_>, path: &str, text: &str) {
    let Some(file) = PythonFile::parse(text) else { return };
    // A file that does not parse fails at once, and its tree is not to be trusted.
    if file.root().has_error() {
        check.sink.unknown(format!("{path} is no Python that can be read"));
        return;
    }
    let code = Code::new(&file, check.world, HashMap::new());
    let walk = Walk { check: *check, code: &code, path };
    let mut open = vec![file.root()];
    while let Some(node) = open.pop() {
        walk.node(node);
        open.extend(children(node).into_iter().rev());
    }
    changed::python(check, path, &file);
    if code.is_cut() {
        check.sink.unknown(format!("{path} is too intricate to be looked at as a whole"));
    }
}

/// Resolves what an expression refers to, in which these names have these types. `first` is the line where it stands.
pub(super) fn expression(check: &Check<'_, '_>, place: Place<'_>, text: &str, known: HashMap<String, Type>) -> Type {
    let text = text.trim();
    let Some(file) = PythonFile::parse(text) else { return Type::Unknown };
    if file.root().has_error() {
        return Type::Unknown;
    }
    let code = Code::new(&file, check.world, known);
    let mut open = vec![file.root()];
    while let Some(node) = open.pop() {
        if node.kind() == "attribute" {
            Walk { check: *check, code: &code, path: place.path }.attribute(node, place);
        }
        open.extend(children(node).into_iter().rev());
    }
    let only = children(file.root()).first().and_then(|statement| children(*statement).first().copied());
    only.map_or(Type::Unknown, |only| code.type_of(only))
}

struct Walk<'w, 'n, 'a> {
    check: Check<'w, 'a>,
    code: &'w Code<'n, 'a>,
    path: &'w str,
}

impl<'n> Walk<'_, 'n, '_> {
    fn place(&self, node: Node<'n>) -> Place<'_> {
        Place { path: self.path, line: row(node) + 1 }
    }

    fn node(&self, node: Node<'n>) {
        match node.kind() {
            "attribute" => self.attribute(node, self.place(node.child_by_field_name("attribute").unwrap_or(node))),
            "subscript" => self.subscript(node),
            "call" => self.call(node),
            "comparison_operator" => self.comparison(node),
            "class_definition" => self.class(node),
            "decorator" => self.decorator(node),
            "assignment" => self.assignment(node),
            _ => {}
        }
    }

    /// Whether the function looks first whether names exist.
    fn is_guarded(&self, node: Node<'n>) -> bool {
        let text = function_of(node).map(|function| self.code.text(function)).unwrap_or_default();
        GUARDS.iter().any(|guard| text.contains(guard))
    }

    /// `record.name`
    fn attribute(&self, node: Node<'n>, place: Place<'_>) {
        let (Some(object), Some(name)) = (node.child_by_field_name("object"), node.child_by_field_name("attribute")) else { return };
        let name = self.code.text(name);
        let is_called = node.parent().is_some_and(|parent| parent.kind() == "call" && parent.child_by_field_name("function") == Some(node));
        let kind = if is_called { Kind::Method } else { Kind::Field };
        match self.code.type_of(object) {
            Type::Records(odoo_model, on_self) => {
                self.check.sink.checked();
                if self.check.world.member(&odoo_model, name, on_self) == Member::Missing && !self.is_guarded(node) {
                    self.check.missing(place, kind, &odoo_model, name);
                }
            }
            Type::Super(odoo_model) => self.above(node, place, &odoo_model, name),
            _ => {}
        }
    }

    /// `super().name`: something above the class has to have it.
    fn above(&self, node: Node<'n>, place: Place<'_>, odoo_model: &str, name: &str) {
        let world = self.check.world;
        // Where the name is not the model's at all, it is missing; where this class alone has it, nothing is above.
        let model = world.model(odoo_model);
        let class = function_of(node).and_then(class_of_method).map_or(0, |class| row(class) + 1);
        let is_own = |class_of: &&(&str, &Class)| class_of.1.path == self.path && class_of.1.line == class;
        let others = model.methods.get(name).map_or(0, |found| found.iter().filter(|found| !is_own(found)).count());
        let is_sure = !model.is_abstract && world.is_sure(odoo_model);
        let known = others > 0 || world.index.orm().methods.contains_key(name) || model.fields.contains_key(name) || name.starts_with("__");
        self.check.sink.checked();
        if is_sure && !known && !self.is_guarded(node) {
            let what = format!("nothing that {odoo_model} is made of has a method {name} for super() in Odoo {}", self.check.version);
            self.check.sink.unresolved(place, Kind::Method, name, Some(odoo_model), what);
        }
    }

    /// `env["model"]` and `record["field"]`
    fn subscript(&self, node: Node<'n>) {
        let (Some(value), Some(key)) = (node.child_by_field_name("value"), node.child_by_field_name("subscript")) else { return };
        let Some(name) = self.code.file.string(key) else { return };
        match self.code.type_of(value) {
            Type::Env if !self.is_guarded(node) => self.check.odoo_model(self.place(key), &name),
            Type::Records(odoo_model, on_self) if !self.is_guarded(node) => {
                self.check.field(self.place(key), &odoo_model, &name, on_self);
            }
            _ => {}
        }
    }

    /// `record.state == "done"`
    fn comparison(&self, node: Node<'n>) {
        let [left, right] = children(node)[..] else { return };
        let texts = match right.kind() {
            "string" => vec![right],
            "tuple" | "list" | "set" => children(right),
            _ => return,
        };
        for text in texts {
            self.selection(left, text);
        }
    }

    fn selection(&self, field: Node<'n>, value: Node<'n>) {
        if field.kind() != "attribute" {
            return;
        }
        let (Some(object), Some(name)) = (field.child_by_field_name("object"), field.child_by_field_name("attribute")) else { return };
        if let (Some((odoo_model, _)), Some(text)) = (self.code.type_of(object).odoo_model(), self.code.file.string(value)) {
            self.check.selection(self.place(value), odoo_model, self.code.text(name), &text);
        }
    }

    fn assignment(&self, node: Node<'n>) {
        let (Some(left), Some(right)) = (node.child_by_field_name("left"), node.child_by_field_name("right")) else { return };
        self.selection(left, right);
        if left.kind() != "identifier" || right.kind() != "string" {
            return;
        }
        // `_order = "date desc"`, in the body of a class.
        let class = node.parent().and_then(|statement| statement.parent()).and_then(|block| block.parent());
        let Some(class) = class.filter(|class| class.kind() == "class_definition") else { return };
        let (Some(own), Some(text)) = (self.own(class), self.code.file.string(right)) else { return };
        match self.code.text(left) {
            "_order" => self.check.listed(self.place(right), &own, &text, true),
            "_rec_name" | "_parent_name" | "_date_name" | "_active_name" => {
                self.check.field(self.place(right), &own, &text, true);
            }
            _ => {}
        }
    }

    fn own(&self, class: Node<'n>) -> Option<String> {
        self.code.file.head(class).odoo_model().map(str::to_owned)
    }

    fn class(&self, class: Node<'n>) {
        let head = self.code.file.head(class);
        let Some(own) = head.odoo_model().map(str::to_owned) else { return };
        for parent in head.inherit.iter().chain(head.delegates.keys()) {
            self.check.odoo_model(self.place(class), parent);
        }
        for (_, field) in &head.fields {
            let place = Place { path: self.path, line: field.facts.line };
            self.declared(place, &own, field);
        }
        for statement in class.child_by_field_name("body").map(children).unwrap_or_default() {
            if let Some((_, value)) = self.code.file.assigned(statement).filter(|(_, value)| value.kind() == "call") {
                self.field_arguments(&own, value);
            }
            if let Some(method) = definition(statement).filter(|node| node.kind() == "function_definition") {
                overrides::read(&self.check, self.code, self.path, &own, statement, method);
            }
        }
    }

    fn declared(&self, place: Place<'_>, own: &str, field: &FieldHead) {
        let facts = &field.facts;
        if let Some(comodel) = facts.comodel.as_ref().filter(|_| matches!(facts.kind.as_str(), "Many2one" | "One2many" | "Many2many")) {
            self.check.odoo_model(place, comodel);
            if let Some(inverse) = &facts.inverse {
                self.check.field(place, comodel, inverse, false);
            }
        }
        if let Some(related) = &facts.related {
            self.check.path(place, own, related, true);
        }
    }

    /// `fields.Char(compute="_compute_x", domain=[…])`
    fn field_arguments(&self, own: &str, call: Node<'n>) {
        let Some(field) = self.code.file.field(call) else { return };
        for (name, value) in self.code.arguments(call) {
            let text = || self.code.file.string(value);
            match name {
                Some("compute" | "inverse" | "search" | "group_expand") => {
                    if let Some(method) = text() {
                        self.check.method(self.place(value), own, &method, true);
                    }
                }
                Some("currency_field") => {
                    if let Some(name) = text() {
                        self.check.field(self.place(value), own, &name, true);
                    }
                }
                Some("domain") => {
                    if let Some(comodel) = field.facts.comodel.as_deref() {
                        match text() {
                            Some(text) => self.check.domain_text(self.place(value), comodel, &text),
                            None => self.check.domain(self.code, Place { path: self.path, line: 1 }, comodel, value, 0),
                        }
                    }
                }
                Some("groups") => {
                    if let Some(groups) = text() {
                        self.check.groups(self.place(value), &groups);
                    }
                }
                _ => {}
            }
        }
    }

    /// `@api.depends("partner_id.name")`
    fn decorator(&self, node: Node<'n>) {
        let Some(call) = node.named_child(0).filter(|call| call.kind() == "call") else { return };
        let function = call.child_by_field_name("function").map(|function| self.code.text(function)).unwrap_or_default();
        let name = function.strip_prefix("api.").unwrap_or(function);
        let Some(own) = self.code.own_model(node).filter(|_| matches!(name, "depends" | "onchange" | "constrains")) else { return };
        for (_, argument) in self.code.arguments(call) {
            if let Some(path) = self.code.file.string(argument) {
                self.check.path(self.place(argument), &own, &path, true);
            }
        }
    }

    fn call(&self, call: Node<'n>) {
        let Some((object, name)) = self.code.method(call) else { return };
        let arguments = self.code.arguments(call);
        self.ids(object, name, &arguments);
        let of = self.code.type_of(object);
        let Some((odoo_model, on_self)) = of.odoo_model() else { return };
        overrides::call(&self.check, self.place(call), odoo_model, (on_self, matches!(of, Type::Super(_))), name, &arguments);
        if self.is_guarded(call) {
            return;
        }
        let at = |n: usize, key: &str| {
            let by_name = arguments.iter().find(|(name, _)| *name == Some(key));
            by_name.or_else(|| arguments.get(n).filter(|(name, _)| name.is_none())).map(|(_, value)| *value)
        };
        let whole = Place { path: self.path, line: 1 };
        match name {
            "create" | "write" | "update" | "new" | "copy" => {
                let key = if name == "copy" { "default" } else { "vals" };
                if let Some(vals) = at(0, key) {
                    self.check.vals(self.code, self.path, odoo_model, vals, 0);
                }
            }
            "search"
            | "search_count"
            | "search_read"
            | "search_fetch"
            | "filtered_domain"
            | "read_group"
            | "_read_group"
            | "_search"
            | "formatted_read_group" => {
                if let Some(domain) = at(0, "domain") {
                    self.check.domain(self.code, whole, odoo_model, domain, 0);
                }
                let lists = [
                    (name == "search_read" || name == "search_fetch", 1),
                    (name.contains("read_group"), 1),
                    (name.contains("read_group"), 2),
                ];
                for (_, n) in lists.iter().filter(|(counts, _)| *counts) {
                    if let Some((None, list)) = arguments.get(*n) {
                        self.names(odoo_model, *list);
                    }
                }
                for (key, value) in arguments.iter().filter_map(|(key, value)| Some(((*key)?, *value))) {
                    match key {
                        "fields" | "groupby" | "aggregates" | "field_names" => self.names(odoo_model, value),
                        "order" => {
                            if let Some(order) = self.code.file.string(value).filter(|_| !name.contains("group")) {
                                self.check.listed(self.place(value), odoo_model, &order, false);
                            }
                        }
                        _ => {}
                    }
                }
            }
            "read" | "fetch" => arguments.iter().take(1).for_each(|(_, list)| self.names(odoo_model, *list)),
            "mapped" | "filtered" | "grouped" => {
                if let Some(path) = at(0, "func").and_then(|value| self.code.file.string(value)) {
                    self.check.path(self.place(call), odoo_model, &path, on_self);
                }
            }
            "sorted" => {
                if let Some(order) = at(0, "key").and_then(|value| self.code.file.string(value)) {
                    self.check.listed(self.place(call), odoo_model, &order, on_self);
                }
            }
            _ => {}
        }
    }

    /// `["name", "amount:sum"]`
    fn names(&self, odoo_model: &str, list: Node<'n>) {
        if list.kind() != "list" && list.kind() != "tuple" {
            return;
        }
        for item in children(list) {
            if let Some(name) = self.code.file.string(item) {
                // `total:sum(amount)` names a field of its own.
                if !name.contains('(') {
                    self.check.listed(self.place(item), odoo_model, &name, false);
                }
            }
        }
    }

    /// `env.ref("module.name")`, `user.has_group("module.name")`
    fn ids(&self, object: Node<'n>, name: &str, arguments: &[(Option<&'n str>, Node<'n>)]) {
        let first = arguments.first().and_then(|(_, value)| Some((*value, self.code.file.string(*value)?)));
        let Some((node, id)) = first.filter(|(_, id)| id.contains('.')) else { return };
        let is_false = |node: Node<'n>| self.code.text(node) == "False";
        match name {
            "ref" if self.code.type_of(object) == Type::Env => {
                let is_lenient = arguments.iter().skip(1).any(|(_, value)| is_false(*value));
                if !is_lenient && !self.is_guarded(node) && !self.is_caught(node) {
                    self.check.external_id(self.place(node), &id, Kind::Record);
                }
            }
            "has_group" | "user_has_groups" => self.check.groups(self.place(node), &id),
            "_for_xml_id" => self.check.external_id(self.place(node), &id, Kind::Record),
            "_render_template" | "_render" | "render" if is_id(&id) => self.check.external_id(self.place(node), &id, Kind::Template),
            _ => {}
        }
    }

    fn is_caught(&self, node: Node<'n>) -> bool {
        function_of(node).is_some_and(|function| self.code.text(function).contains("except ValueError"))
    }
}

fn is_id(text: &str) -> bool {
    text.matches('.').count() == 1 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
}
