//! What: `attrs` and `states` of a view become one Python expression an attribute.
//!
//! Why: Odoo 17 no longer reads them and refuses the view.
//! Before: `<field name="a" attrs="{'invisible': [('b', '=', False)]}"/>`, `<button states="draft"/>`.
//! After: `<field name="a" invisible="not b"/>`, `<button invisible="state != 'draft'"/>`.
//! A file with a domain that is not understood (names, calls, operators on text) is left as it is.
//! Since: 17.

use std::sync::LazyLock;

use regex::Regex;
use roxmltree::{Attribute, Document, Node};

use super::edit::domain::{Expr, from_attrs, from_states};
use super::edit::{Edit, apply, indent, xml};
use super::{Case, Proposal, Rule, changed, proposal};
use crate::domain::ErrorClass;
use crate::odoo::source::{FieldFacts, ModuleFacts};

/// The rule.
pub(super) const RULE: Rule = Rule { name: "attrs_to_expressions", classes: &[ErrorClass::ViewAttrsRemoved], since: 17, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let changes = changed(case.addon, "xml", |text| apply(text, edits(text).filter(|_| !asks_for_any(case, text))?));
    let reported = case.report.location.as_ref().map(|location| location.path.as_str()).filter(|path| path.ends_with(".xml"));
    if reported.is_some_and(|path| changes.iter().all(|change| change.path.as_str() != path)) {
        // The very file that failed was not understood.
        return Vec::new();
    }
    proposal("Odoo 17 removed attrs and states from views: each condition becomes an expression of its own attribute.", changes)
}

/// Whether a condition asks whether one of several records of a field is among some: the expression would compare the list itself.
fn asks_for_any(case: &Case<'_>, text: &str) -> bool {
    let Some(pattern) = AMONG.as_ref() else { return true };
    let Some(document) = xml::parse(text) else { return true };
    let own = ModuleFacts::of(case.addon);
    let scope = case.index.closure(case.addon.name().as_str());
    let is_many = |facts: &FieldFacts| matches!(facts.kind.as_str(), "One2many" | "Many2many");
    let of_own = |name: &str| own.classes.iter().filter_map(|class| class.fields.get(name)).any(is_many);
    let of_model = |odoo_model: &str, name: &str| case.index.fields(odoo_model, &scope).get(name).is_some_and(|facts| is_many(facts));
    xml::archs(&document).any(|(arch, odoo_model)| {
        let texts = arch
            .descendants()
            .flat_map(|node| node.attribute("attrs").or_else(|| node.text().filter(|_| node.attribute("name") == Some("attrs"))));
        let mut names = texts.flat_map(|text| pattern.captures_iter(text).map(|found| found[1].to_owned()).collect::<Vec<_>>());
        names.any(|name| of_own(&name) || odoo_model.is_some_and(|odoo_model| of_model(odoo_model, &name)))
    })
}

/// `('name', 'in', …)`.
static AMONG: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"['"](\w+)['"]\s*,\s*['"](?:not )?in['"]"#).ok());

/// `None` if the file holds something that is not understood.
fn edits(text: &str) -> Option<Vec<Edit>> {
    let document: Document<'_> = xml::parse(text)?;
    let mut edits = Vec::new();
    for (arch, _) in xml::archs(&document) {
        for node in arch.descendants().filter(Node::is_element) {
            match node.attribute("name") {
                Some(name @ ("attrs" | "states")) if node.has_tag_name("attribute") => edits.push(override_edit(text, node, name)?),
                _ => element_edits(text, node, &mut edits)?,
            }
        }
    }
    Some(edits)
}

/// `<attribute name="attrs">…</attribute>` becomes one element a modifier.
fn override_edit(text: &str, node: Node<'_, '_>, name: &str) -> Option<Edit> {
    if node.attributes().len() != 1 || node.children().any(|child| child.is_element()) {
        return None;
    }
    let value = node.text()?;
    let modifiers = if name == "attrs" { from_attrs(value)? } else { vec![("invisible".to_owned(), from_states(value)?)] };
    let siblings: Vec<_> = node.parent()?.children().filter(|other| other.has_tag_name("attribute") && *other != node).collect();
    let taken = |key: &str| {
        siblings.iter().any(|other| matches!(other.attribute("name"), Some("attrs" | "states")) || other.attribute("name") == Some(key))
    };
    if modifiers.iter().any(|(key, _)| taken(key)) {
        return None;
    }
    let element = |(key, expr): &(String, Expr)| format!("<attribute name=\"{key}\">{}</attribute>", xml::escape_text(&expr.render()));
    let gap = indent(text, node.range().start).map_or_else(String::new, |indent| format!("\n{indent}"));
    Some(Edit::new(node.range(), modifiers.iter().map(element).collect::<Vec<_>>().join(&gap)))
}

/// `attrs` and `states` of an element become the attributes they stand for.
fn element_edits(text: &str, node: Node<'_, '_>, edits: &mut Vec<Edit>) -> Option<()> {
    let (attrs, states) = (node.attribute_node("attrs"), node.attribute_node("states"));
    let Some(place) = attrs.or(states) else { return Some(()) };
    let mut modifiers = attrs.map_or(Some(Vec::new()), |attrs| from_attrs(attrs.value()))?;
    if let Some(states) = states {
        let hidden = from_states(states.value())?;
        match modifiers.iter().position(|(key, _)| key == "invisible") {
            Some(at) => modifiers[at].1 = modifiers[at].1.clone().or(hidden),
            None => modifiers.push(("invisible".to_owned(), hidden)),
        }
    }
    let mut written = Vec::new();
    for (key, expr) in modifiers {
        match node.attribute_node(key.as_str()) {
            Some(existing) => written.extend(join(text, &existing, &key, &expr, edits)?),
            None if expr == Expr::Const(false) && key.ends_with("invisible") => {}
            None => written.push(attribute(&key, &expr.render())),
        }
    }
    let gap = xml::gap(text, &place);
    edits.push(Edit::new(xml::with_gap(text, &place), written.iter().map(|one| format!("{gap}{one}")).collect::<String>()));
    if let (Some(_), Some(states)) = (attrs, states) {
        edits.push(Edit::remove(xml::with_gap(text, &states)));
    }
    Some(())
}

fn attribute(key: &str, value: &str) -> String {
    format!("{key}=\"{}\"", xml::escape_attribute(value))
}

/// The element has the attribute already: either of the two conditions was enough. What is returned is written in place of `attrs`.
fn join(text: &str, existing: &Attribute<'_, '_>, key: &str, expr: &Expr, edits: &mut Vec<Edit>) -> Option<Option<String>> {
    let value = existing.value().trim();
    match (value, expr) {
        ("1" | "True" | "true", _) | (_, Expr::Const(false)) => Some(None),
        ("" | "0" | "False" | "false", _) => {
            edits.push(Edit::remove(xml::with_gap(text, existing)));
            Some(Some(attribute(key, &expr.render())))
        }
        _ => {
            let joined = format!("({value}) or ({})", expr.render());
            edits.push(Edit::new(existing.range(), attribute(key, &joined)));
            Some(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Location;
    use crate::rules::testing::{candidates, first_diff, fixture, mended_file, report};

    const CLASS: ErrorClass = ErrorClass::ViewAttrsRemoved;

    fn in_view(arch: &str) -> String {
        format!("<odoo><record id=\"v\" model=\"ir.ui.view\"><field name=\"arch\" type=\"xml\">{arch}</field></record></odoo>")
    }

    fn arch_after(arch: &str) -> Option<String> {
        let after = mended_file(&[("v.xml", &in_view(arch))], "v.xml", CLASS, "")?;
        let inner = after.strip_prefix(in_view("|").split_once('|').unwrap().0)?.strip_suffix(in_view("|").split_once('|').unwrap().1)?;
        Some(inner.to_owned())
    }

    #[test]
    fn whole_addon_follows() {
        insta::assert_snapshot!(first_diff(&fixture("attrs_to_expressions", "everything"), CLASS, ""));
    }

    #[test]
    fn probe_is_mended() {
        insta::assert_snapshot!(first_diff(&fixture("attrs_to_expressions", "p_attrs"), CLASS, ""));
    }

    #[test]
    fn elements_are_rewritten() {
        for (before, after) in [
            ("<a attrs=\"{'invisible': [('q', '&lt;', 1)]}\"/>", "<a invisible=\"q &lt; 1\"/>"),
            ("<a attrs='{\"required\": [(\"q\", \"=\", \"x\")]}'/>", "<a required=\"q == 'x'\"/>"),
            ("<a states=\"draft\" name=\"n\"/>", "<a invisible=\"state != 'draft'\" name=\"n\"/>"),
            ("<a states=\"draft\" attrs=\"{'invisible': [('q', '=', 1)]}\"/>", "<a invisible=\"q == 1 or state != 'draft'\"/>"),
            ("<a invisible=\"1\" attrs=\"{'invisible': [('q', '=', 1)]}\"/>", "<a invisible=\"1\"/>"),
            ("<a invisible=\"0\" attrs=\"{'invisible': [('q', '=', 1)]}\"/>", "<a invisible=\"q == 1\"/>"),
            (
                "<a invisible=\"context.get('x')\" attrs=\"{'invisible': [('q', '=', 1)]}\"/>",
                "<a invisible=\"(context.get('x')) or (q == 1)\"/>",
            ),
            ("<a attrs=\"{'invisible': [], 'required': []}\"/>", "<a required=\"False\"/>"),
            (
                "<xpath expr='//a' position='attributes'><attribute name=\"attrs\">{'invisible': [('q', '>', 1)], 'readonly': True}</attribute></xpath>",
                "<xpath expr='//a' position='attributes'><attribute name=\"invisible\">q &gt; 1</attribute><attribute name=\"readonly\">True</attribute></xpath>",
            ),
        ] {
            assert_eq!(arch_after(before).as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn file_with_a_dynamic_value_is_left() {
        for arch in [
            "<form><a attrs=\"{'invisible': [('q', '=', 1)]}\"/><a attrs=\"{'invisible': [('q', '=', uid)]}\"/></form>",
            "<xpath expr='//a' position='attributes'><attribute name='attrs'/></xpath>",
            "<a position='attributes'><attribute name='attrs'>{'invisible': [('q', '=', 1)]}</attribute><attribute name='invisible'>1</attribute></a>",
        ] {
            assert_eq!(arch_after(arch), None, "{arch}");
        }
    }

    #[test]
    fn no_candidate_if_the_failing_file_is_not_understood() {
        let good = in_view("<a attrs=\"{'invisible': [('q', '=', 1)]}\"/>");
        let bad = in_view("<a attrs=\"{'invisible': [('q', '=', uid)]}\"/>");
        let addon = crate::rules::testing::addon(&[("good.xml", &good), ("bad.xml", &bad)]);
        assert_eq!(candidates(&addon, CLASS, "").len(), 1);
        let mut report = report(CLASS, "");
        report.location = Some(Location { path: "m/bad.xml".to_owned(), line: Some(1) });
        assert!(
            crate::rules::propose(&Case { report: &report, addon: &addon, version: &"19.0".parse().unwrap(), index: Default::default() })
                .is_empty()
        );
    }
}
