//! Spans in XML. The document is read by a parser and never written back by one.

use std::ops::Range;

use roxmltree::{Attribute, Document, Node, ParsingOptions};

use super::{Edit, MAX_FILE, whole_lines};

/// Reads a document; `None` if it is too large, not well-formed or has a DTD.
pub fn parse(text: &str) -> Option<Document<'_>> {
    if text.len() > MAX_FILE {
        return None;
    }
    let options = ParsingOptions { nodes_limit: 200_000, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).ok()
}

/// Where the value of an attribute stands, without its quotes.
pub fn value_range(text: &str, attribute: &Attribute<'_, '_>) -> Option<Range<usize>> {
    let range = attribute.range();
    let source = text.get(range.clone())?;
    let quote = source.chars().next_back().filter(|c| matches!(c, '"' | '\''))?;
    let open = source.find(quote)?;
    (open + 1 < source.len()).then(|| range.start + open + 1..range.end - 1)
}

/// The attribute with the white space before it, so that no gap is left.
pub fn with_gap(text: &str, attribute: &Attribute<'_, '_>) -> Range<usize> {
    let range = attribute.range();
    text[..range.start].trim_end().len()..range.end
}

/// The white space before an attribute, as it separates the next one too.
pub fn gap<'t>(text: &'t str, attribute: &Attribute<'_, '_>) -> &'t str {
    let start = attribute.range().start;
    &text[text[..start].trim_end().len()..start]
}

/// The names in the start tag and, if there is one, in the end tag.
pub fn tag_ranges(text: &str, node: Node<'_, '_>) -> Vec<Range<usize>> {
    let range = node.range();
    let name = node.tag_name().name();
    let start = range.start + 1;
    let mut found = Vec::new();
    if text.get(start..start + name.len()) == Some(name) {
        found.push(start..start + name.len());
    }
    let source = &text[range.clone()];
    if !source.ends_with("/>")
        && let Some(close) = source.rfind("</")
        && source[close + 2..].starts_with(name)
    {
        let at = range.start + close + 2;
        found.push(at..at + name.len());
    }
    found
}

/// The only text of an element, if it holds nothing else and stands in the source as it reads: no entities, no CDATA.
pub fn plain_text<'t>(text: &'t str, node: Node<'_, '_>) -> Option<(Range<usize>, &'t str)> {
    let mut children = node.children();
    let only = children.next().filter(Node::is_text)?;
    let raw = text.get(only.range())?;
    let as_it_reads = !raw.contains(['&', '\r']) && !raw.starts_with("<![CDATA[") && only.text() == Some(raw);
    (children.next().is_none() && as_it_reads).then(|| (only.range(), raw))
}

/// Takes an element away, with its lines if it stands alone on them.
pub fn remove_element(text: &str, node: Node<'_, '_>) -> Edit {
    Edit::remove(whole_lines(text, node.range()))
}

/// Every `<record>` of this Odoo model.
pub fn records<'a, 'i: 'a>(document: &'a Document<'i>, odoo_model: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    document.descendants().filter(move |node| node.has_tag_name("record") && node.attribute("model") == Some(odoo_model))
}

/// The direct `<field name="…">` children of a record.
pub fn fields<'a, 'i: 'a>(record: Node<'a, 'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    record.children().filter(move |node| node.has_tag_name("field") && node.attribute("name") == Some(name))
}

/// The `arch` fields of every view of a data file, each with the Odoo model of its view if the record names it.
pub fn archs<'a, 'i: 'a>(document: &'a Document<'i>) -> impl Iterator<Item = (Node<'a, 'i>, Option<&'a str>)> {
    records(document, "ir.ui.view").flat_map(|record| {
        let odoo_model = fields(record, "model").next().and_then(|field| field.text()).map(str::trim);
        fields(record, "arch").map(move |arch| (arch, odoo_model))
    })
}

/// A value as it may stand between double quotes.
pub fn escape_attribute(value: &str) -> String {
    escape_text(value).replace('"', "&quot;")
}

/// A value as it may stand between tags.
pub fn escape_text(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_found_between_its_quotes() {
        let text = "<a b = 'x\"y' c=\"\"/>";
        let document = parse(text).unwrap();
        let ranges: Vec<_> = document.root_element().attributes().map(|a| &text[value_range(text, &a).unwrap()]).collect();
        assert_eq!(ranges, ["x\"y", ""]);
    }

    #[test]
    fn both_tags_are_found() {
        let text = "<o><tree><tree/></tree ></o>";
        let document = parse(text).unwrap();
        let tree = document.descendants().find(|n| n.has_tag_name("tree")).unwrap();
        assert_eq!(tag_ranges(text, tree), [4..8, 18..22]);
        assert_eq!(tag_ranges(text, tree.first_child().unwrap()), vec![10..14; 1]);
    }

    #[test]
    fn text_with_entities_is_not_plain() {
        for (text, plain) in
            [("<a>x</a>", true), ("<a>x&amp;</a>", false), ("<a><![CDATA[x]]></a>", false), ("<a>x<b/></a>", false), ("<a/>", false)]
        {
            let document = parse(text).unwrap();
            assert_eq!(plain_text(text, document.root_element()).is_some(), plain, "{text}");
        }
    }

    #[test]
    fn garbage_is_no_document() {
        assert!(parse("<a").is_none());
        assert!(parse("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>").is_none());
        assert!(parse(&"<a>".repeat(500_000)).is_none());
    }
}
