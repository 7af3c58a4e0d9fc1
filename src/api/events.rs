//! The steps of a run, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt, future, stream};

use super::auth::Caller;
use super::error::Problem;
use crate::app::App;
use crate::domain::{Progress, RunId, RunState, TenantId};

/// `GET /v1/jobs/{run}/events`: from the first step (or the one after `Last-Event-ID`) to the last, then the stream ends.
pub async fn follow(
    caller: Caller,
    State(app): State<App>,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let run: RunId = run.parse().map_err(|_| Problem::not_found("run"))?;
    let view = app.run(&caller.0, run).await?.ok_or_else(|| Problem::not_found("run"))?;
    let after = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let steps = Box::pin(app.follow(&caller.0, run, after).await?);
    let patience = if view.state.is_final() { Duration::from_secs(3) } else { Duration::from_secs(10) };
    let events = until_ended(app, caller.0, run, steps, patience)
        .map(|step| {
            let (sequence, progress) = step?;
            let event = Event::default().event(progress.step.clone());
            let event = sequence.map_or(event.clone(), |sequence| event.id(sequence.to_string()));
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

/// The steps, and after a silence the end of a run that has ended without a word: its last step was lost with the process that should have
/// told it, or is no longer kept.
fn until_ended<E: Into<anyhow::Error>>(
    app: App,
    tenant: TenantId,
    run: RunId,
    steps: impl Stream<Item = Result<(u64, Progress), E>> + Unpin,
    patience: Duration,
) -> impl Stream<Item = anyhow::Result<(Option<u64>, Progress)>> {
    stream::unfold(Some(steps), move |steps| {
        let (app, tenant) = (app.clone(), tenant.clone());
        async move {
            let mut steps = steps?;
            loop {
                match tokio::time::timeout(patience, steps.next()).await {
                    Ok(None) => return None,
                    Ok(Some(Ok((sequence, step)))) => return Some((Ok((Some(sequence), step)), Some(steps))),
                    Ok(Some(Err(error))) => return Some((Err(error.into()), None)),
                    Err(_) => {
                        if let Some(end) = end_of(&app, &tenant, run).await {
                            return Some((Ok((None, end)), None));
                        }
                    }
                }
            }
        }
    })
}

async fn end_of(app: &App, tenant: &TenantId, run: RunId) -> Option<Progress> {
    let view = app.run(tenant, run).await.ok().flatten()?;
    match view.state {
        RunState::Done => Some(Progress::new("done", "the run has ended").with(view.result.unwrap_or_default())),
        RunState::Failed => Some(Progress::new("failed", view.error.unwrap_or_default())),
        RunState::Queued | RunState::Running => None,
    }
}
