//! What a run is doing, told while it does it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::Progress;

/// Takes what a run is doing.
pub(super) type Tell = Arc<dyn Fn(Progress) + Send + Sync>;

/// How often the tests are counted aloud.
const PAUSE: Duration = Duration::from_secs(1);
/// How much of a line is looked at.
const LINE_BYTES: usize = 1024;

/// Reads a log as it comes.
pub(super) struct Watch<'a> {
    tell: &'a Tell,
    line: Vec<u8>,
    tests: u32,
    told: Instant,
}

impl<'a> Watch<'a> {
    pub(super) fn over(tell: &'a Tell) -> Self {
        Self { tell, line: Vec::new(), tests: 0, told: Instant::now() }
    }

    /// What takes the bytes of the log.
    pub(super) fn bytes(mut self) -> impl FnMut(&[u8]) + Send + 'a {
        move |bytes| {
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                let room = LINE_BYTES.saturating_sub(self.line.len());
                self.line.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.line);
                    self.read(&String::from_utf8_lossy(&line));
                }
            }
        }
    }

    /// The words are those of Odoo's own loggers in every series from 16.0.
    fn read(&mut self, line: &str) {
        if let Some((_, module)) = line.split_once(" odoo.modules.loading: Loading module ") {
            (self.tell)(Progress::new("sandbox", format!("loading {}", module.trim())));
        } else if let Some((_, test)) = line.split_once(": Starting ").filter(|_| line.contains(".tests.")) {
            self.tests += 1;
            if self.told.elapsed() >= PAUSE {
                self.told = Instant::now();
                (self.tell)(Progress::new("sandbox", format!("test {}: {}", self.tests, test.trim_end_matches([' ', '.', '\n']))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn modules_are_told_and_garbage_is_not() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = heard.clone();
        let tell: Tell = Arc::new(move |progress: Progress| sink.lock().unwrap().push(progress.message));
        let mut watch = Watch::over(&tell).bytes();
        watch(b"2026-11-22 23:43:58,643 51 INFO x0 odoo.modules.loading: Loading mod");
        watch(b"ule sale (15/15) \n\xff\xfe\n");
        watch(&[b'x'; 5000]);
        watch(b"\nend");
        assert_eq!(*heard.lock().unwrap(), ["loading sale (15/15)"]);
    }
}
