//! Manners of the HTTP door: slow, many, large and coded requests; refusals that are heard; limits over all replicas.

use std::time::Duration;

use async_compression::Level;
use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZstdEncoder};
use odoo_agent::api;
use odoo_agent::app::App;
use odoo_agent::config::{Config, Quota};
use odoo_agent::tenants::keys;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{self, TestApp};

/// Far longer than anything here takes; a test that hangs is to fail.
const PATIENCE: Duration = Duration::from_secs(60);
const MIB: usize = 1024 * 1024;

/// An API over real servers, stopped when dropped.
pub struct Door {
    pub test: TestApp,
    pub url: String,
    pub key: String,
    pub client: Client,
    _stop: DropGuard,
}

pub async fn door(change: impl FnOnce(&mut Config)) -> Door {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let test = support::app(&[], change).await;
    let stop = CancellationToken::new();
    let url = serve(&test.app, &stop).await;
    let key = key_of(&test, "acme").await;
    Door { test, url, key, client: Client::new(), _stop: stop.drop_guard() }
}

/// One more replica of the API; its address.
async fn serve(app: &App, stop: &CancellationToken) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(api::serve(app.clone(), listener, stop.clone().cancelled_owned()));
    url
}

pub async fn key_of(test: &TestApp, tenant: &str) -> String {
    let (_, key) = keys::create(&test.app.db, &support::tenant(tenant), "test").await.unwrap();
    key.expose_secret().to_owned()
}

impl Door {
    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key)
    }

    async fn search(&self, body: Value) -> Response {
        self.post("/v1/search").json(&body).send().await.unwrap()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.url.trim_start_matches("http://")).await.unwrap()
    }

    /// The head of a request that brings raw events.
    fn ingest_head(&self, key: &str, length: usize) -> String {
        let host = self.url.trim_start_matches("http://");
        format!("POST /v1/ingest/odoo HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}\r\n\r\n")
    }
}

pub async fn problem(response: Response, status: StatusCode) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status.as_u16());
    assert!(!problem["detail"].as_str().unwrap().is_empty());
    problem
}

/// What the server says until it closes the connection. A reset after that is no news.
async fn said(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the server closes the connection");
    assert!(read.is_ok() || !said.is_empty(), "{read:?}");
    String::from_utf8_lossy(&said).into_owned()
}

/// The first line of the answer.
async fn status_line(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n") {
        said.push(tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("an answer comes").expect("an answer comes"));
    }
    String::from_utf8_lossy(&said).trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_header_is_not_waited_for_without_end() {
    let door = door(|config| config.api.header_timeout = 1).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow").await.unwrap();
    assert!(!said(&mut stream).await.contains(" 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_body_is_refused_and_its_connection_closed() {
    let door = door(|config| config.api.body_timeout = 1).await;
    let mut stream = door.connect().await;
    stream.write_all(door.ingest_head(&door.key, MIB).as_bytes()).await.unwrap();
    stream.write_all(b"2026").await.unwrap();
    let said = said(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("came too slowly"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_requests_without_a_key_hold_up_nobody() {
    let door = door(|config| {
        config.api.max_connections = 16;
        // What helps is the bound, not that they end.
        config.api.header_timeout = 3600;
        config.api.body_timeout = 3600;
    })
    .await;
    let mut open = Vec::new();
    for n in 0..64 {
        let mut stream = door.connect().await;
        let half = if n % 2 == 0 { "GET /healthz HTTP/1.1\r\nX-Half".to_owned() } else { door.ingest_head("oak_wrong", MIB) };
        // One that was cut already takes no more.
        let _ = stream.write_all(half.as_bytes()).await;
        open.push(stream);
        if n % 8 == 0 {
            let alive = tokio::time::timeout(PATIENCE, Client::new().get(format!("{}/healthz", door.url)).send()).await;
            assert_eq!(alive.expect("others are served").unwrap().status(), StatusCode::OK);
            let found = Client::new().get(format!("{}/v1/groups", door.url)).bearer_auth(&door.key).send();
            assert_eq!(tokio::time::timeout(PATIENCE, found).await.expect("others are served").unwrap().status(), StatusCode::OK);
        }
    }
}

/// The program with so few files that half requests use them up, as with the usual limit of 1,024.
#[tokio::test(flavor = "multi_thread")]
async fn program_that_may_open_few_files_goes_on_serving() {
    let test = support::app(&[], |_| {}).await;
    let program = test.command(&["serve"]);
    let mut command = tokio::process::Command::new("bash");
    command.args(["-c", "ulimit -Sn 200; ulimit -Hn 320; exec \"$0\" serve"]).arg(program.get_program());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(program.get_current_dir().unwrap());
    command.env("ODOO_AGENT_API__BIND", "127.0.0.1:0").env("ODOO_AGENT_TELEMETRY__FILTER", "error");
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("the program says its address").unwrap().unwrap();
        if let Some((_, address)) = line.split_once("http://") {
            break address.trim().to_owned();
        }
    };
    let log = tokio::spawn(async move {
        let mut said = Vec::new();
        while let Ok(Some(line)) = lines.next_line().await {
            said.push(line);
        }
        said
    });
    let mut open = Vec::new();
    for n in 0..400 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nX-Half").await;
        open.push(stream);
        if n % 50 == 0 {
            let alive = tokio::time::timeout(PATIENCE, Client::new().get(format!("http://{address}/healthz")).send()).await;
            assert_eq!(alive.expect("others are served").unwrap().status(), StatusCode::OK);
        }
    }
    child.kill().await.unwrap();
    let said = log.await.unwrap();
    assert!(said.iter().all(|line| !line.contains("could not be accepted")), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_is_heard_by_a_client_that_is_still_sending() {
    let door = door(|_| {}).await;
    let body = vec![b'x'; 17 * MIB];
    for (key, status) in [(door.key.clone(), "413"), ("oak_wrong".to_owned(), "401")] {
        let mut stream = door.connect().await;
        stream.write_all(door.ingest_head(&key, body.len()).as_bytes()).await.unwrap();
        stream.write_all(&body).await.expect("the server hears the client out");
        let line = status_line(&mut stream).await;
        assert!(line.contains(status), "{line}");
        // And so does a client that knows nothing of sockets.
        let sent = door.client.post(format!("{}/v1/ingest/odoo", door.url)).bearer_auth(&key).body(body.clone()).send().await.unwrap();
        problem(sent, status.parse().unwrap()).await;
    }
    // It does not hear out without end.
    let mut stream = door.connect().await;
    stream.write_all(door.ingest_head("oak_wrong", 1 << 40).as_bytes()).await.unwrap();
    let endless = async { while stream.write_all(&body).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, endless).await.expect("the connection is closed in the end");
}

async fn coded(coding: &str, plain: &[u8]) -> Vec<u8> {
    macro_rules! encode {
        ($encoder:ty) => {{
            let mut encoder = <$encoder>::with_quality(Vec::new(), Level::Fastest);
            encoder.write_all(plain).await.unwrap();
            encoder.shutdown().await.unwrap();
            encoder.into_inner()
        }};
    }
    match coding {
        "gzip" => encode!(GzipEncoder<Vec<u8>>),
        "br" => encode!(BrotliEncoder<Vec<u8>>),
        _ => encode!(ZstdEncoder<Vec<u8>>),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn coded_bodies_are_read_and_bombs_are_too_large() {
    let door = door(|_| {}).await;
    let log = support::log_of("p_tree");
    let bomb = vec![b'\n'; 24 * MIB];
    for coding in ["gzip", "br", "zstd"] {
        let send = async |name: &str, body: Vec<u8>| {
            door.post("/v1/ingest/odoo").header("content-encoding", name).body(body).send().await.unwrap()
        };
        let accepted = send(coding, coded(coding, log.as_bytes()).await).await;
        assert_eq!(accepted.status(), StatusCode::ACCEPTED, "{coding}");
        assert_eq!(accepted.json::<Value>().await.unwrap()["events"].as_array().unwrap().len(), 1);
        assert_eq!(send(&coding.to_uppercase(), coded(coding, log.as_bytes()).await).await.status(), StatusCode::ACCEPTED);
        problem(send(coding, coded(coding, &bomb).await).await, StatusCode::PAYLOAD_TOO_LARGE).await;
        problem(send(coding, log.clone().into_bytes()).await, StatusCode::BAD_REQUEST).await;
        let search = coded(coding, json!({ "text": "x" }).to_string().as_bytes()).await;
        let found = door.post("/v1/search").header("content-encoding", coding).body(search).send().await.unwrap();
        assert_eq!(found.status(), StatusCode::OK, "{coding}");
    }
    for unknown in ["deflate", "gzip, br", "rot13"] {
        let refused = door.post("/v1/ingest/odoo").header("content-encoding", unknown).body("x").send().await.unwrap();
        assert!(problem(refused, StatusCode::UNSUPPORTED_MEDIA_TYPE).await["detail"].as_str().unwrap().contains("gzip, br, zstd"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_checked_alike_at_every_door() {
    let door = door(|_| {}).await;
    let connection = async |arguments: Value| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "search_odoo_knowledge", "arguments": arguments } });
        let request = door.post("/mcp").header("accept", "application/json, text/event-stream").json(&body);
        request.send().await.unwrap().json::<Value>().await.unwrap()["result"].clone()
    };
    for (wrong, says) in [
        (json!({ "text": "x", "filters": { "closure": "\0" } }), "filters.closure: "),
        (json!({ "text": "x", "filters": { "module": ["sale", "a\nb"] } }), "filters.module: "),
        (json!({ "text": "x", "limit": 0 }), "limit: use 1 to 100"),
        (json!({ "text": "x", "limit": 101 }), "limit: use 1 to 100"),
        (json!({ "text": "x", "pack": 0 }), "pack: use 1 to 100000"),
        (json!({ "text": "x", "filters": { "version": "zz" } }), "filters.version: "),
        (json!({ "text": " " }), "empty"),
    ] {
        let refused = problem(door.search(wrong.clone()).await, StatusCode::BAD_REQUEST).await;
        assert!(refused["detail"].as_str().unwrap().contains(says), "{wrong}: {refused}");
        let told = connection(wrong.clone()).await;
        assert!(told["isError"] == true && told["content"][0]["text"].as_str().unwrap().contains(says), "{wrong}: {told}");
    }
    assert_eq!(door.search(json!({ "text": "sale \0 order", "limit": 100 })).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_schemes_and_hosts_are_read_as_they_should_be() {
    let door = door(|_| {}).await;
    for path in ["/v1/jobs/%ff%fe", "/v1/groups/%C3", "/nowhere/%80"] {
        let mut stream = door.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: bearer {}\r\nConnection: close\r\n\r\n", door.key);
        stream.write_all(request.as_bytes()).await.unwrap();
        let said = said(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("application/problem+json"), "{said}");
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let asked = Client::new().get(format!("{}/v1/groups", door.url)).header("authorization", format!("{scheme} {}", door.key));
        assert_eq!(asked.send().await.unwrap().status(), StatusCode::OK, "{scheme}");
    }
    let mut stream = door.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(said(&mut stream).await.starts_with("HTTP/1.1 400 "));
    for query in ["class=%00", "after=%00", "module=%ff", "limit=99999999999999999999"] {
        let asked = door.client.get(format!("{}/v1/groups?{query}", door.url)).bearer_auth(&door.key);
        problem(asked.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_key_are_counted_over_all_replicas() {
    let door = door(|config| config.api.limits.key = Quota { requests: 1, ..config.api.limits.key }).await;
    let (stop, second) = (CancellationToken::new(), App::connect((*door.test.app.config).clone()).await.unwrap());
    let _stop = stop.clone().drop_guard();
    let replicas = [door.url.clone(), serve(&second, &stop).await];
    let (mut served, mut refused) = (0, 0);
    for n in 0..60 {
        let answer = door.client.get(format!("{}/v1/groups", replicas[n % 2])).bearer_auth(&door.key).send().await.unwrap();
        let headers = answer.headers().clone();
        assert!(headers["ratelimit-policy"].to_str().unwrap().contains("\"key\";q=10;w=10"), "{headers:?}");
        assert!(headers["ratelimit"].to_str().unwrap().contains("\"key\";r="), "{headers:?}");
        if answer.status() == StatusCode::OK {
            served += 1;
        } else {
            refused += 1;
            problem(answer, StatusCode::TOO_MANY_REQUESTS).await;
            let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=10).contains(&wait) && headers["ratelimit"].to_str().unwrap().contains("\"key\";r=0"), "{headers:?}");
        }
    }
    // Ten a window of ten seconds, whichever replica is asked; the requests may fall into a few windows, hardly into six.
    assert!((10..60).contains(&served), "{served} served, {refused} refused");
    let other = door.client.get(format!("{}/v1/groups", door.url)).bearer_auth(key_of(&door.test, "other").await);
    assert_eq!(other.send().await.unwrap().status(), StatusCode::OK, "another tenant's key has its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_events_wait_for_room_before_they_are_refused() {
    let few = |config: &mut Config| config.api.limits.tenant = Quota { ingests: 1, ..config.api.limits.tenant };
    let patient = door(|config| {
        few(config);
        config.api.limits.ingest_wait = 60;
    })
    .await;
    for _ in 0..15 {
        let sent = patient.post("/v1/ingest/odoo").body(support::log_of("p_tree")).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::ACCEPTED);
    }
    let hasty = door(|config| {
        few(config);
        config.api.limits.ingest_wait = 0;
    })
    .await;
    let mut refused = Vec::new();
    for _ in 0..60 {
        let sent = hasty.post("/v1/ingest/odoo").body(support::log_of("p_tree")).send().await.unwrap();
        if sent.status() != StatusCode::ACCEPTED {
            refused.push(sent);
        }
    }
    let refused = refused.pop().expect("more than a window takes were sent");
    assert!(refused.headers().contains_key("retry-after"));
    let said = problem(refused, StatusCode::TOO_MANY_REQUESTS).await;
    assert!(said["detail"].as_str().unwrap().contains("tenant-ingests"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_tenant_are_counted_after_decoding() {
    let door = door(|config| {
        config.api.limits.tenant = Quota { bytes: 100_000, ..config.api.limits.tenant };
        config.api.limits.ingest_wait = 0;
    })
    .await;
    let body = coded("gzip", &vec![b'\n'; 900_000]).await;
    let mut last = StatusCode::ACCEPTED;
    for _ in 0..12 {
        let request = door.post("/v1/ingest/odoo").header("content-encoding", "gzip").body(body.clone());
        last = request.send().await.unwrap().status();
        if last == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_of_one_tenant_leave_room_for_others() {
    let door = door(|config| config.api.body_memory = 64 * MIB).await;
    let mut slow = door.connect().await;
    slow.write_all(door.ingest_head(&door.key, 16 * MIB).as_bytes()).await.unwrap();
    slow.write_all(&vec![b'x'; MIB]).await.unwrap();
    let log = support::log_of("p_tree").repeat(100);
    // The tenant's room is taken as soon as the first bytes were read; until then this one is served.
    let refused = support::until("the room of the tenant to be taken", async || {
        let sent = door.post("/v1/ingest/odoo").body(log.clone()).send().await.unwrap();
        (sent.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(sent)
    })
    .await;
    assert!(refused.headers().contains_key("retry-after"));
    problem(refused, StatusCode::SERVICE_UNAVAILABLE).await;
    let other = key_of(&door.test, "other").await;
    let sent = door.client.post(format!("{}/v1/ingest/odoo", door.url)).bearer_auth(other).body(log).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
}
