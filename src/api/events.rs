//! The steps of a run, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt, future};

use super::auth::Caller;
use super::error::Problem;
use crate::app::App;
use crate::domain::RunId;

/// `GET /v1/jobs/{run}/events`: from the first step (or the one after `Last-Event-ID`) to the last, then the stream ends.
pub async fn follow(
    caller: Caller,
    State(app): State<App>,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let run: RunId = run.parse().map_err(|_| Problem::not_found("run"))?;
    app.run(&caller.0, run).await?.ok_or_else(|| Problem::not_found("run"))?;
    let after = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let steps = app.follow(&caller.0, run, after).await?;
    let events = steps
        .map(|step| {
            let (sequence, progress) = step?;
            let event = Event::default().id(sequence.to_string()).event(progress.step.clone());
            Ok(event.json_data(&progress)?)
        })
        .take_while(move |event: &anyhow::Result<Event>| {
            if let Err(error) = event {
                tracing::warn!(%error, %run, "the steps of the run are cut; the client will come back");
            }
            future::ready(event.is_ok())
        })
        .filter_map(|event| future::ready(event.ok().map(Ok)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}
