//! Who may use a container, and until when. Its name says so: a name can be changed while the container runs, labels cannot.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::{RunId, TenantId};

/// What every name starts with.
const PREFIX: &str = "odoo-agent";
/// How long nobody may own a container that waits for work. It is renewed while its worker lives.
pub(super) const IDLE: Duration = Duration::from_secs(300);

/// How long a template may take to make.
const MAKING: Duration = Duration::from_secs(30 * 60);

/// Whose container it is.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The run it works for.
    pub run: RunId,
    /// The tenant of that run.
    pub tenant: TenantId,
    /// The worker that opened it.
    pub instance: String,
    /// When it may be swept away, whoever it belongs to.
    pub deadline: DateTime<Utc>,
}

impl Owner {
    /// A name for a container of this run.
    pub(super) fn lease(&self) -> String {
        name(&format!("{}.{}", run_part(self.run), self.tenant), self.deadline)
    }
}

/// A name for a container that makes a template.
pub(super) fn making() -> String {
    name("making", Utc::now() + MAKING)
}

/// A name for a container that waits for work.
pub(super) fn idle() -> String {
    name("idle", Utc::now() + IDLE)
}

/// The part of a name that only containers of this run have.
pub(super) fn run_part(run: RunId) -> String {
    format!("run-{run}")
}

fn name(holder: &str, until: DateTime<Utc>) -> String {
    format!("{PREFIX}.{holder}.{}.{}", until.timestamp(), uuid::Uuid::new_v4().simple())
}

/// Whether nobody may use the container of this name any more. A name that is none of ours is nobody's lease.
pub(super) fn is_over(name: &str, now: DateTime<Utc>) -> bool {
    let parts: Vec<&str> = name.trim_start_matches('/').split('.').collect();
    let until = parts.len().checked_sub(2).and_then(|index| parts[index].parse::<i64>().ok());
    parts[0] != PREFIX || until.is_none_or(|until| until < now.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_ends_at_its_time() {
        let now = Utc::now();
        let owner = Owner {
            run: RunId::generate(),
            tenant: "acme".parse().unwrap(),
            instance: "w".to_owned(),
            deadline: now + Duration::from_secs(60),
        };
        let name = format!("/{}", owner.lease());
        assert!(name.contains(&run_part(owner.run)) && name.contains(".acme."), "{name}");
        assert!(!is_over(&name, now));
        assert!(is_over(&name, now + Duration::from_secs(61)));
        assert!(!is_over(&idle(), now) && is_over(&idle(), now + IDLE + Duration::from_secs(2)));
    }

    #[test]
    fn name_of_nobody_is_over() {
        for name in ["", "/", "/quirky_darwin", "/odoo-agent", "/odoo-agent.idle.soon.x", "/other.idle.99999999999.x", "\u{fffd}"] {
            assert!(is_over(name, Utc::now()), "{name:?}");
        }
    }
}
