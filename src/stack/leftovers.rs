//! What a program that was killed left running. Only called with the lock of the data directory in hand.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Paths;

const GRACE: Duration = Duration::from_secs(20);

/// Ends servers of this data directory that still run, and removes pid files that name some other process by now.
pub(super) fn end(paths: &Paths) {
    let config = paths.nats.join("nats.conf");
    end_one(&paths.pid_file("nats"), &config, Signal::SIGTERM);
    end_one(&paths.pid_file("postgres"), &paths.cluster, Signal::SIGINT);
    let postmaster = paths.cluster.join("postmaster.pid");
    end_one(&postmaster, &paths.cluster, Signal::SIGINT);
    // PostgreSQL deletes its own stale file, unless the number in it has gone to another process since.
    if read_pid(&postmaster).is_some_and(is_alive) {
        let _ = fs::remove_file(&postmaster);
        let _ = fs::remove_file(paths.run.join(".s.PGSQL.5432.lock"));
    }
    let _ = fs::remove_file(paths.pid_file("nats"));
    let _ = fs::remove_file(paths.pid_file("postgres"));
}

/// The process of a pid file, if it runs and was started with `marker`.
pub(super) fn running(pid_file: &Path, marker: &Path) -> Option<Pid> {
    read_pid(pid_file).filter(|pid| is_ours(*pid, marker))
}

fn end_one(pid_file: &Path, marker: &Path, gentle: Signal) {
    let Some(pid) = running(pid_file, marker) else { return };
    tracing::warn!(%pid, "a server of the embedded stack outlived its program; ending it");
    for signal in [gentle, Signal::SIGKILL] {
        let _ = kill(pid, signal);
        if gone_within(GRACE, pid, marker) {
            return;
        }
    }
    tracing::error!(%pid, "a server of the embedded stack cannot be ended");
}

fn gone_within(limit: Duration, pid: Pid, marker: &Path) -> bool {
    // Nothing reports the end of a process that is not our child, so it has to be asked for.
    let (_never, tick) = std::sync::mpsc::channel::<()>();
    let deadline = Instant::now() + limit;
    while is_ours(pid, marker) {
        if Instant::now() > deadline {
            return false;
        }
        let _ = tick.recv_timeout(Duration::from_millis(50));
    }
    true
}

/// The number in the first line of a pid file.
fn read_pid(path: &Path) -> Option<Pid> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 1).map(Pid::from_raw)
}

fn is_alive(pid: Pid) -> bool {
    !matches!(kill(pid, None), Err(nix::errno::Errno::ESRCH))
}

/// Whether this process was started with `marker`, a path in our data directory, on its command line. A number alone says
/// nothing: it may have gone to another process since.
fn is_ours(pid: Pid, marker: &Path) -> bool {
    let line = match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => line,
        Err(_) if Path::new("/proc/self").exists() => return false,
        Err(_) => match Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output() {
            Ok(output) => output.stdout,
            Err(_) => return false,
        },
    };
    let marker = marker.as_os_str().as_encoded_bytes();
    line.split(|byte| matches!(byte, 0 | b'\n')).any(|argument| argument == marker)
        || !Path::new("/proc/self").exists() && line.windows(marker.len()).any(|part| part == marker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_a_stranger_is_not_ours() {
        let own = Pid::this();
        assert!(is_alive(own));
        assert!(!is_ours(own, Path::new("/nowhere/nats.conf")));
    }

    #[test]
    fn garbage_in_a_pid_file_is_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pid");
        for text in ["", "abc", "-1", "0", "1", "99999999999999999999", "\u{0}"] {
            fs::write(&path, text).unwrap();
            assert_eq!(read_pid(&path), None, "{text:?}");
        }
        fs::write(&path, "4711\n/data\n").unwrap();
        assert_eq!(read_pid(&path), Some(Pid::from_raw(4711)));
    }
}
