//! A stand-in for the Messages API on this machine: it checks requests as strictly as the real one and plays a script of answers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

/// What is answered to one request.
#[derive(Debug, Clone)]
pub enum Script {
    /// An answer: this JSON as its text, and what it used.
    Ok(Value, Usage),
    /// An answer that ends for this reason, with this text.
    Stopped(&'static str, String, Usage),
    /// 429 with `retry-after` in seconds.
    RateLimited(u64),
    /// 429 without `retry-after`, for an account that may spend no more.
    SpendLimit,
    /// An error with this status: 529 is `overloaded_error`.
    Error(u16),
    /// These bytes with this status, whatever they are.
    Raw(u16, Vec<u8>),
    /// No answer for this long, then an empty one.
    Slow(Duration),
}

/// What an answer says it used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Tokens that no cache knew.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Tokens from the cache.
    pub cache_read: u64,
    /// Tokens into the cache.
    pub cache_write: u64,
}

/// One request as it came in, with the status it got.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, or null if it was no JSON.
    pub body: Value,
    /// What it was answered with; 0 while a slow answer is awaited.
    pub status: u16,
}

#[derive(Default)]
struct Shared {
    script: VecDeque<Script>,
    recorded: Vec<Recorded>,
}

/// The server. It ends when it is dropped.
pub struct FakeClaude {
    /// What goes into `base_url` or `ANTHROPIC_BASE_URL`.
    pub url: String,
    shared: Arc<Mutex<Shared>>,
    server: tokio::task::JoinHandle<()>,
}

impl FakeClaude {
    /// Starts on a free port of this machine. Without a script every request is answered with 500 and "do not try again".
    pub async fn start() -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let router = Router::new()
            .route("/v1/messages", post(messages))
            .layer(DefaultBodyLimit::max(32 * 1024 * 1024))
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, server }
    }

    /// Adds one answer to the script.
    pub fn reply(&self, script: Script) {
        lock(&self.shared).script.push_back(script);
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared).recorded.clone()
    }
}

impl Drop for FakeClaude {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn messages(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (index, script) = {
        let mut shared = lock(&shared);
        shared.recorded.push(Recorded { headers: headers.clone(), body: body.clone(), status: 0 });
        let index = shared.recorded.len() - 1;
        // A request that is refused uses up no answer.
        let script = match refused(&headers, &body) {
            Some((status, message)) => Err((status, message)),
            None => Ok(shared.script.pop_front()),
        };
        (index, script)
    };
    let response = match script {
        Err((status, message)) => error(status, &message, Value::Null, &[]),
        Ok(None) => error(500, "the script of the stand-in is at its end", Value::Null, &[("x-should-retry", "false".to_owned())]),
        Ok(Some(script)) => play(script, &body).await,
    };
    lock(&shared).recorded[index].status = response.status().as_u16();
    response
}

async fn play(script: Script, body: &Value) -> Response<Body> {
    match script {
        Script::Ok(answer, usage) => message(body, "end_turn", &answer.to_string(), usage),
        Script::Stopped(reason, text, usage) => message(body, reason, &text, usage),
        Script::RateLimited(seconds) => error(429, "too many tokens a minute", Value::Null, &[("retry-after", seconds.to_string())]),
        Script::SpendLimit => error(429, "spend limit", json!({ "error_code": "enforced_spend_limit_reached" }), &[]),
        Script::Error(status) => error(status, "scripted", Value::Null, &[]),
        Script::Raw(status, bytes) => response(status, bytes, &[]),
        Script::Slow(wait) => {
            tokio::time::sleep(wait).await;
            response(200, Vec::new(), &[])
        }
    }
}

fn message(body: &Value, stop_reason: &str, text: &str, usage: Usage) -> Response<Body> {
    let answer = json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": body["model"],
        "content": [{ "type": "thinking", "thinking": "…", "signature": "x" }, { "type": "text", "text": text }],
        "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {
            "input_tokens": usage.input, "output_tokens": usage.output,
            "cache_creation_input_tokens": usage.cache_write, "cache_read_input_tokens": usage.cache_read,
            "cache_creation": { "ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0 },
            "service_tier": "standard",
        },
    });
    response(200, answer.to_string().into_bytes(), &[])
}

fn error(status: u16, message: &str, details: Value, headers: &[(&str, String)]) -> Response<Body> {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let body = json!({ "type": "error", "error": { "type": kind, "message": message, "details": details }, "request_id": "req_fake" });
    response(status, body.to_string().into_bytes(), headers)
}

fn response(status: u16, body: Vec<u8>, headers: &[(&str, String)]) -> Response<Body> {
    let builder = Response::builder().status(StatusCode::from_u16(status).unwrap()).header("request-id", "req_fake");
    let builder = builder.header("content-type", "application/json");
    headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value)).body(Body::from(body)).unwrap()
}

/// What the real one would refuse at the door.
fn refused(headers: &HeaderMap, body: &Value) -> Option<(u16, String)> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("x-api-key").is_empty() && !header("authorization").starts_with("Bearer ") {
        return Some((401, "x-api-key header is required".to_owned()));
    }
    let problem = if !matches!(header("anthropic-version"), "2026-10-21" | "2023-06-01") {
        Some("anthropic-version: a known version is required".to_owned())
    } else if !header("content-type").starts_with("application/json") {
        Some("content-type: must be application/json".to_owned())
    } else {
        bad_field(body).or_else(|| bad_schema(&body["output_config"]["format"]))
    };
    problem.map(|problem| (400, problem))
}

fn bad_field(body: &Value) -> Option<String> {
    if let Some(name) = ["temperature", "top_p", "top_k"].into_iter().find(|name| body.get(name).is_some()) {
        return Some(format!("{name}: not supported in this version"));
    }
    if body["tool_choice"]["type"].as_str().is_some_and(|choice| choice != "auto" && choice != "none") {
        return Some("tool_choice: a forced choice is not supported by this Claude model".to_owned());
    }
    if body["model"].as_str().is_none_or(str::is_empty) {
        return Some("model: field required".to_owned());
    }
    if body["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0 || tokens > 128_000) {
        return Some("max_tokens: must be between 1 and 128000".to_owned());
    }
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let fits = |message: &Value| matches!(message["role"].as_str(), Some("user" | "assistant")) && !message["content"].is_null();
    if messages.is_empty() || messages[0]["role"] != "user" || !messages.iter().all(fits) {
        return Some("messages: at least one message, the first of the user".to_owned());
    }
    None
}

/// Structured output takes a subset of JSON Schema: closed objects, no limits of length or size.
fn bad_schema(format: &Value) -> Option<String> {
    if format.is_null() {
        return None;
    }
    if format["type"] != "json_schema" || !format["schema"].is_object() {
        return Some("output_config.format: type json_schema with a schema".to_owned());
    }
    let mut left = vec![&format["schema"]];
    while let Some(schema) = left.pop() {
        let unsupported = ["minLength", "maxLength", "minimum", "maximum", "multipleOf", "maxItems", "uniqueItems"];
        if let Some(word) = unsupported.into_iter().find(|word| schema.get(word).is_some()) {
            return Some(format!("output_config.format.schema: {word} is not supported"));
        }
        if schema["type"] == "object" && schema["additionalProperties"] != false {
            return Some("output_config.format.schema: additionalProperties must be false".to_owned());
        }
        left.extend(schema["properties"].as_object().into_iter().flat_map(serde_json::Map::values));
        left.extend(schema.get("items"));
    }
    None
}
