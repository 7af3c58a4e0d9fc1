//! What: the name of an Odoo model that does not exist becomes the one that is meant; or the file that defines it is imported.
//!
//! Why: a slip in `_inherit`, a comodel, `self.env[…]` or `model=`; or the file with the Odoo model is not in its package's `__init__.py`.
//! Before: `_inherit = "res.partnr"`. After: `_inherit = "res.partner"`.
//! Since: any Odoo.

use super::edit::python::Source;
use super::edit::{Edit, apply, xml};
use super::near::ranked;
use super::scope::{Scope, missing_model};
use super::{Addon, Case, FileChange, Proposal, Rule, change, changed, proposal};
use crate::domain::{ErrorClass, RelPath};

/// The rule.
pub(super) const RULE: Rule = Rule {
    name: "model_name",
    classes: &[ErrorClass::ModelMissing, ErrorClass::FieldReferenceBroken, ErrorClass::CsvInvalid, ErrorClass::Other],
    since: 0,
    propose,
};

/// How many are proposed.
const MOST: usize = 2;

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let Some(wrong) = missing_model(case).or_else(|| of_reference(case)) else { return Vec::new() };
    if let Some(path) = defined_in(case, &scope, &wrong) {
        let changes = imported(case.addon, &path);
        return proposal(format!("{path} defines {wrong} and was not imported by its package."), changes);
    }
    if case.report.class == ErrorClass::CsvInvalid || scope.has_model(&wrong) {
        return Vec::new();
    }
    let models = scope.index.odoo_models(&scope.names);
    let own = |name: &str| scope.index.owners(name).contains(&scope.module);
    let names = ranked(&wrong, models.iter().copied(), own);
    let of = |right: &str| proposal(format!("There is no Odoo model {wrong}; {right} is meant."), renamed(case, &wrong, right));
    names.into_iter().take(MOST).flat_map(of).collect()
}

/// A row of a CSV file names an Odoo model by its external id; only one that the addon defines is of interest.
fn of_reference(case: &Case<'_>) -> Option<String> {
    let id = super::scope::missing_id(case)?;
    let wanted = id.split_once('.')?.1.strip_prefix("model_")?;
    let classes = &case.index.module(case.addon.name().as_str())?.classes;
    classes.iter().map(|class| &class.odoo_model).find(|name| name.replace('.', "_") == wanted).cloned()
}

/// The file of the addon that makes this Odoo model and that nothing imports.
fn defined_in(case: &Case<'_>, scope: &Scope<'_>, odoo_model: &str) -> Option<RelPath> {
    let classes = scope.index.classes(odoo_model).into_iter();
    let own = classes.filter(|(module, class)| *module == scope.module && class.defines());
    own.filter_map(|(_, class)| class.path.parse().ok()).find(|path| !is_imported(case.addon, path))
}

fn is_imported(addon: &Addon, path: &RelPath) -> bool {
    let Some((folder, stem)) = split(path) else { return true };
    let Some(init) = format!("{folder}/__init__.py").parse().ok() else { return true };
    let Some(text) = addon.text(&init) else { return true };
    super::scope::mentions(text, stem) > 0
}

/// The folder and the name of a file that is no `__init__.py`.
fn split(path: &RelPath) -> Option<(&str, &str)> {
    let (folder, file) = path.as_str().rsplit_once('/')?;
    Some((folder, file.strip_suffix(".py")?)).filter(|(_, stem)| *stem != "__init__")
}

/// The package's `__init__.py` with the file imported.
fn imported(addon: &Addon, path: &RelPath) -> Vec<FileChange> {
    let change_of = || -> Option<FileChange> {
        let (folder, stem) = split(path)?;
        let init: RelPath = format!("{folder}/__init__.py").parse().ok()?;
        let before = addon.text(&init)?;
        let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        Some(change(&init, before, format!("{before}{gap}from . import {stem}\n")))
    };
    change_of().into_iter().collect()
}

/// Every place in Python and data files where the name stands for itself.
fn renamed(case: &Case<'_>, wrong: &str, right: &str) -> Vec<FileChange> {
    let python = |text: &str| {
        let source = Source::parse(text)?;
        let strings = source.all("string").filter(|node| source.simple(*node) == Some(wrong));
        apply(text, strings.filter_map(|node| Some(Edit::new(source.inside(node)?, right))).collect())
    };
    let data = |text: &str| {
        let document = xml::parse(text)?;
        let attributes = document.descendants().flat_map(|node| node.attributes());
        let attributes =
            attributes.filter(|attribute| matches!(attribute.name(), "model" | "res_model" | "src_model") && attribute.value() == wrong);
        let mut edits: Vec<Edit> = attributes.filter_map(|attribute| Some(Edit::new(xml::value_range(text, &attribute)?, right))).collect();
        let texts = document.descendants().filter(|node| node.has_tag_name("field")).filter_map(|node| xml::plain_text(text, node));
        edits.extend(texts.filter(|(_, value)| *value == wrong).map(|(range, _)| Edit::new(range, right)));
        apply(text, edits)
    };
    let mut changes = if case.report.text.contains(wrong) { changed(case.addon, "py", python) } else { Vec::new() };
    changes.extend(changed(case.addon, "xml", data));
    changes
}

#[cfg(test)]
mod tests;
