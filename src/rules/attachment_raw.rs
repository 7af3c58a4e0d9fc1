//! What: an attachment is made of `raw` bytes where it was made of the same bytes in base64.
//!
//! Why: Odoo 20 has no `ir.attachment.datas`: a value for it is dropped, and the attachment is empty.
//! Before: `self.env["ir.attachment"].create({"datas": base64.b64encode(content)})`.
//! After: `self.env["ir.attachment"].create({"raw": content})`.
//! Only where both the Odoo model and the encoding stand in the call; what is read, or encoded elsewhere, is left.
//! Not sure: nothing was run against Odoo 20.
//! Since: Odoo 20.

use tree_sitter::Node;

use super::edit::python::{Source, ancestors, children, field};
use super::edit::{Edit, apply};
use super::meaning::only_read;
use super::{Case, Proposal, Rule, changed, unsure};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "attachment_raw", classes: ErrorClass::ALL, since: 20, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    if !["'datas'", ".datas", "\"datas\""].iter().any(|name| case.report.text.contains(name)) {
        return Vec::new();
    }
    let changes = changed(case.addon, "py", |text| {
        let source = Source::parse(text)?;
        apply(text, source.all("pair").filter_map(|pair| edits(&source, pair)).flatten().collect())
    });
    unsure("Odoo has no `datas` of attachments any more: they are made of the `raw` bytes.", only_read(20), changes)
}

/// `"datas": base64.b64encode(content)` in a call of the Odoo model `ir.attachment`.
fn edits(source: &Source<'_>, pair: Node<'_>) -> Option<[Edit; 2]> {
    let (key, value) = (field(pair, "key")?, field(pair, "value")?);
    if source.simple(key) != Some("datas") || value.kind() != "call" {
        return None;
    }
    let encodes = matches!(source.of(field(value, "function")?), "base64.b64encode" | "b64encode");
    let arguments = children(field(value, "arguments")?);
    let [content] = arguments.as_slice() else { return None };
    let call = ancestors(pair).find(|up| up.kind() == "call")?;
    let function = field(call, "function").map(|function| source.of(function))?;
    let of_attachments = ["[\"ir.attachment\"]", "['ir.attachment']"].iter().any(|name| function.contains(name));
    let plain = !matches!(content.kind(), "keyword_argument" | "list_splat" | "dictionary_splat");
    if !(encodes && of_attachments && plain) {
        return None;
    }
    Some([Edit::new(source.inside(key)?, "raw"), Edit::new(value.byte_range(), source.of(*content))])
}

#[cfg(test)]
mod tests {
    use crate::domain::ErrorClass;
    use crate::rules::testing::{addon, candidates_in};

    fn after(version: &str, python: &str) -> Option<String> {
        let text = "ir.attachment has no field 'datas'";
        let found = candidates_in(version, &addon(&[("a.py", python)]), ErrorClass::Other, text);
        let only = found.into_iter().find(|candidate| candidate.rule == "attachment_raw")?;
        assert!(!only.is_safe());
        Some(only.patch.changes()[0].after.clone())
    }

    #[test]
    fn encoded_bytes_are_given_as_they_are() {
        let before = "import base64\nself.env['ir.attachment'].sudo().create([{'name': 'x', 'datas': base64.b64encode(a + b)}])\n";
        let expected = "import base64\nself.env['ir.attachment'].sudo().create([{'name': 'x', 'raw': a + b}])\n";
        assert_eq!(after("20.0", before).as_deref(), Some(expected));
        assert_eq!(after("19.0", before), None);
    }

    #[test]
    fn what_may_be_something_else_is_left() {
        for text in [
            "self.env['m.x'].create({'datas': base64.b64encode(a)})\n",
            "vals = {'datas': base64.b64encode(a)}\n",
            "self.env['ir.attachment'].create({'datas': a})\n",
            "self.env['ir.attachment'].create({'datas': base64.b64encode(*a)})\n",
            "self.env['ir.attachment'].create({'datas': base64.b64encode(a).decode()})\n",
            "x = attachment.datas\n",
            "(",
        ] {
            assert_eq!(after("20.0", text), None, "{text}");
        }
    }
}
