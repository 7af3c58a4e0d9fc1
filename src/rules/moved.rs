//! What became of Odoo's own addons, Odoo models and records between the versions, as data.
//!
//! `changes/addons.csv`, `changes/odoo_models.csv` and `changes/records.csv` (external ids) have the same columns: the first major version
//! without the old name, the old name, the new one (empty: it is gone and nothing took its place), what the new one means for what used the
//! old one, and what shows it. `odoo_models.csv` also has the term that a domain needs where the new Odoo model holds more. An addon that
//! was merged into another has that one's name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::LAST_RUN;
use super::meaning::{Meaning, joined, only_read};
use super::renames::rows;

/// How often a name is followed from one version to the next.
const MAX_HOPS: usize = 6;
/// The last major version that the tables know of.
const LAST_KNOWN: u8 = 20;

/// What became of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// Another name.
    Named {
        /// The name now.
        name: String,
        /// Why it may not simply take the old one's place; `None` if it is the same thing, in a version that the rules were run against.
        doubt: Option<String>,
    },
    /// Nothing took its place.
    Gone,
}

#[derive(Debug, Clone, Deserialize)]
struct Row {
    since: u8,
    old: String,
    new: String,
    meaning: Meaning,
    evidence: String,
    /// The term of a domain without which the new name gives more than the old one did.
    #[serde(default)]
    condition: String,
}

/// One file, by the old names.
#[derive(Debug)]
struct Table(BTreeMap<String, Vec<Row>>);

impl Table {
    fn read(text: &str) -> Self {
        let mut by_name: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in rows::<Row>(text) {
            by_name.entry(row.old.clone()).or_default().push(row);
        }
        Self(by_name)
    }

    /// Follows a name through the versions up to this one.
    fn follow(&self, major: u8, old: &str) -> Option<Fate> {
        let (mut name, mut doubts, mut at) = (old, Vec::new(), 0);
        for _ in 0..MAX_HOPS {
            let next = self.0.get(name).into_iter().flatten().filter(|row| (at..=major).contains(&row.since));
            let Some(row) = next.min_by_key(|row| row.since) else { break };
            if row.new.is_empty() {
                return Some(Fate::Gone);
            }
            doubts.extend(row.meaning.doubt(name, &row.new, &row.evidence));
            doubts.extend((row.since > LAST_RUN).then(|| only_read(row.since)));
            (name, at) = (&row.new, row.since);
        }
        (name != old).then(|| Fate::Named { name: name.to_owned(), doubt: joined(doubts) })
    }
}

impl Table {
    /// Whether every step from this name to the one of this version only renamed it or joined it with others.
    fn only_joined(&self, major: u8, old: &str) -> bool {
        let (mut name, mut at) = (old, 0);
        for _ in 0..MAX_HOPS {
            let next = self.0.get(name).into_iter().flatten().filter(|row| (at..=major).contains(&row.since));
            let Some(row) = next.min_by_key(|row| row.since) else { break };
            if !matches!(row.meaning, Meaning::Same | Meaning::Merged) || row.since > LAST_RUN {
                return false;
            }
            (name, at) = (&row.new, row.since);
        }
        true
    }
}

static ADDONS: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("changes/addons.csv")));
static ODOO_MODELS: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("changes/odoo_models.csv")));
static RECORDS: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("changes/records.csv")));
/// The Odoo models of the table as external ids write them.
static WRITTEN: LazyLock<BTreeMap<String, &str>> =
    LazyLock::new(|| ODOO_MODELS.0.keys().map(|name| (name.replace('.', "_"), name.as_str())).collect());

/// What became of an addon of Odoo's.
pub(super) fn addon(major: u8, name: &str) -> Option<Fate> {
    ADDONS.follow(major, name)
}

/// Whether what an addon of Odoo's brought is all there under its new name: it was only renamed, or merged into another.
pub(super) fn came_along(major: u8, name: &str) -> bool {
    ADDONS.only_joined(major, name)
}

/// What became of an Odoo model of Odoo's.
pub(super) fn odoo_model(major: u8, name: &str) -> Option<Fate> {
    ODOO_MODELS.follow(major, name)
}

/// What became of a record of Odoo's, given by its full external id: it has a row of its own, or it is that of an Odoo model
/// (`model_…`) that has another name, or its addon has, and then whether the record came along is for the caller to find out.
pub(super) fn record(major: u8, id: &str) -> Option<Fate> {
    if let Some(fate) = RECORDS.follow(major, id) {
        return Some(fate);
    }
    let (module, name) = id.split_once('.')?;
    let owner = addon(major, module);
    if let Some(odoo_model) = name.strip_prefix("model_").and_then(|written| WRITTEN.get(written)) {
        let module = if let Some(Fate::Named { name, .. }) = &owner { name } else { module };
        return Some(match self::odoo_model(major, odoo_model)? {
            Fate::Named { name, doubt } => Fate::Named { name: format!("{module}.model_{}", name.replace('.', "_")), doubt },
            Fate::Gone => Fate::Gone,
        });
    }
    // What an addon that is gone had may stand anywhere, or nowhere.
    let Fate::Named { name: module, doubt } = owner? else { return None };
    // Where the addon was merged into another its records came along and are the same, whatever else the other one has.
    let doubt = doubt.filter(|_| !ADDONS.only_joined(major, id.split_once('.').map_or("", |(module, _)| module)));
    let moved = format!("{module}.{name}");
    Some(match RECORDS.follow(major, &moved) {
        Some(Fate::Named { name, doubt: too }) => Fate::Named { name, doubt: joined(doubt.into_iter().chain(too)) },
        Some(Fate::Gone) => Fate::Gone,
        None => Fate::Named { name: moved, doubt },
    })
}

/// The term of a domain that an Odoo model under its new name needs, so that it gives the records that the old one had.
pub(super) fn condition(major: u8, odoo_model: &str) -> Option<&'static str> {
    let row = ODOO_MODELS.0.get(odoo_model)?.iter().find(|row| row.since <= major)?;
    Some(row.condition.as_str()).filter(|condition| !condition.is_empty())
}

/// Whether the tables say, for any version and surely, that a record of this external id has that one now. Odoo models (`model_…`) are compared
/// without their addons, as each addon that extends one has an id for it.
pub fn is_renamed_record(old: &str, new: &str) -> bool {
    let bare = |id: &str| id.rsplit('.').next().filter(|name| name.starts_with("model_")).unwrap_or(id).to_owned();
    (1..=LAST_KNOWN).any(|major| matches!(record(major, old), Some(Fate::Named { name, doubt: None }) if bare(&name) == bare(new)))
}

/// The field by which a domain tells the records that an Odoo model had from those that the new one has besides.
pub(super) fn condition_field(odoo_model: &str) -> Option<&'static str> {
    let term = condition(LAST_RUN, odoo_model)?;
    term.split(['\'', '"']).nth(1)
}

#[cfg(test)]
mod tests {
    use super::super::meaning::is_well_formed;
    use super::*;

    /// The name, and whether it is the same thing.
    fn named(name: &str, same: bool) -> Option<(String, bool)> {
        Some((name.to_owned(), same))
    }

    fn of(fate: Option<Fate>) -> Option<(String, bool)> {
        match fate? {
            Fate::Named { name, doubt } => Some((name, doubt.is_none())),
            Fate::Gone => Some((String::new(), true)),
        }
    }

    #[test]
    fn every_row_is_read() {
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        for (table, text) in [
            (&ADDONS, include_str!("changes/addons.csv")),
            (&ODOO_MODELS, include_str!("changes/odoo_models.csv")),
            (&RECORDS, include_str!("changes/records.csv")),
        ] {
            let rows: Vec<&Row> = table.0.values().flatten().collect();
            assert_eq!(rows.len() + 1, text.lines().count());
            for row in &rows {
                assert!((11..=LAST_KNOWN).contains(&row.since) && row.old != row.new, "{row:?}");
                assert!(!row.old.is_empty() && is_name(&row.old) && is_name(&row.new), "{row:?}");
                assert!(row.new.is_empty() == (row.meaning == Meaning::Gone) && is_well_formed(&row.evidence), "{row:?}");
                assert!(row.condition.is_empty() || matches!(row.meaning, Meaning::Wider | Meaning::Replaced), "{row:?}");
            }
            let keys: Vec<&str> = text.lines().skip(1).collect();
            assert!(
                keys.is_sorted_by_key(|line| line.splitn(3, ',').take(2).map(str::to_owned).collect::<Vec<_>>()),
                "sorted by version and name"
            );
            let mut keys: Vec<(u8, &str)> = rows.iter().map(|row| (row.since, row.old.as_str())).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), rows.len(), "one row for each name and version");
        }
        assert!(ADDONS.0.keys().all(|name| !name.contains('.')));
        assert!(RECORDS.0.values().flatten().all(|row| row.old.matches('.').count() == 1 && row.new.matches('.').count() <= 1));
    }

    #[test]
    fn names_are_followed_through_the_versions() {
        assert_eq!(of(addon(19, "hr_contract")), named("hr", false));
        assert_eq!(addon(18, "hr_contract"), None);
        assert_eq!(of(addon(19, "loyalty_delivery")), named("sale_loyalty_delivery", false));
        assert_eq!(of(addon(19, "website_sale_coupon_delivery")), named("website_sale_loyalty", false));
        assert_eq!(of(addon(16, "website_sale_coupon_delivery")), named("website_sale_loyalty_delivery", false));
        assert_eq!(addon(19, "website_jitsi"), Some(Fate::Gone));
        assert_eq!(of(odoo_model(19, "mail.channel.partner")), named("discuss.channel.member", true));
        assert_eq!(of(odoo_model(19, "stock.production.lot")), named("stock.lot", true));
        assert_eq!(of(odoo_model(19, "product.packaging")), named("product.uom", false));
        assert_eq!(odoo_model(19, "hr.expense.sheet"), Some(Fate::Gone));
        assert_eq!(odoo_model(19, "res.partner"), None);
    }

    #[test]
    fn name_that_came_back_is_none() {
        assert_eq!(of(odoo_model(18, "hr.applicant.skill")), named("hr.candidate.skill", false));
        assert_eq!(odoo_model(19, "hr.applicant.skill"), None);
        let circle = Table::read("since,old,new,meaning,evidence\n17,a,b,same,x\n17,b,c,same,x\n17,c,a,same,x\n");
        assert!(matches!(circle.follow(19, "a"), None | Some(Fate::Named { .. })));
    }

    #[test]
    fn what_was_only_read_is_not_sure() {
        assert_eq!(of(addon(20, "base_vat")), named("base", false));
        assert_eq!(addon(19, "base_vat"), None);
        assert_eq!(of(odoo_model(20, "hr.contract.type")), named("hr.employee.type", false));
        assert_eq!(odoo_model(20, "ir.rule"), Some(Fate::Gone));
        assert_eq!(of(record(20, "base.state_in_or")), named("base.state_in_od", false));
    }

    #[test]
    fn wider_one_says_what_tells_the_old_ones_apart() {
        assert_eq!(condition(19, "hr.contract"), Some("('contract_date_start', '!=', False)"));
        assert_eq!(condition(18, "hr.contract"), None);
        assert_eq!(condition(19, "stock.production.lot"), None);
        let Some(Fate::Named { doubt: Some(doubt), .. }) = odoo_model(19, "hr.contract") else { panic!() };
        assert!(doubt.starts_with("hr.version holds more than hr.contract did (hr/models/hr_version.py:"), "{doubt}");
    }

    #[test]
    fn records_follow_their_addons_and_odoo_models() {
        assert_eq!(of(record(19, "uom.uom_square_meter")), named("uom.product_uom_square_meter", true));
        assert_eq!(of(record(19, "stock.model_stock_production_lot")), named("stock.model_stock_lot", true));
        assert_eq!(of(record(19, "hr_contract.model_hr_contract")), named("hr.model_hr_version", false));
        assert_eq!(of(record(19, "hr_contract.mt_contract_close")), named("hr.mt_contract_close", true));
        assert_eq!(record(19, "web.external_layout_bold"), None);
        assert_eq!(record(20, "web.external_layout_bold"), Some(Fate::Gone));
        for other in ["base.group_user", "no_dot", "", "."] {
            assert_eq!(record(20, other), None, "{other}");
        }
    }

    #[test]
    fn renamed_record_is_known_in_its_direction() {
        assert!(is_renamed_record("stock.model_stock_production_lot", "m.model_stock_lot"));
        assert!(is_renamed_record("sale.group_delivery_invoice_address", "account.group_delivery_invoice_address"));
        assert!(!is_renamed_record("account.group_delivery_invoice_address", "sale.group_delivery_invoice_address"));
        assert!(!is_renamed_record("base.group_user", "base.group_system"));
    }
}
