//! The classes of a Python file that define or extend Odoo models.

use std::collections::BTreeMap;

use tree_sitter::{Node, Parser, Tree};

use super::{Class, FieldFacts};

/// A file with its syntax tree. A syntax error costs the class that it stands in, not the file.
struct File<'t> {
    text: &'t str,
    tree: Tree,
}

/// The classes of one file, in reading order.
pub(super) fn classes(path: &str, text: &str) -> Vec<Class> {
    // Parsing is what costs; most files of an addon define no Odoo model.
    if !text.contains("_inherit") && !text.contains("_name") {
        return Vec::new();
    }
    let Some(file) = File::parse(text) else { return Vec::new() };
    children(file.tree.root_node()).into_iter().filter_map(|node| file.class(path, node)).collect()
}

impl<'t> File<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok()?;
        Some(Self { text, tree: parser.parse(text, None)? })
    }

    fn of(&self, node: Node<'_>) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// A plain string, or several joined by standing side by side.
    fn string(&self, node: Node<'_>) -> Option<String> {
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

    fn strings(&self, node: Node<'_>) -> Vec<String> {
        match node.kind() {
            "list" | "tuple" => children(node).into_iter().filter_map(|item| self.string(item)).collect(),
            _ => self.string(node).into_iter().collect(),
        }
    }

    fn class(&self, path: &str, node: Node<'_>) -> Option<Class> {
        let node = if node.kind() == "decorated_definition" { node.child_by_field_name("definition")? } else { node };
        if node.kind() != "class_definition" {
            return None;
        }
        let mut read = Read::default();
        for statement in children(node.child_by_field_name("body")?) {
            self.statement(statement, &mut read);
        }
        let Read { name, inherit, delegates, fields, methods } = read;
        let odoo_model = name.or_else(|| (inherit.len() == 1).then(|| inherit[0].clone()))?;
        Some(Class { odoo_model, inherit, delegates, fields, methods, path: path.to_owned(), line: line(node) })
    }

    fn statement(&self, statement: Node<'_>, read: &mut Read) {
        match statement.kind() {
            "expression_statement" => {
                let assignment = statement.named_child(0).filter(|node| node.kind() == "assignment");
                let sides = assignment.and_then(|node| Some((node.child_by_field_name("left")?, node.child_by_field_name("right")?)));
                if let Some((left, right)) = sides.filter(|(left, _)| left.kind() == "identifier") {
                    self.assignment(self.of(left), right, read);
                }
            }
            "function_definition" => self.method(statement, read),
            "decorated_definition" => {
                if let Some(definition) = statement.child_by_field_name("definition").filter(|node| node.kind() == "function_definition") {
                    self.method(definition, read);
                }
            }
            _ => {}
        }
    }

    fn method(&self, node: Node<'_>, read: &mut Read) {
        if let Some(name) = node.child_by_field_name("name") {
            read.methods.insert(self.of(name).to_owned(), line(node));
        }
    }

    fn assignment(&self, name: &str, right: Node<'_>, read: &mut Read) {
        match name {
            "_name" => read.name = self.string(right),
            "_inherit" => read.inherit = self.strings(right),
            "_inherits" if right.kind() == "dictionary" => {
                let pair = |pair: Node<'_>| {
                    Some((self.string(pair.child_by_field_name("key")?)?, self.string(pair.child_by_field_name("value")?)?))
                };
                read.delegates = children(right).into_iter().filter_map(pair).collect();
            }
            _ if right.kind() == "call" => {
                if let Some(mut field) = self.field(right) {
                    field.line = line(right);
                    read.fields.insert(name.to_owned(), field);
                }
            }
            _ => {}
        }
    }

    /// `fields.Kind(…)`, or a subclass that is written `Kind(…)`: only the first is certain.
    fn field(&self, call: Node<'_>) -> Option<FieldFacts> {
        let kind = self.of(call.child_by_field_name("function")?).strip_prefix("fields.")?;
        let mut field = FieldFacts { kind: kind.to_owned(), ..FieldFacts::default() };
        let relational = matches!(kind, "Many2one" | "One2many" | "Many2many");
        let mut position = 0;
        for argument in children(call.child_by_field_name("arguments")?) {
            if argument.kind() != "keyword_argument" {
                match position {
                    0 if relational => field.comodel = self.string(argument),
                    1 if kind == "One2many" => field.inverse = self.string(argument),
                    _ => {}
                }
                position += 1;
                continue;
            }
            let (Some(key), Some(value)) = (argument.child_by_field_name("name"), argument.child_by_field_name("value")) else { continue };
            match self.of(key) {
                "comodel_name" => field.comodel = self.string(value),
                "inverse_name" => field.inverse = self.string(value),
                "related" => field.related = self.string(value),
                "compute" => field.compute = self.string(value).or_else(|| Some(self.of(value).to_owned())),
                "required" => field.required = self.of(value) == "True",
                _ => {}
            }
        }
        Some(field)
    }
}

#[derive(Default)]
struct Read {
    name: Option<String>,
    inherit: Vec<String>,
    delegates: BTreeMap<String, String>,
    fields: BTreeMap<String, FieldFacts>,
    methods: BTreeMap<String, u32>,
}

fn line(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX)
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
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
