//! Bodies of requests: read within bounds of time, memory and what the caller may send; and heard out where they are refused.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _, stream};
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::error::Problem;
use super::exchange::Exchange;
use crate::app::{App, OverLimit, Use};
use crate::domain::TenantId;

/// Bytes a second below which a body is too slow, once its first seconds are over.
const SLOWEST: u64 = 64 * 1024;
/// Bytes that a body may hold without room of its own: as much as its connection holds anyway.
const SMALL: usize = 64 * 1024;
/// The largest body of a route other than raw events, and of raw events.
const LARGE: usize = 4 * 1024 * 1024;
const LARGEST: usize = crate::ingest::MAX_BODY;
/// Time that a body waits for room.
const ROOM: Duration = Duration::from_secs(5);
/// Bytes of a refused body that are read and thrown away, and the time for it, so that the client hears the answer.
const HEARD_OUT: usize = 32 * 1024 * 1024;
const HEARD_FOR: Duration = Duration::from_secs(10);

/// Memory that the bodies of all requests share.
#[derive(Clone)]
pub(super) struct Bodies {
    app: App,
    room: Arc<Room>,
}

struct Room {
    all: Arc<Semaphore>,
    tenants: Mutex<HashMap<Option<TenantId>, Arc<Semaphore>>>,
    of_tenant: usize,
}

/// Reason why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyFault {
    #[error("the body came too slowly: at least {SLOWEST} bytes a second are expected")]
    TooSlow,
    #[error("too many large bodies are being read; send the request again")]
    NoRoom,
    #[error("a limit is reached")]
    OverLimit(OverLimit),
    #[error("the body ended early, or is not what Content-Encoding says: {0}")]
    Broken(axum::Error),
}

impl From<&BodyFault> for Problem {
    fn from(fault: &BodyFault) -> Self {
        match fault {
            BodyFault::TooSlow => Self::too_slow(fault.to_string()),
            BodyFault::NoRoom => Self::busy(fault.to_string()),
            BodyFault::OverLimit(over) => (*over).into(),
            BodyFault::Broken(_) => Self::bad_request("the body ended early, or is not what Content-Encoding says"),
        }
    }
}

impl Bodies {
    pub(super) fn new(app: App) -> Self {
        let all = app.config.api.body_memory.min(Semaphore::MAX_PERMITS);
        let room = Room { all: Arc::new(Semaphore::new(all)), tenants: Mutex::default(), of_tenant: all / 4 };
        Self { app, room: Arc::new(room) }
    }

    /// Makes room for a large body; it is given back once the request is answered.
    async fn reserve(&self, exchange: &Exchange, bytes: usize) -> Result<(), BodyFault> {
        let bytes = u32::try_from(bytes).map_err(|_| BodyFault::NoRoom)?;
        let own = {
            let mut tenants = self.room.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that hold nothing need not be kept.
            tenants.retain(|_, own| Arc::strong_count(own) > 1 || own.available_permits() < self.room.of_tenant);
            tenants.entry(exchange.tenant()).or_insert_with(|| Arc::new(Semaphore::new(self.room.of_tenant))).clone()
        };
        let both = async {
            let own = own.acquire_many_owned(bytes).await.ok()?;
            Some((own, self.room.all.clone().acquire_many_owned(bytes).await.ok()?))
        };
        let (own, all) = tokio::time::timeout(ROOM, both).await.ok().flatten().ok_or(BodyFault::NoRoom)?;
        exchange.hold(own);
        exchange.hold(all);
        Ok(())
    }
}

/// Looks at a request before any route does, and keeps its body within bounds. The body is decoded by then.
pub(super) async fn within_bounds(State(bodies): State<Bodies>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Some(problem) = fault(&parts.headers, parts.version, &parts.uri) {
        return problem.into_response();
    }
    let exchange = Exchange::new(&parts);
    parts.extensions.insert(exchange.clone());
    let body = if body.is_end_stream() { body } else { bounded(bodies, exchange.clone(), &parts.headers, body) };
    let mut response = next.run(Request::from_parts(parts, body)).await;
    exchange.tell_limits(response.headers_mut());
    let busy = exchange.answered();
    // The connection is worked on until the last byte of the answer is handed over.
    response.map(|body| Body::new(body.map_err(move |error| (&busy, error).1)))
}

/// Returns the fault of a request that no route could serve.
fn fault(headers: &HeaderMap, version: Version, uri: &axum::http::Uri) -> Option<Problem> {
    if version == Version::HTTP_11 && uri.authority().is_none() && headers.get_all(HOST).iter().count() != 1 {
        return Some(Problem::bad_request("a request of HTTP/1.1 has one Host header"));
    }
    if !is_text(uri.path()) {
        return Some(Problem::bad_request("the path is no UTF-8 after its percent signs are decoded"));
    }
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        let encoding: String = encoding.to_str().unwrap_or("?").chars().take(40).collect();
        return Some(Problem::unsupported(format!("Content-Encoding {encoding:?} is not read: use gzip, br, zstd or none")));
    }
    None
}

/// Whether the path is UTF-8 once it is decoded.
fn is_text(path: &str) -> bool {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high * 16 + low));
                rest = &after[2..];
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    std::str::from_utf8(&decoded).is_ok()
}

struct Reading {
    bodies: Bodies,
    exchange: Exchange,
    body: BodyDataStream,
    slack: Duration,
    /// Time at which the client was first asked for something, moved by what it had to wait for us.
    since: Option<Instant>,
    received: u64,
    /// Room for all of it, once it is no small body any more.
    room: Option<usize>,
}

fn bounded(bodies: Bodies, exchange: Exchange, headers: &HeaderMap, body: Body) -> Body {
    let most = if exchange.is_ingest() { LARGEST } else { LARGE };
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let room = Some(announced.map_or(most, |length: usize| length.min(most)));
    let slack = Duration::from_secs(bodies.app.config.api.body_timeout);
    let reading = Reading { bodies, exchange, body: body.into_data_stream(), slack, since: None, received: 0, room };
    Body::from_stream(stream::try_unfold(reading, next_chunk))
}

async fn next_chunk(mut reading: Reading) -> Result<Option<(Bytes, Reading)>, BodyFault> {
    let since = *reading.since.get_or_insert_with(Instant::now);
    let deadline = since + reading.slack + Duration::from_secs(reading.received / SLOWEST);
    let chunk = tokio::time::timeout_at(deadline, reading.body.next()).await.map_err(|_| BodyFault::TooSlow)?;
    let Some(chunk) = chunk.transpose().map_err(BodyFault::Broken)? else { return Ok(None) };
    let arrived = Instant::now();
    reading.received += chunk.len() as u64;
    if reading.received > SMALL as u64
        && let Some(room) = reading.room.take()
    {
        reading.bodies.reserve(&reading.exchange, room).await?;
    }
    if let Some(allowance) = reading.exchange.allowance() {
        let taken = allowance.take(Use::Bytes, chunk.len() as u64, reading.exchange.is_ingest()).await;
        taken.map_err(BodyFault::OverLimit)?;
    }
    reading.since = Some(since + arrived.elapsed());
    Ok(Some((chunk, reading)))
}

/// Sees to it that an answer is heard by a client that is still sending: what the route left of the body is read on and thrown away, within
/// bounds, while the answer is on its way. A connection that is closed with unread bytes takes the answer with it.
pub(super) async fn hear_out(mut request: Request, next: Next) -> Response {
    if let Some(problem) = normalise_encoding(request.headers_mut()) {
        return problem.into_response();
    }
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Whoever waits to be asked for the body has not sent it.
    let waits = request.headers().contains_key(EXPECT);
    let (parts, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(Some(Left { body: body.into_data_stream(), touched: !waits }))));
    let response = next.run(Request::from_parts(parts, Body::from_stream(shared.clone()))).await;
    // A client that was too slow has had its time.
    if response.status() != StatusCode::REQUEST_TIMEOUT && shared.is_left() {
        tokio::spawn(shared.throw_away());
    }
    response
}

/// Lower case, as names of codings are compared, and by the name that is not historical.
fn normalise_encoding(headers: &mut HeaderMap) -> Option<Problem> {
    let mut all = headers.get_all(CONTENT_ENCODING).iter();
    let (first, second) = (all.next()?, all.next());
    if second.is_some() {
        return Some(Problem::unsupported("several Content-Encoding headers are not read: send the body in one coding"));
    }
    let name = first.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    let name = if name == "x-gzip" { "gzip".to_owned() } else { name };
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(CONTENT_ENCODING, name);
    }
    None
}

/// A body that two may read, one after the other.
#[derive(Clone)]
struct Shared(Arc<Mutex<Option<Left>>>);

struct Left {
    body: BodyDataStream,
    /// Whether the client sends it.
    touched: bool,
}

impl Shared {
    fn is_left(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|left| left.touched)
    }

    async fn throw_away(mut self) {
        let heard = async {
            let mut bytes = 0;
            while let Some(Ok(chunk)) = self.next().await {
                bytes += chunk.len();
                if bytes > HEARD_OUT {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(HEARD_FOR, heard).await;
    }
}

impl Stream for Shared {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = shared.as_mut() else { return Poll::Ready(None) };
        left.touched = true;
        let polled = left.body.poll_next_unpin(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            *shared = None;
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_text_or_not() {
        for good in ["/", "/v1/jobs/x", "/%C3%A4", "/%zz", "/%", "/%4", "/a%20b"] {
            assert!(is_text(good), "{good}");
        }
        for bad in ["/%ff%fe", "/%C3", "/x/%80"] {
            assert!(!is_text(bad), "{bad}");
        }
    }

    #[test]
    fn names_of_codings_have_no_case() {
        let normalised = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            let refused = normalise_encoding(&mut headers).is_some();
            (refused, headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned()))
        };
        assert_eq!(normalised(&["GZip"]), (false, Some("gzip".to_owned())));
        assert_eq!(normalised(&["x-gzip"]), (false, Some("gzip".to_owned())));
        assert_eq!(normalised(&[]), (false, None));
        assert!(normalised(&["gzip", "br"]).0);
    }
}
