//! Why something could not be found out, and whether trying again can help. Decided here, matched once in `worker::attempt`.

use std::time::Duration;

use super::JobKind;

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// What was asked for is wrong. Trying again cannot help.
    BadInput,
    /// Something outside is away or busy; it may say when it will be back.
    Unavailable {
        /// How long to wait at least, if the other side said so.
        retry_after: Option<Duration>,
    },
    /// The job's own time was used up.
    Deadline,
    /// The tenant's or the job's limit of tokens or money is reached.
    Budget,
    /// Another attempt has taken over; whatever this one found is void.
    Fenced,
    /// The program is stopping; the attempt is handed back and does not count.
    Draining,
    /// A fault of ours: a panic, a broken invariant.
    Bug,
}

/// An outside system that jobs cannot do without. While it is away they wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prerequisite {
    /// The container engine.
    Docker,
    /// PostgreSQL.
    Database,
    /// NATS.
    Nats,
    /// The Messages API.
    Claude,
}

impl Prerequisite {
    /// The name in rows and steps.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Database => "database",
            Self::Nats => "nats",
            Self::Claude => "claude",
        }
    }
}

impl std::str::FromStr for Prerequisite {
    type Err = UnknownPrerequisite;
    fn from_str(text: &str) -> Result<Self, UnknownPrerequisite> {
        [Self::Docker, Self::Database, Self::Nats, Self::Claude]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| UnknownPrerequisite(text.chars().take(80).collect()))
    }
}

/// A prerequisite that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("there is no prerequisite {0:?}; there are: docker, database, nats, claude")]
pub struct UnknownPrerequisite(String);

/// A failure with its cause.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct Failure {
    /// What kind it is.
    pub kind: FailureKind,
    /// What is away, where the failure is for lack of it.
    pub prerequisite: Option<Prerequisite>,
    /// What happened.
    pub source: anyhow::Error,
}

/// What the worker does with the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Hand it back; deliver it again after this long.
    Retry(Duration),
    /// Write it to the dead letters and end the run.
    GiveUp,
    /// Do nothing more: somebody else has it.
    LetGo,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, source: impl Into<anyhow::Error>) -> Self {
        Self { kind, prerequisite: None, source: source.into() }
    }

    /// The same for lack of a prerequisite.
    #[must_use]
    pub fn lacking(self, prerequisite: Prerequisite) -> Self {
        Self { prerequisite: Some(prerequisite), ..self }
    }

    /// What the failure is for lack of, as a row says it: a prerequisite, or `other` for something else outside. `None`: nothing was away.
    pub fn lack(&self) -> Option<&'static str> {
        match (self.prerequisite, self.kind) {
            (Some(prerequisite), _) => Some(prerequisite.as_str()),
            (None, FailureKind::Unavailable { .. }) => Some("other"),
            (None, _) => None,
        }
    }

    /// The input is wrong.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(FailureKind::BadInput, anyhow::anyhow!(message.into()))
    }

    /// Something outside did not answer.
    pub fn unavailable(source: impl Into<anyhow::Error>) -> Self {
        Self::new(FailureKind::Unavailable { retry_after: None }, source)
    }

    /// A fault of ours.
    pub fn bug(source: impl Into<anyhow::Error>) -> Self {
        Self::new(FailureKind::Bug, source)
    }

    /// What follows from this failure of attempt number `attempt` (counted from 1). `jitter` is 0 to 1.
    pub fn verdict(&self, kind: JobKind, attempt: u32, jitter: f64) -> Verdict {
        let exhausted = attempt >= kind.max_attempts();
        match self.kind {
            FailureKind::Fenced => Verdict::LetGo,
            FailureKind::Draining => Verdict::Retry(Duration::from_millis(100)),
            FailureKind::BadInput | FailureKind::Budget | FailureKind::Deadline => Verdict::GiveUp,
            FailureKind::Unavailable { .. } | FailureKind::Bug if exhausted => Verdict::GiveUp,
            FailureKind::Unavailable { retry_after: Some(wait) } => Verdict::Retry(wait.max(backoff(attempt, jitter))),
            FailureKind::Unavailable { retry_after: None } | FailureKind::Bug => Verdict::Retry(backoff(attempt, jitter)),
        }
    }
}

/// 2 s, 8 s, 32 s … at most 5 min, each between half and the whole of it.
fn backoff(attempt: u32, jitter: f64) -> Duration {
    let full = Duration::from_secs(2 * 4u64.pow(attempt.saturating_sub(1).min(4))).min(Duration::from_secs(300));
    full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: JobKind = JobKind::DebugError;

    #[test]
    fn bad_input_is_never_retried() {
        assert_eq!(Failure::bad_input("no log").verdict(KIND, 1, 0.5), Verdict::GiveUp);
    }

    #[test]
    fn waits_grow_and_end() {
        let away = Failure::unavailable(anyhow::anyhow!("connection refused"));
        let wait = |attempt| match away.verdict(KIND, attempt, 1.0) {
            Verdict::Retry(wait) => wait,
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(1), Duration::from_secs(2));
        assert!(wait(2) > wait(1));
        assert_eq!(away.verdict(KIND, KIND.max_attempts(), 1.0), Verdict::GiveUp);
    }

    #[test]
    fn retry_after_is_honoured() {
        let busy = Failure::new(FailureKind::Unavailable { retry_after: Some(Duration::from_secs(60)) }, anyhow::anyhow!("429"));
        assert_eq!(busy.verdict(KIND, 1, 0.0), Verdict::Retry(Duration::from_secs(60)));
    }

    #[test]
    fn lack_is_told_only_of_what_was_away() {
        assert_eq!(Failure::unavailable(anyhow::anyhow!("no socket")).lacking(Prerequisite::Docker).lack(), Some("docker"));
        assert_eq!(Failure::unavailable(anyhow::anyhow!("no image")).lack(), Some("other"));
        assert_eq!(Failure::bad_input("no log").lack(), None);
        assert_eq!("claude".parse::<Prerequisite>().unwrap(), Prerequisite::Claude);
        assert!("redis".parse::<Prerequisite>().unwrap_err().to_string().contains("redis"));
    }

    #[test]
    fn fenced_attempt_lets_go() {
        assert_eq!(Failure::new(FailureKind::Fenced, anyhow::anyhow!("late")).verdict(KIND, 1, 0.0), Verdict::LetGo);
    }
}
