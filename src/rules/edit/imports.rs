//! New import statements, put where isort would put them.

use tree_sitter::Node;

use super::python::{Source, children, field};
use super::{Edit, indent};

/// The longest line that is written.
const LINE: usize = 88;

/// What is to be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted<'a> {
    /// `import module`.
    Module(&'a str),
    /// `from module import name`.
    Name(&'a str, &'a str),
}

impl Wanted<'_> {
    fn module(&self) -> &str {
        match self {
            Self::Module(module) | Self::Name(module, _) => module,
        }
    }

    fn key(&self) -> (u8, bool, String) {
        (section(self.module()), matches!(self, Self::Name(..)), self.module().to_lowercase())
    }
}

/// The edits that import these. Several new statements at one place come in their order.
pub fn add(source: &Source<'_>, wanted: &[Wanted<'_>]) -> Vec<Edit> {
    let mut wanted = wanted.to_vec();
    wanted.sort_by_key(|one| (one.key(), *one));
    wanted.dedup();
    let statements: Vec<Node<'_>> = children(source.root()).into_iter().filter(|node| is_import(*node)).collect();
    let mut edits = Vec::new();
    let mut fresh: Vec<(Wanted<'_>, String)> = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for one in &wanted {
        let Wanted::Name(module, name) = one else {
            fresh.push((*one, format!("import {}", one.module())));
            continue;
        };
        if done.contains(module) {
            continue;
        }
        done.push(module);
        let mut names: Vec<&str> = wanted
            .iter()
            .filter_map(|other| match other {
                Wanted::Name(same, name) if same == module => Some(*name),
                _ => None,
            })
            .collect();
        names.sort_by_key(|name| order(name));
        match statements.iter().find(|node| imports_from(source, **node, module)) {
            Some(statement) => edits.extend(extended(source, *statement, &names)),
            None => fresh.push((Wanted::Name(module, name), format!("from {module} import {}", names.join(", ")))),
        }
    }
    edits.extend(statement_edits(source, &statements, &fresh));
    edits
}

fn is_import(node: Node<'_>) -> bool {
    matches!(node.kind(), "import_statement" | "import_from_statement" | "future_import_statement")
}

/// Whether the statement is `from module import …` with a list of names.
fn imports_from(source: &Source<'_>, node: Node<'_>, module: &str) -> bool {
    let named = field(node, "module_name").is_some_and(|name| source.of(name) == module);
    named && node.kind() == "import_from_statement" && field(node, "name").is_some()
}

/// Names in the order of isort: constants, classes, the rest.
fn order(name: &str) -> (u8, String) {
    let constant = name.len() > 1 && name.chars().any(char::is_alphabetic) && !name.chars().any(char::is_lowercase);
    let class = name.starts_with(char::is_uppercase);
    (if constant { 0 } else { 2 - u8::from(class) }, name.to_owned())
}

/// The statement with more names: one edit for all of it if it becomes too long, else one for each name.
fn extended(source: &Source<'_>, statement: Node<'_>, names: &[&str]) -> Vec<Edit> {
    let mut cursor = statement.walk();
    let entries: Vec<Node<'_>> = statement.children_by_field_name("name", &mut cursor).collect();
    let (text, Some(last)) = (source.text, entries.last()) else { return Vec::new() };
    let whole = source.of(statement);
    let added: usize = names.iter().map(|name| name.len() + 2).sum();
    if !whole.contains('\n') && !whole.contains('(') && whole.len() + added > LINE {
        let mut all: Vec<&str> = entries.iter().map(|entry| source.of(*entry)).chain(names.iter().copied()).collect();
        all.sort_by_key(|name| order(name));
        let module = field(statement, "module_name").map(|name| source.of(name)).unwrap_or_default();
        let lines: String = all.iter().map(|name| format!("    {name},\n")).collect();
        return vec![Edit::new(statement.byte_range(), format!("from {module} import (\n{lines})"))];
    }
    let gap = |entry: &Node<'_>| indent(text, entry.start_byte()).map_or_else(|| " ".to_owned(), |margin| format!("\n{margin}"));
    let place = |name: &str| entries.iter().find(|entry| order(name) < order(source.of(**entry)));
    let mut edits: Vec<Edit> = Vec::new();
    for name in names {
        let (at, new) = match place(name) {
            Some(entry) => (entry.start_byte(), format!("{name},{}", gap(entry))),
            None => (last.end_byte(), format!(",{}{name}", gap(last))),
        };
        match edits.iter_mut().find(|edit| edit.range.start == at) {
            Some(edit) => edit.text.push_str(&new),
            None => edits.push(Edit::new(at..at, new)),
        }
    }
    edits
}

/// New statements, each after the last one that comes before it; those that meet at one place in one edit.
fn statement_edits(source: &Source<'_>, statements: &[Node<'_>], fresh: &[(Wanted<'_>, String)]) -> Vec<Edit> {
    let known: Vec<(usize, (u8, bool, String))> = statements.iter().enumerate().map(|(at, node)| (at, key_of(source, *node))).collect();
    let mut edits: Vec<(Edit, u8)> = Vec::new();
    for (wanted, text) in fresh {
        let key = wanted.key();
        let before = known.iter().rev().find(|(_, other)| *other <= key);
        let (at, gap_section, lead) = match before {
            Some((at, other)) => (statements[*at].end_byte(), other.0, true),
            None => (
                statements.first().map_or_else(|| top(source), Node::start_byte),
                known.first().map_or(u8::MAX, |(_, other)| other.0),
                false,
            ),
        };
        let gap = |same: bool| if same { "\n" } else { "\n\n" };
        match edits.iter_mut().find(|(edit, _)| edit.range.start == at) {
            Some((edit, last)) if lead => {
                edit.text.push_str(&format!("{}{text}", gap(*last == key.0)));
                *last = key.0;
            }
            Some((edit, last)) => {
                let kept = edit.text.trim_end_matches('\n').to_owned();
                edit.text = format!("{kept}{}{text}{}", gap(*last == key.0), gap(gap_section == key.0));
                *last = key.0;
            }
            None if lead => edits.push((Edit::new(at..at, format!("{}{text}", gap(gap_section == key.0))), key.0)),
            None => edits.push((Edit::new(at..at, format!("{text}{}", gap(gap_section == key.0))), key.0)),
        }
    }
    edits.into_iter().map(|(edit, _)| edit).collect()
}

fn key_of(source: &Source<'_>, node: Node<'_>) -> (u8, bool, String) {
    match node.kind() {
        "future_import_statement" => (0, true, String::new()),
        "import_from_statement" => {
            let module = field(node, "module_name").map(|name| source.of(name)).unwrap_or_default();
            (section(module), true, module.to_lowercase())
        }
        _ => {
            let module = children(node).first().map(|name| source.of(*name)).unwrap_or_default();
            (section(module), false, module.to_lowercase())
        }
    }
}

/// The sections of a file's head: the standard library, other libraries, Odoo, addons, the addon itself.
fn section(module: &str) -> u8 {
    let first = module.split('.').next().unwrap_or_default();
    match first {
        "__future__" => 0,
        "" => 5,
        "odoo" if module.starts_with("odoo.addons") => 4,
        "odoo" => 3,
        _ if LIBRARIES.contains(&first) => 2,
        _ => 1,
    }
}

/// Libraries that addons use and Python does not bring.
const LIBRARIES: [&str; 26] = [
    "babel",
    "dateutil",
    "docutils",
    "freezegun",
    "jinja2",
    "lxml",
    "markupsafe",
    "num2words",
    "openpyxl",
    "passlib",
    "phonenumbers",
    "PIL",
    "polib",
    "psutil",
    "psycopg2",
    "pytz",
    "reportlab",
    "requests",
    "responses",
    "stdnum",
    "vobject",
    "werkzeug",
    "xlrd",
    "xlsxwriter",
    "xlwt",
    "zeep",
];

/// Where the first statement of a file without imports goes: behind the comments and the docstring.
fn top(source: &Source<'_>) -> usize {
    let mut cursor = source.root().walk();
    let statements: Vec<Node<'_>> = source.root().named_children(&mut cursor).collect();
    let is_docstring =
        |node: &Node<'_>| node.kind() == "expression_statement" && node.named_child(0).is_some_and(|child| child.kind() == "string");
    let first = statements.iter().find(|node| node.kind() != "comment" && !is_docstring(node));
    first.map_or(source.text.len(), Node::start_byte)
}

#[cfg(test)]
mod tests {
    use super::super::apply;
    use super::*;

    fn with(text: &str, wanted: &[Wanted<'_>]) -> String {
        apply(text, add(&Source::parse(text).unwrap(), wanted)).unwrap()
    }

    #[test]
    fn names_join_their_statement() {
        for (before, wanted, after) in [
            ("from odoo import api, models\n", "fields", "from odoo import api, fields, models\n"),
            ("from odoo import models\n", "_", "from odoo import _, models\n"),
            ("from odoo import api\n", "models", "from odoo import api, models\n"),
            ("from odoo import _, api\n", "Command", "from odoo import Command, _, api\n"),
            ("from odoo import (\n    api,\n    models,\n)\n", "fields", "from odoo import (\n    api,\n    fields,\n    models,\n)\n"),
            ("from odoo import (\n    api,\n)\n", "fields", "from odoo import (\n    api,\n    fields,\n)\n"),
        ] {
            assert_eq!(with(before, &[Wanted::Name("odoo", wanted)]), after);
        }
    }

    #[test]
    fn statements_stand_in_their_section() {
        let all = [
            Wanted::Name("odoo.exceptions", "UserError"),
            Wanted::Module("logging"),
            Wanted::Name("dateutil.relativedelta", "relativedelta"),
            Wanted::Name("odoo.exceptions", "AccessError"),
        ];
        let before = "# c\n\nfrom odoo import models\n\nfrom .x import y\n";
        let after = "# c\n\nimport logging\n\nfrom dateutil.relativedelta import relativedelta\n\nfrom odoo import models\nfrom odoo.exceptions import AccessError, UserError\n\nfrom .x import y\n";
        assert_eq!(with(before, &all), after);
        assert_eq!(with("# c\n\"\"\"d\"\"\"\nx = 1\n", &[Wanted::Module("re")]), "# c\n\"\"\"d\"\"\"\nimport re\n\nx = 1\n");
        assert_eq!(with("import io\nimport os\nx\n", &[Wanted::Module("json")]), "import io\nimport json\nimport os\nx\n");
    }

    #[test]
    fn long_statement_is_wrapped() {
        let before = "from odoo.tools import aaaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbb, c\n";
        let after = "from odoo.tools import (\n    aaaaaaaaaaaaaaaaaaaaaaaaaaa,\n    bbbbbbbbbbbbbbbbbbbbbbbbbbbbb,\n    c,\n    float_compare,\n)\n";
        assert_eq!(with(before, &[Wanted::Name("odoo.tools", "float_compare")]), after);
    }
}
