//! What: a data file that defines a record is loaded before the file that names it.
//!
//! Why: Odoo loads the files of `data` in their order; an external id exists only after its file.
//! Before: `"data": ["security/ir.model.access.csv", "security/groups.xml"]`.
//! After: `"data": ["security/groups.xml", "security/ir.model.access.csv"]`.
//! Since: any Odoo.

use regex::Regex;

use super::edit::{manifest as edit, xml};
use super::{Case, Proposal, Rule, graded, manifest_change};
use crate::domain::ErrorClass;
use crate::odoo::Addon;

/// The rule.
pub(super) const RULE: Rule =
    Rule { name: "data_order", classes: &[ErrorClass::ExternalIdMissing, ErrorClass::CsvInvalid], since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let (Some(id), Some(failing)) = (own_id(case), failing_file(case)) else { return Vec::new() };
    // What is listed elsewhere, such as in `demo`, was never meant for every database.
    let mut listed_elsewhere = None;
    let change = manifest_change(case.addon, |text, manifest| {
        let list = manifest.list("data")?;
        let values: Vec<&str> = list.items.iter().map(|item| item.value.as_str()).collect();
        let at = values.iter().position(|value| *value == failing)?;
        let defining = case.addon.texts("xml").find(|(path, text)| path.within_module() != failing && ids(text).contains(&id));
        let defining = defining?.0.within_module();
        match values.iter().position(|value| *value == defining) {
            Some(from) if from > at => {
                let between =
                    |range: std::ops::Range<usize>| values[range].iter().flat_map(|value| defined(case.addon, value)).collect::<Vec<_>>();
                if !names_any(case.addon, defining, &between(at..from)) {
                    edit::moved(text, &list, from, at)
                } else if values[at + 1..=from].iter().all(|value| !names_any(case.addon, value, &defined(case.addon, failing))) {
                    edit::moved(text, &list, at, from)
                } else {
                    None
                }
            }
            Some(_) => None,
            None => {
                let is_listed = ["demo", "demo_xml", "test"].into_iter().find(|key| manifest.texts(key).contains(&defining));
                listed_elsewhere =
                    is_listed.map(|key| format!("{defining} is listed in '{key}': as data it would be loaded into every database."));
                edit::insert(text, "data", defining, at)
            }
        }
    });
    let summary = format!("{failing} names {id}, whose data file was loaded later or not at all: that file now comes first.");
    graded(summary, listed_elsewhere, change.into_iter().collect())
}

/// The external id that was not found, without the addon's own name; `None` if it belongs to another addon.
fn own_id(case: &Case<'_>) -> Option<String> {
    let pattern =
        Regex::new(r"External ID not found in the system: ([\w.]+)|No matching record found for external id '([\w.]+)' in field").ok()?;
    let captures = pattern.captures(&case.report.text)?;
    let id = captures.get(1).or(captures.get(2))?.as_str().trim_end_matches('.');
    match id.split_once('.') {
        None => Some(id.to_owned()),
        Some((module, name)) => (module == case.addon.name().as_str()).then(|| name.to_owned()),
    }
}

/// The listed file that was being loaded.
fn failing_file<'a>(case: &Case<'a>) -> Option<&'a str> {
    let addon = case.addon;
    let named = |path: &str| {
        let full = format!("{}/{path}", addon.name());
        let text = &case.report.text;
        text.match_indices(&full).any(|(at, _)| {
            let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            text[start..at].contains("while parsing ") || text[..at].ends_with("file ")
        })
    };
    let paths = addon.files().map(|(path, _)| path).filter(|path| !path.within_module().ends_with(".py"));
    let located = case.report.location.as_ref().map(|location| location.path.as_str());
    let mut paths: Vec<_> = paths.filter(|path| located == Some(path.as_str()) || named(path.within_module())).collect();
    // `a.xml` also matches where `a.xml.bak` was named; the longest is the one.
    paths.sort_by_key(|path| std::cmp::Reverse(path.as_str().len()));
    paths.first().map(|path| path.within_module())
}

/// The ids that a data file defines, without a module.
pub(super) fn ids(text: &str) -> Vec<String> {
    let Some(document) = xml::parse(text) else { return Vec::new() };
    let defines = |node: &roxmltree::Node<'_, '_>| {
        matches!(node.tag_name().name(), "record" | "template" | "menuitem" | "report" | "act_window" | "asset")
    };
    let ids = document.descendants().filter(defines).filter_map(|node| node.attribute("id"));
    ids.map(|id| id.rsplit('.').next().unwrap_or(id).to_owned()).collect()
}

fn defined(addon: &Addon, file: &str) -> Vec<String> {
    addon.path(file).and_then(|path| addon.text(&path)).map_or_else(Vec::new, ids)
}

/// Whether a file names one of these ids anywhere, as a whole word.
fn names_any(addon: &Addon, file: &str, ids: &[String]) -> bool {
    let text = addon.path(file).and_then(|path| addon.text(&path)).unwrap_or_default();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let words: std::collections::HashSet<&str> = text.split(|c| !word(c)).collect();
    ids.iter().any(|id| words.contains(id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{candidates, mended_file};

    const CSV: &str =
        "id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\na,a,base.model_res_partner,group_x,1,0,0,0\n";
    const GROUPS: &str = "<odoo><record id=\"group_x\" model=\"res.groups\"><field name=\"name\">x</field></record></odoo>";
    const LOG: &str = "Exception: Module loading m failed: file m/security/ir.model.access.csv could not be processed:\n\
        No matching record found for external id 'm.group_x' in field 'Group'";

    fn files(manifest: &str) -> [(&str, &str); 4] {
        [
            ("__manifest__.py", manifest),
            ("security/ir.model.access.csv", CSV),
            ("security/groups.xml", GROUPS),
            ("menu.xml", "<odoo><menuitem id=\"menu_x\"/></odoo>"),
        ]
    }

    #[test]
    fn definition_comes_first() {
        let before = "{'data': ['security/ir.model.access.csv', 'menu.xml', 'security/groups.xml']}";
        let after = "{'data': ['security/groups.xml', 'security/ir.model.access.csv', 'menu.xml']}";
        assert_eq!(mended_file(&files(before), "__manifest__.py", ErrorClass::CsvInvalid, LOG).unwrap(), after);
    }

    #[test]
    fn unlisted_definition_is_listed() {
        let after = "{'data': ['security/groups.xml', 'security/ir.model.access.csv']}";
        let manifest = "{'data': ['security/ir.model.access.csv']}";
        assert_eq!(mended_file(&files(manifest), "__manifest__.py", ErrorClass::CsvInvalid, LOG).unwrap(), after);
    }

    #[test]
    fn user_moves_down_if_the_definition_cannot_move_up() {
        let files = [
            ("__manifest__.py", "{'data': ['menu.xml', 'base.xml', 'action.xml']}"),
            ("menu.xml", "<odoo><menuitem id=\"menu_x\" action=\"action_x\"/></odoo>"),
            ("base.xml", "<odoo><record id=\"view_x\" model=\"ir.ui.view\"/></odoo>"),
            (
                "action.xml",
                "<odoo><record id=\"action_x\" model=\"ir.actions.act_window\"><field name=\"view_id\" ref=\"view_x\"/></record></odoo>",
            ),
        ];
        let log = "ValueError: External ID not found in the system: m.action_x\n\nodoo.tools.convert.ParseError: while parsing /mnt/m/menu.xml:1, somewhere inside";
        let after = mended_file(&files, "__manifest__.py", ErrorClass::ExternalIdMissing, log).unwrap();
        assert_eq!(after, "{'data': ['base.xml', 'action.xml', 'menu.xml']}");
    }

    #[test]
    fn id_of_another_addon_is_left() {
        let addon = crate::rules::testing::addon(&files("{'data': ['security/ir.model.access.csv', 'security/groups.xml']}"));
        assert!(candidates(&addon, ErrorClass::CsvInvalid, &LOG.replace("m.group_x", "sale.group_x")).is_empty());
    }
}
