//! The references of JavaScript and of OWL templates: modules with what is imported of them, Odoo models, methods and fields of calls to
//! the server, and templates.

use std::collections::BTreeSet;

use roxmltree::{Document, ParsingOptions};

use super::{Check, Kind, Place};
use crate::odoo::source::Names;
use crate::odoo::source::script::{AGAIN, ScriptFile, line, module_path, named};

/// Most modules in which a name is looked for that is exported again.
const MAX_MODULES: usize = 200;
/// The calls of the service `orm` that name fields in their third argument.
const WITH_FIELDS: [&str; 2] = ["read", "searchRead"];
/// Its other calls that begin with an Odoo model.
const WITH_MODEL: [&str; 8] = ["create", "write", "unlink", "search", "searchCount", "webRead", "webSave", "webSearchRead"];

/// Resolves what a JavaScript file refers to. `within`: its path below the addon.
pub(super) fn javascript(check: &Check<'_, '_>, path: &str, within: &str, text: &str) {
    let Some(file) = ScriptFile::parse(text) else {
        check.sink.unknown(format!("{path} is no JavaScript that can be read"));
        return;
    };
    for import in file.imports() {
        let place = Place { path, line: import.line };
        check.javascript_module(place, within, &import.specifier, &import.names);
    }
    for call in file.all(&["call_expression"]) {
        server_call(check, path, &file, call);
    }
    for node in file.all(&["field_definition"]) {
        let is_template = node.child_by_field_name("property").is_some_and(|name| file.source(name) == "template");
        let value = node.child_by_field_name("value").filter(|_| is_template).and_then(|value| file.string(value));
        if let Some(name) = value {
            check.browser_template(Place { path, line: line(node) }, name);
        }
    }
}

/// `this.orm.call("res.partner", "name_get", …)`.
fn server_call(check: &Check<'_, '_>, path: &str, file: &ScriptFile<'_>, call: tree_sitter::Node<'_>) {
    let called = call.child_by_field_name("function").filter(|function| function.kind() == "member_expression");
    let Some((object, name)) =
        called.and_then(|called| Some((called.child_by_field_name("object")?, called.child_by_field_name("property")?)))
    else {
        return;
    };
    let (object, name) = (file.source(object), file.source(name));
    if object != "orm" && !object.ends_with(".orm") {
        return;
    }
    let arguments = call.child_by_field_name("arguments").map(named).unwrap_or_default();
    let place = Place { path, line: line(call) };
    let Some(odoo_model) = arguments.first().and_then(|argument| file.string(*argument)) else { return };
    if name != "call" && !WITH_FIELDS.contains(&name) && !WITH_MODEL.contains(&name) {
        return;
    }
    check.odoo_model(place, odoo_model);
    if name == "call" {
        if let Some(method) = arguments.get(1).and_then(|argument| file.string(*argument)) {
            check.method(place, odoo_model, method, false);
        }
    } else if WITH_FIELDS.contains(&name)
        && let Some(fields) = arguments.get(2).filter(|argument| argument.kind() == "array")
    {
        for field in named(*fields).into_iter().filter_map(|field| file.string(field)) {
            check.field(place, odoo_model, field, false);
        }
    }
}

/// Resolves the templates that a file of OWL templates calls or inherits from.
pub(super) fn templates(check: &Check<'_, '_>, path: &str, text: &str) {
    let options = ParsingOptions { nodes_limit: 200_000, ..ParsingOptions::default() };
    let Ok(document) = Document::parse_with_options(text, options) else {
        check.sink.unknown(format!("{path} is no XML that can be read"));
        return;
    };
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        for name in ["t-call", "t-inherit"].into_iter().filter_map(|attribute| node.attribute(attribute)) {
            // A name that is only known when it is rendered.
            if !name.contains("{{") && !name.contains("#{") {
                let line = starts.partition_point(|start| *start <= node.range().start);
                check.browser_template(Place { path, line: u32::try_from(line).unwrap_or(u32::MAX) }, name);
            }
        }
    }
}

impl Check<'_, '_> {
    /// A JavaScript module with the names that are imported of it.
    fn javascript_module(&self, place: Place<'_>, within: &str, specifier: &str, names: &[String]) {
        let version = self.version;
        let module = match module_of(self.addon.name().as_str(), within, specifier) {
            Target::Module(module, path) => (module, path),
            Target::Legacy if self.world.is_whole() => {
                self.sink.checked();
                let what = format!("Odoo {version} has no JavaScript module {specifier}");
                return self.sink.unresolved(place, Kind::Script, specifier, None, what);
            }
            Target::Legacy | Target::Other => return,
        };
        let (addon, path) = module;
        let Some(facts) = self.world.index.module(&addon) else {
            if self.world.is_whole() {
                self.sink.checked();
                let what = format!("{specifier}: there is no addon {addon} in Odoo {version}");
                self.sink.unresolved(place, Kind::Script, specifier, None, what);
            }
            return;
        };
        if facts.scripts.is_empty() && self.world.index.is_core(&addon) && !self.world.index.knows_scripts() {
            return;
        }
        self.sink.checked();
        let Some(found) = [path.clone(), format!("{path}/index")].into_iter().find(|path| facts.scripts.contains_key(path)) else {
            let what = format!("Odoo {version} has no JavaScript module {specifier}");
            return self.sink.unresolved(place, Kind::Script, specifier, None, what);
        };
        for name in names {
            self.sink.checked();
            if self.exports(&addon, &found, name, &mut BTreeSet::new()) == Some(false) {
                let what = format!("{specifier} exports no {name} in Odoo {version}");
                self.sink.unresolved(place, Kind::Script, name, None, what);
            }
        }
    }

    /// Whether a module exports a name; `None` where that is not known. `seen`: the modules that were looked at, each once, for they may export
    /// one another again in a circle.
    fn exports(&self, addon: &str, path: &str, name: &str, seen: &mut BTreeSet<(String, String)>) -> Option<bool> {
        if !seen.insert((addon.to_owned(), path.to_owned())) {
            return Some(false);
        }
        let exports: &Names = self.world.index.module(addon)?.scripts.get(path)?;
        // A file that exports nothing sets something up when it is loaded, or could not be read.
        if exports.is_empty() || seen.len() > MAX_MODULES {
            return None;
        }
        if exports.contains(name) {
            return Some(true);
        }
        let mut known = Some(false);
        for again in exports.iter().filter_map(|one| one.strip_prefix(AGAIN)) {
            let within = format!("static/src/{path}.js");
            let found = match module_of(addon, &within, again) {
                Target::Module(addon, path) => {
                    let whole = [path.clone(), format!("{path}/index")];
                    let path = whole
                        .into_iter()
                        .find(|path| self.world.index.module(&addon).is_some_and(|facts| facts.scripts.contains_key(path)));
                    path.and_then(|path| self.exports(&addon, &path, name, seen))
                }
                Target::Legacy | Target::Other => None,
            };
            match found {
                Some(true) => return Some(true),
                Some(false) => {}
                None => known = None,
            }
        }
        known
    }

    /// A template that is rendered in the browser.
    fn browser_template(&self, place: Place<'_>, name: &str) {
        let owner = name.split('.').next().unwrap_or_default();
        let knows = self.world.index.module(owner).is_some_and(|facts| !self.world.index.is_core(owner) || !facts.templates.is_empty());
        if !self.world.is_whole() || !knows {
            return;
        }
        self.sink.checked();
        let is_there = self.world.index.modules().any(|(_, facts)| facts.templates.contains(name));
        if !is_there {
            let what = format!("Odoo {} has no template {name} for the browser", self.version);
            self.sink.unresolved(place, Kind::Template, name, None, what);
        }
    }
}

/// The module that a specifier leads to.
enum Target {
    /// The addon, and the path below its `static/src`.
    Module(String, String),
    /// A name of before Odoo 17, such as `web.core`.
    Legacy,
    /// A library, or a file elsewhere.
    Other,
}

fn module_of(addon: &str, within: &str, specifier: &str) -> Target {
    if let Some(rest) = specifier.strip_prefix('@') {
        let Some((owner, path)) = rest.split_once('/') else { return Target::Other };
        let is_library = owner == "odoo" || path.starts_with("..");
        return if is_library { Target::Other } else { Target::Module(owner.to_owned(), without_ending(path)) };
    }
    if specifier.starts_with('.') {
        let Some(own) = module_path(within) else { return Target::Other };
        let mut folders: Vec<&str> = own.split('/').collect();
        folders.pop();
        for step in specifier.split('/') {
            match step {
                "." | "" => {}
                ".." if folders.pop().is_none() => return Target::Other,
                ".." => {}
                name => folders.push(name),
            }
        }
        return Target::Module(addon.to_owned(), without_ending(&folders.join("/")));
    }
    let is_legacy =
        specifier.split_once('.').is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty() && !specifier.contains('/'));
    if is_legacy { Target::Legacy } else { Target::Other }
}

fn without_ending(path: &str) -> String {
    path.strip_suffix(".js").unwrap_or(path).to_owned()
}
