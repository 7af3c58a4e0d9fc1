//! What: a required field that is new on a table with rows gets a default, and a script that gives it to the rows before an upgrade.
//!
//! Why: the rows that exist have no value for it, and PostgreSQL then refuses `NOT NULL`. Odoo fills a column that it makes from the
//! default; where the column is there already, empty, the script fills it before the field asks for more, and the new version has Odoo run it.
//! Before: `x = fields.Integer(required=True)`. After: `x = fields.Integer(required=True, default=0)`, `migrations/…/pre-migration.py`.
//! Sure where the class has a method for this default that nothing uses, or where the field is a number that is only counted up, so that
//! it begins with 0. Else not: the value is the empty one of its kind, or the first choice; a person may know a better one. What has no such value is left:
//! which record a `Many2one` leads to, or what is computed, is nothing that SQL knows. Nor does it know how Odoo keeps a text that is
//! translated, or a value by company: these get the default without a script.
//! Since: any Odoo.

mod script;

use tree_sitter::Node;

use super::additive::{Uses, uses};
use super::edit::python::{Source, children, field, quoted, walk};
use super::edit::{Edit, MAX_FILE, apply, classes, indent};
use super::scope::said;
use super::{Case, FileChange, Proposal, Rule, change, graded, mentioned_in_code, proposal};
use crate::domain::ErrorClass;
use crate::odoo::source::ModuleFacts;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "required_default", classes: &[ErrorClass::SchemaConstraint], since: 0, propose };

/// Why a default is never safe.
const MADE_UP: &str = "Nothing says which value these rows should have: the empty one of its kind, or the first choice, is made up.";

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let null = said(case, r#"column "(\w+)" of relation "(\w+)" contains null values"#).map(|[name, table]| (name, table));
    let missing =
        || said(case, r"Missing not-null constraint on ([\w.]+)\.(\w+)").map(|[odoo_model, name]| (name, odoo_model.replace('.', "_")));
    let Some((name, table)) = null.or_else(missing) else { return Vec::new() };
    let own = ModuleFacts::of(case.addon);
    let Some(odoo_model) = own.classes.iter().map(|class| class.odoo_model.as_str()).find(|found| found.replace('.', "_") == table) else {
        return Vec::new();
    };
    let by_method = written_defaults(case, odoo_model, &name);
    if !by_method.is_empty() {
        let summary = format!(
            "{odoo_model}.{name} is required and the rows that exist have no value: they get the default that its class has a method for."
        );
        return proposal(summary, by_method);
    }
    let (changes, given) = defaults(case, odoo_model, &name);
    let counts = given.iter().all(|given| matches!(given.value.as_str(), "0" | "0.0")) && uses(case.addon, &name, "") == Uses::Added;
    let doubt = (!counts).then(|| MADE_UP.to_owned());
    let summary = format!("{odoo_model}.{name} is required and the rows that exist have no value: they get the empty one");
    // One definition, so that it is clear what the rows get.
    let known = match given.as_slice() {
        [only] if only.in_sql => script::filling(case, &table, &name, &only.value),
        _ => None,
    };
    let Some(filled) = known else {
        let why = if given.iter().all(|given| given.in_sql) {
            "the addon's version does not allow one"
        } else {
            "SQL does not know how Odoo keeps it"
        };
        return graded(format!("{summary}. No script fills a column that is there already: {why}."), doubt, changes);
    };
    let version = &filled.version;
    let both = changes.iter().cloned().chain(filled.changes).collect();
    let told = format!("{summary}, and a script that Odoo runs before it upgrades to {version} fills a column that is there already.");
    let alone = graded(format!("{summary}, without a script."), doubt.clone(), changes);
    graded(told, doubt, both).into_iter().chain(alone).collect()
}

/// The definitions of a field with the default for which the class has a method, named after it, that nothing uses yet.
fn written_defaults(case: &Case<'_>, odoo_model: &str, name: &str) -> Vec<FileChange> {
    let mut changes = Vec::new();
    for (path, text) in case.addon.texts("py").filter(|(_, text)| text.len() <= MAX_FILE) {
        let Some(source) = Source::parse(text) else { continue };
        let edit = |class: Node<'_>| {
            let statement = classes::definition(&source, class, name)?;
            let method = [format!("_default_{name}"), format!("_get_default_{name}")].into_iter().find(|method| {
                mentioned_in_code(case.addon, method) == 1
                    && walk(class).any(|node| {
                        let is_it = field(node, "name").is_some_and(|found| source.of(found) == method);
                        let alone = field(node, "parameters").is_some_and(|parameters| source.of(parameters) == "(self)");
                        node.kind() == "function_definition" && is_it && alone
                    })
            })?;
            let (edit, _) = with_default_of(&source, statement, Some(format!("lambda self: self.{method}()")))?;
            Some(edit)
        };
        let edits: Vec<Edit> = classes::of_model(&source, odoo_model).filter_map(edit).collect();
        changes.extend(apply(text, edits).map(|after| change(path, text, after)));
    }
    changes
}

/// What a field was given.
struct Given {
    /// The default, as Python.
    value: String,
    /// Whether the column holds just that.
    in_sql: bool,
}

/// The definitions of a field with the default that each was given.
fn defaults(case: &Case<'_>, odoo_model: &str, name: &str) -> (Vec<FileChange>, Vec<Given>) {
    let (mut changes, mut all) = (Vec::new(), Vec::new());
    for (path, text) in case.addon.texts("py").filter(|(_, text)| text.len() <= MAX_FILE) {
        let Some(source) = Source::parse(text) else { continue };
        let statements = classes::of_model(&source, odoo_model).filter_map(|class| classes::definition(&source, class, name));
        let (edits, given): (Vec<Edit>, Vec<Given>) = statements.filter_map(|statement| with_default(&source, statement)).unzip();
        if let Some(after) = apply(text, edits) {
            changes.push(change(path, text, after));
            all.extend(given);
        }
    }
    (changes, all)
}

fn with_default(source: &Source<'_>, statement: Node<'_>) -> Option<(Edit, Given)> {
    with_default_of(source, statement, None)
}

/// The definition with this default, or the empty value of its kind.
fn with_default_of(source: &Source<'_>, statement: Node<'_>, known: Option<String>) -> Option<(Edit, Given)> {
    let call = field(statement.named_child(0)?, "right").filter(|right| right.kind() == "call")?;
    let kind = source.of(field(call, "function")?).strip_prefix("fields.")?;
    let arguments = children(field(call, "arguments")?);
    let keyword = |argument: &Node<'_>| field(*argument, "name").map(|name| source.of(name));
    let has = |name: &str| arguments.iter().any(|argument| keyword(argument) == Some(name));
    if has("default") || has("compute") || has("related") || !has("required") {
        return None;
    }
    let value = match kind {
        _ if known.is_some() => known?,
        "Char" | "Text" | "Html" => "\"\"".to_owned(),
        "Integer" => "0".to_owned(),
        "Float" | "Monetary" => "0.0".to_owned(),
        "Boolean" => "False".to_owned(),
        "Selection" => quoted(&first_choice(source, &arguments)?),
        _ => return None,
    };
    let last = arguments.last()?;
    let gap = indent(source.text, last.start_byte()).map_or_else(|| " ".to_owned(), |indent| format!("\n{indent}"));
    let edit = Edit::new(last.end_byte()..last.end_byte(), format!(",{gap}default={value}"));
    Some((edit, Given { value, in_sql: !has("translate") && !has("company_dependent") }))
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
