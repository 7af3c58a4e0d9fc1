//! Reading `__manifest__.py`, and changing one list of it without touching the rest.

mod edit;
mod syntax;

use std::collections::BTreeMap;
use std::ops::Range;

pub use edit::{insert_item, remove_item};
use syntax::{Dict, Value};

/// Bytes of a manifest that are read; real ones are a few kilobytes.
const SIZE_MAX: usize = 1024 * 1024;

/// A manifest that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Larger than a manifest ever is.
    #[error("the manifest has {0} bytes: more than a manifest may have")]
    TooLarge(usize),
    /// Python that does not parse.
    #[error("line {line} of the manifest is not valid Python: correct it first")]
    Syntax {
        /// Counted from 1.
        line: usize,
    },
    /// No dict literal.
    #[error("the manifest holds no dict: write one as `{{'name': …}}`")]
    NoDict,
}

/// What a manifest says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Its title; empty if it has none.
    pub name: String,
    /// Its version, as written.
    pub version: Option<String>,
    /// Addons that it needs.
    pub depends: Vec<String>,
    /// Data files, in the order in which they are loaded.
    pub data: Vec<String>,
    /// Files of demo data.
    pub demo: Vec<String>,
    /// Function to call before the installation.
    pub pre_init_hook: Option<String>,
    /// Function to call after the installation.
    pub post_init_hook: Option<String>,
    /// Function to call when it is uninstalled.
    pub uninstall_hook: Option<String>,
    /// Whether it can be installed; Odoo takes it that it can.
    pub installable: bool,
    /// Whether it is installed as soon as its dependencies are.
    pub auto_install: bool,
    /// What it needs from outside: `python` and `bin`, each with its names.
    pub external_dependencies: BTreeMap<String, Vec<String>>,
    /// Where the value of each key stands in the source, in bytes. For a list: from its bracket to its bracket.
    pub spans: BTreeMap<String, Range<usize>>,
}

impl Manifest {
    /// Reads the dict literal of a manifest. Values that are no literals are left out.
    pub fn parse(source: &str) -> Result<Self, ManifestError> {
        let dict = Dict::parse(source)?;
        let text = |key| dict.get(key).and_then(Value::text);
        let list = |key| dict.get(key).map(Value::texts).unwrap_or_default();
        let flag = |key, otherwise| dict.get(key).map_or(otherwise, |value| value.truth(otherwise));
        Ok(Self {
            name: text("name").unwrap_or_default(),
            version: text("version"),
            depends: list("depends"),
            data: list("data"),
            demo: list("demo"),
            pre_init_hook: text("pre_init_hook"),
            post_init_hook: text("post_init_hook"),
            uninstall_hook: text("uninstall_hook"),
            installable: flag("installable", true),
            auto_install: flag("auto_install", false),
            external_dependencies: dict.get("external_dependencies").map(Value::lists).unwrap_or_default(),
            spans: dict.spans(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_is_read() {
        let source = r#"# Copyright
# a comment
{
    "name": 'Shop \'s', # here
    'version': "19.0.1.0.0",
    "depends": ["base", 'mail',],
    "data": (
        # security first
        "security/ir.model.access.csv",
        "views/" "shop.xml",
    ),
    "external_dependencies": {"python": ["stdnum"], "bin": []},
    "post_init_hook": "hook",
    "installable": False,
    "price": 1 + 2,
}
"#;
        let manifest = Manifest::parse(source).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.as_deref()), ("Shop 's", Some("19.0.1.0.0")));
        assert_eq!(manifest.depends, ["base", "mail"]);
        assert_eq!(manifest.data, ["security/ir.model.access.csv", "views/shop.xml"]);
        assert_eq!(manifest.external_dependencies["python"], ["stdnum"]);
        assert_eq!((manifest.post_init_hook.as_deref(), manifest.installable), (Some("hook"), false));
        assert_eq!(&source[manifest.spans["depends"].clone()], r#"["base", 'mail',]"#);
    }

    #[test]
    fn installable_unless_said_otherwise() {
        assert!(Manifest::parse("{}").unwrap().installable);
    }

    #[test]
    fn broken_manifests_are_refused() {
        assert_eq!(Manifest::parse("{\n'name': 'a'\n'data': [}"), Err(ManifestError::Syntax { line: 3 }));
        assert_eq!(Manifest::parse("# nothing"), Err(ManifestError::NoDict));
        assert_eq!(Manifest::parse("[1]"), Err(ManifestError::NoDict));
        assert_eq!(Manifest::parse(&"#".repeat(SIZE_MAX + 1)), Err(ManifestError::TooLarge(SIZE_MAX + 1)));
    }
}
