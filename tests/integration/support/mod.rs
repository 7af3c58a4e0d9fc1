//! What the tests share: one embedded stack, a database and a stream prefix for each test, the program itself.

pub mod claude;
pub mod sandbox;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use odoo_agent::app::App;
use odoo_agent::config::Config;
use odoo_agent::db::{self, Db};
use odoo_agent::domain::TenantId;
use odoo_agent::knowledge::index::{Origin, Root, Tree};
use odoo_agent::stack::{self, Stack};
use serde_json::Value;

/// Where `make setup` puts the servers.
pub fn runtime_dir() -> PathBuf {
    Config::load(None).expect("the settings of this machine can be read").runtime_dir
}

/// A folder that the servers' unprivileged user can reach too.
pub fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("odoo-agent-test-").tempdir_in("/var/tmp").unwrap()
}

/// Sources in a folder, as a source of Odoo 19 that is named after what it is.
pub fn tree(path: &Path, origin: Origin) -> Tree {
    Tree {
        name: origin.as_str().to_owned(),
        origin,
        version: "19.0".parse().unwrap(),
        roots: vec![Root { path: path.to_owned(), translations_only: false }],
        location: path.display().to_string(),
    }
}

struct Servers {
    nats: String,
    owner: String,
    app: String,
}

/// The stack of this process. It lives on a thread of its own: each test has its own runtime, and children die with the thread
/// that made them.
fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let dir = temp_dir();
                let config = stack::Config { data_dir: dir.path().to_owned(), runtime_dir: runtime_dir(), nats: true, postgres: true };
                let stack = Stack::start(&config).await.expect("the embedded stack starts; `make setup` installs its servers");
                let owner = stack.owner_database_url().unwrap().to_owned();
                db::migrate(&owner.clone().into()).await.unwrap();
                let servers =
                    Servers { nats: stack.nats_url().unwrap().to_owned(), app: stack.app_database_url().unwrap().to_owned(), owner };
                send.send(servers).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receive.recv().expect("the embedded stack is up")
    })
}

/// NATS of this process; give every test its own prefix.
pub fn nats_url() -> String {
    servers().nats.clone()
}

/// A plain client of it, for what a test does behind the program's back.
pub async fn nats_client() -> async_nats::Client {
    let url = nats_url();
    let (token, address) = url.trim_start_matches("nats://").split_once('@').expect("the address holds the token");
    async_nats::ConnectOptions::with_token(token.to_owned()).connect(address).await.unwrap()
}

/// A name that no other test has.
pub fn unique(word: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{word}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A fresh, migrated database.
pub struct TestDb {
    pub db: Db,
    pub url: String,
    pub owner_url: String,
    /// The secret that says whose a transaction is, as the settings take it.
    pub signing_key: String,
}

pub async fn database() -> TestDb {
    let servers = tokio::task::spawn_blocking(servers).await.unwrap();
    let name = unique("test");
    create_database(&servers.owner, &name).await;
    let (url, owner_url) = (in_database(&servers.app, &name), in_database(&servers.owner, &name));
    // A copy of a database does not have its rights; they are set with every migration.
    db::migrate(&owner_url.clone().into()).await.unwrap();
    let signing_key = signing_key(&owner_url).await;
    let config = db::Config { url: Some(url.clone().into()), signing_key: Some(signing_key.clone().into()), ..db::Config::default() };
    TestDb { db: Db::connect(&config).await.unwrap(), url, owner_url, signing_key }
}

async fn signing_key(owner_url: &str) -> String {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(owner_url).await.unwrap();
    let key = sqlx::query_scalar("select encode(secret, 'hex') from tenant_signing_key").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    key
}

/// A copy of the migrated database; it must have no other connection at that moment, so one test at a time.
async fn create_database(owner: &str, name: &str) {
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one = ONE.lock().await;
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(&in_database(owner, "postgres")).await.unwrap();
    let statement = format!("create database {name} template {}", database_of(owner));
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
}

fn database_of(url: &str) -> String {
    let path = url.split('?').next().unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

fn in_database(url: &str, name: &str) -> String {
    let (path, query) = url.split_once('?').map_or((url, String::new()), |(path, query)| (path, format!("?{query}")));
    format!("{}/{name}{query}", path.rsplit_once('/').unwrap().0)
}

/// An app over a database and streams of its own, with these addons folders for the tenants `acme` and `other`.
pub struct TestApp {
    pub app: App,
    pub env: Vec<(String, String)>,
    /// The owner's address of its database.
    pub owner_url: String,
    _dir: tempfile::TempDir,
}

pub async fn app(addons: &[&Path], change: impl FnOnce(&mut Config)) -> TestApp {
    let database = database().await;
    let dir = temp_dir();
    let mut config = Config::load(None).unwrap();
    config.data_dir = dir.path().to_owned();
    config.database.url = Some(database.url.clone().into());
    config.database.signing_key = Some(database.signing_key.clone().into());
    config.queue.url = Some(nats_url());
    config.queue.prefix = unique("t");
    // JetStream sets aside what a stream may hold, and every test has streams of its own.
    let room = 16 * 1024 * 1024;
    config.queue.ingest_max_bytes = room;
    config.queue.jobs_max_bytes = room;
    config.queue.events_max_bytes = room;
    config.queue.dead_max_bytes = room;
    config.claude.api_key = None;
    // Sandboxes that wait would only take the processors from the tests beside this one.
    config.sandbox.pool.most = 0;
    config.sandbox.templates.after = 0;
    for tenant in ["acme", "other", "default"] {
        let settings = config.tenants.entry(tenant.parse().unwrap()).or_default();
        settings.addons = addons.iter().map(|path| path.to_path_buf()).collect();
    }
    change(&mut config);
    let mut env = vec![
        ("DATABASE_URL".to_owned(), database.url),
        ("ODOO_AGENT_DATABASE__SIGNING_KEY".to_owned(), database.signing_key),
        ("NATS_URL".to_owned(), nats_url()),
        ("ODOO_AGENT_SANDBOX__POOL__MOST".to_owned(), config.sandbox.pool.most.to_string()),
        ("ODOO_AGENT_SANDBOX__TEMPLATES__AFTER".to_owned(), config.sandbox.templates.after.to_string()),
        ("ODOO_AGENT_QUEUE__PREFIX".to_owned(), config.queue.prefix.clone()),
        ("ODOO_AGENT_DATA_DIR".to_owned(), dir.path().display().to_string()),
        ("ODOO_AGENT_TELEMETRY__FILTER".to_owned(), "warn".to_owned()),
    ];
    for stream in ["INGEST", "JOBS", "EVENTS", "DEAD"] {
        env.push((format!("ODOO_AGENT_QUEUE__{stream}_MAX_BYTES"), room.to_string()));
    }
    if let Some(first) = addons.first() {
        for tenant in ["acme", "other"] {
            let file = format!("[tenants.{tenant}]\naddons = [\"{}\"]\n", first.display());
            let path = dir.path().join("odoo-agent.toml");
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            std::fs::write(&path, kept + &file).unwrap();
        }
    }
    env.push(("ODOO_AGENT_QUEUE__ACK_WAIT".to_owned(), config.queue.ack_wait.as_secs().to_string()));
    let app = App::connect(config).await.unwrap();
    TestApp { app, env, owner_url: database.owner_url, _dir: dir }
}

impl TestApp {
    /// The same, with a tenant `default` that lets a fix be applied at this confidence.
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.env.push(("ODOO_AGENT_TENANTS__DEFAULT__THRESHOLD".to_owned(), threshold.to_string()));
        self
    }

    /// The program, connected to the same servers as this app, with the same settings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = program(args);
        command.envs(self.env.iter().map(|(key, value)| (key, value))).current_dir(self._dir.path());
        command
    }
}

/// The program, with nothing of this machine's environment that could change what it does.
pub fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_odoo-agent"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "DATABASE_URL", "NATS_URL", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// The one JSON object on stdout.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("stdout is no JSON ({error}): {}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    })
}

pub fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// A copy of fixture addons that a test may change.
pub fn addons(names: &[&str]) -> tempfile::TempDir {
    let dir = temp_dir();
    for name in names {
        copy(&fixture(&format!("addons/{name}")), &dir.path().join(name));
    }
    dir
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub fn log_of(probe: &str) -> String {
    std::fs::read_to_string(fixture(&format!("logs/{probe}.log"))).unwrap()
}

/// Waits for what a condition says, without a fixed sleep between an event and its effect; fails loudly after two minutes.
pub async fn until<T, F: AsyncFnMut() -> Option<T>>(what: &str, mut condition: F) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "waited for two minutes: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
