//! Renamed fields in Python, where the Odoo model is clear from the syntax.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::{Deref, Range};

use tree_sitter::Node;

use super::super::edit::python::{Source, ancestors, children, field, walk};
use super::super::edit::{Edit, apply};
use super::super::renames::{Known, To, leads_to};
use super::special;
use crate::odoo::Addon;

/// Methods that give records of the Odoo model they are called on.
const SAME_MODEL: [&str; 21] = [
    "edit",
    "save",
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
/// How many nodes are looked at to follow the expressions of one file. Every variable asks all that is bound to it, and each of these
/// may be a variable again.
const MAX_STEPS: u32 = 50_000;

/// A source with the steps that are left for it.
struct Read<'s, 't> {
    source: Source<'t>,
    left: &'s Cell<u32>,
}

impl<'t> Deref for Read<'_, 't> {
    type Target = Source<'t>;

    fn deref(&self) -> &Source<'t> {
        &self.source
    }
}

impl Read<'_, '_> {
    /// `None` once all steps are used up: then nothing more is clear.
    fn step(&self) -> Option<()> {
        self.left.set(self.left.get().checked_sub(1)?);
        Some(())
    }
}

/// The text with every clear use of an old field renamed.
/// `defined`: the fields that the addon itself defines, whose names may be the old ones of others.
pub(super) fn mended(text: &str, known: &Known, defined: &BTreeSet<String>) -> Option<String> {
    let left = Cell::new(MAX_STEPS);
    let source = Read { source: Source::parse(text)?, left: &left };
    let mut edits = attributes(&source, known, None);
    let alone = |name: &str| known.find_alone(name).filter(|_| !defined.contains(name));
    for node in source.all("attribute") {
        let name = field(node, "attribute").filter(|name| edits.iter().all(|edit| edit.range != name.byte_range()));
        edits.extend(name.and_then(|name| Some(Edit::new(name.byte_range(), alone(source.of(name))?))));
    }
    for node in source.all("string") {
        let clear = string_edits(&source, node, known);
        let new = source.simple(node).filter(|_| clear.is_empty()).and_then(alone);
        edits.extend(new.and_then(|new| Some(Edit::new(source.inside(node)?, new))));
        edits.extend(clear);
        edits.extend(cache_key_edits(&source, node, known));
    }
    apply(text, edits)
}

fn renamed(known: &Known, odoo_model: &str, old: &str, writes: bool) -> Option<&'static str> {
    match known.find(odoo_model, old)? {
        To::Field { write, read: Some(read) } => Some(if writes { write } else { read }),
        // A value that is written may meet another one there.
        To::Merged { into } if !writes => Some(into),
        To::Field { .. } | To::Gone { .. } | To::Merged { .. } | To::Inverted { .. } | To::Privilege => None,
    }
}

/// `records.old`, read or assigned.
fn attributes(source: &Read<'_, '_>, known: &Known, class: Option<&str>) -> Vec<Edit> {
    let edit = |node: Node<'_>| {
        let name = field(node, "attribute").filter(|name| known.is_old(source.of(*name)))?;
        let odoo_model = model_of(source, field(node, "object")?, class, 0)?;
        let writes = node.parent().is_some_and(|parent| parent.kind().ends_with("assignment") && field(parent, "left") == Some(node));
        if let Some(To::Inverted { write }) = known.find(&odoo_model, source.of(name)) {
            return special::negated(source, node, name, write);
        }
        Some(vec![Edit::new(name.byte_range(), renamed(known, &odoo_model, source.of(name), writes)?)])
    };
    source.all("attribute").filter_map(edit).flatten().collect()
}

/// Where a text names a method of an Odoo model: what is called on its records, `super()` included, and what overrides it.
pub(super) fn named_on(text: &str, odoo_model: &str, name: &str) -> Option<Vec<Range<usize>>> {
    if !text.contains(name) {
        return None;
    }
    let left = Cell::new(MAX_STEPS);
    let source = Read { source: Source::parse(text)?, left: &left };
    let called = source.all("attribute").filter_map(|node| {
        let attribute = field(node, "attribute").filter(|attribute| source.of(*attribute) == name)?;
        let object = field(node, "object")?;
        let own = || class_model(&source, node).filter(|_| source.of(object).starts_with("super("));
        (own().or_else(|| model_of(&source, object, None, 0)).as_deref() == Some(odoo_model)).then(|| attribute.byte_range())
    });
    let overridden = source.all("function_definition").filter_map(|node| {
        let own = field(node, "name").filter(|own| source.of(*own) == name)?;
        (class_model(&source, node).as_deref() == Some(odoo_model)).then(|| own.byte_range())
    });
    Some(called.chain(overridden).collect())
}

/// Names of fields that the addon defines.
pub(super) fn defined(addon: &Addon) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, text) in addon.texts("py") {
        let Some(source) = Source::parse(text) else { continue };
        let fields =
            source.all("assignment").filter(|node| field(*node, "right").is_some_and(|right| source.of(right).starts_with("fields.")));
        found.extend(fields.filter_map(|node| field(node, "left")).map(|left| source.of(left).to_owned()));
    }
    found
}

/// The old name in a string, alone or in a path.
fn string_edits(source: &Read<'_, '_>, node: Node<'_>, known: &Known) -> Vec<Edit> {
    if let Some(edit) = membership_edit(source, node, known) {
        return vec![edit];
    }
    if let Some(edits) = value_edits(source, node, known) {
        return edits;
    }
    match source.simple(node) {
        Some(path) if path.contains('.') => path_edits(source, node, known).unwrap_or_default(),
        _ => string_edit(source, node, known).into_iter().collect(),
    }
}

/// A term of a domain over a field that led to one record and leads to several now: whether a record is among them is asked in the same way.
fn membership_edit(source: &Read<'_, '_>, node: Node<'_>, known: &Known) -> Option<Edit> {
    let old = source.simple(node).filter(|old| known.is_old(old))?;
    let term = node.parent().filter(|parent| matches!(parent.kind(), "tuple" | "list"))?;
    let [name, operator, value] = children(term).try_into().ok()?;
    let asks = name == node && matches!(source.simple(operator), Some("=" | "in"));
    // Without a value it asks for records that have none.
    let has_value = !walk(value).any(|part| matches!(part.kind(), "false" | "none"));
    let new = known.several(&searched_model(source, term)?, old).filter(|_| asks && has_value)?;
    Some(Edit::new(source.inside(node)?, new))
}

/// A value that is written to a field that is gone, was merged into another or says the opposite.
fn value_edits(source: &Read<'_, '_>, node: Node<'_>, known: &Known) -> Option<Vec<Edit>> {
    let old = source.simple(node).filter(|old| known.is_old(old))?;
    let parent = node.parent()?;
    if matches!(parent.kind(), "tuple" | "list") && children(parent).first() == Some(&node) {
        let To::Inverted { write } = known.find(&searched_model(source, parent)?, old)? else { return None };
        return special::inverted_term(source, parent, node, write);
    }
    let pair = Some(parent).filter(|pair| pair.kind() == "pair" && field(*pair, "key") == Some(node))?;
    let value = field(pair, "value")?;
    let odoo_model = written_model(source, pair, 0)?;
    match known.find(&odoo_model, old)? {
        To::Gone { idle, .. } => {
            known.drops(&odoo_model, old, idle, Some(source.of(value))).then(|| Some(vec![special::without(pair)?]))?
        }
        To::Merged { into } => special::merged(source, pair, into, known),
        To::Inverted { write } => Some(vec![Edit::new(source.inside(node)?, write), special::inverted(source, value)]),
        _ => None,
    }
}

/// `@api.depends("lines.old")`, `related="lines.old"`, `mapped("lines.old")`: each step in the Odoo model that it stands in.
fn path_edits(source: &Read<'_, '_>, node: Node<'_>, known: &Known) -> Option<Vec<Edit>> {
    let path = source.simple(node)?;
    let inside = source.inside(node)?;
    let parent = node.parent()?;
    let mut odoo_model = match parent.kind() {
        "keyword_argument" if field(parent, "name").is_some_and(|name| source.of(name) == "related") => class_model(source, node)?,
        "argument_list" => argument_model(source, parent)?.0,
        "tuple" | "list" if children(parent).first() == Some(&node) => searched_model(source, parent)?,
        _ => return None,
    };
    let mut edits = Vec::new();
    let mut start = inside.start;
    for step in path.split('.') {
        if let Some(new) = renamed(known, &odoo_model, step, false) {
            edits.push(Edit::new(start..start + step.len(), new));
        }
        let Some(next) = leads_to(Some(&odoo_model), step) else { break };
        odoo_model = next.to_owned();
        start += step.len() + 1;
    }
    Some(edits)
}

/// The old name as a string: a key of values, a field of a domain, an argument of a method or decorator.
fn string_edit(source: &Read<'_, '_>, node: Node<'_>, known: &Known) -> Option<Edit> {
    let old = source.simple(node).filter(|old| known.is_old(old))?;
    let (odoo_model, writes) = match node.parent()? {
        pair if pair.kind() == "pair" && field(pair, "key") == Some(node) => (written_model(source, pair, 0)?, true),
        tuple if matches!(tuple.kind(), "tuple" | "list") && children(tuple).first() == Some(&node) => {
            (searched_model(source, tuple)?, false)
        }
        arguments if arguments.kind() == "argument_list" => argument_model(source, arguments)?,
        subscript if subscript.kind() == "subscript" && is_values(source, field(subscript, "value")?) => (class_model(source, node)?, true),
        test if test.kind() == "comparison_operator" && is_values(source, *children(test).last()?) => (class_model(source, node)?, true),
        _ => return None,
    };
    Some(Edit::new(source.inside(node)?, renamed(known, &odoo_model, old, writes)?))
}

/// The strings of `ormcache` are Python too.
fn cache_key_edits(source: &Read<'_, '_>, node: Node<'_>, known: &Known) -> Vec<Edit> {
    let call = node.parent().and_then(|arguments| arguments.parent()).filter(|call| call.kind() == "call");
    let is_cache = call.and_then(|call| field(call, "function")).is_some_and(|function| source.of(function).ends_with("ormcache"));
    let (true, Some(range)) = (is_cache, source.inside(node)) else { return Vec::new() };
    let Some(key) = Source::parse(&source.text[range.clone()]) else { return Vec::new() };
    let key = Read { source: key, left: source.left };
    let class = class_model(source, node);
    let edits = attributes(&key, known, class.as_deref());
    edits.into_iter().map(|edit| Edit::new(edit.range.start + range.start..edit.range.end + range.start, edit.text)).collect()
}

/// The Odoo model that a dictionary of values is written to: by a method, or as a line of other values.
fn written_model(source: &Read<'_, '_>, pair: Node<'_>, hops: usize) -> Option<String> {
    let dictionary = pair.parent()?;
    let mut holder = dictionary.parent()?;
    // `(0, 0, {…})` and `Command.create({…})` in the list under the name of a field.
    let is_command = holder.kind() == "tuple" && children(holder).len() == 3;
    let called = holder.parent().and_then(method);
    if is_command || called.is_some_and(|(_, object)| source.of(object).ends_with("Command")) {
        let line = if is_command { holder } else { holder.parent()? };
        let list = line.parent().filter(|list| list.kind() == "list")?;
        let outer = list.parent().filter(|outer| outer.kind() == "pair" && hops < MAX_HOPS)?;
        let name = source.literal(field(outer, "key")?)?;
        return leads_to(Some(&written_model(source, outer, hops + 1)?), &name).map(str::to_owned);
    }
    if holder.kind() == "list" {
        holder = holder.parent()?;
    }
    let (function, receiver) = method(holder.parent().filter(|_| holder.kind() == "argument_list")?)?;
    matches!(source.of(function), "write" | "create" | "new").then(|| model_of(source, receiver, None, 0)).flatten()
}

/// The Odoo model that a domain is asked of.
fn searched_model(source: &Read<'_, '_>, term: Node<'_>) -> Option<String> {
    if children(term).len() != 3 {
        return None;
    }
    let arguments = term.parent()?.parent().filter(|arguments| arguments.kind() == "argument_list")?;
    let (function, receiver) = method(arguments.parent()?)?;
    let searches = ["search", "search_count", "search_fetch", "search_read", "filtered_domain"];
    searches.contains(&source.of(function)).then(|| model_of(source, receiver, None, 0)).flatten()
}

/// `records.mapped("old")`, `vals.get("old")`, `@api.depends("old")`: the Odoo model, and whether the written field is meant.
fn argument_model(source: &Read<'_, '_>, arguments: Node<'_>) -> Option<(String, bool)> {
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

fn is_values(source: &Read<'_, '_>, node: Node<'_>) -> bool {
    matches!(source.of(node), "vals" | "values")
}

/// The Odoo model of the class around a node: its `_name`, or its `_inherit` if it has none.
fn class_model(source: &Read<'_, '_>, node: Node<'_>) -> Option<String> {
    let body = field(ancestors(node).find(|up| up.kind() == "class_definition")?, "body")?;
    let named = source.assigned(body, "_name").or_else(|| source.assigned(body, "_inherit"))?;
    source.literal(named)
}

/// The Odoo model of the records that an expression gives, if the syntax tells.
fn model_of(source: &Read<'_, '_>, node: Node<'_>, class: Option<&str>, hops: usize) -> Option<String> {
    if hops > MAX_HOPS {
        return None;
    }
    source.step()?;
    match node.kind() {
        "identifier" if source.of(node) == "self" => class.map(str::to_owned).or_else(|| class_model(source, node)),
        "identifier" => variable_model(source, node, class, hops),
        "attribute" => {
            let object = source.of(field(node, "object")?);
            let name = source.of(field(node, "attribute")?);
            match name {
                "user" if object == "env" || object.ends_with(".env") => return Some("res.users".to_owned()),
                "company" if object == "env" || object.ends_with(".env") => return Some("res.company".to_owned()),
                _ => {}
            }
            let kept = matches!(object, "self" | "cls").then(|| kept_model(source, name, hops)).flatten();
            kept.or_else(|| {
                let of_object = model_of(source, field(node, "object")?, class, hops + 1);
                leads_to(of_object.as_deref(), name).map(str::to_owned)
            })
        }
        "call" if source.of(field(node, "function")?) == "Form" => {
            model_of(source, *children(field(node, "arguments")?).first()?, class, hops + 1)
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

/// `self.order` of a test, given a value once: every assignment in the file must agree.
fn kept_model(source: &Read<'_, '_>, name: &str, hops: usize) -> Option<String> {
    let is_it = |left: Node<'_>| matches!(source.of(left).split_once('.'), Some(("self" | "cls", rest)) if rest == name);
    let bound = |node: Node<'_>| node.kind() == "assignment" && field(node, "left").is_some_and(is_it);
    agreed(source, source.root(), None, hops, |node| bound(node).then(|| field(node, "right")))
}

/// A local variable: every assignment and loop of its function must agree.
fn variable_model(source: &Read<'_, '_>, node: Node<'_>, class: Option<&str>, hops: usize) -> Option<String> {
    let name = source.of(node);
    let scope = ancestors(node).find(|up| up.kind() == "function_definition")?;
    let is = |node: Node<'_>, role: &str| field(node, role).is_some_and(|part| source.of(part) == name);
    agreed(source, scope, class, hops, |node| match node.kind() {
        "assignment" | "for_statement" | "for_in_clause" if is(node, "left") => Some(field(node, "right")),
        // `with Form(order) as form`
        "as_pattern" if is(node, "alias") => Some(children(node).first().copied()),
        _ => None,
    })
}

/// The Odoo model of all values that are bound in `scope`; the first that is another or unclear ends it.
fn agreed<'a>(
    source: &Read<'_, '_>,
    scope: Node<'a>,
    class: Option<&str>,
    hops: usize,
    value: impl Fn(Node<'a>) -> Option<Option<Node<'a>>>,
) -> Option<String> {
    let mut found: Option<String> = None;
    for node in walk(scope) {
        source.step()?;
        let Some(value) = value(node) else { continue };
        let odoo_model = model_of(source, value?, class, hops + 4)?;
        if found.as_ref().is_some_and(|found| *found != odoo_model) {
            return None;
        }
        found = Some(odoo_model);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::renames::RENAMES;

    /// Every row of 19, as if the error named it.
    fn all() -> Known {
        Known::new(19, RENAMES.iter().filter(|row| row.since <= 19).collect())
    }

    fn method_of(odoo_model: &str, body: &str) -> String {
        format!("class A(models.Model):\n    _inherit = \"{odoo_model}\"\n\n    def f(self, vals, other):\n        {body}\n")
    }

    fn after(odoo_model: &str, body: &str) -> Option<String> {
        let after = mended(&method_of(odoo_model, body), &all(), &BTreeSet::new())?;
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
            ("sale.order", "return self.order_line.tax_id", "return self.order_line.tax_ids"),
            ("sale.order", "return self.mapped('order_line.tax_id')", "return self.mapped('order_line.tax_ids')"),
            (
                "x",
                "self.env['sale.order'].create({'order_line': [(0, 0, {'tax_id': t, 'product_uom': u})]})",
                "self.env['sale.order'].create({'order_line': [(0, 0, {'tax_ids': t, 'product_uom_id': u})]})",
            ),
            ("x", "self.env['stock.move'].create({'name': 'x', 'a': 1})", "self.env['stock.move'].create({'a': 1})"),
            ("x", "return other.move_ids_without_package", "return other.move_ids"),
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
        assert_eq!(mended(before, &all(), &BTreeSet::new()).unwrap(), after.replace("user.groups_id", "user.all_group_ids"));
    }

    #[test]
    fn variables_of_variables_end() {
        let clear = "    x = y\n    y = z\n    z = self.env['sale.order.line']\n    x.tax_id\n";
        let of = |body: String| format!("def f(self):\n{body}");
        assert_eq!(mended(&of(clear.to_owned()), &all(), &BTreeSet::new()).unwrap(), of(clear.replace("tax_id", "tax_ids")));
        for hostile in [clear.repeat(500), "    x = x.tax_id\n".repeat(2000), "    self.x = self.x.tax_id\n".repeat(2000)] {
            assert_eq!(mended(&of(hostile), &all(), &BTreeSet::new()), None);
        }
    }
}
