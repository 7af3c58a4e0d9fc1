//! Fields of Odoo's own models that were renamed or removed, and where the fields between them lead, as data.
//!
//! `changes/fields.csv`: the first major version without the old name, the Odoo model, the old name, the new one (empty: it is gone),
//! the one to read where the old field held more than was written to it (`-`: its values are others, so that only records and views
//! follow), a field that stands near the old one in views, and `yes` if no other Odoo model has a field of the old name.

use std::sync::LazyLock;

use serde::Deserialize;

/// What became of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Another name; reading may need another one than writing.
    Field {
        /// The name to write, to show and to edit.
        write: &'static str,
        /// The name to read; `None` if code with the old name needs other values.
        read: Option<&'static str>,
    },
    /// Nothing: Odoo no longer needs the value.
    Gone {
        /// A field that stood near it in views and still does.
        near: Option<&'static str>,
    },
    /// `res.groups.privilege_id`, whose record stands between the group and its category.
    Privilege,
}

/// One field.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Rename {
    /// The first major version without the old name.
    pub(super) since: u8,
    /// The Odoo model.
    pub(super) odoo_model: String,
    /// The old name.
    pub(super) old: String,
    new: String,
    read: String,
    near: String,
    only: String,
}

impl Rename {
    fn to(&'static self) -> To {
        match self.new.as_str() {
            "" => To::Gone { near: Some(self.near.as_str()).filter(|near| !near.is_empty()) },
            "*privilege" => To::Privilege,
            new => To::Field { write: new, read: Some(self.read.as_str()).filter(|read| *read != "-") },
        }
    }
}

#[derive(Debug, Deserialize)]
struct Link {
    odoo_model: String,
    field: String,
    comodel: String,
}

/// The table. `ir.embedded.actions.groups_ids` is another field and kept its name.
pub(super) static RENAMES: LazyLock<Vec<Rename>> = LazyLock::new(|| rows(include_str!("changes/fields.csv")));
static LINKS: LazyLock<Vec<Link>> = LazyLock::new(|| rows(include_str!("changes/links.csv")));

/// The rows of a table, those that cannot be read left out; the tests see to it that there are none.
pub(super) fn rows<T: serde::de::DeserializeOwned>(text: &str) -> Vec<T> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().filter_map(Result::ok).collect()
}

/// The field of this Odoo model in this version, if it is one that changed.
pub(super) fn find(major: u8, odoo_model: &str, old: &str) -> Option<To> {
    RENAMES.iter().find(|row| row.since <= major && row.odoo_model == odoo_model && row.old == old).map(Rename::to)
}

/// The new name of a field whose old one no other Odoo model has.
pub(super) fn find_alone(major: u8, old: &str) -> Option<&'static str> {
    let row = RENAMES.iter().find(|row| row.since <= major && row.old == old && row.only == "yes")?;
    Some(row.new.as_str())
}

/// Whether a field of this name changed in any Odoo model.
pub(super) fn is_old(major: u8, name: &str) -> bool {
    RENAMES.iter().any(|row| row.since <= major && row.old == name)
}

/// The Odoo model that a field leads to.
pub(super) fn leads_to(odoo_model: Option<&str>, field: &str) -> Option<&'static str> {
    let own = LINKS.iter().find(|link| Some(link.odoo_model.as_str()) == odoo_model && link.field == field);
    own.or_else(|| LINKS.iter().find(|link| link.odoo_model == "*" && link.field == field)).map(|link| link.comodel.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read() {
        assert_eq!(RENAMES.len() + 1, include_str!("changes/fields.csv").lines().count());
        assert_eq!(LINKS.len() + 1, include_str!("changes/links.csv").lines().count());
        assert!(RENAMES.iter().all(|row| (16..=20).contains(&row.since) && row.old != row.new));
    }

    #[test]
    fn rows_say_what_became_of_a_field() {
        assert_eq!(find(19, "res.users", "groups_id"), Some(To::Field { write: "group_ids", read: Some("all_group_ids") }));
        assert_eq!(find(18, "res.users", "groups_id"), None);
        assert_eq!(find(19, "res.partner", "mobile"), Some(To::Gone { near: Some("phone") }));
        assert_eq!(find(19, "ir.filters", "user_id"), Some(To::Field { write: "user_ids", read: None }));
        assert_eq!(leads_to(Some("sale.order"), "order_line"), Some("sale.order.line"));
        assert_eq!(leads_to(None, "order_line"), None);
        assert_eq!(leads_to(None, "partner_id"), Some("res.partner"));
    }
}
