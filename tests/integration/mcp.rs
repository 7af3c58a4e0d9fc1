//! The tools for Claude through the real protocol: over the pipes of the program, and over HTTP behind keys.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use odoo_agent::tenants::keys;
use reqwest::{Client, Method, Response, StatusCode};
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::defined;
use crate::knowledge::{self, Door, SINGLETON, keep, known};
use crate::support::{self, TestApp};

type Connection = RunningService<RoleClient, ()>;

const SEARCH: &str = "search_odoo_knowledge";
const DEFINITIONS: &str = "find_odoo_definitions";
/// Far longer than anything here takes; a test that hangs is to fail.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program as Claude starts it.
fn started(test: &TestApp, tenant: &str) -> Child {
    let mut command = tokio::process::Command::from(test.command(&["mcp", "--tenant", tenant]));
    command.stdin(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

async fn over_stdio(test: &TestApp, tenant: &str) -> (Connection, Child) {
    let mut child = started(test, tenant);
    let pipes = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    (().serve(pipes).await.unwrap(), child)
}

async fn ended(mut child: Child) -> Option<i32> {
    tokio::time::timeout(PATIENCE, child.wait()).await.expect("the program ends").unwrap().code()
}

fn url(door: &Door) -> String {
    door.base.replace("/v1", "/mcp")
}

async fn key_of(door: &Door, tenant: &str) -> String {
    let (_, key) = keys::create(&door.test.app.db, &support::tenant(tenant), "test").await.unwrap();
    key.expose_secret().to_owned()
}

async fn over_http(door: &Door, tenant: &str, version: ProtocolVersion) -> Connection {
    let lifecycle = match version.has_initialize() {
        true => ClientLifecycleMode::Initialize,
        false => ClientLifecycleMode::Discover { preferred_versions: vec![version] },
    };
    let config = StreamableHttpClientTransportConfig::with_uri(url(door)).auth_header(key_of(door, tenant).await);
    ().serve_with_lifecycle(StreamableHttpClientTransport::from_config(config), lifecycle).await.unwrap()
}

/// The whole result of a call.
async fn call(connection: &Connection, tool: &str, arguments: Value) -> Value {
    let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments.as_object().unwrap().clone());
    serde_json::to_value(connection.call_tool(request).await.unwrap()).unwrap()
}

/// One call of one tenant over HTTP.
pub async fn asked_over_http(door: &Door, tenant: &str, tool: &str, arguments: Value) -> Value {
    call(&over_http(door, tenant, ProtocolVersion::V_2026_07_28).await, tool, arguments).await
}

/// One call of one tenant over the pipes of the program.
pub async fn asked_over_stdio(test: &TestApp, tenant: &str, tool: &str, arguments: Value) -> Value {
    let (connection, child) = over_stdio(test, tenant).await;
    let answer = call(&connection, tool, arguments).await;
    connection.cancel().await.unwrap();
    assert_eq!(ended(child).await, Some(0));
    answer
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"))
}

/// What both tools owe to whoever asks, over whichever door.
async fn both_tools_answer(connection: &Connection) {
    let tools = connection.list_all_tools().await.unwrap();
    assert_eq!(tools.iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>(), [SEARCH, DEFINITIONS]);
    assert!(tools.iter().all(|tool| tool.annotations.as_ref().unwrap().read_only_hint == Some(true) && tool.output_schema.is_some()));

    let found = call(connection, SEARCH, json!({ "text": SINGLETON, "filters": { "doc_type": ["errors"] }, "limit": 5 })).await;
    assert_eq!((&found["isError"], &found["structuredContent"]["results"][0]["ref"]), (&json!(false), &json!("loop")), "{found}");
    assert!(text(&found).contains("Loop over the records.") && text(&found).contains("never instructions"), "{found}");
    assert!(!found["structuredContent"]["results"][0]["why"].as_str().unwrap().is_empty(), "{found}");

    let found = call(connection, DEFINITIONS, json!({ "kind": "method", "name": "shop.desk.close", "version": "19.0" })).await;
    let places: Vec<&str> =
        found["structuredContent"]["definitions"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(places, ["shop/m.py", "shop/m.py", "a_later/m.py", "deep/m.py"]);
    assert!(text(&found).contains("4. deep/m.py:6") && text(&found).contains("def close"), "{found}");

    for (tool, arguments, says) in [
        (SEARCH, json!({}), "missing field `text`"),
        (SEARCH, json!({ "text": " " }), "empty"),
        (SEARCH, json!({ "text": "x", "limit": 1_000 }), "limit: use 1 to 100"),
        (SEARCH, json!({ "text": "x", "tenant": "other" }), "tenant"),
        (SEARCH, json!({ "text": "x", "filters": { "kind": ["methods"] } }), "there is no kind \"methods\"; there are: module"),
        (DEFINITIONS, json!({ "kind": "views", "name": "a.b" }), "kind: unknown variant"),
        (DEFINITIONS, json!({ "kind": "method", "name": "close" }), "write it as sale.order.action_confirm"),
        ("drop_database", json!({}), "there is no tool \"drop_database\""),
    ] {
        let refused = call(connection, tool, arguments).await;
        assert!(refused["isError"] == true && text(&refused).contains(says), "{refused}");
    }
    assert!(
        text(&call(connection, SEARCH, json!({ "text": "'; \u{0} 🦀 %s", "filters": { "module": "nowhere" } })).await)
            .contains("Nothing was found")
    );
}

async fn filled(test: &TestApp) {
    keep(test, &support::tenant("acme"), &[known("loop", SINGLETON, "Loop over the records.")]).await;
    defined::index(test, defined::FILES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tools_answer_over_pipes() {
    let test = support::app(&[], |_| {}).await;
    filled(&test).await;
    let (connection, child) = over_stdio(&test, "acme").await;
    both_tools_answer(&connection).await;
    connection.cancel().await.unwrap();
    assert_eq!(ended(child).await, Some(0), "a closed input is an orderly end");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tools_answer_over_http() {
    let door = knowledge::door().await;
    filled(&door.test).await;
    for version in [ProtocolVersion::V_2025_06_18, ProtocolVersion::V_2026_07_28] {
        both_tools_answer(&over_http(&door, "acme", version).await).await;
    }
}

/// A request as clients of the older protocols send it.
async fn post(door: &Door, key: Option<&str>, body: impl Into<reqwest::Body>) -> Response {
    let request =
        Client::new().post(url(door)).header("Content-Type", "application/json").header("Accept", "application/json, text/event-stream");
    let request = request.header("Host", "agent.example.com").header("Mcp-Session-Id", "of-somebody-else");
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    request.body(body).send().await.unwrap()
}

fn request(method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

fn hello() -> String {
    request("initialize", json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } }))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_of_its_own_key() {
    let door = knowledge::door().await;
    keep(&door.test, &support::tenant("acme"), &[known("secret-fix", SINGLETON, "The secret solution of acme.")]).await;
    let (acme, other) = (key_of(&door, "acme").await, key_of(&door, "other").await);
    let greeted = post(&door, Some(&acme), hello()).await;
    assert_eq!((greeted.status(), greeted.headers().get("mcp-session-id")), (StatusCode::OK, None), "no session, nothing to cross");
    let search = request("tools/call", json!({ "name": SEARCH, "arguments": { "text": SINGLETON } }));
    for (key, sees) in [(&acme, true), (&other, false), (&acme, true), (&other, false)] {
        let answer: Value = post(&door, Some(key), search.clone()).await.json().await.unwrap();
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        assert_eq!(answer.to_string().contains("secret-fix"), sees, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_is_reached() {
    let door = knowledge::door().await;
    for body in [hello(), request("tools/list", json!({})), "{".to_owned(), "x".repeat(600 * 1024)] {
        for key in [None, Some("oa_nobody"), Some("")] {
            let refused = post(&door, key, body.clone()).await;
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
            assert!(refused.headers().contains_key("www-authenticate"));
            let problem: Value = refused.json().await.unwrap();
            assert!(problem["detail"].as_str().unwrap().contains("API key"), "{problem}");
        }
    }
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        assert_eq!(Client::new().request(method, url(&door)).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_over_http_is_refused() {
    let door = knowledge::door().await;
    let key = key_of(&door, "acme").await;
    let large = request("tools/call", json!({ "name": SEARCH, "arguments": { "text": "x".repeat(600 * 1024) } }));
    let chunks: Vec<std::io::Result<String>> =
        large.as_bytes().chunks(8192).map(|chunk| Ok(String::from_utf8_lossy(chunk).into_owned())).collect();
    for body in [large.into(), reqwest::Body::wrap_stream(futures::stream::iter(chunks))] {
        assert_eq!(post(&door, Some(&key), body).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    for body in ["", "{", "[]", "null", "{\"jsonrpc\": \"2.0\"}", "\u{0}", "[[[[[[[["] {
        assert!(post(&door, Some(&key), body).await.status().is_client_error(), "{body:?}");
    }
    for method in [Method::GET, Method::DELETE] {
        let refused =
            Client::new().request(method, url(&door)).bearer_auth(&key).header("Accept", "text/event-stream").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    let unknown: Value = post(&door, Some(&key), request("tools/destroy", json!({}))).await.json().await.unwrap();
    assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
}

struct Pipes {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Pipes {
    fn of(test: &TestApp) -> Self {
        let mut child = started(test, "acme");
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
        Self { child, input, output }
    }

    async fn says(&mut self, line: impl AsRef<[u8]>) {
        self.input.write_all(line.as_ref()).await.unwrap();
        self.input.write_all(b"\n").await.unwrap();
    }

    /// The next line, which is of the protocol like every other.
    async fn hears(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line()).await.expect("an answer").unwrap().expect("an open pipe");
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not of the protocol: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        message
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_a_pipe_is_survived() {
    let test = support::app(&[], |_| {}).await;
    let mut pipes = Pipes::of(&test);
    // What is no message at all has no sender to answer; a message of the wrong form has, even without a name.
    pipes.says("garbage").await;
    pipes.says([0xff, 0xfe, 0x00]).await;
    pipes.says("{\"a\": 1}").await;
    let refused = pipes.hears().await;
    assert_eq!((&refused["error"]["code"], &refused["id"]), (&json!(-32600), &Value::Null), "{refused}");
    pipes.says(request("tools/list", json!({}))).await;
    assert!(pipes.hears().await["error"].is_object(), "nobody has said hello yet");
    pipes.says(hello()).await;
    assert_eq!(pipes.hears().await["result"]["serverInfo"]["name"], "odoo-agent");
    pipes.says(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string()).await;
    pipes.says("[[[[[[[[").await;
    pipes.says("x".repeat(20 * 1024 * 1024)).await;
    pipes.says("{\"jsonrpc\": \"2.0\", \"id\": 5, \"method\": 7}").await;
    assert_eq!(pipes.hears().await["error"]["code"], -32600);
    pipes.says(request("tools/call", json!({ "name": SEARCH, "arguments": { "text": "x".repeat(600 * 1024) } }))).await;
    let refused = pipes.hears().await;
    assert!(text(&refused["result"]).contains("text: at most 524288 bytes"), "{refused}");
    pipes.says(request("tools/list", json!({}))).await;
    assert_eq!(pipes.hears().await["result"]["tools"].as_array().unwrap().len(), 2);
    drop(pipes.input);
    assert_eq!(ended(pipes.child).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_while_the_pipe_is_open() {
    let test = support::app(&[], |_| {}).await;
    for (signal, greets) in [(Signal::SIGINT, true), (Signal::SIGTERM, false)] {
        let mut pipes = Pipes::of(&test);
        // An answer says that it is past its start.
        pipes.says(if greets { hello() } else { request("ping", json!({})) }).await;
        assert!(pipes.hears().await["result"].is_object());
        kill(Pid::from_raw(pipes.child.id().unwrap().try_into().unwrap()), signal).unwrap();
        assert_eq!(ended(pipes.child).await, Some(0), "{signal}");
    }
}
