//! Labels of cases: patterns of the diff of a right fix.

use std::collections::BTreeMap;
use std::path::Path;

use fancy_regex::Regex;

use super::Tried;
use crate::domain::Failure;

/// The labels of the cases that have one.
#[derive(Debug, Default)]
pub(super) struct Labels(BTreeMap<String, Vec<Regex>>);

/// Reads `right_fixes.json` of a folder of fixtures; a folder without that file has no labels.
pub(super) fn read(fixtures: &Path) -> Result<Labels, Failure> {
    let file = fixtures.join("right_fixes.json");
    if !file.exists() {
        return Ok(Labels::default());
    }
    let bad = |why: String| Failure::bad_input(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|error| bad(error.to_string()))?;
    let texts: BTreeMap<String, Vec<String>> = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let pattern = |text: &String| Regex::new(&format!("(?m){text}")).map_err(|error| bad(format!("{text:?}: {error}")));
    let of_case = |(name, texts): (String, Vec<String>)| Ok((name, texts.iter().map(pattern).collect::<Result<_, Failure>>()?));
    texts.into_iter().map(of_case).collect::<Result<_, Failure>>().map(Labels)
}

impl Labels {
    /// Whether what was called fixed is right; `None` for a case without a label, and for one that was not called fixed.
    pub(super) fn is_right(&self, case: &Tried) -> Option<bool> {
        let patterns = self.0.get(&case.name).filter(|_| case.is_fixed())?;
        let diff = case.patch();
        Some(patterns.iter().all(|pattern| pattern.is_match(diff).unwrap_or(false)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_called_fixed_and_has_a_label_is_judged() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("right_fixes.json"), r#"{"a": ["^\\+b$"]}"#).unwrap();
        let labels = read(folder.path()).unwrap();
        let case = |name: &str, outcome: &str, patch: &str| {
            let result = Some(json!({ "outcome": outcome, "patch": patch }));
            labels.is_right(&Tried { name: name.to_owned(), result, seconds: 1.0 })
        };
        assert_eq!(case("a", "fixed", "-a\n+b\n"), Some(true));
        assert_eq!(case("a", "fixed", "-a\n+c\n"), Some(false));
        assert_eq!((case("a", "proposed", "+b\n"), case("b", "fixed", "+b\n")), (None, None));
        std::fs::write(folder.path().join("right_fixes.json"), r#"{"a": ["("]}"#).unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("right_fixes.json"));
    }
}
