//! What: an `__init__.py` imports only what its folder holds.
//!
//! Why: `from . import x` without `x` fails as "partially initialized module (most likely due to a circular import)".
//! Before: `from . import models` beside nothing. After: the line is gone; or it names the file that was meant; or the folder, which
//! had only lacked it, gets its `__init__.py`. The line goes only where nothing else in the folder waits to be imported: otherwise that
//! may be what was meant, and its code would silently be missing.
//! Since: any Odoo.

use tree_sitter::Node;

use super::edit::python::{Imported, Source, field, imports, is_reference, remove_names};
use super::edit::{Edit, apply, near_miss};
use super::near;
use super::{Case, Proposal, Rule, change, graded, proposal, removal};
use crate::domain::{ErrorClass, FileChange, RelPath};
use crate::odoo::Addon;

/// The rule.
pub(super) const RULE: Rule = Rule { name: "own_package_import", classes: &[ErrorClass::ImportOwnPackage], since: 0, propose };

fn propose(case: &Case<'_>) -> Vec<Proposal> {
    let mut found = proposal("A package of the addon had no __init__.py: it gets one that imports its modules.", packages(case.addon));
    let renamed = imports_mended(case.addon, true);
    if renamed != imports_mended(case.addon, false) {
        let doubt = doubts(case.addon, &renamed);
        found.extend(graded(
            "An __init__.py imports a file under a wrong name: it imports the file that was clearly meant.",
            doubt,
            renamed.clone(),
        ));
    }
    let removed = imports_mended(case.addon, false);
    let summary = "An __init__.py imports what its folder does not hold: the import is removed.";
    // An import of a file that nothing else names never brought anything. Where a file may be meant, or other code counts on it, it may have.
    let doubt = if renamed != removed {
        Some("A file that is there may be meant.".to_owned())
    } else {
        let missed = |name: &String| used(case.addon, name) && !has_moved(case.addon, name);
        removed_names(&removed).into_iter().find(missed).map(|name| format!("The addon names {name} elsewhere too."))
    };
    found.extend(match doubt {
        Some(doubt) => removal(summary, doubt, removed),
        None => proposal(summary, removed),
    });
    found.extend(proposal("A file imports what its folder does not hold and never uses it: the import is removed.", unused(case.addon)));
    found
}

/// Whether a module is in one folder below, whose `__init__.py` imports it, and nothing but the imports names it: the file was moved
/// there, and an import above is left over.
fn has_moved(addon: &Addon, name: &str) -> bool {
    let held = addon.texts("py").filter(|(path, _)| path.as_str().ends_with(&format!("/{name}.py"))).map(|(path, _)| folder(path));
    let held: Vec<&str> = held.collect();
    let [at] = held.as_slice() else { return false };
    let importing = inits(addon).filter(|(_, text)| {
        Source::parse(text)
            .is_some_and(|source| own_imports(&source).iter().any(|(own, imported)| *own == name && imported.alias.is_none()))
    });
    let importing: Vec<&str> = importing.map(|(path, _)| folder(path)).collect();
    let named: usize = addon.texts("py").map(|(_, text)| super::scope::mentions(text, name)).sum();
    let above = |other: &&str| other == at || at.starts_with(&format!("{other}/"));
    importing.contains(at) && importing.iter().all(above) && named == importing.len()
}

/// Files besides `__init__.py` without imports of modules that are not there and that nothing names but the import.
fn unused(addon: &Addon) -> Vec<FileChange> {
    let mend = |(path, text): (&RelPath, &str)| {
        let source = Source::parse(text)?;
        let mut gone: Vec<(Node<'_>, Vec<std::ops::Range<usize>>)> = Vec::new();
        for (name, imported) in own_imports(&source) {
            let is_read = source.all("identifier").filter(|node| is_reference(*node)).any(|node| source.of(node) == name);
            let beside = modules(addon, folder(path), &[]);
            if imported.alias.is_some() || holds(addon, folder(path), name) || is_read || used(addon, name) || near::is_near(name, beside) {
                continue;
            }
            match gone.iter_mut().find(|(statement, _)| *statement == imported.statement) {
                Some((_, entries)) => entries.push(imported.entry.byte_range()),
                None => gone.push((imported.statement, vec![imported.entry.byte_range()])),
            }
        }
        // What a package defines is imported from it as well.
        let init = addon.text(&format!("{}/__init__.py", folder(path)).parse().ok()?)?;
        let edits = gone.iter().flat_map(|(statement, entries)| remove_names(&source, *statement, entries)).collect();
        if gone.iter().any(|(_, entries)| entries.iter().any(|entry| super::scope::mentions(init, &text[entry.clone()]) > 0)) {
            return None;
        }
        Some(change(path, text, apply(text, edits)?))
    };
    let files = addon.texts("py").filter(|(path, _)| !path.as_str().ends_with("/__init__.py"));
    files.filter_map(mend).collect()
}

/// Why the files may not be the ones that are meant.
fn doubts(addon: &Addon, changes: &[FileChange]) -> Option<String> {
    let names = |change: &FileChange| -> Option<(Vec<String>, Vec<String>)> {
        let of = |text: &str| Some(own_imports(&Source::parse(text)?).into_iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>());
        Some((of(change.before.as_deref()?)?, of(&change.after)?))
    };
    changes.iter().find_map(|change| {
        let (old, new) = names(change)?;
        let wrong = old.iter().filter(|name| !new.contains(name));
        let right: Vec<&String> = new.iter().filter(|name| !old.contains(name)).collect();
        let beside = addon.files().filter(|(path, _)| folder(path) == folder(&change.path));
        let known: Vec<&str> = beside.filter_map(|(path, _)| path.as_str().rsplit('/').next()?.strip_suffix(".py")).collect();
        wrong
            .zip(right)
            .find_map(|(wrong, right)| near::doubt_by(wrong, right, known.iter().copied(), |word| word.chars().count() < near::SHORT))
    })
}

/// The names that these changes no longer import.
fn removed_names(changes: &[FileChange]) -> Vec<String> {
    let of = |text: &str| Some(own_imports(&Source::parse(text)?).into_iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>());
    let gone = |change: &FileChange| {
        let (old, new) = (of(change.before.as_deref()?)?, of(&change.after).unwrap_or_default());
        Some(old.into_iter().filter(|name| !new.contains(name)).collect::<Vec<_>>())
    };
    changes.iter().filter_map(gone).flatten().collect()
}

/// Whether other Python than the import names it.
fn used(addon: &Addon, name: &str) -> bool {
    addon.texts("py").map(|(_, text)| super::scope::mentions(text, name)).sum::<usize>() > 1
}

fn folder(path: &RelPath) -> &str {
    path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn inits(addon: &Addon) -> impl Iterator<Item = (&RelPath, &str)> {
    addon.texts("py").filter(|(path, _)| path.as_str().ends_with("/__init__.py"))
}

/// The names of `from . import …` in a file, each once.
fn own_imports<'a>(source: &'a Source<'_>) -> Vec<(&'a str, Imported<'a>)> {
    imports(source).into_iter().filter(|(module, _)| *module == ".").map(|(_, imported)| (source.of(imported.name), imported)).collect()
}

/// Whether a folder holds a module of this name, as a file or as a folder.
fn holds(addon: &Addon, folder: &str, name: &str) -> bool {
    let (file, package) = (format!("{folder}/{name}.py"), format!("{folder}/{name}/"));
    addon.files().any(|(path, _)| path.as_str() == file || path.as_str().starts_with(&package))
}

/// Folders that are imported and hold Python files, but no `__init__.py`.
fn packages(addon: &Addon) -> Vec<FileChange> {
    let mut changes = Vec::new();
    for (path, text) in inits(addon) {
        let Some(source) = Source::parse(text) else { continue };
        for (name, _) in own_imports(&source) {
            let package = format!("{}/{name}", folder(path));
            let Ok(init) = format!("{package}/__init__.py").parse::<RelPath>() else { continue };
            let modules: Vec<&str> = addon
                .texts("py")
                .filter(|(path, _)| folder(path) == package)
                .filter_map(|(path, _)| path.as_str().rsplit('/').next()?.strip_suffix(".py"))
                .filter(|module| module.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
                .collect();
            let exists = addon.files().any(|(path, _)| *path == init || path.as_str() == format!("{package}.py"));
            if !exists && !modules.is_empty() {
                let after = modules.iter().map(|module| format!("from . import {module}\n")).collect();
                changes.push(FileChange { path: init, before: None, after });
            }
        }
    }
    changes
}

/// Every `__init__.py` without its dead imports; with `rename`, those that clearly mean a file that is not imported name it.
fn imports_mended(addon: &Addon, rename: bool) -> Vec<FileChange> {
    let mend = |(path, text): (&RelPath, &str)| {
        let source = Source::parse(text)?;
        Some(change(path, text, apply(text, import_edits(addon, folder(path), &source, rename))?))
    };
    inits(addon).filter_map(mend).collect()
}

fn import_edits(addon: &Addon, folder: &str, source: &Source<'_>, rename: bool) -> Vec<Edit> {
    let own = own_imports(source);
    let defined = |name: &str| source.all("assignment").any(|node| field(node, "left").is_some_and(|left| source.of(left) == name));
    let mut taken: Vec<String> = own.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut edits = Vec::new();
    let mut gone: Vec<(Node<'_>, Vec<std::ops::Range<usize>>)> = Vec::new();
    for (name, imported) in own.iter().filter(|(name, _)| !holds(addon, folder, name) && !defined(name)) {
        match meant(addon, folder, name, &taken).filter(|_| rename && imported.alias.is_none()) {
            Some(file) => {
                edits.push(Edit::new(imported.name.byte_range(), file.clone()));
                taken.push(file);
            }
            None if !waiting(addon, folder, source, &taken).is_empty() => {}
            None => match gone.iter_mut().find(|(statement, _)| *statement == imported.statement) {
                Some((_, entries)) => entries.push(imported.entry.byte_range()),
                None => gone.push((imported.statement, vec![imported.entry.byte_range()])),
            },
        }
    }
    edits.extend(gone.iter().flat_map(|(statement, entries)| remove_names(source, *statement, entries)));
    edits
}

fn meant(addon: &Addon, folder: &str, name: &str, taken: &[String]) -> Option<String> {
    near_miss(name, modules(addon, folder, taken)).map(str::to_owned)
}

/// The modules of a folder that are not among those taken.
fn modules<'a>(addon: &'a Addon, folder: &str, taken: &[String]) -> Vec<&'a str> {
    let within = format!("{folder}/");
    addon
        .files()
        .filter_map(|(path, _)| path.as_str().strip_prefix(&within))
        .filter_map(|rest| rest.strip_suffix("/__init__.py").or(rest.strip_suffix(".py")))
        .filter(|module| !module.contains('/') && !module.starts_with("__") && !taken.iter().any(|known| known == module))
        .collect()
}

/// The modules that this file could import and does not. Odoo finds tests and migrations by itself.
fn waiting<'a>(addon: &'a Addon, folder: &str, source: &Source<'_>, taken: &[String]) -> Vec<&'a str> {
    let mut taken = taken.to_vec();
    taken.extend(["tests", "migrations"].map(str::to_owned));
    taken.extend(
        imports(source)
            .iter()
            .filter_map(|(module, _)| module.strip_prefix('.'))
            .map(|module| module.split('.').next().unwrap_or(module).to_owned()),
    );
    modules(addon, folder, &taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{addon, candidates, first_diff, fixture, mended, mended_file};

    const CLASS: ErrorClass = ErrorClass::ImportOwnPackage;

    #[test]
    fn probe_loses_its_import() {
        insta::assert_snapshot!(first_diff(&fixture("own_package_import", "p_import3"), CLASS, ""));
    }

    #[test]
    fn one_name_of_several_goes() {
        let files = [("__init__.py", "from . import models, wizard\n"), ("models/__init__.py", "")];
        assert_eq!(mended_file(&files, "__init__.py", CLASS, "").unwrap(), "from . import models\n");
    }

    #[test]
    fn near_name_is_meant_first() {
        let files = [("__init__.py", "from . import product_stats\n"), ("product_state.py", "")];
        let found = candidates(&addon(&files), CLASS, "");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].patch.changes()[0].after, "from . import product_state\n");
    }

    #[test]
    fn module_that_waits_forbids_dropping_the_import() {
        let files = [("__init__.py", "from . import partner\n"), ("res_partner_extension.py", "")];
        assert!(candidates(&addon(&files), CLASS, "").is_empty());
        let files = [("__init__.py", "from . import partner\nfrom .hooks import post\n"), ("hooks.py", ""), ("tests/__init__.py", "")];
        assert_eq!(mended_file(&files, "__init__.py", CLASS, "").unwrap(), "from .hooks import post\n");
    }

    #[test]
    fn folder_gets_its_init() {
        let files = [("__init__.py", "from . import models\n"), ("models/b.py", ""), ("models/a.py", "")];
        let mended = mended(&addon(&files), CLASS, "").unwrap();
        assert_eq!(mended.text(&mended.path("models/__init__.py").unwrap()).unwrap(), "from . import a\nfrom . import b\n");
    }

    #[test]
    fn import_of_a_file_that_moved_is_left_over() {
        let files =
            [("__init__.py", "from . import models\nfrom . import a\n"), ("models/__init__.py", "from . import a\n"), ("models/a.py", "")];
        let found = candidates(&addon(&files), CLASS, "");
        assert!(found[0].is_safe());
        assert_eq!(found[0].patch.changes()[0].after, "from . import models\n");
        let named = [files[0], files[1], files[2], ("models/b.py", "from .a import x\n")];
        assert!(candidates(&addon(&named), CLASS, "").iter().all(|one| !one.is_safe()));
    }

    #[test]
    fn import_that_nothing_uses_goes_from_any_file() {
        let init = ("__init__.py", "from . import models\n");
        let file =
            |body: &'static str| candidates(&addon(&[init, ("models/__init__.py", "from . import a\n"), ("models/a.py", body)]), CLASS, "");
        let found = file("from . import sizes\n\n\ndef f():\n    return 1\n");
        assert!(found[0].is_safe());
        assert!(!found[0].patch.changes()[0].after.contains("sizes"));
        assert!(file("from . import sizes\n\n\ndef f():\n    return sizes.x\n").is_empty());
    }

    #[test]
    fn whole_package_is_left() {
        let files = [("__init__.py", "from . import models\nfrom .models import x\n"), ("models/__init__.py", "")];
        assert!(candidates(&addon(&files), CLASS, "").is_empty());
    }
}
