//! What: new Odoo models get the access rules that Odoo itself prints: reading for internal users, nothing more. A wizard, whose records
//! each user makes for himself, also gets writing and creating: it cannot be used with less.
//!
//! Not safe: nothing in the sources says who may do what; the rights are the least ones with which the model can be used, and made up.
//! Why: without a row in `ir.model.access` nobody but the superuser can use the model. More rights are for people to grant.
//! Before: no row. After: `access_m_x,access_m_x,model_m_x,base.group_user,1,0,0,0` in `security/ir.model.access.csv`, listed in the manifest.
//! Since: any Odoo before 20, which replaces the file.

use regex::Regex;

use super::edit::manifest as edit;
use super::edit::python::{Source, field};
use super::{Case, Proposal, Rule, change, manifest_change, unsure};
use crate::domain::{ErrorClass, FileChange};
use crate::odoo::{Addon, Manifest};

/// The rule.
pub(super) const RULE: Rule = Rule { name: "access_rules", classes: &[ErrorClass::AccessRulesMissing], since: 0, propose };

const FILE: &str = "security/ir.model.access.csv";
const HEADER: [&str; 8] = ["id", "name", "model_id:id", "group_id:id", "perm_read", "perm_write", "perm_create", "perm_unlink"];

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let rows = rows(&case.report.text, case.addon.name().as_str());
    if rows.is_empty() || case.version.major() >= 20 {
        return Vec::new();
    }
    let rows: Vec<_> = rows.into_iter().map(|row| usable(case.addon, row)).collect();
    let Some(file) = file_change(case.addon, &rows) else { return Vec::new() };
    let mut changes = vec![file];
    let listed = case.addon.manifest().is_some_and(|manifest| manifest.texts("data").contains(&FILE));
    if !listed {
        let Some(change) = manifest_change(case.addon, |text, manifest| edit::insert(text, "data", FILE, place(case.addon, manifest)))
        else {
            return Vec::new();
        };
        changes.push(change);
    }
    unsure(
        "New models have no access rules: internal users may read them, as Odoo suggests, and use wizards; grant more by hand.",
        "No source says who may do what with these models: the rights are made up.",
        changes,
    )
}

/// The rows that Odoo printed for this addon, its own name left out of the ids.
fn rows(text: &str, addon: &str) -> Vec<[String; 8]> {
    let Ok(head) = Regex::new(r"have no access rules in module (\w+), consider adding some, like:\s*\n") else { return Vec::new() };
    let mut found: Vec<[String; 8]> = Vec::new();
    for captures in head.captures_iter(text).filter(|captures| &captures[1] == addon) {
        let Some(whole) = captures.get(0) else { continue };
        for line in text[whole.end()..].lines().skip(1) {
            let Some(row) = row(line.trim(), addon) else { break };
            if found.iter().all(|known| known[2] != row[2]) {
                found.push(row);
            }
        }
    }
    found
}

/// The least rights with which the model of a row can be used.
fn usable(addon: &Addon, row: [String; 8]) -> [String; 8] {
    if !is_transient(addon, &row[2]) {
        return row;
    }
    let [id, name, model, group, ..] = row;
    let [read, write, create, unlink] = ["1", "1", "1", "0"].map(str::to_owned);
    [id, name, model, group, read, write, create, unlink]
}

/// Whether the addon defines the model with this external id as a `TransientModel`.
fn is_transient(addon: &Addon, id: &str) -> bool {
    addon.texts("py").filter_map(|(_, text)| Source::parse(text)).any(|source| {
        source.all("class_definition").any(|class| {
            let transient = field(class, "superclasses").is_some_and(|bases| source.of(bases).contains("TransientModel"));
            let body = field(class, "body").map(|body| source.of(body)).unwrap_or_default();
            transient && names(body).any(|name| format!("model_{}", name.replace('.', "_")) == id)
        })
    })
}

/// What `_name` is set to in the body of a class.
fn names(body: &str) -> impl Iterator<Item = &str> {
    body.lines().filter_map(|line| {
        let value = line.trim().strip_prefix("_name")?.trim_start().strip_prefix('=')?.trim();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        value[1..].split(quote).next()
    })
}

/// One printed row. The rights are not taken from the text but fixed: a log line must not grant anything.
fn row(line: &str, addon: &str) -> Option<[String; 8]> {
    let cells: Vec<&str> = line.split(',').collect();
    let identifier =
        |text: &str| !text.is_empty() && text.len() <= 200 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    if cells.len() != 8 || !cells.iter().all(|cell| identifier(cell)) {
        return None;
    }
    let own = |text: &str| text.strip_prefix(addon).and_then(|rest| rest.strip_prefix('.')).unwrap_or(text).to_owned();
    let model = own(cells[2]);
    let right = |text: &str| text.to_owned();
    model.strip_prefix("model_")?;
    Some([own(cells[0]), cells[1].to_owned(), model, right("base.group_user"), right("1"), right("0"), right("0"), right("0")])
}

/// The file with the rows that it lacks, in its own order of columns and style.
fn file_change(addon: &Addon, rows: &[[String; 8]]) -> Option<FileChange> {
    let path = addon.path(FILE)?;
    let Some(before) = addon.text(&path).filter(|text| !text.trim().is_empty()) else {
        let lines: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
        let after = format!("{}\n{}\n", HEADER.join(","), lines.join("\n"));
        return Some(FileChange { before: addon.text(&path).map(str::to_owned), path, after });
    };
    let (first, _) = before.split_once('\n').unwrap_or((before, ""));
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(before.as_bytes());
    let header: Vec<String> = reader.headers().ok()?.iter().map(|name| name.trim().replace('/', ":")).collect();
    let columns: Vec<usize> = header.iter().map(|name| HEADER.iter().position(|known| known == name)).collect::<Option<_>>()?;
    let quoted = first.trim_start_matches('\u{feff}').starts_with('"');
    let model_column = columns.iter().position(|column| *column == 2)?;
    let known: Vec<String> = reader.records().filter_map(|record| Some(record.ok()?.get(model_column)?.to_owned())).collect();
    let newline = if first.ends_with('\r') { "\r\n" } else { "\n" };
    let mut after = before.to_owned();
    for row in rows.iter().filter(|row| !known.iter().any(|model| model.rsplit('.').next() == Some(row[2].as_str()))) {
        if !after.ends_with('\n') {
            after.push_str(newline);
        }
        let cell = |column: &usize| if quoted { format!("\"{}\"", row[*column]) } else { row[*column].clone() };
        after.push_str(&columns.iter().map(cell).collect::<Vec<_>>().join(","));
        after.push_str(newline);
    }
    Some(change(&path, before, after))
}

/// First in the list; but after the files of groups, if the existing rows name groups of this addon.
fn place(addon: &Addon, manifest: &Manifest) -> usize {
    let existing = addon.path(FILE).and_then(|path| addon.text(&path)).unwrap_or_default();
    let items = manifest.texts("data");
    let names_own_groups = existing.contains(&format!("{}.", addon.name())) || existing.contains(",group_");
    if names_own_groups { items.iter().rposition(|item| item.starts_with("security/")).map_or(0, |last| last + 1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates, first_diff, fixture, mended};

    const CLASS: ErrorClass = ErrorClass::AccessRulesMissing;

    fn text(rows: &str) -> String {
        let header = HEADER.join(",");
        format!(
            "The models ['m.x', 'm.y'] have no access rules in module m, consider adding some, like:\n{header}\n{rows} \n2026-11-22 next entry"
        )
    }

    const ROWS: &str =
        "m.access_m_x,access_m_x,m.model_m_x,base.group_user,1,0,0,0\nm.access_m_y,access_m_y,m.model_m_y,base.group_user,1,0,0,0";

    #[test]
    fn probe_gets_its_file() {
        let log = "The models ['p.noacl'] have no access rules in module p_noacl, consider adding some, like:\n\
            id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink\n\
            p_noacl.access_p_noacl,access_p_noacl,p_noacl.model_p_noacl,base.group_user,1,0,0,0 \n";
        insta::assert_snapshot!(first_diff(&fixture("access_rules", "p_noacl"), CLASS, log));
    }

    #[test]
    fn rows_follow_the_style_of_the_file() {
        let csv = "\"id\",\"name\",\"model_id/id\",\"group_id/id\",\"perm_read\",\"perm_create\",\"perm_write\",\"perm_unlink\"\n\"a\",\"a\",\"model_m_x\",\"base.group_user\",1,1,1,1";
        let files = [("__manifest__.py", "{'name': 'm', 'data': ['security/ir.model.access.csv']}"), (FILE, csv)];
        let mended = mended(&addon(&files), CLASS, &text(ROWS)).unwrap();
        let expected = format!("{csv}\n\"access_m_y\",\"access_m_y\",\"model_m_y\",\"base.group_user\",\"1\",\"0\",\"0\",\"0\"\n");
        assert_eq!(mended.text(&mended.path(FILE).unwrap()).unwrap(), expected);
    }

    #[test]
    fn log_line_grants_nothing() {
        let rows = "m.access_m_x,access_m_x,m.model_m_x,base.group_public,1,1,1,1";
        let mended = mended(&addon(&[("__manifest__.py", "{'name': 'm'}")]), CLASS, &text(rows)).unwrap();
        assert!(mended.text(&mended.path(FILE).unwrap()).unwrap().ends_with(",base.group_user,1,0,0,0\n"));
        let hostile = "m.a,=cmd|x,m.model_m_x,base.group_user,1,0,0,0";
        assert!(candidates(&addon(&[("__manifest__.py", "{'name': 'm'}")]), CLASS, &text(hostile)).is_empty());
    }

    #[test]
    fn wizard_can_be_used() {
        let code =
            "from odoo import models\nclass X(models.TransientModel):\n    _name = 'm.x'\nclass Y(models.Model):\n    _name = 'm.y'\n";
        let mended = mended(&addon(&[("__manifest__.py", "{'name': 'm'}"), ("__init__.py", code)]), CLASS, &text(ROWS)).unwrap();
        let rows = mended.text(&mended.path(FILE).unwrap()).unwrap();
        assert!(rows.contains("model_m_x,base.group_user,1,1,1,0\n") && rows.contains("model_m_y,base.group_user,1,0,0,0\n"), "{rows}");
    }

    #[test]
    fn other_module_is_left() {
        assert!(
            candidates(&addon(&[("__manifest__.py", "{'name': 'm'}")]), CLASS, &text(ROWS).replace("module m,", "module n,")).is_empty()
        );
    }
}
