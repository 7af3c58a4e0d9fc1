//! Whether the message of a run is still there: a stream may be purged, or lost with its disk, while the rows stay.

use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use futures::stream::{self, StreamExt as _};

use super::{Queue, QueueError, StreamName, envelope};
use crate::domain::{Job, JobKind, RunId, TenantId};

/// How many messages are asked for at a time.
const AT_ONCE: usize = 16;

/// A message that should be in the stream of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The run that it is for.
    pub run: RunId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it asks for.
    pub kind: JobKind,
    /// Its number in the stream. `None`: it is not known, and the message counts as gone.
    pub sequence: Option<u64>,
}

impl Queue {
    /// Returns those of the expected messages that are not in the stream of jobs.
    pub async fn missing_jobs(&self, expected: Vec<Expected>) -> Result<Vec<Expected>, QueueError> {
        if expected.is_empty() {
            return Ok(expected);
        }
        let jobs = self.stream(StreamName::Jobs).await?;
        let state = &jobs.cached_info().state;
        let range = state.first_sequence..=state.last_sequence;
        let (jobs, range) = (&jobs, &range);
        let looked = stream::iter(expected).map(|wanted| async move {
            let found = match wanted.sequence {
                // Outside of the range no message has to be asked for; an empty stream has none.
                Some(sequence) if range.contains(&sequence) => self.is_job_at(jobs, sequence, &wanted).await,
                _ => false,
            };
            (!found).then_some(wanted)
        });
        Ok(looked.buffered(AT_ONCE).filter_map(std::future::ready).collect().await)
    }

    /// Whether the message of this number is the one of the run: a stream that was made again counts from 1.
    async fn is_job_at(&self, jobs: &Stream, sequence: u64, wanted: &Expected) -> bool {
        match jobs.get_raw_message(sequence).await {
            Ok(message) => {
                let subject = self.bare_subject(&message.subject);
                let is_wanted = |job: &Job| job.run_id == wanted.run && job.tenant == wanted.tenant && job.kind == wanted.kind;
                envelope::decode(subject, &message.payload).is_ok_and(|(job, _)| is_wanted(&job))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => false,
            Err(error) => {
                // Not known: it is looked for again in the next round.
                tracing::debug!(%error, sequence, "a message of the jobs could not be looked for");
                true
            }
        }
    }

    pub(super) async fn stream(&self, name: StreamName) -> Result<Stream, QueueError> {
        self.online()?;
        let name = self.name(name.as_str());
        self.js.get_stream(&name).await.map_err(|error| QueueError::unavailable(format!("opening stream {name}"), error))
    }
}
