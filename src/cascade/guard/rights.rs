//! Who may do what is a person's decision: a fix may give a new Odoo model its first rights, as few as it can be used with, and mend a
//! name that stands for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::pattern;
use super::python::Python;
use crate::domain::{FileChange, Patch};
use crate::odoo::Addon;
use crate::rules::is_renamed_record;

/// Records that are rights as a whole.
const RIGHTS: [&str; 3] = ["ir.rule", "ir.model.access", "ir.access"];
/// What Odoo 19 calls the groups of a user, all of them as before: in the domain of a rule this is no change of rights.
static RENAMED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\buser\.(?:groups_id|all_group_ids)\b"));
/// Records that hold, besides other things, who belongs to which group; and the fields that say so, in the words of every series.
const MEMBERS: [&str; 2] = ["res.groups", "res.users"];
const MEMBER_FIELDS: [&str; 6] = ["implied_ids", "implied_by_ids", "users", "user_ids", "groups_id", "group_ids"];
const PERMISSIONS: [&str; 4] = ["perm_read", "perm_write", "perm_create", "perm_unlink"];
/// Groups of people from outside.
const OUTSIDERS: [&str; 2] = ["base.group_public", "base.group_portal"];

/// Every internal user.
const EVERYBODY: &str = "base.group_user";
/// Who may do all of it anyway.
const ADMINISTRATORS: &str = "base.group_system";
/// How alike a name that stands for nothing and the one that was meant have to be, 0 to 1.
const ALIKE: f64 = 0.85;
/// The longest name that is compared.
const MAX_NAME: usize = 200;

/// An external id with its addon.
static ID: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[a-z][a-z0-9_]*\.[A-Za-z0-9_-]+"));

/// A bare `&`, or an entity.
static AMPERSAND: LazyLock<Regex> = LazyLock::new(|| pattern(r"&(#?\w{1,40};)?"));

/// What the addon itself brings, in the words of its external ids.
struct Own {
    /// Its new Odoo models after the patch, `res_partner`, and whether each is a wizard.
    defined: BTreeMap<String, bool>,
    /// Its new Odoo models and those it extends, after the patch.
    known: BTreeSet<String>,
    /// The same before the patch.
    known_before: BTreeSet<String>,
    /// The ids of its records, before and after.
    records_before: BTreeSet<String>,
    records: BTreeSet<String>,
    /// The addon and a dot, which its own ids may start with.
    prefix: String,
}

impl Own {
    fn of(addon: &Addon, patch: &Patch) -> Self {
        let after = addon.with(patch);
        let (defined, known) = odoo_models(&after);
        let prefix = format!("{}.", addon.name());
        let (records_before, records) = (records(addon, &prefix), records(&after, &prefix));
        Self { defined, known, known_before: odoo_models(addon).1, records_before, records, prefix }
    }

    /// The addon's own id of what is named; `None` if another addon has it.
    fn local<'a>(&self, id: &'a str) -> Option<&'a str> {
        let name = id.strip_prefix(&self.prefix).unwrap_or(id);
        (!name.is_empty() && !name.contains('.')).then_some(name)
    }

    /// An external id with its addon.
    fn full(&self, id: &str) -> String {
        if id.contains('.') { id.to_owned() } else { format!("{}{id}", self.prefix) }
    }

    /// Whether the row named something that there is not, so that it never gave a right, and now names what was clearly meant.
    fn mends(&self, old: &Row, new: &Row) -> bool {
        let repaired = |old: &str, new: &str, before: &BTreeSet<String>, after: &BTreeSet<String>| {
            let (Some(old), Some(new)) = (self.local(old), self.local(new)) else { return false };
            // The comparison is quadratic; real names are short.
            if old.len() > MAX_NAME || new.len() > MAX_NAME {
                return false;
            }
            let bare = |id: &str| id.strip_prefix("model_").unwrap_or(id).to_owned();
            !before.contains(&bare(old)) && after.contains(&bare(new)) && strsim::normalized_levenshtein(&bare(old), &bare(new)) >= ALIKE
        };
        // What Odoo renamed stood for nothing under its old name, whoever has it.
        let same = |old: &str, new: &str| old == new || is_renamed_record(&self.full(old), &self.full(new));
        let odoo_model = same(&old.reference, &new.reference) || repaired(&old.reference, &new.reference, &self.known_before, &self.known);
        let group = same(&old.group, &new.group) || repaired(&old.group, &new.group, &self.records_before, &self.records);
        odoo_model && group && old.permissions == new.permissions
    }
}

/// The Odoo models that the addon defines, with whether they are wizards; and the names of all that it defines or extends.
fn odoo_models(addon: &Addon) -> (BTreeMap<String, bool>, BTreeSet<String>) {
    let (mut defined, mut known) = (BTreeMap::new(), BTreeSet::new());
    let texts = addon.texts("py").map(|(_, text)| text).filter(|text| text.contains("_name") || text.contains("_inherit"));
    for class in texts.filter_map(Python::read).flat_map(|python| python.classes()) {
        known.extend(class.inherits.iter().chain(&class.odoo_name).map(|name| name.replace('.', "_")));
        // With the same `_inherit` the name is that of another addon's.
        if let Some(name) = class.odoo_name.filter(|name| !class.inherits.contains(name)) {
            defined.insert(name.replace('.', "_"), class.bases.iter().any(|base| base.contains("TransientModel")));
        }
    }
    (defined, known)
}

fn records(addon: &Addon, prefix: &str) -> BTreeSet<String> {
    let ids = |text: &str| -> Vec<String> {
        let Ok(document) = roxmltree::Document::parse(text.trim_start_matches('\u{feff}')) else { return Vec::new() };
        let ids = document.descendants().filter_map(|node| node.attribute("id"));
        ids.map(|id| id.strip_prefix(prefix).unwrap_or(id).to_owned()).collect()
    };
    addon.texts("xml").flat_map(|(_, text)| ids(text)).collect()
}

/// What the change does to rights and must not.
pub(super) fn refusals(addon: &Addon, patch: &Patch, change: &FileChange) -> Vec<String> {
    let before = change.before.as_deref().unwrap_or_default();
    let path = change.path.as_str();
    if path.ends_with(".xml") {
        return xml(path, before, &change.after).into_iter().collect();
    }
    // Odoo takes the name of the records' Odoo model from the file, up to a dash.
    let file = path.rsplit('/').next().unwrap_or_default();
    match file.strip_suffix(".csv").and_then(|stem| stem.split('-').next()) {
        Some("ir.model.access") => csv(&Own::of(addon, patch), path, before, &change.after),
        Some(name) if RIGHTS.contains(&name) || MEMBERS.contains(&name) => vec![format!("the edit of {path} changes access rights")],
        _ => Vec::new(),
    }
}

/// One row of `ir.model.access.csv`.
struct Row {
    id: String,
    /// The external id of the Odoo model as it is written, and its name alone.
    reference: String,
    name: String,
    group: String,
    permissions: [bool; 4],
}

impl Row {
    fn gives_more_than(&self, other: &Self) -> bool {
        self.permissions.iter().zip(other.permissions).any(|(ours, theirs)| *ours && !theirs)
    }
}

fn csv(own: &Own, path: &str, before: &str, after: &str) -> Vec<String> {
    let (Some(old_rows), Some(new_rows)) = (rows(before), rows(after)) else {
        return vec![format!("{path} has no column `id` after the edit, or cannot be read")];
    };
    let old: BTreeMap<&str, &Row> = old_rows.iter().map(|row| (row.id.as_str(), row)).collect();
    new_rows.iter().filter_map(|row| widened(own, &old, row).map(|what| format!("{path}: the row {:?} {what}", row.id))).collect()
}

fn widened(own: &Own, old: &BTreeMap<&str, &Row>, row: &Row) -> Option<&'static str> {
    let same = old.get(row.id.as_str());
    if same.is_some_and(|same| own.mends(same, row)) {
        return None;
    }
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
    let Some(wizard) = own.defined.get(&row.name) else { return Some("gives rights on what the addon does not define") };
    if old.values().any(|other| other.name == row.name && (other.group != row.group || row.gives_more_than(other))) {
        return Some("gives more rights on what has rights already");
    }
    if same.is_some() {
        return None;
    }
    if row.group.is_empty() || OUTSIDERS.contains(&row.group.as_str()) {
        return Some("gives rights to everybody");
    }
    // Reading is what makes it usable at all; of a wizard each user makes his own; to delete is for people to grant.
    let least = match row.group.as_str() {
        ADMINISTRATORS => [true; 4],
        EVERYBODY if !wizard => [true, false, false, false],
        _ => [true, true, true, false],
    };
    row.permissions.iter().zip(least).any(|(given, needed)| *given && !needed).then_some("gives more rights than it takes to use it")
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
            reference: cell(name).to_owned(),
            name: cell(name).rsplit('.').next().unwrap_or_default().trim_start_matches("model_").to_owned(),
            group: cell(group).to_owned(),
            permissions: permissions.map(granted),
        }
    };
    reader.records().map(|record| record.ok().map(read)).collect()
}

/// Compares what the two texts say about rights. A text that cannot be read is taken to say something if it names them; but a bare `&` is
/// read as one, so that it may be mended.
fn xml(path: &str, before: &str, after: &str) -> Option<String> {
    let Some(mut now) = statements(after) else { return Some(format!("{path} is no well-formed XML after the edit")) };
    let was = match statements(before) {
        Some(statements) => statements,
        None => match (statements(&escaped(before)), statements(&escaped(after))) {
            (Some(was), Some(is)) => {
                now = is;
                was
            }
            _ if RIGHTS.iter().chain(&MEMBERS).any(|name| before.contains(name)) => {
                return Some(format!("{path} is about access rights and is no well-formed XML before the edit"));
            }
            _ => Vec::new(),
        },
    };
    (!only_renamed(was, now)).then(|| format!("the edit of {path} changes access rights"))
}

/// Whether the statements differ in nothing but external ids that Odoo renamed, from the old to the new.
fn only_renamed(mut was: Vec<String>, mut now: Vec<String>) -> bool {
    // What stands in both is the same; each is taken once.
    was.retain(|statement| match now.iter().position(|other| other == statement) {
        Some(place) => {
            now.remove(place);
            false
        }
        None => true,
    });
    let ids = |text: &str| ID.find_iter(text).map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    let follows = |old: &str, new: &str| {
        let (before, after) = (ids(old), ids(new));
        let renamed = before.len() == after.len() && before.iter().zip(&after).all(|(old, new)| old == new || is_renamed_record(old, new));
        renamed && ID.split(old).eq(ID.split(new))
    };
    let mut all = was.iter().map(|old| now.iter().position(|new| follows(old, new)).map(|place| now.remove(place)));
    let matched = all.all(|found| found.is_some());
    matched && now.is_empty()
}

fn escaped(text: &str) -> String {
    AMPERSAND
        .replace_all(text, |found: &regex::Captures<'_>| found.get(1).map_or("&amp;".to_owned(), |name| format!("&{}", name.as_str())))
        .into_owned()
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
            let written = squeezed(&text.trim_start_matches('\u{feff}')[node.range()]);
            found.push(RENAMED.replace_all(&written, "user.groups_id").into_owned());
        } else if MEMBERS.contains(&about) {
            let id = node.attribute("id").unwrap_or_default();
            let fields = node.children().filter(|field| field.attribute("name").is_some_and(tells_members));
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

/// Whether a field says who belongs to a group; users have one more for each group in their form.
fn tells_members(field: &str) -> bool {
    MEMBER_FIELDS.contains(&field) || field.starts_with("in_group_") || field.starts_with("sel_groups_")
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
