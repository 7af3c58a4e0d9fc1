//! Scopes of API keys.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing that an API key may do. No scope includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Send raw events.
    Ingest,
    /// Read events, groups, tickets, runs and knowledge.
    Read,
    /// Submit jobs, sort groups, and say what mended a ticket.
    Run,
    /// Have the fixes of its own jobs written, where the tenant's settings allow that.
    Apply,
    /// Accept a patch in the name of a person, who has seen its grade and its losses.
    Approve,
    /// See the keys of the tenant and revoke them.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: &'static [Self] = &[Self::Ingest, Self::Read, Self::Run, Self::Apply, Self::Approve, Self::Admin];

    /// The name in rows, answers and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Run => "run",
            Self::Apply => "apply",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reason why a text is no scope, or no set of scopes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadScopes {
    /// No scope has this name.
    #[error("{0:?} is no scope: use some of ingest, read, run, apply, approve, admin, with commas between them")]
    Unknown(String),
    /// A key that may do nothing is no key.
    #[error("a key needs at least one scope: use some of ingest, read, run, apply, approve, admin")]
    Empty,
}

impl FromStr for Scope {
    type Err = BadScopes;
    fn from_str(text: &str) -> Result<Self, BadScopes> {
        let known = Self::ALL.iter().copied().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| BadScopes::Unknown(text.chars().take(40).collect()))
    }
}

/// The set of scopes of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// The scopes of a key for which none are named: it sends events, reads and submits jobs, and has nothing written.
    pub fn usual() -> Self {
        [Scope::Ingest, Scope::Read, Scope::Run].into_iter().collect()
    }

    /// Whether the scope is one of them.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// The names, ordered.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Reads names of scopes.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, BadScopes> {
        let scopes: Self = names.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        if scopes.0.is_empty() { Err(BadScopes::Empty) } else { Ok(scopes) }
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(","))
    }
}

impl FromStr for Scopes {
    type Err = BadScopes;
    fn from_str(text: &str) -> Result<Self, BadScopes> {
        Self::parse(text.split(',').map(str::trim).filter(|name| !name.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_survive_their_round_trip() {
        let all: Scopes = Scope::ALL.iter().copied().collect();
        assert_eq!(all.to_string().parse::<Scopes>().unwrap(), all);
        assert_eq!(" run , ingest,run".parse::<Scopes>().unwrap().to_string(), "ingest,run");
    }

    #[test]
    fn what_is_no_scope_is_named() {
        let error = "read,root".parse::<Scopes>().unwrap_err().to_string();
        assert!(error.contains("\"root\"") && Scope::ALL.iter().all(|scope| error.contains(scope.as_str())), "{error}");
        assert_eq!(" , ".parse::<Scopes>(), Err(BadScopes::Empty));
    }

    #[test]
    fn usual_key_has_nothing_written() {
        for scope in [Scope::Apply, Scope::Approve, Scope::Admin] {
            assert!(!Scopes::usual().has(scope), "{scope}");
        }
    }
}
