//! Fields of Odoo's own models that were renamed or removed, and where the fields between them lead, as data.
//!
//! `changes/fields.csv`: the first major version without the old name, the Odoo model, the old name, the new one (empty: it is gone),
//! the one to read where the old field held more than was written to it (`-`: its values are others, so that only records and views
//! follow), a field that stands near the old one in views, `yes` if no other Odoo model has a field of the old name and `no` if others still
//! have one, so that the name alone says nothing, the values of a field that is gone which say what Odoo does anyway (`|` between them), what
//! the new one means for what used the old one, and what shows it. The rows are sorted by version, Odoo model and old name; a new name is not
//! followed further, so it is one that is still there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::meaning::{Meaning, joined};

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
        /// Values that say what Odoo does anyway.
        idle: &'static str,
    },
    /// Another field that has values of its own: a value goes there if nothing else does.
    Merged {
        /// The other field.
        into: &'static str,
    },
    /// A field that says the opposite.
    Inverted {
        /// The other field.
        write: &'static str,
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
    idle: String,
    /// What the new field means for what used the old one.
    pub(super) meaning: Meaning,
    evidence: String,
}

/// A value that says in the new field what it said in the old one, though others do not.
#[derive(Debug, Deserialize)]
struct KeptValue {
    odoo_model: String,
    old: String,
    value: String,
}

static KEPT: LazyLock<Vec<KeptValue>> = LazyLock::new(|| rows(include_str!("changes/values.csv")));

impl Rename {
    /// Whether a value says in the new field what it said in the old one, though others do not.
    pub(super) fn keeps(&self, value: &str) -> bool {
        KEPT.iter().any(|kept| kept.odoo_model == self.odoo_model && kept.old == self.old && kept.value == value)
    }

    /// Whether the new field takes the old one's place: it means the same, or keeps the values of which the table says so.
    pub(super) fn is_same(&self) -> bool {
        self.meaning == Meaning::Same || KEPT.iter().any(|kept| kept.odoo_model == self.odoo_model && kept.old == self.old)
    }

    /// Whether both rows are about the same field.
    fn is_of(&self, other: &Self) -> bool {
        self.odoo_model == other.odoo_model && self.old == other.old
    }

    /// Whether fields of other Odoo models still have the old name, so that it says nothing where the Odoo model is not known.
    pub(super) fn is_common(&self) -> bool {
        self.only == "no"
    }

    fn to(&'static self) -> To {
        match (self.new.as_str(), self.meaning) {
            ("", _) => To::Gone { near: Some(self.near.as_str()).filter(|near| !near.is_empty()), idle: &self.idle },
            ("*privilege", _) => To::Privilege,
            (into, Meaning::Merged) if self.read.is_empty() => To::Merged { into },
            (write, Meaning::Inverted) => To::Inverted { write },
            (new, _) => To::Field { write: new, read: Some(self.read.as_str()).filter(|read| *read != "-") },
        }
    }

    /// Why the new field may not simply take the old one's place; `None` if it is the same.
    pub(super) fn doubt(&self) -> Option<String> {
        let (old, new) = (format!("{}.{}", self.odoo_model, self.old), self.new.as_str());
        self.meaning.doubt(&old, new, &self.evidence)
    }
}

/// The rows that are followed: all that are about the same thing, and of the others those that the error names; none of a field that an
/// addon at hand defines under the old name.
pub(super) struct Known {
    /// The rows that the error names.
    named: Vec<&'static Rename>,
    /// The rows that are followed, by the old name.
    followed: BTreeMap<&'static str, Vec<&'static Rename>>,
    /// Whether a value, a node or a use was taken away that said something.
    lost: Cell<bool>,
    used: RefCell<Vec<&'static Rename>>,
    /// The rows whose field was met in the sources, whatever became of it.
    met: RefCell<Vec<&'static Rename>>,
}

impl Known {
    /// With the rows that the error names, wherever a field of an old name may still be.
    #[cfg(test)]
    pub(super) fn new(major: u8, named: Vec<&'static Rename>) -> Self {
        Self::without(major, named, &[])
    }

    /// The same, without the rows of fields that are `there` under their old names.
    pub(super) fn without(major: u8, named: Vec<&'static Rename>, there: &[&'static Rename]) -> Self {
        let mut followed: BTreeMap<&'static str, Vec<&'static Rename>> = BTreeMap::new();
        let counts = |row: &&'static Rename| {
            let is_followed = row.meaning == Meaning::Same || !row.idle.is_empty() || named.iter().any(|named| named.is_of(row));
            row.since <= major && is_followed && !there.iter().any(|there| there.is_of(row))
        };
        for row in RENAMES.iter().filter(counts) {
            followed.entry(row.old.as_str()).or_default().push(row);
        }
        Self { named, followed, lost: Cell::default(), used: RefCell::default(), met: RefCell::default() }
    }

    fn row(&self, odoo_model: &str, old: &str) -> Option<&'static Rename> {
        let row = self.followed.get(old)?.iter().copied().find(|row| row.odoo_model == odoo_model)?;
        self.met.borrow_mut().push(row);
        Some(row)
    }

    /// Whether the sources have a field of which one of these rows says what became of it.
    pub(super) fn met_any(&self, rows: &[&'static Rename]) -> bool {
        self.met.borrow().iter().any(|met| rows.iter().any(|row| row.is_of(met)))
    }

    /// The field of this Odoo model, if it is one that changed.
    pub(super) fn find(&self, odoo_model: &str, old: &str) -> Option<To> {
        let row = self.row(odoo_model, old)?;
        self.used.borrow_mut().push(row);
        Some(row.to())
    }

    /// The field that leads to several records where this one led to one of them.
    pub(super) fn several(&self, odoo_model: &str, old: &str) -> Option<&'static str> {
        let row = self.row(odoo_model, old).filter(|row| row.meaning == Meaning::Wider)?;
        let one = |name: &str| name.strip_suffix("_id").map(str::to_owned);
        let many = |name: &str| name.strip_suffix("_ids").map(str::to_owned);
        (one(old).is_some() && one(old) == many(&row.new)).then_some(row.new.as_str())
    }

    /// The new name of a field whose old one no other Odoo model has.
    pub(super) fn find_alone(&self, old: &str) -> Option<&'static str> {
        let row = self.followed.get(old)?.iter().copied().find(|row| row.only == "yes")?;
        self.met.borrow_mut().push(row);
        self.used.borrow_mut().push(row);
        Some(row.new.as_str())
    }

    /// Whether a field of this name changed in any Odoo model.
    pub(super) fn is_old(&self, name: &str) -> bool {
        self.followed.contains_key(name)
    }

    /// Notes that something which said something was taken away.
    pub(super) fn loses(&self) {
        self.lost.set(true);
    }

    /// Whether a field that is gone may take along what was set or shown: what says what Odoo does anyway always goes, all else only where
    /// the error names the field.
    pub(super) fn drops(&self, odoo_model: &str, old: &str, idle: &str, value: Option<&str>) -> bool {
        if value.is_some_and(|value| is_idle(idle, value)) {
            return true;
        }
        let is_named = self.named.iter().any(|row| row.odoo_model == odoo_model && row.old == old);
        if is_named {
            self.loses();
        }
        is_named
    }

    /// Why what was done is not safe; `None` if it is. `is_kept`: whether the values that a field is used with mean the same in the new one.
    pub(super) fn doubt(&self, is_kept: impl Fn(&Rename) -> bool) -> Option<String> {
        let lost = self.lost.get();
        let used = self.used.borrow();
        joined(used.iter().filter(|row| row.meaning != Meaning::Gone || lost).filter(|row| !is_kept(row)).filter_map(|row| row.doubt()))
    }

    /// Whether something was taken away.
    pub(super) fn takes_away(&self) -> bool {
        self.lost.get()
    }
}

/// Whether a value of a field that is gone says what Odoo does anyway.
pub(super) fn is_idle(idle: &str, value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    idle.split('|').any(|known| !known.is_empty() && known == value)
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

/// The row of a field, if it is one that changed.
pub(super) fn row(major: u8, odoo_model: &str, old: &str) -> Option<&'static Rename> {
    RENAMES.iter().find(|row| row.since <= major && row.odoo_model == odoo_model && row.old == old)
}

/// The Odoo model that a field leads to.
pub(super) fn leads_to(odoo_model: Option<&str>, field: &str) -> Option<&'static str> {
    let own = LINKS.iter().find(|link| Some(link.odoo_model.as_str()) == odoo_model && link.field == field);
    own.or_else(|| LINKS.iter().find(|link| link.odoo_model == "*" && link.field == field)).map(|link| link.comodel.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::meaning::is_well_formed;
    use super::*;

    #[test]
    fn every_row_is_read() {
        assert_eq!(RENAMES.len() + 1, include_str!("changes/fields.csv").lines().count());
        assert_eq!(LINKS.len() + 1, include_str!("changes/links.csv").lines().count());
        assert_eq!(KEPT.len() + 1, include_str!("changes/values.csv").lines().count());
        assert!(KEPT.iter().all(|kept| RENAMES.iter().any(|row| row.keeps(&kept.value))));
        for row in RENAMES.iter() {
            assert!((16..=20).contains(&row.since) && row.old != row.new && row.evidence.len() > 5, "{row:?}");
            assert_eq!(row.new.is_empty(), row.meaning == Meaning::Gone, "{row:?}");
            assert!(row.idle.is_empty() || row.meaning == Meaning::Gone, "{row:?}");
            assert!(["", "yes", "no"].contains(&row.only.as_str()), "{row:?}");
            assert!(is_well_formed(&row.evidence), "{row:?}");
        }
        let mut keys: Vec<_> = RENAMES.iter().map(|row| (&row.odoo_model, &row.old, row.since)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), RENAMES.len(), "one row for each field and version");
    }

    #[test]
    fn rows_are_sorted_and_tell_each_field_once() {
        let keys: Vec<_> = RENAMES.iter().map(|row| (row.since, &row.odoo_model, &row.old)).collect();
        assert!(keys.is_sorted(), "{:?}", keys.windows(2).find(|pair| pair[0] > pair[1]));
        let mut fields: Vec<_> = keys.into_iter().map(|(_, odoo_model, old)| (odoo_model, old)).collect();
        fields.sort_unstable();
        assert_eq!(fields.windows(2).find(|pair| pair[0] == pair[1]), None, "`find` takes the first row of a field");
    }

    #[test]
    fn field_that_means_the_same_is_read_and_written_and_holds_as_many_records() {
        for row in RENAMES.iter().filter(|row| row.meaning == Meaning::Same && !row.new.starts_with('*')) {
            assert!(!matches!(row.read.as_str(), "" | "-") && row.near.is_empty(), "{row:?}");
            let was_one = row.old.ends_with("_id") && row.new.ends_with("_ids");
            // The names of fields say one and many, unless the evidence says that the old one held many too.
            assert!(!was_one || ["Many2many", "One2many"].iter().any(|kind| row.evidence.contains(kind)), "{row:?}");
            assert!(!(row.old.ends_with("_ids") && row.new.ends_with("_id")), "{row:?}");
        }
    }

    #[test]
    fn field_that_is_led_to_is_not_renamed_in_turn() {
        for row in RENAMES.iter().filter(|row| !row.new.is_empty() && row.since < 20) {
            let next = RENAMES.iter().find(|next| next.odoo_model == row.odoo_model && next.old == row.new && next.since < 20);
            assert!(next.is_none_or(|next| next.since < row.since), "{row:?} leads to {next:?}");
        }
    }

    #[test]
    fn field_that_is_there_under_its_old_name_is_not_followed() {
        let there: Vec<_> = row(19, "hr.applicant", "description").into_iter().collect();
        assert!(Known::new(19, Vec::new()).find("hr.applicant", "description").is_some());
        let known = Known::without(19, there.clone(), &there);
        assert!(known.find("hr.applicant", "description").is_none() && !known.met_any(&there));
        assert!(known.find("res.users", "groups_id").is_some() && known.met_any(&[row(19, "res.users", "groups_id").unwrap()]));
    }

    #[test]
    fn only_the_same_and_what_the_error_names_is_followed() {
        let known = Known::new(19, Vec::new());
        assert!(known.find("res.users", "groups_id").is_some() && known.doubt(|_| false).is_none());
        assert!(known.find("ir.filters", "user_id").is_none() && !known.is_old("to_check"));
        let known = Known::new(19, row(19, "ir.filters", "user_id").into_iter().collect());
        assert!(known.find("ir.filters", "user_id").is_some() && known.doubt(|_| false).is_some());
        let known = Known::new(19, row(19, "ir.cron", "numbercall").into_iter().collect());
        assert!(known.find("ir.cron", "numbercall").is_some() && known.doubt(|_| false).is_none());
        known.loses();
        assert!(known.doubt(|_| false).is_some() && known.takes_away());
        assert!(is_idle("0|False", " False ") && !is_idle("", "") && !is_idle("-1", "1"));
    }

    #[test]
    fn rows_say_what_became_of_a_field() {
        assert_eq!(find(19, "res.users", "groups_id"), Some(To::Field { write: "group_ids", read: Some("all_group_ids") }));
        assert_eq!(find(18, "res.users", "groups_id"), None);
        assert_eq!(find(19, "res.partner", "mobile"), Some(To::Merged { into: "phone" }));
        assert_eq!(find(19, "ir.filters", "user_id"), Some(To::Field { write: "user_ids", read: None }));
        assert!(matches!(find(18, "ir.cron", "numbercall"), Some(To::Gone { idle: "-1", .. })));
        assert_eq!(find(18, "account.move", "to_check"), Some(To::Inverted { write: "checked" }));
        assert_eq!(leads_to(Some("sale.order"), "order_line"), Some("sale.order.line"));
        assert_eq!(leads_to(None, "order_line"), None);
        assert_eq!(leads_to(None, "partner_id"), Some("res.partner"));
    }
}
