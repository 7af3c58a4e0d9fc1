//! Interfaces of Odoo that changed their meaning: the name is still allowed, and does something else or nothing.

use std::sync::LazyLock;

use tree_sitter::Node;

use super::{Check, Kind, Place};
use crate::odoo::source::python::{PythonFile, children, definition};

/// Facts about series, for people to check: `since,kind,name,what_changed,evidence`.
const TABLE: &str = include_str!("changed_apis.csv");

struct Changed {
    since: u8,
    kind: String,
    name: String,
    what: String,
}

static CHANGED: LazyLock<Vec<Changed>> = LazyLock::new(|| {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(TABLE.as_bytes());
    let row = |row: csv::StringRecord| {
        let cell = |n: usize| row.get(n).map(|cell| cell.trim().to_owned());
        Some(Changed { since: cell(0)?.parse().ok()?, kind: cell(1)?, name: cell(2)?, what: cell(3)? })
    };
    reader.records().filter_map(Result::ok).filter_map(row).collect()
});

fn changed(check: &Check<'_, '_>, kind: &str, name: &str) -> Option<&'static Changed> {
    CHANGED.iter().find(|row| row.kind == kind && row.name == name && row.since <= check.version.major())
}

/// Looks at the methods of a file's classes.
pub(super) fn python(check: &Check<'_, '_>, path: &str, file: &PythonFile<'_>) {
    for class in children(file.root()).into_iter().filter_map(definition).filter(|node| node.kind() == "class_definition") {
        let Some(own) = file.head(class).odoo_model().map(str::to_owned) else { continue };
        for statement in class.child_by_field_name("body").map(children).unwrap_or_default() {
            let Some(method) = definition(statement).filter(|node| node.kind() == "function_definition") else { continue };
            let Some(name) = method.child_by_field_name("name").map(|name| file.of(name)) else { continue };
            let line = u32::try_from(method.start_position().row + 1).unwrap_or(u32::MAX);
            let place = Place { path, line };
            if let Some(row) = changed(check, "override", name) {
                let what = format!("{own}.{name}: since Odoo {}.0 {}", row.since, row.what);
                check.sink.unresolved(place, Kind::Api, name, Some(&own), what);
            }
            if name == "create"
                && let Some(row) = changed(check, "values", name)
            {
                create(check, place, file, (&own, statement, method), &row.what);
            }
        }
    }
}

/// `create` is called with a list: an override that takes it for one dictionary breaks with the first record.
fn create(check: &Check<'_, '_>, place: Place<'_>, file: &PythonFile<'_>, (own, statement, method): (&str, Node<'_>, Node<'_>), why: &str) {
    let signature = file.signature(statement);
    let Some(values) = signature.parameters.get(1).map(|parameter| parameter.name.as_str()) else { return };
    let is_multi = signature.decorators.iter().any(|decorator| decorator.ends_with("model_create_multi"));
    check.sink.checked();
    match as_dictionary(file, method, values) {
        Some(line) => {
            let what = format!("{own}.create takes {values} for one dictionary in line {line}; in Odoo {} {why}", check.version);
            check.sink.unresolved(place, Kind::Api, "create", Some(own), what);
        }
        None if !is_multi && !values.starts_with('*') => {
            let what = format!("{own}.create is not declared with @api.model_create_multi; in Odoo {} {why}", check.version);
            check.sink.deprecated(place, Kind::Api, "create", Some(own), what);
        }
        None => {}
    }
}

/// The first line that uses a parameter as only a dictionary can be used. A parameter that is bound anew, in a loop or by an assignment, or
/// whose type is asked for, may be one.
fn as_dictionary(file: &PythonFile<'_>, method: Node<'_>, name: &str) -> Option<u32> {
    let (mut open, mut found) = (vec![method.child_by_field_name("body")?], Vec::new());
    while let Some(node) = open.pop() {
        let is_it = |part: &str| node.child_by_field_name(part).is_some_and(|part| part.kind() == "identifier" && file.of(part) == name);
        let binds = matches!(node.kind(), "assignment" | "for_statement" | "for_in_clause") && is_it("left");
        let asks = node.kind() == "call"
            && is_function(file, node, "isinstance")
            && node.child_by_field_name("arguments").is_some_and(|list| file.of(list).contains(name));
        if binds || asks {
            return None;
        }
        let is_text = |part: &str| node.child_by_field_name(part).is_some_and(|part| part.kind() == "string");
        let uses = match node.kind() {
            "attribute" => {
                let method = node.child_by_field_name("attribute").map(|attribute| file.of(attribute));
                is_it("object")
                    && method.is_some_and(|method| matches!(method, "get" | "update" | "setdefault" | "items" | "keys" | "values"))
            }
            "subscript" => is_it("value") && is_text("subscript"),
            "comparison_operator" => {
                let parts = children(node);
                parts.len() == 2
                    && parts[0].kind() == "string"
                    && parts[1].kind() == "identifier"
                    && file.of(parts[1]) == name
                    && file.of(node).contains(" in ")
            }
            _ => false,
        };
        if uses {
            found.push(u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX));
        }
        open.extend(children(node));
    }
    found.into_iter().min()
}

fn is_function(file: &PythonFile<'_>, call: Node<'_>, name: &str) -> bool {
    call.child_by_field_name("function").is_some_and(|function| file.of(function) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_read() {
        let rows = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count() - 1;
        assert_eq!(CHANGED.len(), rows);
        assert!(CHANGED.iter().all(|row| row.since >= 16 && !row.what.is_empty() && matches!(row.kind.as_str(), "override" | "values")));
    }
}
