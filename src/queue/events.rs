//! Progress of runs: published step by step, followed from the start or from where a follower left off.

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::message::PublishMessage;
use futures::stream::{self, Stream, StreamExt as _};

use super::masked::masked_json;
use super::{Queue, QueueError, StreamName};
use crate::domain::{Progress, RunId, TenantId};

impl Queue {
    /// Publishes one step of a run; gives its number, by which a follower can go on later.
    pub async fn publish_progress(&self, tenant: &TenantId, run: RunId, progress: &Progress) -> Result<u64, QueueError> {
        let subject = format!("events.{tenant}.{run}");
        let payload = masked_json(progress).map_err(|error| QueueError::unavailable("writing progress", error))?;
        self.publish(StreamName::Events, &subject, PublishMessage::build().payload(payload.to_string().into()))
            .await
            .map(|published| published.sequence)
    }

    /// The steps of a run with their numbers, those that were and those to come; after `after_seq`, if that is given. Ends after
    /// the last step. Steps are kept for a limited time: of a run that ended long ago nothing comes, and no end either.
    pub async fn follow(
        &self,
        tenant: &TenantId,
        run: RunId,
        after_seq: Option<u64>,
    ) -> Result<impl Stream<Item = Result<(u64, Progress), QueueError>> + Send + Unpin + use<>, QueueError> {
        self.online()?;
        let bare = format!("events.{tenant}.{run}");
        let subject = self.subject(&bare);
        let failed = |error: &dyn std::fmt::Display| QueueError::unavailable(format!("following {bare}"), error);
        let events = self.js.get_stream(self.name(StreamName::Events.as_str())).await.map_err(|error| failed(&error))?;
        if let Some(after) = after_seq {
            // Whoever has seen the end already would wait for ever.
            let last = events.get_last_raw_message_by_subject(&subject).await.ok();
            let ended = |progress: Progress| progress.is_final();
            if last.is_some_and(|last| last.sequence <= after && serde_json::from_slice(&last.payload).is_ok_and(ended)) {
                return Ok(stream::empty().boxed());
            }
        }
        let deliver_policy =
            after_seq.map_or(DeliverPolicy::All, |after| DeliverPolicy::ByStartSequence { start_sequence: after.saturating_add(1) });
        let config = pull::OrderedConfig { filter_subject: subject, deliver_policy, ..pull::OrderedConfig::default() };
        let consumer = events.create_consumer(config).await.map_err(|error| failed(&error))?;
        let messages = consumer.messages().await.map_err(|error| failed(&error))?;
        Ok(stream::unfold(Some(messages), move |messages| {
            let bare = bare.clone();
            async move {
                let mut messages = messages?;
                match messages.next().await? {
                    Ok(message) => {
                        let step = read(&message, &bare);
                        let last = step.as_ref().is_ok_and(|(_, progress)| progress.is_final());
                        Some((step, (!last).then_some(messages)))
                    }
                    Err(error) => Some((Err(QueueError::unavailable(format!("following {bare}"), error)), None)),
                }
            }
        })
        .boxed())
    }
}

fn read(message: &async_nats::jetstream::Message, subject: &str) -> Result<(u64, Progress), QueueError> {
    let failed = |error: &dyn std::fmt::Display| QueueError::unavailable(format!("reading a step of {subject}"), error);
    let sequence = message.info().map_err(|error| failed(&error))?.stream_sequence;
    let progress = serde_json::from_slice(&message.payload).map_err(|error| failed(&error))?;
    Ok((sequence, progress))
}
