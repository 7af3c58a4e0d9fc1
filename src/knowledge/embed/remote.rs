//! An embedder behind HTTP. What is sent leaves the machine, so it is used only where the settings name it.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::wire::{Form, Role, failure};
use super::{Config, EmbedError, Embedded, Kind};
use crate::domain::Cost;

/// The most bytes of one text that are sent. A token has at least one byte, so no text is longer than the 8,000 tokens that the APIs take.
const MAX_TEXT: usize = 8_000;
/// The most bytes of texts in one request, for the same reason: Voyage takes 120,000 tokens.
const MAX_REQUEST: usize = 100_000;
/// The most texts in one request; Voyage takes 1,000.
const MAX_BATCH: usize = 1_000;
/// The highest price of a million tokens that is believed: one more digit than was meant must not make bills that no account can hold.
const MAX_PRICE: f64 = 10_000.0;
/// Tokens that an API may put before and after a text.
const AROUND: usize = 64;
/// Bytes of an answer that a number, and a vector beside its numbers, may take.
const NUMBER_BYTES: usize = 40;
const ITEM_BYTES: usize = 4 * 1024;
/// The longest wait between two tries that is sat out here; a longer one goes back to the queue, which keeps no worker waiting.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The longest that setting up a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection to an API that makes vectors.
#[derive(Debug)]
pub struct RemoteEmbedder {
    name: String,
    form: Form,
    http: reqwest::Client,
    endpoint: reqwest::Url,
    batch: usize,
    timeout: Duration,
    max_retries: usize,
    usd_per_token: f64,
}

/// What an API offers where the settings say nothing.
struct Offer {
    base_url: &'static str,
    api_name: &'static str,
    dims: usize,
    usd_per_million: f64,
}

const VOYAGE: Offer = Offer { base_url: "https://api.voyageai.com/v1", api_name: "voyage-code-3", dims: 1024, usd_per_million: 0.18 };
const OPENAI: Offer =
    Offer { base_url: "https://api.openai.com/v1", api_name: "text-embedding-3-small", dims: 1536, usd_per_million: 0.02 };

impl RemoteEmbedder {
    /// A connection as configured. The process needs a rustls provider installed before this is called.
    pub fn new(config: &Config) -> Result<Self, EmbedError> {
        let (offer, key) = match config.kind {
            Kind::Voyage => (VOYAGE, &config.voyage_api_key),
            _ => (OPENAI, &config.openai_api_key),
        };
        if key.is_none() && config.base_url.is_none() {
            let variable = if config.kind == Kind::Voyage { "VOYAGE_API_KEY" } else { "OPENAI_API_KEY" };
            return Err(EmbedError::Config(format!("there is no API key; set {variable}, or use `kind = \"local\"`")));
        }
        let api_name = config.api_name.clone().unwrap_or_else(|| offer.api_name.to_owned());
        let dims = config.dims.unwrap_or(offer.dims);
        if !(1..=16_000).contains(&dims) {
            return Err(EmbedError::Config("`dims` must be 1 to 16000".to_owned()));
        }
        let listed = if api_name == offer.api_name { offer.usd_per_million } else { 0.0 };
        let price = config.usd_per_million_tokens.unwrap_or(listed);
        // NaN lies in no range.
        if !(0.0..=MAX_PRICE).contains(&price) {
            return Err(EmbedError::Config(format!("`usd_per_million_tokens` must be 0 to {MAX_PRICE}")));
        }
        let timeout = Duration::from_secs(config.timeout_seconds.max(1));
        Ok(Self {
            name: config.name_or(&stored(&api_name, dims))?,
            http: client(key.as_ref(), timeout)?,
            endpoint: endpoint(config.base_url.as_deref().unwrap_or(offer.base_url))?,
            form: Form { kind: config.kind, api_name, dims, send_dims: config.send_dims },
            batch: config.batch.clamp(1, MAX_BATCH),
            timeout,
            max_retries: config.max_retries,
            usd_per_token: price / 1e6,
        })
    }

    /// Name and version, as stored.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many numbers a vector has.
    pub fn dims(&self) -> usize {
        self.form.dims
    }

    /// Whether what it makes costs money.
    pub fn has_price(&self) -> bool {
        self.usd_per_token > 0.0
    }

    /// The most US dollars that the vector of one text costs: a token has at least one byte.
    pub fn at_most(&self, text: &str) -> f64 {
        (text.len().min(MAX_TEXT) + AROUND) as f64 * self.usd_per_token
    }

    /// One vector a text, in as many requests as the API's limits ask for, one after another.
    pub async fn embed(&self, texts: &[&str], role: Role) -> Result<Embedded, EmbedError> {
        // The APIs refuse a text of nothing.
        let texts: Vec<&str> = texts
            .iter()
            .map(|text| &text[..text.floor_char_boundary(MAX_TEXT)])
            .map(|text| if text.trim().is_empty() { "-" } else { text })
            .collect();
        let mut all = Embedded::default();
        let mut rest = &texts[..];
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(batch_length(rest, self.batch));
            match self.request(batch, role).await {
                Ok(some) => {
                    all.vectors.extend(some.vectors);
                    all.cost += some.cost;
                }
                Err(source) if all.cost == Cost::default() => return Err(source),
                Err(source) => return Err(EmbedError::Partly { source: Box::new(source), cost: all.cost }),
            }
            rest = later;
        }
        Ok(all)
    }

    async fn request(&self, texts: &[&str], role: Role) -> Result<Embedded, EmbedError> {
        let body = self.form.body(texts, role);
        let waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(16))
            .with_max_times(self.max_retries)
            .with_jitter();
        (|| self.attempt(&body, texts))
            .retry(waits)
            .when(EmbedError::passes)
            .adjust(|error, wait| next_wait(error.retry_after(), wait?))
            .notify(|error, wait| tracing::debug!(%error, ?wait, "the embedder is asked again"))
            .await
    }

    async fn attempt(&self, body: &Value, texts: &[&str]) -> Result<Embedded, EmbedError> {
        let exchange = self.exchange(body, texts);
        let late = |_| EmbedError::Timeout { seconds: self.timeout.as_secs() };
        tokio::time::timeout(self.timeout, exchange).await.map_err(late)?
    }

    async fn exchange(&self, body: &Value, texts: &[&str]) -> Result<Embedded, EmbedError> {
        let mut response = self.http.post(self.endpoint.clone()).json(body).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let most = (texts.len() + 1) * (self.form.dims * NUMBER_BYTES + ITEM_BYTES);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if bytes.len() + chunk.len() > most {
                return Err(EmbedError::Unreadable { problem: format!("it is longer than {most} bytes"), cost: self.cost(None, texts) });
            }
            bytes.extend_from_slice(&chunk);
        }
        if status != 200 {
            return Err(failure(status, &headers, &bytes));
        }
        let (vectors, used) = self.form.vectors(&bytes, texts.len());
        let cost = self.cost(used, texts);
        match vectors {
            Ok(vectors) => Ok(Embedded { vectors, cost }),
            Err(problem) => Err(EmbedError::Unreadable { problem, cost }),
        }
    }

    /// An answer that does not say what it used is counted with a token for every three bytes.
    fn cost(&self, used: Option<u64>, texts: &[&str]) -> Cost {
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let tokens = used.unwrap_or_else(|| u64::try_from(bytes.div_ceil(3)).unwrap_or(u64::MAX));
        Cost { usd: tokens as f64 * self.usd_per_token, input_tokens: tokens, ..Cost::default() }
    }
}

fn client(key: Option<&SecretString>, timeout: Duration) -> Result<reqwest::Client, EmbedError> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()));
        let mut value = value.map_err(|_| EmbedError::Config("the API key holds characters that no header may hold".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    reqwest::Client::builder()
        .default_headers(headers)
        .user_agent(concat!("odoo-agent/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT.min(timeout))
        // A redirect would carry the key to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| EmbedError::Config(format!("the HTTP client cannot be set up: {error}")))
}

fn endpoint(base_url: &str) -> Result<reqwest::Url, EmbedError> {
    let bad = |problem: &str| EmbedError::Config(format!("`base_url` {base_url:?} is not usable: {problem}; use https://host/v1"));
    let url: reqwest::Url = format!("{}/embeddings", base_url.trim_end_matches('/')).parse().map_err(|_| bad("it is no URL"))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(bad("it is not http or https")) }
}

/// A name fit to be stored: `Org/Name` of 512 numbers becomes `org-name@512`.
fn stored(api_name: &str, dims: usize) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c.to_ascii_lowercase() } else { '-' };
    let name: String = api_name.chars().map(fits).take(50).collect();
    format!("{name}@{dims}")
}

/// How many of the next texts fit into one request; at least one.
fn batch_length(texts: &[&str], most: usize) -> usize {
    let mut bytes = 0;
    let fits = texts.iter().take(most).take_while(|text| {
        bytes += text.len();
        bytes <= MAX_REQUEST
    });
    fits.count().max(1)
}

/// The wait before the next try: what the other side asked for, or else our own. `None` where it is too long to sit out.
fn next_wait(asked: Option<Duration>, ours: Duration) -> Option<Duration> {
    let wait = asked.unwrap_or(ours);
    (wait <= MAX_WAIT).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Config { kind: Kind::Voyage, voyage_api_key: Some("pa-secret".into()), ..Config::default() }
    }

    #[test]
    fn each_kind_has_its_defaults() {
        let voyage = RemoteEmbedder::new(&config()).unwrap();
        assert_eq!(
            (voyage.name(), voyage.dims(), voyage.endpoint.as_str()),
            ("voyage-code-3@1024", 1024, "https://api.voyageai.com/v1/embeddings")
        );
        let own = Config {
            kind: Kind::OpenAi,
            base_url: Some("http://localhost:1/v1/".to_owned()),
            api_name: Some("Org/E5".to_owned()),
            ..config()
        };
        let own = RemoteEmbedder::new(&own).unwrap();
        assert_eq!((own.name(), own.dims(), own.endpoint.as_str()), ("org-e5@1536", 1536, "http://localhost:1/v1/embeddings"));
        assert_eq!(own.cost(Some(9), &[]), Cost { input_tokens: 9, ..Cost::default() });
    }

    #[test]
    fn bad_settings_are_named() {
        let refused = |config: Config| RemoteEmbedder::new(&config).unwrap_err().to_string();
        assert!(refused(Config { voyage_api_key: None, ..config() }).contains("VOYAGE_API_KEY"));
        assert!(refused(Config { dims: Some(0), ..config() }).contains("dims"));
        assert!(refused(Config { usd_per_million_tokens: Some(-1.0), ..config() }).contains("usd_per_million_tokens"));
        for base_url in ["", "ftp://host", "file:///etc/passwd"] {
            assert!(refused(Config { base_url: Some(base_url.to_owned()), ..config() }).contains("base_url"), "{base_url}");
        }
        let key = refused(Config { voyage_api_key: Some("line\nbreak".into()), ..config() });
        assert!(key.contains("API key") && !key.contains("break"), "{key}");
    }

    #[test]
    fn key_is_never_shown() {
        let shown = format!("{:?} {:?}", config(), RemoteEmbedder::new(&config()).unwrap());
        assert!(!shown.contains("pa-secret"), "{shown}");
    }

    #[test]
    fn batches_keep_to_both_limits() {
        let long = "x".repeat(60_000);
        assert_eq!(batch_length(&["a", "b", "c"], 2), 2);
        assert_eq!(batch_length(&[&long, "b", &long], 100), 2);
        assert_eq!(batch_length(&[&long.repeat(3)], 100), 1);
    }

    #[test]
    fn long_wait_is_left_to_the_queue() {
        let ours = Duration::from_secs(1);
        assert_eq!(next_wait(None, ours), Some(ours));
        assert_eq!(next_wait(Some(Duration::from_secs(30)), ours), Some(Duration::from_secs(30)));
        assert_eq!(next_wait(Some(Duration::from_secs(61)), ours), None);
    }
}
