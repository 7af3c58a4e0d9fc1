//! What: an inheriting view that holds on to an element which its parent does not have is given the one that is meant.
//!
//! Why: a slip in the name, or the parent view changed. The parent is read together with all that extends it.
//! Before: `<page name="sales_and_purchases" position="after">`. After: `<page name="sales_purchases" position="after">`.
//! Not sure: where nothing is near, what was brought goes to the end of the part of the view that such elements stand in, or an element
//! that only changed what is gone goes too.
//! Since: any Odoo.

use regex::Regex;
use roxmltree::Node;

use super::edit::{Edit, apply, xml};
use super::near::{self, ranked};
use super::scope::{Scope, said};
use super::{Case, Proposal, Rule, change, graded, removal, unsure};
use crate::domain::{ErrorClass, RelPath};
use crate::odoo::source::Anchor;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "view_anchor", classes: &[ErrorClass::ViewAnchorMissing], since: 0, propose };

/// The most candidates.
const MOST: usize = 4;

/// An attribute and its value: mostly `name`.
pub(super) type Name = (String, String);

/// The names by which an inheriting view holds on to its parent.
pub(super) struct Wanted {
    /// The inheriting view, its external id in full.
    pub(super) view: String,
    /// Those of the names that the parent does not have, each with its attribute.
    pub(super) missing: Vec<Name>,
    file: RelPath,
    /// Where the element starts in its file.
    at: usize,
}

/// What the element says that could not be located; `None` if it is not found in the addon.
pub(super) fn wanted_names(case: &Case<'_>, scope: &Scope<'_>) -> Option<Wanted> {
    let spec = case.report.object.name.clone().filter(|name| name.starts_with('<')).or_else(|| {
        let [spec] = said(case, r"Element ['“](<.+>)['”] cannot be located")?;
        Some(html_escape::decode_html_entities(&spec).into_owned())
    })?;
    let named = case.report.object.xmlid.as_deref();
    let mut found = None;
    for (path, text) in case.addon.texts("xml") {
        let Some(document) = xml::parse(text) else { continue };
        for view in document.descendants().filter(|node| is_view(*node)) {
            let Some(id) = view.attribute("id").map(|id| full(scope.module, id)) else { continue };
            let Some(node) = view.descendants().find(|node| node.attribute("position").is_some() && is_spec(*node, &spec)) else {
                continue;
            };
            let is_named = named == Some(id.as_str());
            if is_named || found.is_none() {
                found = Some((id, path.clone(), node.range().start, names_of(node)));
            }
            if is_named {
                break;
            }
        }
    }
    let (view, file, at, names) = found?;
    let there = scope.index.anchors(&view, &scope.names, Some(&view));
    if there.is_empty() {
        return None;
    }
    let missing = names.into_iter().filter(|(key, value)| there.iter().all(|anchor| anchor.get(key) != Some(value))).collect();
    Some(Wanted { view, missing, file, at })
}

fn is_view(node: Node<'_, '_>) -> bool {
    (node.has_tag_name("record") && node.attribute("model") == Some("ir.ui.view")) || node.has_tag_name("template")
}

fn full(module: &str, id: &str) -> String {
    if id.contains('.') { id.to_owned() } else { format!("{module}.{id}") }
}

/// Whether an element is the one that the log shows, which shows it without its position.
fn is_spec(node: Node<'_, '_>, spec: &str) -> bool {
    let shown = node.attributes().filter(|attribute| attribute.name() != "position");
    let text: String = shown.map(|attribute| format!(" {}=\"{}\"", attribute.name(), attribute.value())).collect();
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    plain(&format!("<{}{text}>", node.tag_name().name())) == plain(spec)
}

/// The names by which an element is looked for.
fn names_of(node: Node<'_, '_>) -> Vec<Name> {
    match node.attribute("expr") {
        Some(expr) => steps(expr).into_iter().filter_map(|(_, name)| name).collect(),
        None => own_name(node).into_iter().collect(),
    }
}

fn own_name(node: Node<'_, '_>) -> Option<Name> {
    let of = |key: &str| Some((key.to_owned(), node.attribute(key)?.to_owned()));
    ["name", "id", "for", "class"].into_iter().find_map(of)
}

/// The steps of a path: tag, and the name that it asks for, if any.
fn steps(expr: &str) -> Vec<(String, Option<Name>)> {
    let Ok(step) = Regex::new(r#"/*([\w*-]+)((?:\[[^\]]*\])*)"#) else { return Vec::new() };
    let Ok(name) = Regex::new(r#"@([\w-]+)\s*=\s*['"]([^'"]+)['"]"#) else { return Vec::new() };
    let of =
        |found: regex::Captures<'_>| (found[1].to_owned(), name.captures(&found[2]).map(|name| (name[1].to_owned(), name[2].to_owned())));
    step.captures_iter(expr).map(of).collect()
}

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let Some(scope) = Scope::of(case) else { return Vec::new() };
    let Some(wanted) = wanted_names(case, &scope) else { return Vec::new() };
    let Some(text) = case.addon.text(&wanted.file) else { return Vec::new() };
    let Some(document) = xml::parse(text) else { return Vec::new() };
    let Some(node) = document.descendants().find(|node| node.is_element() && node.range().start == wanted.at) else { return Vec::new() };
    let there = scope.index.anchors(&wanted.view, &scope.names, Some(&wanted.view));
    let changes = |edits: Vec<Edit>| apply(text, edits).map(|after| change(&wanted.file, text, after)).into_iter().collect();
    let told = |summary: &str| format!("{}: {summary}", wanted.view);
    let known = renamed(case, text, node, &wanted, &there).into_iter().chain(moved(text, node, &wanted, &there));
    let mut found: Vec<Proposal> = known.flat_map(|Way { edits, summary, doubt }| graded(told(&summary), doubt, changes(edits))).collect();
    found.extend(
        contained(text, node, &there)
            .into_iter()
            .flat_map(|Way { edits, summary, doubt }| unsure(told(&summary), doubt.unwrap_or_default(), changes(edits))),
    );
    found.extend(
        gone(text, node)
            .into_iter()
            .flat_map(|Way { edits, summary, doubt }| removal(told(&summary), doubt.unwrap_or_default(), changes(edits))),
    );
    found.truncate(MOST);
    found
}

/// One way to mend an anchor.
struct Way {
    edits: Vec<Edit>,
    summary: String,
    /// Why it may not be what is meant.
    doubt: Option<String>,
}

/// Names that are near the missing one, of elements of the same kind.
fn renamed(case: &Case<'_>, text: &str, node: Node<'_, '_>, wanted: &Wanted, there: &[Anchor]) -> Vec<Way> {
    let [missing @ (key, value)] = wanted.missing.as_slice() else { return Vec::new() };
    let tag = match node.attribute("expr") {
        Some(expr) => steps(expr).into_iter().find(|(_, name)| name.as_ref() == Some(missing)).map(|(tag, _)| tag).unwrap_or_default(),
        None => node.tag_name().name().to_owned(),
    };
    let alike = there.iter().filter(|anchor| tag == "*" || anchor.tag == tag);
    let known: Vec<&str> = alike.filter_map(|anchor| anchor.get(key)).collect();
    let names = ranked(value, known.iter().copied(), |_| false);
    let of = |name: &str| {
        let summary = format!("{tag} {value:?} is not in its parent view; {name:?} is.");
        Some(Way { edits: with_name(text, node, missing, name)?, summary, doubt: near::doubt(case, value, name, known.iter().copied()) })
    };
    names.into_iter().filter_map(of).collect()
}

/// The element with another name to hold on to.
fn with_name(text: &str, node: Node<'_, '_>, (key, old): &Name, new: &str) -> Option<Vec<Edit>> {
    let attribute = node.attribute_node("expr").or_else(|| node.attribute_node(key.as_str()))?;
    let range = xml::value_range(text, &attribute)?;
    let word = Regex::new(&format!(r"\b{}\b", regex::escape(old))).ok()?;
    let edits: Vec<Edit> = word
        .find_iter(text.get(range.clone())?)
        .map(|found| Edit::new(range.start + found.start()..range.start + found.end(), new))
        .collect();
    (!edits.is_empty()).then_some(edits)
}

/// All names are there, but not where or not as what they are looked for.
fn moved(text: &str, node: Node<'_, '_>, wanted: &Wanted, there: &[Anchor]) -> Option<Way> {
    if !wanted.missing.is_empty() {
        return None;
    }
    let (tag, name) = match node.attribute("expr") {
        Some(expr) => steps(expr).pop()?,
        None => (node.tag_name().name().to_owned(), own_name(node)),
    };
    let (key, name) = name?;
    let same = there.iter().find(|anchor| anchor.get(&key) == Some(&name) && anchor.tag == tag);
    let anchor = same.or_else(|| there.iter().find(|anchor| anchor.get(&key) == Some(&name)))?;
    let expr = format!("//{}[@{key}='{name}']", anchor.tag);
    if node.attribute("expr") == Some(expr.as_str()) {
        return None;
    }
    let edits = retargeted(text, node, &expr, node.attribute("position")?)?;
    // The same element, if there is only one; where it stands is for the parent view to say.
    let only = there.iter().filter(|anchor| anchor.get(&key) == Some(&name)).count() == 1;
    let doubt = (!only || same.is_none()).then(|| format!("What is called {name:?} there may be another element."));
    Some(Way { edits, summary: format!("its parent view has {name:?} elsewhere: it is looked for as {expr}."), doubt })
}

/// The part of the parent view in which elements of this kind stand.
fn contained(text: &str, node: Node<'_, '_>, there: &[Anchor]) -> Option<Way> {
    if !matches!(node.attribute("position"), Some("after" | "before" | "inside")) {
        return None;
    }
    let brought = node.children().find(Node::is_element)?;
    if node.children().any(|child| child.attribute("position").is_some()) {
        return None;
    }
    let has = |tag: &str| there.iter().any(|anchor| anchor.tag == tag);
    let root = there.first()?.tag.as_str();
    let in_sheet = || there.iter().any(|anchor| anchor.tag == "group" && anchor.within.iter().any(|up| up == "sheet"));
    let is_stat = brought.attribute("class").is_some_and(|class| class.contains("oe_stat_button"));
    let has_box = || there.iter().any(|anchor| anchor.name() == Some("button_box"));
    let (expr, position) = match (brought.tag_name().name(), root) {
        ("page", "form") if has("notebook") => ("//notebook", "inside"),
        ("field", "list") => ("//list", "inside"),
        ("field", "tree") => ("//tree", "inside"),
        ("field" | "filter" | "group" | "separator", "search") => ("//search", "inside"),
        ("field" | "label", "form") if in_sheet() => ("//sheet//group", "inside"),
        ("field" | "label", "form") if has("group") => ("//group", "inside"),
        ("button", "form") if is_stat && has_box() => ("//div[@name='button_box']", "inside"),
        ("button", "form") if !is_stat && has("header") => ("//header", "inside"),
        ("header", "form") if has("sheet") && !has("header") => ("//sheet", "before"),
        ("field" | "group" | "notebook", "form") if has("sheet") => ("//sheet", "inside"),
        ("field" | "group" | "notebook", "form") => ("//form", "inside"),
        _ => return None,
    };
    let edits = retargeted(text, node, expr, position)?;
    let summary = format!("what it held on to is not in its parent view; what it brings goes {position} {expr}.");
    Some(Way { edits, summary, doubt: Some("What it brings shows in another place than it was meant for.".to_owned()) })
}

/// An element that only changes or takes away what is gone has nothing left to do.
fn gone(text: &str, node: Node<'_, '_>) -> Option<Way> {
    let empty = || !node.children().any(|child| child.is_element());
    let only_changes = match node.attribute("position")? {
        "attributes" => true,
        "replace" => empty(),
        _ => false,
    };
    // The arch must keep an element.
    let alone = node.parent_element().is_none_or(|parent| parent.children().filter(Node::is_element).count() < 2);
    let summary = "what it changed is not in its parent view, and the change goes too.";
    let doubt = "The element that was to change may stand in the parent view under another name.";
    (only_changes && !alone).then(|| Way {
        edits: vec![xml::remove_element(text, node)],
        summary: summary.to_owned(),
        doubt: Some(doubt.to_owned()),
    })
}

/// The element as an xpath with another target.
fn retargeted(text: &str, node: Node<'_, '_>, expr: &str, position: &str) -> Option<Vec<Edit>> {
    let value = |name: &str| node.attribute_node(name).and_then(|attribute| xml::value_range(text, &attribute));
    if node.has_tag_name("xpath") {
        let range = value("expr")?;
        // Quotes inside must not be those around.
        let quote = text.get(range.end..)?.chars().next()?;
        let expr = if quote == '\'' { expr.replace('\'', "\"") } else { expr.to_owned() };
        return Some(vec![Edit::new(range, expr), Edit::new(value("position")?, position)]);
    }
    let range = node.range();
    let source = text.get(range.clone())?;
    let open = range.start + end_of_tag(source)?;
    let start = format!("<xpath expr=\"{expr}\" position=\"{position}\"");
    if text[..open].ends_with("/>") {
        return Some(vec![Edit::new(range.start..open, format!("{start}/>"))]);
    }
    let close = range.start + source.rfind("</")?;
    Some(vec![Edit::new(range.start..open, format!("{start}>")), Edit::new(close..range.end, "</xpath>")])
}

/// Where the start tag ends.
fn end_of_tag(source: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in source.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at + 1),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
