//! Hostile values for every route and every field: whatever is sent, the answer is one that the documentation knows.
//!
//! `ATTACK_SECONDS` makes a round as long; `ATTACK_SEED` repeats one.

use std::time::{Duration, Instant};

use odoo_agent::config::Quota;
use odoo_agent::domain::JobKind;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::manners::{Door, door};
use crate::support;

/// Requests of the short form.
const SHORT: usize = 400;

/// A route, with `{}` where an id stands, the parameters of its query and a body that it takes.
struct Route {
    method: Method,
    path: &'static str,
    query: &'static [&'static str],
    body: Option<Value>,
}

fn routes() -> Vec<Route> {
    let get = |path, query| Route { method: Method::GET, path, query, body: None };
    let post = |path, body| Route { method: Method::POST, path, query: &[], body: Some(body) };
    let job = |kind: JobKind, example: &str| json!({ "kind": kind.as_str(), "payload": serde_json::from_str::<Value>(example).unwrap() });
    let tool = |name: &str, arguments: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name, "arguments": arguments } });
    let search = json!({ "text": "ValueError: x", "filters": { "doc_type": ["core"], "module": "sale", "version": "19.0",
        "closure": "sale", "kind": ["method"] }, "limit": 5, "pack": 4000 });
    vec![
        Route {
            method: Method::POST,
            path: "/v1/ingest/odoo",
            query: &["release"],
            body: Some(json!([{ "message": support::log_of("p_tree") }])),
        },
        get("/v1/ingest/{}", &[]),
        get("/v1/groups", &["state", "module", "class", "limit", "after"]),
        get("/v1/groups/{}", &[]),
        post("/v1/groups/{}/split", json!({ "fingerprint": "0".repeat(64) })),
        post("/v1/groups/{}/state", json!({ "state": "ignored" })),
        get("/v1/tickets", &["state", "limit", "after"]),
        get("/v1/tickets/{}", &[]),
        post("/v1/tickets/{}/resolve", json!({ "resolution": "done", "correction": "--- a/m/x.py\n+++ b/m/x.py\n@@ -1 +1 @@\n-a\n+b\n" })),
        post("/v1/jobs", job(JobKind::DebugError, include_str!("../../jobs/debug_error/example.json"))),
        post("/v1/jobs", job(JobKind::Reindex, include_str!("../../jobs/reindex/example.json"))),
        post("/v1/jobs", job(JobKind::SearchKnowledge, include_str!("../../jobs/search_knowledge/example.json"))),
        get("/v1/jobs/{}", &[]),
        get("/v1/jobs/{}/events", &[]),
        post("/v1/search", search.clone()),
        get("/v1/definitions", &["kind", "name", "version"]),
        post("/mcp", tool("search_odoo_knowledge", search)),
        post("/mcp", tool("find_odoo_definitions", json!({ "kind": "method", "name": "a.b.c", "version": "19.0", "pack": 10 }))),
        get("/healthz", &[]),
        get("/readyz", &[]),
        get("/v1/nowhere", &[]),
    ]
}

/// Texts that have broken something somewhere.
const TEXTS: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "\u{feff}",
    "\u{202e}abc",
    "🦀",
    "é",
    "..",
    "../../etc/passwd",
    "/",
    "\\",
    "'",
    "\"",
    "';--",
    "%",
    "%s%n",
    "%00",
    "{}",
    "{{7*7}}",
    "${x}",
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "99999999999999999999",
    "NaN",
    "19.0",
    "19.00",
    "0.0",
    "zz",
    "open",
    "view",
    "method",
    "00000000-0000-0000-0000-000000000000",
    "not-a-uuid",
    "\n",
    "\r\nX: y",
    "\t",
    "$$",
    "()",
    "*",
    "|",
    "--- a\n+++ b\n",
    "<!DOCTYPE x>",
];

struct Hostile(StdRng);

impl Hostile {
    fn one_in(&mut self, n: u32) -> bool {
        self.0.random_ratio(1, n)
    }

    fn text(&mut self) -> String {
        match self.0.random_range(0..12) {
            0 => "a".repeat(self.0.random_range(1..70_000)),
            1 => "(".repeat(self.0.random_range(1..5_000)),
            2 => (0..self.0.random_range(1..40)).map(|_| char::from_u32(self.0.random_range(0..0x3000)).unwrap_or('\u{fffd}')).collect(),
            _ => (*TEXTS.choose(&mut self.0).unwrap()).to_owned(),
        }
    }

    fn value(&mut self, depth: u32) -> Value {
        match self.0.random_range(0..12) {
            0 => Value::Null,
            1 => json!(self.one_in(2)),
            2 => json!(*[0, 1, -1, i64::MAX, i64::MIN, 101, 1 << 32].choose(&mut self.0).unwrap()),
            3 => json!(*[0.5, -0.0, 1e308, 1e-308].choose(&mut self.0).unwrap()),
            4 if depth < 4 => (0..self.0.random_range(0..4)).map(|_| self.value(depth + 1)).collect(),
            5 if depth < 4 => (0..self.0.random_range(0..4)).map(|_| (self.text(), self.value(depth + 1))).collect::<Map<_, _>>().into(),
            6 => (0..2_500).map(|n| json!(n.to_string())).collect(),
            7 => json!((0..200).fold(Value::Null, |inner, _| json!([inner]))),
            _ => json!(self.text()),
        }
    }

    /// Changes one place of a value: another value, one less, one more.
    fn spoil(&mut self, value: &mut Value) {
        if self.one_in(6) {
            *value = self.value(0);
            return;
        }
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                let name = fields.keys().nth(self.0.random_range(0..fields.len())).unwrap().clone();
                match self.0.random_range(0..6) {
                    0 => drop(fields.remove(&name)),
                    1 => drop(fields.insert(self.text(), self.value(0))),
                    _ => self.spoil(fields.get_mut(&name).unwrap()),
                }
            }
            Value::Array(items) if !items.is_empty() => {
                let at = self.0.random_range(0..items.len());
                self.spoil(&mut items[at]);
            }
            other => *other = self.value(0),
        }
    }

    fn body(&mut self, template: &Value) -> Vec<u8> {
        let mut body = template.clone();
        for _ in 0..self.0.random_range(0..3) {
            self.spoil(&mut body);
        }
        let mut bytes = body.to_string().into_bytes();
        match self.0.random_range(0..12) {
            0 => bytes.truncate(self.0.random_range(0..bytes.len().max(1))),
            1 => {
                let at = self.0.random_range(0..=bytes.len());
                bytes.insert(at, self.0.random());
            }
            2 => bytes = (0..self.0.random_range(0..2_000)).map(|_| self.0.random()).collect(),
            3 => bytes = self.text().into_bytes(),
            _ => {}
        }
        bytes
    }

    /// A segment of a path, coded or not.
    fn segment(&mut self, known: &[String]) -> String {
        match self.0.random_range(0..6) {
            0 | 1 if !known.is_empty() => known.choose(&mut self.0).unwrap().clone(),
            2 => ["%ff%fe", "%00", "%2e%2e", "%C3", "%", "%zz", "a%2Fb"].choose(&mut self.0).unwrap().to_string(),
            3 => uuid::Uuid::new_v4().to_string(),
            _ => percent_coded(&self.text().chars().take(300).collect::<String>()),
        }
    }

    fn headers(&mut self) -> Vec<(HeaderName, HeaderValue)> {
        let names = [
            "content-type",
            "content-encoding",
            "idempotency-key",
            "last-event-id",
            "x-odoo-release",
            "traceparent",
            "accept",
            "x-request-id",
            "if-none-match",
            "range",
            "mcp-protocol-version",
            "mcp-session-id",
            "origin",
        ];
        let values: [&[u8]; 16] = [
            b"",
            b"gzip",
            b"br",
            b"identity",
            b"text/plain; charset=utf-16",
            b"application/json",
            b"application/x-ndjson",
            b"\xff\xfe",
            b"99999999999999999999",
            b"-1",
            b"0",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            b"*/*",
            b"a b c",
            b"bytes=0-",
            b"application/json, text/event-stream",
        ];
        let mut headers = Vec::new();
        for _ in 0..self.0.random_range(0..3) {
            let name = HeaderName::from_static(names.choose(&mut self.0).unwrap());
            headers.push((name, HeaderValue::from_bytes(values.choose(&mut self.0).unwrap()).unwrap()));
        }
        headers
    }
}

fn percent_coded(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// One request in the words of the test, for whoever has to repeat it.
struct Shown {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(600).collect();
        let path: String = self.path.chars().take(600).collect();
        write!(f, "{} {path} {:?}\n{body:?}", self.method, self.headers)
    }
}

async fn send(door: &Door, hostile: &mut Hostile, route: &Route, known: &[String]) -> Option<String> {
    let segment = hostile.segment(known);
    let mut path = route.path.replace("{}", &segment);
    let mut separator = '?';
    for name in route.query {
        if hostile.one_in(2) {
            path.push_str(&format!("{separator}{name}={}", percent_coded(&hostile.text().chars().take(500).collect::<String>())));
            separator = '&';
        }
    }
    let method = if hostile.one_in(20) {
        [Method::PUT, Method::DELETE, Method::GET, Method::POST].choose(&mut hostile.0).unwrap().clone()
    } else {
        route.method.clone()
    };
    let body = route.body.as_ref().map(|template| hostile.body(template)).unwrap_or_default();
    let mut headers = hostile.headers();
    if route.path == "/mcp" && !hostile.one_in(4) {
        headers = vec![
            (HeaderName::from_static("accept"), HeaderValue::from_static("application/json, text/event-stream")),
            (HeaderName::from_static("content-type"), HeaderValue::from_static("application/json")),
        ];
    }
    let shown = Shown { method, path, headers, body };
    let mut request = door.client.request(shown.method.clone(), format!("{}{}", door.url, shown.path)).bearer_auth(&door.key);
    for (name, value) in &shown.headers {
        request = request.header(name, value);
    }
    if !shown.body.is_empty() {
        request = request.body(shown.body.clone());
    }
    let answer = match tokio::time::timeout(Duration::from_secs(60), request.send()).await {
        Err(_) => return Some(format!("no answer after a minute: {shown}")),
        // A path that no client can send.
        Ok(Err(error)) if error.is_builder() => return None,
        Ok(Err(error)) => return Some(format!("{error:?}: {shown}")),
        Ok(Ok(answer)) => answer,
    };
    let status = answer.status();
    if status.is_server_error() {
        return Some(format!("{status}: {shown}"));
    }
    let is = |answer: &reqwest::Response, kind: &str| {
        answer.headers().get("content-type").is_some_and(|found| found.as_bytes().starts_with(kind.as_bytes()))
    };
    if is(&answer, "text/event-stream") {
        return None;
    }
    // The protocol of the tools has errors of its own form.
    let problem =
        status.is_client_error() && (route.path != "/mcp" || status == StatusCode::UNAUTHORIZED || status == StatusCode::PAYLOAD_TOO_LARGE);
    if problem && !is(&answer, "application/problem+json") {
        return Some(format!("{status} is no problem+json but {:?}: {shown}", answer.headers().get("content-type")));
    }
    let json = is(&answer, "application/json") || problem;
    let text = answer.text().await.unwrap_or_default();
    let read: Option<Value> = serde_json::from_str(&text).ok();
    if json && read.is_none() {
        return Some(format!("{status} is no JSON: {shown}"));
    }
    let says = |problem: &Value| {
        problem["status"] == status.as_u16() && problem["detail"].as_str().is_some_and(|detail| !detail.is_empty() && detail.len() < 4_000)
    };
    (problem && !read.is_some_and(|read| says(&read))).then(|| format!("{status} does not say what is wrong: {shown}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_of_any_field_breaks_a_route() {
    let door = door(|config| {
        let much = Quota { requests: 1 << 30, ingests: 1 << 30, bytes: 1 << 38 };
        (config.api.limits.tenant, config.api.limits.key) = (much, much);
        config.queue.ingest_max_bytes = 512 * 1024 * 1024;
        config.queue.jobs_max_bytes = 256 * 1024 * 1024;
    })
    .await;
    #[expect(clippy::disallowed_methods, reason = "how long it takes is told to the test from outside")]
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("ATTACK_SEED").unwrap_or(14);
    let seconds = number("ATTACK_SECONDS").unwrap_or(0);
    let (mut hostile, until) = (Hostile(StdRng::seed_from_u64(seed)), Instant::now() + Duration::from_secs(seconds));
    let routes = routes();
    let mut known = Vec::new();
    for body in
        [json!({ "kind": "search_knowledge", "payload": { "text": "x" } }), json!({ "kind": "debug_error", "payload": { "log": "x" } })]
    {
        let job: Value = door
            .client
            .post(format!("{}/v1/jobs", door.url))
            .bearer_auth(&door.key)
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        known.push(job["run_id"].as_str().unwrap().to_owned());
    }
    let (mut sent, mut faults) = (0, Vec::new());
    while (sent < SHORT || Instant::now() < until) && faults.len() < 10 {
        let route = &routes[sent % routes.len()];
        faults.extend(send(&door, &mut hostile, route, &known).await);
        sent += 1;
    }
    eprintln!("{sent} requests of seed {seed}");
    assert!(faults.is_empty(), "seed {seed}, {sent} requests:\n{}", faults.join("\n\n"));
    assert_eq!(door.client.get(format!("{}/readyz", door.url)).send().await.unwrap().status(), StatusCode::OK);
}
