//! Patches that lose something and patches that do not, in tables.

mod clean;
mod clean_data;
mod losing;
mod losing_data;
mod properties;
mod reaching;

use super::losses;
use crate::domain::{FileChange, Loss, LossKind, Patch};
use crate::odoo::Addon;
use crate::odoo::source::{Facts, Index};

/// A file of addon `m` before and after.
type File<'t> = (&'t str, &'t str, &'t str);

/// One patch with its name.
struct Case {
    name: &'static str,
    files: &'static [File<'static>],
    /// The kinds of what is lost, one of which must be found; empty if nothing may be.
    lost: &'static [LossKind],
}

const fn clean(name: &'static str, files: &'static [File<'static>]) -> Case {
    Case { name, files, lost: &[] }
}

const fn losing(name: &'static str, lost: &'static [LossKind], files: &'static [File<'static>]) -> Case {
    Case { name, files, lost }
}

fn addon_of(name: &str, files: &[(&str, &str)]) -> Addon {
    let files = files.iter().map(|(path, text)| (format!("{name}/{path}").parse().unwrap(), text.as_bytes().to_vec()));
    Addon::new(name.parse().unwrap(), files)
}

/// A small Odoo of today.
fn core() -> Facts {
    const BASE: &str = r#"
class Partner(models.Model):
    _name = "res.partner"
    name = fields.Char()
    ref = fields.Char()
    phone = fields.Char()
    email = fields.Char()
    active = fields.Boolean()
    is_company = fields.Boolean()
    user_ids = fields.One2many("res.users", "partner_id")
    company_id = fields.Many2one("res.company")
    parent_id = fields.Many2one("res.partner")
    child_ids = fields.One2many("res.partner", "parent_id")
    category_id = fields.Many2many("res.partner.category")
    def action_open(self):
        pass
class Category(models.Model):
    _name = "res.partner.category"
    name = fields.Char(required=True)
class Users(models.Model):
    _name = "res.users"
    _inherits = {"res.partner": "partner_id"}
    login = fields.Char()
    partner_id = fields.Many2one("res.partner", required=True)
    group_ids = fields.Many2many("res.groups")
    all_group_ids = fields.Many2many("res.groups")
class Company(models.Model):
    _name = "res.company"
    name = fields.Char()
    currency_id = fields.Many2one("res.currency")
class Currency(models.Model):
    _name = "res.currency"
    name = fields.Char()
    decimal_places = fields.Integer()
    rounding = fields.Float()
class Groups(models.Model):
    _name = "res.groups"
    name = fields.Char()
class Filters(models.Model):
    _name = "ir.filters"
    name = fields.Char()
    user_ids = fields.Many2many("res.users")
class Menu(models.Model):
    _name = "ir.ui.menu"
class View(models.Model):
    _name = "ir.ui.view"
class Cron(models.Model):
    _name = "ir.cron"
    interval_number = fields.Integer()
class Access(models.Model):
    _name = "ir.model.access"
class Version(models.Model):
    _name = "hr.version"
    employee_id = fields.Many2one("res.partner")
    contract_date_start = fields.Date()
class Order(models.Model):
    _name = "sale.order"
    name = fields.Char()
    state = fields.Selection([("draft", "Draft"), ("sale", "Sale")])
    partner_id = fields.Many2one("res.partner")
    amount_total = fields.Float()
    date_order = fields.Datetime()
    def action_lock(self):
        pass
    def action_confirm(self):
        pass
    def message_post(self):
        pass
class Lot(models.Model):
    _name = "stock.lot"
    name = fields.Char()
"#;
    const DATA: &str = r#"<odoo>
<record id="group_user" model="res.groups"/><record id="group_system" model="res.groups"/><record id="group_erp_manager" model="res.groups"/>
<menuitem id="menu_administration" name="Settings"/>
<record id="module_category_hidden" model="res.groups"/>
</odoo>"#;
    Facts::of(&[
        addon_of("base", &[("__manifest__.py", "{'name': 'Base', 'depends': []}"), ("models/base.py", BASE), ("views/base.xml", DATA)]),
        addon_of("mail", &[("__manifest__.py", "{'depends': ['base']}")]),
        addon_of("contacts", &[("__manifest__.py", "{'depends': ['base', 'mail']}")]),
    ])
}

/// What a patch of addon `m` loses.
fn lost(files: &[File<'_>]) -> Vec<Loss> {
    let before: Vec<(&str, &str)> =
        files.iter().filter(|(_, before, _)| *before != NEW).map(|(path, before, _)| (*path, *before)).collect();
    let mut known = before.clone();
    if !before.iter().any(|(path, _)| *path == "__manifest__.py") {
        known.push(("__manifest__.py", "{'name': 'M', 'depends': ['base'], 'data': []}"));
    }
    let addon = addon_of("m", &known);
    let (own, core) = (Facts::of([&addon]), core());
    losses(&addon, &patch_of(files), Index::new(&own, &core))
}

/// Stands for a file that was not there.
const NEW: &str = "\0";

fn patch_of(files: &[File<'_>]) -> Patch {
    let change = |(path, before, after): &File<'_>| FileChange {
        path: format!("m/{path}").parse().unwrap(),
        before: (*before != NEW).then(|| (*before).to_owned()),
        after: (*after).to_owned(),
    };
    Patch::new(files.iter().map(change).collect()).unwrap()
}

/// Holds a table of cases.
fn hold(cases: &[Case]) {
    let mut faults = Vec::new();
    for case in cases {
        let found = lost(case.files);
        let shown = || found.iter().map(|loss| format!("    {:?} {loss}\n", loss.kind)).collect::<String>();
        if case.lost.is_empty() && !found.is_empty() {
            faults.push(format!("{}: nothing is lost, but it says\n{}", case.name, shown()));
        } else if !case.lost.is_empty() && !found.iter().any(|loss| case.lost.contains(&loss.kind)) {
            faults.push(format!("{}: {:?} is lost, but it says\n{}", case.name, case.lost, shown()));
        }
    }
    assert!(faults.is_empty(), "{} of {}\n{}", faults.len(), cases.len(), faults.join("\n"));
}
