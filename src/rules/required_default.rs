//! What: a required field that is new on a table with rows gets a default.
//!
//! Why: the rows that exist have no value for it, and PostgreSQL then refuses `NOT NULL`; Odoo fills a new column from the default.
//! Before: `x = fields.Integer(required=True)`. After: `x = fields.Integer(required=True, default=0)`.
//! Not sure: the value is the empty one of its kind, or the first choice; a person may know a better one. What has no such value is left.
//! Since: any Odoo.

use tree_sitter::Node;

use super::edit::python::{Source, children, field, quoted};
use super::edit::{Edit, apply, classes, indent};
use super::scope::said;
use super::{Case, Proposal, Rule, changed, unsure};
use crate::domain::ErrorClass;
use crate::odoo::source::ModuleFacts;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "required_default", classes: &[ErrorClass::SchemaConstraint], since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let null = said(case, r#"column "(\w+)" of relation "(\w+)" contains null values"#).map(|[name, table]| (name, table));
    let missing =
        || said(case, r"Missing not-null constraint on ([\w.]+)\.(\w+)").map(|[odoo_model, name]| (name, odoo_model.replace('.', "_")));
    let Some((name, table)) = null.or_else(missing) else { return Vec::new() };
    let own = ModuleFacts::of(case.addon);
    let Some(odoo_model) = own.classes.iter().map(|class| class.odoo_model.as_str()).find(|found| found.replace('.', "_") == table) else {
        return Vec::new();
    };
    let changes = changed(case.addon, "py", |text| {
        let source = Source::parse(text)?;
        let statements = classes::of_model(&source, odoo_model).filter_map(|class| classes::definition(&source, class, &name));
        apply(text, statements.filter_map(|statement| with_default(&source, statement)).collect())
    });
    unsure(format!("{odoo_model}.{name} is required and the rows that exist have no value: they get the empty one."), changes)
}

fn with_default(source: &Source<'_>, statement: Node<'_>) -> Option<Edit> {
    let call = field(statement.named_child(0)?, "right").filter(|right| right.kind() == "call")?;
    let kind = source.of(field(call, "function")?).strip_prefix("fields.")?;
    let arguments = children(field(call, "arguments")?);
    let keyword = |argument: &Node<'_>| field(*argument, "name").map(|name| source.of(name));
    let has = |name: &str| arguments.iter().any(|argument| keyword(argument) == Some(name));
    if has("default") || has("compute") || has("related") || !has("required") {
        return None;
    }
    let value = match kind {
        "Char" | "Text" | "Html" => "\"\"".to_owned(),
        "Integer" => "0".to_owned(),
        "Float" | "Monetary" => "0.0".to_owned(),
        "Selection" => quoted(&first_choice(source, &arguments)?),
        _ => return None,
    };
    let last = arguments.last()?;
    let gap = indent(source.text, last.start_byte()).map_or_else(|| " ".to_owned(), |indent| format!("\n{indent}"));
    Some(Edit::new(last.end_byte()..last.end_byte(), format!(",{gap}default={value}")))
}

/// The first value of a literal list of choices.
fn first_choice(source: &Source<'_>, arguments: &[Node<'_>]) -> Option<String> {
    let named = arguments.iter().find(|argument| field(**argument, "name").is_some_and(|name| source.of(name) == "selection"));
    let list = match named {
        Some(argument) => field(*argument, "value")?,
        None => *arguments.first().filter(|argument| argument.kind() != "keyword_argument")?,
    };
    let first = *children(list).first().filter(|_| list.kind() == "list")?;
    source.literal(*children(first).first().filter(|_| first.kind() == "tuple")?)
}

#[cfg(test)]
mod tests;
