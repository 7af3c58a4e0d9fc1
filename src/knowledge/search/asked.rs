//! What a text asks for, read off the text alone.

use crate::domain::{ErrorClass, ErrorReport};
use crate::odoo;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    /// The error that the text is a log of; `None` for words.
    pub(super) report: Option<ErrorReport>,
    /// Of words: how likely they say what a whole addon does, from 0 to 1.
    pub(super) addon: f32,
}

impl Asked {
    pub(super) fn read(text: &str) -> Self {
        let report = odoo::reports(text).into_iter().next().filter(|report| is_error(report, text));
        Self { report, addon: addon(text) }
    }
}

/// Any text has a report if it is long enough; only what has an exception or a known class is an error.
fn is_error(report: &ErrorReport, text: &str) -> bool {
    !report.chain.is_empty() || report.class != ErrorClass::Other || text.contains("RPC_ERROR") || text.contains("Odoo Server Error")
}

/// Signs of a description of an addon, and of a description of a method or field.
fn addon(text: &str) -> f32 {
    let lower = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let mut sum = -0.6_f32;
    let words = text.split_whitespace().count();
    if words > 40 {
        sum += 0.8;
    }
    if words > 90 {
        sum += 0.8;
    }
    if has(&[
        "this module",
        "this addon",
        "the module",
        "este módulo",
        "module allows",
        "module adds",
        "module extends",
        "module provides",
        "module for",
    ]) {
        sum += 2.0;
    }
    if has(&[" module", "addon", "integrat", "install", "odoo", "allows you", "allows to", "connector", "localization", "app "]) {
        sum += 0.6;
    }
    if has(&[
        ":param",
        ":return",
        ":rtype",
        "self.",
        "()",
        "_id",
        "this method",
        "this field",
        "this function",
        "if checked",
        "if true",
        "override",
        "hook",
    ]) {
        sum -= 2.0;
    }
    let first = lower.split_whitespace().next().unwrap_or_default();
    let verbs = [
        "return", "returns", "compute", "computes", "get", "gets", "check", "checks", "create", "set", "update", "prepare", "build",
        "find", "called", "when", "if",
    ];
    if verbs.contains(&first.trim_matches(|c: char| !c.is_alphanumeric())) {
        sum -= 0.8;
    }
    1.0 / (1.0 + (-sum).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_words_are_told_apart() {
        assert!(Asked::read("Traceback (most recent call last):\nKeyError: 'zzz.x'").report.is_some());
        assert!(Asked::read("Return the pickup locations close to a given zip code.").report.is_none());
        assert!(Asked::read("").report.is_none());
    }

    #[test]
    fn addons_and_methods_are_told_apart() {
        let module = addon("This module allows you to print the delivery slip automatically when a transfer is done.");
        let method = addon("Return the pickup locations of the delivery method close to a given zip code.");
        assert!(module > 0.5 && method < 0.5, "{module} {method}");
    }
}
