//! The shapes on the wire: version 2026-10-21 of the Messages API. Pure: values in, values out.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ClaudeError, Reply, Request, Tried, text_header};
use crate::domain::Cost;

/// The longest wait that is believed.
const LONGEST_WAIT: f64 = 24.0 * 3600.0;

/// The request body. Sampling parameters and a forced tool choice are refused by newer Claude models, so the JSON comes by schema.
pub(super) fn body(claude_model: &str, max_tokens: u32, request: &Request<'_>) -> Value {
    json!({
        "model": claude_model,
        "max_tokens": max_tokens,
        "system": [{ "type": "text", "text": request.system, "cache_control": { "type": "ephemeral" } }],
        "messages": [{ "role": "user", "content": request.user }],
        "output_config": { "format": { "type": "json_schema", "schema": request.schema } },
    })
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Vec<Block>,
    stop_reason: Option<String>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

/// What the API says it counted. Fields may be absent or null.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

/// The same, as numbers that can be added without overflow.
pub(super) struct Counts {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_write: u64,
    pub(super) cache_read: u64,
}

impl Usage {
    pub(super) fn counts(self) -> Counts {
        let count = |tokens: Option<u64>| tokens.unwrap_or(0).min(1 << 40);
        Counts {
            input: count(self.input_tokens),
            output: count(self.output_tokens),
            cache_write: count(self.cache_creation_input_tokens),
            cache_read: count(self.cache_read_input_tokens),
        }
    }
}

/// Reads an answer with status 200; `price` also prices one that does not say what it used.
pub(super) fn reply(bytes: &[u8], request_id: Option<String>, price: impl Fn(Option<&Usage>) -> Cost) -> Result<Reply, ClaudeError> {
    let message: Message = match serde_json::from_slice(bytes) {
        Ok(message) => message,
        Err(error) => return Err(ClaudeError::Unreadable { problem: format!("it is no message: {error}"), request_id, cost: price(None) }),
    };
    let cost = price(message.usage.as_ref());
    let stop_reason = message.stop_reason.unwrap_or_else(|| "end_turn".to_owned());
    match stop_reason.as_str() {
        "end_turn" | "stop_sequence" => {}
        "max_tokens" => return Err(ClaudeError::Truncated { cost }),
        "refusal" => return Err(ClaudeError::Refused { cost }),
        "model_context_window_exceeded" => return Err(ClaudeError::ContextExceeded { cost }),
        other => return Err(ClaudeError::Stopped { reason: short(other), cost }),
    }
    let text: String = message.content.iter().filter(|block| block.kind == "text").map(|block| block.text.as_str()).collect();
    match serde_json::from_str(&text) {
        Ok(json) => Ok(Reply { json, cost, stop_reason, request_id }),
        Err(error) => Err(ClaudeError::Unreadable { problem: format!("its text is no JSON: {error}"), request_id, cost }),
    }
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorDetail,
}

#[derive(Default, Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Value,
}

/// Reads an answer with any other status.
pub(super) fn failure(status: u16, headers: &HeaderMap, bytes: &[u8]) -> Tried {
    let body: ErrorBody = serde_json::from_slice(bytes).unwrap_or_default();
    let request_id = text_header(headers, "request-id").map_or_else(String::new, |id| format!(" (request {})", short(&id)));
    let message = format!("{}{request_id}", short(&body.error.message));
    let spend_limit = body.error.details.get("error_code").and_then(Value::as_str) == Some("enforced_spend_limit_reached");
    let error = match status {
        402 => ClaudeError::SpendLimit(message),
        429 if spend_limit => ClaudeError::SpendLimit(message),
        401 | 403 => ClaudeError::Config(format!("the API key is refused with status {status}: {message}; check ANTHROPIC_API_KEY")),
        404 => ClaudeError::Config(format!("not found: {message}; check `base_url` and `claude_model`")),
        300..=399 => ClaudeError::Config(format!("`base_url` redirects with status {status}; give the address that it leads to")),
        408 | 409 | 429 | 500.. => ClaudeError::Busy { status, message, retry_after: retry_after(headers) },
        _ => ClaudeError::BadRequest { status, message },
    };
    let again = match text_header(headers, "x-should-retry").as_deref() {
        Some("false") => false,
        Some("true") => !matches!(error, ClaudeError::SpendLimit(_)),
        _ => matches!(error, ClaudeError::Busy { .. }),
    };
    Tried { error, again }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = text_header(headers, "retry-after")?;
    let seconds = text.trim().parse::<f64>().ok().or_else(|| {
        let when = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?;
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

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (reqwest::header::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn free(_: Option<&Usage>) -> Cost {
        Cost::default()
    }

    #[test]
    fn thinking_is_not_part_of_the_answer() {
        let body = br#"{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"{\"a\":"},{"type":"text","text":"1}"}],"stop_reason":"end_turn"}"#;
        assert_eq!(reply(body, None, free).unwrap().json, json!({"a": 1}));
    }

    #[test]
    fn every_stop_reason_has_a_name() {
        let stopped = |reason: &str| {
            reply(json!({"content": [], "stop_reason": reason, "usage": {"input_tokens": null}}).to_string().as_bytes(), None, free)
                .unwrap_err()
        };
        assert!(matches!(stopped("max_tokens"), ClaudeError::Truncated { .. }));
        assert!(matches!(stopped("refusal"), ClaudeError::Refused { .. }));
        assert!(matches!(stopped("model_context_window_exceeded"), ClaudeError::ContextExceeded { .. }));
        assert!(matches!(stopped("pause_turn"), ClaudeError::Stopped { .. }));
        assert!(matches!(stopped("tool_use"), ClaudeError::Stopped { .. }));
        assert!(matches!(stopped("end_turn"), ClaudeError::Unreadable { .. }));
    }

    #[test]
    fn garbage_is_never_a_reply() {
        for bytes in [&b""[..], b"null", b"[]", b"{", b"\xff\xfe", b"<html>", br#"{"content":"text"}"#, br#"{"usage":{"input_tokens":-1}}"#]
        {
            assert!(matches!(reply(bytes, None, free), Err(ClaudeError::Unreadable { .. })), "{bytes:?}");
            assert!(matches!(failure(500, &HeaderMap::new(), bytes).error, ClaudeError::Busy { status: 500, .. }));
        }
    }

    #[test]
    fn statuses_say_whether_to_try_again() {
        let again = |status| failure(status, &HeaderMap::new(), b"{}").again;
        assert!([408, 409, 429, 500, 504, 529].into_iter().all(again));
        assert!(![302, 400, 401, 402, 403, 404, 413, 422].into_iter().any(again));
        assert!(!failure(529, &headers(&[("x-should-retry", "false")]), b"").again);
        assert!(failure(422, &headers(&[("x-should-retry", "true")]), b"").again);
        assert!(!failure(402, &headers(&[("x-should-retry", "true")]), b"").again);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |text: &str| retry_after(&headers(&[("retry-after", text)]));
        assert_eq!(wait("2"), Some(Duration::from_secs(2)));
        assert_eq!(wait("1e300"), Some(Duration::from_secs(86_400)));
        assert!(wait(&(chrono::Utc::now() + chrono::Duration::seconds(90)).to_rfc2822()).unwrap() >= Duration::from_secs(80));
        for garbage in ["", "soon", "-1", "NaN", "inf"] {
            assert_eq!(wait(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn message_of_the_api_is_cut() {
        let body = json!({"error": {"message": format!("a\n{}", "x".repeat(10_000))}}).to_string();
        assert!(failure(400, &HeaderMap::new(), body.as_bytes()).error.to_string().len() < 500);
    }
}
