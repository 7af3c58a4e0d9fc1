//! A place in a list that is ordered by time: what was there before stays there, whatever comes meanwhile.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The place after one entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    /// The time of the entry.
    pub at: DateTime<Utc>,
    /// Tells it from others of the same time.
    pub id: Uuid,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.timestamp_micros(), self.id.simple())
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

impl FromStr for Cursor {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = || {
            let (micros, id) = text.split_once('.')?;
            // PostgreSQL's times end long before chrono's do.
            let micros: i64 = micros.parse().ok().filter(|micros: &i64| micros.unsigned_abs() < 1 << 57)?;
            Some(Self { at: DateTime::from_timestamp_micros(micros)?, id: Uuid::try_parse(id).ok()? })
        };
        parsed().ok_or("it is no place in a list: use what `next` of the page before was")
    }
}

impl TryFrom<String> for Cursor {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cursor_survives_its_round_trip() {
        let cursor = Cursor { at: DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap(), id: Uuid::now_v7() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    proptest! {
        #[test]
        fn garbage_is_no_cursor(text: String, micros: i64) {
            prop_assert!(text.parse::<Cursor>().is_err());
            let _ = format!("{micros}.{}", Uuid::nil()).parse::<Cursor>();
        }
    }
}
