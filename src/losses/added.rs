//! What a patch adds in order not to fail: more rights, exceptions that are swallowed, fewer records.

use std::collections::BTreeMap;

use similar::{DiffTag, TextDiff};
use tree_sitter::Node;

use super::expr::{callee, callee_around, line_of, parse, text_of};
use crate::domain::{Location, Loss, LossKind};
use crate::rules::edit::python::{Source, ancestors, children, field, walk};

/// What stands in a function and was not there before: its line after the patch.
type Found = (LossKind, String, u32);

/// What the patch of a Python file adds and ought not to.
pub(super) fn python(path: &str, before: &str, after: &str) -> Vec<Loss> {
    let (Some(was), Some(is)) = (parse(before), parse(after)) else { return Vec::new() };
    let mut count: BTreeMap<(String, String), i64> = BTreeMap::new();
    for (unit, (_, what, _)) in signs(&was) {
        *count.entry((unit, what)).or_default() += 1;
    }
    let known_functions: Vec<String> = functions(&was);
    let first_calls = |source: &Source<'_>| source.all("call").filter(|call| callee(source, *call) == "first").count();
    let first_is_gone = first_calls(&was) > first_calls(&is);
    let mut lost = Vec::new();
    for (unit, (kind, what, line)) in signs(&is) {
        // What a new function does is nothing that was otherwise before, save the rights that it takes.
        let is_new = !known_functions.contains(&unit) && !unit.is_empty();
        let replaces_first = first_is_gone && kind == LossKind::Cardinality;
        match count.get_mut(&(unit, what.clone())) {
            Some(left) if *left > 0 => *left -= 1,
            _ if (is_new && kind != LossKind::Right) || replaces_first => {}
            _ => lost.push(Loss { kind, place: Location { path: path.to_owned(), line: Some(line_before(before, after, line)) }, what }),
        }
    }
    lost
}

/// The line before a patch that a line after it stands nearest to.
pub(super) fn line_before(before: &str, after: &str, line: u32) -> u32 {
    let wanted = line.saturating_sub(1) as usize;
    let diff = TextDiff::from_lines(before, after);
    let op = diff.ops().iter().find(|op| op.new_range().contains(&wanted));
    let found = op.map_or(0, |op| match op.tag() {
        DiffTag::Equal => op.old_range().start + (wanted - op.new_range().start),
        _ => op.old_range().start,
    });
    u32::try_from(found + 1).unwrap_or(1).min(u32::try_from(before.lines().count().max(1)).unwrap_or(u32::MAX))
}

fn functions(source: &Source<'_>) -> Vec<String> {
    source.all("function_definition").map(|node| unit(source, node)).collect()
}

/// The outermost function around a node, with the classes around it.
fn unit(source: &Source<'_>, node: Node<'_>) -> String {
    let around =
        std::iter::successors(Some(node), Node::parent).filter(|up| matches!(up.kind(), "class_definition" | "function_definition"));
    let mut names: Vec<(&str, &str)> = around.filter_map(|up| Some((up.kind(), source.of(field(up, "name")?)))).collect();
    names.reverse();
    let end = names.iter().position(|(kind, _)| *kind == "function_definition").map_or(0, |place| place + 1);
    names[..end].iter().map(|(_, name)| *name).collect::<Vec<_>>().join(".")
}

fn signs(source: &Source<'_>) -> Vec<(String, Found)> {
    let mut found = Vec::new();
    for node in walk(source.root()) {
        if let Some((kind, what)) = sign(source, node) {
            found.push((unit(source, node), (kind, what, line_of(node))));
        }
    }
    found
}

fn sign(source: &Source<'_>, node: Node<'_>) -> Option<(LossKind, String)> {
    let arguments = |call: Node<'_>| field(call, "arguments").map(|list| children(list).len()).unwrap_or_default();
    match node.kind() {
        "call" => match callee(source, node) {
            "sudo" => Some((LossKind::Right, "sudo() is added: what the user may not do is done all the same".to_owned())),
            "with_user" => Some((LossKind::Right, "with_user() is added: it is done as another user".to_owned())),
            "getattr" if arguments(node) == 3 => {
                Some((LossKind::Value, "getattr() with a default is added: what is missing is passed over".to_owned()))
            }
            "hasattr" => Some((LossKind::Value, "hasattr() is added: what is missing is passed over".to_owned())),
            "filtered" | "filtered_domain" => Some((LossKind::Scope, "filtered() is added: it works on fewer records".to_owned())),
            "suppress" => Some((LossKind::Check, "an exception is swallowed by suppress()".to_owned())),
            _ => None,
        },
        "keyword_argument" if field(node, "name").is_some_and(|name| source.of(name) == "limit") => {
            let value = field(node, "value").map(|value| source.of(value)).unwrap_or_default();
            let searches = callee_around(source, node).is_some_and(|name| name.contains("search") || name == "read_group");
            (searches && value != "None").then(|| (LossKind::Scope, "a limit is added: it works on fewer records".to_owned()))
        }
        "subscript" => {
            let index = field(node, "subscript")?;
            let value = field(node, "value")?;
            let text: String = source.of(index).split_whitespace().collect();
            // The first of several results of a search or of a list; not a part of a text or of a key.
            let is_first = matches!(text.as_str(), "0" | ":1" | "-1" | "-1:" | "0:1");
            let of_texts = value.kind() == "call"
                && matches!(callee(source, value), "split" | "rsplit" | "partition" | "splitext" | "fetchone" | "groups" | "group");
            (is_first && !of_texts).then(|| (LossKind::Cardinality, format!("[{text}] is added: only one of many is used")))
        }
        "except_clause" => {
            let raises = walk(node).any(|inner| inner.kind() == "raise_statement");
            (!raises).then(|| (LossKind::Check, "an exception is swallowed by `except`".to_owned()))
        }
        "if_statement" => {
            let condition = field(node, "condition").map(|condition| source.of(condition))?;
            if matches!(condition, "False" | "0" | "None") {
                return Some((LossKind::Behaviour, format!("`if {condition}` is added: what is below it does not run")));
            }
            let body = field(node, "consequence").map(children)?;
            let skips =
                body.first().is_some_and(|first| matches!(first.kind(), "continue_statement" | "break_statement")) && body.len() == 1;
            let in_loop = ancestors(node).take_while(|up| up.kind() != "function_definition").any(|up| up.kind() == "for_statement");
            (skips && in_loop).then(|| (LossKind::Scope, "some records of a loop are passed over".to_owned()))
        }
        "return_statement" | "break_statement" | "raise_statement" => {
            let block = node.parent().filter(|parent| parent.kind() == "block")?;
            let is_last = children(block).last() == Some(&node);
            let whole = block.parent().is_some_and(|up| matches!(up.kind(), "function_definition" | "for_statement"));
            let ends_loop = node.kind() != "raise_statement" && is_last && block.parent().is_some_and(|up| up.kind() == "for_statement");
            if whole && !is_last && node.kind() != "raise_statement" {
                return Some((LossKind::Behaviour, "what comes after it does not run any more".to_owned()));
            }
            ends_loop.then(|| (LossKind::Cardinality, "a loop ends after its first record".to_owned()))
        }
        "pair" => {
            // Of two equal keys the later one counts.
            let key = field(node, "key").filter(|key| key.kind() == "string").map(|key| text_of(source, key))?;
            let dict = node.parent()?;
            let same = |other: &Node<'_>| {
                other.kind() == "pair"
                    && field(*other, "key").is_some_and(|key_of| key_of.kind() == "string" && text_of(source, key_of) == key)
            };
            let first = children(dict).into_iter().find(same)?;
            (first != node).then(|| (LossKind::Value, format!("'{key}' is written twice: the first of its values is lost")))
        }
        "boolean_operator" => {
            let constant = children(node).into_iter().map(|side| source.of(side)).find(|side| matches!(*side, "True" | "False"));
            let decides =
                ancestors(node).take_while(|up| up.kind() != "block").any(|up| matches!(up.kind(), "if_statement" | "while_statement"));
            let constant = constant.filter(|_| decides)?;
            Some((LossKind::Condition, format!("`{constant}` is added to a condition, which decides it")))
        }
        _ => None,
    }
}
