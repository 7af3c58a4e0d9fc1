//! What: a dictionary of values names a field of Odoo's under its old name.
//!
//! Why: the dictionary is made in one place and used in another, so that only the log tells which Odoo model it is for.
//! Before: `vals = {"product_uom": unit.id}`. After: `vals = {"product_uom_id": unit.id}`, in the files that the error passed through.
//! Since: each row of the table says it.

use regex::Regex;
use tree_sitter::Node;

use super::edit::python::{Source, ancestors, field};
use super::edit::{Edit, apply};
use super::renamed_odoo_model::condition::is_of;
use super::renames::{self, To};
use super::scope::mentions;
use super::{Case, Proposal, Rule, by_rows, change, frames, renamed_field};
use crate::domain::ErrorClass;
use crate::odoo::Addon;

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
    let own = renamed_field::defined(case.addon).contains(&old);
    let mut passed: Vec<_> = places.iter().map(|place| (place.path, place.text)).collect();
    passed.sort_unstable();
    passed.dedup();
    if own && !passed.iter().all(|(_, text)| is_given_only_to(case.addon, text, &old, &odoo_model)) {
        return Vec::new();
    }
    // What else names the key may read it out of the same values.
    let still_named = case.addon.texts("py").find(|(path, text)| {
        let is_passed = passed.iter().any(|(passed, _)| passed == path);
        let after = if is_passed { renamed(text, &old, write) } else { None };
        names(after.as_deref().unwrap_or(text), &old)
    });
    let doubt = renames::row(case.version.major(), &odoo_model, &old).and_then(renames::Rename::doubt).or_else(|| {
        (!own).then(|| still_named.map(|(path, _)| format!("{path} names {old} too, and may read it out of the same values.")))?
    });
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

/// Whether each dictionary of a text that has the key is only given to this Odoo model's `create` or `write`, be it by a function that
/// returns it.
fn is_given_only_to(addon: &Addon, text: &str, old: &str, odoo_model: &str) -> bool {
    let Some(source) = Source::parse(text) else { return false };
    let keys: Vec<Node<'_>> = source.all("string").filter(|node| source.simple(*node) == Some(old)).collect();
    let given = |key: &Node<'_>| {
        let Some(made) = key.parent().filter(|pair| pair.kind() == "pair").and_then(|pair| pair.parent()) else { return false };
        if made.parent().is_none_or(|up| up.kind() != "return_statement") {
            return goes_to(&source, made, odoo_model);
        }
        let function = ancestors(made).find(|up| up.kind() == "function_definition").and_then(|function| field(function, "name"));
        function.is_some_and(|name| is_called_only_for(addon, source.of(name), odoo_model))
    };
    !keys.is_empty() && keys.iter().all(given)
}

/// Whether what a function gives back is always given to the Odoo model. One that is defined twice may be called for anything.
fn is_called_only_for(addon: &Addon, function: &str, odoo_model: &str) -> bool {
    let (mut defined, mut called) = (0, 0);
    for (_, text) in addon.texts("py") {
        let Some(source) = Source::parse(text) else { return false };
        let calls: Vec<Node<'_>> = source
            .all("call")
            .filter(|call| field(*call, "function").and_then(|of| field(of, "attribute")).is_some_and(|name| source.of(name) == function))
            .collect();
        if !calls.iter().all(|call| goes_to(&source, *call, odoo_model)) {
            return false;
        }
        let definitions =
            source.all("function_definition").filter(|node| field(*node, "name").is_some_and(|name| source.of(name) == function)).count();
        // Whatever else names it may call it.
        if mentions(text, function) != definitions + calls.len() {
            return false;
        }
        (defined, called) = (defined + definitions, called + calls.len());
    }
    defined == 1 && called > 0 && !addon.texts("xml").any(|(_, text)| mentions(text, function) > 0)
}

/// Whether a value is an argument of `create` or `write` of the Odoo model, as it is, in a list or copied by `dict`.
fn goes_to(source: &Source<'_>, value: Node<'_>, odoo_model: &str) -> bool {
    let Some(up) = value.parent() else { return false };
    match up.kind() {
        "list" => goes_to(source, up, odoo_model),
        "argument_list" => {
            let Some(call) = up.parent() else { return false };
            let Some(function) = field(call, "function") else { return false };
            if source.of(function) == "dict" {
                return goes_to(source, call, odoo_model);
            }
            let makes = field(function, "attribute").is_some_and(|name| matches!(source.of(name), "create" | "write"));
            makes && field(function, "object").is_some_and(|object| is_of(source, object, odoo_model))
        }
        _ => false,
    }
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
    #[test]
    fn own_field_of_the_name_stays_where_the_values_go_to_the_other_alone() {
        let own = "class A(models.Model):\n    _name = 'm.a'\n    product_uom = fields.Char()\n\n    def _values(self):\n        return {'product_uom': self.product_uom}\n\n    def make(self):\n        return self.env['purchase.order.line'].create(dict(self._values(), name='x'))\n";
        let said = "Invalid field 'product_uom' in 'purchase.order.line'";
        assert_eq!(after(own, said), Some(own.replace("{'product_uom'", "{'product_uom_id'")));
        assert_eq!(after(&format!("{own}\n    def split(self):\n        return self.create(self._values())\n"), said), None);
        assert_eq!(after(&format!("{own}\n    def told(self):\n        return getattr(self, '_values')\n"), said), None);
    }
}
