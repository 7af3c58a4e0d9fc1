//! Data files: one piece for each record, view, template, rule and menu, as long as its element.

mod record;
mod template;

use roxmltree::{Document, Node, ParsingOptions};

use super::lines::Lines;
use super::{FileChunks, Source};

/// The most nodes of one file.
const MAX_NODES: u32 = 200_000;
/// The most bytes of one element that is read by itself, where the file as a whole is broken.
const MAX_ELEMENT: usize = 200_000;
/// The most elements that are tried so.
const MAX_TRIES: usize = 3_000;
/// The elements that are pieces.
const PIECES: &[&str] = &["record", "template", "menuitem", "act_window", "report", "asset"];

/// One XML text that is being cut up: a file, or an element of a broken one.
struct Data<'d> {
    source: &'d Source<'d>,
    lines: &'d Lines<'d>,
    text: &'d str,
    /// The bytes of the file before this text.
    before: usize,
}

/// Cuts a data file up.
pub(super) fn cut(source: &Source<'_>, found: &mut FileChunks) {
    let lines = Lines::of(source.text);
    let data = Data { source, lines: &lines, text: source.text, before: 0 };
    match parse(source.text) {
        Ok(document) => data.walk(document.root_element(), found),
        Err(error) => {
            found.trouble(&format!("it is no valid XML: {error}"));
            if !matches!(error, roxmltree::Error::NodesLimitReached) {
                data.salvage(found);
            }
        }
    }
}

fn parse(text: &str) -> Result<Document<'_>, roxmltree::Error> {
    Document::parse_with_options(text, ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() })
}

impl Data<'_> {
    /// Everything that is a piece. What stands in the arch of a view is its own business.
    fn walk(&self, root: Node<'_, '_>, found: &mut FileChunks) {
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            let before = open.len();
            match node.tag_name().name() {
                "record" => {
                    record::record(self, node, found);
                    // Records may stand in the fields of others.
                    let fields = elements(node).filter(|field| field.attribute("type").is_none());
                    open.extend(fields.flat_map(elements).filter(|inner| inner.has_tag_name("record")));
                }
                "template" => template::template(self, node, found),
                "menuitem" => {
                    record::short(self, node, "ir.ui.menu", found);
                    open.extend(elements(node));
                }
                "act_window" => record::short(self, node, "ir.actions.act_window", found),
                "report" => record::short(self, node, "ir.actions.report", found),
                "asset" => record::short(self, node, "ir.asset", found),
                "odoo" | "openerp" | "data" | "templates" => open.extend(elements(node)),
                _ if node.attribute("t-name").is_some() => template::template(self, node, found),
                _ => {}
            }
            // What is on top comes next: in reading order.
            if let Some(added) = open.get_mut(before..) {
                added.reverse();
            }
        }
    }

    /// Of a file that is broken, the elements that are whole.
    fn salvage(&self, found: &mut FileChunks) {
        let (mut at, mut tries) = (0, 0);
        while let Some(open) = self.text.get(at..).and_then(|rest| rest.find('<')).map(|open| at + open) {
            at = open + 1;
            let rest = &self.text[open..];
            let Some(tag) = PIECES.iter().find(|tag| rest[1..].strip_prefix(**tag).is_some_and(|rest| rest.starts_with([' ', '\n', '\t'])))
            else {
                continue;
            };
            tries += 1;
            if tries > MAX_TRIES {
                return;
            }
            let near = &rest[..rest.floor_char_boundary(MAX_ELEMENT)];
            let close = format!("</{tag}>");
            let ends = [near.find(&close).map(|end| end + close.len()), near.find("/>").map(|end| end + 2)];
            let element = ends.into_iter().flatten().filter_map(|end| Some((end, parse(near.get(..end)?).ok()?))).next();
            if let Some((end, document)) = element {
                Data { text: &near[..end], before: open, ..*self }.walk(document.root_element(), found);
                at = open + end;
            }
        }
    }

    /// The first and the last line of an element, and what stands there.
    fn place(&self, node: Node<'_, '_>) -> (u32, u32, String) {
        let range = node.range();
        let (first, last) = (self.lines.at(self.before + range.start), self.lines.at(self.before + range.end.saturating_sub(1)));
        (first, last, self.lines.text(first, last).to_owned())
    }
}

fn elements<'a, 'i: 'a>(node: Node<'a, 'i>) -> impl DoubleEndedIterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// The words of an element for people, and what its attributes name. Tags and the names of attributes tell nothing.
#[derive(Default)]
struct Inside {
    members: Vec<String>,
    prose: Vec<String>,
}

impl Inside {
    fn of(node: Node<'_, '_>) -> Self {
        let mut inside = Self::default();
        for node in node.descendants() {
            if node.is_comment() || node.is_text() {
                let text = node.text().unwrap_or_default().trim();
                if text.chars().any(char::is_alphabetic) {
                    inside.prose.push(text.to_owned());
                }
                continue;
            }
            for attribute in node.attributes() {
                match attribute.name() {
                    "string" | "help" | "confirm" | "placeholder" | "title" | "alt" => inside.prose.push(attribute.value().to_owned()),
                    "name" | "id" | "ref" | "action" | "groups" | "t-call" | "t-field" | "parent" => {
                        inside.members.push(attribute.value().to_owned());
                    }
                    _ => {}
                }
            }
        }
        inside.members.dedup();
        inside
    }
}

/// The external ids in `eval="[(4, ref('a.b'))]"`.
fn refs(eval: &str) -> Vec<String> {
    let one = |part: &str| {
        let quoted = part.trim_start();
        let quote = quoted.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        quoted[1..].split(quote).next().map(str::to_owned)
    };
    eval.split("ref(").skip(1).filter_map(one).collect()
}

#[cfg(test)]
mod tests;
