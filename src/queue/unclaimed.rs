//! Messages in the stream of jobs that no consumer takes: somebody has published a kind that does not exist.

use std::time::Duration;

use async_nats::jetstream::stream::LastRawMessageErrorKind;
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;

use super::dead::Lost;
use super::{Queue, QueueError, StreamName};
use crate::domain::JobKind;

/// How long a message may wait for its consumer: a newer version sets up its own while an older one still runs.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most messages that one round moves.
const MOST: usize = 500;

impl Queue {
    /// Moves the jobs that no consumer takes to the dead letters, with the reason; returns how many. Doing it twice is doing it once.
    pub async fn bury_unclaimed(&self) -> Result<usize, QueueError> {
        let jobs = self.stream(StreamName::Jobs).await?;
        let failed = |error: &dyn std::fmt::Display| QueueError::unavailable("looking for jobs that no consumer takes", error);
        let mut taken = Vec::new();
        let mut consumers = jobs.consumers();
        while let Some(consumer) = consumers.try_next().await.map_err(|error| failed(&error))? {
            taken.push(consumer.config.filter_subject.to_string());
            taken.extend(consumer.config.filter_subjects.iter().map(ToString::to_string));
        }
        let mut unclaimed = Vec::new();
        let mut subjects = jobs.info_with_subjects(self.subject("jobs.>")).await.map_err(|error| failed(&error))?;
        while let Some((subject, _)) = subjects.try_next().await.map_err(|error| failed(&error))? {
            if !taken.iter().any(|filter| matches(filter, &subject)) {
                unclaimed.push(subject);
            }
        }
        let mut buried = 0;
        for subject in unclaimed {
            let mut next = 1;
            while buried < MOST {
                let message = match jobs.raw_message_builder().sequence(next).next_by_subject(subject.as_str()).send().await {
                    Ok(message) => message,
                    Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => break,
                    Err(error) => return Err(failed(&error)),
                };
                next = message.sequence + 1;
                let published = DateTime::from_timestamp_nanos(i64::try_from(message.time.unix_timestamp_nanos()).unwrap_or_default());
                if (Utc::now() - published).to_std().is_ok_and(|age| age < PATIENCE) {
                    break;
                }
                let bare = self.bare_subject(&subject).to_owned();
                let lost =
                    Lost { subject: &bare, sequence: message.sequence, published, payload: message.payload, event: None, release: None };
                self.bury(lost, &reason(&bare), 0).await?;
                jobs.delete_message(message.sequence).await.map_err(|error| failed(&error))?;
                buried += 1;
            }
        }
        Ok(buried)
    }
}

fn reason(subject: &str) -> String {
    let kinds: Vec<_> = JobKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let kind = subject.split('.').nth(1).unwrap_or_default();
    format!("there is no job kind {kind:?}; there are: {}", kinds.join(", "))
}

/// Whether a filter of a consumer matches a subject. An empty filter matches everything.
fn matches(filter: &str, subject: &str) -> bool {
    if filter.is_empty() {
        return true;
    }
    let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == "*" || wanted == found => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_is_matched_token_by_token() {
        for (filter, subject) in [("jobs.a.*", "jobs.a.acme"), ("jobs.>", "jobs.a.acme"), ("", "x"), ("a.b", "a.b"), ("*.*.*", "jobs.a.b")]
        {
            assert!(matches(filter, subject), "{filter} {subject}");
        }
        for (filter, subject) in [("jobs.a.*", "jobs.b.acme"), ("jobs.a.*", "jobs.a"), ("jobs.a", "jobs.a.acme"), ("jobs.>", "jobs")] {
            assert!(!matches(filter, subject), "{filter} {subject}");
        }
    }

    #[test]
    fn reason_names_the_kinds_that_there_are() {
        let said = reason("jobs.rm_rf.acme");
        assert!(said.contains("rm_rf") && JobKind::ALL.iter().all(|kind| said.contains(kind.as_str())), "{said}");
    }
}
