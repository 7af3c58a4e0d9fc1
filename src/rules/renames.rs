//! Fields of Odoo's own models that were renamed or removed, as data.

/// What became of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Another name; reading may need another one than writing.
    Field {
        /// The name to write, to show and to edit.
        write: &'static str,
        /// The name to read: where the old field held more than was written to it.
        read: &'static str,
    },
    /// Nothing: Odoo no longer needs the value.
    Gone,
    /// `res.groups.privilege_id`, whose record stands between the group and its category.
    Privilege,
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rename {
    /// The first major version without the old name.
    pub(super) since: u8,
    /// The Odoo model.
    pub(super) odoo_model: &'static str,
    /// The old name.
    pub(super) old: &'static str,
    /// What became of it.
    pub(super) to: To,
}

const fn renamed(since: u8, odoo_model: &'static str, old: &'static str, write: &'static str, read: &'static str) -> Rename {
    Rename { since, odoo_model, old, to: To::Field { write, read } }
}

/// The table. `ir.embedded.actions.groups_ids` is another field and kept its name.
pub(super) const RENAMES: &[Rename] = &[
    Rename { since: 18, odoo_model: "ir.cron", old: "numbercall", to: To::Gone },
    Rename { since: 18, odoo_model: "ir.cron", old: "doall", to: To::Gone },
    // The old fields of users and groups held the implied ones too; the new ones hold only what was given explicitly.
    renamed(19, "res.users", "groups_id", "group_ids", "all_group_ids"),
    renamed(19, "res.groups", "users", "user_ids", "all_user_ids"),
    Rename { since: 19, odoo_model: "res.groups", old: "category_id", to: To::Privilege },
    renamed(19, "ir.ui.menu", "groups_id", "group_ids", "group_ids"),
    renamed(19, "ir.ui.view", "groups_id", "group_ids", "group_ids"),
    renamed(19, "ir.actions.act_window", "groups_id", "group_ids", "group_ids"),
    renamed(19, "ir.actions.server", "groups_id", "group_ids", "group_ids"),
    renamed(19, "ir.actions.report", "groups_id", "group_ids", "group_ids"),
    renamed(19, "ir.cron", "groups_id", "group_ids", "group_ids"),
    renamed(19, "sale.order.line", "tax_id", "tax_ids", "tax_ids"),
    renamed(19, "sale.order.line", "product_uom", "product_uom_id", "product_uom_id"),
    renamed(19, "purchase.order.line", "taxes_id", "tax_ids", "tax_ids"),
    renamed(19, "purchase.order.line", "product_uom", "product_uom_id", "product_uom_id"),
];

/// The field of this Odoo model in this version, if it is one that changed.
pub(super) fn find(major: u8, odoo_model: &str, old: &str) -> Option<To> {
    RENAMES.iter().find(|row| row.since <= major && row.odoo_model == odoo_model && row.old == old).map(|row| row.to)
}

/// Whether a field of this name changed in any Odoo model.
pub(super) fn is_old(major: u8, name: &str) -> bool {
    RENAMES.iter().any(|row| row.since <= major && row.old == name)
}
