//! The file of labelled cases, from which the confidence in a rule starts: each bench writes the rows of its own set of cases.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::Failure;

/// A patch that was called fixed, held against the label of its case.
pub(super) struct Fixed<'f> {
    /// Source of the patch, such as `rule:a+b?`.
    pub(super) source: &'f str,
    /// Whether a maintainer would take it.
    pub(super) is_right: bool,
}

/// Lines above the rows.
const HEAD: &str = "# Labelled cases of each rule: how many distinct ones its fix was tried on, and how many of those it was right on.
# Written by `make bench-traps` (the set traps) and `make bench-errors` (the set probes). A rule that is not listed was tried on none.
set,rule,right,tried
";

/// Writes the rows of one set into the file and leaves those of the others.
pub(super) fn write(file: &Path, set: &str, fixed: &[Fixed<'_>]) -> Result<(), Failure> {
    let bad = |error: std::io::Error| Failure::bad_input(format!("the file {} cannot be read or written: {error}", file.display()));
    let before = if file.exists() { std::fs::read_to_string(file).map_err(bad)? } else { String::new() };
    std::fs::write(file, merged(&before, set, fixed)).map_err(bad)
}

/// Returns the rows of the other sets with those of this one. A patch of several rules counts for each.
fn merged(before: &str, set: &str, fixed: &[Fixed<'_>]) -> String {
    let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for one in fixed {
        let names = one.source.strip_prefix("rule:").unwrap_or_default().split('+').map(|name| name.trim_end_matches('?'));
        for name in names.filter(|name| !name.is_empty()) {
            let count = counts.entry(name).or_default();
            count.0 += u32::from(one.is_right);
            count.1 += 1;
        }
    }
    let is_row = |line: &&str| !line.is_empty() && !line.starts_with('#') && !line.starts_with("set,");
    let others = before.lines().filter(is_row).filter(|line| line.split(',').next() != Some(set)).map(str::to_owned);
    let own = counts.into_iter().map(|(rule, (right, tried))| format!("{set},{rule},{right},{tried}"));
    let mut rows: Vec<String> = others.chain(own).collect();
    rows.sort();
    std::iter::once(HEAD.to_owned()).chain(rows.into_iter().map(|row| row + "\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_other_sets_stay() {
        let fixed = [
            Fixed { source: "rule:a+dangling?", is_right: false },
            Fixed { source: "rule:a", is_right: true },
            Fixed { source: "claude", is_right: true },
        ];
        let before = format!("{HEAD}probes,a,3,3\ntraps,old,1,1\n");
        assert_eq!(merged(&before, "traps", &fixed), format!("{HEAD}probes,a,3,3\ntraps,a,1,2\ntraps,dangling,0,1\n"));
        assert_eq!(merged("", "probes", &[]), HEAD);
    }
}
