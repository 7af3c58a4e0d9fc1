//! What: an element or an attribute of a data file that Odoo does not know is called what is meant.
//!
//! Why: Odoo checks data files against a schema before it reads them, and its message names the outermost element only.
//! Before: `<fild name="name">a</fild>`. After: `<field name="name">a</field>`.
//! An attribute is one of few, so that a letter less, more or wrong behind its first tells which; one that is no such slip is left.
//! Since: any Odoo.

use roxmltree::{Attribute, Node};

use super::edit::python::Source;
use super::edit::{Edit, apply, xml};
use super::near::{self, ranked};
use super::{Case, Proposal, Rule, changed, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "schema_tag", classes: &[ErrorClass::XmlSchema], since: 0, propose };

/// The attributes of the elements of data files.
const ATTRIBUTES: [(&str, &[&str]); 7] = [
    ("odoo", &["noupdate", "auto_sequence", "uid", "context"]),
    ("data", &["noupdate", "auto_sequence", "uid", "context"]),
    ("record", &["id", "model", "forcecreate", "uid", "context"]),
    ("field", &["name", "type", "ref", "eval", "search", "model", "use", "file"]),
    ("menuitem", &["id", "name", "parent", "action", "sequence", "groups", "active", "web_icon"]),
    ("delete", &["model", "id", "search"]),
    ("function", &["model", "name", "eval", "id", "uid", "context"]),
];

/// What may stand in `odoo` and `data`.
const RECORDS: [&str; 9] = ["record", "template", "menuitem", "data", "function", "delete", "asset", "report", "act_window"];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let (mut summary, mut doubt) = (String::new(), None);
    let found = case.addon.texts("xml").flat_map(|(_, text)| wrong(text)).next();
    if let Some((tag, right)) = found {
        summary = format!("Odoo knows no element {tag:?} there; {right:?} is meant.");
        doubt = near::doubt_by(&tag, right, RECORDS.into_iter().chain(["field"]), |word| word.chars().count() < near::SHORT);
    } else if let Some((wrong, right)) = case.addon.texts("xml").find_map(|(_, text)| wrong_attribute(text)) {
        summary = format!("Odoo knows no attribute {wrong:?} there; {right:?} is meant.");
    }
    graded(summary, doubt, changed(case.addon, "xml", |text| apply(text, edits(text))))
}

fn edits(text: &str) -> Vec<Edit> {
    let Some(document) = xml::parse(text) else { return Vec::new() };
    let unknown = document.descendants().filter_map(|node| Some((node, meant(node)?)));
    let tags = unknown.flat_map(|(node, right)| xml::tag_ranges(text, node).into_iter().map(move |range| Edit::new(range, right)));
    let attributes = document.descendants().flat_map(slips).map(|(attribute, right)| {
        let start = attribute.range().start;
        Edit::new(start..start + attribute.name().len(), right)
    });
    tags.chain(attributes).collect()
}

fn wrong_attribute(text: &str) -> Option<(String, &'static str)> {
    let document = xml::parse(text)?;
    document.descendants().flat_map(slips).map(|(attribute, right)| (attribute.name().to_owned(), right)).next()
}

/// The attributes of an element of a data file that are slips of one that it may have and has not.
fn slips<'a, 'i>(node: Node<'a, 'i>) -> Vec<(Attribute<'a, 'i>, &'static str)> {
    let tag = node.tag_name().name();
    let is_top = |node: Node<'_, '_>| {
        matches!(node.tag_name().name(), "odoo" | "openerp" | "data")
            && node.parent_element().is_none_or(|up| up.has_tag_name("odoo") || up.has_tag_name("openerp"))
    };
    let within = match node.parent_element() {
        None => matches!(tag, "odoo" | "data"),
        Some(up) if tag == "field" => up.has_tag_name("record") && up.parent_element().is_some_and(is_top),
        Some(up) => is_top(up) || tag == "menuitem" && up.has_tag_name("menuitem"),
    };
    let Some((_, known)) = ATTRIBUTES.iter().find(|(name, _)| *name == tag && within) else { return Vec::new() };
    let slip = |attribute: Attribute<'a, 'i>| {
        let wrong = attribute.name();
        if known.contains(&wrong) || attribute.namespace().is_some() {
            return None;
        }
        let near = |right: &&&'static str| {
            strsim::osa_distance(wrong, right) == 1 && wrong.chars().next() == right.chars().next() && wrong.len().max(right.len()) > 3
        };
        let mut found = known.iter().filter(near);
        let (Some(right), None) = (found.next(), found.next()) else { return None };
        let is_expression = |value: &str| Source::parse(value).is_some();
        let fits =
            *right != "eval" || is_expression(attribute.value()) && !["ref", "search", "type"].iter().any(|name| node.has_attribute(*name));
        (node.attribute(*right).is_none() && fits).then_some((attribute, *right))
    };
    node.attributes().filter_map(slip).collect()
}

fn wrong(text: &str) -> Option<(String, &'static str)> {
    let document = xml::parse(text)?;
    document.descendants().find_map(|node| Some((node.tag_name().name().to_owned(), meant(node)?)))
}

/// What an element should be called; `None` if it may be called so, or nothing is near.
fn meant(node: Node<'_, '_>) -> Option<&'static str> {
    if !node.is_element() {
        return None;
    }
    let tag = node.tag_name().name();
    let known: &[&'static str] = match node.parent_element()?.tag_name().name() {
        "odoo" | "openerp" | "data" => &RECORDS,
        "record" => &["field"],
        _ => return None,
    };
    if known.contains(&tag) {
        return None;
    }
    ranked(tag, known.iter().copied(), |_| false).into_iter().next().and_then(|right| known.iter().find(|name| **name == right)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::mended_file;

    fn after(text: &str) -> Option<String> {
        mended_file(&[("v.xml", text)], "v.xml", ErrorClass::XmlSchema, "Element odoo has extra content: record, line 1")
    }

    #[test]
    fn slip_in_a_tag_is_mended_where_the_tag_stands() {
        let text =
            "<odoo>\n  <!-- <fild/> -->\n  <record id=\"m\" model=\"res.partner\"><fild name=\"name\">fild</fild></record>\n</odoo>\n";
        assert_eq!(after(text).unwrap(), text.replace("<fild name", "<field name").replace("</fild>", "</field>"));
        let text = "<odoo><recrod id=\"m\" model=\"res.partner\"/></odoo>";
        assert_eq!(after(text).unwrap(), text.replace("recrod", "record"));
    }

    #[test]
    fn slip_in_an_attribute_is_mended() {
        for (wrong, right) in [
            ("<odoo><data noupdte=\"1\"><record id=\"a\" model=\"b\"/></data></odoo>", "noupdate"),
            ("<odoo><menuitem id=\"a\" group=\"base.group_system\"/></odoo>", "groups"),
            ("<odoo><record id=\"a\" model=\"b\"><field name=\"c\" evl=\"False\"/></record></odoo>", "eval"),
        ] {
            let slip = ["noupdte", "group", "evl"].into_iter().find(|slip| wrong.contains(&format!(" {slip}="))).unwrap();
            assert_eq!(after(wrong).unwrap(), wrong.replace(&format!(" {slip}="), &format!(" {right}=")));
        }
    }

    #[test]
    fn what_is_known_or_far_off_stays() {
        for text in [
            "<odoo><record id=\"a\" model=\"b\" noupdate=\"1\"/></odoo>",
            "<odoo><menuitem id=\"a\" visible=\"False\"/></odoo>",
            "<odoo><record id=\"a\" model=\"b\"><field name=\"c\" val=\"9-17\"/></record></odoo>",
            "<odoo><record id=\"a\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\"><form><field name=\"c\" evl=\"1\"/></form></field></record></odoo>",
            "<odoo><record id=\"m\"><value/></record></odoo>",
            "<odoo><function model=\"a\" name=\"b\"/></odoo>",
            "<odoo><fild",
        ] {
            assert_eq!(after(text), None, "{text}");
        }
    }
}
