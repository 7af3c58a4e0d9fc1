//! What the names of addons are short for: descriptions say `employees` and `Spanish` where names say `hr` and `l10n_es`.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Abbreviation and what it is short for, one pair a line.
const TABLE: &str = include_str!("abbreviations.csv");

static LONG: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines.filter_map(|line| line.split_once(',')).collect()
});

/// What the parts of an addon's name are short for.
pub(super) fn in_full(name: &str) -> String {
    let mut long = Vec::new();
    let mut rest = name;
    if let Some(place) = name.strip_prefix("l10n_") {
        let code = place.split('_').next().unwrap_or_default();
        let country = &name[..name.len() - place.len() + code.len()];
        long.extend(["l10n", country]);
        // `l10n_hr` is Croatia, not the employees.
        rest = place.strip_prefix(code).unwrap_or_default();
    }
    long.extend(rest.split('_'));
    long.into_iter().filter_map(|part| LONG.get(part).copied()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_are_written_out() {
        assert_eq!(in_full("hr_holidays"), "human resources employees");
        assert_eq!(in_full("l10n_es_pos"), "localization Spain Spanish point of sale");
        assert_eq!(in_full("l10n_hr"), "localization Croatia");
        assert_eq!(["", "sale", "_", "l10n_", "é_ü"].map(in_full), ["", "", "", "localization", ""]);
    }

    #[test]
    fn table_says_each_once() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).skip(1);
        assert!(lines.clone().all(|line| line.split_once(',').is_some_and(|(short, long)| !short.is_empty() && !long.trim().is_empty())));
        assert_eq!(lines.count(), LONG.len());
    }
}
