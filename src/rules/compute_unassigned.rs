//! What: a compute method that leaves some records without a value starts with the empty one.
//!
//! Why: Odoo wants every record of a compute method to get a value: `Compute method failed to assign`.
//! Before: `for rec in self: if rec in data: rec.count = data[rec]`.
//! After: `for rec in self: rec.count = 0` before the condition.
//! Safe where the method itself gives the empty value in another branch, where it gives a value only if that very value is there, where it
//! counts records in groups, or where the field is a number that is only ever added or taken off; else it is made up.
//! Since: 13.

use regex::Regex;
use tree_sitter::Node;

use super::additive::{self, Uses, docstring, says_otherwise};
use super::edit::python::{Source, ancestors, children, field, walk};
use super::edit::scopes::body;
use super::edit::{Edit, apply, indent};
use super::{Case, Proposal, Rule, change, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "compute_unassigned", classes: ErrorClass::ALL, since: 13, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Ok(pattern) = Regex::new(r"Compute method failed to assign ([\w.]+)\([^)\n]*\)\.(\w+)") else { return Vec::new() };
    let Some(found) = pattern.captures(&case.report.text) else { return Vec::new() };
    let reported = &found[2];
    let definitions: Vec<Computed> =
        case.addon.texts("py").filter_map(|(_, text)| Source::parse(text)).flat_map(|source| computed(&source)).collect();
    let Some(Computed { method, .. }) = definitions.iter().find(|one| one.field == reported) else { return Vec::new() };
    let fields: Vec<&Computed> = definitions.iter().filter(|one| one.method == *method).collect();
    let mut found = Vec::new();
    for (path, text) in case.addon.texts("py") {
        let Some(source) = Source::parse(text) else { continue };
        for function in source.all("function_definition").filter(|node| field(*node, "name").is_some_and(|name| source.of(name) == method))
        {
            let is_determined = says_empty(&source, function, &fields) || is_neutral(case, &source, function, &fields);
            let doubt = (!is_determined).then(|| format!("Nothing in {method} says what these records get: the empty value is made up."));
            let ways = [in_loop(&source, function, &fields, reported), at_start(&source, function, &fields, reported)];
            for edit in ways.into_iter().flatten() {
                let after = apply(text, vec![edit]).map(|after| change(path, text, after));
                found.extend(graded(
                    format!("{method} leaves records without {reported}: they get the empty value first."),
                    doubt.clone(),
                    after.into_iter().collect(),
                ));
            }
        }
    }
    found
}

/// Whether the method gives each of the fields the empty value somewhere itself.
fn says_empty(source: &Source<'_>, function: Node<'_>, fields: &[&Computed]) -> bool {
    let empty = |node: Node<'_>, of: &Computed| {
        let left = field(node, "left").filter(|left| left.kind() == "attribute").and_then(|left| field(left, "attribute"));
        let is_it = left.is_some_and(|name| source.of(name) == of.field);
        is_it && field(node, "right").is_some_and(|right| matches!(source.of(right), "False" | "None" | "0" | "0.0" | "''" | "\"\""))
    };
    fields.iter().all(|of| walk(function).any(|node| node.kind() == "assignment" && empty(node, of)))
}

/// Whether the empty value is what those get whom the method leaves out, by the sources: the method reads everything that it depends on,
/// nobody says that there is something else for the others, and each field either gets the very value that its condition asks for, or is a
/// number that is only ever added or taken off.
fn is_neutral(case: &Case<'_>, source: &Source<'_>, function: Node<'_>, fields: &[&Computed]) -> bool {
    let text = field(function, "body").map(|body| source.of(body)).unwrap_or_default();
    let reads = |path: &String| path.split('.').all(|name| super::scope::mentions(text, name) > 0);
    let told = fields.iter().any(|one| says_otherwise(&one.help)) || says_otherwise(&docstring(source, function));
    let counts = |one: &&Computed| one.empty == "0" && counts_groups(source, function, &one.field);
    if told || !depends(source, function).iter().all(reads) {
        // A count is taken from a query, whatever it depends on.
        return !told && fields.iter().all(counts);
    }
    fields.iter().all(|one| {
        let is_number = matches!(one.empty, "0" | "0.0");
        gives_what_is_there(source, function, &one.field)
            || counts(one)
            || is_number && additive::uses(case.addon, &one.field, &one.method) == Uses::Added
    })
}

/// What `api.depends` names.
fn depends(source: &Source<'_>, function: Node<'_>) -> Vec<String> {
    let decorated = function.parent().filter(|up| up.kind() == "decorated_definition");
    let decorators = decorated.into_iter().flat_map(children).filter(|node| node.kind() == "decorator");
    let of_depends = decorators.filter(|node| source.of(*node).starts_with("@api.depends("));
    of_depends.flat_map(walk).filter(|node| node.kind() == "string").filter_map(|node| source.literal(node)).collect()
}

/// The value that a field gets, if it gets one in a single place, and the condition of the `if` around that.
fn given<'n>(source: &Source<'n>, function: Node<'n>, name: &str) -> Option<(Node<'n>, Node<'n>)> {
    let is_it = |node: &Node<'_>| {
        let left = field(*node, "left").filter(|left| left.kind() == "attribute").and_then(|left| field(left, "attribute"));
        node.kind() == "assignment" && left.is_some_and(|left| source.of(left) == name)
    };
    let places: Vec<Node<'_>> = walk(function).filter(is_it).collect();
    let [only] = places.as_slice() else { return None };
    let up = ancestors(*only).take(3).find(|up| up.kind() == "if_statement")?;
    let alone =
        field(up, "alternative").is_none() && field(up, "consequence").is_some_and(|block| block.byte_range().contains(&only.start_byte()));
    Some((field(*only, "right")?, field(up, "condition").filter(|_| alone)?))
}

/// Whether the field only gets a value under the condition that this value is there: `if a.b: x.c = a.b`.
fn gives_what_is_there(source: &Source<'_>, function: Node<'_>, name: &str) -> bool {
    given(source, function, name).is_some_and(|(value, condition)| source.of(condition) == source.of(value))
}

/// Whether the field only gets a value out of numbers of records by group, `data = dict(x._read_group(…, ["__count"]))`, under the condition
/// that there is a group: none means that there are no records.
fn counts_groups(source: &Source<'_>, function: Node<'_>, name: &str) -> bool {
    let Some((value, condition)) = given(source, function, name) else { return false };
    let (Some(data), Some(key)) = (field(value, "value"), field(value, "subscript")) else { return false };
    let data = source.of(data);
    let made = walk(function).filter(|node| node.kind() == "assignment");
    let made = made.filter(|node| field(*node, "left").is_some_and(|left| source.of(left) == data));
    let counts = made.filter_map(|node| field(node, "right")).any(|right| {
        let aggregates = walk(right).filter(|node| node.kind() == "string").filter_map(|node| source.literal(node));
        let of_count = aggregates.into_iter().any(|one| one == "__count" || one.ends_with(":count"));
        of_count && source.of(right).contains("read_group(")
    });
    counts && source.of(condition) == format!("{} in {data}", source.of(key))
}

/// A field with its compute method.
struct Computed {
    field: String,
    method: String,
    empty: &'static str,
    /// What its label and its help say.
    help: String,
}

fn computed(source: &Source<'_>) -> Vec<Computed> {
    let of_assignment = |node: Node<'_>| {
        let (left, right) = (field(node, "left")?, field(node, "right")?);
        let kind = field(right, "function").filter(|_| right.kind() == "call").map(|function| source.of(function))?;
        let arguments = children(field(right, "arguments")?);
        let compute = arguments.iter().find(|one| field(**one, "name").is_some_and(|name| source.of(name) == "compute"))?;
        let value = field(*compute, "value")?;
        let method = source.literal(value).unwrap_or_else(|| source.of(value).to_owned());
        let text = |name: &str| {
            let named = arguments.iter().find(|one| field(**one, "name").is_some_and(|found| source.of(found) == name))?;
            source.literal(field(*named, "value")?)
        };
        let help = [text("string"), text("help")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        Some(Computed { field: source.of(left).to_owned(), method, empty: empty(kind.strip_prefix("fields.")?), help })
    };
    source.all("assignment").filter_map(of_assignment).collect()
}

fn empty(kind: &str) -> &'static str {
    match kind {
        "Integer" => "0",
        "Float" | "Monetary" => "0.0",
        _ => "False",
    }
}

/// In the loop over `self`, before its first statement.
fn in_loop(source: &Source<'_>, function: Node<'_>, fields: &[&Computed], reported: &str) -> Option<Edit> {
    let over_self = |node: &Node<'_>| {
        node.kind() == "for_statement" && field(*node, "right").is_some_and(|right| matches!(source.of(right), "self" | "self.sudo()"))
    };
    let loops: Vec<Node<'_>> = body(function).into_iter().filter(over_self).collect();
    let node = *loops.last()?;
    let name = field(node, "left").filter(|left| left.kind() == "identifier").map(|left| source.of(left))?;
    let first = *body(node).first()?;
    written(source, first, &assignments(source, node, name, fields, reported))
}

/// Before the first statement of the method, for all records.
fn at_start(source: &Source<'_>, function: Node<'_>, fields: &[&Computed], reported: &str) -> Option<Edit> {
    let is_docstring =
        |node: &Node<'_>| node.kind() == "expression_statement" && node.named_child(0).is_some_and(|child| child.kind() == "string");
    let first = body(function).into_iter().find(|node| !is_docstring(node))?;
    let only: Vec<&Computed> = fields.iter().filter(|one| one.field == reported).copied().collect();
    written(source, first, &assignments(source, function, "self", &only, reported))
}

/// One assignment for the field and for those of the same method that are only given a value under a condition.
fn assignments(source: &Source<'_>, scope: Node<'_>, record: &str, fields: &[&Computed], reported: &str) -> Vec<String> {
    let target = |one: &Computed| format!("{record}.{}", one.field);
    let assigned =
        |node: Node<'_>, target: &str| node.kind() == "assignment" && field(node, "left").is_some_and(|left| source.of(left) == target);
    let always = |target: &str| body(scope).iter().any(|node| node.named_child(0).is_some_and(|child| assigned(child, target)));
    let sometimes = |target: &str| walk(scope).any(|node| assigned(node, target));
    let wanted = fields.iter().filter(|one| one.field == reported || sometimes(&target(one)) && !always(&target(one)));
    wanted.map(|one| format!("{} = {}", target(one), one.empty)).collect()
}

fn written(source: &Source<'_>, before: Node<'_>, lines: &[String]) -> Option<Edit> {
    let margin = indent(source.text, before.start_byte())?;
    let text: String = lines.iter().map(|line| format!("{line}\n{margin}")).collect();
    (!lines.is_empty()).then(|| Edit::new(before.start_byte()..before.start_byte(), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates, first_diff, fixture};

    const TEXT: &str = "ValueError: Compute method failed to assign m.state(5,).products_count";

    #[test]
    fn empty_value_comes_first() {
        insta::assert_snapshot!(first_diff(&fixture("compute_unassigned", "count"), ErrorClass::Other, TEXT));
    }

    #[test]
    fn without_a_loop_all_records_get_it() {
        let text = "class A:\n    products_count = fields.Integer(compute='_c')\n\n    def _c(self):\n        for x in self.env['y'].search([]):\n            x.m_id.products_count += 1\n";
        let found = candidates(&addon(&[("a.py", text)]), ErrorClass::Other, TEXT);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].patch.changes()[0].after, text.replace("        for x", "        self.products_count = 0\n        for x"));
    }

    fn graded(field: &str, method: &str, more: &str) -> bool {
        let text = format!("class A:\n    products_count = fields.{field}\n\n{method}\n{more}");
        candidates(&addon(&[("a.py", &text)]), ErrorClass::Other, TEXT)[0].is_safe()
    }

    #[test]
    fn empty_value_is_determined_by_what_the_sources_do_with_it() {
        let method = |depends: &str, told: &str, body: &str| {
            format!(
                "    @api.depends({depends})\n    def _c(self):\n        \"\"\"{told}\"\"\"\n        for x in self:\n            if {body}\n"
            )
        };
        let copied = "x.name:\n                x.products_count = x.name";
        assert!(graded("Char(compute='_c')", &method("'name'", "Its name.", copied), ""));
        assert!(!graded("Char(compute='_c')", &method("'name', 'partner_id.name'", "Its name.", copied), ""));
        assert!(!graded("Char(compute='_c')", &method("'name'", "Its name, or else another.", copied), ""));
        let counted = "x.name:\n                x.products_count = 2";
        let used = |how: &str| format!("\n    def f(self):\n        return self.amount {how} self.products_count\n");
        assert!(graded("Float(compute='_c')", &method("'name'", "What is off.", counted), &used("-")));
        assert!(!graded("Float(compute='_c')", &method("'name'", "What is off.", counted), &used("*")));
        assert!(!graded("Float(compute='_c')", &method("'name'", "Two, all others five.", counted), &used("-")));
        assert!(!graded("Float(compute='_c')", &method("'name'", "What is off.", counted), ""));
    }

    #[test]
    fn group_that_is_not_there_counts_nothing() {
        let method = |aggregate: &str, given: &str| {
            format!(
                "    @api.depends('line_ids')\n    def _c(self):\n        data = dict(self.env['y']._read_group([], ['m_id'], ['{aggregate}']))\n        for x in self:\n            if x in data:\n                x.products_count = {given}"
            )
        };
        let counted = |aggregate, given| graded("Integer(compute='_c')", &method(aggregate, given), "");
        assert!(counted("__count", "data[x]") && counted("id:count", "data[x]"));
        assert!(!counted("amount:max", "data[x]") && !counted("__count", "other[x]") && !counted("__count", "data[x] + 1"));
        assert!(!graded("Float(compute='_c')", &method("__count", "data[x]"), ""), "a share or a factor is no count");
    }

    #[test]
    fn method_of_another_addon_is_left() {
        let text = "class A:\n    products_count = fields.Integer(compute='_c')\n";
        assert!(candidates(&addon(&[("a.py", text)]), ErrorClass::Other, TEXT).is_empty());
    }
}
