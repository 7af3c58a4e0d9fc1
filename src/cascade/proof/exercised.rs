//! Whether a hunk was run: changed Python by its lines, changed data by having been loaded, changed views by having been opened.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use roxmltree::Node as Element;
use tree_sitter::Node;

use super::hunks::Part;
use crate::domain::RelPath;
use crate::odoo::Addon;
use crate::rules::edit::python::{Source, ancestors, children, field};
use crate::rules::edit::xml;
use crate::sandbox::{Check, Record};

/// Kinds of file that nothing runs: text for readers.
const PROSE: [&str; 5] = ["md", "rst", "txt", "html", "pot"];
/// Odoo models whose records do something only when somebody opens or starts them.
const OPENED: [&str; 4] = ["ir.ui.view", "ir.cron", "ir.actions.server", "ir.actions.report"];
/// Statements that hold others: a line in them is in their head unless it is in a statement of their body.
const COMPOUND: [&str; 11] = [
    "if_statement",
    "elif_clause",
    "else_clause",
    "for_statement",
    "while_statement",
    "with_statement",
    "try_statement",
    "except_clause",
    "finally_clause",
    "match_statement",
    "case_clause",
];

/// What ran a hunk of the patched addon, in a word; `None` if something in it was not run.
pub(in crate::cascade) fn exercised(part: &Part, patched: &Addon, record: &Record) -> Option<String> {
    let path = part.path.as_str();
    let within = part.path.within_module();
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let text = patched.text(&part.path).unwrap_or_default();
    match extension {
        _ if within == "__manifest__.py" => Some("read when the addon was installed".to_owned()),
        "py" if within.starts_with("migrations/") || within.starts_with("upgrades/") => None,
        "py" => not_run(part, patched, record).is_empty().then(|| "run by a test or by the smoke run".to_owned()),
        "xml" if !within.starts_with("static/") => {
            let loaded = record.loaded.contains(path);
            (loaded && data(part, text, &part.path, &record.smoke)).then(|| "loaded, and opened where it is a view".to_owned())
        }
        "csv" | "sql" => record.loaded.contains(path).then(|| "loaded".to_owned()),
        _ if PROSE.contains(&extension) => Some("text that nothing runs".to_owned()),
        _ => None,
    }
}

/// The changed lines of a Python file that did not run, counted from 1: one for each statement.
pub(in crate::cascade) fn not_run(part: &Part, patched: &Addon, record: &Record) -> Vec<u32> {
    let none = BTreeSet::new();
    let lines = |of: &BTreeMap<String, BTreeSet<u32>>| of.get(part.path.as_str()).unwrap_or(&none).clone();
    let run = Run { lines: lines(&record.lines), lambdas: lines(&record.lambdas) };
    python(part, patched.text(&part.path).unwrap_or_default(), &run)
}

/// The lines of one file that ran.
struct Run {
    lines: BTreeSet<u32>,
    lambdas: BTreeSet<u32>,
}

/// The changed lines in the patched file, counted from 0; where lines were only taken away, the one that stands there now, or the last.
fn changed_lines(part: &Part, count: usize) -> BTreeSet<usize> {
    let last = count.saturating_sub(1);
    let lines = part.changes.iter().flat_map(|(_, after)| {
        let start = after.start.min(last);
        if after.is_empty() { start..start + 1 } else { after.clone() }
    });
    lines.filter(|line| *line < count).collect()
}

/// The changed lines with a statement that did not run, or with a lambda that was not called.
fn python(part: &Part, text: &str, run: &Run) -> Vec<u32> {
    let lines: Vec<&str> = text.lines().collect();
    let number = |row: usize| u32::try_from(row + 1).unwrap_or(u32::MAX);
    let any = |rows: RangeInclusive<usize>, run: &BTreeSet<u32>| rows.into_iter().any(|row| run.contains(&number(row)));
    let ran = |rows: RangeInclusive<usize>| any(rows, &run.lines);
    let is_code = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let changed = changed_lines(part, lines.len()).into_iter().filter(|row| is_code(lines[*row]));
    let Some(source) = Source::parse(text) else {
        return changed.into_iter().filter(|row| !ran(*row..=*row)).map(number).collect();
    };
    let mut statements = BTreeSet::new();
    let idle = changed.into_iter().filter_map(|row| {
        let column = lines[row].len() - lines[row].trim_start().len();
        let called = lambdas(&source, row).all(|rows| any(rows, &run.lambdas));
        let rows = rows_to_run(&source, row, column);
        let did_run = called && !has_hidden_body(&source, row) && rows.clone().is_none_or(&ran);
        (!did_run && statements.insert(rows.map_or(row, |rows| *rows.start()))).then(|| number(row))
    });
    idle.collect()
}

/// The lines of each lambda that a line has a part in.
fn lambdas<'s>(source: &'s Source<'_>, row: usize) -> impl Iterator<Item = RangeInclusive<usize>> + 's {
    let rows = source.all("lambda").map(|node| node.start_position().row..=node.end_position().row);
    rows.filter(move |rows| rows.contains(&row))
}

/// Whether a body stands in the line of its head, so that nothing tells whether it ran: `if done: return`.
fn has_hidden_body(source: &Source<'_>, row: usize) -> bool {
    source
        .all("block")
        .filter(|block| block.start_position().row == row)
        .any(|block| block.parent().is_some_and(|head| head.start_position().row == row && head.kind() != "class_definition"))
}

/// The lines of which one must have run so that the statement at a place counts as run; `None` if nothing there can run.
fn rows_to_run(source: &Source<'_>, row: usize, column: usize) -> Option<RangeInclusive<usize>> {
    let point = tree_sitter::Point { row, column };
    let node = source.root().descendant_for_point_range(point, point)?;
    let statement = std::iter::once(node).chain(ancestors(node)).find(|node| is_statement(*node))?;
    let (first, last) = (statement.start_position().row, statement.end_position().row);
    match statement.kind() {
        // What stands there for readers only.
        "expression_statement" if children(statement).iter().all(|child| child.kind() == "string") => None,
        // A signature is exercised by a call.
        "function_definition" => {
            let body = field(statement, "body")?;
            let steps = children(body);
            let rest = steps.iter().filter(|step| !is_doc(**step)).map(|step| step.start_position().row).min()?;
            Some(rest..=body.end_position().row)
        }
        _ => Some(first..=last),
    }
}

fn is_doc(step: Node<'_>) -> bool {
    step.kind() == "expression_statement" && children(step).iter().all(|child| child.kind() == "string")
}

fn is_statement(node: Node<'_>) -> bool {
    let kind = node.kind();
    kind.ends_with("_statement") || matches!(kind, "function_definition" | "class_definition" | "decorator") || COMPOUND.contains(&kind)
}

/// Whether every record that a hunk of a data file touches was opened, if its kind is one that is opened.
fn data(part: &Part, text: &str, path: &RelPath, smoke: &[Check]) -> bool {
    let Some(document) = xml::parse(text) else { return false };
    let rows = changed_lines(part, text.lines().count());
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let span = |row: usize| starts.get(row).map(|start| *start..starts.get(row + 1).copied().unwrap_or(text.len()));
    let touched = document.descendants().filter(|node| is_top(*node)).filter(|node| {
        let range = node.range();
        rows.iter().filter_map(|row| span(*row)).any(|line| line.start < range.end && range.start < line.end)
    });
    touched.into_iter().filter(|node| is_opened(*node)).all(|node| {
        let id = node.attribute("id").unwrap_or_default();
        let full = if id.contains('.') { id.to_owned() } else { format!("{}.{id}", path.module()) };
        smoke.iter().any(|check| check.error.is_none() && names(&check.name, &full))
    })
}

/// Whether the name of a check holds this external id as a word.
fn names(check: &str, id: &str) -> bool {
    check.split_whitespace().any(|word| word == id)
}

/// A record or a shorthand for one, directly in a data file.
fn is_top(node: Element<'_, '_>) -> bool {
    node.is_element()
        && node.parent_element().is_some_and(|parent| matches!(parent.tag_name().name(), "odoo" | "openerp" | "data"))
        && node.tag_name().name() != "data"
}

fn is_opened(node: Element<'_, '_>) -> bool {
    match node.tag_name().name() {
        "template" => true,
        "record" => node.attribute("model").is_some_and(|model| OPENED.contains(&model)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::hunks::parts;
    use super::*;
    use crate::domain::{FileChange, Patch};

    fn run(path: &str, before: &str, after: &str, record: &Record) -> Option<String> {
        let addon = Addon::new("m".parse().unwrap(), [(path.parse().unwrap(), before.as_bytes().to_vec())]);
        let change = FileChange { path: path.parse().unwrap(), before: Some(before.to_owned()), after: after.to_owned() };
        let patch = Patch::new(vec![change]).unwrap();
        let patched = addon.with(&patch);
        let found: Vec<_> = parts(&patch).iter().map(|part| exercised(part, &patched, record)).collect();
        found.into_iter().reduce(Option::and).unwrap()
    }

    #[test]
    fn lambda_must_be_called_and_a_body_stand_by_itself() {
        let called = |lambdas: &[u32], after: &str| {
            let mut record = lines(&[1, 2]);
            record.lambdas.insert("m/a.py".to_owned(), lambdas.iter().copied().collect());
            run("m/a.py", "class A:\n    x = f(lambda self: 1)\n", after, &record).is_some()
        };
        assert!(!called(&[], "class A:\n    x = f(lambda self: 2)\n"), "the line ran, and made the lambda");
        assert!(called(&[2], "class A:\n    x = f(lambda self: 2)\n"));
        let hidden = "def f(a):\n    if a: return 1\n    return 2\n";
        assert!(run("m/a.py", hidden, &hidden.replace("return 1", "return 3"), &lines(&[1, 2, 3])).is_none());
    }

    #[test]
    fn what_is_taken_away_at_the_end_of_a_file_needs_the_line_before_it() {
        let before = "def f(a):\n    g(a)\n    h(a)\n";
        assert!(run("m/a.py", before, "def f(a):\n    g(a)\n", &lines(&[1])).is_none());
        assert!(run("m/a.py", before, "def f(a):\n    g(a)\n", &lines(&[1, 2])).is_some());
    }

    fn lines(lines: &[u32]) -> Record {
        Record { lines: [("m/a.py".to_owned(), lines.iter().copied().collect())].into(), ..Record::default() }
    }

    const BEFORE: &str =
        "import x\n\ndef f(a):\n    \"\"\"Doc.\"\"\"\n    if a:\n        return g(\n            a.old,\n        )\n    return 0\n";

    #[test]
    fn changed_statement_must_run_whichever_line_of_it_is_recorded() {
        let after = BEFORE.replace("a.old", "a.new");
        assert!(run("m/a.py", BEFORE, &after, &lines(&[1, 3, 5, 6])).is_some());
        assert!(run("m/a.py", BEFORE, &after, &lines(&[1, 3, 5, 7])).is_some());
        assert!(run("m/a.py", BEFORE, &after, &lines(&[1, 3, 5, 9])).is_none());
        assert!(run("m/a.py", BEFORE, &after, &Record::default()).is_none());
    }

    #[test]
    fn signature_is_run_by_a_call_and_an_import_by_loading() {
        let signature = BEFORE.replace("f(a)", "f(a, b=None)");
        assert!(run("m/a.py", BEFORE, &signature, &lines(&[1, 3])).is_none());
        assert!(run("m/a.py", BEFORE, &signature, &lines(&[1, 3, 5])).is_some());
        assert!(run("m/a.py", BEFORE, &BEFORE.replace("import x", "import y"), &lines(&[1])).is_some());
    }

    #[test]
    fn comments_need_no_run() {
        assert!(run("m/a.py", BEFORE, &BEFORE.replace("import x\n", "import x\n# why\n"), &Record::default()).is_some());
        assert!(run("m/a.py", BEFORE, &BEFORE.replace("Doc.", "More."), &Record::default()).is_some());
    }

    const VIEW: &str = "<odoo>\n<record id=\"form\" model=\"ir.ui.view\">\n<field name=\"arch\" type=\"xml\">\n<form>\n<field name=\"a\"/>\n</form>\n</field>\n</record>\n<record id=\"r\" model=\"res.partner\">\n<field name=\"name\">A</field>\n</record>\n</odoo>\n";

    #[test]
    fn view_must_be_opened_and_a_record_loaded() {
        let loaded = |smoke: Vec<Check>| Record { loaded: ["m/a.xml".to_owned()].into(), smoke, ..Record::default() };
        let check = |name: &str, error: Option<&str>| Check {
            name: name.to_owned(),
            low_rights: false,
            path: None,
            error: error.map(str::to_owned),
            meant: false,
        };
        let view = VIEW.replace("name=\"a\"", "name=\"b\"");
        assert!(run("m/a.xml", VIEW, &view, &loaded(Vec::new())).is_none());
        assert!(run("m/a.xml", VIEW, &view, &loaded(vec![check("view m.form", None)])).is_some());
        assert!(run("m/a.xml", VIEW, &view, &loaded(vec![check("view m.form", Some("KeyError: 'b'"))])).is_none());
        assert!(run("m/a.xml", VIEW, &view, &loaded(vec![check("view m.form_other", None)])).is_none());
        let record = VIEW.replace(">A<", ">B<");
        assert!(run("m/a.xml", VIEW, &record, &loaded(Vec::new())).is_some());
        assert!(run("m/a.xml", VIEW, &record, &Record::default()).is_none());
    }

    #[test]
    fn what_nothing_runs_here_is_not_run() {
        assert!(run("m/static/src/a.js", "a\n", "b\n", &Record::default()).is_none());
        assert!(run("m/README.rst", "a\n", "b\n", &Record::default()).is_some());
    }
}
