//! The series of Odoo that images can be made for. What differs between them stands in `sandbox/series.json`, and nowhere else.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::SandboxError;
use crate::domain::OdooVersion;

/// What this side needs of a row; the rest is for `sandbox/run/series.py`.
#[derive(Deserialize)]
struct Series {
    image: String,
}

static TABLE: LazyLock<BTreeMap<String, Series>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../sandbox/series.json")).unwrap_or_default());

/// Odoo's official image of a series.
pub(super) fn official(version: &OdooVersion) -> Result<&'static str, SandboxError> {
    let known = || TABLE.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let row = TABLE.get(version.as_str());
    row.map(|row| row.image.as_str())
        .ok_or_else(|| SandboxError::ImageBuild(format!("Odoo {version} is not among the series that are known: {}", known())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_series_has_its_row() {
        assert_eq!(TABLE.keys().collect::<Vec<_>>(), ["16.0", "17.0", "18.0", "19.0", "20.0"]);
        assert_eq!(official(&"18.0".parse().unwrap()).unwrap(), "odoo:18.0");
    }

    #[test]
    fn unknown_series_is_named() {
        let error = official(&"9.0".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("9.0") && error.contains("16.0"), "{error}");
    }
}
