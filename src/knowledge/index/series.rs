//! Which series of Odoo a tree of sources is for.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use walkdir::WalkDir;

use crate::domain::OdooVersion;
use crate::odoo::Manifest;

/// The most bytes of a file that is looked at.
const MAX_BYTES: u64 = 256 * 1024;
/// So many manifests say enough.
const MANIFESTS: usize = 200;

/// The series that the sources name: Odoo in its release file, addons in their versions (most of them count). `None`: they do not say.
pub fn series(root: &Path) -> Option<OdooVersion> {
    for release in ["odoo/release.py", "release.py", "odoo/odoo/release.py"] {
        if let Some(version) = text(&root.join(release)).as_deref().and_then(released) {
            return Some(version);
        }
    }
    let mut votes: BTreeMap<OdooVersion, usize> = BTreeMap::new();
    let walk = WalkDir::new(root).follow_links(false).max_depth(8).sort_by_file_name().into_iter().filter_map(Result::ok);
    let manifests = walk.filter(|entry| entry.file_type().is_file() && entry.file_name() == "__manifest__.py");
    for entry in manifests.take(MANIFESTS) {
        if let Some(version) = text(entry.path()).as_deref().and_then(declared) {
            *votes.entry(version).or_default() += 1;
        }
    }
    votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(version, _)| version)
}

fn text(file: &Path) -> Option<String> {
    let mut text = String::new();
    let opened = std::fs::File::open(file).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
    opened.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// `version_info = (19, 0, 0, FINAL, 0, '')`; between two releases it is `('saas~18', 4, …)`.
fn released(text: &str) -> Option<OdooVersion> {
    #[expect(clippy::expect_used, reason = "a constant pattern, and a test reads it")]
    static INFO: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?m)^version_info\s*=\s*\(\s*['"]?(?:saas~)?(\d+)['"]?\s*,\s*(\d+)"#).expect("a constant pattern"));
    let found = INFO.captures(text)?;
    format!("{}.{}", &found[1], &found[2]).parse().ok()
}

/// `19.0.1.2.3`: the series, then the addon's own version.
fn declared(text: &str) -> Option<OdooVersion> {
    let manifest = Manifest::parse(text).ok()?;
    let version = manifest.text("version")?;
    let parts: Vec<&str> = version.split('.').collect();
    (parts.len() >= 4).then(|| format!("{}.{}", parts[0], parts[1]).parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_file_names_the_series() {
        assert_eq!(released("x = 1\nversion_info = (19, 0, 0, FINAL, 0, '')\n"), "19.0".parse().ok());
        assert_eq!(released("version_info = ('saas~18', 4, 0, FINAL, 0, '')"), "18.4".parse().ok());
        assert_eq!(released("version_info = garbage"), None);
    }

    #[test]
    fn versions_of_addons_count() {
        let dir = tempfile::tempdir().unwrap();
        for (name, version) in [("a", "18.0.1.0.0"), ("b", "18.0.2.0.0"), ("c", "17.0.1.0.0"), ("d", "1.2")] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("__manifest__.py"), format!("{{'version': '{version}'}}")).unwrap();
        }
        assert_eq!(series(dir.path()), "18.0".parse().ok());
        assert_eq!(series(Path::new("/nonexistent")), None);
    }
}
