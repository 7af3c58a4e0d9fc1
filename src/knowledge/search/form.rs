//! The form of what words describe: what a function does is told in other words than what a field is for.

use std::collections::HashSet;

use uuid::Uuid;

use super::found::Candidate;

/// What the head of a class, where fields are, counts to words that describe a function, and to others.
const OF_A_FUNCTION: f32 = 0.95;
const OF_A_FIELD: f32 = 1.05;

/// What descriptions of functions start with.
#[rustfmt::skip]
const STARTS: &[&str] = &[
    "add", "adds", "apply", "build", "builds", "call", "called", "check", "checks", "compute", "computes", "convert", "create", "creates",
    "delete", "determine", "ensure", "extract", "fetch", "filter", "find", "finds", "format", "generate", "generates", "get", "gets",
    "handle", "helper", "load", "make", "makes", "parse", "prepare", "prepares", "process", "remove", "retrieve", "retrieves", "return",
    "returns", "search", "send", "set", "sets", "update", "updates",
];
/// Words that stand in them.
const SIGNS: &[&str] = &["called", "function", "hook", "method", "override", "param", "return", "returns", "self"];

/// Weighs code by whether the words have its form. Little, for it decides only between those that fit about as well.
pub(super) fn of_code(text: &str, mut found: Vec<Candidate>, classes: &HashSet<Uuid>) -> Vec<Candidate> {
    let counts = if is_of_a_function(text) { OF_A_FUNCTION } else { OF_A_FIELD };
    for candidate in found.iter_mut().filter(|candidate| classes.contains(&candidate.id)) {
        candidate.score *= counts;
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    found
}

fn is_of_a_function(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).peekable();
    words.peek().is_some_and(|first| STARTS.binary_search(first).is_ok()) || words.any(|word| SIGNS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_and_fields_are_told_apart() {
        assert!(STARTS.is_sorted());
        let functions = ["Return the pickup points near a zip code.", "Called by the cron.", "This method is meant to be extended."];
        assert!(functions.into_iter().all(is_of_a_function));
        let fields = ["If ticked, the order is locked.", "The partner who delivers.", "", "\0🦀", "returned goods are kept here"];
        assert!(!fields.into_iter().any(is_of_a_function));
    }
}
