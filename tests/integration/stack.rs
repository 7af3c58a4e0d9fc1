//! The embedded stack with real servers.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use odoo_agent::stack::{Config, Stack, StackError, SyncInterval};
use sqlx::{Connection as _, PgConnection};

const PATIENCE: Duration = Duration::from_secs(10);

fn config(data_dir: &Path) -> Config {
    Config {
        data_dir: data_dir.to_owned(),
        runtime_dir: crate::support::runtime_dir(),
        nats: true,
        postgres: true,
        sync: SyncInterval::default(),
    }
}

fn pid_of(data_dir: &Path, server: &str) -> Option<Pid> {
    let text = std::fs::read_to_string(data_dir.join("run").join(format!("{server}.pid"))).ok()?;
    text.trim().parse().ok().map(Pid::from_raw)
}

fn lives(pid: Pid) -> bool {
    // A zombie that nobody reaps has no command line any more.
    std::fs::read(format!("/proc/{pid}/cmdline")).map_or_else(|_| kill(pid, None).is_ok(), |line| !line.is_empty())
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn jetstream(url: &str) -> Option<async_nats::jetstream::Context> {
    Some(async_nats::jetstream::new(crate::support::client_of(url).await?))
}

async fn count(url: &str, sql: &'static str) -> Option<i64> {
    let mut connection = PgConnection::connect(url).await.ok()?;
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.ok()
}

#[tokio::test]
async fn restart_keeps_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(&config(dir.path())).await.unwrap();
    assert!(!stack.attached());
    let js = jetstream(stack.nats_url().unwrap()).await.unwrap();
    js.create_stream(async_nats::jetstream::stream::Config {
        name: "KEEP".to_owned(),
        subjects: vec!["keep".to_owned()],
        ..Default::default()
    })
    .await
    .unwrap();
    js.publish("keep", "one".into()).await.unwrap().await.unwrap();
    let mut owner = PgConnection::connect(stack.owner_database_url().unwrap()).await.unwrap();
    sqlx::query("create extension vector").execute(&mut owner).await.unwrap();
    sqlx::query("create table kept as select '[1,2]'::vector as v").execute(&mut owner).await.unwrap();
    owner.close().await.unwrap();
    let servers = ["nats", "postgres"].map(|server| pid_of(dir.path(), server).unwrap());
    stack.stop(PATIENCE).await;
    assert!(!servers.into_iter().any(lives));
    assert!(!dir.path().join("endpoints.json").exists());

    let stack = Stack::start(&config(dir.path())).await.unwrap();
    let js = jetstream(stack.nats_url().unwrap()).await.unwrap();
    assert_eq!(js.get_stream("KEEP").await.unwrap().cached_info().state.messages, 1);
    assert_eq!(count(stack.owner_database_url().unwrap(), "select count(*) from kept").await, Some(1));
    stack.stop(PATIENCE).await;
}

#[tokio::test]
async fn only_the_owner_gets_in() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(&config(dir.path())).await.unwrap();
    let address = stack.nats_url().unwrap().split_once('@').unwrap().1.to_owned();
    assert!(async_nats::connect(&address).await.is_err(), "NATS takes a client without the token");
    let app = stack.app_database_url().unwrap();
    assert_eq!(count(app, "select count(*) from pg_roles where rolname = current_user and (rolsuper or rolbypassrls)").await, Some(0));
    for (path, mode) in
        [("endpoints.json", 0o600), ("nats/nats.conf", 0o600), ("nats/settings.json", 0o600), ("run", 0o700), ("postgres", 0o700)]
    {
        let found = std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}");
    }
    assert!(!format!("{stack:?}").contains(stack.nats_url().unwrap()));
    stack.stop(PATIENCE).await;
}

#[tokio::test]
async fn killed_server_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(&config(dir.path())).await.unwrap();
    for server in ["nats", "postgres"] {
        let before = pid_of(dir.path(), server).unwrap();
        kill(before, Signal::SIGKILL).unwrap();
        until("another process", async || pid_of(dir.path(), server).is_some_and(|pid| pid != before)).await;
    }
    let (nats, database) = (stack.nats_url().unwrap(), stack.app_database_url().unwrap());
    until("JetStream answers", async || match jetstream(nats).await {
        Some(js) => js.query_account().await.is_ok(),
        None => false,
    })
    .await;
    until("PostgreSQL answers", async || count(database, "select 1::bigint").await.is_some()).await;
    stack.stop(PATIENCE).await;
}

#[tokio::test]
async fn two_stacks_run_side_by_side() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (config(one.path()), config(two.path()));
    let (first, second) = tokio::join!(Stack::start(&one), Stack::start(&two));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(!first.attached() && !second.attached());
    assert_ne!(first.nats_url(), second.nats_url());
    assert_ne!(first.app_database_url(), second.app_database_url());
    for stack in [&first, &second] {
        assert!(jetstream(stack.nats_url().unwrap()).await.is_some());
        assert!(count(stack.app_database_url().unwrap(), "select 1::bigint").await.is_some());
    }
    tokio::join!(first.stop(PATIENCE), second.stop(PATIENCE));
}

#[tokio::test]
async fn second_start_attaches() {
    let dir = tempfile::tempdir().unwrap();
    let nats_only = Config { postgres: false, ..config(dir.path()) };
    // Both at once: exactly one of them becomes the owner.
    let (first, second) = tokio::join!(Stack::start(&nats_only), Stack::start(&nats_only));
    let (first, second) = (first.unwrap(), second.unwrap());
    let (owner, guest) = if first.attached() { (second, first) } else { (first, second) };
    assert!(guest.attached() && !owner.attached());
    assert_eq!(guest.nats_url(), owner.nats_url());
    let server = pid_of(dir.path(), "nats").unwrap();
    guest.stop(PATIENCE).await;
    assert!(lives(server), "a guest stopped its host's server");
    assert!(matches!(Stack::start(&config(dir.path())).await, Err(StackError::Incomplete { missing: "PostgreSQL", .. })));
    owner.stop(PATIENCE).await;
    assert!(!lives(server));
}

#[tokio::test]
async fn owner_waits_for_its_guests() {
    let dir = tempfile::tempdir().unwrap();
    let nats_only = Config { postgres: false, ..config(dir.path()) };
    let owner = Stack::start(&nats_only).await.unwrap();
    let guest = Stack::start(&nats_only).await.unwrap();
    let server = pid_of(dir.path(), "nats").unwrap();
    let mut stopping = Box::pin(owner.stop(Duration::from_secs(60)));
    // Polled once: it has asked for the gate and not got it.
    assert!(futures::poll!(&mut stopping).is_pending());
    assert!(lives(server), "the server was stopped under a guest");
    guest.stop(PATIENCE).await;
    stopping.await;
    assert!(!lives(server));
}

#[tokio::test]
async fn dropped_stack_leaves_no_server() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(&config(dir.path())).await.unwrap();
    let servers = ["nats", "postgres"].map(|server| pid_of(dir.path(), server).unwrap());
    drop(stack);
    assert!(!servers.into_iter().any(lives));
    assert!(Stack::start(&config(dir.path())).await.is_ok(), "the lock or a stale file is in the way");
}

/// What `kill -9` leaves where the kernel does not end the children: endpoints, pid files, and a server that still runs.
#[tokio::test]
async fn leftovers_of_a_killed_program_are_ended() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(&config(dir.path())).await.unwrap();
    let old_url = stack.nats_url().unwrap().to_owned();
    stack.stop(PATIENCE).await;
    let runtime = crate::support::runtime_dir();
    let config_file = dir.path().canonicalize().unwrap().join("nats/nats.conf");
    let log = dir.path().join("orphan.log");
    // A process that is nobody's child by the time that it is looked at.
    let script = format!(
        "'{}' -c '{}' >'{}' 2>&1 & echo $! >'{}/run/nats.pid'",
        server_binary(&runtime).display(),
        config_file.display(),
        log.display(),
        dir.path().display()
    );
    assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
    until("the orphan answers", async || jetstream(&old_url).await.is_some()).await;
    let orphan = pid_of(dir.path(), "nats").unwrap();
    // A number that has gone to another process, ours: PostgreSQL would refuse to start, and nobody may kill it.
    std::fs::write(dir.path().join("postgres/postmaster.pid"), format!("{}\n{}\n", std::process::id(), dir.path().display())).unwrap();
    std::fs::write(dir.path().join("run/postgres.pid"), std::process::id().to_string()).unwrap();
    std::fs::write(dir.path().join("endpoints.json"), format!("{{\"nats\":\"{old_url}\",\"postgres\":null}}")).unwrap();

    let stack = Stack::start(&config(dir.path())).await.unwrap();
    assert!(!stack.attached());
    assert!(!lives(orphan));
    assert!(jetstream(stack.nats_url().unwrap()).await.is_some());
    assert!(count(stack.app_database_url().unwrap(), "select 1::bigint").await.is_some());
    stack.stop(PATIENCE).await;
}

fn server_binary(runtime: &Path) -> PathBuf {
    runtime.join("nats/nats-server")
}

#[tokio::test]
async fn broken_server_shows_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tempfile::tempdir().unwrap();
    std::fs::set_permissions(runtime.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(runtime.path().join("nats")).unwrap();
    let server = runtime.path().join("nats/nats-server");
    std::fs::write(&server, "#!/bin/sh\necho the disk is on fire >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = Config {
        data_dir: dir.path().to_owned(),
        runtime_dir: runtime.path().to_owned(),
        nats: true,
        postgres: false,
        sync: SyncInterval::default(),
    };
    let error = Stack::start(&config).await.unwrap_err().to_string();
    assert!(error.contains("the disk is on fire") && error.contains("nats.log"), "{error}");
}

#[tokio::test]
async fn missing_servers_are_named() {
    let (dir, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (data_dir, runtime_dir) = (dir.path().to_owned(), empty.path().to_owned());
    let base = Config { data_dir, runtime_dir, nats: false, postgres: false, sync: SyncInterval::default() };
    // The machine itself may have them on PATH; then there is nothing to miss.
    for (config, word) in [(Config { nats: true, ..base.clone() }, "nats-server"), (Config { postgres: true, ..base.clone() }, "pgvector")]
    {
        match Stack::start(&config).await {
            Err(error @ StackError::Missing { .. }) => {
                let text = error.to_string();
                assert!(text.contains(word) && text.contains("make setup") && text.contains("DATABASE_URL"), "{text}");
            }
            Ok(stack) => stack.stop(PATIENCE).await,
            Err(other) => panic!("{other}"),
        }
    }
}

const HELD: &str = "HELD_STACK_DIR";

/// Runs twice: in a process of its own, which holds a stack until it is killed, and here, which kills that process.
#[tokio::test]
async fn killed_program_takes_its_servers_along() {
    #[expect(clippy::disallowed_methods, reason = "the way to tell this process which of the two it is")]
    if let Some(dir) = std::env::var_os(HELD) {
        let _stack = Stack::start(&config(Path::new(&dir))).await.unwrap();
        std::future::pending::<()>().await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut program = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stack::killed_program_takes_its_servers_along"])
        .env(HELD, dir.path())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until("the other process has its stack", async || dir.path().join("endpoints.json").exists()).await;
    let servers = ["nats", "postgres"].map(|server| pid_of(dir.path(), server).unwrap());
    program.start_kill().unwrap();
    program.wait().await.unwrap();
    // Elsewhere the kernel does not do this; the start below does.
    if cfg!(target_os = "linux") {
        until("the servers are gone", async || !servers.into_iter().any(lives)).await;
    }
    let stack = Stack::start(&config(dir.path())).await.unwrap();
    assert!(!stack.attached() && !servers.into_iter().any(lives));
    stack.stop(PATIENCE).await;
}

/// A disk of its own, taken away when dropped. Needs the right to mount, as root has it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"]).arg(&at).status().unwrap();
        assert!(mounted.success(), "a small disk cannot be mounted: run the tests as root, or in a container that may mount");
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}

#[tokio::test]
async fn full_disk_is_survived() {
    const MIB: i64 = 1024 * 1024;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = crate::support::temp_dir();
    let disk = SmallDisk::mount(dir.path().join("nats"));
    let stack = Stack::start(&Config { postgres: false, ..config(dir.path()) }).await.unwrap();
    let queue = odoo_agent::queue::Queue::connect(&odoo_agent::queue::Config {
        url: stack.nats_url().map(str::to_owned),
        ingest_max_bytes: 16 * MIB,
        jobs_max_bytes: 8 * MIB,
        events_max_bytes: 8 * MIB,
        dead_max_bytes: 8 * MIB,
        ..odoo_agent::queue::Config::default()
    })
    .await
    .unwrap();
    queue.ensure_topology().await.unwrap();
    let tenant = crate::support::tenant("acme");
    let body = bytes::Bytes::from(vec![b'x'; 200_000]);
    let publish = async || queue.publish_raw(&tenant, "odoo-text", odoo_agent::domain::EventId::generate(), body.clone()).await;
    publish().await.unwrap();
    assert!(queue.probe().await.is_ok());
    let mut accepted = 1;

    let foreign = disk.0.join("foreign");
    let mut file = std::fs::File::create(&foreign).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 64 * 1024]).is_ok() {}
    drop(file);
    until("the full disk to be noticed", async || match publish().await {
        Ok(_) => {
            accepted += 1;
            false
        }
        Err(_) => true,
    })
    .await;
    until("the probe to notice it too", async || queue.probe().await.is_err()).await;

    std::fs::remove_file(&foreign).unwrap();
    until("events to be taken again", async || publish().await.is_ok()).await;
    until("the probe to be well", async || queue.probe().await.is_ok()).await;
    let kept = queue.depth(odoo_agent::queue::StreamName::Ingest).await.unwrap().messages;
    assert!(kept > accepted, "{kept} of {accepted} accepted events and one more are there");
    drop(queue);
    stack.stop(PATIENCE).await;
    drop(disk);
}

/// What is beside the health endpoint tells of connections and subjects.
#[tokio::test]
async fn health_endpoint_is_found_by_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(&Config { postgres: false, ..config(dir.path()) }).await.unwrap();
    let text = std::fs::read_to_string(dir.path().join("nats/nats.conf")).unwrap();
    let address = text.lines().find_map(|line| line.strip_prefix("http: \"")?.strip_suffix('"')).unwrap().to_owned();
    let path = text.lines().find_map(|line| line.strip_prefix("http_base_path: \"")?.strip_suffix('"')).unwrap().to_owned();
    let status = async |path: String| reqwest::get(format!("http://{address}{path}")).await.unwrap().status().as_u16();
    let _ = rustls::crypto::ring::default_provider().install_default();
    assert_eq!(status(format!("{path}/healthz")).await, 200);
    for guess in ["/healthz", "/connz", "/varz", "/jsz"] {
        assert_eq!(status(guess.to_owned()).await, 404, "{guess}");
    }
    stack.stop(PATIENCE).await;
}
