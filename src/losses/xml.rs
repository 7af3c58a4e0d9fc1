//! The facts that data files and views state.

use roxmltree::{Document, Node};

use super::compare::RAW;
use super::expr::{Context, parse, plain_text};
use super::facts::{Fact, Facts, Item, Kind, Role};
use super::known::Known;
use crate::domain::LossKind;
use crate::rules::dangling::hidden::hidden;
use crate::rules::edit::domain::{from_attrs, from_states};
use crate::rules::edit::python::children;
use crate::rules::edit::xml;

/// Attributes of elements that only say how something looks.
const LOOKS: [&str; 30] = [
    "class",
    "style",
    "width",
    "height",
    "colspan",
    "col",
    "rowspan",
    "nolabel",
    "expand",
    "alt",
    "title",
    "role",
    "tabindex",
    "icon",
    "placeholder",
    "expr",
    "version",
    "encoding",
    "colors",
    "fonts",
    "t-att-title",
    "t-att-alt",
    "t-translation",
    "type_",
    "space",
    "decoration-bf",
    "for",
    "autocomplete",
    "t-attf-class",
    "t-att-class",
];
/// Attributes that are expressions of Python.
const EXPRESSIONS: [&str; 6] = ["invisible", "readonly", "required", "column_invisible", "t-if", "t-elif"];
/// Values of records that Odoo no longer has, and that said what is always so now.
const ALWAYS: [(&str, &str, &[&str]); 6] = [
    ("ir.cron", "numbercall", &["-1"]),
    ("ir.cron", "doall", &["False", "0"]),
    ("res.groups", "category_id", &["base.module_category_hidden"]),
    ("ir.actions.act_window", "view_type", &["form"]),
    ("ir.actions.act_window", "auto_search", &["True", "1"]),
    ("ir.actions.report", "auto", &["False", "0"]),
];

/// Reads a data file; `None` if it is not well-formed.
pub(super) fn facts<'k>(path: &str, text: &str, known: &'k Known<'k>) -> Option<Facts> {
    let document = xml::parse(text)?;
    let mut reader = Reader { path, document: &document, known, found: Facts::default(), unit: String::new(), model: None };
    reader.file(document.root_element());
    reader.found.facts.sort_by_key(|fact| fact.line);
    Some(reader.found)
}

struct Reader<'r, 'd, 'i, 'k> {
    path: &'r str,
    document: &'d Document<'i>,
    known: &'k Known<'k>,
    found: Facts,
    /// The record that is read.
    unit: String,
    /// The Odoo model that it shows or is of.
    model: Option<String>,
}

impl<'d, 'i: 'd> Reader<'_, 'd, 'i, '_> {
    fn fact(&self, kind: Kind, loss: LossKind, key: impl Into<String>, node: Node<'_, '_>, subject: impl Into<String>) -> Fact {
        Fact {
            kind,
            key: key.into(),
            role: Role::Key,
            model: None,
            unit: format!("{}:{}", self.path, self.unit),
            content: String::new(),
            items: Vec::new(),
            variables: 0,
            path: self.path.to_owned(),
            line: self.document.text_pos_at(node.range().start).row,
            loss,
            subject: subject.into(),
        }
    }

    fn push(&mut self, fact: Fact) {
        self.found.facts.push(fact);
    }

    fn file(&mut self, root: Node<'d, 'i>) {
        if !matches!(root.tag_name().name(), "odoo" | "openerp" | "data") {
            return self.view(root);
        }
        for node in root.children().filter(Node::is_element) {
            if node.tag_name().name() == "data" {
                for inner in node.children().filter(Node::is_element) {
                    self.top(inner);
                }
            } else {
                self.top(node);
            }
        }
    }

    fn top(&mut self, node: Node<'d, 'i>) {
        let tag = node.tag_name().name();
        let id = node.attribute("id").unwrap_or_default();
        self.unit = id.to_owned();
        self.model = None;
        match tag {
            "record" => self.record(node, id),
            "template" => {
                let mut fact = self.fact(Kind::Record, LossKind::Node, id, node, format!("the template {id}"));
                (fact.role, fact.content) = (Role::Id, tag.to_owned());
                self.push(fact);
                self.attributes(node, &format!("template {id}"), &["id", "name", "inherit_id", "priority"]);
                node.children().filter(Node::is_element).for_each(|child| self.view(child));
                self.content(node);
            }
            "menuitem" => self.menu(node, id),
            _ => {
                let name = node.attribute("name").or(node.attribute("id")).or(node.attribute("model")).unwrap_or_default();
                let mut fact = self.fact(Kind::Record, LossKind::Record, format!("{tag} {name}"), node, format!("<{tag}> {name}"));
                fact.content = tag.to_owned();
                self.push(fact);
                self.attributes(node, &format!("{tag} {name}"), &["id"]);
                self.content(node);
                for child in node.descendants().skip(1).filter(Node::is_element) {
                    self.attributes(child, &format!("{tag} {name} {}", child.tag_name().name()), &[]);
                }
            }
        }
    }

    fn menu(&mut self, node: Node<'d, 'i>, id: &str) {
        let mut fact = self.fact(Kind::Record, LossKind::Menu, id, node, format!("the menu {id}"));
        (fact.role, fact.content) = (Role::Id, "menuitem".to_owned());
        self.push(fact);
        self.attributes(node, &format!("menu {id}"), &["id", "sequence", "web_icon", "name"]);
        for child in node.children().filter(|child| child.has_tag_name("menuitem")) {
            self.menu(child, child.attribute("id").unwrap_or_default());
        }
    }

    fn record(&mut self, node: Node<'d, 'i>, id: &str) {
        let model = node.attribute("model").unwrap_or_default();
        let loss = of_model(model);
        let what = match loss {
            LossKind::Right => "the access right",
            LossKind::Menu => "the menu",
            _ => "the record",
        };
        let mut fact = self.fact(Kind::Record, loss, id, node, format!("{what} {id}"));
        (fact.role, fact.content) = (Role::Id, "record".to_owned());
        self.push(fact);
        let mut fact = self.fact(Kind::Value, loss, format!("{id}@model"), node, format!("the Odoo model of {id}"));
        (fact.content, fact.items) = (model.to_owned(), vec![item(Role::Model, model, fact.line, None)]);
        self.push(fact);
        let field = |name: &str| xml::fields(node, name).next().and_then(|field| field.text()).map(|text| text.trim().to_owned());
        let shown = if model == "ir.ui.view" { field("model") } else { None };
        for field in node.children().filter(Node::is_element) {
            let name = field.attribute("name").unwrap_or_default();
            if matches!(field.attribute("type"), Some("xml")) || (name == "arch" && model == "ir.ui.view") {
                self.model.clone_from(&shown);
                field.children().filter(Node::is_element).for_each(|child| self.view(child));
                continue;
            }
            self.value(field, name, id, model, loss);
        }
    }

    fn value(&mut self, field: Node<'d, 'i>, name: &str, id: &str, model: &str, loss: LossKind) {
        let line = self.document.text_pos_at(field.range().start).row;
        let text: String = field.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect();
        let text = plain_text(&text);
        let (content, items) = if let Some(id) = field.attribute("ref") {
            (id.to_owned(), vec![item(Role::Id, id, line, None)])
        } else if let Some(eval) = field.attribute("eval") {
            self.expression(eval, line, None)
        } else if let Some(search) = field.attribute("search") {
            self.expression(search, line, field.attribute("model"))
        } else if matches!(name, "domain" | "domain_force" | "context" | "code" | "filter_domain") {
            self.expression(&text, line, None)
        } else if matches!(name, "model" | "res_model" | "relation") {
            (text.clone(), vec![item(Role::Model, &text, line, None)])
        } else {
            (text.clone(), Vec::new())
        };
        let always = ALWAYS.iter().any(|(of, field, values)| *of == model && *field == name && values.contains(&content.as_str()));
        let describes = matches!((model, name), ("ir.ui.view", "name" | "priority")) || (name == "sequence" && model != "ir.rule");
        if always || describes {
            return;
        }
        let mut fact = self.fact(Kind::Value, loss, name, field, format!("{name} of {id}"));
        (fact.content, fact.items, fact.model) = (content, items, Some(model.to_owned()).filter(|model| !model.is_empty()));
        (fact.role, fact.unit) = (Role::Attribute, format!("{}:{id}", self.path));
        self.push(fact);
    }

    /// One element of a view and all below it.
    fn view(&mut self, root: Node<'d, 'i>) {
        for node in root.descendants().filter(Node::is_element) {
            self.element(node);
        }
    }

    fn element(&mut self, node: Node<'d, 'i>) {
        let tag = if node.has_tag_name("tree") { "list" } else { node.tag_name().name() };
        let name = ["name", "id", "t-name", "t-call", "t-set", "ref"].iter().find_map(|key| node.attribute(*key)).unwrap_or_default();
        let position = node.attribute("position");
        let is_anchor = position.is_some_and(|position| matches!(position, "after" | "before" | "inside" | "move")) || tag == "xpath";
        if self.is_idle(node) || node.parent().is_some_and(|parent| self.is_idle(parent)) {
            return;
        }
        if tag == "attribute" && node.parent().is_some_and(|parent| parent.attribute("position").is_some()) {
            let of = node.parent().map(|parent| describe(parent)).unwrap_or_default();
            let text: String = node.children().filter_map(|child| child.text()).collect();
            self.attribute(node, &of, name, &text);
            return;
        }
        if let Some("replace" | "attributes") = position {
            let mut fact = self.fact(
                Kind::Node,
                LossKind::Node,
                format!("position {}", position.unwrap_or_default()),
                node,
                format!("the change of {}", describe(node)),
            );
            fact.content = "position".to_owned();
            self.push(fact);
        }
        if is_anchor {
            return;
        }
        let loss = if tag == "button" { LossKind::Button } else { LossKind::Node };
        let of = if name.is_empty() { tag.to_owned() } else { format!("{tag} {name}") };
        if !name.is_empty() && tag != "t" || matches!(tag, "button" | "filter" | "chatter" | "page" | "table") {
            let subject = if tag == "button" { format!("the button {name}") } else { format!("<{tag}> {name}") };
            let mut fact = self.fact(Kind::Node, loss, name, node, subject);
            fact.content = tag.to_owned();
            (fact.role, fact.model) = (Role::Attribute, self.shown_model(node));
            if name.starts_with("%(") {
                (fact.role, fact.key) = (Role::Id, name.trim_start_matches("%(").split(')').next().unwrap_or_default().to_owned());
            }
            self.push(fact);
        }
        if position.is_none() {
            self.attributes(node, &of, &["name", "id", "t-name", "position", "for"]);
            self.content(node);
        }
    }

    /// Whether a part of a view only hides or takes away a field that is gone from the Odoo model and from the view: it says nothing.
    fn is_idle(&self, node: Node<'d, 'i>) -> bool {
        let Some(name) = hidden(node) else { return false };
        let of_model = self.model.as_deref().and_then(|odoo_model| self.known.model(odoo_model).has(name));
        if of_model != Some(false) || self.known.index.is_partial() {
            return false;
        }
        let module = self.path.split('/').next().unwrap_or_default();
        let view = if self.unit.contains('.') { self.unit.clone() } else { format!("{module}.{}", self.unit) };
        let anchors = self.known.index.anchors(&view, &self.known.scope, Some(&view));
        !anchors.is_empty() && !anchors.iter().any(|anchor| anchor.get("name") == Some(name))
    }

    /// The Odoo model whose fields an element shows: that of the view, or of the field that the list it stands in is of.
    fn shown_model(&self, node: Node<'d, 'i>) -> Option<String> {
        let mut path: Vec<&str> = node
            .ancestors()
            .skip(1)
            .filter(|up| up.has_tag_name("field") && up.attribute("position").is_none())
            .filter_map(|up| up.attribute("name"))
            .collect();
        path.pop_if(|name| *name == "arch");
        path.iter().rev().try_fold(self.model.clone()?, |at, name| self.known.comodel(&at, name))
    }

    fn attributes(&mut self, node: Node<'d, 'i>, of: &str, skipped: &[&str]) {
        let in_search = node.has_tag_name("group")
            && (node.ancestors().any(|up| up.has_tag_name("search")) || node.children().any(|child| child.has_tag_name("filter")));
        let is_root = ["list", "tree", "form", "search", "kanban", "graph", "pivot", "calendar"].iter().any(|tag| node.has_tag_name(*tag));
        for attribute in node.attributes() {
            let key = attribute.name();
            let only_looks = LOOKS.contains(&key) || key.starts_with("aria-") || key.starts_with("data-");
            if skipped.contains(&key)
                || only_looks
                || (key == "string" && (in_search || is_root))
                || (key == "type" && node.has_tag_name("field"))
            {
                continue;
            }
            self.attribute(node, of, key, attribute.value());
        }
    }

    fn attribute(&mut self, node: Node<'d, 'i>, of: &str, key: &str, value: &str) {
        let line = self.document.text_pos_at(node.range().start).row;
        if key == "attrs" {
            if let Some(modifiers) = from_attrs(value) {
                for (modifier, expression) in modifiers {
                    self.modifier(node, of, &modifier, &expression.render());
                }
                return;
            }
            return self.raw_attrs(node, of, value);
        }
        if key == "states"
            && let Some(expression) = from_states(value)
        {
            return self.modifier(node, of, "invisible", &expression.render());
        }
        if EXPRESSIONS.contains(&key) {
            return self.modifier(node, of, key, value);
        }
        let key = match key {
            "t-esc" | "t-raw" => "t-out",
            "tree_view_ref" => "list_view_ref",
            other => other,
        };
        let loss = match key {
            "groups" => LossKind::Right,
            "domain" | "filter_domain" | "eval" => LossKind::Condition,
            _ => LossKind::Node,
        };
        let (content, items) = match key {
            "ref" | "action" | "parent" | "inherit_id" | "t-call" => (value.to_owned(), vec![item(Role::Id, value, line, None)]),
            "groups" => {
                let mut parts: Vec<&str> = value.split(',').map(str::trim).collect();
                parts.sort_unstable();
                (parts.join(","), parts.iter().map(|id| item(Role::Id, id, line, None)).collect())
            }
            "domain" | "filter_domain" | "eval" | "context" | "options" | "t-value" | "t-out" | "t-foreach" | "t-field" => {
                self.expression(value, line, None)
            }
            _ if key.starts_with("decoration-") || key.starts_with("t-att") => self.expression(value, line, None),
            _ => (plain_text(value), Vec::new()),
        };
        let mut fact = self.fact(Kind::Attribute, loss, format!("{of}@{key}"), node, format!("{key} of <{of}>"));
        (fact.content, fact.items) = (content, items);
        self.push(fact);
    }

    /// `attrs` that cannot be written as expressions by rule: its fields and values by modifier.
    fn raw_attrs(&mut self, node: Node<'d, 'i>, of: &str, value: &str) {
        let line = self.document.text_pos_at(node.range().start).row;
        let text = value.trim();
        let Some(source) = parse(text) else { return };
        let pairs: Vec<_> = source.all("pair").collect();
        for pair in pairs {
            let parts = children(pair);
            let [key, value] = parts.as_slice() else { continue };
            let Some(modifier) = source.literal(*key) else { continue };
            let (content, mut items) = self.expression(source.of(*value), line, None);
            items.retain(|item| {
                !matches!(item.text.as_str(), "|" | "&" | "!" | "=" | "!=" | "in" | "not in" | "<" | ">" | "<=" | ">=")
                    && item.role != Role::Constant
            });
            for item in &mut items {
                item.role = Role::Text;
            }
            let mut fact =
                self.fact(Kind::Attribute, LossKind::Condition, format!("{of}@{modifier}"), node, format!("{modifier} of <{of}>"));
            (fact.content, fact.items) = (format!("{RAW}{content}"), items);
            self.push(fact);
        }
    }

    fn modifier(&mut self, node: Node<'d, 'i>, of: &str, key: &str, value: &str) {
        let line = self.document.text_pos_at(node.range().start).row;
        let text = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let content = normal_expression(&text, self.known);
        let items = names_of(&text, line, self.known, self.shown_model(node));
        // A modifier that never applies says nothing.
        if matches!(content.as_str(), "False" | "0") {
            return;
        }
        let mut fact = self.fact(Kind::Attribute, LossKind::Condition, format!("{of}@{key}"), node, format!("{key} of <{of}>"));
        (fact.content, fact.items) = (content, items);
        self.push(fact);
    }

    fn content(&mut self, node: Node<'d, 'i>) {
        for text in node.children().filter(Node::is_text).filter_map(|child| child.text()) {
            let text = plain_text(text);
            if text.chars().any(char::is_alphanumeric) {
                let mut fact =
                    self.fact(Kind::Content, LossKind::Value, text.clone(), node, format!("the text {}", super::judge::shown(&text)));
                (fact.role, fact.content) = (Role::Text, "text".to_owned());
                self.push(fact);
            }
        }
    }

    /// What an expression of Python in a data file says.
    fn expression(&self, text: &str, line: u32, model: Option<&str>) -> (String, Vec<Item>) {
        let text = text.trim();
        let Some(source) = parse(text) else { return (plain_text(text), vec![item(Role::Text, &plain_text(text), line, None)]) };
        let context = Context::of(&source, source.root(), self.known, model);
        let (mut items, _) = context.items(source.root());
        if let Some(only) = source.root().named_child(0)
            && items.is_empty()
            && source.root().named_child_count() == 1
        {
            // A text alone is taken for a description; here it is the value.
            items.push(item(Role::Text, &plain_text(source.of(only).trim_matches(['"', '\''])), line, None));
        }
        items.iter_mut().for_each(|item| item.line = line);
        (context.content(source.root()), items)
    }
}

/// What kind of loss a record of this Odoo model is.
pub(super) fn of_model(odoo_model: &str) -> LossKind {
    match odoo_model {
        "ir.model.access" | "ir.rule" | "res.groups" | "res.groups.privilege" => LossKind::Right,
        "ir.ui.menu" => LossKind::Menu,
        _ => LossKind::Record,
    }
}

fn item(role: Role, text: &str, line: u32, model: Option<String>) -> Item {
    Item { role, text: text.to_owned(), model, line }
}

fn describe(node: Node<'_, '_>) -> String {
    let name = node.attribute("name").or(node.attribute("expr")).or(node.attribute("id")).unwrap_or_default();
    format!("{} {name}", node.tag_name().name())
}

/// A condition of a view in one form, however it is written.
fn normal_expression<'k>(text: &str, known: &'k Known<'k>) -> String {
    let Some(source) = parse(text) else { return text.to_owned() };
    let Some(expression) = source.root().named_child(0).and_then(|statement| statement.named_child(0)) else { return text.to_owned() };
    let context = Context::of(&source, source.root(), known, None);
    let (parts, joins) = context.condition(expression);
    let mut parts: Vec<String> = parts.into_iter().map(|(text, _)| if text == "1" { "True".to_owned() } else { text }).collect();
    parts.sort();
    if joins.is_empty() {
        parts.join(";").replace("[ ", "").replace(" ]", "")
    } else {
        format!("{joins} {}", parts.join(";")).replace("[ ", "").replace(" ]", "")
    }
}

/// The names and values in a condition of a view.
fn names_of<'k>(text: &str, line: u32, known: &'k Known<'k>, model: Option<String>) -> Vec<Item> {
    let Some(source) = parse(text) else { return Vec::new() };
    let context = Context::of(&source, source.root(), known, None);
    let (mut items, _) = context.items(source.root());
    if items.is_empty() && source.root().named_child_count() == 1 {
        items.push(item(Role::Text, text, line, None));
    }
    for item in &mut items {
        item.line = line;
        if item.role == Role::Name {
            item.model.clone_from(&model);
        }
    }
    items.retain(|item| item.role != Role::Operator);
    items
}
