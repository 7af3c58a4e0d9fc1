//! What: an element of a data file that Odoo does not know is called what is meant.
//!
//! Why: Odoo checks data files against a schema before it reads them, and its message names the outermost element only.
//! Before: `<fild name="name">a</fild>`. After: `<field name="name">a</field>`.
//! Since: any Odoo.

use roxmltree::Node;

use super::edit::{Edit, apply, xml};
use super::near::{self, ranked};
use super::{Case, Proposal, Rule, changed, graded};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "schema_tag", classes: &[ErrorClass::XmlSchema], since: 0, propose };

/// What may stand in `odoo` and `data`.
const RECORDS: [&str; 9] = ["record", "template", "menuitem", "data", "function", "delete", "asset", "report", "act_window"];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let (mut summary, mut doubt) = (String::new(), None);
    let found = case.addon.texts("xml").flat_map(|(_, text)| wrong(text)).next();
    if let Some((tag, right)) = found {
        summary = format!("Odoo knows no element {tag:?} there; {right:?} is meant.");
        doubt = near::doubt_by(&tag, right, RECORDS.into_iter().chain(["field"]), |word| word.chars().count() < near::SHORT);
    }
    graded(summary, doubt, changed(case.addon, "xml", |text| apply(text, edits(text))))
}

fn edits(text: &str) -> Vec<Edit> {
    let Some(document) = xml::parse(text) else { return Vec::new() };
    let unknown = document.descendants().filter_map(|node| Some((node, meant(node)?)));
    unknown.flat_map(|(node, right)| xml::tag_ranges(text, node).into_iter().map(move |range| Edit::new(range, right))).collect()
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
    fn what_is_known_or_far_off_stays() {
        for text in ["<odoo><record id=\"m\"><value/></record></odoo>", "<odoo><function model=\"a\" name=\"b\"/></odoo>", "<odoo><fild"] {
            assert_eq!(after(text), None, "{text}");
        }
    }
}
