//! A database that is older than the code: which addon must be upgraded, and whether that is all that is missing.
//!
//! No change of sources mends it, so none is looked for. The sandbox installs the addon anew; it never sees the database that lags behind.

use std::collections::BTreeSet;

use super::{OTHERS_BYTES, open};
use crate::addons::{AddonsError, Folder, closure, others};
use crate::cascade::Observed;
use crate::domain::{ErrorReport, Failure, Location, ModuleName, OdooVersion};
use crate::jobs::Ctx;
use crate::odoo::source::Facts;
use crate::sandbox::TestPlan;

/// How many places are named.
const MOST: usize = 5;

/// What the database lacks.
#[derive(Debug, PartialEq, Eq)]
struct Lacking {
    /// Empty where the log does not tell.
    table: String,
    column: Option<String>,
}

impl Lacking {
    fn of(error: &ErrorReport) -> Option<Self> {
        let object = &error.object;
        if error.subclass.is_some_and(|sub| sub.as_str() == "table") {
            return Some(Self { table: object.name.clone()?, column: None });
        }
        let table = object.model.as_deref().unwrap_or_default().replace('.', "_");
        Some(Self { table, column: Some(object.field.clone()?) })
    }

    fn told(&self) -> String {
        match &self.column {
            None => format!("The database has no table {}", self.table),
            Some(column) if self.table.is_empty() => format!("The database has no column {column}"),
            Some(column) => format!("The database has no column {column} in the table {}", self.table),
        }
    }

    /// The addons whose sources define it, with the places.
    fn defined(&self, facts: &Facts) -> Vec<(String, Location)> {
        let classes = facts.modules.iter().flat_map(|(module, facts)| facts.classes.iter().map(move |class| (module, class)));
        let of_table = classes
            .filter(|(_, class)| (self.table.is_empty() && self.column.is_some()) || class.odoo_model.replace('.', "_") == self.table);
        let line = |class: &crate::odoo::source::Class| match &self.column {
            None => class.defines().then_some(class.line),
            Some(column) => class.fields.get(column).map(|field| field.line),
        };
        let place = |(module, class): (&String, &crate::odoo::source::Class)| {
            Some((module.clone(), Location { path: class.path.clone(), line: Some(line(class)?) }))
        };
        of_table.filter_map(place).take(MOST).collect()
    }
}

/// What a person has to do, in sentences.
pub(super) async fn advice(ctx: &Ctx, error: &ErrorReport, version: &OdooVersion, folders: &[Folder]) -> Result<String, Failure> {
    let Some(lacking) = Lacking::of(error) else { return Ok("The database is older than the code: upgrade the addons.".to_owned()) };
    let owned = folders.to_vec();
    let read = move || others(&owned, &[], OTHERS_BYTES).map(|(addons, _)| Facts::of(&addons));
    let own = match tokio::task::spawn_blocking(read).await.map_err(Failure::bug)? {
        Ok(own) => own,
        Err(error @ AddonsError::Folder(..)) => return Err(Failure::unavailable(error)),
        Err(_) => Facts::default(),
    };
    let defined = lacking.defined(&own);
    let mut told = advised(&lacking, &defined, error);
    if let Some(module) = defined.first().and_then(|(module, _)| module.parse::<ModuleName>().ok()) {
        told.push(' ');
        // The advice holds without the sandbox too.
        match shown(ctx, version, folders, module).await {
            Ok(shown) => told.push_str(&shown),
            Err(error) => told.push_str(&format!("The sandbox could not try it: {error}.")),
        }
    }
    Ok(told)
}

fn advised(lacking: &Lacking, defined: &[(String, Location)], error: &ErrorReport) -> String {
    let lacks = lacking.told();
    if defined.is_empty() {
        let place = error.location.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
        return format!(
            "{lacks}, and no addon at hand defines it. Either the addon that does was not upgraded (`odoo -u MODULE`), or SQL{place} names what there is not."
        );
    }
    let modules: BTreeSet<&str> = defined.iter().map(|(module, _)| module.as_str()).collect();
    let modules: Vec<&str> = modules.into_iter().collect();
    let places: Vec<String> = defined.iter().map(|(_, place)| place.to_string()).collect();
    format!(
        "{lacks}; the sources of {} define it ({}). The code is newer than the database: upgrade with `odoo -d {} -u {} --stop-after-init`, then restart.",
        modules.join(" and "),
        places.join(", "),
        database(error),
        modules.join(",")
    )
}

/// The name of the database as it may stand in a command.
fn database(error: &ErrorReport) -> &str {
    let plain =
        |name: &&str| !name.starts_with('-') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    error.database.as_deref().filter(plain).unwrap_or("DATABASE")
}

/// Whether the sources are fine by themselves, so that the upgrade is all.
async fn shown(ctx: &Ctx, version: &OdooVersion, folders: &[Folder], module: ModuleName) -> Result<String, Failure> {
    let (owned, wanted) = (folders.to_vec(), module.clone());
    let addons = match tokio::task::spawn_blocking(move || closure(&owned, &wanted)).await.map_err(Failure::bug)? {
        Ok(addons) => addons,
        Err(error) => return Ok(format!("The sandbox could not try it: {error}.")),
    };
    ctx.tell("verify", format!("installing {module} as the sources have it"));
    let mut sandbox = open(ctx, version).await?;
    let run = sandbox.test(&TestPlan { module: &module, also: &[], addons: &addons }).await;
    if let Err(error) = sandbox.close().await {
        tracing::warn!(%error, run = %ctx.run, "the sandbox could not be closed; the sweep will remove it");
    }
    let run = run?;
    let observed = tokio::task::spawn_blocking(move || Observed::read(&run)).await.map_err(Failure::bug)?;
    Ok(match observed.reports.first() {
        _ if observed.is_clean() => {
            format!("Installed anew in the sandbox, {module} has it, and its tests pass: nothing but the upgrade is missing.")
        }
        Some(first) => {
            format!("Installed anew in the sandbox, {module} shows something else, which the upgrade may meet too: {}", first.title)
        }
        None => format!("Installed anew in the sandbox, {module} did not end well ({}).", observed.end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odoo::{self, Addon};

    fn error(said: &str) -> ErrorReport {
        let log = format!(
            "2026-11-20 09:14:02,201 4127 ERROR shop odoo.http: Exception during request handling. \nTraceback (most recent call last):\n  \
             File \"/opt/odoo/odoo/sql_db.py\", line 1, in execute\n    self._obj.execute(query, params)\n{said}\n"
        );
        odoo::reports(&log).remove(0)
    }

    fn own() -> Facts {
        let python = "class A(models.Model):\n    _inherit = 'res.partner'\n    x_new = fields.Char()\n\nclass B(models.Model):\n    _name = 'm.thing_one'\n";
        let addon = |name: &str, python: &str| {
            Addon::new(name.parse().unwrap(), [(format!("{name}/a.py").parse().unwrap(), python.as_bytes().to_vec())])
        };
        Facts::of(&[addon("m", python), addon("other", "class A(models.Model):\n    _inherit = 'm.thing_one'\n")])
    }

    #[test]
    fn upgrade_is_named_with_its_command() {
        for (said, place) in [
            (
                "psycopg2.errors.UndefinedColumn: column res_partner.x_new does not exist\nLINE 1: SELECT \"res_partner\".\"x_new\"",
                "m/a.py:3",
            ),
            ("psycopg2.errors.UndefinedTable: relation \"m_thing_one\" does not exist\nLINE 1: SELECT 1", "m/a.py:5"),
        ] {
            let error = error(said);
            let lacking = Lacking::of(&error).unwrap();
            let told = advised(&lacking, &lacking.defined(&own()), &error);
            assert!(told.contains(&format!("the sources of m define it ({place})")), "{told}");
            assert!(told.contains("`odoo -d shop -u m --stop-after-init`"), "{told}");
        }
    }

    #[test]
    fn what_nobody_defines_is_said_to_be_so() {
        let error = error("psycopg2.errors.UndefinedColumn: column \"zzz\" does not exist\nLINE 1: SELECT zzz FROM res_partner");
        let lacking = Lacking::of(&error).unwrap();
        let told = advised(&lacking, &lacking.defined(&own()), &error);
        assert!(told.contains("no addon at hand defines it") && told.contains("zzz"), "{told}");
    }

    #[test]
    fn strange_database_is_no_part_of_a_command() {
        let mut error = error("KeyError: 'x'");
        for (name, shown) in [("shop-1", "shop-1"), ("$(rm)", "DATABASE"), ("-c", "DATABASE"), ("a;b", "DATABASE")] {
            error.database = Some(name.to_owned());
            assert_eq!(database(&error), shown);
        }
    }
}
