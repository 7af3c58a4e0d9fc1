//! Which addon a file of a log belongs to.

use std::collections::BTreeSet;

use super::log::Entry;
use super::pattern::Pattern;
use crate::domain::{Location, ModuleName};

static ROOTS: Pattern = Pattern::new(r"'([^']+)'");
static NAMED: Pattern = Pattern::new(r"(?:Loading module|Couldn't load module|Module) ([a-z0-9_]+)\b");
static LOGGER: Pattern = Pattern::new(r"^(?:odoo|openerp)\.addons\.(\w+)");
// Odoo's own files, wherever it is installed: as a package, or as a checkout named odoo, odoo-19.0 …
static CORE: Pattern = Pattern::new(concat!(
    r"/(?:dist|site)-packages/|/lib/python\d|^/usr/lib/|/openerp/|/enterprise/|",
    r"/odoo(?:[-_]?\d+(?:\.\d)?)?/(?:addons|odoo|orm|tools|service|cli|modules|tests|osv|api|_monkeypatches)/|",
    r"/odoo/(?:http|models|fields|api|sql_db|netsvc|exceptions|loglevels|__main__)\.py$"
));
static ADDONS_FOLDER: Pattern = Pattern::new(r"^(?:addons|\w+[-_]addons|addons[-_]\w+|custom|extra)$");

/// Folders of an addon: what stands above the first of them is the addon.
const INSIDE: [&str; 17] = [
    "models",
    "views",
    "controllers",
    "wizard",
    "wizards",
    "data",
    "demo",
    "security",
    "tests",
    "report",
    "reports",
    "static",
    "i18n",
    "migrations",
    "hooks",
    "tools",
    "__init__.py",
];

/// Folders kept: each is compared with the file of each frame, and a log may claim any number.
const ROOTS_MAX: usize = 64;

/// What a log tells about where addons lie.
#[derive(Debug, Default)]
pub(super) struct Places {
    roots: Vec<String>,
    modules: BTreeSet<String>,
}

impl Places {
    /// Gathers the folders and module names that a log mentions.
    pub(super) fn of(entries: &[Entry<'_>]) -> Self {
        let mut places = Self::default();
        for entry in entries {
            let line = entry.message.lines().next().unwrap_or("");
            if entry.logger == "odoo" && line.starts_with("addons paths:") {
                let roots = ROOTS.all(line).map(|root| format!("{}/", root.trim_end_matches('/')));
                places.roots.extend(roots.filter(|root| !CORE.is_match(root)));
            } else if entry.logger.ends_with("modules.loading") || entry.logger.ends_with("modules.module") {
                places.modules.extend(NAMED.first(line).map(str::to_owned));
            }
            places.modules.extend(LOGGER.first(entry.logger).map(str::to_owned));
        }
        places.roots.truncate(ROOTS_MAX);
        places.roots.sort_by_key(|root| std::cmp::Reverse(root.len()));
        places
    }

    /// The addon and the place below its addons folder, or `None` for a file of Odoo, of Python or of nobody.
    pub(super) fn locate(&self, file: &str, line: Option<u32>, loading: Option<&str>) -> Option<(ModuleName, Location)> {
        let file = file.replace('\\', "/");
        if is_nobodys(&file) {
            return None;
        }
        let path = self.below_addons_folder(&file, loading)?;
        let module: ModuleName = path.split('/').next()?.parse().ok()?;
        Some((module, Location { path: path.to_owned(), line }))
    }

    fn below_addons_folder<'f>(&self, file: &'f str, loading: Option<&str>) -> Option<&'f str> {
        let Some(absolute) = file.strip_prefix('/').or_else(|| file.split_once(":/").map(|(_, rest)| rest)) else {
            // A path below the addons folder already, as in `View: x in p_attrs/v.xml`.
            return Some(file);
        };
        if let Some(root) = self.roots.iter().find(|root| file.starts_with(root.as_str())) {
            return Some(&file[root.len()..]);
        }
        let folders = Folders::of(absolute);
        let start = loading
            .and_then(|module| folders.named(|name| name == module))
            .or_else(|| folders.below_an_addons_folder())
            .or_else(|| folders.named(|name| self.modules.contains(name)))
            .or_else(|| folders.above_a_known_folder())?;
        Some(&absolute[start..])
    }
}

/// A file of Odoo, of Python, or of no file at all. The path has forward slashes.
pub(super) fn is_nobodys(file: &str) -> bool {
    file.starts_with('<') || file.starts_with("src/lxml/") || !file.contains('/') || CORE.is_match(file)
}

/// The parts of an absolute path: where each starts, and its name. The last is the file.
struct Folders<'f>(Vec<(usize, &'f str)>);

impl<'f> Folders<'f> {
    fn of(path: &'f str) -> Self {
        let mut start = 0;
        Self(
            path.split('/')
                .map(|name| {
                    let this = (start, name);
                    start += name.len() + 1;
                    this
                })
                .collect(),
        )
    }

    /// Where the first known folder of an addon stands. `/data` and `/srv/data` are where people mount things.
    fn inside(&self) -> Option<usize> {
        (2..self.0.len()).find(|&n| INSIDE.contains(&self.0[n].1))
    }

    fn without_file(&self) -> &[(usize, &'f str)] {
        &self.0[..self.0.len().saturating_sub(1)]
    }

    fn named(&self, wanted: impl Fn(&str) -> bool) -> Option<usize> {
        self.without_file().iter().find(|(_, name)| wanted(name)).map(|(start, _)| *start)
    }

    fn below_an_addons_folder(&self) -> Option<usize> {
        let above = self.inside().and_then(|end| Self::lowest(&self.0[..end]));
        above.or_else(|| Self::lowest(self.without_file()))
    }

    fn lowest(folders: &[(usize, &str)]) -> Option<usize> {
        let is_root = |n: usize| ADDONS_FOLDER.is_match(folders[n].1) || (n > 0 && folders[n].1 == "user" && folders[n - 1].1 == "src");
        // A repository folder such as `server-tools` between the two is no module.
        (1..folders.len()).rev().find(|&n| is_root(n - 1) && folders[n].1.parse::<ModuleName>().is_ok()).map(|n| folders[n].0)
    }

    fn above_a_known_folder(&self) -> Option<usize> {
        self.inside().and_then(|n| n.checked_sub(1)).map(|n| self.0[n].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str) -> Option<String> {
        Places::default().locate(file, None, None).map(|(_, place)| place.path)
    }

    #[test]
    fn custom_files_are_found_wherever_they_lie() {
        for (file, path) in [
            ("/p/addons/p_tree/v.xml", "p_tree/v.xml"),
            ("/opt/prod/custom/p_tree/v.xml", "p_tree/v.xml"),
            ("/opt/custom/addons/p_tree/models/a.py", "p_tree/models/a.py"),
            ("/mnt/extra-addons/p_tree/models/a.py", "p_tree/models/a.py"),
            ("/mnt/extra/p_tree/tests/test_a.py", "p_tree/tests/test_a.py"),
            ("/mnt/extra/server-tools/p_tree/models/a.py", "p_tree/models/a.py"),
            ("/home/odoo/src/user/p_tree/models/a.py", "p_tree/models/a.py"),
            ("/srv/thing/p_tree/models/a.py", "p_tree/models/a.py"),
            ("C:\\odoo\\custom\\p_tree\\models\\a.py", "p_tree/models/a.py"),
            ("p_tree/v.xml", "p_tree/v.xml"),
        ] {
            assert_eq!(at(file).as_deref(), Some(path), "{file}");
        }
    }

    #[test]
    fn odoo_and_python_are_nobodys_addon() {
        for file in [
            "/usr/lib/python3/dist-packages/odoo/addons/base/models/res_partner.py",
            "/usr/lib/python3.13/functools.py",
            "/opt/odoo/odoo/models.py",
            "/opt/odoo/addons/sale/models/sale.py",
            "/home/me/odoo-19.0/addons/sale/models/sale.py",
            "/home/odoo/src/enterprise/x/models/a.py",
            "/opt/venv/lib/python3.12/site-packages/requests/api.py",
            "src/lxml/etree.pyx",
            "<frozen importlib._bootstrap>",
            "<string>",
            "",
            "/",
        ] {
            assert_eq!(at(file), None, "{file}");
        }
    }

    #[test]
    fn module_being_loaded_wins() {
        let found = Places::default().locate("/data/x/shop/lib/a.py", Some(3), Some("shop")).unwrap();
        assert_eq!((found.0.as_str(), found.1.to_string().as_str()), ("shop", "shop/lib/a.py:3"));
    }
}
