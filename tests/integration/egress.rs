//! The way out for approved domains: what gets through, what does not, and that nothing of it is left behind.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::net::{IpAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use chrono::Utc;
use odoo_agent::domain::{Domain, RunId};
use odoo_agent::odoo::Addon;
use odoo_agent::sandbox::{Config, End, Engine, Limits, Owner, PoolConfig, Sandbox};
use serde_json::{Value, json};

use crate::support::sandbox::{engine, hostile, open, owner, test, version};

/// Every one of them leads to the same host, so that a refusal is one of the list and not of a name server.
const NAMES: &[&str] =
    &["api.allowed.example", "x.api.allowed.example", "wild.example", "a.wild.example", "badwild.example", "other.example"];

fn domains() -> Vec<Domain> {
    ["api.allowed.example", ".wild.example"].map(|domain| domain.parse().unwrap()).to_vec()
}

fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A host beside the sandboxes; it ends with the test.
struct Upstream {
    id: String,
    address: IpAddr,
    gateway: String,
}

impl Upstream {
    async fn start() -> Self {
        let image = engine(Limits::default()).await.image(&version()).await.unwrap().unwrap();
        let code = include_str!("../fixtures/egress/upstream.py");
        let id = docker(&["run", "-d", "--rm", "--user", "0", &image, "python3", "-c", code]);
        let look = |what: &str| docker(&["inspect", "-f", &format!("{{{{.NetworkSettings.{what}}}}}"), &id]);
        let (address, gateway) = (look("IPAddress").parse().unwrap(), look("Gateway"));
        let upstream = Self { id, address, gateway };
        crate::support::until("the host beside the sandboxes", async || docker(&["logs", &upstream.id]).contains("ready").then_some(()))
            .await;
        upstream
    }

    fn engine(&self, limits: Limits) -> Engine {
        let hosts = NAMES.iter().map(|name| (name.parse().unwrap(), self.address)).collect();
        Engine::new(&Config { limits, hosts, ..Config::default() })
    }

    fn probe(&self, port: u16) -> Addon {
        let code = include_str!("../fixtures/egress/probe.py");
        let code = code.replace("@UPSTREAM@", &self.address.to_string()).replace("@GATEWAY@", &self.gateway);
        hostile(&code.replace("@PORT@", &port.to_string()))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.id]);
    }
}

async fn ask(sandbox: &mut Sandbox, probe: &Addon) -> Value {
    let run = test(sandbox, probe).await;
    assert!(run.installed, "{}", run.log);
    let line = run.log.lines().find_map(|line| line.strip_prefix("PROBE ")).unwrap_or_else(|| panic!("no answers in {}", run.log));
    let answers = serde_json::from_str(line).unwrap();
    eprintln!("{answers:#}");
    answers
}

/// Containers and volumes of this run.
fn left(run: RunId) -> (usize, usize) {
    let name = format!("name=run-{run}");
    let count = |args: &[&str]| docker(args).lines().count();
    (count(&["ps", "-aq", "--filter", &name]), count(&["volume", "ls", "-q", "--filter", &name]))
}

/// Waits until nothing is left of this run.
async fn gone(run: RunId) {
    crate::support::until("the end of all that the run had", async || (left(run) == (0, 0)).then_some(())).await;
}

#[tokio::test]
async fn approved_domains_and_nothing_else() {
    let (upstream, owner) = (Upstream::start().await, owner());
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The control: a container with a network gets to the host.
    let code = format!("import socket; socket.create_connection(('{}', {port}), 10)", upstream.gateway);
    docker(&["exec", &upstream.id, "python3", "-c", &code]);

    let mut sandbox = upstream.engine(Limits::default()).open_with(&version(), &owner, &domains()).await.unwrap();
    assert_eq!(left(owner.run), (2, 1));
    let answers = ask(&mut sandbox, &upstream.probe(port)).await;
    for (name, host) in [
        ("http", "api.allowed.example"),
        ("http with its port", "API.allowed.example"),
        ("http below", "a.wild.example"),
        ("http of the dotted name itself", "wild.example"),
        ("connect", "tunnel"),
        ("connect below", "tunnel"),
        ("http after all that", "api.allowed.example"),
    ] {
        assert_eq!(answers[name], format!("upstream {host}"), "{name}: {answers:#}");
    }
    assert_eq!(answers["big"], 5_000_000);
    let refused: Vec<_> = answers.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("refused ")).collect();
    assert!(refused.len() > 30, "{answers:#}");
    for (name, answer) in refused {
        assert!(["400", "403"].contains(&answer.as_str().unwrap()), "{name}: {answers:#}");
    }
    assert_eq!(answers["interfaces"], json!(["lo"]));
    for direct in ["direct to the host", "direct to an allowed host"] {
        assert!(answers[direct].as_str().unwrap().contains("Network is unreachable"), "{direct}: {answers:#}");
    }
    assert!(answers["direct by name"].as_str().unwrap().contains("gaierror"), "{answers:#}");
    for closed in ["folder", "socket past the relay", "end the relay"] {
        assert!(
            answers[closed].as_str().unwrap().contains("PermissionError") || answers[closed].as_str().unwrap().contains("not permitted")
        );
    }
    assert!(answers["listen in its place"].as_str().unwrap().starts_with("no: "), "{answers:#}");
    sandbox.close().await.unwrap();
    assert_eq!(left(owner.run), (0, 0));
}

#[tokio::test]
async fn without_approval_there_is_no_proxy() {
    let (upstream, owner) = (Upstream::start().await, owner());
    let mut sandbox = open(&upstream.engine(Limits::default()), &owner).await;
    assert_eq!(left(owner.run), (1, 0));
    let answers = ask(&mut sandbox, &upstream.probe(9)).await;
    assert_eq!(answers["environment"], json!([]), "{answers:#}");
    assert!(answers["listens"].as_str().unwrap().contains("ConnectionRefusedError"), "{answers:#}");
    assert!(answers["folder"].as_str().unwrap().contains("FileNotFoundError"), "{answers:#}");
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn run_that_ends_badly_takes_its_way_out_along() {
    let (upstream, owner) = (Upstream::start().await, owner());
    let mut sandbox = upstream.engine(Limits { seconds: 8, ..Limits::default() }).open_with(&version(), &owner, &domains()).await.unwrap();
    assert_eq!(test(&mut sandbox, &hostile("while True:\n    pass\n")).await.end, End::Deadline);
    assert_eq!(left(owner.run), (0, 0));
    let read = "import urllib.request\nprint(urllib.request.urlopen('http://api.allowed.example/', timeout=5).read())\n";
    let run = test(&mut sandbox, &hostile(read)).await;
    assert!(run.log.contains("upstream api.allowed.example"), "{}", run.log);
    assert_eq!(left(owner.run), (2, 1));
    drop(sandbox);
    gone(owner.run).await;
}

#[tokio::test]
async fn leftovers_of_a_dead_worker_go() {
    let engine = engine(Limits::default()).await;
    let (taken_over, overdue) = (owner(), Owner { deadline: Utc::now() - Duration::from_secs(60), ..owner() });
    for owner in [&taken_over, &overdue] {
        // As if the worker had died: no close, no drop.
        std::mem::forget(engine.open_with(&version(), owner, &domains()).await.unwrap());
    }
    assert_eq!(engine.remove_run(taken_over.run, &taken_over.tenant).await.unwrap(), 2);
    assert_eq!(left(taken_over.run), (0, 0));
    engine.sweep().await.unwrap();
    assert_eq!(left(overdue.run), (0, 0));
    // A volume in use is nobody's leftover.
    let alive = owner();
    let sandbox = engine.open_with(&version(), &alive, &domains()).await.unwrap();
    engine.sweep().await.unwrap();
    assert_eq!(left(alive.run), (2, 1));
    sandbox.close().await.unwrap();
    assert_eq!(left(alive.run), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sandbox_with_a_way_out_never_waited() {
    let pool = PoolConfig { most: 1, memory_share: 1.0 };
    let engine = Engine::new(&Config { pool, ..Config::default() });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let keeper = tokio::spawn({
        let engine = engine.clone();
        async move { engine.keep_warm(&[version()], async { drop(stopped.await) }).await }
    });
    crate::support::until("a sandbox that waits", async || (engine.waiting() == 1).then_some(())).await;
    let owner = owner();
    let sandbox = engine.open_with(&version(), &owner, &domains()).await.unwrap();
    assert_eq!((engine.waiting(), left(owner.run)), (1, (2, 1)));
    sandbox.close().await.unwrap();
    assert_eq!((engine.waiting(), left(owner.run)), (1, (0, 0)));
    drop(stop);
    keeper.await.unwrap();
}
