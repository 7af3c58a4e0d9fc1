//! Python files: the classes that define or extend Odoo models, and what whoever cuts a file up needs of its syntax tree.

use std::collections::BTreeMap;

use tree_sitter::{Node, Parser, Tree};

use super::{Class, FieldFacts, Names, OrmFacts, Parameter, Signature};
use crate::odoo::manifest;

/// A file with its syntax tree. A syntax error costs the class that it stands in, not the file.
pub struct PythonFile<'t> {
    text: &'t str,
    tree: Tree,
}

/// What the statements of a class say of the Odoo model behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// `_name`.
    pub name: Option<String>,
    /// `_inherit`, one or several.
    pub inherit: Vec<String>,
    /// `_inherits`: the Odoo models, with the field that leads there.
    pub delegates: BTreeMap<String, String>,
    /// `_table`.
    pub table: Option<String>,
    /// `_description`.
    pub description: Option<String>,
    /// Its fields, in reading order.
    pub fields: Vec<(String, FieldHead)>,
    /// Its methods, each with the line of its `def`.
    pub methods: Vec<(String, u32)>,
    /// How its methods are defined.
    pub signatures: Vec<(String, Signature)>,
    /// The other names that its body assigns.
    pub attributes: Names,
}

impl Head {
    /// The Odoo model, where it is sure: its own name, or the only one that it extends.
    pub fn odoo_model(&self) -> Option<&str> {
        self.name.as_deref().or(if let [only] = self.inherit.as_slice() { Some(only) } else { None })
    }
}

/// A field with what people read of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldHead {
    /// What programs need.
    pub facts: FieldFacts,
    /// Its label (`string`).
    pub label: Option<String>,
    /// Its `help`.
    pub help: Option<String>,
    /// The values of a selection, with their labels.
    pub selection: Vec<(String, String)>,
}

/// The classes of one file, in reading order.
pub(super) fn classes(path: &str, text: &str) -> Vec<Class> {
    // Parsing is what costs; most files of an addon define no Odoo model.
    if !text.contains("_inherit") && !text.contains("_name") {
        return Vec::new();
    }
    let Some(file) = PythonFile::parse(text) else { return Vec::new() };
    children(file.root()).into_iter().filter_map(|node| file.class(path, node)).collect()
}

impl<'t> PythonFile<'t> {
    /// Parses a file; Python with errors gives a tree too.
    pub fn parse(text: &'t str) -> Option<Self> {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok()?;
        Some(Self { text, tree: parser.parse(text, None)? })
    }

    /// The whole of it.
    pub fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    /// The source of a node.
    pub fn of(&self, node: Node<'_>) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// A plain string, or several joined by standing side by side.
    pub fn string(&self, node: Node<'_>) -> Option<String> {
        // Hostile nesting must not use up the stack.
        let node = if node.kind() == "parenthesized_expression" { node.named_child(0)? } else { node };
        match node.kind() {
            "string" => {
                let parts = children(node).into_iter();
                let content: Option<String> = parts
                    .filter(|part| !matches!(part.kind(), "string_start" | "string_end"))
                    .map(|part| (part.kind() == "string_content").then(|| self.of(part)))
                    .collect();
                content.filter(|content| !content.contains('\\'))
            }
            "concatenated_string" => {
                children(node).into_iter().filter(|part| part.kind() == "string").map(|part| self.string(part)).collect()
            }
            _ => None,
        }
    }

    /// A text for people: like [`PythonFile::string`], with escapes resolved and what an f-string fills in as it is written.
    pub fn literal(&self, node: Node<'_>) -> Option<String> {
        let node = if node.kind() == "parenthesized_expression" { children(node).first().copied()? } else { node };
        match node.kind() {
            "string" => {
                let parts = children(node);
                let of_kind = |kind: &str| parts.iter().find(|part| part.kind() == kind);
                let (start, end) = (of_kind("string_start")?, of_kind("string_end")?);
                let text = self.text.get(start.end_byte()..end.start_byte())?;
                let raw = self.of(*start).contains(['r', 'R', 'b', 'B']);
                let plain = if raw || !text.contains('\\') { None } else { manifest::unescaped(text) };
                Some(plain.unwrap_or_else(|| text.to_owned()))
            }
            "concatenated_string" => {
                Some(children(node).into_iter().filter(|part| part.kind() == "string").filter_map(|part| self.literal(part)).collect())
            }
            _ => None,
        }
    }

    fn strings(&self, node: Node<'_>) -> Vec<String> {
        match node.kind() {
            "list" | "tuple" => children(node).into_iter().filter_map(|item| self.string(item)).collect(),
            _ => self.string(node).into_iter().collect(),
        }
    }

    fn class(&self, path: &str, node: Node<'_>) -> Option<Class> {
        let node = definition(node).filter(|node| node.kind() == "class_definition")?;
        let head = self.head(node);
        let bases: Vec<&str> =
            node.child_by_field_name("superclasses").map(children).unwrap_or_default().into_iter().map(|base| self.of(base)).collect();
        let delegating = head.fields.iter().filter(|(_, field)| field.facts.delegate);
        let delegating: Vec<_> = delegating.filter_map(|(name, field)| Some((field.facts.comodel.clone()?, name.clone()))).collect();
        Some(Class {
            odoo_model: head.odoo_model()?.to_owned(),
            inherit: head.inherit,
            delegates: head.delegates.into_iter().chain(delegating).collect(),
            signatures: head.signatures.into_iter().collect(),
            attributes: head.attributes,
            is_abstract: bases.iter().any(|base| base.ends_with("AbstractModel")),
            is_open: bases.iter().any(|base| !is_model_class(base)),
            fields: head.fields.into_iter().map(|(name, field)| (name, field.facts)).collect(),
            methods: head.methods.into_iter().collect(),
            path: path.to_owned(),
            line: line(node),
        })
    }

    /// What a class says of its Odoo model.
    pub fn head(&self, class: Node<'_>) -> Head {
        let mut read = Head::default();
        for statement in class.child_by_field_name("body").map(children).unwrap_or_default() {
            self.statement(statement, &mut read);
        }
        read
    }

    fn statement(&self, statement: Node<'_>, read: &mut Head) {
        if let Some((name, value)) = self.assigned(statement) {
            self.assignment(name, value, read);
        } else if let Some(method) = definition(statement).filter(|node| node.kind() == "function_definition")
            && let Some(name) = method.child_by_field_name("name")
        {
            read.methods.push((self.of(name).to_owned(), line(method)));
            read.signatures.push((self.of(name).to_owned(), self.signature(statement)));
        } else if !matches!(statement.kind(), "expression_statement" | "class_definition" | "pass_statement") {
            // A name that a condition, a loop or an import brings is one all the same.
            let mut open = vec![statement];
            while let Some(node) = open.pop() {
                open.extend(children(node));
                if node.kind() == "identifier" {
                    read.attributes.insert(self.of(node).to_owned());
                }
            }
        } else if let Some(left) =
            statement.named_child(0).filter(|node| node.kind() == "assignment").and_then(|node| node.child_by_field_name("left"))
        {
            read.attributes.extend(self.of(left).split(',').map(|name| name.trim().to_owned()));
        }
    }

    /// How a method is defined, its decorators included.
    pub fn signature(&self, method: Node<'_>) -> Signature {
        let mut found = Signature::default();
        for decorator in children(method).into_iter().filter(|node| node.kind() == "decorator") {
            let Some(value) = decorator.named_child(0) else { continue };
            let name = self.of(if value.kind() == "call" { value.child_by_field_name("function").unwrap_or(value) } else { value });
            match name.rsplit('.').next().unwrap_or(name) {
                "deprecated" => {
                    let reason = value
                        .child_by_field_name("arguments")
                        .and_then(|list| children(list).first().copied())
                        .and_then(|text| self.literal(text));
                    found.deprecated = Some(reason.unwrap_or_else(|| "it is deprecated".to_owned()));
                }
                "depends" | "onchange" | "constrains" | "depends_context" | "wraps" => {}
                _ => found.decorators.push(name.to_owned()),
            }
        }
        let parameters = definition(method).and_then(|node| node.child_by_field_name("parameters")).map(children).unwrap_or_default();
        let mut by_name = false;
        for node in parameters {
            let named =
                |node: Node<'_>| node.child_by_field_name("name").or_else(|| node.named_child(0)).map(|name| self.of(name).to_owned());
            let (name, optional) = match node.kind() {
                "identifier" => (Some(self.of(node).to_owned()), false),
                "typed_parameter" => (node.named_child(0).map(|inner| self.of(inner).to_owned()), false),
                "default_parameter" | "typed_default_parameter" => (named(node), true),
                "list_splat_pattern" | "dictionary_splat_pattern" => (Some(self.of(node).to_owned()), true),
                "keyword_separator" => {
                    by_name = true;
                    continue;
                }
                _ => continue,
            };
            let Some(name) = name else { continue };
            let optional = optional || name.starts_with('*');
            let parameter = Parameter { optional, by_name: by_name && !name.starts_with("**"), name };
            by_name |= parameter.name.starts_with('*');
            found.parameters.push(parameter);
        }
        found
    }

    /// The name and the value of `name = value`.
    pub fn assigned<'n>(&self, statement: Node<'n>) -> Option<(&'t str, Node<'n>)> {
        let assignment =
            statement.named_child(0).filter(|node| statement.kind() == "expression_statement" && node.kind() == "assignment")?;
        let (left, right) = (assignment.child_by_field_name("left")?, assignment.child_by_field_name("right")?);
        (left.kind() == "identifier").then(|| (self.of(left), right))
    }

    fn assignment(&self, name: &str, right: Node<'_>, read: &mut Head) {
        match name {
            "_name" => read.name = self.string(right),
            "_inherit" => read.inherit = self.strings(right),
            "_table" => read.table = self.string(right),
            "_description" => {
                read.attributes.insert(name.to_owned());
                read.description = self.literal(right);
            }
            "_inherits" if right.kind() == "dictionary" => {
                read.delegates = children(right).into_iter().filter_map(|pair| self.pair(pair, "key", "value")).collect();
            }
            _ if right.kind() == "call" => match self.field(right) {
                Some(field) => read.fields.push((name.to_owned(), field)),
                None => drop(read.attributes.insert(name.to_owned())),
            },
            _ => drop(read.attributes.insert(name.to_owned())),
        }
    }

    fn pair(&self, pair: Node<'_>, key: &str, value: &str) -> Option<(String, String)> {
        Some((self.string(pair.child_by_field_name(key)?)?, self.string(pair.child_by_field_name(value)?)?))
    }

    /// `fields.Kind(…)`, or a subclass that is written `Kind(…)`: only the first is certain.
    pub fn field(&self, call: Node<'_>) -> Option<FieldHead> {
        let kind = self.of(call.child_by_field_name("function")?).strip_prefix("fields.")?;
        let mut field =
            FieldHead { facts: FieldFacts { kind: kind.to_owned(), line: line(call), ..FieldFacts::default() }, ..FieldHead::default() };
        let places: &[&str] = match kind {
            "Many2one" => &["comodel_name", "string"],
            "One2many" => &["comodel_name", "inverse_name", "string"],
            "Many2many" => &["comodel_name"],
            "Selection" => &["selection", "string"],
            _ => &["string"],
        };
        let mut places = places.iter();
        for argument in children(call.child_by_field_name("arguments")?) {
            if argument.kind() != "keyword_argument" {
                if let Some(name) = places.next() {
                    self.argument(name, argument, &mut field);
                }
                continue;
            }
            let (Some(key), Some(value)) = (argument.child_by_field_name("name"), argument.child_by_field_name("value")) else { continue };
            self.argument(self.of(key), value, &mut field);
        }
        Some(field)
    }

    fn argument(&self, name: &str, value: Node<'_>, field: &mut FieldHead) {
        match name {
            "comodel_name" => field.facts.comodel = self.string(value),
            "inverse_name" => field.facts.inverse = self.string(value),
            "related" => field.facts.related = self.string(value),
            "compute" => field.facts.compute = self.string(value).or_else(|| Some(self.of(value).to_owned())),
            "required" => field.facts.required = self.of(value) == "True",
            "string" => field.label = self.literal(value),
            "help" => field.help = self.literal(value),
            "delegate" => field.facts.delegate = self.of(value) == "True",
            "selection" | "selection_add" if value.kind() == "list" => {
                let choices = self.choices(value);
                field.facts.open_values |= choices.len() < children(value).len();
                field.facts.values.extend(choices.iter().map(|(key, _)| key.clone()));
                field.selection.extend(choices);
            }
            "selection" | "selection_add" => field.facts.open_values = true,
            _ => {}
        }
    }

    fn choices(&self, list: Node<'_>) -> Vec<(String, String)> {
        let choice = |tuple: Node<'_>| {
            let parts = children(tuple);
            let key = self.string(*parts.first()?)?;
            let label = parts.get(1).and_then(|label| self.literal(*label)).unwrap_or_default();
            Some((key, label))
        };
        children(list).into_iter().filter(|item| item.kind() == "tuple").filter_map(choice).collect()
    }
}

/// Whether a base class is one of those that Odoo models are made of, or no base at all.
fn is_model_class(base: &str) -> bool {
    let name = base.rsplit('.').next().unwrap_or(base);
    matches!(name, "Model" | "TransientModel" | "AbstractModel" | "BaseModel" | "CachedModel") || base.contains('=')
}

/// Adds what the classes of a file of Odoo itself give to every Odoo model.
pub(super) fn base_classes(text: &str, orm: &mut OrmFacts) {
    let Some(file) = PythonFile::parse(text) else { return };
    let classes = children(file.root()).into_iter().filter_map(definition).filter(|node| node.kind() == "class_definition");
    for class in classes.filter(|class| {
        let name = class.child_by_field_name("name").map(|name| file.of(name));
        name.is_some_and(|name| matches!(name, "BaseModel" | "Model" | "AbstractModel" | "TransientModel" | "MetaModel"))
    }) {
        let head = file.head(class);
        orm.attributes.extend(head.attributes);
        orm.attributes.extend(["_name", "_inherit", "_inherits", "_table"].map(str::to_owned));
        orm.attributes.extend(head.fields.into_iter().map(|(name, _)| name));
        orm.methods.extend(head.signatures);
    }
}

/// The class or function behind its decorators.
pub fn definition(node: Node<'_>) -> Option<Node<'_>> {
    if node.kind() == "decorated_definition" { node.child_by_field_name("definition") } else { Some(node) }
}

fn line(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX)
}

/// The named children without comments.
pub fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.named_children(&mut node.walk()).filter(|child| child.kind() != "comment").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_and_extension_are_told_apart() {
        let text = r#"
from odoo import models, fields

class A(models.Model):
    _name = "a.a"
    _inherit = ["mail.thread"]
    _inherits = {"res.partner": "partner_id"}

    name = fields.Char(required=True)
    partner_id = fields.Many2one("res.partner", required=True)
    line_ids = fields.One2many(comodel_name="a.line", inverse_name="a_id")
    city = fields.Char(related="partner_id.city")
    total = fields.Float(compute="_compute_total")

    @api.depends("line_ids")
    def _compute_total(self):
        pass


class B(models.Model):
    _inherit = "a.a"
    other_ids = fields.Many2many('res.users', 'rel')

class Helper:
    x = 1
"#;
        let found = classes("m/models/a.py", text);
        assert_eq!(
            found.iter().map(|class| (class.odoo_model.as_str(), class.defines(), class.line)).collect::<Vec<_>>(),
            [("a.a", true, 4), ("a.a", false, 20)]
        );
        let a = &found[0];
        assert_eq!(a.inherit, ["mail.thread"]);
        assert_eq!(a.delegates["res.partner"], "partner_id");
        assert!(a.fields["name"].required && a.fields["partner_id"].comodel.as_deref() == Some("res.partner"));
        assert_eq!((a.fields["line_ids"].comodel.as_deref(), a.fields["line_ids"].inverse.as_deref()), (Some("a.line"), Some("a_id")));
        assert_eq!(a.fields["city"].related.as_deref(), Some("partner_id.city"));
        assert_eq!(a.fields["total"].compute.as_deref(), Some("_compute_total"));
        assert_eq!(a.methods["_compute_total"], 16);
        assert_eq!(found[1].fields["other_ids"].comodel.as_deref(), Some("res.users"));
    }

    #[test]
    fn a_broken_class_costs_no_other() {
        let text = "class A(models.Model):\n    _name = 'a'\n    x = fields.Char(\n\nclass B(models.Model):\n    _name = 'b'\n";
        assert!(classes("m/a.py", text).iter().all(|class| class.odoo_model == "a" || class.odoo_model == "b"));
        assert!(classes("m/a.py", "_name \u{0} (((").is_empty());
    }
}
