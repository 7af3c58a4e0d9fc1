//! The sources of a run as a tar stream.

use std::collections::BTreeSet;

use super::limits::SOURCE_BYTES;
use super::{SandboxError, TestPlan};
use crate::odoo::Addon;

/// Packs the addons of a plan: regular files only, read-only, owned by root, names checked by their type. Where two
/// addons have the same name the first one counts, as it does for Odoo.
pub(super) fn pack(plan: &TestPlan<'_>) -> Result<Vec<u8>, SandboxError> {
    if !plan.addons.iter().any(|addon| addon.name() == plan.module) {
        return Err(SandboxError::Sources(format!("{} is not among the addons that were given", plan.module)));
    }
    let total: u64 = plan.addons.iter().flat_map(Addon::files).map(|(_, bytes)| bytes.len() as u64).sum();
    if total > SOURCE_BYTES {
        return Err(SandboxError::Sources(format!("{total} bytes of sources; at most {SOURCE_BYTES} can be tested")));
    }
    let mut seen = BTreeSet::new();
    let first = plan.addons.iter().filter(|addon| seen.insert(addon.name()));
    archive(first.flat_map(Addon::files).map(|(path, bytes)| (path.as_str(), bytes)))
}

/// Packs files, regular ones only, read-only.
pub(super) fn archive<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<u8>, SandboxError> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o444);
        header.set_size(bytes.len() as u64);
        // Python compares times of sources with those of byte code; a fixed one keeps runs alike.
        header.set_mtime(1_600_000_000);
        archive.append_data(&mut header, path, bytes).map_err(|error| SandboxError::Sources(format!("{path}: {error}")))?;
    }
    archive.into_inner().map_err(|error| SandboxError::Sources(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::domain::{ModuleName, RelPath};

    fn addon(name: &str, files: &[(&str, &str)]) -> Addon {
        let files = files.iter().map(|(path, text)| (path.parse::<RelPath>().unwrap(), text.as_bytes().to_vec()));
        Addon::new(name.parse().unwrap(), files)
    }

    fn unpack(bytes: &[u8]) -> Vec<(String, String)> {
        let mut archive = tar::Archive::new(bytes);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().entry_type(), tar::EntryType::Regular);
            assert_eq!(entry.header().mode().unwrap(), 0o444);
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), text)
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn every_file_keeps_its_name_and_text() {
        let module: ModuleName = "m".parse().unwrap();
        let long = format!("m/{}/x.py", "d".repeat(150));
        let addons = [addon("m", &[("m/__init__.py", ""), (&long, "x = 1\n")]), addon("dep", &[("dep/é.py", "y")])];
        let files = unpack(&pack(&TestPlan { module: &module, also: &[], addons: &addons }).unwrap());
        let expected = [("m/__init__.py", ""), (long.as_str(), "x = 1\n"), ("dep/é.py", "y")];
        assert_eq!(files, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    }

    #[test]
    fn path_that_climbs_out_has_no_type() {
        for path in ["../x", "/etc/passwd", "m/../../x", "m/./x", "m\\..\\x"] {
            assert!(path.parse::<RelPath>().is_err(), "{path}");
        }
    }

    #[test]
    fn first_addon_of_a_name_counts() {
        let module: ModuleName = "m".parse().unwrap();
        let addons = [addon("m", &[("m/a", "1")]), addon("m", &[("m/a", "2"), ("m/b", "2")])];
        assert_eq!(unpack(&pack(&TestPlan { module: &module, also: &[], addons: &addons }).unwrap()), [("m/a".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn plan_without_its_module_is_refused() {
        let module: ModuleName = "other".parse().unwrap();
        let addons = [addon("m", &[("m/a", "1")])];
        assert!(matches!(pack(&TestPlan { module: &module, also: &[], addons: &addons }), Err(SandboxError::Sources(_))));
    }

    #[test]
    fn too_much_source_is_refused() {
        let module: ModuleName = "m".parse().unwrap();
        let big = vec![0u8; usize::try_from(SOURCE_BYTES).unwrap() + 1];
        let addons = [Addon::new(module.clone(), [("m/big.bin".parse().unwrap(), big)])];
        assert!(matches!(pack(&TestPlan { module: &module, also: &[], addons: &addons }), Err(SandboxError::Sources(_))));
    }
}
