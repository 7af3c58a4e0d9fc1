//! The other way round: which addons build on one, so that a fix of it can be tried with them too.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::read::complete;
use super::{AddonsError, Folder, closure};
use crate::domain::ModuleName;
use crate::odoo::{Addon, Manifest};

/// The largest manifest that is read.
const MAX_MANIFEST: u64 = 256 * 1024;

/// The addons that build on one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependents {
    /// Their names: those that depend on it directly first, then those over one other addon and so on; among equals by name.
    pub names: Vec<ModuleName>,
    /// How many more there are: beyond the number or the size that was allowed, or with sources that cannot be read.
    pub left_out: usize,
    /// All that it takes to test them: the addon itself, then what it depends on, then they and what they depend on.
    pub addons: Vec<Addon>,
}

/// The addons of the folders that depend on `module`, directly or over other addons there, and that can be installed as far as their
/// manifests and those of what they depend on tell; at most `most` of them, the nearest, and no more than `bytes` of sources in all. Of addons with one name the first folder's counts,
/// as for Odoo; `module` itself lies in the first folder. An addon whose manifest cannot be read depends on nothing.
pub fn dependents(folders: &[Folder], module: &ModuleName, most: usize, bytes: u64) -> Result<Dependents, AddonsError> {
    let shelf = Shelf::of(folders)?;
    let candidates: Vec<_> = shelf.above(module).into_iter().filter(|name| shelf.installs(name, module)).collect();
    let mut found = Dependents { addons: closure(folders, module)?, ..Dependents::default() };
    let mut full = false;
    for name in &candidates {
        if found.names.len() >= most || full {
            break;
        }
        match shelf.add(folders, name, &mut found.addons, bytes) {
            Ok(()) => found.names.push(name.clone()),
            // From here on they are farther away still.
            Err(AddonsError::TooLarge(_)) => full = true,
            Err(_) => {}
        }
    }
    found.left_out = candidates.len() - found.names.len();
    Ok(found)
}

/// What the manifests of all addons of the folders say.
struct Shelf<'a> {
    /// By name; `None` where the manifest cannot be read or forbids to install it.
    addons: BTreeMap<ModuleName, (&'a Folder, Option<Vec<ModuleName>>)>,
}

impl<'a> Shelf<'a> {
    fn of(folders: &'a [Folder]) -> Result<Self, AddonsError> {
        let mut addons = BTreeMap::new();
        for folder in folders {
            for name in folder.names()? {
                addons.entry(name).or_insert_with_key(|name| (folder, depends(folder, name)));
            }
        }
        Ok(Self { addons })
    }

    fn depends(&self, name: &ModuleName) -> Option<&[ModuleName]> {
        self.addons.get(name)?.1.as_deref()
    }

    /// What leads to `module`, the nearest first.
    fn above(&self, module: &ModuleName) -> Vec<ModuleName> {
        let mut on: BTreeMap<&ModuleName, BTreeSet<&ModuleName>> = BTreeMap::new();
        for name in self.addons.keys() {
            for dependency in self.depends(name).unwrap_or_default() {
                on.entry(dependency).or_default().insert(name);
            }
        }
        let mut seen: BTreeSet<&ModuleName> = [module].into();
        let (mut found, mut level) = (Vec::new(), BTreeSet::from([module]));
        while !level.is_empty() {
            let next = level.iter().filter_map(|name| on.get(name)).flatten().copied();
            level = next.filter(|name| seen.insert(name)).collect();
            found.extend(level.iter().map(|name| (*name).clone()));
        }
        found
    }

    /// Whether everything here that the addon depends on can be installed, `module` aside: that is what is being mended.
    fn installs(&self, name: &ModuleName, module: &ModuleName) -> bool {
        let mut seen: BTreeSet<&ModuleName> = [name].into();
        let mut next = vec![name];
        while let Some(name) = next.pop() {
            if !self.addons.contains_key(name) {
                continue;
            }
            match self.depends(name) {
                Some(depends) => next.extend(depends.iter().filter(|name| seen.insert(name))),
                None if name == module => {}
                None => return false,
            }
        }
        true
    }

    /// Adds the addon and what it depends on, or nothing of it.
    fn add(&self, folders: &[Folder], name: &ModuleName, addons: &mut Vec<Addon>, bytes: u64) -> Result<(), AddonsError> {
        let (Some((folder, _)), false) = (self.addons.get(name), addons.iter().any(|addon| addon.name() == name)) else { return Ok(()) };
        let had = addons.len();
        addons.push(folder.read(name)?);
        let added = complete(folders, addons, had, bytes);
        if added.is_err() {
            addons.truncate(had);
        }
        added
    }
}

/// What the addon declares to depend on; `None` if that cannot be read, or the addon is not to be installed.
fn depends(folder: &Folder, name: &ModuleName) -> Option<Vec<ModuleName>> {
    let file = std::fs::File::open(folder.root().join(name.as_str()).join("__manifest__.py")).ok()?;
    let mut text = String::new();
    file.take(MAX_MANIFEST + 1).read_to_string(&mut text).ok().filter(|read| *read as u64 <= MAX_MANIFEST)?;
    let manifest = Manifest::parse(&text).ok().filter(|manifest| manifest.truth("installable") != Some(false))?;
    Some(manifest.texts("depends").into_iter().filter_map(|name| name.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    const BYTES: u64 = 64 << 20;

    use std::path::Path;

    use tempfile::{TempDir, tempdir};

    use super::*;

    fn addon(root: &TempDir, name: &str, manifest: &str) {
        std::fs::create_dir_all(root.path().join(name)).unwrap();
        std::fs::write(root.path().join(name).join("__manifest__.py"), manifest).unwrap();
        std::fs::write(root.path().join(name).join("a.py"), "x = 1\n").unwrap();
    }

    fn on(root: &TempDir, name: &str, depends: &str) {
        addon(root, name, &format!("{{'name': '{name}', 'depends': [{depends}]}}"));
    }

    fn folders(roots: &[&Path]) -> Vec<Folder> {
        roots.iter().map(|root| Folder::open(root).unwrap()).collect()
    }

    fn found(roots: &[&Path], most: usize) -> (String, usize, String) {
        shown(&dependents(&folders(roots), &"a".parse().unwrap(), most, BYTES).unwrap())
    }

    fn shown(found: &Dependents) -> (String, usize, String) {
        let names = found.names.iter().map(ModuleName::as_str).collect::<Vec<_>>().join(" ");
        let addons = found.addons.iter().map(|addon| addon.name().as_str()).collect::<Vec<_>>().join(" ");
        (names, found.left_out, addons)
    }

    fn is(names: &str, left_out: usize, addons: &str) -> (String, usize, String) {
        (names.to_owned(), left_out, addons.to_owned())
    }

    #[test]
    fn nearest_come_first() {
        let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
        on(&one, "a", "'base', 'below'");
        on(&one, "below", "");
        on(&one, "b_far", "'z_near'");
        on(&one, "z_near", "'a', 'beside'");
        on(&two, "c_near", "'a', 'sale'");
        on(&two, "d_farthest", "'b_far', 'a_unrelated'");
        on(&two, "beside", "");
        on(&two, "a_unrelated", "'below'");
        let roots = [one.path(), two.path()];
        assert_eq!(found(&roots, 9), is("c_near z_near b_far d_farthest", 0, "a below c_near z_near beside b_far d_farthest a_unrelated"));
        assert_eq!(found(&roots, 2), is("c_near z_near", 2, "a below c_near z_near beside"));
        assert_eq!(found(&roots, 0), is("", 4, "a below"));
    }

    #[test]
    fn circles_come_to_an_end() {
        let root = tempdir().unwrap();
        on(&root, "a", "'b', 'a'");
        on(&root, "b", "'c'");
        on(&root, "c", "'a', 'c'");
        assert_eq!(found(&[root.path()], 9), is("c b", 0, "a b c"));
    }

    #[test]
    fn first_of_a_name_counts() {
        let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
        on(&one, "a", "");
        on(&one, "b", "");
        on(&one, "c", "'a'");
        on(&two, "a", "'x'");
        on(&two, "b", "'a'");
        on(&two, "c", "");
        on(&two, "d", "'b'");
        assert_eq!(found(&[one.path(), two.path()], 9), is("c", 0, "a c"));
    }

    #[test]
    fn what_cannot_be_installed_is_skipped() {
        let root = tempdir().unwrap();
        on(&root, "a", "'below'");
        on(&root, "below", "");
        on(&root, "good", "'a', 'elsewhere'");
        addon(&root, "off", "{'depends': ['a'], 'installable': False}");
        on(&root, "on_off", "'off', 'a'");
        for (number, garbage) in ["", "{'depends': ['a']", "\0", "raise SystemExit", "['a']", &"[".repeat(300_000)].iter().enumerate() {
            addon(&root, &format!("garbage{number}"), garbage);
        }
        std::fs::write(root.path().join("garbage0/__manifest__.py"), b"{'depends': ['a'], 'name': '\xe9'}").unwrap();
        on(&root, "on_garbage", "'a', 'garbage1'");
        addon(&root, "odd", "{'depends': 'a'}");
        addon(&root, "odder", "{'depends': ['../a', 7, 'a b', None]}");
        assert_eq!(found(&[root.path()], 9), is("good", 0, "a below good"));
    }

    #[test]
    fn module_that_is_broken_has_dependents() {
        let root = tempdir().unwrap();
        addon(&root, "a", "{'depends': [");
        on(&root, "b", "'a'");
        assert_eq!(found(&[root.path()], 9), is("b", 0, "a b"));
    }

    #[test]
    fn sources_that_cannot_be_read_are_left_out() {
        let root = tempdir().unwrap();
        on(&root, "a", "");
        on(&root, "b", "'a', 'linked'");
        on(&root, "linked", "");
        on(&root, "c", "'a'");
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("linked/v.xml")).unwrap();
        assert_eq!(found(&[root.path()], 9), is("c", 1, "a c"));
        std::os::unix::fs::symlink(root.path().join("c"), root.path().join("d")).unwrap();
        assert_eq!(found(&[root.path()], 9).0, "c");
    }

    #[test]
    fn farthest_go_where_all_are_too_large() {
        let root = tempdir().unwrap();
        on(&root, "a", "");
        on(&root, "b", "'a'");
        on(&root, "c", "'b', 'large'");
        on(&root, "large", "");
        on(&root, "d", "'c'");
        std::fs::write(root.path().join("large/data.txt"), "x".repeat(5_000)).unwrap();
        let folders = folders(&[root.path()]);
        let limited = |bytes| shown(&dependents(&folders, &"a".parse().unwrap(), 9, bytes).unwrap());
        assert_eq!(limited(1_000), is("b", 2, "a b"));
        assert_eq!(limited(10_000), is("b c d", 0, "a b c large d"));
        assert_eq!(limited(0), is("", 3, "a"));
    }

    #[test]
    fn addon_that_is_missing_is_an_error() {
        let root = tempdir().unwrap();
        on(&root, "b", "'a'");
        assert!(matches!(dependents(&folders(&[root.path()]), &"a".parse().unwrap(), 9, BYTES), Err(AddonsError::Missing { .. })));
        assert!(dependents(&[], &"a".parse().unwrap(), 9, BYTES).unwrap().addons.is_empty());
    }
}
