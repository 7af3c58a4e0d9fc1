//! What: a method of records, a decorator or a helper that Odoo renamed, moved or dropped is called as it is now.
//!
//! Why: `'res.partner' object has no attribute 'name_get'`, `module 'odoo.api' has no attribute 'returns'`.
//! Before: `partner.name_get()[0][1]`, `fields.first(lines)`, `@api.returns("self")`.
//! After: `partner.display_name`, `lines[:1]`, no decorator.
//! A call with arguments that the new method does not take is left.
//! A row with an Odoo model is only about methods of that: what is called on its records, and what overrides it.
//! Since: each row of `changes/methods.csv` says it, and whether the new one is the same; rows of a version that was not run are not safe.

use std::sync::LazyLock;

use serde::Deserialize;
use tree_sitter::Node;

use super::edit::python::{Source, children, field, remove_statement, without_unused};
use super::edit::{Edit, apply};
use super::meaning::{Meaning, joined, only_read};
use super::near::is_near;
use super::renames::rows;
use super::scope::said;
use super::{Case, FileChange, LAST_RUN, Proposal, Rule, by_rows, changed, graded, renamed_field};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "renamed_method", classes: ErrorClass::ALL, since: 16, propose };

/// How deep calls in receivers of calls are followed.
const MAX_ROUNDS: usize = 4;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A method that only has another name.
    Name,
    /// A decorator that says nothing any more.
    Decorator,
    /// A call that is written otherwise: [`call_edit`] knows how.
    Call,
}

#[derive(Debug, Deserialize)]
struct Row {
    since: u8,
    kind: Kind,
    /// The Odoo model that the method is of; empty for what every Odoo model has.
    odoo_model: String,
    old: String,
    new: String,
    meaning: Meaning,
    evidence: String,
}

impl Row {
    fn doubt(&self) -> Option<String> {
        self.meaning.doubt(&self.old, if self.new.is_empty() { "what is written now" } else { &self.new }, &self.evidence)
    }
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| rows(include_str!("changes/methods.csv")));

/// The row of a name, if Odoo has lost it by this version.
fn row(major: u8, kind: Kind, old: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.since <= major && row.kind == kind && row.old == old && row.odoo_model.is_empty())
}

/// A method of an Odoo model under its new name.
pub(super) struct Successor {
    /// The new name.
    pub(super) name: &'static str,
    /// Why it may not be the same; `None` if it is.
    pub(super) doubt: Option<String>,
}

/// What a method of an Odoo model is called now.
pub(super) fn successor(major: u8, odoo_model: &str, old: &str) -> Option<Successor> {
    let row = ROWS.iter().find(|row| row.since <= major && row.kind == Kind::Name && row.odoo_model == odoo_model && row.old == old)?;
    let only_read = (row.since > LAST_RUN).then(|| only_read(row.since));
    Some(Successor { name: &row.new, doubt: joined(row.doubt().into_iter().chain(only_read)) })
}

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let text = &case.report.text;
    let major = case.version.major();
    let of_model = ROWS.iter().find(|row| {
        row.since <= major
            && !row.odoo_model.is_empty()
            && text.contains(&format!("'{}' object has no attribute '{}'", row.odoo_model, row.old))
    });
    if let Some(Row { odoo_model, old, .. }) = of_model {
        let Some(Successor { name, doubt }) = successor(major, odoo_model, old) else { return Vec::new() };
        let summary = format!("{odoo_model}.{old} is called {name} now: what is called follows.");
        return graded(summary, doubt, renamed(case, odoo_model, old, name));
    }
    let named = |row: &&Row| row.odoo_model.is_empty() && text.contains(&format!("has no attribute '{}'", row.old));
    let Some(row) = ROWS.iter().find(named) else { return Vec::new() };
    let summary = format!("Odoo has no {} any more: what was called is called as it is now.", row.old);
    by_rows(case, summary, row.doubt().or_else(|| own_method(case, &row.old)), |major| {
        changed(case.addon, "py", |text| mended(text, major))
    })
}

/// Why a method of the addon's own may be meant: it has nearly the name, and may have been called by it before.
fn own_method(case: &Case<'_>, old: &str) -> Option<String> {
    let [odoo_model] = said(case, &format!(r"'([\w.]+)' object has no attribute '{}'", regex::escape(old)))?;
    let classes = case.index.classes(&odoo_model).into_iter().filter(|(module, _)| *module == case.addon.name().as_str());
    let own = classes.flat_map(|(_, class)| class.methods.keys()).find(|name| is_near(old, [name.as_str()]))?;
    Some(format!("{odoo_model} has a method {own} of its own, which may be meant."))
}

/// A method of one Odoo model under another name, in Python: what is called on its records and what overrides it.
pub(super) fn renamed(case: &Case<'_>, odoo_model: &str, old: &str, new: &str) -> Vec<FileChange> {
    changed(case.addon, "py", |text| {
        let places = renamed_field::named_on(text, odoo_model, old)?;
        apply(text, places.into_iter().map(|place| Edit::new(place, new)).collect())
    })
}

fn mended(text: &str, major: u8) -> Option<String> {
    let mut after = text.to_owned();
    // A call in the receiver of another comes first, the outer one in the next round.
    for _ in 0..MAX_ROUNDS {
        match edits(&after, major).and_then(|edits| apply(&after, innermost(edits))) {
            Some(better) => after = better,
            None => break,
        }
    }
    Some(without_unused(&after, &["api"])).filter(|after| after != text)
}

/// The edits that hold no other.
fn innermost(edits: Vec<Edit>) -> Vec<Edit> {
    let holds = |outer: &Edit, inner: &Edit| outer != inner && outer.range.start <= inner.range.start && inner.range.end <= outer.range.end;
    edits.iter().filter(|edit| !edits.iter().any(|other| holds(edit, other))).cloned().collect()
}

fn edits(text: &str, major: u8) -> Option<Vec<Edit>> {
    let source = Source::parse(text)?;
    let mut edits: Vec<Edit> = source.all("call").filter_map(|call| call_edit(&source, call, major)).flatten().collect();
    for decorator in source.all("decorator") {
        let name = source.of(decorator).trim_start_matches('@').split('(').next().unwrap_or_default().trim();
        if name.strip_prefix("api.").is_some_and(|name| row(major, Kind::Decorator, name).is_some()) {
            edits.push(remove_statement(&source, decorator));
        }
    }
    Some(edits)
}

fn call_edit(source: &Source<'_>, call: Node<'_>, major: u8) -> Option<Vec<Edit>> {
    let function = field(call, "function").filter(|function| function.kind() == "attribute")?;
    let (object, name) = (field(function, "object")?, field(function, "attribute")?);
    let arguments = children(field(call, "arguments")?);
    let receiver = source.of(object);
    let whole = |new: String| Some(vec![Edit::new(call.byte_range(), new)]);
    let of_records = receiver.starts_with("self") || receiver.contains("env[");
    let old = source.of(name);
    if let Some(Row { new, .. }) = row(major, Kind::Name, old).filter(|_| old != "refresh" || of_records) {
        // What overrides the old method calls it of its parent, and is called by nobody.
        if receiver.starts_with("super(") {
            return None;
        }
        let mut edits = vec![Edit::new(name.byte_range(), new.as_str())];
        for argument in arguments.iter().filter(|_| old == "message_post_with_view") {
            let key = field(*argument, "name").filter(|key| source.of(*key) == "values");
            edits.extend(key.map(|key| Edit::new(key.byte_range(), "render_values")));
        }
        return Some(edits);
    }
    row(major, Kind::Call, old)?;
    match (old, arguments.as_slice()) {
        ("first", [records]) if receiver == "fields" => {
            let text = source.of(*records);
            let plain = matches!(records.kind(), "identifier" | "attribute" | "call" | "subscript");
            whole(if plain { format!("{text}[:1]") } else { format!("({text})[:1]") })
        }
        ("flush" | "recompute", []) if of_records => whole(format!("{receiver}.env.flush_all()")),
        ("flush", [_]) if of_records => Some(vec![Edit::new(name.byte_range(), "flush_model")]),
        ("invalidate_cache", []) => whole(format!("{receiver}.env.invalidate_all()")),
        ("invalidate_cache", [_]) => Some(vec![Edit::new(name.byte_range(), "invalidate_model")]),
        ("fields_get_keys", []) => whole(format!("list({receiver}._fields)")),
        ("name_get", []) => name_get(source, call, receiver),
        ("user_has_groups", [groups]) => {
            let groups = source.literal(*groups).filter(|groups| !groups.contains('!'))?;
            let each: Vec<String> = groups.split(',').map(|group| format!("{receiver}.env.user.has_group(\"{}\")", group.trim())).collect();
            whole(if each.len() == 1 { each.concat() } else { format!("({})", each.join(" or ")) })
        }
        ("_check_recursion", []) | ("_check_m2m_recursion", [_]) => no_cycle(source, call, receiver, &arguments),
        ("check_access_rights", _) => access_rights(source, call, receiver, &arguments),
        _ => None,
    }
}

/// `_check_recursion()` said that there is no cycle, `_has_cycle()` says that there is one.
fn no_cycle(source: &Source<'_>, call: Node<'_>, receiver: &str, arguments: &[Node<'_>]) -> Option<Vec<Edit>> {
    if receiver.starts_with("super(") {
        return None;
    }
    let field = arguments.first().map(|argument| source.of(*argument)).unwrap_or_default();
    let now = format!("{receiver}._has_cycle({field})");
    let negated = call.parent().filter(|up| up.kind() == "not_operator");
    Some(vec![match negated {
        Some(not) => Edit::new(not.byte_range(), now),
        None => Edit::new(call.byte_range(), format!("(not {now})")),
    }])
}

/// `check_access_rights` was about the Odoo model, whatever the records, and told or raised.
fn access_rights(source: &Source<'_>, call: Node<'_>, receiver: &str, arguments: &[Node<'_>]) -> Option<Vec<Edit>> {
    let (operation, raises) = match arguments {
        [operation] => (*operation, true),
        [operation, how] => {
            let value = if how.kind() == "keyword_argument" {
                field(*how, "name").filter(|name| source.of(*name) == "raise_exception")?;
                field(*how, "value")?
            } else {
                *how
            };
            (
                *operation,
                match value.kind() {
                    "true" => true,
                    "false" => false,
                    _ => return None,
                },
            )
        }
        _ => return None,
    };
    if matches!(operation.kind(), "keyword_argument" | "list_splat" | "dictionary_splat") || receiver.starts_with("super(") {
        return None;
    }
    let method = if raises { "check_access" } else { "has_access" };
    Some(vec![Edit::new(call.byte_range(), format!("{receiver}.browse().{method}({})", source.of(operation)))])
}

/// `records.name_get()[0][1]` is the name of one record; all of it are pairs.
fn name_get(source: &Source<'_>, call: Node<'_>, receiver: &str) -> Option<Vec<Edit>> {
    if receiver.starts_with("super(") {
        return None;
    }
    if let Some(name) = indexed(source, call, "0").and_then(|first| indexed(source, first, "1")) {
        return Some(vec![Edit::new(name.byte_range(), format!("{receiver}.display_name"))]);
    }
    Some(vec![Edit::new(call.byte_range(), format!("[(record.id, record.display_name) for record in {receiver}]"))])
}

/// `node[index]`.
fn indexed<'a>(source: &Source<'_>, node: Node<'a>, index: &str) -> Option<Node<'a>> {
    node.parent().filter(|up| up.kind() == "subscript" && field(*up, "subscript").is_some_and(|key| source.of(key) == index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates_in, mended_file};

    fn after(text: &str) -> Option<String> {
        mended_file(&[("a.py", text)], "a.py", ErrorClass::AttributeMissing, "AttributeError: 'x' object has no attribute 'name_get'")
    }

    #[test]
    fn own_method_of_nearly_the_name_may_be_meant() {
        let is_safe = |own: &str| {
            let python = format!(
                "class A(models.Model):\n    _name = 'm.a'\n\n    def {own}(self):\n        pass\n\n    def f(self):\n        self.refresh()\n"
            );
            let text = "AttributeError: 'm.a' object has no attribute 'refresh'";
            let found = crate::rules::testing_index::candidates(&[("a.py", &python)], ErrorClass::AttributeMissing, text);
            found.iter().any(|candidate| candidate.rule == "renamed_method" && candidate.is_safe())
        };
        assert!(is_safe("work_out"));
        assert!(!is_safe("refresh_rate"));
    }

    #[test]
    fn calls_follow() {
        for (before, expected) in [
            ("a = p.name_get()[0][1]\n", "a = p.display_name\n"),
            ("a = dict(p.name_get())\n", "a = dict([(record.id, record.display_name) for record in p])\n"),
            ("a = fields.first(self.x_ids)\n", "a = self.x_ids[:1]\n"),
            ("a = fields.first(x).name_get()[0][1]\n", "a = x[:1].display_name\n"),
            ("a = fields.first(x | y)\n", "a = (x | y)[:1]\n"),
            ("self.flush()\n", "self.env.flush_all()\n"),
            ("self.env['x'].flush(['a'])\n", "self.env['x'].flush_model(['a'])\n"),
            ("x.invalidate_cache()\n", "x.env.invalidate_all()\n"),
            ("if self.user_has_groups('a.b'):\n    pass\n", "if self.env.user.has_group(\"a.b\"):\n    pass\n"),
            ("p.message_post_with_view('a.b', values={})\n", "p.message_post_with_source('a.b', render_values={})\n"),
            (
                "from odoo import api, models\nclass A(models.Model):\n    @api.returns('self')\n    def f(self):\n        pass\n",
                "from odoo import models\nclass A(models.Model):\n    def f(self):\n        pass\n",
            ),
        ] {
            assert_eq!(after(before).as_deref(), Some(expected));
        }
    }

    #[test]
    fn every_row_is_read() {
        assert_eq!(ROWS.len() + 1, include_str!("changes/methods.csv").lines().count());
        for row in ROWS.iter() {
            assert!((16..=20).contains(&row.since) && !row.old.is_empty() && row.old != row.new, "{row:?}");
            assert_eq!(row.kind == Kind::Name, !row.new.is_empty(), "{row:?}");
            assert!(row.evidence.len() > 5 && (row.odoo_model.is_empty() || row.kind == Kind::Name), "{row:?}");
        }
    }

    #[test]
    fn what_was_only_read_is_not_sure() {
        let text = "AttributeError: 'm.x' object has no attribute '_check_recursion'";
        for (before, expected) in [
            ("if not self._check_recursion():\n    pass\n", "if self._has_cycle():\n    pass\n"),
            ("ok = self._check_recursion()\n", "ok = (not self._has_cycle())\n"),
            ("ok = self._check_m2m_recursion('a_ids')\n", "ok = (not self._has_cycle('a_ids'))\n"),
            ("x.check_access_rights('read')\n", "x.browse().check_access('read')\n"),
            ("if x.check_access_rights('read', raise_exception=False): pass\n", "if x.browse().has_access('read'): pass\n"),
            ("x.check_access_rights('read', False)\n", "x.browse().has_access('read')\n"),
            ("x.check_access_rule('read')\n", "x.check_access('read')\n"),
            ("y = x._filter_access_rules('read')\n", "y = x._filtered_access('read')\n"),
        ] {
            let found = candidates_in("20.0", &addon(&[("a.py", before)]), ErrorClass::AttributeMissing, text);
            assert!(matches!(found.as_slice(), [only] if !only.is_safe() && only.rule == "renamed_method"), "{before}");
            assert_eq!(found[0].patch.changes()[0].after, expected);
            assert!(candidates_in("19.0", &addon(&[("a.py", before)]), ErrorClass::AttributeMissing, text).is_empty(), "{before}");
        }
        for left in [
            "super()._check_recursion()\n",
            "super().check_access_rule('read')\n",
            "x.check_access_rights(*a)\n",
            "x.check_access_rights('read', y)\n",
        ] {
            let found = candidates_in("20.0", &addon(&[("a.py", left)]), ErrorClass::AttributeMissing, text);
            assert!(found.iter().all(|candidate| candidate.rule != "renamed_method"), "{left}");
        }
    }

    #[test]
    fn other_calls_are_left() {
        for text in
            ["buffer.flush()\n", "a = self.user_has_groups('!a.b')\n", "r = super().name_get()\n", "a = x.first(y)\n", "f.refresh()\n"]
        {
            assert_eq!(after(text), None, "{text}");
        }
    }
}
