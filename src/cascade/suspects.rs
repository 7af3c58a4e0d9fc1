//! Where to look: the files of an addon that an error most likely stems from, for whoever mends it by hand.
//!
//! A failing assertion stands in a test, which is mostly right; the code at fault is what the test uses. This ranks, it proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{ErrorReport, Location, Suspect};
use crate::odoo::Addon;
use crate::odoo::source::{Class, ModuleFacts};

/// How many files are named.
const MOST: usize = 5;
/// Names shorter than this are in every text.
const SHORT: usize = 4;
/// The most lines of a test that are read from the one that failed, in each direction.
const TEST_LINES: usize = 80;

/// How telling a reason is.
const NAMED: u32 = 12;
const FRAME: u32 = 10;
const LISTED: u32 = 1;
const OF_MODEL: u32 = 6;
const USED_MODEL: u32 = 4;
const USED_METHOD: u32 = 3;
const USED_FIELD: u32 = 1;
const FILE_MODEL: u32 = 2;
const USED_MOST: u32 = 8;

#[derive(Default)]
struct Tally {
    score: u32,
    line: Option<u32>,
    why: Vec<String>,
}

/// The likeliest files, the best first.
pub(super) fn suspects(report: &ErrorReport, addon: &Addon, facts: &ModuleFacts) -> Vec<Suspect> {
    let mut found: BTreeMap<String, Tally> = BTreeMap::new();
    let mut add = |path: &str, line: Option<u32>, score: u32, why: String| {
        let tally = found.entry(path.to_owned()).or_default();
        tally.score += score;
        tally.line = tally.line.or(line);
        if !tally.why.contains(&why) {
            tally.why.push(why);
        }
    };
    if let Some(place) = report.location.as_ref().filter(|place| !is_test(&place.path)) {
        add(&place.path, place.line, NAMED, "the error points there".to_owned());
    }
    for (at, (path, line)) in frames(report, addon).into_iter().enumerate() {
        add(&path, Some(line), FRAME.saturating_sub(u32::try_from(at).unwrap_or(u32::MAX)), "the error passed through it".to_owned());
    }
    named(report, facts, &mut add);
    if report.location.as_ref().is_some_and(|place| [".xml", ".csv"].iter().any(|end| place.path.ends_with(end))) {
        add(
            &format!("{}/__manifest__.py", addon.name()),
            None,
            LISTED,
            "it says what is loaded, in which order, and what it may build on".to_owned(),
        );
    }
    let test = Test::of(report, addon);
    for class in &facts.classes {
        if let Some(test) = &test {
            used(test, class, &mut add);
        }
    }
    let mut ranked: Vec<(String, Tally)> = found.into_iter().collect();
    ranked.sort_by(|(one, a), (other, b)| b.score.cmp(&a.score).then_with(|| one.cmp(other)));
    let suspect = |(path, tally): (String, Tally)| Suspect { place: Location { path, line: tally.line }, why: tally.why.join("; ") };
    ranked.into_iter().take(MOST).map(suspect).collect()
}

/// What the error names, where the addon defines it.
fn named(report: &ErrorReport, facts: &ModuleFacts, add: &mut impl FnMut(&str, Option<u32>, u32, String)) {
    let object = &report.object;
    for class in facts.classes.iter().filter(|class| object.model.as_ref().is_none_or(|model| *model == class.odoo_model)) {
        let field = object.field.as_ref().and_then(|name| Some((name, class.fields.get(name)?.line)));
        let method = object.method.as_ref().and_then(|name| Some((name, *class.methods.get(name)?)));
        for (name, line) in field.into_iter().chain(method) {
            add(&class.path, Some(line), NAMED, format!("it defines {name} of {}", class.odoo_model));
        }
        if object.model.is_some() {
            add(&class.path, Some(class.line), OF_MODEL, format!("it defines or extends {}", class.odoo_model));
        }
    }
    for id in object.xmlid.iter().chain(&object.view) {
        let name = id.rsplit('.').next().unwrap_or(id);
        if let Some(record) = facts.records.get(name) {
            add(&record.path, Some(record.line), NAMED, format!("it has the record {name}"));
        }
    }
}

/// What a test uses of a class.
fn used(test: &Test<'_>, class: &Class, add: &mut impl FnMut(&str, Option<u32>, u32, String)) {
    let odoo_model = &class.odoo_model;
    if test.function.contains(odoo_model.as_str()) {
        add(&class.path, Some(class.line), USED_MODEL, format!("the test uses {odoo_model}"));
    } else if test.file.contains(odoo_model.as_str()) {
        add(&class.path, Some(class.line), FILE_MODEL, format!("the test's file uses {odoo_model}"));
    }
    let is_used = |name: &&String| name.len() >= SHORT && test.words.contains(name.as_str());
    let methods: Vec<&String> = class.methods.keys().filter(is_used).collect();
    let fields: Vec<&String> = class.fields.keys().filter(is_used).collect();
    let count = |names: &[&String]| u32::try_from(names.len()).unwrap_or(u32::MAX);
    let score = count(&methods).saturating_mul(USED_METHOD).saturating_add(count(&fields).saturating_mul(USED_FIELD)).min(USED_MOST);
    if score > 0 {
        let line = methods.first().map(|name| class.methods[*name]);
        let names: Vec<&str> = methods.iter().chain(&fields).take(3).map(|name| name.as_str()).collect();
        add(&class.path, line, score, format!("the test uses {}", names.join(", ")));
    }
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/")
}

/// The places in the addon that the exceptions passed through, tests left out, the innermost of the last exception first.
fn frames(report: &ErrorReport, addon: &Addon) -> Vec<(String, u32)> {
    let mut found: Vec<(String, u32)> = Vec::new();
    for frame in report.chain.iter().rev().flat_map(|raised| raised.frames.iter().rev()) {
        if let Some(path) = below(&frame.file, addon).filter(|path| !is_test(path))
            && found.iter().all(|(known, _)| *known != path)
        {
            found.push((path, frame.line));
        }
    }
    found
}

/// The path of a file below the addons folder, if the addon has it.
fn below(file: &str, addon: &Addon) -> Option<String> {
    let start = file.rfind(&format!("/{}/", addon.name()))? + 1;
    let path = file[start..].parse().ok()?;
    addon.text(&path).map(|_| file[start..].to_owned())
}

/// The test that failed.
struct Test<'a> {
    file: &'a str,
    function: String,
    words: BTreeSet<String>,
}

impl<'a> Test<'a> {
    fn of(report: &ErrorReport, addon: &'a Addon) -> Option<Self> {
        let frames = report.chain.iter().flat_map(|raised| &raised.frames);
        let in_frames = frames.filter_map(|frame| Some((below(&frame.file, addon)?, frame.line))).find(|(path, _)| is_test(path));
        let located =
            || report.location.as_ref().filter(|place| is_test(&place.path)).and_then(|place| Some((place.path.clone(), place.line?)));
        let (path, line) = in_frames.or_else(located)?;
        let file = addon.text(&path.parse().ok()?)?;
        let function = around(file, usize::try_from(line).ok()?.checked_sub(1)?);
        let words = function.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect();
        Some(Self { file, function, words })
    }
}

/// The function that a line stands in, as far as indentation tells.
fn around(file: &str, line: usize) -> String {
    let lines: Vec<&str> = file.lines().collect();
    let starts = |text: &str| text.trim_start().starts_with("def ");
    let first = (line.saturating_sub(TEST_LINES)..=line).rev().find(|at| lines.get(*at).is_some_and(|text| starts(text))).unwrap_or(line);
    let end = (line + 1..line + TEST_LINES).find(|at| lines.get(*at).is_none_or(|text| starts(text))).unwrap_or(line + TEST_LINES);
    lines.get(first..end.min(lines.len())).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odoo;

    const ORDER: &str = "from odoo import fields, models\n\n\nclass Order(models.Model):\n    _name = \"m.order\"\n    _description = \"Order\"\n\n    total = fields.Float()\n\n    def action_close(self):\n        return True\n";
    const OTHER: &str = "from odoo import models\n\n\nclass Other(models.Model):\n    _name = \"m.other\"\n    _description = \"Other\"\n\n    def action_open(self):\n        return True\n";
    const TEST: &str = "from odoo.tests.common import TransactionCase\n\n\nclass TestOrder(TransactionCase):\n    def test_other(self):\n        self.env[\"m.other\"].action_open()\n\n    def test_close(self):\n        order = self.env[\"m.order\"].create({})\n        order.action_close()\n        self.assertEqual(order.total, 1)\n";

    fn addon() -> Addon {
        let files = [("models/order.py", ORDER), ("models/other.py", OTHER), ("tests/test_order.py", TEST), ("__manifest__.py", "{}")];
        Addon::new("m".parse().unwrap(), files.map(|(path, text)| (format!("m/{path}").parse().unwrap(), text.as_bytes().to_vec())))
    }

    fn of(log: &str) -> Vec<Suspect> {
        let report = odoo::reports(log).remove(0);
        suspects(&report, &addon(), &ModuleFacts::of(&addon()))
    }

    #[test]
    fn failing_assertion_leads_to_what_the_test_uses() {
        let found = of(
            "2026-11-22 19:10:18,973 648 ERROR t odoo.addons.m.tests.test_order: FAIL: TestOrder.test_close\nTraceback (most recent call last):\n  File \"/mnt/extra/m/tests/test_order.py\", line 11, in test_close\n    self.assertEqual(order.total, 1)\nAssertionError: 0.0 != 1\n",
        );
        assert_eq!(found[0].place.path, "m/models/order.py");
        assert_eq!(found[0].place.line, Some(4));
        assert!(found[0].why.contains("m.order") && found[0].why.contains("action_close"), "{}", found[0].why);
        assert_eq!(found.len(), 2, "the other one is only used elsewhere in the file, and comes after");
    }

    #[test]
    fn code_that_raised_comes_first() {
        let found = of(
            "2026-11-22 19:10:18,973 648 ERROR t odoo.addons.m.tests.test_order: ERROR: TestOrder.test_close\nTraceback (most recent call last):\n  File \"/mnt/extra/m/tests/test_order.py\", line 10, in test_close\n    order.action_close()\n  File \"/mnt/extra/m/models/other.py\", line 9, in action_open\n    return True\nKeyError: 'x'\n",
        );
        assert_eq!((found[0].place.path.as_str(), found[0].place.line), ("m/models/other.py", Some(9)));
    }

    #[test]
    fn what_is_named_is_found_where_it_is_defined() {
        let found = of(
            "2026-11-22 19:10:18,973 648 CRITICAL t odoo.service.server: Failed to initialize database `t`.\nTraceback (most recent call last):\n  File \"/usr/lib/python3/dist-packages/odoo/orm/fields.py\", line 1, in x\n    y\nValueError: Wrong @depends on '_c' (compute method of field m.order.total). Dependency field 'zzz' not found in model m.order.\n",
        );
        assert_eq!(found[0].place.path, "m/models/order.py", "{found:?}");
    }
}
