//! How long things took, and what follows from it.

use std::time::Instant;

/// Milliseconds of many of a kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Vec<f64>);

/// What is told of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Speed {
    /// The median, in milliseconds.
    pub(super) p50: f64,
    /// What 99 of 100 stay below, in milliseconds.
    pub(super) p99: f64,
    /// How many a second, two at once.
    pub(super) rate: f64,
}

impl Times {
    pub(super) fn since(&mut self, started: Instant) {
        self.0.push(started.elapsed().as_secs_f64() * 1000.0);
    }

    /// The value that this share of them stays below.
    pub(super) fn share(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let at = (sorted.len() as f64 * share) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
    }

    pub(super) fn speed(&self, rate: f64) -> Speed {
        Speed { p50: self.share(0.5), p99: self.share(0.99), rate }
    }
}

/// So many in the time since then, a second.
pub(super) fn rate(count: usize, started: Instant) -> f64 {
    count as f64 / started.elapsed().as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_sorted_times() {
        let times = Times((1..=100).rev().map(f64::from).collect());
        assert_eq!((times.share(0.5), times.share(0.99), times.share(1.0)), (51.0, 100.0, 100.0));
        assert_eq!(Times::default().speed(1.0), Speed { p50: 0.0, p99: 0.0, rate: 1.0 });
    }
}
