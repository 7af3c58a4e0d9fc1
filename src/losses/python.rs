//! The facts that Python states.

use tree_sitter::Node;

use super::expr::{Context, callee, callee_around, line_of, parse, text_of};
use super::facts::{Fact, Facts, Kind, Role, Unit};
use super::fields;
use super::known::Known;
use crate::domain::LossKind;
use crate::odoo::Addon;
use crate::rules::edit::python::{Source, ancestors, children, field, walk};
use crate::rules::known::is_gone_method;

/// Operators of a domain.
const OPERATORS: [&str; 22] = [
    "=",
    "!=",
    "<>",
    "<",
    ">",
    "<=",
    ">=",
    "=?",
    "in",
    "not in",
    "like",
    "not like",
    "ilike",
    "not ilike",
    "=like",
    "=ilike",
    "child_of",
    "parent_of",
    "any",
    "not any",
    "==",
    "not =like",
];
/// Calls that are made for what they do, even where their result is used.
const EFFECTS: [&str; 14] = [
    "create",
    "write",
    "unlink",
    "copy",
    "message_post",
    "commit",
    "rollback",
    "send",
    "send_mail",
    "send_message",
    "activity_schedule",
    "toggle_active",
    "filtered",
    "filtered_domain",
];
/// Calls that only tell the developer something.
const CHATTER: [&str; 6] = ["print", "debug", "info", "warn", "warning", "log"];

/// Where a statement stands.
struct Owner<'o> {
    /// The names of the classes and functions around it.
    path: String,
    /// The Odoo model of the class.
    model: Option<String>,
    /// Whether it is the body of a class.
    is_class: bool,
    known: &'o Known<'o>,
}

/// Reads a file; `None` if it is no Python as a whole.
pub(super) fn facts<'k>(path: &str, text: &str, addon: &Addon, known: &'k Known<'k>) -> Option<Facts> {
    let source = parse(text)?;
    let mut reader = Reader { path, source: &source, addon, found: Facts::default() };
    let owner = Owner { path: String::new(), model: None, is_class: false, known };
    reader.block(source.root(), &owner);
    reader.found.facts.sort_by_key(|fact| fact.line);
    Some(reader.found)
}

struct Reader<'r, 's> {
    path: &'r str,
    source: &'s Source<'s>,
    addon: &'r Addon,
    found: Facts,
}

impl<'s> Reader<'_, 's> {
    fn push(&mut self, fact: Fact) {
        self.found.facts.push(fact);
    }

    fn fact(&self, kind: Kind, loss: LossKind, key: impl Into<String>, unit: &str, node: Node<'_>, subject: impl Into<String>) -> Fact {
        Fact {
            kind,
            key: key.into(),
            role: Role::Key,
            model: None,
            unit: format!("{}:{unit}", self.path),
            content: String::new(),
            items: Vec::new(),
            variables: 0,
            path: self.path.to_owned(),
            line: line_of(node),
            loss,
            subject: subject.into(),
        }
    }

    fn unit(&mut self, name: &str, context: &Context<'_, '_>, node: Node<'_>) {
        let (items, _) = context.items(node);
        self.found.units.push(Unit { path: self.path.to_owned(), name: format!("{}:{name}", self.path), items });
    }

    fn block<'k>(&mut self, body: Node<'s>, owner: &Owner<'k>) {
        for statement in children(body) {
            let inner = statement.named_child(0);
            match statement.kind() {
                "decorated_definition" => {
                    let Some(definition) = field(statement, "definition") else { continue };
                    let decorators: Vec<_> = children(statement).into_iter().filter(|node| node.kind() == "decorator").collect();
                    self.definition(definition, &decorators, owner);
                }
                "function_definition" | "class_definition" => self.definition(statement, &[], owner),
                "import_from_statement" => self.import(statement),
                "import_statement" | "future_import_statement" | "comment" | "pass_statement" => {}
                "expression_statement" if inner.is_some_and(|node| node.kind().ends_with("string")) => {}
                "expression_statement" if inner.is_some_and(|node| node.kind() == "assignment") => {
                    if let Some(assignment) = inner {
                        self.statement(assignment, owner);
                    }
                }
                _ => self.code(statement, &owner.path, owner),
            }
        }
    }

    fn definition<'k>(&mut self, node: Node<'s>, decorators: &[Node<'s>], owner: &Owner<'k>) {
        let Some(name) = field(node, "name").map(|name| self.source.of(name)) else { return };
        let path = if owner.path.is_empty() { name.to_owned() } else { format!("{}.{name}", owner.path) };
        if node.kind() == "class_definition" {
            let Some(body) = field(node, "body") else { return };
            let model = self.model_name(body);
            let class = Owner { path, model, is_class: true, known: owner.known };
            return self.block(body, &class);
        }
        let what = if owner.is_class { "method" } else { "function" };
        let mut fact = self.fact(Kind::Function, LossKind::Call, name, &owner.path, node, format!("the {what} {name}"));
        (fact.role, fact.model) = (Role::Call, owner.model.clone());
        if name.starts_with("test") {
            fact.loss = LossKind::Test;
        }
        self.push(fact);
        for decorator in decorators {
            self.decorator(*decorator, name, &path, owner);
        }
        self.code(node, &path, owner);
        let source = self.source;
        let returns = walk(node).filter(|node| node.kind() == "return_statement" && node.named_child_count() > 0);
        if let Some(first) = returns.filter(|node| children(*node).iter().all(|value| source.of(*value) != "None")).last() {
            let mut fact = self.fact(Kind::Return, LossKind::Value, path.clone(), &path, first, format!("the value that {name} returns"));
            fact.role = Role::Call;
            self.push(fact);
        }
    }

    /// The Odoo model of a class.
    fn model_name(&self, body: Node<'s>) -> Option<String> {
        let named = |name: &str| self.source.assigned(body, name);
        let name = named("_name").and_then(|node| self.source.literal(node));
        name.or_else(|| {
            let node = named("_inherit")?;
            match node.kind() {
                "list" | "tuple" => children(node).first().and_then(|first| self.source.literal(*first)),
                _ => self.source.literal(node),
            }
        })
    }

    fn import(&mut self, statement: Node<'s>) {
        let is_init = self.path.ends_with("/__init__.py");
        let Some(module) = field(statement, "module_name").filter(|node| is_init && node.kind() == "relative_import") else { return };
        let folder = self.path.trim_end_matches("__init__.py").to_owned();
        let dotted = self.source.of(module);
        if dotted.starts_with("..") {
            return;
        }
        let mut cursor = statement.walk();
        let below = dotted.trim_start_matches('.').replace('.', "/");
        let names: Vec<String> = if below.is_empty() {
            statement
                .children_by_field_name("name", &mut cursor)
                .map(|name| self.source.of(name).split_whitespace().next().unwrap_or_default().to_owned())
                .collect()
        } else {
            vec![below]
        };
        for name in names {
            let exists = [format!("{folder}{name}.py"), format!("{folder}{name}/__init__.py")];
            let exists = exists.iter().any(|path| path.parse().is_ok_and(|path| self.addon.text(&path).is_some()));
            if exists {
                let mut fact =
                    self.fact(Kind::Import, LossKind::Behaviour, format!("{folder}{name}"), "", statement, format!("the import of {name}"));
                fact.content = "import".to_owned();
                self.push(fact);
            }
        }
    }

    fn decorator<'k>(&mut self, node: Node<'s>, function: &str, path: &str, owner: &Owner<'k>) {
        let Some(expression) = node.named_child(0) else { return };
        let (target, arguments) = if expression.kind() == "call" {
            (field(expression, "function"), field(expression, "arguments").map(children).unwrap_or_default())
        } else {
            (Some(expression), Vec::new())
        };
        let Some(name) = target.and_then(|target| self.source.of(target).rsplit('.').next()) else { return };
        if is_gone_method(name) || matches!(name, "one" | "v7" | "v8") {
            return;
        }
        let loss = match name {
            "constrains" => LossKind::Constraint,
            "route" => LossKind::Call,
            _ => LossKind::Behaviour,
        };
        let context = Context::of(self.source, node, owner.known, owner.model.as_deref());
        let shown = if matches!(name, "model" | "model_create_multi") { "model" } else { name };
        let mut fact = self.fact(Kind::Decorator, loss, shown, path, node, format!("the decorator @{name} of {function}"));
        (fact.role, fact.content) = (Role::Name, "decorator".to_owned());
        self.push(fact);
        for argument in arguments {
            if argument.kind() == "keyword_argument" {
                let (Some(key), Some(value)) = (field(argument, "name"), field(argument, "value")) else { continue };
                let key = self.source.of(key);
                let loss = if matches!(key, "auth" | "csrf" | "groups" | "cors") { LossKind::Right } else { loss };
                let mut fact = self.fact(Kind::Decorator, loss, key, path, argument, format!("{key} of @{name} of {function}"));
                (fact.items, fact.variables) = context.items(value);
                fact.content = format!("{name} {}", context.content(value));
                self.push(fact);
                continue;
            }
            for text in walk(argument).filter(|node| node.kind() == "string") {
                let key = text_of(self.source, text);
                let mut fact = self.fact(Kind::Decorator, loss, key.clone(), path, text, format!("{key:?} of @{name} of {function}"));
                (fact.role, fact.content) = (Role::Text, name.to_owned());
                if matches!(name, "depends" | "constrains" | "onchange") {
                    (fact.role, fact.model) = (Role::Attribute, owner.model.clone());
                }
                self.push(fact);
            }
        }
    }

    /// An assignment of a class or module.
    fn statement<'k>(&mut self, assignment: Node<'s>, owner: &Owner<'k>) {
        let (Some(left), Some(right)) = (field(assignment, "left"), field(assignment, "right")) else { return };
        let name = self.source.of(left);
        let context = Context::of(self.source, right, owner.known, owner.model.as_deref());
        if fields::is_definition(self.source, right) {
            let mut found = fields::definition(&context, name, right);
            for fact in &mut found {
                fact.unit = format!("{}:{}", self.path, owner.path);
                self.path.clone_into(&mut fact.path);
                if fact.kind == Kind::Field {
                    fact.model.clone_from(&owner.model);
                }
            }
            self.found.facts.append(&mut found);
            for lambda in walk(right).filter(|node| node.kind() == "lambda") {
                self.code(lambda, &format!("{}.{name}", owner.path), owner);
            }
            return;
        }
        let rows = fields::constraints(self.source, name, right);
        for (node, sql, message) in rows.iter().flatten() {
            let mut fact =
                self.fact(Kind::Constraint, LossKind::Constraint, sql.clone(), &owner.path, *node, format!("the constraint {sql}"));
            (fact.role, fact.content) = (Role::Text, message.clone());
            self.push(fact);
        }
        if rows.is_some() || name.starts_with("_logger") || name == "__all__" {
            return;
        }
        if matches!(name, "_inherit" | "_name" | "_inherits") {
            for text in walk(right).filter(|node| node.kind() == "string") {
                let value = text_of(self.source, text);
                let mut fact =
                    self.fact(Kind::Statement, LossKind::Behaviour, value.clone(), &owner.path, text, format!("{name} = {value:?}"));
                (fact.role, fact.content) = (if value.contains('.') { Role::Model } else { Role::Text }, name.to_owned());
                self.push(fact);
            }
            return;
        }
        let mut fact = self.fact(Kind::Statement, LossKind::Behaviour, name, &owner.path, assignment, format!("the value of {name}"));
        fact.content = context.content(right);
        (fact.items, fact.variables) = context.items(right);
        self.push(fact);
        self.code(right, &format!("{}.{name}", owner.path), owner);
    }

    /// Everything that a function, or a statement outside of functions, says.
    fn code<'k>(&mut self, root: Node<'s>, unit: &str, owner: &Owner<'k>) {
        let context = Context::of(self.source, root, owner.known, owner.model.as_deref());
        self.unit(unit, &context, root);
        for node in walk(root) {
            match node.kind() {
                "pair" => self.pair(node, unit, &context),
                "keyword_argument" => self.argument(node, unit, &context),
                "assignment" | "augmented_assignment" => self.assignment(node, unit, &context),
                "call" => self.call(node, unit, &context),
                "raise_statement" | "assert_statement" => self.check(node, unit, &context),
                "delete_statement" => self.effect(node, "del", unit, &context),
                "tuple" | "list" => self.term(node, unit, &context),
                "if_statement" | "elif_clause" | "while_statement" => self.condition(field(node, "condition"), unit, &context),
                "if_clause" => self.condition(node.named_child(0), unit, &context),
                "conditional_expression" => self.condition(children(node).get(1).copied(), unit, &context),
                "lambda" if matches!(callee_around(self.source, node), Some("filtered" | "filter" | "any" | "all")) => {
                    self.condition(field(node, "body"), unit, &context);
                }
                _ => {}
            }
        }
    }

    fn said(&self, mut fact: Fact, node: Node<'_>, context: &Context<'_, '_>) -> Fact {
        (fact.items, fact.variables) = context.items(node);
        fact.content = context.content(node);
        fact
    }

    fn pair(&mut self, node: Node<'s>, unit: &str, context: &Context<'_, '_>) {
        let (Some(key), Some(value)) = (field(node, "key"), field(node, "value")) else { return };
        if !key.kind().ends_with("string") {
            return;
        }
        let key = text_of(self.source, key);
        let around = callee_around(self.source, node);
        let subject = match around {
            Some(name @ ("create" | "write" | "update" | "copy" | "new")) => format!("the value of '{key}' that is handed to {name}"),
            _ => format!("the value of '{key}'"),
        };
        let mut fact = self.said(self.fact(Kind::Entry, LossKind::Value, key, unit, node, subject), value, context);
        fact.model = self.written_model(node, context);
        self.push(fact);
    }

    /// The Odoo model whose records get the values of a dictionary.
    fn written_model(&self, node: Node<'_>, context: &Context<'_, '_>) -> Option<String> {
        let call = ancestors(node).take_while(|up| !up.kind().ends_with("statement")).find(|up| up.kind() == "call")?;
        let function = field(call, "function").filter(|function| function.kind() == "attribute")?;
        let writes = matches!(callee(self.source, call), "create" | "write" | "update" | "new" | "copy");
        writes.then(|| context.model_of(field(function, "object")?, 0))?
    }

    fn argument(&mut self, node: Node<'s>, unit: &str, context: &Context<'_, '_>) {
        let (Some(key), Some(value)) = (field(node, "name"), field(node, "value")) else { return };
        let (key, name) = (self.source.of(key), callee_around(self.source, node).unwrap_or_default());
        let mut fact =
            self.said(self.fact(Kind::Entry, LossKind::Value, key, unit, node, format!("the argument {key} of {name}")), value, context);
        if matches!(key, "order" | "access_rights_uid" | "count") && fact.items.iter().all(|item| item.text == "SUPERUSER_ID") {
            return;
        }
        if matches!(key, "limit" | "domain") {
            fact.loss = LossKind::Scope;
        }
        self.push(fact);
    }

    fn assignment(&mut self, node: Node<'s>, unit: &str, context: &Context<'_, '_>) {
        let (Some(left), Some(right)) = (field(node, "left"), field(node, "right")) else { return };
        let (kind, key, model) = match left.kind() {
            "attribute" => {
                let model = field(left, "object").and_then(|object| context.model_of(object, 0));
                (Kind::Assignment, field(left, "attribute").map(|name| self.source.of(name).to_owned()), model)
            }
            "subscript" => {
                let key = field(left, "subscript").filter(|key| key.kind() == "string").map(|key| text_of(self.source, key));
                (Kind::Entry, key, None)
            }
            _ => return,
        };
        let Some(key) = key else { return };
        let subject = format!("the value that is given to '{key}'");
        let mut fact = self.said(self.fact(kind, LossKind::Value, key, unit, node, subject), right, context);
        fact.model = model;
        self.push(fact);
    }

    fn call(&mut self, node: Node<'s>, unit: &str, context: &Context<'_, '_>) {
        let name = callee(self.source, node);
        let arguments = field(node, "arguments").map(children).unwrap_or_default();
        if name == "_" || name == "_lt" {
            let text = arguments.first().map(|text| text_of(self.source, *text)).unwrap_or_default();
            let mut fact =
                self.fact(Kind::Translation, LossKind::Translation, text.clone(), unit, node, format!("the translation of {text:?}"));
            (fact.role, fact.content) = (Role::Text, "_".to_owned());
            return self.push(fact);
        }
        if name == "Domain" || name == "Leaf" {
            self.term(node, unit, context);
        }
        if matches!(name, "filtered" | "filtered_domain") && arguments.first().is_some_and(|node| node.kind() == "string") {
            self.condition(arguments.first().copied(), unit, context);
        }
        let function = field(node, "function");
        let on_super = function.and_then(|function| field(function, "object")).filter(|object| object.kind() == "call");
        if on_super.is_some_and(|object| callee(self.source, object) == "super") {
            let mut fact =
                self.fact(Kind::Effect, LossKind::Call, format!("super().{name}"), unit, node, format!("the call of super().{name}"));
            (fact.role, fact.content) = (Role::Call, "super".to_owned());
            return self.push(fact);
        }
        let is_statement = node.parent().is_some_and(|parent| {
            parent.kind() == "expression_statement"
                || (parent.kind() == "await" && parent.parent().is_some_and(|up| up.kind() == "expression_statement"))
        });
        let is_chatter = CHATTER.contains(&name);
        if (is_statement && !is_chatter) || EFFECTS.contains(&name) {
            self.effect(node, name, unit, context);
        }
    }

    fn effect(&mut self, node: Node<'s>, name: &str, unit: &str, context: &Context<'_, '_>) {
        let (loss, subject) = match name {
            "commit" | "rollback" => (LossKind::Commit, format!("the {name}")),
            "filtered" | "filtered_domain" => (LossKind::Condition, "the choice of records by filtered".to_owned()),
            _ if name.starts_with("assert") => (LossKind::Test, format!("the check {name}")),
            _ if name.starts_with("_check") || name.starts_with("check_") => (LossKind::Check, format!("the call of {name}")),
            "del" => (LossKind::Behaviour, "the deletion".to_owned()),
            _ => (LossKind::Call, format!("the call of {name}")),
        };
        let mut fact = self.fact(Kind::Effect, loss, name, unit, node, subject);
        fact.role = Role::Call;
        fact.model = field(node, "function").and_then(|function| field(function, "object")).and_then(|object| context.model_of(object, 0));
        // What it is called with is in facts of its own, or among the ingredients of the function.
        fact.content = "call".to_owned();
        self.push(fact);
    }

    fn check(&mut self, node: Node<'s>, unit: &str, context: &Context<'_, '_>) {
        let raised = children(node).into_iter().next();
        let name = raised.map(|value| if value.kind() == "call" { callee(self.source, value) } else { self.source.of(value) });
        let (loss, subject) = match (node.kind(), name) {
            ("assert_statement", _) => (LossKind::Test, "the assertion".to_owned()),
            (_, Some(name)) => (LossKind::Check, format!("the check that raises {name}")),
            (_, None) => (LossKind::Check, "the exception that is raised again".to_owned()),
        };
        let key = if node.kind() == "assert_statement" { "assert" } else { name.unwrap_or("raise") }.to_owned();
        let mut fact = self.said(self.fact(Kind::Check, loss, key, unit, node, subject), node, context);
        fact.role = Role::Name;
        self.push(fact);
        if node.kind() == "assert_statement" {
            self.condition(raised, unit, context);
        }
    }

    fn condition(&mut self, node: Option<Node<'s>>, unit: &str, context: &Context<'_, '_>) {
        let Some(node) = node else { return };
        let (parts, joins) = context.condition(node);
        for (text, part) in &parts {
            let shown: String = self.source.of(*part).split_whitespace().collect::<Vec<_>>().join(" ").chars().take(80).collect();
            let mut fact = self.fact(Kind::Condition, LossKind::Condition, text.clone(), unit, *part, format!("the condition `{shown}`"));
            (fact.items, fact.variables) = context.items(*part);
            (fact.role, fact.content) = (Role::Operator, text.clone());
            self.push(fact);
        }
        self.junction(parts.into_iter().map(|(text, _)| text).collect(), joins, unit, node);
    }

    fn junction(&mut self, mut parts: Vec<String>, joins: String, unit: &str, node: Node<'s>) {
        if parts.len() > 1 {
            parts.sort();
            let mut fact = self.fact(Kind::Junction, LossKind::Condition, joins, unit, node, "the way in which the conditions are joined");
            fact.content = parts.join("; ");
            self.push(fact);
        }
    }

    /// A term of a domain, or a domain as a whole.
    fn term(&mut self, node: Node<'s>, unit: &str, context: &Context<'_, '_>) {
        let arguments = if node.kind() == "call" { field(node, "arguments").map(children).unwrap_or_default() } else { children(node) };
        let text = |node: &Node<'_>| (node.kind() == "string").then(|| text_of(self.source, *node));
        if let [left, operator, right] = arguments.as_slice()
            && let (Some(left), Some(operator)) = (text(left), text(operator))
            && OPERATORS.contains(&operator.as_str())
        {
            let model = self.searched_model(node, context);
            let subject = format!("the term ('{left}', '{operator}', …) of a domain");
            let mut fact = self.fact(Kind::Term, LossKind::Condition, left, unit, node, subject);
            (fact.items, fact.variables) = context.items(*right);
            (fact.role, fact.model) = (Role::Attribute, model);
            let operator = match operator.as_str() {
                "==" => "=",
                "<>" => "!=",
                other => other,
            };
            fact.content = format!("{operator} {}", context.content(*right));
            return self.push(fact);
        }
        let joins: String = arguments.iter().filter_map(text).filter(|text| matches!(text.as_str(), "|" | "&" | "!")).collect();
        let is_domain = |node: &Node<'_>| matches!(node.kind(), "tuple" | "list") && children(*node).len() == 3;
        if node.kind() == "list" && arguments.iter().any(is_domain) {
            let terms = arguments.iter().filter(|node| node.kind() != "string").map(|node| context.content(*node)).collect();
            self.junction(terms, joins.replace('&', ""), unit, node);
        }
    }

    fn searched_model(&self, node: Node<'_>, context: &Context<'_, '_>) -> Option<String> {
        let call = ancestors(node).take_while(|up| !up.kind().ends_with("statement")).find(|up| up.kind() == "call")?;
        let function = field(call, "function").filter(|function| function.kind() == "attribute")?;
        context.model_of(field(function, "object")?, 0)
    }
}
