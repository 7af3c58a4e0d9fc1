//! What: a Python file or folder that its package forgets to import is imported.
//!
//! Why: what it defines is not there: an Odoo model, a field, a method, the external id of a model.
//! Before: `models/__init__.py` without `from . import order`. After: that line among the others.
//! Since: any Odoo.

use std::collections::BTreeMap;

use super::edit::python::{Source, children, field};
use super::edit::{Edit, apply};
use super::{Case, Proposal, Rule, change, graded};
use crate::domain::{ErrorClass, FileChange};
use crate::odoo::Addon;

/// The rule. What is missing has many classes.
pub(super) const RULE: Rule = Rule { name: "unimported_file", classes: ErrorClass::ALL, since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let forgotten = forgotten(case.addon);
    // One forgotten file must be the reason: its Odoo model, field or method is what the error names.
    let text = &case.report.text;
    let named = forgotten.values().flatten().any(|(_, defines)| defines.iter().any(|name| names(text, name)));
    if !named {
        return Vec::new();
    }
    let changes = forgotten.iter().filter_map(|(package, files)| import(case.addon, package, files)).collect();
    graded("A file of the addon was imported nowhere: its package imports it.", on_purpose(case.addon, &forgotten), changes)
}

/// Why a file may be left out on purpose: its import is commented out, or two files define the same thing, of which one is in force.
fn on_purpose(addon: &Addon, forgotten: &Forgotten) -> Option<String> {
    for (package, files) in forgotten {
        let text = init(addon, package).map(|(_, text)| text).unwrap_or_default();
        let comments: Vec<&str> = text.lines().filter_map(|line| line.trim_start().strip_prefix('#')).collect();
        let is_word = |comment: &str, name: &str| comment.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
        if let Some((name, _)) = files.iter().find(|(name, _)| comments.iter().any(|comment| is_word(comment, name))) {
            return Some(format!("A comment beside the imports speaks of {name}: it may be left out on purpose."));
        }
    }
    let all: Vec<&(String, Vec<String>)> = forgotten.values().flatten().collect();
    all.iter().enumerate().find_map(|(n, (name, defines))| {
        let (other, _) = all[n + 1..].iter().find(|(_, others)| defines.iter().any(|define| others.contains(define)))?;
        Some(format!("{name} and {other} define the same: nothing tells which of them is in force."))
    })
}

/// Whether the text names it between quotes or as the end of an external id.
fn names(text: &str, name: &str) -> bool {
    let id = format!("model_{}", name.replace('.', "_"));
    let ends = |at: usize, length: usize| !text[at + length..].starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'));
    let quoted = text.match_indices(name).any(|(at, _)| text[..at].ends_with(['\'', '"', ' ', ';']) && ends(at, name.len()));
    quoted || text.match_indices(&id).any(|(at, _)| ends(at, id.len()))
}

/// By package: the names of what is not imported, with what each defines.
type Forgotten = BTreeMap<String, Vec<(String, Vec<String>)>>;

fn forgotten(addon: &Addon) -> Forgotten {
    let mut found = Forgotten::new();
    for (path, text) in addon.texts("py") {
        let within = path.within_module();
        let (folder, file) = within.rsplit_once('/').map_or(("", within), |(folder, file)| (folder, file));
        let skipped = ["tests", "migrations", "upgrades", "scripts", "static", "examples"]
            .iter()
            .any(|name| folder.split('/').any(|part| part == *name));
        if skipped || !text.contains("_name") && !text.contains("_inherit") || file.starts_with("__") {
            continue;
        }
        let defines = Source::parse(text).map(|source| defined(&source)).unwrap_or_default();
        let (package, name) = match imported(addon, folder) {
            Some(names) if !names.iter().any(|name| name == &file[..file.len() - 3]) => (folder, &file[..file.len() - 3]),
            Some(_) => match folder.rsplit_once('/').map_or(("", folder), |(outer, inner)| (outer, inner)) {
                (outer, inner)
                    if !inner.is_empty() && imported(addon, outer).is_some_and(|names| !names.iter().any(|name| name == inner)) =>
                {
                    (outer, inner)
                }
                _ => continue,
            },
            None => continue,
        };
        let files = found.entry(package.to_owned()).or_default();
        match files.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(defines),
            None => files.push((name.to_owned(), defines)),
        }
    }
    found
}

/// Odoo models, fields and methods that a file defines.
fn defined(source: &Source<'_>) -> Vec<String> {
    let mut found: Vec<String> =
        source.all("function_definition").filter_map(|node| field(node, "name")).map(|name| source.of(name).to_owned()).collect();
    for node in source.all("assignment") {
        let (Some(left), Some(right)) = (field(node, "left"), field(node, "right")) else { continue };
        match source.of(left) {
            "_name" => found.extend(source.literal(right)),
            name if source.of(right).starts_with("fields.") => found.push(name.to_owned()),
            _ => {}
        }
    }
    found.retain(|name| name.len() > 3 && !matches!(name.as_str(), "name" | "write" | "create" | "unlink" | "search"));
    found
}

/// What the package's `__init__.py` imports from itself; `None` if it has none or does something else too.
fn imported(addon: &Addon, folder: &str) -> Option<Vec<String>> {
    let source = Source::parse(init(addon, folder)?.1)?;
    let mut names = Vec::new();
    for node in source.all("import_from_statement") {
        let module = field(node, "module_name").map(|name| source.of(name)).unwrap_or_default();
        let mut cursor = node.walk();
        match module.strip_prefix('.') {
            Some("") => names.extend(node.children_by_field_name("name", &mut cursor).map(|name| source.of(name).to_owned())),
            Some(inner) => names.extend(inner.split('.').next().map(str::to_owned)),
            None => {}
        }
    }
    Some(names)
}

fn init<'a>(addon: &'a Addon, folder: &str) -> Option<(crate::domain::RelPath, &'a str)> {
    let path = addon.path(&if folder.is_empty() { "__init__.py".to_owned() } else { format!("{folder}/__init__.py") })?;
    let text = addon.text(&path)?;
    Some((path, text))
}

/// The package with a line for each of them, behind its last import.
fn import(addon: &Addon, package: &str, files: &[(String, Vec<String>)]) -> Option<FileChange> {
    let (path, text) = init(addon, package)?;
    let source = Source::parse(text)?;
    let last = children(source.root()).into_iter().rfind(|node| node.kind() == "import_from_statement");
    let lines: Vec<String> = files.iter().map(|(name, _)| format!("from . import {name}")).collect();
    let edit = match last {
        Some(last) => Edit::new(last.end_byte()..last.end_byte(), format!("\n{}", lines.join("\n"))),
        None => Edit::new(text.len()..text.len(), format!("{}\n", lines.join("\n"))),
    };
    Some(change(&path, text, apply(text, vec![edit])?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates};

    const FILE: &str = "from odoo import fields, models\nclass A(models.Model):\n    _name = 'm.order'\n    amount_due = fields.Float()\n";

    fn after(files: &[(&str, &str)], text: &str) -> Option<(String, String)> {
        let found = candidates(&addon(files), ErrorClass::ModelMissing, text);
        let change = found.first()?.patch.changes().first()?.clone();
        Some((change.path.to_string(), change.after))
    }

    #[test]
    fn forgotten_file_is_imported() {
        let files = [
            ("__init__.py", "from . import models\n"),
            ("models/__init__.py", "from . import line\n"),
            ("models/line.py", ""),
            ("models/order.py", FILE),
        ];
        let expected = Some(("m/models/__init__.py".to_owned(), "from . import line\nfrom . import order\n".to_owned()));
        assert_eq!(after(&files, "Field m.line.order_id with unknown comodel_name 'm.order'"), expected);
        assert_eq!(after(&files, "No matching record found for external id 'm.model_m_order' in field"), expected);
        assert_eq!(after(&files, "Field \"amount_due\" does not exist in model"), expected);
        assert_eq!(after(&files, "KeyError: 'm.orders'"), None);
    }

    #[test]
    fn forgotten_folder_is_imported() {
        let files = [("__init__.py", ""), ("models/__init__.py", "from . import order\n"), ("models/order.py", FILE)];
        assert_eq!(after(&files, "KeyError: 'm.order'"), Some(("m/__init__.py".to_owned(), "from . import models\n".to_owned())));
    }

    #[test]
    fn imported_files_and_tests_are_left() {
        let files = [
            ("__init__.py", "from .models import order\n"),
            ("models/__init__.py", "from . import order\n"),
            ("models/order.py", FILE),
            ("tests/__init__.py", ""),
            ("tests/order.py", FILE),
        ];
        assert_eq!(after(&files, "KeyError: 'm.order'"), None);
    }
}
