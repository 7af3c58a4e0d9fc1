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
string_id!(
    /// What was running when an error occurred, in its owner's own words: a version, a tag, a commit, a date.
    Release, "release", "use 1 to 64 letters, digits or one of . _ - + @ / :",
    |text| token(text, 64, |c| matches!(c, '.' | '_' | '-' | '+' | '@' | '/' | ':'))
);
string_id!(
    /// The name of a host: two or more labels, lower case.
    HostName, "host name", "use a name such as api.example.com: lower case, no address, port, path or wildcard",
    host_name
);
string_id!(
    /// A host that code under test may talk to, or with a dot in front, such as `.example.org`, that host and every one below it.
    Domain, "domain", "use a name such as api.example.com, or .example.org for it and all below it: lower case, no address, port, path or wildcard",
    |text| host_name(text.strip_prefix('.').unwrap_or(text))
);

/// Never an address, in whatever way it is written: the last label of a name is no number.
fn host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or(text);
    text.len() <= 253 && text.contains('.') && text.split('.').all(label) && last.starts_with(|c: char| c.is_ascii_lowercase())
}

impl Domain {
    /// The host, and whether those below it are meant too.
    pub fn parts(&self) -> (&str, bool) {
        self.0.strip_prefix('.').map_or((&self.0, false), |name| (name, true))
    }
}

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
uuid_id!(
    /// A ticket.
    TicketId
);

impl EventId {
    /// The event of one part of a request that its sender can name: the same whenever the request is sent again.
    pub fn of_request(request: Uuid, part: usize) -> Self {
        Self(Uuid::new_v5(&request, format!("part/{part}").as_bytes()))
    }
}

impl RunId {
    /// The run that does again what this one failed to do, for a dead letter: the same for every replay of that letter.
    pub fn replay(self, letter: u64, at: chrono::DateTime<chrono::Utc>) -> Self {
        Self(Uuid::new_v5(&self.0, format!("replay/{letter}/{}", at.timestamp_micros()).as_bytes()))
    }

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
    fn domain_is_a_name_and_nothing_more() {
        for good in ["api.example.com", "a.b", ".example.org", "_x.1-2.xn--p1ai", "1.2.3.4.example.com"] {
            assert!(good.parse::<Domain>().is_ok(), "{good:?}");
        }
        assert_eq!(".example.org".parse::<Domain>().unwrap().parts(), ("example.org", true));
        assert_eq!("example.org".parse::<Domain>().unwrap().parts(), ("example.org", false));
        let addresses = ["10.0.0.1", "127.1", "0x7f.0x1", "2130706433", "10.0.0.0x1", "[::1]", "::1", "1.2.3.4."];
        let names =
            ["", ".", "..", "..a.b", "localhost", ".com", "*.example.com", "a..b", "a.b.", "A.b", "a b.c", "a.b:443", "a.b/c", "u@a.b"];
        let tricks = ["a.b\n", "a.b|c.d", "a.b$", "(a).b", "a.b#", "\u{e9}.fr", "-a.b", "a-.b", "http://a.b", "a.b\0"];
        let long = [format!("{}.b", "a".repeat(64)), format!("{}b.c", "a.".repeat(126))];
        for bad in addresses.iter().chain(&names).chain(&tricks).copied().chain(long.iter().map(String::as_str)) {
            assert!(bad.parse::<Domain>().is_err(), "{bad:?}");
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
        assert!(".example.org".parse::<HostName>().is_err());
    }

    #[test]
    fn version_is_a_series() {
        assert_eq!("19.0".parse::<OdooVersion>().unwrap().major(), 19);
        for bad in ["19", "19.0.1", "x.0", "019.0"] {
            assert!(bad.parse::<OdooVersion>().is_err(), "{bad:?}");
        }
    }
}
