//! Where the servers are on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::StackError;

/// How to get what is missing.
pub(super) const ADVICE: &str = "To get it: `make setup` in the project (Debian, Ubuntu); \
`brew install nats-server postgresql@18 pgvector` (macOS); `dnf install nats-server postgresql-server pgvector` (Fedora). \
Or set NATS_URL and DATABASE_URL to servers that run already";

/// PostgreSQL's own oldest version that the design allows.
const OLDEST_POSTGRES: u32 = 15;

/// Where packages put PostgreSQL without putting it on `PATH`; `*` stands for a version.
const POSTGRES_DIRS: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/opt/homebrew/bin",
];
const VERSIONS: std::ops::RangeInclusive<u32> = OLDEST_POSTGRES..=25;

/// A PostgreSQL that has pgvector.
#[derive(Debug, Clone)]
pub(super) struct Postgres {
    pub(super) bin: PathBuf,
    /// `18`, as `PG_VERSION` in a cluster has it.
    pub(super) major: u32,
    /// Where its own libraries are, if it was unpacked rather than installed.
    pub(super) lib: Option<PathBuf>,
}

/// The nats-server of the runtime directory, or the one on `PATH`.
pub(super) fn nats_server(runtime: &Path) -> Result<PathBuf, StackError> {
    [runtime.join("nats/nats-server"), runtime.join("bin/nats-server"), "/opt/homebrew/bin/nats-server".into()]
        .into_iter()
        .chain(on_path().map(|dir| dir.join("nats-server")))
        .chain(["/usr/sbin/nats-server".into()])
        .find(|path| path.is_file())
        .and_then(|path| path.canonicalize().ok())
        .ok_or_else(|| StackError::Missing { what: "nats-server", looked: looked(runtime) })
}

/// The PostgreSQL of the runtime directory, or the first elsewhere that has pgvector.
pub(super) fn postgres(runtime: &Path) -> Result<Postgres, StackError> {
    let own = runtime.join("postgres/bin");
    let elsewhere = on_path().chain(POSTGRES_DIRS.iter().flat_map(|pattern| expand(pattern)));
    let mut without_vector = false;
    for bin in std::iter::once(own.clone()).chain(elsewhere) {
        // A link on PATH points to where the real ones lie side by side.
        let Some(bin) = bin.join("initdb").canonicalize().ok().and_then(|initdb| initdb.parent().map(Path::to_owned)) else { continue };
        // An installed one finds its libraries by itself.
        let lib = bin.parent().map(|top| top.join("lib")).filter(|_| own.canonicalize().is_ok_and(|own| own == bin));
        let Some(major) = major_version(&bin.join("postgres"), lib.as_deref()).filter(|major| *major >= OLDEST_POSTGRES) else { continue };
        if has_vector(&bin, major) {
            return Ok(Postgres { bin, major, lib });
        }
        without_vector = true;
    }
    let what = if without_vector { "pgvector for the PostgreSQL on this machine" } else { "PostgreSQL 15 or newer (initdb and postgres)" };
    Err(StackError::Missing { what, looked: looked(runtime) })
}

fn looked(runtime: &Path) -> String {
    format!("looked in {} and on PATH", runtime.display())
}

#[expect(clippy::disallowed_methods, reason = "PATH is the machine's, not a setting of ours")]
fn on_path() -> impl Iterator<Item = PathBuf> {
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn expand(pattern: &str) -> Vec<PathBuf> {
    if pattern.contains('*') {
        VERSIONS.rev().map(|version| pattern.replace('*', &version.to_string()).into()).collect()
    } else {
        vec![pattern.into()]
    }
}

fn major_version(postgres: &Path, lib: Option<&Path>) -> Option<u32> {
    let mut command = Command::new(postgres);
    if let Some(lib) = lib {
        command.env(library_path(), lib);
    }
    let output = command.arg("--version").output().ok().filter(|output| output.status.success())?;
    parse_major(&String::from_utf8_lossy(&output.stdout))
}

/// `postgres (PostgreSQL) 18.4`, `… 15.18 (Debian 15.18-0+deb12u1)`, `… 19beta1`.
fn parse_major(text: &str) -> Option<u32> {
    let version = text.split(") ").nth(1)?;
    version.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// The variable by which the dynamic linker is told of another directory.
pub(super) const fn library_path() -> &'static str {
    if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" }
}

fn has_vector(bin: &Path, major: u32) -> bool {
    let asked = Command::new(bin.join("pg_config")).arg("--sharedir").output().ok().filter(|output| output.status.success());
    let asked = asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let top = bin.parent().unwrap_or(bin);
    [
        Some(top.join("share/postgresql")),
        Some(top.join("share")),
        Some(top.join(format!("share/postgresql@{major}"))),
        Some(format!("/usr/share/postgresql/{major}").into()),
        Some(format!("/opt/homebrew/share/postgresql@{major}").into()),
        Some(format!("/usr/local/share/postgresql@{major}").into()),
        asked,
    ]
    .into_iter()
    .flatten()
    // Debian keeps the one of every version apart; the others' directories hold only the one they belong to.
    .any(|share| share.join("extension/vector.control").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (text, major) in [
            ("postgres (PostgreSQL) 18.4\n", Some(18)),
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 19beta1", Some(19)),
            ("Segmentation fault", None),
            ("", None),
        ] {
            assert_eq!(parse_major(text), major, "{text:?}");
        }
    }
}
