//! The shapes on the wire: Voyage's and OpenAI's `/embeddings`. Pure: values in, values out.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{EmbedError, Kind, normalised};

/// The longest wait that is believed.
const LONGEST_WAIT: f64 = 24.0 * 3600.0;
/// The most tokens that an answer is believed to have used for one text: no API reads more of one.
const MOST_TOKENS: u64 = 1 << 15;

/// What a text is for; Voyage tells the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is to be found.
    Document,
    /// It finds others.
    Query,
}

/// What all requests of an embedder have in common.
#[derive(Debug, Clone)]
pub struct Form {
    /// Whose words are spoken.
    pub kind: Kind,
    /// What the API calls the embedder.
    pub api_name: String,
    /// How many numbers a vector has.
    pub dims: usize,
    /// Whether that is sent along.
    pub send_dims: bool,
}

impl Form {
    /// The request body.
    pub fn body(&self, texts: &[&str], role: Role) -> Value {
        let mut body = json!({ "model": self.api_name, "input": texts });
        if self.kind == Kind::Voyage {
            body["input_type"] = json!(if role == Role::Query { "query" } else { "document" });
            body["truncation"] = json!(true);
        } else {
            body["encoding_format"] = json!("float");
        }
        if self.send_dims {
            body[if self.kind == Kind::Voyage { "output_dimension" } else { "dimensions" }] = json!(self.dims);
        }
        body
    }

    /// Reads an answer with status 200: the vectors in the order of the texts, and the tokens that it says it used. The tokens come also with
    /// an answer that is no use, because they are billed. A number that cannot be true is as good as none: nobody is charged for it.
    pub fn vectors(&self, bytes: &[u8], count: usize) -> (Result<Vec<Vec<f32>>, String>, Option<u64>) {
        let answer: Answer = match serde_json::from_slice(bytes) {
            Ok(answer) => answer,
            Err(error) => return (Err(format!("it is no list of vectors: {error}")), None),
        };
        let most = MOST_TOKENS.saturating_mul(count as u64);
        let said = ["total_tokens", "prompt_tokens"].into_iter().find_map(|name| answer.usage[name].as_u64());
        let used = said.filter(|tokens| *tokens <= most);
        (self.sorted(answer.data, count), used)
    }

    fn sorted(&self, data: Vec<Item>, count: usize) -> Result<Vec<Vec<f32>>, String> {
        if data.len() != count {
            return Err(format!("{} vectors for {count} texts", data.len()));
        }
        let mut vectors: Vec<Option<Vec<f32>>> = vec![None; count];
        for (place, item) in data.into_iter().enumerate() {
            let index = item.index.unwrap_or(place);
            if item.embedding.len() != self.dims {
                return Err(format!(
                    "a vector of {} numbers, not {}; set `dims` to what the embedder gives",
                    item.embedding.len(),
                    self.dims
                ));
            }
            if item.embedding.iter().any(|x| !x.is_finite()) || item.embedding.iter().all(|x| *x == 0.0) {
                return Err("a vector without a direction".to_owned());
            }
            match vectors.get_mut(index) {
                Some(free @ None) => *free = Some(normalised(item.embedding)),
                _ => return Err(format!("the index {index} is used twice or belongs to no text")),
            }
        }
        Ok(vectors.into_iter().flatten().collect())
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Item {
    embedding: Vec<f32>,
    index: Option<usize>,
}

/// Reads an answer with any other status.
pub fn failure(status: u16, headers: &HeaderMap, bytes: &[u8]) -> EmbedError {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = [&body["error"]["message"], &body["detail"], &body["message"], &body["error"]].into_iter().find_map(Value::as_str);
    let message = short(text.unwrap_or_default());
    // OpenAI says 429 also where no waiting helps.
    let no_money = [&body["error"]["code"], &body["error"]["type"]].into_iter().any(|word| word == "insufficient_quota");
    match status {
        402 => EmbedError::SpendLimit(message),
        429 if no_money => EmbedError::SpendLimit(message),
        401 | 403 => {
            EmbedError::Config(format!("the API key is refused with status {status}: {message}; check VOYAGE_API_KEY or OPENAI_API_KEY"))
        }
        404 => EmbedError::Config(format!("not found: {message}; check `base_url` and `api_name`")),
        300..=399 => EmbedError::Config(format!("`base_url` redirects with status {status}; give the address that it leads to")),
        408 | 409 | 429 | 500.. => EmbedError::Busy { status, message, retry_after: retry_after(headers) },
        _ => EmbedError::BadRequest { status, message },
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let seconds = text.parse::<f64>().ok().or_else(|| {
        let when = chrono::DateTime::parse_from_rfc2822(text).ok()?;
        Some((when.timestamp() - chrono::Utc::now().timestamp()) as f64)
    })?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST_WAIT)))
}

/// What the other side writes goes into our logs: one bounded line of it.
fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(kind: Kind) -> Form {
        Form { kind, api_name: "e-1".to_owned(), dims: 2, send_dims: true }
    }

    #[test]
    fn each_api_gets_its_own_words() {
        let voyage = form(Kind::Voyage).body(&["a"], Role::Query);
        assert_eq!(voyage, json!({"model": "e-1", "input": ["a"], "input_type": "query", "truncation": true, "output_dimension": 2}));
        let plain = Form { send_dims: false, ..form(Kind::OpenAi) }.body(&["a"], Role::Document);
        assert_eq!(plain, json!({"model": "e-1", "input": ["a"], "encoding_format": "float"}));
        assert_eq!(form(Kind::OpenAi).body(&[], Role::Query)["dimensions"], 2);
    }

    #[test]
    fn vectors_come_in_order_of_texts() {
        let answer = json!({"data": [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}], "usage": {"total_tokens": 7}});
        let (vectors, used) = form(Kind::Voyage).vectors(answer.to_string().as_bytes(), 2);
        assert_eq!((vectors.unwrap(), used), (vec![vec![0.6, 0.8], vec![0.0, 1.0]], Some(7)));
    }

    #[test]
    fn counts_that_cannot_be_true_are_not_believed() {
        let used = |usage: &str| {
            let answer = format!(r#"{{"data": [{{"embedding": [3, 4]}}], "usage": {usage}}}"#);
            let (vectors, used) = form(Kind::OpenAi).vectors(answer.as_bytes(), 1);
            assert_eq!(vectors.unwrap(), [[0.6, 0.8]], "{usage}");
            used
        };
        for count in ["-1", "1.5", "1e30", "32769", "18446744073709551615", "18446744073709551616", "\"7\"", "null", "[]", "true"] {
            assert_eq!(used(&format!(r#"{{"total_tokens": {count}}}"#)), None, "{count}");
        }
        for usage in ["null", "7", "[]", "\"x\"", "{}"] {
            assert_eq!(used(usage), None, "{usage}");
        }
        assert_eq!(used(r#"{"total_tokens": -1, "prompt_tokens": 7}"#), Some(7));
        assert_eq!(used(r#"{"total_tokens": 32768}"#), Some(32_768));
        let nan = br#"{"data": [{"embedding": [3, 4]}], "usage": {"total_tokens": NaN}}"#;
        assert!(matches!(form(Kind::OpenAi).vectors(nan, 1), (Err(_), None)));
    }

    #[test]
    fn answers_that_do_not_fit_are_refused() {
        for data in [
            r"[]",
            r#"[{"index": 0, "embedding": [1]}]"#,
            r#"[{"index": 1, "embedding": [1, 2]}]"#,
            r#"[{"index": -1, "embedding": [1, 2]}]"#,
            r#"[{"index": 0, "embedding": [0, 0]}]"#,
            r#"[{"index": 0, "embedding": [1e39, 0]}]"#,
            r#"[{"index": 0, "embedding": ["1", 0]}]"#,
            r#"[{"index": 0, "embedding": "AAAA"}]"#,
            r#"[{"index": 0, "embedding": [1, 2]}, {"index": 0, "embedding": [1, 2]}]"#,
            "null",
        ] {
            let answer = format!(r#"{{"data": {data}}}"#);
            assert!(form(Kind::OpenAi).vectors(answer.as_bytes(), 1).0.is_err(), "{data}");
        }
        assert!(form(Kind::OpenAi).vectors(&[0xff; 64], 1).0.is_err());
    }

    #[test]
    fn statuses_tell_whether_to_try_again() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "2".parse().unwrap());
        let passes = |status, body: &[u8]| failure(status, &headers, body).passes();
        assert!(passes(429, b"") && passes(503, b"<html>") && passes(500, &[0xff]));
        assert!(!passes(400, b"") && !passes(401, b"") && !passes(429, br#"{"error": {"code": "insufficient_quota"}}"#));
        assert_eq!(failure(429, &headers, b"").retry_after(), Some(Duration::from_secs(2)));
        assert_eq!(
            failure(400, &headers, br#"{"detail": "too\nlong"}"#).to_string(),
            "the embedder refuses the request with status 400: too long"
        );
    }
}
