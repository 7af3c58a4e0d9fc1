//! Who may do what is a person's decision: a fix may give a new Odoo model its first rights, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::guard::pattern;
use crate::domain::FileChange;
use crate::odoo::Addon;

/// Records that are rights as a whole.
const RIGHTS: [&str; 2] = ["ir.rule", "ir.model.access"];
/// Records that hold, besides other things, who belongs to which group; and the fields that say so, in the words of every series.
const MEMBERS: [&str; 2] = ["res.groups", "res.users"];
const MEMBER_FIELDS: [&str; 6] = ["implied_ids", "implied_by_ids", "users", "user_ids", "groups_id", "group_ids"];
const PERMISSIONS: [&str; 4] = ["perm_read", "perm_write", "perm_create", "perm_unlink"];
/// Groups of people from outside.
const OUTSIDERS: [&str; 2] = ["base.group_public", "base.group_portal"];

static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^\s+_name\s*=\s*['"]([\w.]+)['"]"#));

/// The Odoo models that the addon itself defines, as in the external id that Odoo gives them: `res_partner`.
pub(super) fn own_names(addon: &Addon, changes: &[FileChange]) -> BTreeSet<String> {
    let changed = changes.iter().map(|change| change.after.as_str());
    let texts = addon.texts("py").map(|(_, text)| text).chain(changed);
    texts.flat_map(|text| NAME.captures_iter(text).map(|found| found[1].replace('.', "_"))).collect()
}

/// What the change does to rights and must not.
pub(super) fn refusals(own: &BTreeSet<String>, change: &FileChange) -> Vec<String> {
    let before = change.before.as_deref().unwrap_or_default();
    let path = change.path.as_str();
    if path.ends_with(".xml") {
        return xml(path, before, &change.after).into_iter().collect();
    }
    // Odoo takes the name of the records' Odoo model from the file, up to a dash.
    let file = path.rsplit('/').next().unwrap_or_default();
    match file.strip_suffix(".csv").and_then(|stem| stem.split('-').next()) {
        Some("ir.model.access") => csv(own, path, before, &change.after),
        Some(name) if RIGHTS.contains(&name) || MEMBERS.contains(&name) => vec![format!("the edit of {path} changes access rights")],
        _ => Vec::new(),
    }
}

/// One row of `ir.model.access.csv`.
struct Row {
    id: String,
    name: String,
    group: String,
    permissions: [bool; 4],
}

impl Row {
    fn gives_more_than(&self, other: &Self) -> bool {
        self.permissions.iter().zip(other.permissions).any(|(ours, theirs)| *ours && !theirs)
    }
}

fn csv(own: &BTreeSet<String>, path: &str, before: &str, after: &str) -> Vec<String> {
    let (Some(old_rows), Some(new_rows)) = (rows(before), rows(after)) else {
        return vec![format!("{path} has no column `id` after the edit, or cannot be read")];
    };
    let old: BTreeMap<&str, &Row> = old_rows.iter().map(|row| (row.id.as_str(), row)).collect();
    new_rows.iter().filter_map(|row| widened(own, &old, row).map(|what| format!("{path}: the row {:?} {what}", row.id))).collect()
}

fn widened(own: &BTreeSet<String>, old: &BTreeMap<&str, &Row>, row: &Row) -> Option<&'static str> {
    let same = old.get(row.id.as_str());
    if same.is_some_and(|same| row.gives_more_than(same)) {
        return Some("gives a right that it did not give");
    }
    if same.is_some_and(|same| same.group != row.group) {
        return Some("gives its rights to another group");
    }
    if same.is_some_and(|same| same.name == row.name) || row.permissions == [false; 4] {
        return None;
    }
    // From here on the row gives rights on an Odoo model on which it gave none.
    if !own.contains(&row.name) {
        return Some("gives rights on what the addon does not define");
    }
    if old.values().any(|other| other.name == row.name && (other.group != row.group || row.gives_more_than(other))) {
        return Some("gives more rights on what has rights already");
    }
    if same.is_some() {
        return None;
    }
    (row.group.is_empty() || OUTSIDERS.contains(&row.group.as_str())).then_some("gives rights to everybody")
}

fn rows(text: &str) -> Option<Vec<Row>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut reader =
        ::csv::ReaderBuilder::new().flexible(true).trim(::csv::Trim::All).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let headers = reader.headers().ok()?.clone();
    let column = |wanted: &str| headers.iter().position(|header| header.split([':', '/']).next() == Some(wanted));
    let (id, name, group) = (column("id")?, column("model_id"), column("group_id"));
    let permissions = PERMISSIONS.map(column);
    let read = |record: ::csv::StringRecord| {
        let cell = |column: Option<usize>| column.and_then(|column| record.get(column)).unwrap_or_default();
        let granted = |column| !matches!(cell(column).to_lowercase().as_str(), "" | "0" | "false" | "f" | "no");
        Row {
            id: cell(Some(id)).to_owned(),
            name: cell(name).rsplit('.').next().unwrap_or_default().trim_start_matches("model_").to_owned(),
            group: cell(group).to_owned(),
            permissions: permissions.map(granted),
        }
    };
    reader.records().map(|record| record.ok().map(read)).collect()
}

/// Compares what the two texts say about rights. A text that cannot be read is taken to say something if it names them.
fn xml(path: &str, before: &str, after: &str) -> Option<String> {
    let Some(after) = statements(after) else { return Some(format!("{path} is no well-formed XML after the edit")) };
    let before = match statements(before) {
        Some(statements) => statements,
        None if RIGHTS.iter().chain(&MEMBERS).any(|name| before.contains(name)) => {
            return Some(format!("{path} is about access rights and is no well-formed XML before the edit"));
        }
        None => Vec::new(),
    };
    (before != after).then(|| format!("the edit of {path} changes access rights"))
}

fn statements(text: &str) -> Option<Vec<String>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let document = roxmltree::Document::parse(text.trim_start_matches('\u{feff}')).ok()?;
    let mut found = Vec::new();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let about = node.attribute("model").unwrap_or_default();
        if RIGHTS.contains(&about) || (MEMBERS.contains(&about) && node.tag_name().name() != "record") {
            found.push(squeezed(&text.trim_start_matches('\u{feff}')[node.range()]));
        } else if MEMBERS.contains(&about) {
            let id = node.attribute("id").unwrap_or_default();
            let fields = node.children().filter(|field| MEMBER_FIELDS.contains(&field.attribute("name").unwrap_or_default()));
            // Without the field's name, which differs between series: a rename is no change of rights.
            found.extend(fields.map(|field| {
                let value = field.attributes().filter(|attribute| attribute.name() != "name").map(|attribute| attribute.value());
                squeezed(&format!("{id} {} {}", value.collect::<Vec<_>>().join(" "), field.text().unwrap_or_default()))
            }));
        }
    }
    found.sort_unstable();
    Some(found)
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
