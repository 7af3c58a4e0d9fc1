//! A script that fills a column before an upgrade, and the version under which Odoo runs it.

use super::super::edit::{Edit, apply};
use super::super::{Case, manifest_change};
use crate::domain::FileChange;
use crate::odoo::Addon;

/// A script with all that it needs.
pub(super) struct Filling {
    pub(super) changes: Vec<FileChange>,
    /// The addon's new version, with the series.
    pub(super) version: String,
}

/// The longest name that PostgreSQL keeps.
const NAME_MAX: usize = 63;

/// A script that gives the rows without a value this one. Odoo runs scripts of versions between the one that is installed and the
/// manifest's, so the manifest's goes up. `None` where the version is not understood, or a higher one would have Odoo run other scripts too.
pub(super) fn filling(case: &Case<'_>, table: &str, column: &str, value: &str) -> Option<Filling> {
    let plain = |name: &str| {
        name.len() <= NAME_MAX
            && name.starts_with(|first: char| first == '_' || first.is_ascii_lowercase())
            && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if !plain(table) || !plain(column) {
        return None;
    }
    let manifest = case.addon.manifest()?;
    let series = case.version.as_str();
    let (prefix, own) = own_version(manifest.text("version")?, series)?;
    if scripts(case.addon, series).any(|found| found > own) {
        return None;
    }
    // A step of the second number: what is stored changes, so that an upgrade is due.
    let mut next = own;
    next[1] = next[1].checked_add(1)?;
    next.iter_mut().skip(2).for_each(|part| *part = 0);
    let next = next.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    let version = format!("{series}.{next}");
    let path = case.addon.path(&format!("migrations/{version}/pre-migration.py"))?;
    let raised = manifest_change(case.addon, |text, manifest| {
        let range = manifest.value("version")?;
        let quote = text.get(range.clone())?.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        apply(text, vec![Edit::new(range, format!("{quote}{prefix}{next}{quote}"))])
    })?;
    let script = FileChange { path, before: None, after: text(table, column, value) };
    Some(Filling { changes: vec![raised, script], version })
}

/// The series in front, if it is this one, and the numbers of the addon's own version: two or three, as Odoo wants them.
fn own_version<'v>(version: &'v str, series: &str) -> Option<(&'v str, Vec<u32>)> {
    let own = version.strip_prefix(series).and_then(|rest| rest.strip_prefix('.')).unwrap_or(version);
    let parts: Vec<u32> = own.split('.').map(number).collect::<Option<_>>()?;
    (2..=3).contains(&parts.len()).then(|| (&version[..version.len() - own.len()], parts))
}

fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// The versions of the scripts that the addon has for this series.
fn scripts<'a>(addon: &'a Addon, series: &'a str) -> impl Iterator<Item = Vec<u32>> {
    addon.files().filter_map(move |(path, _)| {
        let mut parts = path.within_module().split('/');
        let folder = parts.next().filter(|folder| matches!(*folder, "migrations" | "upgrades")).and(parts.next())?;
        own_version(folder, series).map(|(_, own)| own)
    })
}

fn text(table: &str, column: &str, value: &str) -> String {
    format!(
        "from odoo.tools.sql import column_exists


def migrate(cr, version):
    \"\"\"Give the rows that exist the default, before the field becomes required.\"\"\"
    if column_exists(cr, \"{table}\", \"{column}\"):
        cr.execute(
            'UPDATE \"{table}\" SET \"{column}\" = %s WHERE \"{column}\" IS NULL',
            ({value},),
        )
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_series() {
        assert_eq!(own_version("19.0.1.2.3", "19.0"), Some(("19.0.", vec![1, 2, 3])));
        assert_eq!(own_version("1.2", "19.0"), Some(("", vec![1, 2])));
        for version in ["18.0.1.0.0", "1", "latest", "1.+2", "19.0.1", "", "1.99999999999"] {
            assert_eq!(own_version(version, "19.0"), None, "{version}");
        }
    }
}
