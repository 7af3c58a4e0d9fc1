//! Which addon a file of a log belongs to.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use super::log::Entry;
use super::pattern::Pattern;
use crate::domain::{Location, ModuleName, Owner};

static ROOTS: Pattern = Pattern::new(r"'([^']+)'");
static NAMED: Pattern = Pattern::new(r"(?:Loading module|Couldn't load module|Module) ([a-z0-9_]+)\b");
// Odoo's own files, wherever it is installed: as a package, or as a checkout named odoo, odoo-19.0 …
static CORE: Pattern = Pattern::new(concat!(
    r"/(?:dist|site)-packages/|/lib/python\d|^/usr/lib/|/openerp/|/enterprise/|",
    r"/odoo(?:[-_]?\d+(?:\.\d)?)?/(?:addons|odoo|orm|tools|service|cli|modules|tests|osv|api|_monkeypatches)/|",
    r"/odoo/(?:http|models|fields|api|sql_db|netsvc|exceptions|loglevels|__main__)\.py$"
));
// What pip installs below Odoo's own package: addons of Odoo and of others side by side.
static PACKAGED: Pattern = Pattern::new(r"/(?:dist|site)-packages/(?:odoo|openerp)/addons/(\w+)/");
static CORE_PLACE: Pattern = Pattern::new(r"/addons/(\w+/[^\n]+)$");
// How people check out the repositories of the OCA: under their own names, or below a folder named after it.
static OCA: Pattern = Pattern::new(concat!(
    r"(?i:/oca/|/oca[-_])|/(?:server-(?:tools|ux|auth|backend|brand|env)|web-api|website-cms|e-commerce|rest-framework|reporting-engine|",
    r"account-(?:analytic|budgeting|closing|consolidation|financial-reporting|financial-tools|fiscal-rule|invoice-reporting|invoicing|payment|reconcile)|",
    r"bank-(?:payment|statement-import)(?:-alternative)?|stock-logistics-(?:availability|barcode|orderpoint|putaway|release-channel|reporting|request|shopfloor|",
    r"tracking|transport|warehouse|workflow)|sale-(?:workflow|reporting|channel|financial|prebook|promotion|blanket)|purchase-(?:workflow|reporting)|",
    r"product-(?:attribute|configurator|kitting|pack|variant)|partner-contact|project-(?:agile|reporting)|hr-(?:attendance|expense|holidays)|",
    r"manufacture(?:-reporting)?|mis-builder(?:-contrib)?|multi-company|operating-unit|field-service|data-protection|delivery-carrier|",
    r"credit-control|community-data-files|currency|dms|edi(?:-framework)?|geospatial|interface-github|intrastat-extrastat|knowledge|",
    r"management-system|margin-analysis|maintenance|pos|queue|social|spreadsheet|storage|timesheet|vertical-\w+|wms|connector(?:-\w+)?|",
    r"l10n-[a-z]+(?:-[a-z]+)*)/"
));
/// The addons that Odoo ships, by name: where pip puts everybody's into one folder, nothing else tells.
static CORE_ADDONS: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("core_addons.txt").split_whitespace().collect());
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

fn is_core(module: &str) -> bool {
    module.starts_with("test_") || CORE_ADDONS.contains(module)
}

/// Whether a file is one of Odoo's own.
pub(super) fn is_core_file(file: &str) -> bool {
    CORE.is_match(file)
        && !file.contains("/lib/python")
        && (file.contains("/odoo") || file.contains("/openerp/") || file.contains("/enterprise/"))
        || file.contains("-packages/odoo/")
}

/// A place in an addon.
#[derive(Debug, Clone)]
pub(super) struct Located {
    pub(super) module: ModuleName,
    pub(super) location: Location,
    /// Who writes it, if the path tells.
    pub(super) owner: Option<Owner>,
}

impl Located {
    pub(super) fn in_tests(&self) -> bool {
        self.location.path.split('/').nth(1) == Some("tests")
    }
}

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
            let logged = ["odoo.addons.", "openerp.addons."].iter().find_map(|start| entry.logger.strip_prefix(start));
            // Most lines come from a few loggers.
            if let Some(module) = logged.and_then(|rest| rest.split('.').next()).filter(|module| !places.modules.contains(*module)) {
                places.modules.insert(module.to_owned());
            }
        }
        places.roots.truncate(ROOTS_MAX);
        places.roots.sort_by_key(|root| std::cmp::Reverse(root.len()));
        places
    }

    /// The addon and the place below its addons folder, or `None` for a file of Odoo, of Python or of nobody.
    pub(super) fn locate(&self, file: &str, line: Option<u32>, loading: Option<&str>) -> Option<Located> {
        let file = file.replace('\\', "/");
        if has_no_folder(&file) {
            return None;
        }
        let packaged = packaged(&file);
        let path = match packaged {
            Some(module) => &file[file.find(&format!("/addons/{module}/"))? + "/addons/".len()..],
            None if CORE.is_match(&file) => return None,
            None => self.below_addons_folder(&file, loading)?,
        };
        let module: ModuleName = path.split('/').next()?.parse().ok()?;
        let owner = match () {
            () if packaged.is_some() || OCA.is_match(&file) => Some(Owner::Oca),
            () if path.len() < file.len() => Some(Owner::Custom),
            () => None,
        };
        Some(Located { module, location: Location { path: path.to_owned(), line }, owner })
    }

    /// The place in an addon of Odoo's own, below its addons folder.
    pub(super) fn locate_core(file: &str, line: u32) -> Option<Location> {
        let file = file.replace('\\', "/");
        let path = CORE_PLACE.first(&file).filter(|_| is_core_file(&file))?;
        Some(Location { path: path.to_owned(), line: Some(line) })
    }

    /// Who writes an addon of which the log names no file.
    pub(super) fn owner(&self, module: &str) -> Owner {
        match () {
            () if is_core(module) => Owner::Core,
            () if !self.roots.is_empty() && self.roots.iter().all(|root| OCA.is_match(root)) => Owner::Oca,
            () => Owner::Custom,
        }
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
    has_no_folder(file) || (packaged(file).is_none() && CORE.is_match(file))
}

/// Whether it is no file of an addon by its form alone: text that was evaluated, or a library's.
fn has_no_folder(file: &str) -> bool {
    file.starts_with('<') || file.starts_with("src/lxml/") || !file.contains('/')
}

/// The addon of a file that was installed as a Python package beside Odoo's own.
fn packaged(file: &str) -> Option<&str> {
    PACKAGED.first(file).filter(|module| !is_core(module))
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
        Places::default().locate(file, None, None).map(|found| found.location.path)
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
        assert_eq!((found.module.as_str(), found.location.to_string().as_str()), ("shop", "shop/lib/a.py:3"));
    }

    #[test]
    fn owner_is_told_by_the_path() {
        for (file, owner) in [
            ("/opt/custom/shop/models/a.py", Some(Owner::Custom)),
            ("/opt/server-tools/auditlog/models/a.py", Some(Owner::Oca)),
            ("/mnt/OCA/web/web_timeline/models/a.py", Some(Owner::Oca)),
            ("/opt/venv/lib/python3.12/site-packages/odoo/addons/auditlog/models/a.py", Some(Owner::Oca)),
            ("shop/views/v.xml", None),
        ] {
            assert_eq!(Places::default().locate(file, None, None).map(|found| found.owner), Some(owner), "{file}");
        }
        let core = "/opt/venv/lib/python3.12/site-packages/odoo/addons/sale/models/a.py";
        assert!(Places::default().locate(core, None, None).is_none());
        assert_eq!(Places::locate_core(core, 3).unwrap().to_string(), "sale/models/a.py:3");
        assert_eq!((Places::default().owner("sale"), Places::default().owner("shop")), (Owner::Core, Owner::Custom));
    }
}
