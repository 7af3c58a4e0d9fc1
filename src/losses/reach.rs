//! What a patch adds that could reach beyond the addon: the test runner, the interpreter, the process, the database of modules.
//! Few things are allowed and all else is told, since whoever wants to deceive is free to choose the words.

mod names;

use std::collections::BTreeMap;

use roxmltree::Document;
use tree_sitter::Node;

use super::expr::{callee, parse};
use crate::domain::{FileChange, Patch};
use crate::rules::edit::python::{Source, ancestors, children, field, walk};
use crate::rules::edit::xml;
use names::{BUILTINS, FRAMES, REACHING, TYPES, looks_like_a_test_log, may_be_imported, may_decorate, touches_own_tables};

/// Why a patch reaches for the test runner, the interpreter or process exit, one sentence each; a patch that does is only ever a proposal.
pub fn reaches(patch: &Patch) -> Vec<String> {
    let mut found: Vec<String> = patch.changes().iter().flat_map(of_change).collect();
    found.sort();
    found.dedup();
    found
}

fn of_change(change: &FileChange) -> Vec<String> {
    let path = change.path.as_str();
    let before = change.before.as_deref().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or(path);
    if change.before.is_none() && matches!(file, "conftest.py" | "sitecustomize.py" | "usercustomize.py") {
        return vec![format!("{path} is a file that Python or a test runner runs by itself")];
    }
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "py" => {
            let Some(after) = signs_of_python(&change.after) else {
                return vec![format!("{path} is no Python as a whole, so that it cannot be told what it reaches for")];
            };
            more(path, signs_of_python(before).unwrap_or_default(), after)
        }
        "xml" => {
            let Some(after) = signs_of_xml(&change.after) else {
                return vec![format!("{path} is no XML as a whole, so that it cannot be told what it reaches for")];
            };
            more(path, signs_of_xml(before).unwrap_or_default(), after)
        }
        "pth" | "so" | "sh" | "pyc" | "pyd" if change.before.is_none() => vec![format!("{path} is a file that can be run")],
        _ => Vec::new(),
    }
}

/// What stands more often in the later list.
fn more(path: &str, before: Vec<String>, after: Vec<String>) -> Vec<String> {
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for sign in before {
        *left.entry(sign).or_default() += 1;
    }
    let added = after.into_iter().filter(|sign| match left.get_mut(sign) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
    added.map(|sign| format!("{path} {sign}")).collect()
}

fn signs_of_python(text: &str) -> Option<Vec<String>> {
    let source = parse(text)?;
    let imported = imported(&source);
    Some(walk(source.root()).filter_map(|node| sign(&source, node, &imported)).collect())
}

/// The names that a file imports or that its classes have.
fn imported<'s>(source: &Source<'s>) -> Vec<&'s str> {
    let mut found = Vec::new();
    for node in walk(source.root()) {
        match node.kind() {
            "import_statement" | "import_from_statement" => {
                let mut cursor = node.walk();
                for name in node.children_by_field_name("name", &mut cursor) {
                    let bound = field(name, "alias")
                        .map_or_else(|| source.of(name).split('.').next().unwrap_or_default(), |alias| source.of(alias));
                    found.push(bound);
                }
            }
            "class_definition" => found.extend(field(node, "name").map(|name| source.of(name))),
            _ => {}
        }
    }
    found
}

fn sign(source: &Source<'_>, node: Node<'_>, imported: &[&str]) -> Option<String> {
    let of = |node: Node<'_>| source.of(node);
    match node.kind() {
        "import_statement" | "import_from_statement" => import(source, node),
        "wildcard_import" => None,
        "identifier" => name(source, node),
        "function_definition" => {
            let name = of(field(node, "name")?);
            let is_hook = matches!(name, "_register_hook" | "_unregister_hook" | "_setup_models__" | "_patch_method" | "_build_model");
            (is_dunder(name) || is_hook).then(|| format!("defines {name}, which Python or Odoo calls by itself"))
        }
        "class_definition" => class(source, node),
        "decorator" => {
            let target = node.named_child(0)?;
            let target = if target.kind() == "call" { field(target, "function")? } else { target };
            (!may_decorate(of(target))).then(|| format!("puts the decorator @{} in place of a function", of(target)))
        }
        "assignment" | "augmented_assignment" => {
            let left = field(node, "left")?;
            let targets = walk(left).filter(|target| matches!(target.kind(), "attribute" | "subscript"));
            targets.filter(|target| outermost(*target, left)).find_map(|target| patched(source, target, imported))
        }
        // The grammar takes an assignment to an attribute of `type(…)` for the name of a type.
        "type_alias_statement" => Some(format!("changes {}", of(node).split('=').next().unwrap_or_default().trim())),
        "delete_statement" => walk(node).filter(|target| target.kind() == "attribute").find_map(|target| patched(source, target, imported)),
        "call" => call(source, node, imported),
        "string" | "concatenated_string" => text(source, node),
        _ => None,
    }
}

fn outermost(target: Node<'_>, left: Node<'_>) -> bool {
    target == left || target.parent().is_some_and(|parent| matches!(parent.kind(), "pattern_list" | "tuple_pattern" | "list_pattern"))
}

fn is_dunder(name: &str) -> bool {
    name.len() > 4 && name.starts_with("__") && name.ends_with("__")
}

fn import(source: &Source<'_>, node: Node<'_>) -> Option<String> {
    let mut cursor = node.walk();
    let names: Vec<&str> = node
        .children_by_field_name("name", &mut cursor)
        .map(|name| field(name, "name").map_or_else(|| source.of(name), |inner| source.of(inner)))
        .collect();
    let module = field(node, "module_name").map(|module| source.of(module));
    let modules: Vec<String> = match module {
        Some(module) if module.starts_with('.') => return None,
        Some(module) => names.iter().map(|name| format!("{module}.{name}")).chain(names.is_empty().then(|| module.to_owned())).collect(),
        None => names.iter().map(ToString::to_string).collect(),
    };
    let strange = modules.into_iter().find(|full| !may_be_imported(full, module.is_some()))?;
    Some(format!("imports {strange}"))
}

fn name(source: &Source<'_>, node: Node<'_>) -> Option<String> {
    let text = source.of(node);
    let parent = node.parent()?;
    let is_attribute = parent.kind() == "attribute" && field(parent, "attribute") == Some(node);
    let is_argument = parent.kind() == "keyword_argument" && field(parent, "name") == Some(node);
    let is_definition = matches!(parent.kind(), "function_definition" | "class_definition") && field(parent, "name") == Some(node);
    let in_import = ancestors(node).any(|up| up.kind().starts_with("import") || up.kind() == "aliased_import");
    if is_argument || is_definition || in_import {
        return None;
    }
    if is_attribute {
        let reaches = is_dunder(text) || FRAMES.contains(&text) || REACHING.contains(&text);
        return reaches.then(|| format!("uses the attribute {text}"));
    }
    let reaches = BUILTINS.contains(&text) || (is_dunder(text) && !matches!(text, "__name__" | "__file__" | "__all__"));
    reaches.then(|| format!("uses {text}"))
}

fn class(source: &Source<'_>, node: Node<'_>) -> Option<String> {
    let bases = children(field(node, "superclasses")?);
    bases.into_iter().find_map(|base| match base.kind() {
        "keyword_argument" => Some(format!("makes a class with {}", source.of(base))),
        "identifier" if TYPES.contains(&source.of(base)) => Some(format!("makes a class of the built-in type {}", source.of(base))),
        "identifier" | "attribute" => None,
        _ => Some(format!("makes a class of {}, which is computed", source.of(base))),
    })
}

/// An assignment to an attribute of what belongs to others.
fn patched(source: &Source<'_>, target: Node<'_>, imported: &[&str]) -> Option<String> {
    let object = field(target, if target.kind() == "attribute" { "object" } else { "value" })?;
    let mut root = object;
    while let Some(inner) = field(root, "object").or_else(|| field(root, "value")).or_else(|| field(root, "function")) {
        root = inner;
    }
    let (text, root) = (source.of(object), source.of(root));
    let on_env = target.kind() == "attribute" && [".env", ".cr", ".registry", ".pool", ".env.cr"].iter().any(|end| text.ends_with(end));
    let in_registry = text.contains(".registry[") || text.contains(".pool[") || text.starts_with("type(") || text.starts_with("registry");
    let is_others = imported.contains(&root) && root != "self";
    (is_others || on_env || in_registry).then(|| format!("changes {} of what others use", source.of(target)))
}

fn call(source: &Source<'_>, node: Node<'_>, imported: &[&str]) -> Option<String> {
    let arguments = field(node, "arguments").map(children).unwrap_or_default();
    let of = |place: usize| arguments.get(place).map(|node| source.of(*node)).unwrap_or_default();
    let name = callee(source, node);
    match name {
        "getattr" | "setattr" | "delattr" | "hasattr" => {
            let literal = arguments.get(1).and_then(|name| source.simple(*name));
            if literal.is_none() {
                return Some(format!("uses {name} with a name that is computed"));
            }
            let is_class = imported.contains(&of(0).split('.').next().unwrap_or_default()) || of(0).starts_with("type(");
            let strange = literal.is_some_and(|name| is_dunder(name) || FRAMES.contains(&name) || REACHING.contains(&name));
            ((is_class && name != "getattr" && name != "hasattr") || strange).then(|| format!("uses {name} on what others use"))
        }
        "getLogger" => (!arguments.is_empty() && of(0) != "__name__").then(|| format!("writes to the log of {}", of(0))),
        "type" => (arguments.len() > 1).then(|| "makes a class by type()".to_owned()),
        "commit" | "rollback" | "_commit" => (arguments.is_empty()).then(|| format!("ends the transaction by {name}()")),
        _ => None,
    }
}

fn text(source: &Source<'_>, node: Node<'_>) -> Option<String> {
    if node.parent().is_some_and(|parent| parent.kind() == "concatenated_string") {
        return None;
    }
    // A text that is put together is read as a whole.
    let whole = ancestors(node).take_while(|up| up.kind() == "binary_operator").last().unwrap_or(node);
    let joined: String = walk(whole).filter(|part| part.kind() == "string_content").map(|part| source.of(part)).collect();
    if touches_own_tables(&joined) {
        return Some("has SQL on the tables of modules, models, users or groups".to_owned());
    }
    looks_like_a_test_log(&joined).then(|| "has a text that reads like Odoo's own report of tests".to_owned())
}

fn signs_of_xml(text: &str) -> Option<Vec<String>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let document: Document<'_> = xml::parse(text)?;
    let mut found = Vec::new();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        if node.has_tag_name("function") {
            let called = format!("{}.{}", node.attribute("model").unwrap_or_default(), node.attribute("name").unwrap_or_default());
            found.push(format!("calls {called} when it is loaded"));
        }
        for attribute in node.attributes() {
            found.extend(signs_of_code(attribute.value()));
        }
        let model = node.parent_element().and_then(|record| record.attribute("model")).unwrap_or_default();
        if node.has_tag_name("field")
            && node.attribute("name") == Some("code")
            && matches!(model, "ir.actions.server" | "ir.cron" | "base.automation")
        {
            found.push("has code that a server action runs".to_owned());
            found.extend(node.text().and_then(signs_of_python).unwrap_or_default());
        }
        if node.has_tag_name("record") && matches!(model_of(node), "ir.module.module" | "ir.config_parameter") {
            found.push(format!("writes records of {}", model_of(node)));
        }
    }
    Some(found)
}

fn model_of<'a>(node: roxmltree::Node<'a, '_>) -> &'a str {
    node.attribute("model").unwrap_or_default()
}

/// Only what looks like code is read as such; a view is full of plain words.
fn signs_of_code(value: &str) -> Vec<String> {
    if value.contains("__") || value.contains('(') {
        return signs_of_python(value.trim()).unwrap_or_default();
    }
    Vec::new()
}
