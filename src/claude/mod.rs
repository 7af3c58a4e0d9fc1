//! The Claude Messages API: one question with a JSON Schema for its answer, one priced reply.
//!
//! A call is bounded by a deadline, a token limit and a size limit; what another try can mend is tried again here, a few times.
//! This room never sees a tenant, a budget or an error report: it counts what a call cost and leaves it to others to say who pays.

mod config;
mod error;
mod pricing;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::domain::{Breaker, Cost};

pub use config::Config;
pub use error::ClaudeError;
pub use pricing::{LongPrompt, Price};

/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// The longest wait between two tries that is sat out here; a longer one goes back to the queue, which keeps no worker waiting.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The longest that setting up a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// After how many questions in a row without an answer nobody is asked for a while. Each was tried several times.
const FAILURES: u32 = 3;

/// A connection to the Messages API, for one Claude model. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Claude {
    http: reqwest::Client,
    endpoint: reqwest::Url,
    claude_model: String,
    price: Price,
    max_tokens: u32,
    timeout: Duration,
    max_retries: usize,
    breaker: Arc<Breaker>,
}

/// One question.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// What is the same for every question of this kind; it is cached on the other side.
    pub system: &'a str,
    /// The question itself.
    pub user: String,
    /// JSON Schema of the answer. Every object in it needs `additionalProperties: false`.
    pub schema: &'a Value,
    /// The most tokens of the answer; `None` takes the configured limit, and nothing exceeds that.
    pub max_tokens: Option<u32>,
    /// When the answer is of no use any more.
    pub deadline: Instant,
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer, as the schema describes it. The other side guarantees that; whoever reads it still parses it.
    pub json: Value,
    /// What the call cost.
    pub cost: Cost,
    /// Why the answer ended, in the API's words.
    pub stop_reason: String,
    /// The API's name for this call, for its support.
    pub request_id: Option<String>,
}

/// One failed try, and whether the next may succeed.
struct Tried {
    error: ClaudeError,
    again: bool,
}

impl From<ClaudeError> for Tried {
    fn from(error: ClaudeError) -> Self {
        Self { again: matches!(error, ClaudeError::Connection(_)), error }
    }
}

impl Claude {
    /// A connection as configured; `None` without an API key. Fails if the Claude model has no price: what cannot be priced is not called.
    ///
    /// The process needs a rustls provider installed before this is called.
    pub fn new(config: &Config) -> Result<Option<Self>, ClaudeError> {
        let Some(key) = &config.api_key else { return Ok(None) };
        let price = *config.prices.get(&config.claude_model).ok_or_else(|| {
            let known = config.prices.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            ClaudeError::Config(format!("{:?} has no price; add it to `prices` or use one of {known}", config.claude_model))
        })?;
        price.check().map_err(|problem| ClaudeError::Config(format!("the price of {:?} is wrong: {problem}", config.claude_model)))?;
        let mut headers = HeaderMap::new();
        let mut secret = header("the API key", key.expose_secret())?;
        secret.set_sensitive(true);
        headers.insert(HeaderName::from_static("x-api-key"), secret);
        headers.insert(HeaderName::from_static("anthropic-version"), header("`version`", &config.version)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let timeout = Duration::from_secs(config.timeout_seconds.max(1));
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(concat!("odoo-agent/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT.min(timeout))
            // A redirect would carry the key to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ClaudeError::Config(format!("the HTTP client cannot be set up: {error}")))?;
        Ok(Some(Self {
            http,
            endpoint: endpoint(&config.base_url)?,
            claude_model: config.claude_model.clone(),
            price,
            max_tokens: config.max_tokens.max(1),
            timeout,
            max_retries: config.max_retries,
            breaker: Arc::new(Breaker::new(FAILURES)),
        }))
    }

    /// The most that one try of this request can cost, in US dollars. For a look at the budget before the call.
    pub fn estimate(&self, request: &Request<'_>) -> f64 {
        self.price.most(prompt_bytes(request), u64::from(self.limit(request)))
    }

    /// Returns how long nobody should ask, because the API did not answer lately.
    pub fn away_for(&self) -> Option<Duration> {
        self.breaker.remaining(Instant::now())
    }

    /// Asks, and tries again where that can help. What was billed is in the reply, or in [`ClaudeError::cost`].
    pub async fn complete(&self, request: &Request<'_>) -> Result<Reply, ClaudeError> {
        self.breaker.admit(Instant::now()).map_err(ClaudeError::Away)?;
        let body = wire::body(&self.claude_model, self.limit(request), request);
        let waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(8))
            .with_max_times(self.max_retries)
            .with_jitter();
        let started = Instant::now();
        let result = (|| self.attempt(&body, request))
            .retry(waits)
            .when(|tried: &Tried| tried.again)
            .adjust(|tried, wait| next_wait(tried.error.retry_after(), wait?, request.deadline))
            .notify(|tried, wait| tracing::debug!(error = %tried.error, ?wait, "Claude is asked again"))
            .await
            .map_err(|tried| tried.error);
        match &result {
            Err(error) if error.is_outage() => self.breaker.failed(Instant::now(), error.retry_after()),
            // The time of the job says nothing about the API.
            Err(ClaudeError::Deadline { .. } | ClaudeError::Timeout { .. }) => {}
            Ok(_) | Err(_) => self.breaker.succeeded(),
        }
        let cost = result.as_ref().map_or_else(ClaudeError::cost, |reply| reply.cost);
        tracing::info!(
            gen_ai.provider.name = "anthropic",
            gen_ai.request.model = %self.claude_model,
            gen_ai.usage.input_tokens = cost.input_tokens,
            gen_ai.usage.output_tokens = cost.output_tokens,
            cache_read_tokens = cost.cache_read_tokens,
            usd = cost.usd,
            seconds = started.elapsed().as_secs_f64(),
            error = result.as_ref().err().map(tracing::field::display),
            "Claude was asked"
        );
        result
    }

    async fn attempt(&self, body: &Value, request: &Request<'_>) -> Result<Reply, Tried> {
        let left = request.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ClaudeError::Deadline { cost: Cost::default() }.into());
        }
        let limit = left.min(self.timeout);
        // A prompt that was sent is billed, also when nobody waits for the answer; nothing says how much, so the upper bound it is.
        let sent = Cost { usd: self.price.most(prompt_bytes(request), 0), ..Cost::default() };
        match tokio::time::timeout(limit, self.exchange(body, request)).await {
            Ok(result) => result,
            Err(_) if limit == left => Err(ClaudeError::Deadline { cost: sent }.into()),
            Err(_) => Err(ClaudeError::Timeout { seconds: limit.as_secs(), cost: sent }.into()),
        }
    }

    async fn exchange(&self, body: &Value, request: &Request<'_>) -> Result<Reply, Tried> {
        let mut response = self.http.post(self.endpoint.clone()).json(body).send().await.map_err(ClaudeError::from)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let request_id = text_header(&headers, "request-id");
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(ClaudeError::from)? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                let cost = Cost { usd: self.estimate(request), ..Cost::default() };
                return Err(ClaudeError::Unreadable { problem: format!("it is longer than {MAX_ANSWER} bytes"), request_id, cost }.into());
            }
            bytes.extend_from_slice(&chunk);
        }
        if status == 200 {
            return wire::reply(&bytes, request_id, |usage| match usage {
                Some(usage) => self.price.of(usage),
                None => Cost { usd: self.estimate(request), ..Cost::default() },
            })
            .map_err(Tried::from);
        }
        Err(wire::failure(status, &headers, &bytes))
    }

    fn limit(&self, request: &Request<'_>) -> u32 {
        request.max_tokens.unwrap_or(self.max_tokens).clamp(1, self.max_tokens)
    }
}

fn prompt_bytes(request: &Request<'_>) -> usize {
    request.system.len() + request.user.len() + request.schema.to_string().len()
}

/// The wait before the next try: what the other side asked for, or else our own. `None` where it is too long to sit out.
fn next_wait(asked: Option<Duration>, ours: Duration, deadline: Instant) -> Option<Duration> {
    let wait = asked.unwrap_or(ours);
    (wait <= MAX_WAIT && wait < deadline.saturating_duration_since(Instant::now())).then_some(wait)
}

fn endpoint(base_url: &str) -> Result<reqwest::Url, ClaudeError> {
    let url = format!("{}/v1/messages", base_url.trim_end_matches('/'));
    let bad = |problem: &str| ClaudeError::Config(format!("`base_url` {base_url:?} is not usable: {problem}; use https://host"));
    let url: reqwest::Url = url.parse().map_err(|_| bad("it is no URL"))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(bad("it is not http or https")) }
}

fn header(what: &str, value: &str) -> Result<HeaderValue, ClaudeError> {
    HeaderValue::from_str(value).map_err(|_| ClaudeError::Config(format!("{what} holds characters that no header may hold")))
}

fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(|text| text.chars().take(100).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Config { api_key: Some("sk-test".into()), ..Config::default() }
    }

    #[test]
    fn without_a_key_there_is_no_claude() {
        assert!(Claude::new(&Config::default()).unwrap().is_none());
    }

    #[test]
    fn unpriced_claude_is_refused() {
        let error = Claude::new(&Config { claude_model: "claude-nobody-1".to_owned(), ..config() }).unwrap_err();
        assert!(error.to_string().contains("claude-nobody-1"), "{error}");
    }

    #[test]
    fn bad_settings_are_named() {
        for base_url in ["", "not a url", "ftp://host", "file:///etc/passwd"] {
            assert!(
                matches!(Claude::new(&Config { base_url: base_url.to_owned(), ..config() }), Err(ClaudeError::Config(_))),
                "{base_url}"
            );
        }
        let error = Claude::new(&Config { api_key: Some("line\nbreak".into()), ..config() }).unwrap_err();
        assert!(error.to_string().contains("API key") && !error.to_string().contains("break"), "{error}");
    }

    #[test]
    fn endpoint_takes_a_trailing_slash() {
        assert_eq!(endpoint("http://127.0.0.1:9/").unwrap().as_str(), "http://127.0.0.1:9/v1/messages");
    }

    #[test]
    fn debug_never_shows_the_key() {
        let config = config();
        let shown = format!("{config:?} {:?}", Claude::new(&config).unwrap());
        assert!(!shown.contains("sk-test"), "{shown}");
    }

    #[test]
    fn estimate_is_above_what_is_billed() {
        let claude = Claude::new(&config()).unwrap().unwrap();
        let schema = serde_json::json!({});
        let request =
            Request { system: "s", user: "x".repeat(60_000), schema: &schema, max_tokens: Some(1_000_000), deadline: Instant::now() };
        // 20,000 tokens of prompt and the configured 16,000 of answer, at 2 and 10 dollars a million.
        assert!(claude.estimate(&request) > 0.2);
    }

    #[test]
    fn asked_wait_wins_unless_too_long() {
        let (ours, later) = (Duration::from_secs(4), Instant::now() + Duration::from_secs(30));
        assert_eq!(next_wait(None, ours, later), Some(ours));
        assert_eq!(next_wait(Some(Duration::from_secs(1)), ours, later), Some(Duration::from_secs(1)));
        assert_eq!(next_wait(Some(Duration::from_secs(31)), ours, later), None);
        assert_eq!(next_wait(Some(Duration::from_secs(61)), ours, Instant::now() + Duration::from_secs(3600)), None);
    }
}
