//! What: the name of an Odoo model that does not exist becomes the one that is meant.
//!
//! Why: a slip in `_inherit`, a comodel, `self.env[…]` or `model=`.
//! Before: `_inherit = "res.partnr"`. After: `_inherit = "res.partner"`.
//! Since: any Odoo.

use super::edit::python::Source;
use super::edit::{Edit, apply, xml};
use super::moved;
use super::near::{self, ranked};
use super::scope::{Scope, missing_model};
use super::{Case, FileChange, Proposal, Rule, changed, graded};
use crate::domain::ErrorClass;
use crate::odoo::Addon;

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
    let Some(wrong) = missing_model(case) else { return Vec::new() };
    // Of what Odoo once had it is known what became of it, and no near name is meant.
    let known = moved::odoo_model(case.version.major(), &wrong).is_some();
    if case.report.class == ErrorClass::CsvInvalid || known || scope.has_model(&wrong) {
        return Vec::new();
    }
    let models = scope.index.odoo_models(&scope.names);
    let own = |name: &str| scope.index.owners(name).contains(&scope.module);
    let names = ranked(&wrong, models.iter().copied(), own);
    let of = |right: &str| {
        let doubt = near::doubt(case, &wrong, right, models.iter().copied());
        graded(format!("There is no Odoo model {wrong}; {right} is meant."), doubt, renamed(case.addon, &wrong, right))
    };
    names.into_iter().take(MOST).flat_map(of).collect()
}

/// Every place in Python and data files where the name stands for itself.
pub(super) fn renamed(addon: &Addon, wrong: &str, right: &str) -> Vec<FileChange> {
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
    let mut changes = changed(addon, "py", python);
    changes.extend(changed(addon, "xml", data));
    changes
}

#[cfg(test)]
mod tests;
