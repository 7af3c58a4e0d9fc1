//! What: the name of an addon that does not exist becomes the one that is meant.
//!
//! Why: a slip in `depends` or in an import from `odoo.addons`.
//! Before: `"depends": ["contact"]`. After: `"depends": ["contacts"]`.
//! Since: any Odoo.

use super::edit::python::Source;
use super::edit::{Edit, apply, manifest};
use super::moved;
use super::near::{self, ranked};
use super::scope::{Scope, mentioned, said};
use super::{Case, Proposal, Rule, changed, graded, manifest_change, removal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule =
    Rule { name: "addon_name", classes: &[ErrorClass::DependencyMissing, ErrorClass::ImportModule], since: 0, propose };

/// How many are proposed.
const MOST: usize = 2;

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let Some(wrong) = missing_addon(case) else { return Vec::new() };
    if scope.index.module(&wrong).is_some() {
        return Vec::new();
    }
    // Of what Odoo once had it is known what became of it, and no near name is meant.
    let names = match moved::addon(case.version.major(), &wrong) {
        Some(_) => Vec::new(),
        // An addon whose name has more words is another one: many are called after what they build on.
        None => {
            let alike = scope.index.modules().map(|(name, _)| name).filter(|name| near::is_slip_of(&wrong, name));
            ranked(&wrong, alike, |name| scope.names.contains(name))
        }
    };
    let mut found: Vec<Proposal> = names.iter().take(MOST).flat_map(|right| renamed(case, &wrong, right)).collect();
    let is_dependency = case.addon.manifest().is_some_and(|manifest| manifest.texts("depends").contains(&wrong.as_str()));
    if names.is_empty() && is_dependency && mentioned(case, &wrong) == 1 {
        let summary = format!("There is no addon {wrong} and nothing here names anything of it: it leaves `depends`.");
        let change = manifest_change(case.addon, |text, read| {
            let list = read.list("depends")?;
            let place = list.items.iter().position(|item| item.value == wrong)?;
            apply(text, manifest::removals(text, &list, &[place]))
        });
        let doubt = format!("What {wrong} was to bring may be missed.");
        found.extend(removal(summary, doubt, change.into_iter().collect()));
    }
    found
}

/// The addon that is not there.
pub(super) fn missing_addon(case: &Case<'_>) -> Option<String> {
    if case.report.class == ErrorClass::ImportModule {
        return said::<1>(case, r"No module named '?odoo\.addons\.(\w+)").map(|[name]| name);
    }
    let quoted = said::<1>(case, r#"(?s)depends on (?:the )?module ["“«']\s?(\w+)"#).map(|[name]| name);
    quoted.or_else(|| case.report.object.name.clone()).filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn renamed(case: &Case<'_>, wrong: &str, right: &str) -> Vec<Proposal> {
    let mut changes: Vec<_> = manifest_change(case.addon, |text, read| {
        let list = read.list("depends")?;
        let item = list.items.iter().find(|item| item.value == wrong)?;
        apply(text, vec![Edit::new(item.range.start + 1..item.range.end - 1, right)])
    })
    .into_iter()
    .collect();
    changes.extend(changed(case.addon, "py", |text| import_renamed(text, wrong, right)));
    let doubt = near::doubt(case, wrong, right, case.index.modules().map(|(name, _)| name));
    graded(format!("There is no addon {wrong}; {right} is meant."), doubt, changes)
}

/// The text with every import from one addon made from another.
pub(super) fn import_renamed(text: &str, wrong: &str, right: &str) -> Option<String> {
    let source = Source::parse(text)?;
    // `odoo.addons.wrong`, the last part of which is the name or goes on below it.
    let dotted = source.all("dotted_name").filter(|node| source.of(*node).starts_with("odoo.addons."));
    let parts = dotted.filter_map(|node| node.named_child(2)).filter(|part| source.of(*part) == wrong);
    apply(text, parts.map(|part| Edit::new(part.byte_range(), right)).collect())
}

#[cfg(test)]
mod tests;
