//! Renamed fields in Python, where the Odoo model is clear from the syntax.

use tree_sitter::Node;

use super::super::edit::python::{Source, ancestors, children, field, walk};
use super::super::edit::{Edit, apply};
use super::super::renames::{To, find, is_old};

/// Methods that give records of the Odoo model they are called on.
const SAME_MODEL: [&str; 19] = [
    "sudo",
    "with_user",
    "with_context",
    "with_company",
    "with_env",
    "browse",
    "search",
    "search_fetch",
    "create",
    "copy",
    "filtered",
    "filtered_domain",
    "sorted",
    "exists",
    "concat",
    "union",
    "new",
    "with_prefetch",
    "ensure_one",
];

/// How far an expression is followed.
const MAX_HOPS: usize = 12;

/// The text with every clear use of an old field renamed.
pub(super) fn mended(text: &str, major: u8) -> Option<String> {
    let source = Source::parse(text)?;
    let mut edits = attributes(&source, major, None);
    for node in source.all("string") {
        edits.extend(string_edit(&source, node, major));
        edits.extend(cache_key_edits(&source, node, major));
    }
    apply(text, edits)
}

fn renamed(major: u8, odoo_model: &str, old: &str, writes: bool) -> Option<&'static str> {
    match find(major, odoo_model, old)? {
        To::Field { write, read } => Some(if writes { write } else { read }),
        To::Gone | To::Privilege => None,
    }
}

/// `records.old`, read or assigned.
fn attributes(source: &Source<'_>, major: u8, class: Option<&str>) -> Vec<Edit> {
    let edit = |node: Node<'_>| {
        let name = field(node, "attribute").filter(|name| is_old(major, source.of(*name)))?;
        let odoo_model = model_of(source, field(node, "object")?, class, 0)?;
        let writes = node.parent().is_some_and(|parent| parent.kind().ends_with("assignment") && field(parent, "left") == Some(node));
        Some(Edit::new(name.byte_range(), renamed(major, &odoo_model, source.of(name), writes)?))
    };
    source.all("attribute").filter_map(edit).collect()
}

/// The old name as a string: a key of values, a field of a domain, an argument of a method or decorator.
fn string_edit(source: &Source<'_>, node: Node<'_>, major: u8) -> Option<Edit> {
    let old = source.simple(node).filter(|old| is_old(major, old))?;
    let (odoo_model, writes) = match node.parent()? {
        pair if pair.kind() == "pair" && field(pair, "key") == Some(node) => (written_model(source, pair)?, true),
        tuple if matches!(tuple.kind(), "tuple" | "list") && children(tuple).first() == Some(&node) => {
            (searched_model(source, tuple)?, false)
        }
        arguments if arguments.kind() == "argument_list" => argument_model(source, arguments)?,
        subscript if subscript.kind() == "subscript" && is_values(source, field(subscript, "value")?) => (class_model(source, node)?, true),
        test if test.kind() == "comparison_operator" && is_values(source, *children(test).last()?) => (class_model(source, node)?, true),
        _ => return None,
    };
    Some(Edit::new(source.inside(node)?, renamed(major, &odoo_model, old, writes)?))
}

/// The strings of `ormcache` are Python too.
fn cache_key_edits(source: &Source<'_>, node: Node<'_>, major: u8) -> Vec<Edit> {
    let call = node.parent().and_then(|arguments| arguments.parent()).filter(|call| call.kind() == "call");
    let is_cache = call.and_then(|call| field(call, "function")).is_some_and(|function| source.of(function).ends_with("ormcache"));
    let (true, Some(range)) = (is_cache, source.inside(node)) else { return Vec::new() };
    let Some(key) = Source::parse(&source.text[range.clone()]) else { return Vec::new() };
    let class = class_model(source, node);
    let edits = attributes(&key, major, class.as_deref());
    edits.into_iter().map(|edit| Edit::new(edit.range.start + range.start..edit.range.end + range.start, edit.text)).collect()
}

/// The Odoo model that a dictionary of values is written to.
fn written_model(source: &Source<'_>, pair: Node<'_>) -> Option<String> {
    let mut holder = pair.parent()?.parent()?;
    if holder.kind() == "list" {
        holder = holder.parent()?;
    }
    let (function, receiver) = method(holder.parent().filter(|_| holder.kind() == "argument_list")?)?;
    matches!(source.of(function), "write" | "create" | "new").then(|| model_of(source, receiver, None, 0)).flatten()
}

/// The Odoo model that a domain is asked of.
fn searched_model(source: &Source<'_>, term: Node<'_>) -> Option<String> {
    if children(term).len() != 3 {
        return None;
    }
    let arguments = term.parent()?.parent().filter(|arguments| arguments.kind() == "argument_list")?;
    let (function, receiver) = method(arguments.parent()?)?;
    let searches = ["search", "search_count", "search_fetch", "search_read", "filtered_domain"];
    searches.contains(&source.of(function)).then(|| model_of(source, receiver, None, 0)).flatten()
}

/// `records.mapped("old")`, `vals.get("old")`, `@api.depends("old")`: the Odoo model, and whether the written field is meant.
fn argument_model(source: &Source<'_>, arguments: Node<'_>) -> Option<(String, bool)> {
    let (function, receiver) = method(arguments.parent()?)?;
    match source.of(function) {
        "mapped" | "filtered" | "sorted" => Some((model_of(source, receiver, None, 0)?, false)),
        "get" | "pop" if is_values(source, receiver) => Some((class_model(source, arguments)?, true)),
        decorator @ ("depends" | "constrains" | "onchange") if source.of(receiver) == "api" => {
            // What constrains and onchange watch must be what is written.
            Some((class_model(source, arguments)?, decorator != "depends"))
        }
        _ => None,
    }
}

/// The name of the method that is called and what it is called on.
fn method(call: Node<'_>) -> Option<(Node<'_>, Node<'_>)> {
    let function = field(call, "function").filter(|function| call.kind() == "call" && function.kind() == "attribute")?;
    Some((field(function, "attribute")?, field(function, "object")?))
}

fn is_values(source: &Source<'_>, node: Node<'_>) -> bool {
    matches!(source.of(node), "vals" | "values")
}

/// The Odoo model of the class around a node: its `_name`, or its `_inherit` if it has none.
fn class_model(source: &Source<'_>, node: Node<'_>) -> Option<String> {
    let body = field(ancestors(node).find(|up| up.kind() == "class_definition")?, "body")?;
    let named = source.assigned(body, "_name").or_else(|| source.assigned(body, "_inherit"))?;
    source.literal(named)
}

/// The Odoo model of the records that an expression gives, if the syntax tells.
fn model_of(source: &Source<'_>, node: Node<'_>, class: Option<&str>, hops: usize) -> Option<String> {
    if hops > MAX_HOPS {
        return None;
    }
    match node.kind() {
        "identifier" if source.of(node) == "self" => class.map(str::to_owned).or_else(|| class_model(source, node)),
        "identifier" => variable_model(source, node, class, hops),
        "attribute" => {
            let object = source.of(field(node, "object")?);
            match source.of(field(node, "attribute")?) {
                "user" if object == "env" || object.ends_with(".env") => Some("res.users".to_owned()),
                "create_uid" | "write_uid" | "user_id" => Some("res.users".to_owned()),
                _ => None,
            }
        }
        "call" => {
            let (function, receiver) = method(node)?;
            SAME_MODEL.contains(&source.of(function)).then(|| model_of(source, receiver, class, hops + 1)).flatten()
        }
        "subscript" => {
            let (value, key) = (field(node, "value")?, field(node, "subscript")?);
            let environment = source.of(value) == "env" || source.of(value).ends_with(".env");
            if environment { source.literal(key) } else { model_of(source, value, class, hops + 1) }
        }
        "parenthesized_expression" => model_of(source, *children(node).first()?, class, hops + 1),
        _ => None,
    }
}

/// A local variable: every assignment and loop of its function must agree.
fn variable_model(source: &Source<'_>, node: Node<'_>, class: Option<&str>, hops: usize) -> Option<String> {
    let name = source.of(node);
    let scope = ancestors(node).find(|up| up.kind() == "function_definition")?;
    let bound = walk(scope).filter(|up| matches!(up.kind(), "assignment" | "for_statement" | "for_in_clause"));
    let values: Vec<Option<String>> = bound
        .filter(|binding| field(*binding, "left").is_some_and(|left| source.of(left) == name))
        .map(|binding| model_of(source, field(binding, "right")?, class, hops + 4))
        .collect();
    let first = values.first()?.clone()?;
    values.iter().all(|value| value.as_ref() == Some(&first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method_of(odoo_model: &str, body: &str) -> String {
        format!("class A(models.Model):\n    _inherit = \"{odoo_model}\"\n\n    def f(self, vals, other):\n        {body}\n")
    }

    fn after(odoo_model: &str, body: &str) -> Option<String> {
        let after = mended(&method_of(odoo_model, body), 19)?;
        Some(after.strip_prefix(method_of(odoo_model, "|").split_once('|').unwrap().0).unwrap().trim_end().to_owned())
    }

    #[test]
    fn clear_uses_follow() {
        for (odoo_model, before, expected) in [
            ("x", "return self.env.user.groups_id", "return self.env.user.all_group_ids"),
            ("x", "request.env.user.groups_id = g", "request.env.user.group_ids = g"),
            ("x", "self.env.user.groups_id += g", "self.env.user.group_ids += g"),
            ("res.users", "return self.groups_id.ids", "return self.all_group_ids.ids"),
            ("res.users", "return [u.groups_id for u in self]", "return [u.all_group_ids for u in self]"),
            ("x", "u = self.env['res.users'].sudo().browse(1); u.groups_id", "u = self.env['res.users'].sudo().browse(1); u.all_group_ids"),
            ("x", "self.user_id.write({'groups_id': [(4, 1)]})", "self.user_id.write({'group_ids': [(4, 1)]})"),
            ("x", "self.env['ir.ui.menu'].create([{'groups_id': g}])", "self.env['ir.ui.menu'].create([{'group_ids': g}])"),
            ("x", "self.env['res.users'].search([('groups_id', 'in', g)])", "self.env['res.users'].search([('all_group_ids', 'in', g)])"),
            ("x", "self.env['res.groups'].browse(1).users", "self.env['res.groups'].browse(1).all_user_ids"),
            ("res.users", "return 'groups_id' in vals", "return 'group_ids' in vals"),
            ("res.users", "return vals['groups_id']", "return vals['group_ids']"),
            ("ir.ui.menu", "return self.mapped('groups_id')", "return self.mapped('group_ids')"),
        ] {
            assert_eq!(after(odoo_model, before).as_deref(), Some(expected), "{before}");
        }
    }

    #[test]
    fn unclear_uses_are_left() {
        for (odoo_model, body) in [
            ("x", "return self.groups_id"),
            ("x", "return other.groups_id"),
            ("x", "return vals['groups_id']"),
            ("x", "u = self.env.user\n        u = other\n        return u.groups_id"),
            ("res.groups", "return other.users"),
            ("x", "return {'groups_id': 1}"),
        ] {
            assert_eq!(after(odoo_model, body), None, "{body}");
        }
    }

    #[test]
    fn decorators_follow() {
        let before = "class A(models.Model):\n    _inherit = 'res.users'\n\n    @api.depends('groups_id')\n    @api.constrains('groups_id')\n    @tools.ormcache('self.env.user.groups_id.ids', 'x')\n    def f(self):\n        pass\n";
        let after =
            before.replace("depends('groups_id", "depends('all_group_ids").replace("constrains('groups_id", "constrains('group_ids");
        assert_eq!(mended(before, 19).unwrap(), after.replace("user.groups_id", "user.all_group_ids"));
    }
}
