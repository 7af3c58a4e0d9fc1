//! What: a method of records, a decorator or a helper that Odoo renamed, moved or dropped is called as it is now.
//!
//! Why: `'res.partner' object has no attribute 'name_get'`, `module 'odoo.api' has no attribute 'returns'`.
//! Before: `partner.name_get()[0][1]`, `fields.first(lines)`, `@api.returns("self")`.
//! After: `partner.display_name`, `lines[:1]`, no decorator.
//! A call with arguments that the new method does not take is left.
//! Since: each row of the tables says it.

use tree_sitter::Node;

use super::edit::python::{Source, children, field, remove_statement, without_unused};
use super::edit::{Edit, apply};
use super::{Case, Proposal, Rule, changed, proposal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "renamed_method", classes: ErrorClass::ALL, since: 16, propose };

/// Methods that only have another name: since, old, new.
const METHODS: &[(u8, &str, &str)] = &[
    (16, "get_xml_id", "get_external_id"),
    (16, "refresh", "invalidate_recordset"),
    (17, "message_post_with_view", "message_post_with_source"),
];
/// Decorators that say nothing any more: since, name.
const DECORATORS: &[(u8, &str)] =
    &[(16, "multi"), (16, "model_cr"), (16, "model_cr_context"), (16, "noguess"), (16, "cr"), (19, "returns")];
/// How deep calls in receivers of calls are followed.
const MAX_ROUNDS: usize = 4;
/// Everything that an error may name.
const NAMES: [&str; 16] = [
    "get_xml_id",
    "refresh",
    "message_post_with_view",
    "multi",
    "model_cr",
    "model_cr_context",
    "noguess",
    "cr",
    "returns",
    "name_get",
    "user_has_groups",
    "fields_get_keys",
    "flush",
    "invalidate_cache",
    "recompute",
    "first",
];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let text = &case.report.text;
    let Some(name) = NAMES.iter().find(|name| text.contains(&format!("has no attribute '{name}'"))) else { return Vec::new() };
    let major = case.version.major();
    let changes = changed(case.addon, "py", |text| {
        let mut after = text.to_owned();
        // A call in the receiver of another comes first, the outer one in the next round.
        for _ in 0..MAX_ROUNDS {
            match edits(&after, major).and_then(|edits| apply(&after, innermost(edits))) {
                Some(better) => after = better,
                None => break,
            }
        }
        Some(without_unused(&after, &["api"])).filter(|after| after != text)
    });
    proposal(format!("Odoo has no {name} any more: what was called is called as it is now."), changes)
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
        if DECORATORS.iter().any(|row| row.0 <= major && name.strip_prefix("api.") == Some(row.1)) {
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
    match (source.of(name), arguments.as_slice()) {
        ("first", [records]) if receiver == "fields" && major >= 19 => {
            let text = source.of(*records);
            let plain = matches!(records.kind(), "identifier" | "attribute" | "call" | "subscript");
            whole(if plain { format!("{text}[:1]") } else { format!("({text})[:1]") })
        }
        ("flush" | "recompute", []) if of_records => whole(format!("{receiver}.env.flush_all()")),
        ("flush", [_]) if of_records => Some(vec![Edit::new(name.byte_range(), "flush_model")]),
        ("invalidate_cache", []) => whole(format!("{receiver}.env.invalidate_all()")),
        ("invalidate_cache", [_]) => Some(vec![Edit::new(name.byte_range(), "invalidate_model")]),
        ("fields_get_keys", []) => whole(format!("list({receiver}._fields)")),
        ("name_get", []) if major >= 17 => name_get(source, call, receiver),
        ("user_has_groups", [groups]) if major >= 18 => {
            let groups = source.literal(*groups).filter(|groups| !groups.contains('!'))?;
            let each: Vec<String> = groups.split(',').map(|group| format!("{receiver}.env.user.has_group(\"{}\")", group.trim())).collect();
            whole(if each.len() == 1 { each.concat() } else { format!("({})", each.join(" or ")) })
        }
        (old, _) => {
            let row = METHODS.iter().find(|row| row.0 <= major && row.1 == old && (old != "refresh" || of_records))?;
            let mut edits = vec![Edit::new(name.byte_range(), row.2)];
            for argument in arguments.iter().filter(|_| old == "message_post_with_view") {
                let key = field(*argument, "name").filter(|key| source.of(*key) == "values");
                edits.extend(key.map(|key| Edit::new(key.byte_range(), "render_values")));
            }
            Some(edits)
        }
    }
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
    use crate::rules::testing::mended_file;

    fn after(text: &str) -> Option<String> {
        mended_file(&[("a.py", text)], "a.py", ErrorClass::AttributeMissing, "AttributeError: 'x' object has no attribute 'name_get'")
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
    fn other_calls_are_left() {
        for text in
            ["buffer.flush()\n", "a = self.user_has_groups('!a.b')\n", "r = super().name_get()\n", "a = x.first(y)\n", "f.refresh()\n"]
        {
            assert_eq!(after(text), None, "{text}");
        }
    }
}
