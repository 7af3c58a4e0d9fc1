//! What: a dictionary of values names a field of Odoo's under its old name.
//!
//! Why: the dictionary is made in one place and used in another, so that only the log tells which Odoo model it is for.
//! Before: `vals = {"product_uom": unit.id}`. After: `vals = {"product_uom_id": unit.id}`, in the files that the error passed through.
//! Since: each row of the table says it.

use regex::Regex;
use tree_sitter::Node;

use super::edit::python::{Source, field};
use super::edit::{Edit, apply};
use super::renames::{self, To};
use super::{Case, Proposal, Rule, by_rows, change, frames, renamed_field};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "renamed_key", classes: &[ErrorClass::FieldInvalid], since: 16, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some((odoo_model, old)) = said(&case.report.text) else { return Vec::new() };
    let places = frames::places(case.report, case.addon);
    let of = |major: u8| match renames::find(major, &odoo_model, &old) {
        Some(To::Field { write, .. }) => Some(write),
        // Where both are given, one of them has no place any more.
        Some(To::Merged { into }) => Some(into).filter(|into| !places.iter().any(|place| names(place.text, into))),
        _ => None,
    };
    let Some(write) = of(case.version.major()) else { return Vec::new() };
    // Where the addon has a field of this name itself, a key may stand for that.
    if renamed_field::defined(case.addon).contains(&old) {
        return Vec::new();
    }
    let mut passed: Vec<_> = places.iter().map(|place| (place.path, place.text)).collect();
    passed.sort_unstable();
    passed.dedup();
    let doubt = renames::row(case.version.major(), &odoo_model, &old).and_then(renames::Rename::doubt);
    by_rows(case, format!("{odoo_model}.{old} is called {write} now: the values that are made for it follow."), doubt, |major| {
        let Some(write) = of(major) else { return Vec::new() };
        passed.iter().filter_map(|(path, text)| Some(change(path, text, renamed(text, &old, write)?))).collect()
    })
}

/// The Odoo model and the field that an error about values names.
fn said(text: &str) -> Option<(String, String)> {
    let pattern = Regex::new(r"Invalid field '(\w+)' (?:in|on|on model) '([\w.]+)'").ok()?;
    let found = pattern.captures(text)?;
    Some((found[2].to_owned(), found[1].to_owned()))
}

/// Whether a text has the name as a string.
fn names(text: &str, name: &str) -> bool {
    Source::parse(text).is_some_and(|source| source.all("string").any(|node| source.simple(node) == Some(name)))
}

/// The text with the keys of dictionaries, and subscripts that are written to, under the new name.
fn renamed(text: &str, old: &str, new: &str) -> Option<String> {
    let source = Source::parse(text)?;
    let is_key = |node: &Node<'_>| {
        let Some(parent) = node.parent() else { return false };
        let in_pair = parent.kind() == "pair" && field(parent, "key") == Some(*node);
        let written = parent.kind() == "subscript"
            && field(parent, "subscript") == Some(*node)
            && parent.parent().is_some_and(|up| up.kind() == "assignment" && field(up, "left") == Some(parent));
        in_pair || written
    };
    let keys = source.all("string").filter(|node| source.simple(*node) == Some(old) && is_key(node));
    apply(text, keys.filter_map(|node| Some(Edit::new(source.inside(node)?, new))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, report};

    const BEFORE: &str = "class A(models.Model):\n    _name = 'm.a'\n\n    def make(self):\n        vals = {'product_uom': self.unit_id.id}\n        vals['product_uom'] = 1\n        return self.env['purchase.order'].create({'order_line': [(0, 0, vals)]}), self.x['product_uom']\n";

    fn after(python: &str, said: &str) -> Option<String> {
        let addon = addon(&[("models/a.py", python)]);
        let text = format!(
            "Traceback (most recent call last):\n  File \"/mnt/extra/m/models/a.py\", line 7, in make\n    return x\nValueError: {said}\n"
        );
        let mut report = report(ErrorClass::FieldInvalid, &text);
        report.chain = vec![crate::domain::Raised {
            exception: "ValueError".to_owned(),
            message: said.to_owned(),
            frames: vec![crate::domain::Frame {
                file: "/mnt/extra/m/models/a.py".to_owned(),
                line: 7,
                function: "make".to_owned(),
                source: String::new(),
            }],
        }];
        let case = Case { report: &report, addon: &addon, version: &"19.0".parse().unwrap(), index: Default::default() };
        let patch = propose(&case).into_iter().next()?.patch;
        addon.with(&patch).text(&addon.path("models/a.py")?).map(str::to_owned)
    }

    #[test]
    fn values_are_made_under_the_new_name() {
        let expected = BEFORE.replace("{'product_uom'", "{'product_uom_id'").replace("vals['product_uom']", "vals['product_uom_id']");
        assert_eq!(after(BEFORE, "Invalid field 'product_uom' in 'purchase.order.line'"), Some(expected));
    }

    #[test]
    fn other_fields_and_own_ones_stay() {
        assert_eq!(after(BEFORE, "Invalid field 'product_uom' in 'stock.thing'"), None);
        let own = BEFORE.replace("    def make", "    product_uom = fields.Char()\n\n    def make");
        assert_eq!(after(&own, "Invalid field 'product_uom' in 'purchase.order.line'"), None);
    }
}
