//! The private PostgreSQL.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::sysinfo::sysinfo;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection};

use super::account::{self, Account};
use super::process::{Program, Supervised, command, ready};
use super::{Paths, StackError, binaries, blocking, io};

/// The longest path that fits the address of a socket on every system, less the name that PostgreSQL puts at its end.
const LONGEST_SOCKET_DIR: usize = 100 - "/.s.PGSQL.5432".len();
const INITDB_LIMIT: Duration = Duration::from_secs(180);

/// Addresses of the database.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Urls {
    pub(super) owner: String,
    pub(super) app: String,
}

/// Starts it, on the first start with a new cluster, and waits until it answers; then sees to the database and its roles.
pub(super) async fn start(runtime: &Path, paths: &Paths, account: Option<&Account>) -> Result<(Urls, Supervised), StackError> {
    let (found, socket_dir) = {
        let (runtime, paths, account) = (runtime.to_owned(), paths.clone(), account.cloned());
        blocking(move || prepare(&runtime, &paths, account.as_ref())).await?
    };
    let env: Vec<(OsString, OsString)> =
        found.lib.iter().map(|lib| (binaries::library_path().into(), lib.as_os_str().to_owned())).collect();
    if !paths.cluster.join("PG_VERSION").exists() {
        init(&found, paths, account, &env).await?;
    }
    let setting = |text: &str| [OsString::from("-c"), OsString::from(text)];
    let mut args: Vec<OsString> = vec!["-D".into(), paths.cluster.clone().into(), "-k".into(), socket_dir.clone().into()];
    for text in ["listen_addresses=", "unix_socket_permissions=0700", "max_connections=100", "timezone=UTC", "log_timezone=UTC"] {
        args.extend(setting(text));
    }
    args.extend(setting(&format!("shared_buffers={}MB", buffers_mb(sysinfo().map_or(0, |machine| machine.ram_total())))));
    let program = Program {
        name: "postgres",
        path: found.bin.join("postgres"),
        args,
        env,
        dir: paths.cluster.clone(),
        account: account.cloned(),
        log: paths.log_file("postgres"),
        pid_file: paths.pid_file("postgres"),
        stop: Signal::SIGINT,
        abort: Signal::SIGQUIT,
        health: None,
    };
    let log = program.log.clone();
    let server = program.supervise()?;
    let maintenance = url(&socket_dir, "postgres", "postgres");
    ready(&server, &log, || check(&maintenance)).await?;
    provision(&maintenance).await?;
    Ok((Urls { owner: url(&socket_dir, "postgres", "odoo_agent"), app: url(&socket_dir, "odoo_agent_app", "odoo_agent") }, server))
}

/// The memory in which it keeps what it has read: an eighth of the machine's, for sandboxes need the rest. By itself it takes so little that an index
/// of a million vectors is read anew with every search. `total` is in bytes.
fn buffers_mb(total: u64) -> u64 {
    (total / (1024 * 1024) / 8).clamp(128, 2_048)
}

fn prepare(runtime: &Path, paths: &Paths, account: Option<&Account>) -> Result<(binaries::Postgres, PathBuf), StackError> {
    let found = binaries::postgres(runtime)?;
    if let Some(account) = account {
        account.reaches(&found.bin.join("postgres"))?;
    }
    if let Ok(version) = fs::read_to_string(paths.cluster.join("PG_VERSION")) {
        let (version, here) = (version.trim().to_owned(), found.major.to_string());
        if version != here {
            return Err(StackError::DataVersion { dir: paths.cluster.clone(), found: version, here });
        }
    }
    let socket_dir = socket_dir(&paths.run);
    account::private_dir(&socket_dir, account)?;
    Ok((found, socket_dir))
}

/// The directory of the socket: in the data directory, or, where that path is too long, one of its own for temporary files.
fn socket_dir(run: &Path) -> PathBuf {
    if run.as_os_str().len() <= LONGEST_SOCKET_DIR {
        return run.to_owned();
    }
    let hash = blake3::hash(run.as_os_str().as_encoded_bytes()).to_hex();
    let short = std::env::temp_dir().join(format!("odoo-agent-{}", &hash[..16]));
    if short.as_os_str().len() <= LONGEST_SOCKET_DIR { short } else { Path::new("/tmp").join(format!("odoo-agent-{}", &hash[..16])) }
}

/// Makes the cluster beside its place and moves it there when it is whole, so that half of one is never taken for one.
async fn init(
    found: &binaries::Postgres,
    paths: &Paths,
    account: Option<&Account>,
    env: &[(OsString, OsString)],
) -> Result<(), StackError> {
    let fresh = paths.data.join("postgres.new");
    {
        let (fresh, account) = (fresh.clone(), account.cloned());
        blocking(move || {
            if fresh.exists() {
                fs::remove_dir_all(&fresh).map_err(io(&fresh))?;
            }
            account::private_dir(&fresh, account.as_ref())
        })
        .await?;
    }
    let initdb = found.bin.join("initdb");
    let mut command = command(&initdb, account, &fresh, env);
    command.args(["-E", "UTF8", "--no-locale", "-A", "trust", "-U", "postgres", "-D"]).arg(&fresh);
    let mut command = tokio::process::Command::from(command);
    let output = tokio::time::timeout(INITDB_LIMIT, command.kill_on_drop(true).output()).await;
    let output = output.map_err(|_| io(&initdb)(std::io::ErrorKind::TimedOut.into()))?.map_err(io(&initdb))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        return Err(StackError::Initdb { status: output.status.to_string(), output: text.trim().to_owned() });
    }
    if paths.cluster.exists() {
        // Empty, or it would have a PG_VERSION; whatever else is in there is not ours to delete.
        fs::remove_dir(&paths.cluster).map_err(io(&paths.cluster))?;
    }
    fs::rename(&fresh, &paths.cluster).map_err(io(&paths.cluster))
}

/// The database, and the role of the application. What that role may do is for the migrations to say.
async fn provision(maintenance: &str) -> Result<(), StackError> {
    let mut connection = PgConnection::connect(maintenance).await?;
    let exists = |sql: &'static str| sqlx::query_scalar::<_, bool>(sql);
    if !exists("select exists (select from pg_roles where rolname = 'odoo_agent_app')").fetch_one(&mut connection).await? {
        sqlx::query("create role odoo_agent_app login nosuperuser nocreatedb nocreaterole nobypassrls").execute(&mut connection).await?;
    }
    if !exists("select exists (select from pg_database where datname = 'odoo_agent')").fetch_one(&mut connection).await? {
        sqlx::query("create database odoo_agent").execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Whether PostgreSQL takes a connection there.
pub(super) async fn check(url: &str) -> Result<(), sqlx::Error> {
    PgConnection::connect(url).await?.close().await
}

fn url(socket_dir: &Path, user: &str, database: &str) -> String {
    let mut host = String::new();
    for byte in socket_dir.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            host.push(char::from(*byte));
        } else {
            let _ = write!(host, "%{byte:02X}");
        }
    }
    format!("postgres://{user}@localhost/{database}?host={host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_path_gets_a_short_socket_dir() {
        let short = Path::new("/srv/agent/run");
        assert_eq!(socket_dir(short), short);
        let long = PathBuf::from(format!("/srv/{}/run", "x".repeat(120)));
        assert!(socket_dir(&long).as_os_str().len() <= LONGEST_SOCKET_DIR);
        assert_ne!(socket_dir(&long), socket_dir(&long.join("other")));
    }

    #[test]
    fn buffers_leave_room_for_sandboxes() {
        assert_eq!([0, 1, 8, 64].map(|gigabytes| buffers_mb(gigabytes << 30)), [128, 128, 1_024, 2_048]);
    }

    #[test]
    fn address_survives_odd_paths() {
        let text = url(Path::new("/srv/a b&c/run"), "postgres", "odoo_agent");
        let options: sqlx::postgres::PgConnectOptions = text.parse().unwrap();
        assert_eq!(options.get_socket().map(PathBuf::as_path), Some(Path::new("/srv/a b&c/run")));
    }
}
