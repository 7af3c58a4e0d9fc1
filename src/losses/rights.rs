//! Access rights that a patch adds: nobody but their author knows who should have them.

use std::collections::BTreeSet;

use super::compare::loss;
use super::facts::{Facts, Kind};
use crate::domain::{Loss, LossKind, Patch};

/// The rights, groups and rules that were not there.
pub(super) fn added(patch: &Patch, before: &Facts, after: &Facts) -> Vec<Loss> {
    let rights = |facts: &Facts| -> BTreeSet<String> {
        let records = facts.facts.iter().filter(|fact| fact.kind == Kind::Record && fact.loss == LossKind::Right);
        records.map(|fact| fact.key.clone()).collect()
    };
    let known = rights(before);
    // A row with another id is the same row, and is compared as such.
    let gone = known.difference(&rights(after)).count();
    let new = after.facts.iter().filter(|fact| fact.kind == Kind::Record && fact.loss == LossKind::Right && !known.contains(&fact.key));
    new.skip(gone)
        .map(|fact| {
            let text = patch.changes().iter().find(|change| change.path.as_str() == fact.path);
            let line =
                text.and_then(|change| change.before.as_deref().map(|before| super::added::line_before(before, &change.after, fact.line)));
            loss(LossKind::Right, &fact.path, line.unwrap_or(1), format!("{} is made up: it was not there before", fact.subject))
        })
        .collect()
}
