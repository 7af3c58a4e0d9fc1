//! What: a field that Odoo renamed or removed is named as it is now, or dropped: in records, in views, and in Python where the
//! Odoo model is clear from the syntax.
//!
//! Why: records and views with the old name do not load; Python with it fails when it runs.
//! A field that is gone leaves its anchors to one that stands near it; values written to it go. What was merged into another field is written
//! there, and a field that says the opposite gets the opposite value.
//! Safe where all rows that are followed are about the same thing, or the field is only held against values that mean the same in both; of the others only those that the error names are followed. A value that
//! goes is no loss only where it says what Odoo does anyway (`numbercall` -1).
//! Before: `<field name="groups_id" …/>` of a menu, `self.env.user.groups_id`, `numbercall` of a cron.
//! After: `<field name="group_ids" …/>`, `self.env.user.all_group_ids` (reading asks for the implied groups too), no `numbercall`.
//! A category of a group becomes a privilege of that category, since `privilege_id` stands where `category_id` stood.
//! Since: each row of `renames` says it.

mod kept;
mod python;
mod special;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node};

use super::edit::{Edit, apply, indent, xml};
use super::meaning::{Meaning, joined, only_read};
use super::renames::{Known, RENAMES, Rename, To};
use super::{Case, FileChange, LAST_RUN, Proposal, Rule, change, changed, graded, removal};
use crate::domain::ErrorClass;
use crate::odoo::Addon;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "renamed_field", classes: ErrorClass::ALL, since: 16, propose };

/// The names of the fields that the addon defines itself.
pub(super) fn defined(addon: &Addon) -> BTreeSet<String> {
    python::defined(addon)
}

/// Where Python names a method of an Odoo model: what is called on its records, and what overrides it.
pub(super) fn named_on(text: &str, odoo_model: &str, name: &str) -> Option<Vec<std::ops::Range<usize>>> {
    python::named_on(text, odoo_model, name)
}

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let major = case.version.major();
    let named = named(&case.report.text, major);
    let mut names: Vec<&str> = named.iter().map(|row| row.old.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Vec::new();
    }
    let defined = python::defined(case.addon);
    let summary = format!("Odoo renamed or removed {}: records, views and code follow.", names.join(", "));
    let there = still_there(case, major);
    let of = |rows: &[&'static Rename]| {
        let at = |major: u8| {
            let known = Known::without(major, rows.to_vec(), &there);
            (mended(case.addon, &known, &defined), known)
        };
        let (changes, known) = at(major);
        // What follows by the way is no answer by itself.
        if !known.met_any(&named) {
            return Vec::new();
        }
        let only_read = (major > LAST_RUN && at(LAST_RUN).0 != changes).then(|| only_read(major));
        match joined(known.doubt(|row| kept::is_kept(case.addon, row)).into_iter().chain(only_read)) {
            Some(doubt) if known.takes_away() => removal(summary.as_str(), doubt, changes),
            doubt => graded(summary.as_str(), doubt, changes),
        }
    };
    // What is not safe is not done by the way: where the error may be about the same thing under another name, that comes alone first.
    let alone = if named.iter().any(|row| row.meaning == Meaning::Same) { of(&[]) } else { Vec::new() };
    let mut found = alone;
    found.extend(of(&named));
    found.dedup_by(|a, b| a.patch == b.patch);
    found
}

/// The rows of fields that an addon at hand, or Odoo itself, defines under their old names: what names them means those.
fn still_there(case: &Case<'_>, major: u8) -> Vec<&'static Rename> {
    let mut found = Vec::new();
    for class in case.index.modules().flat_map(|(_, facts)| &facts.classes) {
        let is_there = |row: &&Rename| row.odoo_model == class.odoo_model && class.fields.contains_key(&row.old);
        found.extend(RENAMES.iter().filter(|row| row.since <= major).filter(is_there));
    }
    found
}

/// The rows that the text names; where it names the Odoo model of one of several that have a field of this name, that one.
fn named(text: &str, major: u8) -> Vec<&'static Rename> {
    let all: Vec<&Rename> = RENAMES.iter().filter(|row| row.since <= major && names(text, &row.odoo_model, &row.old)).collect();
    let of_model = |row: &Rename| {
        let whole = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_');
        text.split(|c: char| !whole(c))
            .any(|word| word.strip_suffix(&row.old).map_or(word, |of| of.trim_end_matches('.')) == row.odoo_model)
    };
    let told = |old: &str| all.iter().any(|row| row.old == old && of_model(row));
    all.iter().copied().filter(|row| row.meaning == Meaning::Same || !told(&row.old) || of_model(row)).collect()
}

fn mended(addon: &Addon, known: &Known, defined: &BTreeSet<String>) -> Vec<FileChange> {
    let mut changes = changed(addon, "py", |text| python::mended(text, known, defined));
    let mut privileges = Privileges::default();
    for (path, text) in data_files(addon) {
        let edits = xml::parse(text).map(|document| edits(addon, text, &document, known, &mut privileges)).unwrap_or_default();
        if let Some(after) = apply(text, edits) {
            changes.push(change(path, text, after));
        }
    }
    changes
}

/// Whether the text names the field between quotes or behind its Odoo model, as the messages of Odoo and Python do.
fn names(text: &str, odoo_model: &str, old: &str) -> bool {
    text.match_indices(old).any(|(at, _)| {
        let quoted = ["'", "\"", "&#39;", "&quot;", "“"].iter().any(|quote| text[..at].ends_with(quote));
        let whole = quoted || text[..at].strip_suffix('.').is_some_and(|before| before.ends_with(odoo_model));
        whole && !text[at + old.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// XML files in the order in which the manifest loads them, those that it does not list last.
fn data_files(addon: &Addon) -> Vec<(&crate::domain::RelPath, &str)> {
    let manifest = addon.manifest();
    let listed = manifest.as_ref().map(|manifest| manifest.texts("data")).unwrap_or_default();
    let mut files: Vec<_> = addon.texts("xml").collect();
    files.sort_by_key(|(path, _)| listed.iter().position(|item| *item == path.within_module()).unwrap_or(usize::MAX));
    files
}

fn edits(addon: &Addon, text: &str, document: &Document<'_>, known: &Known, privileges: &mut Privileges) -> Vec<Edit> {
    let mut edits = Vec::new();
    for record in document.descendants().filter(|node| node.has_tag_name("record")) {
        let odoo_model = record.attribute("model").unwrap_or_default();
        for node in record.children().filter(|node| node.has_tag_name("field")) {
            let Some(name) = node.attribute_node("name") else { continue };
            let rename = |new: &str| xml::value_range(text, &name).map(|range| Edit::new(range, new));
            match known.find(odoo_model, name.value()) {
                Some(To::Field { write, .. }) => edits.extend(rename(write)),
                Some(To::Gone { idle, .. })
                    if known.drops(odoo_model, name.value(), idle, node.attribute("eval").or_else(|| node.text())) =>
                {
                    edits.push(xml::remove_element(text, node));
                }
                // Where both are given, which of them counts is not for a rule to say.
                Some(To::Merged { into }) if xml::fields(record, into).next().is_none() => edits.extend(rename(into)),
                Some(To::Inverted { write }) => {
                    let opposite = opposite(text, node);
                    edits.extend(opposite.is_some().then(|| rename(write)).flatten().into_iter().chain(opposite));
                }
                Some(To::Merged { .. } | To::Gone { .. }) => {}
                Some(To::Privilege) => edits.extend(privileges.edits(addon, text, record, node)),
                None if odoo_model == "ir.rule" && name.value() == "domain_force" => edits.extend(rule_domain(text, node, known)),
                None => {}
            }
        }
    }
    for (arch, odoo_model) in xml::archs(document) {
        if let Some(odoo_model) = odoo_model {
            view::edits(text, arch, odoo_model, known, &mut edits);
        }
    }
    edits
}

/// The opposite of a value that is plainly true or false.
fn opposite(text: &str, node: Node<'_, '_>) -> Option<Edit> {
    let eval = node.attribute_node("eval");
    let (range, value) = match &eval {
        Some(eval) => (xml::value_range(text, eval)?, eval.value()),
        None => xml::plain_text(text, node)?,
    };
    let opposite = match value.trim() {
        "True" => "False",
        "False" => "True",
        "1" => "0",
        "0" => "1",
        _ => return None,
    };
    Some(Edit::new(range, opposite))
}

/// `user.groups_id` in the domain of a record rule.
fn rule_domain(text: &str, node: Node<'_, '_>, known: &Known) -> Vec<Edit> {
    let (Some(To::Field { read: Some(read), .. }), Some((range, raw))) =
        (known.find("res.users", "groups_id"), xml::plain_text(text, node))
    else {
        return Vec::new();
    };
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let found = raw.match_indices("user.groups_id").filter(|(at, old)| {
        !raw[..*at].ends_with(is_name) && !raw[at + old.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    });
    found.map(|(at, old)| Edit::new(range.start + at + "user.".len()..range.start + at + old.len(), read)).collect()
}

/// The privileges that were made so far: category to external id.
#[derive(Debug, Default)]
struct Privileges(BTreeMap<String, String>);

impl Privileges {
    /// A group of a category becomes a group of a privilege of that category, which is made before the first such group.
    fn edits(&mut self, addon: &Addon, text: &str, record: Node<'_, '_>, node: Node<'_, '_>) -> Vec<Edit> {
        let category = node.attribute("ref").map(str::trim).unwrap_or_default();
        if category.ends_with("module_category_hidden") || node.attribute("eval").map(str::trim) == Some("False") {
            // Groups without a privilege are what groups of the hidden category were: shown nowhere but in technical lists.
            return vec![xml::remove_element(text, node)];
        }
        let (Some(name), Some(reference)) = (node.attribute_node("name"), node.attribute_node("ref")) else { return Vec::new() };
        let (Some(name), Some(reference)) = (xml::value_range(text, &name), xml::value_range(text, &reference)) else { return Vec::new() };
        let full = if category.contains('.') { category.to_owned() } else { format!("{}.{category}", addon.name()) };
        let mut edits = vec![Edit::new(name, "privilege_id")];
        let id = match self.0.get(&full) {
            Some(id) => id.clone(),
            None => {
                let Some(title) = title(addon, &full) else { return Vec::new() };
                let last = full.rsplit('.').next().unwrap_or(&full);
                let id = format!("privilege_{}", last.trim_start_matches("module_category_").trim_start_matches("category_"));
                edits.push(Edit::new(record.range().start..record.range().start, privilege(text, record, &id, &title, category)));
                self.0.insert(full, id.clone());
                id
            }
        };
        edits.push(Edit::new(reference, id));
        edits
    }
}

fn privilege(text: &str, record: Node<'_, '_>, id: &str, title: &str, category: &str) -> String {
    let margin = indent(text, record.range().start).map(|margin| format!("\n{margin}"));
    let inner = margin.as_ref().map(|margin| format!("{margin}    ")).unwrap_or_default();
    let margin = margin.unwrap_or_default();
    let title = xml::escape_text(title);
    format!(
        "<record id=\"{id}\" model=\"res.groups.privilege\">{inner}<field name=\"name\">{title}</field>{inner}<field name=\"category_id\" ref=\"{category}\" />{margin}</record>{margin}"
    )
}

/// What the privilege is called: as its category if the addon defines that, else as the addon.
fn title(addon: &Addon, category: &str) -> Option<String> {
    let own = category.strip_prefix(addon.name().as_str()).and_then(|rest| rest.strip_prefix('.'));
    let defined = own.and_then(|id| {
        addon.texts("xml").find_map(|(_, text)| {
            let document = xml::parse(text)?;
            let record = xml::records(&document, "ir.module.category").find(|record| record.attribute("id") == Some(id))?;
            xml::fields(record, "name").next()?.text().map(|name| name.trim().to_owned())
        })
    });
    defined.or_else(|| addon.manifest()?.text("name").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{candidates, first_diff, fixture, mended_file};

    const CLASS: ErrorClass = ErrorClass::FieldInvalid;

    #[test]
    fn probes_are_mended() {
        insta::assert_snapshot!(
            "p_groupsid",
            first_diff(&fixture("renamed_field", "p_groupsid"), CLASS, "Invalid field 'groups_id' in 'ir.actions.act_window'")
        );
        insta::assert_snapshot!(
            "p_cron",
            first_diff(&fixture("renamed_field", "p_cron"), CLASS, "Invalid field 'numbercall' in 'ir.cron'")
        );
    }

    #[test]
    fn whole_addon_follows() {
        insta::assert_snapshot!(first_diff(&fixture("renamed_field", "everything"), CLASS, "Invalid field 'category_id' in 'res.groups'"));
    }

    #[test]
    fn hidden_category_goes() {
        let before = "<odoo>\n    <record id=\"g\" model=\"res.groups\">\n        <field name=\"name\">x</field>\n        <field name=\"category_id\" ref=\"base.module_category_hidden\" />\n    </record>\n</odoo>\n";
        let after = "<odoo>\n    <record id=\"g\" model=\"res.groups\">\n        <field name=\"name\">x</field>\n    </record>\n</odoo>\n";
        assert_eq!(mended_file(&[("g.xml", before)], "g.xml", CLASS, "Invalid field 'category_id' in 'res.groups'").unwrap(), after);
    }

    #[test]
    fn fields_of_other_models_stay() {
        let text = "<odoo><record id=\"a\" model=\"ir.embedded.actions\"><field name=\"groups_ids\"/></record><record id=\"b\" model=\"m.x\"><field name=\"groups_id\"/><field name=\"category_id\" ref=\"c\"/></record></odoo>";
        let addon = crate::rules::testing::addon(&[("a.xml", text)]);
        assert!(candidates(&addon, CLASS, "Invalid field 'groups_id' in 'm.x'").is_empty());
    }
}
