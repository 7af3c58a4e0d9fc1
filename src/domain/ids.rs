//! Identifiers, each parsed once at the door and never checked again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An identifier from outside that does not have the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not valid: {rule}")]
pub struct InvalidId {
    what: &'static str,
    value: String,
    rule: &'static str,
}

impl InvalidId {
    fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        // A hostile name must not flood a log line.
        Self { what, value: value.chars().take(80).collect(), rule }
    }
}

impl InvalidId {
    pub(super) fn of_state(value: &str) -> Self {
        Self::new("run state", value, "use queued, running, done or failed")
    }
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_owned())) } else { Err(InvalidId::new($what, text, $rule)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn token(text: &str, max: usize, extra: fn(char) -> bool) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || extra(c))
}

string_id!(
    /// A customer. It is a token of a NATS subject, so it holds no dot, star or space.
    TenantId, "tenant", "use 1 to 40 lower-case letters, digits, '-' or '_'",
    |text| token(text, 40, |c| c == '-' || c == '_') && !text.chars().any(|c| c.is_ascii_uppercase())
);
string_id!(
    /// The technical name of an Odoo addon: the name of its folder.
    ModuleName, "module", "use 1 to 100 letters, digits or '_'",
    |text| token(text, 100, |c| c == '_')
);
string_id!(
    /// A series of Odoo, such as `19.0`.
    OdooVersion, "Odoo version", "use a series such as 19.0",
    |text| text.split_once('.').is_some_and(|(major, minor)| {
        (1..=2).contains(&major.len()) && minor.len() == 1 && (major.to_owned() + minor).bytes().all(|b| b.is_ascii_digit())
    })
);
string_id!(
    /// What makes two errors the same error: 32 hexadecimal digits, made by `odoo::fingerprint`.
    Fingerprint, "fingerprint", "use 32 hexadecimal digits",
    |text| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
);

impl OdooVersion {
    /// The major number: 19 for `19.0`.
    pub fn major(&self) -> u8 {
        self.0.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier that sorts by the time it was made.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(text).map(Self).map_err(|_| InvalidId::new(stringify!($name), text, "use a UUID"))
            }
        }
    };
}

uuid_id!(
    /// One run of one job; also the `id` of its CloudEvent and its `Nats-Msg-Id`.
    RunId
);
uuid_id!(
    /// One raw event that a door accepted.
    EventId
);
uuid_id!(
    /// A group of events that are the same error.
    GroupId
);

impl RunId {
    /// The run of a group's `opening`-th opening: the same for every delivery of the event that opened it.
    pub fn of_group(group: GroupId, opening: i32) -> Self {
        Self(Uuid::new_v5(&group.0, format!("debug_error/{opening}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_cannot_be_a_subject_wildcard() {
        for bad in ["", "a.b", "*", ">", "A", "a b", "-a", "x\n", &"a".repeat(41)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?}");
        }
        assert!("acme-1_x".parse::<TenantId>().is_ok());
    }

    #[test]
    fn module_cannot_leave_its_folder() {
        for bad in ["..", "a/b", "", "a-b", "/etc"] {
            assert!(bad.parse::<ModuleName>().is_err(), "{bad:?}");
        }
        assert!("l10n_es".parse::<ModuleName>().is_ok());
    }

    #[test]
    fn version_is_a_series() {
        assert_eq!("19.0".parse::<OdooVersion>().unwrap().major(), 19);
        for bad in ["19", "19.0.1", "x.0", "019.0"] {
            assert!(bad.parse::<OdooVersion>().is_err(), "{bad:?}");
        }
    }
}
