//! What: inside a loop over records, a lambda or a comprehension, what is asked of `self` is asked of the loop's own record; a compute,
//! constraint or onchange method without a loop gets one.
//!
//! Why: with several records `self` has no single value: `Expected singleton`.
//! Before: `for record in self: record.display_name = names[self.name]`.
//! After: `for record in self: record.display_name = names[record.name]`.
//! The line of the traceback comes first, then the whole loop. Safe where both are the same: then there is only one use that can be meant.
//! Since: any Odoo.

use std::ops::Range;

use tree_sitter::Node;

use super::edit::python::{Source, ancestors, children, field, is_reference, walk};
use super::edit::scopes::{body, functions_at};
use super::edit::{Edit, apply, line_start};
use super::frames::{Place, places};
use super::{Case, Proposal, Rule, change, graded};
use crate::domain::ErrorClass;

/// The rule. The class depends on how Python says it.
pub(super) const RULE: Rule = Rule { name: "loop_variable", classes: ErrorClass::ALL, since: 0, propose };

/// What a recordset has as such, however many records it holds.
const OF_ALL: [&str; 24] = [
    "env",
    "pool",
    "ids",
    "_ids",
    "_name",
    "_description",
    "_fields",
    "_table",
    "_context",
    "_cr",
    "_uid",
    "_order",
    "_rec_name",
    "_inherit",
    "_origin",
    "_prefetch_ids",
    "_abstract",
    "_transient",
    "_register",
    "_table_query",
    "_log_access",
    "_parent_store",
    "_module",
    "__class__",
];
/// Methods that give records of those they are called on, or call something for each of them.
const OF_EACH: [&str; 5] = ["filtered", "mapped", "sorted", "grouped", "partition"];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let text = &case.report.text;
    let several = text.contains("Expected singleton") || text.contains("too many values to unpack (expected 1");
    if !several || text.lines().any(|line| line.contains("Expected singleton") && line.trim_end().ends_with("()")) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for place in places(case.report, case.addon).iter().take(6) {
        let Some(source) = Source::parse(place.text) else { continue };
        let row = (place.line as usize).saturating_sub(1);
        let in_loops = uses(&source, place.innermost);
        let on_line: Vec<Edit> = in_loops.iter().filter(|one| one.row == row).map(|one| one.edit.clone()).collect();
        if let Some(hit) = in_loops.iter().find(|one| one.row == row) {
            let whole = in_loops.iter().filter(|one| one.scope == hit.scope).map(|one| one.edit.clone()).collect();
            let whole: Vec<Edit> = whole;
            let doubt = (on_line != whole)
                .then(|| "The loop asks self in other lines too; which of them means its own record is not known.".to_owned());
            found.extend(one(place, on_line, "the line of the error asks the record of its loop, not all of self.", doubt.clone()));
            found.extend(one(place, whole, "the loop asks its own record, not all of self.", doubt));
        } else {
            found.extend(one(
                place,
                looped(&source, place.line).unwrap_or_default(),
                "the method is called on several records and loops over them.",
                None,
            ));
        }
    }
    found.dedup_by(|a, b| a.patch == b.patch);
    found.truncate(4);
    found
}

fn one(place: &Place<'_>, edits: Vec<Edit>, summary: &str, doubt: Option<String>) -> Vec<Proposal> {
    let after = apply(place.text, edits);
    graded(summary, doubt, after.map(|after| change(place.path, place.text, after)).into_iter().collect())
}

/// `self` where a single record was meant.
struct Use {
    row: usize,
    scope: Range<usize>,
    edit: Edit,
}

fn uses(source: &Source<'_>, fields_only: bool) -> Vec<Use> {
    let selves = source.all("identifier").filter(|node| source.of(*node) == "self" && is_reference(*node));
    selves.filter_map(|node| use_of(source, node, fields_only)).collect()
}

fn use_of(source: &Source<'_>, node: Node<'_>, fields_only: bool) -> Option<Use> {
    let attribute = node.parent().filter(|up| up.kind() == "attribute" && field(*up, "object") == Some(node))?;
    if !of_one(source, attribute, fields_only) {
        return None;
    }
    let (scope, name) = ancestors(node).take_while(|up| up.kind() != "function_definition").find_map(|up| loop_name(source, up, node))?;
    Some(Use { row: node.start_position().row, scope, edit: Edit::new(node.byte_range(), name) })
}

/// Whether the attribute belongs to a single record. Methods may be for all; but one that a traceback goes through was not.
fn of_one(source: &Source<'_>, attribute: Node<'_>, fields_only: bool) -> bool {
    let name = field(attribute, "attribute").map(|name| source.of(name)).unwrap_or_default();
    let called = attribute.parent().is_some_and(|up| up.kind() == "call" && field(up, "function") == Some(attribute));
    let wanted = !called || (name == "ensure_one" || !fields_only && name.starts_with(|c: char| c == '_' || c.is_ascii_lowercase()));
    wanted && !OF_ALL.contains(&name) && !(called && ORM.contains(&name))
}

/// Methods of every recordset that several records may be given to.
const ORM: [&str; 20] = [
    "browse",
    "search",
    "search_count",
    "create",
    "write",
    "unlink",
    "exists",
    "filtered",
    "mapped",
    "sorted",
    "sudo",
    "with_context",
    "with_company",
    "with_user",
    "with_env",
    "read",
    "new",
    "invalidate_recordset",
    "flush_recordset",
    "filtered_domain",
];

/// The name of the record that a loop, lambda or comprehension over `self` gives to the part of it where `node` stands.
fn loop_name(source: &Source<'_>, scope: Node<'_>, node: Node<'_>) -> Option<(Range<usize>, String)> {
    let within =
        |part: Option<Node<'_>>| part.is_some_and(|part| part.start_byte() <= node.start_byte() && node.end_byte() <= part.end_byte());
    let name = match scope.kind() {
        "for_statement" if within(field(scope, "body")) => {
            let left = field(scope, "left").filter(|left| left.kind() == "identifier")?;
            from_self(source, field(scope, "right")?).then_some(left)?
        }
        "list_comprehension" | "set_comprehension" | "dictionary_comprehension" | "generator_expression" => {
            let clause = children(scope).into_iter().find(|part| part.kind() == "for_in_clause")?;
            let left = field(clause, "left").filter(|left| left.kind() == "identifier")?;
            let right = field(clause, "right")?;
            (from_self(source, right) && !within(Some(right))).then_some(left)?
        }
        "lambda" => {
            let call = scope.parent().filter(|up| up.kind() == "argument_list")?.parent().filter(|up| up.kind() == "call")?;
            let function = field(call, "function").filter(|function| function.kind() == "attribute")?;
            let method = field(function, "attribute").map(|name| source.of(name))?;
            let [only] = children(field(scope, "parameters")?).try_into().ok()?;
            (OF_EACH.contains(&method) && from_self(source, field(function, "object")?))
                .then_some(only)
                .filter(|name| name.kind() == "identifier")?
        }
        _ => return None,
    };
    let name = source.of(name);
    (name != "self").then(|| (scope.byte_range(), name.to_owned()))
}

/// `self`, or the same records in another order, environment or number.
fn from_self(source: &Source<'_>, node: Node<'_>) -> bool {
    match node.kind() {
        "identifier" => source.of(node) == "self",
        "call" => field(node, "function").filter(|function| function.kind() == "attribute").is_some_and(|function| {
            let method = field(function, "attribute").map(|name| source.of(name)).unwrap_or_default();
            let same = ["sudo", "filtered", "filtered_domain", "sorted", "exists"].contains(&method) || method.starts_with("with_");
            same && field(function, "object").is_some_and(|object| from_self(source, object))
        }),
        "parenthesized_expression" => children(node).first().is_some_and(|inner| from_self(source, *inner)),
        _ => false,
    }
}

/// A method that Odoo calls on many records gets a loop over them around its body.
fn looped(source: &Source<'_>, line: u32) -> Option<Vec<Edit>> {
    let function = functions_at(source, line).into_iter().next()?;
    let name = field(function, "name").map(|name| source.of(name))?;
    let around = function.parent().filter(|up| up.kind() == "decorated_definition");
    let decorated =
        |word: &str| around.is_some_and(|up| children(up).iter().any(|part| part.kind() == "decorator" && source.of(*part).contains(word)));
    let of_many = name.starts_with("_compute_") || name.starts_with("_inverse_") || decorated("api.depends") || decorated("api.constrains");
    let [only] = children(field(function, "parameters")?).try_into().ok()?;
    let block = field(function, "body")?;
    let leaves = walk(block).any(|node| {
        matches!(node.kind(), "return_statement" | "yield" | "function_definition" | "lambda" | "for_statement")
            || node.kind() == "string" && source.of(node).contains('\n')
    });
    let taken = walk(block).any(|node| node.kind() == "identifier" && source.of(node) == "record");
    if !of_many || source.of(only) != "self" || leaves || taken {
        return None;
    }
    let statements = body(function);
    let is_docstring =
        |node: &Node<'_>| node.kind() == "expression_statement" && node.named_child(0).is_some_and(|child| child.kind() == "string");
    let first = statements.iter().find(|node| !is_docstring(node))?;
    let text = source.text;
    let start = line_start(text, first.start_byte());
    let margin = super::edit::indent(text, first.start_byte())?;
    let mut edits = vec![Edit::new(start..start, format!("{margin}for record in self:\n"))];
    for (at, _) in text[start..block.end_byte()].match_indices('\n').map(|(at, newline)| (start + at + 1, newline)) {
        if at < block.end_byte() && !text[at..].starts_with(['\n', '\r']) {
            edits.push(Edit::new(at..at, "    "));
        }
    }
    edits[0].text.push_str("    ");
    for node in walk(block).filter(|node| node.kind() == "identifier" && source.of(*node) == "self" && is_reference(*node)) {
        let attribute = node.parent().filter(|up| up.kind() == "attribute")?;
        if of_one(source, attribute, false) {
            edits.push(Edit::new(node.byte_range(), "record"));
        }
    }
    Some(edits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Location;
    use crate::rules::testing::{addon, report};

    fn all(text: &str, line: u32) -> Vec<String> {
        let addon = addon(&[("a.py", text)]);
        let mut report = report(ErrorClass::ExpectedSingleton, "ValueError: Expected singleton: m.x(1, 2)");
        report.location = Some(Location { path: "m/a.py".to_owned(), line: Some(line) });
        let found =
            crate::rules::propose(&Case { report: &report, addon: &addon, version: &"19.0".parse().unwrap(), index: Default::default() });
        found.iter().map(|candidate| candidate.patch.changes()[0].after.clone()).collect()
    }

    #[test]
    fn loop_asks_its_own_record() {
        let text = "class A:\n    def f(self):\n        for rec in self.sudo():\n            rec.a = names[self.name]\n            rec.b = self.env.user.id + self.c\n";
        let line = text.replace("[self.name]", "[rec.name]");
        assert_eq!(all(text, 4), [line.clone(), line.replace("self.c", "rec.c")]);
    }

    #[test]
    fn lambda_and_comprehension_too() {
        let text = "class A:\n    def f(self):\n        return self.filtered(lambda r: self.state == 'x')\n";
        assert_eq!(all(text, 3), [text.replace("self.state", "r.state")]);
        let text = "class A:\n    def f(self):\n        return [self.name for r in self]\n";
        assert_eq!(all(text, 3), [text.replace("self.name", "r.name")]);
    }

    #[test]
    fn compute_gets_a_loop() {
        let text = "class A:\n    @api.depends('a')\n    def _compute_b(self):\n        \"\"\"Why.\"\"\"\n        if self.a:\n            self.b = self.env.x(self.a)\n        else:\n            self.b = 0\n";
        let after = "class A:\n    @api.depends('a')\n    def _compute_b(self):\n        \"\"\"Why.\"\"\"\n        for record in self:\n            if record.a:\n                record.b = self.env.x(record.a)\n            else:\n                record.b = 0\n";
        assert_eq!(all(text, 5), [after]);
    }

    #[test]
    fn other_loops_are_left() {
        for text in [
            "class A:\n    def f(self):\n        for line in self.line_ids:\n            line.a = self.name\n",
            "class A:\n    def f(self):\n        return self.name\n",
            "class A:\n    def _compute_b(self):\n        return self.name\n",
        ] {
            assert_eq!(all(text, 3), Vec::<String>::new(), "{text}");
            assert_eq!(all(text, 4), Vec::<String>::new(), "{text}");
        }
    }
}
