//! The submitter of a run, and whether that is enough for its fix to be written without anybody looking at it.

use uuid::Uuid;

use super::TenantId;

/// Submitter of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitter {
    /// Somebody at the command line of the machine, or the operator's cron table.
    Operator,
    /// Triage, for a group of errors that it made out of events.
    Event,
    /// The holder of an API key.
    Key(Uuid),
    /// Whoever may publish to the queue.
    Queue,
}

impl Submitter {
    /// The name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Event => "event",
            Self::Key(_) => "key",
            Self::Queue => "queue",
        }
    }

    /// The API key, if there is one.
    pub const fn key(self) -> Option<Uuid> {
        match self {
            Self::Key(key) => Some(key),
            Self::Operator | Self::Event | Self::Queue => None,
        }
    }
}

/// State of the API key of a job by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is valid and has the scope `apply`.
    MayApply,
    /// It is valid and lacks the scope `apply`.
    Lacks,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// Who asked for a run, as far as that decides what the run may write. It is looked up when the answer is needed: a key that was revoked since
/// is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// The operator of the machine, who needs no key.
    Operator,
    /// Triage: the tenant's settings alone decide.
    Event,
    /// A key.
    Key(KeyState),
    /// Nobody who is known.
    Unknown,
}

/// Whether a fix may be written without anybody looking at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writing {
    /// It may.
    Allowed,
    /// The operator did not ask for it.
    Unasked,
    /// It may not.
    Refused {
        /// Reason, as the end of a sentence.
        why: String,
        /// Whether the tenant's settings or the job wanted it, so that somebody waits for it.
        is_wanted: bool,
    },
}

impl Authority {
    /// Judges a job of this tenant, whose settings allow writing or not, and whose payload may say `apply`. The operator's word orders it; that
    /// of anybody else can only prevent it.
    pub fn writing(self, tenant: &TenantId, is_allowed: bool, asked: Option<bool>) -> Writing {
        if self == Self::Operator {
            return if asked.unwrap_or(is_allowed) { Writing::Allowed } else { Writing::Unasked };
        }
        let refused = |why: &str, is_wanted: bool| Writing::Refused { why: why.to_owned(), is_wanted };
        if asked == Some(false) {
            return refused("the job says `apply: false`", false);
        }
        if !is_allowed {
            let why = format!("the settings of the tenant do not allow it (`tenants.{tenant}.apply`); approve it if it is right");
            return Writing::Refused { why, is_wanted: asked == Some(true) };
        }
        match self {
            Self::Operator | Self::Event | Self::Key(KeyState::MayApply) => Writing::Allowed,
            Self::Key(KeyState::Lacks) => refused("the API key of the job lacks the scope `apply`; approve it if it is right", true),
            Self::Key(KeyState::Expired) => refused("the API key of the job has expired; approve it if it is right", true),
            Self::Key(KeyState::Revoked) => refused("the API key of the job was revoked; approve it if it is right", true),
            Self::Unknown => {
                refused("the job came straight from the queue, with no API key that has the scope `apply`; approve it if it is right", true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writing(authority: Authority, is_allowed: bool, asked: Option<bool>) -> Writing {
        authority.writing(&"acme".parse().unwrap(), is_allowed, asked)
    }

    #[test]
    fn payload_never_widens() {
        for authority in [Authority::Event, Authority::Key(KeyState::MayApply), Authority::Key(KeyState::Lacks), Authority::Unknown] {
            let Writing::Refused { why, is_wanted } = writing(authority, false, Some(true)) else { panic!("{authority:?} is let write") };
            assert!(why.contains("tenants.acme.apply") && is_wanted, "{why}");
            assert!(matches!(writing(authority, true, Some(false)), Writing::Refused { is_wanted: false, .. }), "{authority:?}");
            assert_eq!(writing(authority, true, Some(true)), writing(authority, true, None), "{authority:?}");
        }
    }

    #[test]
    fn settings_and_scope_are_both_needed() {
        assert_eq!(writing(Authority::Key(KeyState::MayApply), true, None), Writing::Allowed);
        assert_eq!(writing(Authority::Event, true, None), Writing::Allowed);
        for (state, says) in [(KeyState::Lacks, "lacks the scope `apply`"), (KeyState::Expired, "expired"), (KeyState::Revoked, "revoked")]
        {
            let Writing::Refused { why, .. } = writing(Authority::Key(state), true, Some(true)) else { panic!("{state:?} is let write") };
            assert!(why.contains(says), "{why}");
        }
        assert!(matches!(writing(Authority::Unknown, true, Some(true)), Writing::Refused { .. }));
    }

    #[test]
    fn operator_has_the_last_word() {
        assert_eq!(writing(Authority::Operator, false, Some(true)), Writing::Allowed);
        assert_eq!(writing(Authority::Operator, true, Some(false)), Writing::Unasked);
        assert_eq!(writing(Authority::Operator, true, None), Writing::Allowed);
        assert_eq!(writing(Authority::Operator, false, None), Writing::Unasked);
    }
}
