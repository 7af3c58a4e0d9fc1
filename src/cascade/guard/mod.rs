//! What no patch may do by itself, whoever made it: leave the addon, weaken what it is judged by, widen who may do what.
//!
//! A proof says that an error is gone; it cannot say that the price was right. A patch that leaves the addon or is no text is never run.
//! One that touches rights, rules or tests is run and graded as every other, and goes to a person as a proposal with the reason. These
//! checks read text, so they can be too strict and cannot be complete; what they let pass still needs its proof. They never look at how
//! well a patch is argued for.

mod code;
mod manifest;
mod place;
mod python;
mod rights;
mod suite;

use std::time::Duration;

pub(super) use place::is_test;
use regex::Regex;
use similar::{DiffOp, TextDiff};

use crate::domain::{Patch, Source};
use crate::odoo::Addon;

/// How long two texts may be compared; later the comparison is coarser, and so stricter.
const MAX_COMPARING: Duration = Duration::from_secs(1);
/// The most reasons that are given.
const MAX_REASONS: usize = 20;

/// Why a patch of `addon` must not even be run, one sentence each: it would change what is no part of the addon, or no text.
pub fn forbidden(addon: &Addon, patch: &Patch) -> Vec<String> {
    patch.changes().iter().filter_map(|change| place::forbidden(addon, change)).take(MAX_REASONS).collect()
}

/// Why a patch of `addon` must not be applied by a machine, one sentence each; nothing if it may. `author` is who made it first: a rule
/// may rename within a test, nobody else may touch one.
pub fn refusals(addon: &Addon, patch: &Patch, author: &Source) -> Vec<String> {
    let of_rule = matches!(author, Source::Rule(_));
    let mut refused = Vec::new();
    for change in patch.changes() {
        refused.extend(place::forbidden(addon, change));
        if place::is_test(&change.path) && !of_rule {
            refused.push(format!("{} is a test: a fix must not change what it is judged by", change.path));
        }
        refused.extend(code::refusals(change));
        if change.path.within_module() == "__manifest__.py" {
            refused.extend(manifest::refusals(addon, change));
        }
        if place::is_test(&change.path) {
            refused.extend(suite::refusals(addon, change));
        }
        refused.extend(rights::refusals(addon, patch, change));
    }
    refused.dedup();
    refused.truncate(MAX_REASONS);
    refused
}

/// A pattern that stands in this source.
#[expect(clippy::expect_used, reason = "a constant pattern that every test of this room compiles")]
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("constant pattern")
}

/// What each hunk takes away and what it adds. A line that moves is taken away by one hunk and added by another.
fn hunks(before: &str, after: &str) -> Vec<(String, String)> {
    let diff = TextDiff::configure().timeout(MAX_COMPARING).diff_lines(before, after);
    let changed = diff.ops().iter().filter(|op| !matches!(op, DiffOp::Equal { .. }));
    let texts = changed.map(|op| {
        let old: String = op.old_range().filter_map(|line| diff.old_slice(line)).collect();
        let new: String = op.new_range().filter_map(|line| diff.new_slice(line)).collect();
        (old, new)
    });
    texts.collect()
}

#[cfg(test)]
mod tests;
