//! Whether a nats-server is well, as its own health endpoint says; and whether its disk has room.
//!
//! A server whose disk was full takes nothing more, also when there is room again, until it is started anew.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the endpoint is asked, and how long its answer may take.
const EVERY: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(2);
/// After how many answers in a row that say so a server counts as broken; and after how many requests without an answer.
const REFUSALS: u32 = 3;
const SILENCES: u32 = 15;
/// How long a server may take to read its store after its start before what it says counts.
const RECOVERY: Duration = Duration::from_secs(120);
/// What the server says of a store that it cannot write to, also right after its start.
const NO_WRITE: &str = "write error";
/// Less room than this on the disk, in bytes, and another start would not help.
const ROOM: u64 = 16 * 1024 * 1024;
/// The most bytes of an answer that are read.
const ANSWER: u64 = 4096;

/// Where the endpoint is, and where the server keeps its data.
#[derive(Debug, Clone)]
pub(super) struct Health {
    pub(super) address: SocketAddr,
    pub(super) path: String,
    pub(super) store: PathBuf,
}

/// What the endpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Well,
    Broken(String),
    Silent,
}

/// What was seen of one process of the server.
#[derive(Debug)]
pub(super) struct Observed {
    born: Instant,
    asked: Instant,
    was_well: bool,
    refusals: u32,
    silences: u32,
    told_full: bool,
}

impl Observed {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { born: now, asked: now, was_well: false, refusals: 0, silences: 0, told_full: false }
    }

    /// Asks now and then. Returns why the server is to be started anew, once it must be and that can help.
    pub(super) fn fault(&mut self, health: &Health) -> Option<String> {
        if self.asked.elapsed() < EVERY {
            return None;
        }
        let answer = ask(health);
        self.asked = Instant::now();
        let why = self.count(answer)?;
        if has_room(&health.store) {
            return Some(why);
        }
        if !std::mem::replace(&mut self.told_full, true) {
            tracing::error!(store = %health.store.display(), why, "the disk of the embedded NATS is full: make room; it is started again then");
        }
        None
    }

    fn count(&mut self, answer: Answer) -> Option<String> {
        match answer {
            Answer::Well => {
                (self.was_well, self.refusals, self.silences, self.told_full) = (true, 0, 0, false);
                None
            }
            Answer::Broken(why) if !self.was_well && !why.contains(NO_WRITE) && self.born.elapsed() < RECOVERY => None,
            Answer::Broken(why) => {
                (self.refusals, self.silences) = (self.refusals + 1, 0);
                (self.refusals >= REFUSALS).then_some(why)
            }
            Answer::Silent => {
                self.silences += 1;
                (self.silences >= SILENCES).then(|| "its health endpoint does not answer".to_owned())
            }
        }
    }
}

fn ask(health: &Health) -> Answer {
    let exchange = || {
        let mut stream = TcpStream::connect_timeout(&health.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(stream, "GET {} HTTP/1.0\r\nHost: localhost\r\n\r\n", health.path)?;
        let mut bytes = Vec::new();
        stream.take(ANSWER).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    exchange().map_or(Answer::Silent, |bytes| read(&String::from_utf8_lossy(&bytes)))
}

/// The status decides; the body says why.
fn read(answer: &str) -> Answer {
    match answer.split_whitespace().nth(1).and_then(|status| status.parse::<u16>().ok()) {
        Some(200) => Answer::Well,
        Some(_) => {
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
            Answer::Broken(body.chars().filter(|c| !c.is_control()).take(300).collect())
        }
        None => Answer::Silent,
    }
}

/// Whether the disk has room. One that cannot be asked is taken to have some.
#[expect(clippy::useless_conversion, reason = "elsewhere these numbers are narrower")]
fn has_room(store: &Path) -> bool {
    let Ok(disk) = nix::sys::statvfs::statvfs(store) else { return true };
    u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())) >= ROOM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_decides() {
        assert_eq!(read("HTTP/1.0 200 OK\r\n\r\n{\"status\":\"ok\"}"), Answer::Well);
        assert_eq!(read("HTTP/1.0 503 Service Unavailable\r\n\r\nno store\n"), Answer::Broken("no store".to_owned()));
        for garbage in ["", "HTTP/1.0", "HTTP/1.0 OK", "\0"] {
            assert_eq!(read(garbage), Answer::Silent, "{garbage:?}");
        }
    }

    #[test]
    fn one_bad_answer_is_no_fault() {
        let broken = || Answer::Broken("no store".to_owned());
        let mut observed = Observed::new();
        assert_eq!(observed.count(broken()), None, "it still reads its store");
        let full = || Answer::Broken("write error: no space left on device".to_owned());
        assert_eq!((observed.count(full()), observed.count(full()), observed.count(full()).is_some()), (None, None, true));
        observed.count(Answer::Well);
        assert_eq!((observed.count(broken()), observed.count(broken())), (None, None));
        observed.count(Answer::Well);
        assert_eq!((observed.count(broken()), observed.count(broken())), (None, None), "counted anew");
        assert_eq!(observed.count(broken()), Some("no store".to_owned()));
    }

    #[test]
    fn silence_takes_longer_than_a_refusal() {
        let mut observed = Observed::new();
        observed.count(Answer::Well);
        let faults = (0..SILENCES).filter_map(|_| observed.count(Answer::Silent)).count();
        assert_eq!(faults, 1);
    }
}
