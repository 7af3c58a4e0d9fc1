//! JetStream: the streams, what is published into them, and what is pulled out of them.
//!
//! | stream | subjects | kept |
//! |---|---|---|
//! | `INGEST` | `ingest.<tenant>.<format>`, `probe.ready` | 7 days; when full, what triage has acked makes room, then publishing fails |
//! | `JOBS` | `jobs.<kind>.<tenant>` | until acked; when full, publishing fails |
//! | `EVENTS` | `events.<tenant>.<run>` | 7 days; when full, the oldest go |
//! | `DEAD` | `dead.<kind>.<tenant>` | until replayed or dropped; when full, the oldest go |
//!
//! Delivery is at least once, and an ack proves nothing about who else ran: a late ack of an old delivery is taken as well.
//! So this room never promises an effect once; that is for the database to do.

mod budgets;
mod dead;
mod delivery;
pub mod envelope;
mod error;
mod events;
mod masked;
mod presence;
mod probe;
mod publish;
mod topology;
mod unclaimed;

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{self, context::Context, kv};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use tokio::sync::{Mutex, watch};

pub use budgets::Share;
pub use dead::DeadLetter;
pub use delivery::{Delivery, Pull};
pub use error::QueueError;
pub use presence::Expected;
pub use publish::Published;
pub use topology::{Depth, StreamName};

/// How long one request to the server may take. A publish that has no answer by then has failed.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
const OLDEST_SERVER: (u64, u64) = (2, 10);

/// How to reach NATS, and how its streams are set up.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address, or several with commas between. It may hold a token or `user:password`.
    pub url: Option<String>,
    /// Token, where the address holds none.
    #[serde(deserialize_with = "secret")]
    pub token: Option<SecretString>,
    /// Put before the names of streams and consumers and before every subject, so that several installations share one server.
    pub prefix: String,
    /// How long a delivery is waited for before it is made again. In a file: seconds.
    #[serde(deserialize_with = "seconds")]
    pub ack_wait: Duration,
    /// How long an id is remembered, so that a second publish of it is dropped. In a file: seconds.
    #[serde(deserialize_with = "seconds")]
    pub duplicate_window: Duration,
    /// Most bytes in `INGEST`.
    pub ingest_max_bytes: i64,
    /// Most bytes in `JOBS`.
    pub jobs_max_bytes: i64,
    /// Most bytes in `EVENTS`.
    pub events_max_bytes: i64,
    /// Most bytes in `DEAD`.
    pub dead_max_bytes: i64,
    /// How long raw events are kept. In a file: seconds.
    #[serde(deserialize_with = "seconds")]
    pub ingest_max_age: Duration,
    /// How long progress is kept. In a file: seconds.
    #[serde(deserialize_with = "seconds")]
    pub events_max_age: Duration,
    /// How often the embedded server has what it accepted written to the disk itself; zero: before each acknowledgement. In a file: seconds,
    /// with a fraction.
    #[serde(deserialize_with = "fraction")]
    pub sync_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        const MIB: i64 = 1024 * 1024;
        const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
        Self {
            url: None,
            token: None,
            prefix: String::new(),
            ack_wait: Duration::from_secs(30),
            duplicate_window: Duration::from_secs(120),
            // The server sets all of it aside at once, so the sum must fit on a small disk.
            ingest_max_bytes: 1024 * MIB,
            jobs_max_bytes: 1024 * MIB,
            events_max_bytes: 512 * MIB,
            dead_max_bytes: 512 * MIB,
            ingest_max_age: WEEK,
            events_max_age: WEEK,
            sync_interval: Duration::from_millis(500),
        }
    }
}

impl std::fmt::Debug for Config {
    // By hand: the address may hold a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url.as_deref().map(without_credentials))
            .field("prefix", &self.prefix)
            .field("ack_wait", &self.ack_wait)
            .field("duplicate_window", &self.duplicate_window)
            .finish_non_exhaustive()
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    let whole = Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)?;
    if whole.is_zero() || (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&whole) {
        Ok(whole)
    } else {
        Err(serde::de::Error::custom("sync_interval must be 0, for each message, or 0.001 to 3600 seconds"))
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// A connection to NATS with our streams on it. Cloning it is cheap.
#[derive(Clone)]
pub struct Queue {
    client: Client,
    js: Context,
    config: Arc<Config>,
    /// Counts connections: a pull request that was open on an earlier one is never answered.
    connections: watch::Receiver<u64>,
    /// The bucket of the budgets, once somebody has asked for it.
    budgets: Arc<Mutex<Option<kv::Store>>>,
    probed: Arc<tokio::sync::Mutex<probe::Probed>>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Queue {
    /// Connects and checks that the server can do what is needed of it. Once connected, it comes back by itself after an outage.
    pub async fn connect(config: &Config) -> Result<Self, QueueError> {
        check_config(config)?;
        let url = config.url.as_deref().ok_or_else(|| QueueError::Config("no address of NATS: set NATS_URL".to_owned()))?;
        let (servers, login) = addresses(url)?;
        let (count, connections) = watch::channel(0_u64);
        let mut options = ConnectOptions::new()
            .name("odoo-agent")
            .connection_timeout(REQUEST_LIMIT)
            .request_timeout(Some(REQUEST_LIMIT))
            .ping_interval(Duration::from_secs(15))
            .reconnect_delay_callback(|attempts| Duration::from_millis(100 * attempts.min(20) as u64))
            .event_callback(move |event| {
                log(&event);
                if matches!(event, Event::Connected) {
                    count.send_modify(|count| *count += 1);
                }
                std::future::ready(())
            });
        options = match (&config.token, login) {
            (Some(token), _) => options.token(token.expose_secret().to_owned()),
            (None, Some((user, Some(password)))) => options.user_and_password(user, password),
            (None, Some((token, None))) => options.token(token),
            (None, None) => options,
        };
        let address = without_credentials(url);
        let client = options
            .connect(servers)
            .await
            .map_err(|source| QueueError::Connect { address: address.clone(), reason: source.to_string() })?;
        let info = client.server_info();
        check_version(&info.version, &address)?;
        let js = jetstream::ContextBuilder::new().timeout(REQUEST_LIMIT).ack_timeout(REQUEST_LIMIT).build(client.clone());
        js.query_account().await.map_err(|source| QueueError::NoJetStream { address, reason: source.to_string() })?;
        Ok(Self { client, js, config: Arc::new(config.clone()), connections, budgets: Arc::default(), probed: Arc::default() })
    }

    /// Whether the connection is up at this moment.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// A failure at once rather than after a timeout, while it is known that nobody is there.
    fn online(&self) -> Result<(), QueueError> {
        if self.is_connected() { Ok(()) } else { Err(QueueError::unavailable("NATS", "the connection is down; it is being tried again")) }
    }

    fn subject(&self, rest: &str) -> String {
        if self.config.prefix.is_empty() { rest.to_owned() } else { format!("{}.{rest}", self.config.prefix) }
    }

    fn name(&self, rest: &str) -> String {
        if self.config.prefix.is_empty() { rest.to_owned() } else { format!("{}_{rest}", self.config.prefix) }
    }

    /// The subject without the prefix, as the rest of the program knows it.
    fn bare_subject<'a>(&self, subject: &'a str) -> &'a str {
        subject.strip_prefix(self.config.prefix.as_str()).map_or(subject, |rest| rest.strip_prefix('.').unwrap_or(rest))
    }
}

fn log(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => tracing::warn!("the connection to NATS is lost; trying again"),
        Event::Closed => tracing::debug!("the connection to NATS is closed"),
        other => tracing::warn!(event = %other, "NATS"),
    }
}

fn check_config(config: &Config) -> Result<(), QueueError> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if config.prefix.len() > 40 || !config.prefix.chars().all(valid) {
        return Err(QueueError::Config("the prefix must be at most 40 letters, digits, '-' or '_'".to_owned()));
    }
    if config.ack_wait < Duration::from_millis(100) {
        return Err(QueueError::Config("ack_wait must be at least 100 ms".to_owned()));
    }
    if config.duplicate_window < Duration::from_millis(100) || config.duplicate_window > config.ingest_max_age.min(config.events_max_age) {
        return Err(QueueError::Config("duplicate_window must be at least 100 ms and no longer than messages are kept".to_owned()));
    }
    Ok(())
}

type Login = (String, Option<String>);

/// The servers of an address, without credentials, and the credentials that stood in it.
fn addresses(url: &str) -> Result<(Vec<ServerAddr>, Option<Login>), QueueError> {
    // What does not parse is not repeated: it may hold a token.
    let bad = |_| QueueError::Config("the address of NATS is not valid: use nats://HOST:PORT".to_owned());
    let mut login = None;
    let mut servers = Vec::new();
    for part in url.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let address = ServerAddr::from_str(part).map_err(bad)?;
        if let Some(user) = address.username() {
            login = Some((percent_decode(user), address.password().map(percent_decode)));
        }
        servers.push(ServerAddr::from_str(&without_credentials(part)).map_err(bad)?);
    }
    if servers.is_empty() {
        return Err(QueueError::Config("the address of NATS is empty: use nats://HOST:PORT".to_owned()));
    }
    Ok((servers, login))
}

fn without_credentials(url: &str) -> String {
    let one = |part: &str| {
        let part = part.trim();
        let (scheme, rest) = part.split_once("://").map_or(("", part), |(scheme, rest)| (scheme, rest));
        let host = rest.rsplit('@').next().unwrap_or(rest);
        if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
    };
    url.split(',').map(one).collect::<Vec<_>>().join(",")
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).filter(|_| *byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(code.unwrap_or(*byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// An older server drops settings that it does not know without a word, so it must be refused by its number.
fn check_version(version: &str, address: &str) -> Result<(), QueueError> {
    let mut parts = version.split(['.', '-']).map(str::parse::<u64>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        return Err(QueueError::TooOld { address: address.to_owned(), version: version.chars().take(40).collect() });
    };
    if (major, minor) < OLDEST_SERVER {
        return Err(QueueError::TooOld { address: address.to_owned(), version: version.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_server_is_refused_with_the_reason() {
        for version in ["2.15.1", "2.10.0", "2.11.0-preview.2", "3.0.0"] {
            assert!(check_version(version, "x").is_ok(), "{version}");
        }
        for version in ["2.9.10", "1.4.1", "", "garbage", "2", "2.x"] {
            let error = check_version(version, "nats://h:4222").unwrap_err().to_string();
            assert!(error.contains("2.10") && error.contains("nats://h:4222"), "{error}");
        }
    }

    #[test]
    fn token_in_the_address_is_used_and_hidden() {
        let (servers, login) = addresses("nats://s3%2Fcret@127.0.0.1:4222, nats://b:4223").unwrap();
        assert_eq!(login, Some(("s3/cret".to_owned(), None)));
        assert_eq!((servers.len(), servers[0].username()), (2, None));
        let config = Config { url: Some("nats://s3cret@h:1,u:pass@g".to_owned()), token: Some("t0ken".into()), ..Config::default() };
        let shown = format!("{config:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("pass") && !shown.contains("t0ken"), "{shown}");
        assert!(shown.contains("nats://h:1,g"), "{shown}");
    }

    #[test]
    fn wrong_settings_are_refused() {
        for bad in [
            Config { prefix: "a.b".to_owned(), ..Config::default() },
            Config { prefix: ">".to_owned(), ..Config::default() },
            Config { ack_wait: Duration::ZERO, ..Config::default() },
            Config { duplicate_window: Duration::from_secs(30 * 24 * 3600), ..Config::default() },
        ] {
            assert!(check_config(&bad).is_err(), "{bad:?}");
        }
        for bad in ["", ",", "http://h:4222", "nats://:0:0"] {
            assert!(addresses(bad).is_err(), "{bad:?}");
        }
    }
}
