//! Regular expressions as constants: compiled on first use, never a panic.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use regex::{Captures, Regex};

/// A regular expression that is compiled on first use. One that does not compile matches nothing (and fails a debug build).
pub(super) struct Pattern {
    text: &'static str,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(super) const fn new(text: &'static str) -> Self {
        Self { text, regex: OnceLock::new() }
    }

    fn get(&self) -> Option<&Regex> {
        let regex = self.regex.get_or_init(|| Regex::new(self.text).ok());
        debug_assert!(regex.is_some(), "does not compile: {}", self.text);
        regex.as_ref()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.get().is_some_and(|regex| regex.is_match(text))
    }

    pub(super) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        // Most texts do not match, and to find that out needs no room for groups.
        self.get().filter(|regex| regex.is_match(text))?.captures(text)
    }

    /// The first `N` groups of the first match; a group that took no part is empty.
    pub(super) fn groups<'t, const N: usize>(&self, text: &'t str) -> Option<[&'t str; N]> {
        let found = self.captures(text)?;
        Some(std::array::from_fn(|n| found.get(n + 1).map_or("", |part| part.as_str())))
    }

    /// The first group of the first match.
    pub(super) fn first<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.groups::<1>(text).map(|[first]| first)
    }

    /// The first two groups of the last match.
    pub(super) fn last_groups<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        let found = self.get()?.captures_iter(text).last()?;
        let part = |n| found.get(n).map_or("", |part| part.as_str());
        Some((part(1), part(2)))
    }

    /// The first group of every match.
    pub(super) fn all<'t>(&'t self, text: &'t str) -> impl Iterator<Item = &'t str> {
        self.get().into_iter().flat_map(move |regex| regex.captures_iter(text)).filter_map(|found| found.get(1)).map(|part| part.as_str())
    }

    pub(super) fn replace_all<'t>(&self, text: &'t str, by: &str) -> Cow<'t, str> {
        self.get().map_or(Cow::Borrowed(text), |regex| regex.replace_all(text, by))
    }

    pub(super) fn replace_with<'t>(&self, text: &'t str, by: impl Fn(&Captures<'_>) -> String) -> Cow<'t, str> {
        self.get().map_or(Cow::Borrowed(text), |regex| regex.replace_all(text, by))
    }

    /// Where group `group` of every match stands; matches in which it took no part are left out.
    pub(super) fn ranges<'t>(&'t self, text: &'t str, group: usize) -> impl Iterator<Item = Range<usize>> + 't {
        let found = self.get().into_iter().flat_map(move |regex| regex.captures_iter(text));
        found.filter_map(move |found| found.get(group)).map(|part| part.range())
    }
}
