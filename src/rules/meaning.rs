//! What a new name means for what used the old one: the word of each row in the tables of changes, with what shows it.

use std::fmt;

use serde::Deserialize;

/// How the new thing stands to the old one. Only where it is the same may a name be replaced by a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Meaning {
    /// The same thing under another name: same type, same number of values, same records.
    Same,
    /// It holds more than the old one.
    Wider,
    /// It holds less than the old one.
    Narrower,
    /// What was one thing is several.
    Split,
    /// What were several things is one.
    Merged,
    /// It stands elsewhere, so that it is reached in another way.
    Moved,
    /// It says the opposite.
    Inverted,
    /// Something else that comes nearest: other values, another type or another purpose.
    Replaced,
    /// Nothing took its place.
    Gone,
}

impl Meaning {
    /// Why a name may not simply be replaced; `None` if it may.
    pub(super) fn doubt(self, old: &str, new: &str, evidence: &str) -> Option<String> {
        let what = match self {
            Self::Same => return None,
            Self::Wider => format!("{new} holds more than {old} did"),
            Self::Narrower => format!("{new} holds less than {old} did"),
            Self::Split => format!("what {old} was is several things now, of which {new} is one"),
            Self::Merged => format!("{old} was merged into {new}, which has contents of its own"),
            Self::Moved => format!("{new} stands elsewhere than {old} did"),
            Self::Inverted => format!("{new} says the opposite of what {old} said"),
            Self::Replaced => format!("{new} is something else that comes nearest to {old}"),
            Self::Gone => format!("{old} is gone, and what was said with it is lost"),
        };
        Some(format!("{what} ({evidence})."))
    }
}

/// What is said of rows about a version that no rule was run against.
pub(super) fn only_read(major: u8) -> String {
    format!("What changed in Odoo {major} was read, not run.")
}

/// What is said where Odoo's own sources are not at hand.
pub(super) const UNKNOWN_SOURCES: &str = "Odoo's own sources are not known here, so that the new name could not be looked up.";

/// Several doubts in one text; `None` if there are none.
pub(super) fn joined(doubts: impl IntoIterator<Item = impl fmt::Display>) -> Option<String> {
    let mut all: Vec<String> = Vec::new();
    for doubt in doubts {
        let doubt = doubt.to_string();
        if !all.contains(&doubt) {
            all.push(doubt);
        }
    }
    (!all.is_empty()).then(|| all.join(" "))
}

/// Whether what shows a row names its source and says a fact in a few words.
#[cfg(test)]
pub(super) fn is_well_formed(evidence: &str) -> bool {
    let source = evidence.split_once(": ").filter(|(_, fact)| fact.len() > 3).map(|(source, _)| source);
    let is_named = |source: &str| {
        source.contains('/')
            || ["openupgrade", "odoo-module-migrator", "sources"].iter().any(|name| source.starts_with(name))
            || source.ends_with(".rng")
    };
    source.is_some_and(is_named) && evidence.len() <= 130 && evidence == evidence.trim() && !evidence.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_raises_no_doubt() {
        let all = ["same", "wider", "narrower", "split", "merged", "moved", "inverted", "replaced", "gone"];
        for word in all {
            let mut reader = csv::Reader::from_reader(format!("m\n{word}\n").into_bytes().leak() as &[u8]);
            let meaning: Meaning = reader.deserialize::<(Meaning,)>().next().unwrap().unwrap().0;
            assert_eq!(meaning.doubt("a", "b", "seen").is_none(), word == "same", "{word}");
        }
        let mut unknown = csv::Reader::from_reader("m\nother\n".as_bytes());
        assert!(unknown.deserialize::<(Meaning,)>().next().unwrap().is_err());
    }

    #[test]
    fn doubts_are_said_once() {
        assert_eq!(joined(["a.", "b.", "a."]).as_deref(), Some("a. b."));
        assert_eq!(joined(Vec::<String>::new()), None);
    }
}
