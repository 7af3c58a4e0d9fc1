//! What the tables of changes say about one name that takes the place of another, for whoever judges a patch.

use std::sync::LazyLock;

use serde::Deserialize;

use super::moved::{self, Fate};
use super::renames::{self, RENAMES, To, rows};

/// The last major version that the tables know of.
const LAST_KNOWN: u8 = 20;

/// How a new name relates to an old one in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renaming {
    /// The same thing under another name.
    Same,
    /// The nearest thing there is; it holds other values.
    Otherwise,
}

#[derive(Debug, Deserialize)]
struct Method {
    old: String,
    new: String,
}

#[derive(Debug, Deserialize)]
struct Import {
    name: String,
    new_name: String,
}

static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| rows(include_str!("changes/methods.csv")));
static IMPORTS: LazyLock<Vec<Import>> = LazyLock::new(|| rows(include_str!("changes/imports.csv")));

/// What the tables say about a field; of any Odoo model if it is not known which and no other one still has a field of the old name.
pub fn field_renaming(odoo_model: Option<&str>, old: &str, new: &str) -> Option<Renaming> {
    let listed = |row: &&renames::Rename| row.old == old && odoo_model.map_or_else(|| !row.is_common(), |name| name == row.odoo_model);
    // A value that means something else in the new field is one that its selection does not have, or that the error names.
    let same = |row: &renames::Rename| if row.is_same() { Renaming::Same } else { Renaming::Otherwise };
    let verdict = |row: &renames::Rename| match renames::find(LAST_KNOWN, &row.odoo_model, old)? {
        To::Field { write, read: Some(read) } if write == new || read == new => Some(same(row)),
        To::Field { write, read: None } if write == new => Some(Renaming::Otherwise),
        To::Privilege if new == "privilege_id" => Some(Renaming::Same),
        _ => None,
    };
    RENAMES.iter().filter(listed).find_map(verdict)
}

/// What the tables say about an Odoo model.
pub fn model_renaming(old: &str, new: &str) -> Option<Renaming> {
    renaming(new, |major| moved::odoo_model(major, old))
}

/// What the tables say about an addon. What was merged into another is still there: what it brought came along.
pub fn addon_renaming(old: &str, new: &str) -> Option<Renaming> {
    renaming(new, |major| match moved::addon(major, old)? {
        Fate::Named { name, .. } if moved::came_along(major, old) => Some(Fate::Named { name, doubt: None }),
        fate => Some(fate),
    })
}

/// The field that a domain must ask for where an Odoo model holds more under its new name.
pub fn telling_field(odoo_model: &str) -> Option<&'static str> {
    moved::condition_field(odoo_model)
}

/// What the tables say about an external id.
pub fn record_renaming(old: &str, new: &str) -> Option<Renaming> {
    renaming(new, |major| moved::record(major, old))
}

/// Whether Odoo no longer has a method, decorator or function of this name, so that code which named it is written otherwise.
pub fn is_gone_method(old: &str) -> bool {
    METHODS.iter().any(|row| row.old == old)
}

/// Whether a method, decorator, function or class of Odoo's got this name.
pub fn is_renamed_method(old: &str, new: &str) -> bool {
    METHODS.iter().any(|row| row.old == old && row.new == new) || IMPORTS.iter().any(|row| row.name == old && row.new_name == new)
}

fn renaming(new: &str, fate: impl Fn(u8) -> Option<Fate>) -> Option<Renaming> {
    let mut found = (1..=LAST_KNOWN).filter_map(fate);
    found.find_map(|fate| match fate {
        Fate::Named { name, doubt } if name == new => Some(if doubt.is_none() { Renaming::Same } else { Renaming::Otherwise }),
        _ => None,
    })
}
