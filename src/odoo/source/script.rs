//! JavaScript and OWL templates: which modules an addon has below `static/src`, what each exports, and which templates it defines.

use std::collections::BTreeMap;

use roxmltree::{Document, ParsingOptions};
use tree_sitter::{Node, Parser, Tree};

use super::Names;

/// The longest line of a file that people wrote.
const MAX_LINE: usize = 5_000;
/// Greatest depth to which a tree is walked.
const MAX_DEPTH: usize = 200;
/// Stands before the specifier of a module all of whose names are exported again.
pub const AGAIN: char = '*';

/// A parsed JavaScript file.
pub struct ScriptFile<'t> {
    text: &'t str,
    tree: Tree,
}

/// An import of a JavaScript module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The specifier: `@web/core/utils/hooks`, `./dialog`.
    pub specifier: String,
    /// The imported names; `default` for the default export.
    pub names: Vec<String>,
    /// The line of the statement, counted from 1.
    pub line: u32,
}

impl<'t> ScriptFile<'t> {
    /// Parses a file; `None` for one that a program wrote, and for one that cannot be parsed.
    pub fn parse(text: &'t str) -> Option<Self> {
        if text.lines().any(|line| line.len() > MAX_LINE) {
            return None;
        }
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_javascript::LANGUAGE.into()).ok()?;
        let tree = parser.parse(text, None)?;
        (!tree.root_node().has_error()).then_some(Self { text, tree })
    }

    /// Returns the source of a node.
    pub fn source(&self, node: Node<'_>) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// Returns the value of a node that is a plain string.
    pub fn string(&self, node: Node<'_>) -> Option<&'t str> {
        let text = (node.kind() == "string").then(|| self.source(node))?;
        let inner = text.get(1..text.len().checked_sub(1)?)?;
        (!inner.contains('\\')).then_some(inner)
    }

    /// Returns every node of these kinds, in reading order.
    pub fn all(&self, kinds: &[&str]) -> Vec<Node<'_>> {
        let mut found = Vec::new();
        let mut open = vec![(self.tree.root_node(), 0)];
        while let Some((node, depth)) = open.pop() {
            if kinds.contains(&node.kind()) {
                found.push(node);
            }
            if depth < MAX_DEPTH {
                open.extend(named(node).into_iter().rev().map(|child| (child, depth + 1)));
            }
        }
        found
    }

    /// Returns the imports, of modules of before Odoo 17 (`require("web.core")`) as well.
    pub fn imports(&self) -> Vec<Import> {
        let statements = self.all(&["import_statement"]).into_iter().filter_map(|node| self.import(node));
        let required = self.all(&["call_expression"]).into_iter().filter_map(|node| {
            let function = node.child_by_field_name("function").filter(|function| self.source(*function) == "require")?;
            let argument = named(node.child_by_field_name("arguments")?).first().copied()?;
            Some(Import { specifier: self.string(argument)?.to_owned(), names: Vec::new(), line: line(function) })
        });
        statements.chain(required).collect()
    }

    fn import(&self, node: Node<'_>) -> Option<Import> {
        let specifier = self.string(node.child_by_field_name("source")?)?.to_owned();
        let clauses = named(node).into_iter().filter(|child| child.kind() == "import_clause").flat_map(named);
        let names = clauses.flat_map(|clause| match clause.kind() {
            "identifier" => vec!["default".to_owned()],
            "named_imports" => {
                let names = named(clause).into_iter().filter_map(|one| one.child_by_field_name("name"));
                names.map(|name| self.source(name).to_owned()).collect()
            }
            _ => Vec::new(),
        });
        Some(Import { specifier, names: names.collect(), line: line(node) })
    }

    /// Returns the exported names; `default` for the default export, and [`AGAIN`] with a specifier where all of another module are.
    pub fn exports(&self) -> Names {
        let mut found = Names::new();
        for node in self.all(&["export_statement"]) {
            let source = node.child_by_field_name("source").and_then(|source| self.string(source));
            if let Some(source) = source.filter(|_| self.source(node).trim_start_matches("export").trim_start().starts_with('*')) {
                let name = named(node).into_iter().find(|child| child.kind() == "namespace_export").and_then(|child| child.named_child(0));
                found.insert(name.map_or_else(|| format!("{AGAIN}{source}"), |name| self.source(name).to_owned()));
                continue;
            }
            if (0..node.child_count()).filter_map(|at| node.child(at)).any(|child| child.kind() == "default") {
                found.insert("default".to_owned());
            }
            for child in named(node) {
                self.exported(child, &mut found);
            }
        }
        found
    }

    fn exported(&self, node: Node<'_>, found: &mut Names) {
        match node.kind() {
            "export_clause" => {
                for one in named(node) {
                    let name = one.child_by_field_name("alias").or_else(|| one.child_by_field_name("name"));
                    found.extend(name.map(|name| self.source(name).to_owned()));
                }
            }
            "lexical_declaration" | "variable_declaration" => {
                for one in named(node).into_iter().filter_map(|one| one.child_by_field_name("name")) {
                    let names = if one.kind() == "identifier" { vec![one] } else { bound(one) };
                    found.extend(names.into_iter().map(|name| self.source(name).to_owned()));
                }
            }
            "function_declaration" | "generator_function_declaration" | "class_declaration" => {
                found.extend(node.child_by_field_name("name").map(|name| self.source(name).to_owned()));
            }
            _ => {}
        }
    }
}

/// Returns the names that a pattern binds: `const { a, b: c } = …`.
fn bound(pattern: Node<'_>) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    let mut open = vec![pattern];
    while let Some(node) = open.pop() {
        match node.kind() {
            "identifier" | "shorthand_property_identifier_pattern" => found.push(node),
            "pair_pattern" => open.extend(node.child_by_field_name("value")),
            _ => open.extend(named(node)),
        }
    }
    found
}

/// Returns the named children of a node.
pub fn named(node: Node<'_>) -> Vec<Node<'_>> {
    node.named_children(&mut node.walk()).collect()
}

/// Returns the line of a node, counted from 1.
pub fn line(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX)
}

/// Returns the path of a module below `static/src` without its ending: `core/dialog` for `static/src/core/dialog.js`.
pub fn module_path(within: &str) -> Option<&str> {
    within.strip_prefix("static/src/")?.strip_suffix(".js")
}

/// Adds what a file below `static/src` exports. One that cannot be read exports what nobody knows, so that it is an empty set.
pub(super) fn read(path: &str, text: &str, scripts: &mut BTreeMap<String, Names>) {
    let exports = ScriptFile::parse(text).map(|file| file.exports()).unwrap_or_default();
    scripts.insert(path.to_owned(), exports);
}

/// Adds the names of the templates that a file below `static/src` defines.
pub(super) fn templates(text: &str, found: &mut Names) {
    let options = ParsingOptions { nodes_limit: 200_000, ..ParsingOptions::default() };
    let Ok(document) = Document::parse_with_options(text, options) else { return };
    found.extend(document.descendants().filter_map(|node| node.attribute("t-name")).map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_read() {
        let text = "export const { a, b: [c] } = x, d = 1;\nexport async function e() {}\nexport class F {}\nexport { g, h as i };\n\
            export * from './j';\nexport * as k from '@m/k';\nexport default class L {}\nconst hidden = 1;\n";
        let exports = ScriptFile::parse(text).unwrap().exports();
        assert_eq!(
            exports.iter().map(String::as_str).collect::<Vec<_>>(),
            ["*./j", "F", "L", "a", "c", "d", "default", "e", "g", "i", "k"]
        );
    }

    #[test]
    fn imports_are_read() {
        let text =
            "import { a, b as c } from '@web/core/a';\nimport D, * as all from \"./d\";\nimport '@web/e';\nconst f = require('web.f');\n";
        let imports = ScriptFile::parse(text).unwrap().imports();
        let told: Vec<_> = imports.iter().map(|one| (one.specifier.as_str(), one.names.join(" "), one.line)).collect();
        let wanted = [("@web/core/a", "a b", 1), ("./d", "default", 2), ("@web/e", "", 3), ("web.f", "", 4)];
        assert_eq!(told, wanted.map(|(specifier, names, line)| (specifier, names.to_owned(), line)));
    }

    #[test]
    fn garbage_is_refused() {
        let deep = "(".repeat(20_000);
        for text in ["export {", "\u{0}\u{1}", &"x".repeat(MAX_LINE + 1), &deep] {
            assert!(ScriptFile::parse(text).is_none_or(|file| file.exports().is_empty()));
        }
    }
}
