//! What: a name that Odoo moved, renamed or turned into a method is imported and used under its new name.
//!
//! Why: the old import fails, or the attribute is gone.
//! Before: `from odoo.tests.common import SavepointCase`, `slug(record)`, `models.NewId`.
//! After: `from odoo.tests.common import TransactionCase`, `self.env["ir.http"]._slug(record)`, `api.NewId`.
//! Since: each row of `changes/imports.csv` and `changes/attributes.csv` says it; and whether it is the same; rows of a version that was not run are not safe.

use std::ops::Range;
use std::sync::LazyLock;

use serde::Deserialize;
use tree_sitter::Node;

use super::edit::python::{
    Imported, Source, ancestors, children, field, imports, is_reference, quoted, remove_names, walk, without_unused,
};
use super::edit::{Edit, apply, indent};
use super::meaning::{Meaning, joined};
use super::renames::rows;
use super::{Case, FileChange, Proposal, Rule, by_rows, change};
use crate::domain::ErrorClass;
use crate::odoo::Addon;

/// The rule.
pub(super) const RULE: Rule = Rule {
    name: "import_map",
    classes: &[ErrorClass::ImportName, ErrorClass::ImportModule, ErrorClass::AttributeMissing],
    since: 0,
    propose,
};

/// Where a name went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum To {
    /// Another name in another (or the same) module.
    Name,
    /// A method of the Odoo model `ir.http`.
    HttpMethod,
    /// `odoo.tools.misc.file_path`, which takes one path instead of its parts.
    FilePath,
}

/// A name that can no longer be imported.
#[derive(Debug, Deserialize)]
struct Moved {
    since: u8,
    module: String,
    name: String,
    to: To,
    new_module: String,
    new_name: String,
    meaning: Meaning,
    evidence: String,
}

/// An attribute of a module of `odoo` that moved to another.
#[derive(Debug, Deserialize)]
struct Attribute {
    since: u8,
    module: String,
    name: String,
    new_module: String,
    meaning: Meaning,
    evidence: String,
}

static MOVED: LazyLock<Vec<Moved>> = LazyLock::new(|| rows(include_str!("changes/imports.csv")));
static ATTRIBUTES: LazyLock<Vec<Attribute>> = LazyLock::new(|| rows(include_str!("changes/attributes.csv")));

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let names = MOVED.iter().map(|row| &row.name).chain(ATTRIBUTES.iter().map(|row| &row.name));
    if !names.into_iter().any(|name| case.report.text.contains(&format!("'{name}'"))) {
        return Vec::new();
    }
    let summary = "Odoo moved or renamed a name that the addon imports: import and uses follow.";
    let doubts = imported(case.addon, case.version.major()).into_iter().filter_map(|row| {
        let new = if row.new_name.is_empty() { "file_path" } else { &row.new_name };
        // Where the file is there, both give its path.
        if matches!(row.to, To::FilePath) && paths_are_there(case) {
            return None;
        }
        row.meaning.doubt(&format!("{}.{}", row.module, row.name), new, &row.evidence)
    });
    let of_modules = ATTRIBUTES.iter().filter(|row| case.report.text.contains(&format!("'{}'", row.name)));
    let doubts = doubts.chain(of_modules.filter_map(|row| row.meaning.doubt(&row.name, &row.new_module, &row.evidence)));
    by_rows(case, summary, joined(doubts), |major| mended(case.addon, major).unwrap_or_default())
}

/// Whether every path that `file_path` is given after the change is that of a file of the addon.
fn paths_are_there(case: &Case<'_>) -> bool {
    let changes = mended(case.addon, case.version.major()).unwrap_or_default();
    let mut count = 0;
    for change in &changes {
        let Some(source) = Source::parse(&change.after) else { return false };
        for call in source.all("call").filter(|call| field(*call, "function").is_some_and(|function| source.of(function) == "file_path")) {
            let arguments = field(call, "arguments").map(children).unwrap_or_default();
            let path = arguments.first().and_then(|path| source.literal(*path));
            let is_there = |path: &String| case.addon.files().any(|(file, _)| file.as_str() == path);
            if !path.as_ref().is_some_and(is_there) {
                return false;
            }
            count += 1;
        }
    }
    count > 0
}

/// The rows of what the addon imports.
fn imported(addon: &Addon, major: u8) -> Vec<&'static Moved> {
    let texts = addon.texts("py").filter_map(|(_, text)| Source::parse(text));
    let of = |source: Source<'_>| {
        let all = imports(&source);
        let is =
            |row: &Moved| row.since <= major && all.iter().any(|(module, one)| *module == row.module && source.of(one.name) == row.name);
        MOVED.iter().filter(|row| is(row)).collect::<Vec<_>>()
    };
    texts.flat_map(of).collect()
}

/// `None` if a use is not understood: the error would remain.
fn mended(addon: &Addon, major: u8) -> Option<Vec<FileChange>> {
    let mut changes = Vec::new();
    for (path, text) in addon.texts("py") {
        let Some(source) = Source::parse(text) else { continue };
        let mut edits = import_edits(&source, major)?;
        edits.extend(attribute_edits(&source, major));
        if let Some(after) = apply(text, edits) {
            changes.push(change(path, text, if text.contains("models.NewId") { without_unused(&after, &["models"]) } else { after }));
        }
    }
    Some(changes)
}

/// What happens to one import statement.
struct Rewrite<'a> {
    statement: Node<'a>,
    gone: Vec<Range<usize>>,
    added: Vec<String>,
}

/// `None` if a use is not understood: the error would remain.
fn import_edits(source: &Source<'_>, major: u8) -> Option<Vec<Edit>> {
    let all = imports(source);
    let mut edits = Vec::new();
    let mut rewrites: Vec<Rewrite<'_>> = Vec::new();
    for (module, imported) in &all {
        let name = source.of(imported.name);
        let Some(row) = MOVED.iter().find(|row| row.since <= major && row.module == *module && row.name == name) else { continue };
        let (new_module, new_name) = (row.new_module.as_str(), row.new_name.as_str());
        let uses = uses(source, imported)?;
        let (replacement, addition) = match row.to {
            To::Name => {
                // The old exceptions took a title too; a call that gives one would fail when it is raised.
                if new_name == "UserError" && !uses.iter().all(|node| takes_one(*node)) {
                    return None;
                }
                let bound = |(_, other): &(&str, Imported<'_>)| {
                    other.alias.is_none() && source.of(other.name) == new_name && other.entry != imported.entry
                };
                if imported.alias.is_none() {
                    edits.extend(uses.iter().map(|node| Edit::new(node.byte_range(), new_name)));
                }
                match (all.iter().any(bound) && imported.alias.is_none(), new_module == *module) {
                    (true, _) => (None, None),
                    (false, true) => (Some(Edit::new(imported.name.byte_range(), new_name)), None),
                    (false, false) => (None, Some(format!("from {new_module} import {new_name}{}", alias(source, imported)))),
                }
            }
            To::FilePath => {
                for node in uses {
                    let call = node.parent().filter(|up| up.kind() == "call" && field(*up, "function") == Some(node))?;
                    let parts: Vec<String> =
                        children(field(call, "arguments")?).into_iter().map(|part| source.literal(part)).collect::<Option<_>>()?;
                    edits.push(Edit::new(call.byte_range(), format!("file_path({})", quoted(&parts.join("/")))));
                }
                (None, Some("from odoo.tools.misc import file_path".to_owned()))
            }
            To::HttpMethod => {
                for node in uses {
                    edits.push(Edit::new(node.byte_range(), format!("{}[\"ir.http\"].{new_name}", environment(source, node, &all)?)));
                }
                (None, None)
            }
        };
        if let Some(edit) = replacement {
            edits.push(edit);
            continue;
        }
        let at = rewrites.iter().position(|rewrite| rewrite.statement == imported.statement).unwrap_or_else(|| {
            rewrites.push(Rewrite { statement: imported.statement, gone: Vec::new(), added: Vec::new() });
            rewrites.len() - 1
        });
        rewrites[at].gone.push(imported.entry.byte_range());
        rewrites[at].added.extend(addition);
    }
    edits.extend(rewrites.iter().flat_map(|rewrite| statement_edits(source, rewrite)));
    Some(edits)
}

fn alias(source: &Source<'_>, imported: &Imported<'_>) -> String {
    imported.alias.map_or_else(String::new, |alias| format!(" as {}", source.of(alias)))
}

fn statement_edits(source: &Source<'_>, rewrite: &Rewrite<'_>) -> Vec<Edit> {
    let Rewrite { statement, gone, added } = rewrite;
    let mut cursor = statement.walk();
    let all_gone = statement.children_by_field_name("name", &mut cursor).all(|entry| gone.contains(&entry.byte_range()));
    let gap = format!("\n{}", indent(source.text, statement.start_byte()).unwrap_or_default());
    if all_gone && !added.is_empty() {
        return vec![Edit::new(statement.byte_range(), added.join(&gap))];
    }
    let mut edits = remove_names(source, *statement, gone);
    let end = statement.end_byte();
    edits.extend(added.iter().map(|line| Edit::new(end..end, format!("{gap}{line}"))));
    edits
}

/// Where the imported name is used; `None` if the name is also given to something else.
fn uses<'a>(source: &'a Source<'_>, imported: &Imported<'a>) -> Option<Vec<Node<'a>>> {
    let bound = source.of(imported.alias.unwrap_or(imported.name));
    let scope = ancestors(imported.statement).find(|node| node.kind() == "function_definition").unwrap_or_else(|| source.root());
    let uses: Vec<_> = walk(scope).filter(|node| is_reference(*node) && source.of(*node) == bound).collect();
    uses.iter().all(|node| !rebinds(*node)).then_some(uses)
}

/// Whether a name that is called is given exactly one argument; a name that is not called is all right.
fn takes_one(node: Node<'_>) -> bool {
    let call = node.parent().filter(|parent| parent.kind() == "call" && field(*parent, "function") == Some(node));
    call.and_then(|call| field(call, "arguments")).is_none_or(|arguments| children(arguments).len() == 1)
}

fn rebinds(node: Node<'_>) -> bool {
    let Some(parent) = node.parent() else { return false };
    match parent.kind() {
        "parameters" | "lambda_parameters" | "typed_parameter" | "global_statement" | "as_pattern_target" => true,
        "default_parameter" | "typed_default_parameter" | "function_definition" | "class_definition" | "named_expression" => {
            field(parent, "name") == Some(node)
        }
        "assignment" | "augmented_assignment" | "for_statement" | "for_in_clause" => field(parent, "left") == Some(node),
        "pattern_list" | "tuple_pattern" => true,
        _ => false,
    }
}

/// The environment at a use: of the record in a method of an Odoo model or a test, of the request in a controller.
fn environment(source: &Source<'_>, node: Node<'_>, imports: &[(&str, Imported<'_>)]) -> Option<&'static str> {
    let function = ancestors(node).find(|up| up.kind() == "function_definition")?;
    let first = field(function, "parameters").and_then(|parameters| children(parameters).first().copied()).map(|first| source.of(first));
    let class = ancestors(function).find(|up| up.kind() == "class_definition");
    let bases = class.and_then(|class| field(class, "superclasses")).map(|bases| source.of(bases)).unwrap_or_default();
    let has_request = imports
        .iter()
        .any(|(module, imported)| *module == "odoo.http" && source.of(imported.name) == "request" && imported.alias.is_none());
    if first == Some("self") && (bases.contains("models.") || bases.contains("Case")) {
        Some("self.env")
    } else {
        has_request.then_some("request.env")
    }
}

fn attribute_edits(source: &Source<'_>, major: u8) -> Vec<Edit> {
    let mut edits = Vec::new();
    let all = imports(source);
    let from_odoo = |name: &str| {
        all.iter().find(|(module, imported)| *module == "odoo" && imported.alias.is_none() && source.of(imported.name) == name)
    };
    for Attribute { module: old_module, name: attribute, new_module, .. } in ATTRIBUTES.iter().filter(|row| row.since <= major) {
        let Some((_, imported)) = from_odoo(old_module) else { continue };
        let uses = source.all("attribute").filter(|node| {
            field(*node, "object").is_some_and(|object| source.of(object) == *old_module)
                && field(*node, "attribute").is_some_and(|name| source.of(name) == *attribute)
        });
        let before = edits.len();
        edits.extend(uses.filter_map(|node| Some(Edit::new(field(node, "object")?.byte_range(), new_module.as_str()))));
        if edits.len() > before && from_odoo(new_module).is_none() {
            let at = imported.entry.start_byte();
            edits.push(Edit::new(at..at, format!("{new_module}, ")));
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates_in, mended_file};

    fn after(text: &str) -> Option<String> {
        let names: String = MOVED.iter().map(|row| format!("cannot import name '{}'\n", row.name)).collect();
        mended_file(&[("a.py", text)], "a.py", ErrorClass::ImportName, &names)
    }

    #[test]
    fn every_row_is_read() {
        assert_eq!(MOVED.len() + 1, include_str!("changes/imports.csv").lines().count());
        assert_eq!(ATTRIBUTES.len() + 1, include_str!("changes/attributes.csv").lines().count());
        for row in MOVED.iter() {
            let complete = match row.to {
                To::Name => {
                    !row.new_module.is_empty() && !row.new_name.is_empty() && (&row.module, &row.name) != (&row.new_module, &row.new_name)
                }
                To::HttpMethod => row.new_module.is_empty() && !row.new_name.is_empty(),
                To::FilePath => row.new_module.is_empty() && row.new_name.is_empty(),
            };
            assert!(
                (16..=20).contains(&row.since) && complete && !row.module.is_empty() && !row.name.is_empty() && row.evidence.len() > 5,
                "{row:?}"
            );
        }
        assert!(ATTRIBUTES.iter().all(|row| (16..=20).contains(&row.since) && row.module != row.new_module && row.evidence.len() > 5));
    }

    #[test]
    fn what_was_only_read_is_not_sure() {
        let text = "ImportError: cannot import name 'content_disposition' from 'odoo.http'";
        let before = "from odoo.http import content_disposition, request\nx = content_disposition(request)\n";
        let found = candidates_in("20.0", &addon(&[("a.py", before)]), ErrorClass::ImportName, text);
        assert!(matches!(found.as_slice(), [only] if !only.is_safe() && only.name() == "import_map?"), "{found:?}");
        let after = "from odoo.http import request\nfrom odoo.http.stream import content_disposition\nx = content_disposition(request)\n";
        assert_eq!(found[0].patch.changes()[0].after, after);
        assert!(candidates_in("19.0", &addon(&[("a.py", before)]), ErrorClass::ImportName, text).is_empty());
        let known = "ImportError: cannot import name 'registry' from 'odoo'";
        let before = "from odoo import registry\nregistry(db)\n";
        let found = candidates_in("20.0", &addon(&[("a.py", before)]), ErrorClass::ImportName, known);
        assert!(matches!(found.as_slice(), [only] if only.is_safe()), "{found:?}");
    }

    #[test]
    fn imports_and_uses_follow() {
        for (before, expected) in [
            (
                "from odoo.tests.common import SavepointCase\n\n\nclass T(SavepointCase):\n    pass\n",
                "from odoo.tests.common import TransactionCase\n\n\nclass T(TransactionCase):\n    pass\n",
            ),
            (
                "from odoo.tests.common import SavepointCase, TransactionCase\nclass T(SavepointCase): pass\n",
                "from odoo.tests.common import TransactionCase\nclass T(TransactionCase): pass\n",
            ),
            (
                "from odoo.exceptions import UserError, Warning\nraise Warning(x.Warning)\n",
                "from odoo.exceptions import UserError\nraise UserError(x.Warning)\n",
            ),
            ("from odoo.exceptions import Warning as W\nraise W('x')\n", "from odoo.exceptions import UserError as W\nraise W('x')\n"),
            (
                "from odoo import _, registry\nwith registry(db).cursor() as cr:\n    pass\n",
                "from odoo import _\nfrom odoo.modules.registry import Registry\nwith Registry(db).cursor() as cr:\n    pass\n",
            ),
            ("from odoo import registry\nregistry(db)\n", "from odoo.modules.registry import Registry\nRegistry(db)\n"),
            ("from odoo.addons.http_routing.models.ir_http import slug\nx = 1\n", "x = 1\n"),
            (
                "from odoo.addons.http_routing.models.ir_http import slug, unslug\nclass A(models.Model):\n    def f(self):\n        return slug(self), unslug(x)\n",
                "class A(models.Model):\n    def f(self):\n        return self.env[\"ir.http\"]._slug(self), self.env[\"ir.http\"]._unslug(x)\n",
            ),
            (
                "from odoo.http import request\nfrom odoo.addons.http_routing.models.ir_http import slug\nclass A(Controller):\n    def f(self):\n        return slug(x)\n",
                "from odoo.http import request\nclass A(Controller):\n    def f(self):\n        return request.env[\"ir.http\"]._slug(x)\n",
            ),
            (
                "from odoo.modules.module import get_module_resource\nopen(get_module_resource('m', 'static', 'a.png'))\n",
                "from odoo.tools.misc import file_path\nopen(file_path(\"m/static/a.png\"))\n",
            ),
            ("from odoo.models import NewId\nNewId()\n", "from odoo.api import NewId\nNewId()\n"),
        ] {
            assert_eq!(after(before).as_deref(), Some(expected));
        }
    }

    #[test]
    fn unclear_uses_are_left() {
        for text in [
            "from odoo.addons.http_routing.models.ir_http import slug\nx = slug(y)\n",
            "from odoo.exceptions import Warning\nWarning = 1\n",
            "from odoo.exceptions import Warning\ndef f(Warning): pass\n",
            "from odoo.exceptions import ValidationError\nraise Warning()\n",
        ] {
            assert_eq!(after(text), None, "{text}");
        }
    }

    #[test]
    fn attribute_of_a_module_moves() {
        let text = "AttributeError: module 'odoo.models' has no attribute 'NewId'";
        let mend = |before: &str| mended_file(&[("a.py", before)], "a.py", ErrorClass::AttributeMissing, text);
        let before = "from odoo import fields, models\nclass A(models.Model):\n    x = isinstance(y, models.NewId)\n";
        let after = "from odoo import fields, api, models\nclass A(models.Model):\n    x = isinstance(y, api.NewId)\n";
        assert_eq!(mend(before).as_deref(), Some(after));
        assert_eq!(mend("from odoo import api, models\nmodels.NewId\n").as_deref(), Some("from odoo import api\napi.NewId\n"));
        assert_eq!(mend("import models\nmodels.NewId\n"), None);
    }
}
