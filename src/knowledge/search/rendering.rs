//! What an error of QWeb tells about the templates that it passed through, and whether a template has what stands there. Pure.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use roxmltree::{Document, Node, ParsingOptions};

use super::exact::pattern;

/// The most steps of one error that are read.
const MAX_STEPS: usize = 200;
/// The most nodes of a template that is walked through.
const MAX_NODES: u32 = 20_000;

static TEMPLATE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)(?:^\s*Template: |Template not found: '?|External ID not found in the system: )([\w]+\.[\w.]+)"));
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^\s*Reference: (\d+)\s*$"));
static ELEMENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^\s*(?:Element|Node): (<.*)$"));
static STEP: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^\s*(?:From: )?\(['"]?([\w.]+)['"]?, '(/[^'\n]*)', ['"](<.*)['"]\)\s*$"#));
static COMPILED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bin template_(\w+?)_(\d+)(?:_content|_t_call_\d+|_t_foreach_\d+)?\b"));
static CALLED: LazyLock<Regex> = LazyLock::new(|| pattern(r#"t-call=["']([\w.]+)["']"#));
static DIRECTIVE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\b(t-(?:[\w.-]+))="([^"]*)""#));

/// One element that was being rendered, and the view it is in, by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    view: String,
    pub(super) path: String,
    pub(super) calls: Option<String>,
}

/// An error of QWeb.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rendering {
    /// The templates that are named, the one that failed first.
    pub(super) names: Vec<String>,
    /// Names that compiled functions leave open: `sale_portal_my_orders` does not say where the addon's name ends.
    pub(super) compiled: Vec<String>,
    /// The directives of the element that failed.
    pub(super) directives: Vec<String>,
    /// What the text says is called, wherever.
    pub(super) called: Vec<String>,
    /// Of the template that was to be rendered, where it is not the one that failed: what is known of the steps in it.
    pub(super) entry: Vec<Step>,
    /// The names that the entry may have, where they are known.
    pub(super) entry_names: Vec<String>,
}

impl Rendering {
    /// Reads the text of an error.
    pub(super) fn read(text: &str) -> Self {
        let mut names: Vec<String> = TEMPLATE.captures_iter(text).map(|found| found[1].to_owned()).collect();
        names.dedup();
        let mut compiled: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut splits: Vec<String> = Vec::new();
        for found in COMPILED.captures_iter(text).take(MAX_STEPS) {
            let may_be = full_names(&found[1]);
            if !splits.iter().any(|known| may_be.first() == Some(known)) {
                splits.extend(may_be.iter().cloned());
            }
            compiled.insert(found[2].to_owned(), may_be);
        }
        let failed = REFERENCE.captures(text).map(|found| found[1].to_owned());
        let steps: Vec<Step> = STEP
            .captures_iter(text)
            .take(MAX_STEPS)
            .map(|found| {
                let calls = CALLED.captures(&found[3]).map(|called| called[1].to_owned());
                Step { view: found[1].to_owned(), path: found[2].to_owned(), calls }
            })
            .collect();
        let first = steps.first().map(|step| step.view.clone()).filter(|view| failed.as_ref() != Some(view));
        let entry: Vec<Step> = steps.into_iter().filter(|step| Some(&step.view) == first.as_ref()).collect();
        let entry_names = match &first {
            Some(name) if name.contains('.') => vec![name.clone()],
            Some(number) => compiled.get(number).cloned().unwrap_or_default(),
            None => Vec::new(),
        };
        let element = ELEMENT.captures(text).map(|found| found[1].replace("\\'", "'")).unwrap_or_default();
        let mut called: Vec<String> = Vec::new();
        for name in CALLED.captures_iter(text).map(|found| found[1].to_owned()) {
            if !called.contains(&name) {
                called.push(name);
            }
        }
        Self { names, compiled: splits, directives: directives(&element), called, entry, entry_names }
    }

    /// What the entry calls.
    pub(super) fn entry_calls(&self) -> Vec<String> {
        let mut calls: Vec<String> = self.entry.iter().filter_map(|step| step.calls.clone()).collect();
        calls.sort_unstable();
        calls.dedup();
        calls
    }

    /// Whether a template has all that was being rendered of the entry where it was.
    pub(super) fn is_entry(&self, template: &str) -> bool {
        let Some(document) = parse(template) else { return false };
        let Some(root) = root(&document) else { return false };
        self.entry
            .iter()
            .all(|step| at(root, &step.path).is_some_and(|node| step.calls.is_none() || node.attribute("t-call") == step.calls.as_deref()))
    }
}

/// The directives of an element as they stand in a file, but for spaces.
fn directives(element: &str) -> Vec<String> {
    DIRECTIVE.captures_iter(element).filter(|found| !found[2].is_empty()).map(|found| bare(&found[2])).collect()
}

/// Whether a template has an element with these directives.
pub(super) fn holds(template: &str, directives: &[String]) -> bool {
    let template = bare(&html_escape::decode_html_entities(template));
    !directives.is_empty() && directives.iter().all(|directive| template.contains(directive.as_str()))
}

fn bare(text: &str) -> String {
    html_escape::decode_html_entities(text).chars().filter(|c| !c.is_whitespace()).collect()
}

/// Where the name of an addon may end.
fn full_names(compiled: &str) -> Vec<String> {
    compiled.match_indices('_').take(8).map(|(at, _)| format!("{}.{}", &compiled[..at], &compiled[at + 1..])).collect()
}

fn parse(text: &str) -> Option<Document<'_>> {
    Document::parse_with_options(text.trim(), ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() }).ok()
}

/// What QWeb takes for the root: of a view the element in its arch.
fn root<'a, 'i>(document: &'a Document<'i>) -> Option<Node<'a, 'i>> {
    let root = document.root_element();
    if !root.has_tag_name("record") {
        return Some(root);
    }
    let arch = root.children().find(|field| field.has_tag_name("field") && field.attribute("name") == Some("arch"))?;
    arch.children().find(Node::is_element)
}

/// The element that a path leads to. A step without a number is the only child of its name.
fn at<'a, 'i>(root: Node<'a, 'i>, path: &str) -> Option<Node<'a, 'i>> {
    let mut node = root;
    for step in path.split('/').skip(2) {
        let (name, number) = match step.split_once('[') {
            Some((name, number)) => (name, Some(number.trim_end_matches(']').parse::<usize>().ok()?)),
            None => (step, None),
        };
        let mut alike = node.children().filter(|child| child.is_element() && child.tag_name().name() == name);
        node = match number {
            Some(number) => alike.nth(number.checked_sub(1)?)?,
            None => alike.next().filter(|_| alike.next().is_none())?,
        };
    }
    Some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"  File "<12>", line 8, in template_shop_base_label_12_t_call_0
  File "<9>", line 66, in template_web_layout_9_content
odoo.addons.base.models.ir_qweb.QWebError: Error while rendering the template:
    TypeError: 'NoneType' object cannot be interpreted as an integer
    Template: shop_base.label
    Reference: 12
    Path: /t/t[4]
    Element: <t t-foreach="range(pages &gt; 1)" t-as="page"/>
    From: (20, '/t/t', '<t t-call="web.layout"/>')
          (9, '/t/t', '<t t-call="web.container"/>')
          (20, '/t/t/div/t[2]', '<t t-call="shop_base.label"/>')
          (12, '/t/t[4]', '<t t-foreach="range(pages &gt; 1)" t-as="page"/>')"#;

    #[test]
    fn steps_lead_to_the_entry() {
        let read = Rendering::read(LOG);
        assert_eq!(read.names, ["shop_base.label"]);
        assert_eq!(read.compiled[..2], ["shop.base_label", "shop_base.label"]);
        assert_eq!((read.entry.len(), read.entry_calls()), (2, vec!["shop_base.label".to_owned(), "web.layout".to_owned()]));
        assert!(read.entry_names.is_empty() && read.called.len() == 3);
        let named = Rendering::read(&LOG.replace("(20, ", "(9, "));
        assert_eq!(named.entry_names, ["web.layout"]);
        // What failed was what was to be rendered.
        assert!(Rendering::read(&LOG.replace("(20, ", "(12, ")).entry.is_empty());
        assert_eq!(Rendering::read("no template"), Rendering::default());
    }

    #[test]
    fn path_leads_to_the_element() {
        let read = Rendering::read(LOG);
        let template = r#"  <template id="a"><t t-call="web.layout"><div><t t-set="n"/><t t-call="shop_base.label"/></div></t></template>"#;
        assert!(read.is_entry(template));
        assert!(!read.is_entry(&template.replace("<t t-set=\"n\"/>", "")));
        assert!(!read.is_entry(&template.replace("</template>", "<t/></template>")), "the first step is an only child");
        let view = r#"<record id="a" model="ir.ui.view"><field name="arch" type="xml"><t t-name="a"><t t-call="web.layout"><div><t/><t t-call="shop_base.label"/></div></t></t></field></record>"#;
        assert!(read.is_entry(view));
        for garbage in ["", "<", "<t/>", "<record/>"] {
            assert!(!read.is_entry(garbage));
        }
    }

    #[test]
    fn element_is_known_by_its_directives() {
        let read = Rendering::read(LOG);
        assert_eq!(read.directives, ["range(pages>1)", "page"]);
        assert!(holds("<t t-foreach='range(pages\n > 1)' t-as='page'>", &read.directives));
        assert!(!holds("<t t-as='page'>", &read.directives) && !holds("", &[]));
    }
}
