//! Whether an error occurs more often than it did.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// How often an error occurred of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Trend {
    /// In the last 24 hours: the current hour and the 23 before.
    pub last_24h: i64,
    /// In the 24 hours before those.
    pub previous_24h: i64,
    /// What that means.
    pub direction: Direction,
}

/// Where the count goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It was first seen in the last 24 hours.
    New,
    /// More often than before, and by more than chance.
    Rising,
    /// As often as before, or the difference may be chance.
    Steady,
    /// Less often than before, and by more than chance.
    Falling,
    /// Not in the last 24 hours.
    Quiet,
}

impl Trend {
    /// What two counts say of an error that was first seen then.
    pub fn of(last_24h: i64, previous_24h: i64, first_seen: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let (last, previous) = (i128::from(last_24h), i128::from(previous_24h));
        // Two counts of things that happen independently differ by chance by about the root of their sum; twice that is rare.
        let differs = (last - previous).pow(2) > 4 * (last + previous);
        let direction = match last {
            0 => Direction::Quiet,
            _ if previous == 0 && first_seen > now - TimeDelta::hours(24) => Direction::New,
            _ if differs && last > previous => Direction::Rising,
            _ if differs => Direction::Falling,
            _ => Direction::Steady,
        };
        Self { last_24h, previous_24h, direction }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_is_more_than_chance() {
        let now = Utc::now();
        let (fresh, old) = (now - TimeDelta::hours(2), now - TimeDelta::days(9));
        for (last, previous, first_seen, direction) in [
            (0, 0, old, Direction::Quiet),
            (0, 500, old, Direction::Quiet),
            (1, 0, fresh, Direction::New),
            (900, 0, fresh, Direction::New),
            (1, 0, old, Direction::Steady),
            (9, 0, old, Direction::Rising),
            (3, 1, old, Direction::Steady),
            (30, 10, old, Direction::Rising),
            (10, 30, old, Direction::Falling),
            (1000, 1010, old, Direction::Steady),
            (i64::MAX, 0, old, Direction::Rising),
        ] {
            assert_eq!(Trend::of(last, previous, first_seen, now).direction, direction, "{last} after {previous}");
        }
    }
}
