//! A circuit breaker: after a failure nobody asks again before a while has passed, and then one at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first wait, and the longest; each is twice the one before.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// A circuit breaker of one prerequisite.
#[derive(Debug)]
pub struct Breaker {
    /// After how many failures in a row it opens.
    threshold: u32,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failures: u32,
    /// Until when nobody asks. `None`: it is closed.
    open_until: Option<Instant>,
}

impl Breaker {
    /// Makes a closed breaker that opens after this many failures in a row.
    pub fn new(threshold: u32) -> Self {
        Self { threshold: threshold.max(1), state: Mutex::default() }
    }

    /// Returns how long to wait, or `None` if it is closed or somebody may look whether the prerequisite is back. Changes nothing.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.state().open_until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Whether it is open, also when it is time for a probe.
    pub fn is_open(&self) -> bool {
        self.state().open_until.is_some()
    }

    /// Asks for admission. While it is open, one probe is admitted a wait; everybody else gets the time that is left.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        match state.open_until {
            None => Ok(()),
            Some(until) if until > now => Err(until - now),
            Some(_) => {
                state.open_until = Some(now + wait_after(state.failures));
                Ok(())
            }
        }
    }

    /// Notes that the prerequisite answered.
    pub fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// Notes that the prerequisite did not answer, and for how long it asks not to be asked.
    pub fn failed(&self, now: Instant, retry_after: Option<Duration>) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.threshold || retry_after.is_some() {
            let wait = wait_after(state.failures.saturating_sub(self.threshold - 1)).max(retry_after.unwrap_or_default());
            state.open_until = Some(now + wait);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait_after(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_at_its_threshold_and_closes_with_an_answer() {
        let (breaker, now) = (Breaker::new(2), Instant::now());
        breaker.failed(now, None);
        assert!(!breaker.is_open() && breaker.admit(now).is_ok(), "one failure may be chance");
        breaker.failed(now, None);
        assert_eq!(breaker.admit(now), Err(FIRST));
        breaker.succeeded();
        assert!(breaker.admit(now).is_ok() && !breaker.is_open());
    }

    #[test]
    fn one_probe_is_admitted_a_wait() {
        let (breaker, now) = (Breaker::new(1), Instant::now());
        breaker.failed(now, None);
        let later = now + FIRST;
        assert_eq!(breaker.remaining(later), None);
        assert!(breaker.admit(later).is_ok(), "the probe");
        assert_eq!(breaker.admit(later), Err(FIRST), "nobody beside it");
        breaker.failed(later, None);
        assert_eq!(breaker.remaining(later), Some(FIRST * 2), "it failed: twice the wait");
    }

    #[test]
    fn waits_grow_to_a_limit_and_honour_what_is_asked_for() {
        let (breaker, now) = (Breaker::new(1), Instant::now());
        for _ in 0..100 {
            breaker.failed(now, None);
        }
        assert_eq!(breaker.remaining(now), Some(LONGEST));
        let patient = Breaker::new(3);
        patient.failed(now, Some(Duration::from_secs(300)));
        assert_eq!(patient.remaining(now), Some(Duration::from_secs(300)), "who says when to come back is not asked before");
    }
}
