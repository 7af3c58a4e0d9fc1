//! What: a well-known name that a file uses without importing it is imported.
//!
//! Why: Python finds it missing only when the line runs.
//! Before: `raise UserError(…)` without an import. After: `from odoo.exceptions import UserError` among the imports.
//! A name that could as well be a variable's is imported only if all that is done with it fits what would be imported.
//! Since: any Odoo.

mod names;

use std::collections::BTreeSet;

use regex::Regex;
use tree_sitter::Node;

use super::edit::imports::{Wanted, add};
use super::edit::python::{Source, children, field};
use super::edit::scopes::unbound_uses;
use super::edit::{Edit, apply};
use super::{Case, Proposal, Rule, change, proposal};
use crate::domain::ErrorClass;

use names::{ATTRIBUTES, DATETIME, DISTINCT, FROM, MODULES, NEVER_CALLED, OPTIONS, TIME};

/// The rule. The text says enough, whatever the class.
pub(super) const RULE: Rule = Rule { name: "missing_import", classes: ErrorClass::ALL, since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(name) = reported(&case.report.text) else { return Vec::new() };
    let mut changes = Vec::new();
    for (path, text) in case.addon.texts("py") {
        let Some(source) = Source::parse(text) else { continue };
        let uses = unbound_uses(&source);
        let names: BTreeSet<&str> = uses.iter().map(|(_, name)| *name).collect();
        if !names.contains(name.as_str()) {
            continue;
        }
        let mut hit = false;
        let mut edits = Vec::new();
        let mut wanted: Vec<Wanted<'_>> = Vec::new();
        for missing in &names {
            let used: Vec<Node<'_>> = uses.iter().filter(|(_, name)| name == missing).map(|(node, _)| *node).collect();
            match import_of(&source, missing, &used, case.version.major()) {
                Some(one) => wanted.push(one),
                None if *missing == "_logger" => {
                    if !names.contains("logging") && source.all("import_statement").all(|node| source.of(node) != "import logging") {
                        wanted.push(Wanted::Module("logging"));
                    }
                    edits.extend(logger(&source));
                }
                None => continue,
            }
            hit |= *missing == name;
        }
        if !hit {
            continue;
        }
        edits.extend(add(&source, &wanted));
        if let Some(after) = apply(text, joined(edits)) {
            changes.push(change(path, text, after));
        }
    }
    proposal(format!("{name} is used without being imported: the import is added."), changes)
}

/// The name that Python did not find.
fn reported(text: &str) -> Option<String> {
    let pattern = Regex::new(r"NameError: name '(\w+)' is not defined").ok()?;
    Some(pattern.captures(text)?.get(1)?.as_str().to_owned())
}

fn import_of(source: &Source<'_>, name: &str, uses: &[Node<'_>], major: u8) -> Option<Wanted<'static>> {
    let all = |fits: &dyn Fn(Node<'_>) -> bool| uses.iter().all(|node| fits(*node));
    let asked = |node: Node<'_>, attributes: &[&str]| attribute(source, node).is_some_and(|found| attributes.contains(&found));
    match name {
        "Domain" if major >= 19 => return Some(Wanted::Name("odoo.fields", "Domain")),
        "date" => return all(&|node| asked(node, known(name)) || is_called(node)).then_some(Wanted::Name("datetime", "date")),
        "expression" if major < 19 => return all(&|node| asked(node, known(name))).then_some(Wanted::Name("odoo.osv", "expression")),
        "config" if !all(&|node| is_option(source, node)) => return None,
        "config" => return Some(Wanted::Name("odoo.tools", "config")),
        // The module and its class have one name: what is asked of it tells them apart.
        "datetime" if all(&|node| asked(node, DATETIME[0])) => return Some(Wanted::Module("datetime")),
        "datetime" => {
            return all(&|node| asked(node, DATETIME[1]) || is_called(node)).then_some(Wanted::Name("datetime", "datetime"));
        }
        "time" if all(&|node| asked(node, TIME[0])) => return Some(Wanted::Module("time")),
        // Without arguments the function of the module is meant.
        "time" => {
            return all(&|node| asked(node, TIME[1]) || arguments(node).is_some_and(|given| !given.is_empty()))
                .then_some(Wanted::Name("datetime", "time"));
        }
        _ => {}
    }
    let from = FROM.iter().find_map(|(module, names)| names.iter().find(|known| **known == name).map(|known| Wanted::Name(module, known)));
    if from.is_some() {
        let is_distinct = name.starts_with('_') || name.starts_with(|c: char| c.is_uppercase()) || DISTINCT.contains(&name);
        let called = |node: Node<'_>| !NEVER_CALLED.contains(&name) && (is_called(node) || is_translation(source, node));
        return from.filter(|_| is_distinct || all(&|node| called(node) || asked(node, known(name))));
    }
    let module = MODULES.iter().find(|known| **known == name)?;
    let anything = known(name).is_empty();
    all(&|node| if anything { attribute(source, node).is_some() } else { asked(node, known(name)) }).then_some(Wanted::Module(module))
}

/// What a name of [`ATTRIBUTES`] has.
fn known(name: &str) -> &'static [&'static str] {
    ATTRIBUTES.iter().find(|(known, _)| *known == name).map_or(&[], |(_, attributes)| attributes)
}

/// The attribute that is asked of a name here.
fn attribute<'t>(source: &Source<'t>, node: Node<'_>) -> Option<&'t str> {
    let parent = node.parent().filter(|parent| parent.kind() == "attribute" && field(*parent, "object") == Some(node))?;
    // What is given a value is somebody's own.
    let is_target = parent.parent().is_some_and(|up| field(up, "left") == Some(parent));
    field(parent, "attribute").filter(|_| !is_target).map(|name| source.of(name))
}

/// The arguments of a call of this name.
fn arguments(node: Node<'_>) -> Option<Vec<Node<'_>>> {
    let call = node.parent().filter(|call| call.kind() == "call" && field(*call, "function") == Some(node))?;
    field(call, "arguments").map(children)
}

/// Whether the name is called or decorates here.
fn is_called(node: Node<'_>) -> bool {
    arguments(node).is_some() || node.parent().is_some_and(|parent| parent.kind() == "decorator")
}

/// `translate=html_translate`
fn is_translation(source: &Source<'_>, node: Node<'_>) -> bool {
    let name = node.parent().filter(|parent| parent.kind() == "keyword_argument").and_then(|parent| field(parent, "name"));
    name.is_some_and(|name| source.of(name) == "translate") && source.of(node).ends_with("_translate")
}

/// `config["data_dir"]` or `config.get("data_dir")`, of an option that the server has.
fn is_option(source: &Source<'_>, node: Node<'_>) -> bool {
    let subscript = node.parent().filter(|parent| parent.kind() == "subscript" && field(*parent, "value") == Some(node));
    let got = || node.parent().filter(|_| attribute(source, node) == Some("get")).and_then(|get| arguments(get)?.first().copied());
    let key = subscript.and_then(|subscript| field(subscript, "subscript")).or_else(got);
    key.and_then(|key| source.simple(key)).is_some_and(|key| OPTIONS.contains(&key))
}

/// The module's logger, behind the imports.
fn logger(source: &Source<'_>) -> Option<Edit> {
    let mut cursor = source.root().walk();
    let imports = source.root().named_children(&mut cursor).filter(|node| node.kind().contains("import"));
    let end = imports.last()?.end_byte();
    Some(Edit::new(end..end, "\n\n_logger = logging.getLogger(__name__)"))
}

/// Two insertions at one place become one: imports first.
fn joined(edits: Vec<Edit>) -> Vec<Edit> {
    let mut joined: Vec<Edit> = Vec::new();
    for edit in edits.into_iter().rev() {
        match joined.iter_mut().find(|other| other.range == edit.range && edit.range.is_empty()) {
            Some(other) => other.text.push_str(&edit.text),
            None => joined.push(edit),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates, first_diff, fixture, mended_file};

    const CLASS: ErrorClass = ErrorClass::NameUndefined;

    fn after(name: &str, text: &str) -> Option<String> {
        mended_file(&[("a.py", text)], "a.py", CLASS, &format!("NameError: name '{name}' is not defined"))
    }

    #[test]
    fn whole_addon_follows() {
        insta::assert_snapshot!(first_diff(
            &fixture("missing_import", "everything"),
            CLASS,
            "NameError: name 'UserError' is not defined. Did you mean: 'KeyError'?"
        ));
    }

    #[test]
    fn module_and_class_of_one_name() {
        assert_eq!(after("datetime", "datetime.datetime.now()\n").unwrap(), "import datetime\n\ndatetime.datetime.now()\n");
        assert_eq!(after("datetime", "datetime.now()\n").unwrap(), "from datetime import datetime\n\ndatetime.now()\n");
        assert_eq!(after("time", "time.sleep(1)\n").unwrap(), "import time\n\ntime.sleep(1)\n");
        let field = "from odoo import fields\n\n\nclass A:\n    date = fields.Date()\n\n    def f(self):\n        return date.today()\n";
        assert!(after("date", field).unwrap().starts_with("from datetime import date\n\nfrom odoo import fields\n"));
    }

    #[test]
    fn logger_is_made() {
        let before = "from odoo import models\n\n\nclass A(models.Model):\n    def f(self):\n        _logger.info('x')\n";
        let after = after("_logger", before).unwrap();
        assert!(
            after.starts_with("import logging\n\nfrom odoo import models\n\n_logger = logging.getLogger(__name__)\n\n\nclass"),
            "{after}"
        );
        let before = "import logging\n\nx = _logger\n";
        assert_eq!(
            super::tests::after("_logger", before).unwrap(),
            "import logging\n\n_logger = logging.getLogger(__name__)\n\nx = _logger\n"
        );
    }

    #[test]
    fn names_of_variables_need_a_use_that_fits() {
        for (name, text) in [
            ("product", "product.name\n"),
            ("product", "f(product)\n"),
            ("product", "product(a, b)\nproduct.name\n"),
            ("partial", "x = partial\n"),
            ("date", "date.year\n"),
            ("date", "f(date)\n"),
            ("datetime", "datetime.year\n"),
            ("datetime", "datetime.datetime.now()\ndatetime.now()\n"),
            ("time", "time.hour\n"),
            ("time", "time()\n"),
            ("timezone", "timezone('UTC')\n"),
            ("string", "string.strip()\n"),
            ("copy", "copy.name\n"),
            ("copy", "copy()\n"),
            ("calendar", "calendar.tz\n"),
            ("config", "config.value\n"),
            ("config", "config['color']\n"),
            ("sql", "sql.strip()\n"),
            ("operator", "operator == '='\n"),
            ("release", "release.name\n"),
            ("json", "f(json)\n"),
            ("re", "re\n"),
            ("random", "random()\n"),
            ("exceptions", "exceptions.append(1)\n"),
            ("os", "os.name = 1\n"),
        ] {
            assert_eq!(after(name, text), None, "{text}");
        }
        for (name, text, import) in [
            ("product", "product(a, b)\n", "from itertools import product"),
            ("chain", "chain.from_iterable(a)\n", "from itertools import chain"),
            ("contextmanager", "@contextmanager\ndef f():\n    pass\n", "from contextlib import contextmanager"),
            ("string", "string.digits\n", "import string"),
            ("copy", "copy.deepcopy(a)\n", "import copy"),
            ("json", "json.loads(a)\n", "import json"),
            ("config", "config['data_dir']\nconfig.get('workers')\n", "from odoo.tools import config"),
            ("time", "time(10, 30)\n", "from datetime import time"),
            ("exceptions", "exceptions.UserError('a')\n", "from odoo import exceptions"),
            ("request", "request.env.user\n", "from odoo.http import request"),
            ("html_translate", "f(translate=html_translate)\n", "from odoo.tools.translate import html_translate"),
            ("fields", "f(fields)\n", "from odoo import fields"),
            ("UserError", "f(UserError)\n", "from odoo.exceptions import UserError"),
        ] {
            assert_eq!(after(name, text), Some(format!("{import}\n\n{text}")), "{text}");
        }
    }

    #[test]
    fn files_without_the_name_are_left() {
        let files = [("a.py", "UserError\n"), ("b.py", "ValidationError\n"), ("c.py", "f(UserError)\nproduct.name\n")];
        let found = candidates(&addon(&files), CLASS, "NameError: name 'UserError' is not defined");
        let paths: Vec<String> = found[0].patch.changes().iter().map(|change| change.path.to_string()).collect();
        assert_eq!(paths, ["m/a.py", "m/c.py"]);
        assert!(!found[0].patch.changes()[1].after.contains("itertools"));
    }

    #[test]
    fn unknown_and_bound_names_are_left() {
        assert_eq!(after("zzz", "zzz\n"), None);
        assert_eq!(after("UserError", "from x import UserError\nUserError\n"), None);
        assert!(candidates(&addon(&[("a.py", "UserError\n")]), CLASS, "name 'zzz' is not defined").is_empty());
    }
}
