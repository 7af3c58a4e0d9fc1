//! What: a bare `&` in a data file is written `&amp;`.
//!
//! Why: in XML `&` starts an entity; the parser stops at one that is none.
//! Before: `<field name="name">a & b</field>`. After: `<field name="name">a &amp; b</field>`.
//! Since: any Odoo.

use super::edit::{Edit, apply, xml};
use super::{Case, Proposal, Rule, changed, proposal};
use crate::domain::ErrorClass;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "escape_ampersand", classes: &[ErrorClass::XmlSyntax], since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let text = &case.report.text;
    if !(text.contains("xmlParseEntityRef") || text.contains("EntityRef: expecting ';'")) {
        return Vec::new();
    }
    let changes = changed(case.addon, "xml", |text| {
        let unreadable = xml::parse(text).is_none();
        apply(text, bare(text)).filter(|after| unreadable && xml::parse(after).is_some())
    });
    proposal("A bare & in a data file is no XML: it is written &amp;.", changes)
}

/// Every `&` that starts no entity, outside comments, CDATA and processing instructions.
fn bare(text: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].find(['&', '<']).map(|found| at + found) {
        let rest = &text[next..];
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")].iter().find(|(open, _)| rest.starts_with(open));
        at = match skipped {
            Some((_, close)) => rest.find(close).map_or(text.len(), |end| next + end + close.len()),
            None => next + 1,
        };
        if rest.starts_with('&') && !is_entity(&rest[1..]) {
            edits.push(Edit::new(next..next + 1, "&amp;"));
        }
    }
    edits
}

fn is_entity(after: &str) -> bool {
    let Some((name, _)) = after.split_once(';').filter(|(name, _)| name.len() <= 40) else { return false };
    match name.strip_prefix('#') {
        Some(number) => !number.is_empty() && number.trim_start_matches('x').chars().all(|c| c.is_ascii_hexdigit()),
        None => name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{candidates, first_diff, fixture, mended_file};

    const CLASS: ErrorClass = ErrorClass::XmlSyntax;
    const TEXT: &str = "lxml.etree.XMLSyntaxError: xmlParseEntityRef: no name, line 1, column 64";

    #[test]
    fn probe_is_mended() {
        insta::assert_snapshot!(first_diff(&fixture("escape_ampersand", "p_badxml"), CLASS, TEXT));
    }

    #[test]
    fn entities_comments_and_cdata_stay() {
        let before = "<?p a & b?><a b=\"x&y=1\"><!-- & --><![CDATA[ & ]]>&amp;&#160;&#xA0; & R&D</a>";
        let after = "<?p a & b?><a b=\"x&amp;y=1\"><!-- & --><![CDATA[ & ]]>&amp;&#160;&#xA0; &amp; R&amp;D</a>";
        assert_eq!(mended_file(&[("a.xml", before)], "a.xml", CLASS, TEXT).unwrap(), after);
    }

    #[test]
    fn file_that_is_still_broken_is_left() {
        let addon = crate::rules::testing::addon(&[("a.xml", "<a> & </b>")]);
        assert!(candidates(&addon, CLASS, TEXT).is_empty());
    }
}
