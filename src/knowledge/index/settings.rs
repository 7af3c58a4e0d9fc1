//! The sources that the operator of the program has named: nobody else decides what a server reads.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use super::Origin;
use crate::domain::{OdooVersion, TenantId};

/// How sources arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// They lie in a folder of this machine.
    Folder,
    /// From git repositories.
    Git,
    /// As packages `odoo-addon-*` from the Python package index.
    Packages,
    /// Out of the sandbox image of their series: Odoo itself.
    Image,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// What sort it is.
    pub doc_type: Origin,
    /// How it arrives.
    pub from: Arrival,
    /// The folder. `{version}` stands for the series.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The repositories.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Their branch. `{version}` stands for the series, and is what is taken where nothing is said.
    #[serde(default)]
    pub branch: Option<String>,
    /// The packages.
    #[serde(default)]
    pub packages: Vec<String>,
    /// The series.
    pub versions: Vec<OdooVersion>,
    /// Whose sources they are, if they are custom.
    #[serde(default)]
    pub tenant: Option<TenantId>,
}

impl SourceSettings {
    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<&'static str> {
        match self.from {
            _ if self.versions.is_empty() => Some("versions names no series"),
            _ if self.doc_type.is_shared() && self.tenant.is_some() => Some("tenant is only for custom sources; others are everybody's"),
            _ if !self.doc_type.is_shared() && self.tenant.is_none() => Some("a custom source needs the tenant whose it is"),
            Arrival::Folder if self.path.is_none() => Some("from = \"folder\" needs a path"),
            Arrival::Git if self.urls.is_empty() => Some("from = \"git\" needs urls"),
            Arrival::Packages if self.packages.is_empty() => Some("from = \"packages\" needs packages"),
            Arrival::Image if self.doc_type != Origin::Core => Some("out of the image come only core sources"),
            _ => None,
        }
    }

    /// Whether this tenant may have it indexed anew: its own, and the operator what is everybody's.
    pub fn may_index(&self, tenant: &TenantId, operator: &TenantId) -> bool {
        match &self.tenant {
            Some(owner) => owner == tenant,
            None => tenant == operator,
        }
    }
}

/// All named sources, who may have them indexed, and where they are kept.
#[derive(Debug, Clone)]
pub struct Sources {
    /// By name.
    pub named: BTreeMap<String, SourceSettings>,
    /// The tenant whose jobs may index what is everybody's.
    pub operator: TenantId,
    /// Below it lies what was fetched.
    pub folder: PathBuf,
}

/// The named sources, where nothing is set: Odoo itself, out of the sandbox image.
pub fn default_sources() -> BTreeMap<String, SourceSettings> {
    let core = SourceSettings {
        doc_type: Origin::Core,
        from: Arrival::Image,
        path: None,
        urls: Vec::new(),
        branch: None,
        packages: Vec::new(),
        versions: "19.0".parse().into_iter().collect(),
        tenant: None,
    };
    BTreeMap::from([("core".to_owned(), core)])
}

/// The sources of the settings, with the defaults where they name no other.
pub fn with_defaults<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, SourceSettings>, D::Error> {
    let mut sources = default_sources();
    sources.extend(BTreeMap::deserialize(deserializer)?);
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> SourceSettings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(default_sources()["core"].fault(), None);
        let faults = [
            ("doc_type = 'oca'\nfrom = 'git'\nversions = ['19.0']", "needs urls"),
            ("doc_type = 'oca'\nfrom = 'folder'\npath = '/x'\nversions = []", "no series"),
            ("doc_type = 'custom'\nfrom = 'folder'\npath = '/x'\nversions = ['19.0']", "needs the tenant"),
            ("doc_type = 'core'\nfrom = 'folder'\npath = '/x'\nversions = ['19.0']\ntenant = 'acme'", "only for custom"),
            ("doc_type = 'oca'\nfrom = 'image'\nversions = ['19.0']", "only core"),
        ];
        for (text, fault) in faults {
            assert!(settings(text).fault().unwrap().contains(fault), "{text}");
        }
        assert!(toml::from_str::<SourceSettings>("doc_type = 'errors'").is_err());
    }

    #[test]
    fn core_is_always_there() {
        let config: crate::knowledge::Config =
            toml::from_str("[sources.mine]\ndoc_type = 'oca'\nfrom = 'git'\nurls = ['https://x.y/z']\nversions = ['18.0']").unwrap();
        assert_eq!(config.sources.keys().collect::<Vec<_>>(), ["core", "mine"]);
        assert!(toml::from_str::<crate::knowledge::Config>("[sources.mine]\nfrom = 'shell'").is_err());
    }

    #[test]
    fn tenants_index_only_what_is_theirs() {
        let (operator, acme, other): (TenantId, TenantId, TenantId) =
            ("default".parse().unwrap(), "acme".parse().unwrap(), "other".parse().unwrap());
        let custom = settings("doc_type = 'custom'\nfrom = 'folder'\npath = '/x'\nversions = ['19.0']\ntenant = 'acme'");
        assert!(custom.may_index(&acme, &operator) && !custom.may_index(&other, &operator) && !custom.may_index(&operator, &operator));
        let core = &default_sources()["core"];
        assert!(core.may_index(&operator, &operator) && !core.may_index(&acme, &operator));
    }
}
