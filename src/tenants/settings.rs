//! What a tenant can set.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::db::DbError;
use crate::domain::{Domain, OdooVersion};

/// The most domains that one tenant may have approved.
const MAX_DOMAINS: usize = 50;

/// The settings of a tenant. Every key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Folders of addons: a fix may touch only the first, the others are there to be depended on.
    pub addons: Vec<PathBuf>,
    /// The confidence from which a proven fix may be applied, 0 to 1.
    #[serde(deserialize_with = "rate")]
    pub threshold: f64,
    /// The most US dollars that one run may spend.
    #[serde(deserialize_with = "dollars")]
    pub max_usd_per_job: f64,
    /// The most US dollars that may be spent on one day (UTC), by runs and by what has none.
    #[serde(deserialize_with = "dollars")]
    pub max_usd_per_day: f64,
    /// The series for logs that do not name one.
    pub odoo_version: OdooVersion,
    /// Whether proven fixes are applied at all.
    pub apply: bool,
    /// What the code of its addons may talk to while it is tested: HTTPS and plain HTTP to these hosts. Empty: nothing at all.
    #[serde(deserialize_with = "domains")]
    pub allow_domains: Vec<Domain>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            addons: Vec::new(),
            threshold: 0.90,
            max_usd_per_job: 1.0,
            max_usd_per_day: 20.0,
            odoo_version: default_version(),
            apply: false,
            allow_domains: Vec::new(),
        }
    }
}

#[expect(clippy::expect_used, reason = "a constant, covered by a test")]
fn default_version() -> OdooVersion {
    "19.0".parse().expect("19.0 is a series")
}

impl Settings {
    /// These settings with the keys of `own` in their place.
    pub(super) fn overlaid(&self, own: Value) -> Result<Self, DbError> {
        let unreadable = |error: serde_json::Error| DbError::unreadable("settings of a tenant", error);
        let mut merged = serde_json::to_value(self).map_err(unreadable)?;
        match (merged.as_object_mut(), own) {
            (Some(base), Value::Object(own)) => base.extend(own),
            (_, other) => return Err(DbError::unreadable("settings of a tenant", format!("{other} is no object"))),
        }
        serde_json::from_value(merged).map_err(unreadable)
    }
}

// NaN compares false with everything, and would make a limit that never holds; so both accept only what lies in a range.
fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, 0.0..=1.0, "use a number from 0 to 1")
}

fn dollars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, 0.0..=1e6, "use dollars from 0 to 1000000")
}

fn within<'de, D: Deserializer<'de>>(deserializer: D, range: std::ops::RangeInclusive<f64>, rule: &str) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if range.contains(&value) { Ok(value) } else { Err(serde::de::Error::custom(format!("{value} is not valid: {rule}"))) }
}

fn domains<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Domain>, D::Error> {
    let domains = Vec::<Domain>::deserialize(deserializer)?;
    let count = domains.len();
    if count <= MAX_DOMAINS {
        Ok(domains)
    } else {
        Err(serde::de::Error::custom(format!("{count} domains are too many: use at most {MAX_DOMAINS}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn own_settings_win_over_defaults() {
        let settings = Settings::default().overlaid(json!({"apply": true, "addons": ["/a"]})).unwrap();
        assert_eq!(settings, Settings { apply: true, addons: vec!["/a".into()], ..Settings::default() });
        assert_eq!(settings.odoo_version.as_str(), "19.0");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [json!([]), json!({"threshold": -1}), json!({"threshold": "x"}), json!({"max_usd_per_job": -0.1}), json!({"typo": 1})] {
            assert!(Settings::default().overlaid(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn domain_that_is_none_is_named() {
        let own = |domains: Vec<&str>| Settings::default().overlaid(json!({ "allow_domains": domains }));
        assert_eq!(own(vec![".example.org"]).unwrap().allow_domains, [".example.org".parse().unwrap()]);
        for bad in ["*.example.org", "10.0.0.1", "https://example.org", "Example.org"] {
            let error = own(vec![bad]).unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("api.example.com"), "{error}");
        }
        assert!(own(vec!["a.b"; MAX_DOMAINS]).is_ok());
        assert!(own(vec!["a.b"; MAX_DOMAINS + 1]).unwrap_err().to_string().contains("at most 50"));
    }
}
