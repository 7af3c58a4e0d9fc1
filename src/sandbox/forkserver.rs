//! The process in a container that keeps Odoo imported and forks one process a run; see `sandbox/run/forkserver.py`.
//!
//! What it says comes over a descriptor that the code under test has no access to, so an end that is told here is the end that was.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::container::LogOutput;
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};
use tokio_util::io::StreamReader;

use super::container::{ADDON, Container, Output, Stop};
use super::record::Record;
use super::recording::{Channel, Recording};
use super::{Limits, SandboxError};
use crate::domain::OdooVersion;

/// Time to import Odoo, on a loaded machine.
const BOOT: Duration = Duration::from_secs(120);
/// The most bytes of a frame. Log comes in pieces of 64 KiB.
const FRAME_BYTES: usize = 1024 * 1024;
/// What is kept of its complaints, for an error text.
const COMPLAINT_BYTES: usize = 4096;

/// A fork server that has said that it is ready.
pub(super) struct ForkServer {
    input: Pin<Box<dyn AsyncWrite + Send>>,
    frames: FramedRead<Pin<Box<dyn AsyncRead + Send>>, LengthDelimitedCodec>,
    complaints: Arc<Mutex<String>>,
    loaded: BTreeSet<String>,
}

/// One run.
#[derive(Debug, Serialize)]
pub(super) struct Order<'a> {
    pub(super) database: &'a str,
    /// The template or kept database that the filestore comes from.
    pub(super) from: &'a str,
    /// Whether later runs start from what this one leaves.
    pub(super) keep: bool,
    pub(super) install: &'a [&'a str],
    /// Whether Odoo sees no other addon of the sources, so that it installs none of them by itself.
    pub(super) alone: bool,
    /// Which tests run; none if there is none.
    pub(super) tags: Option<&'a str>,
    /// Seconds until it is ended.
    pub(super) seconds: u64,
    /// Seconds of silence after which it is ended.
    pub(super) idle: u64,
    /// Bytes of log after which it is ended.
    pub(super) bytes: usize,
}

impl<'a> Order<'a> {
    /// A run of nothing yet, in a copy of `from`.
    pub(super) fn new(limits: &Limits, database: &'a str, from: &'a str) -> Self {
        let Limits { seconds, idle_seconds, output_bytes, .. } = *limits;
        Self { database, from, keep: false, install: &[], alone: false, tags: None, seconds, idle: idle_seconds, bytes: output_bytes }
    }
}

#[derive(Serialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Command<'a> {
    Load { modules: &'a [&'a str] },
    Run(&'a Order<'a>),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ended {
    Exit,
    Deadline,
    Idle,
    Flood,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Done { done: Ended, code: i64, record: Option<Channel> },
    Loaded { loaded: usize },
    Ready { ready: String },
}

enum Frame {
    Log(Vec<u8>),
    /// A message of the recorder.
    Record(Vec<u8>),
    Said(Said),
    /// It is gone.
    End,
}

impl ForkServer {
    /// Starts one and waits until Odoo is imported.
    pub(super) async fn start(container: &Container, version: &OdooVersion) -> Result<Self, SandboxError> {
        let (output, input) = container.attach(&ADDON, &["python3", "-EsB", "/opt/odoo-agent/forkserver.py", version.as_str()]).await?;
        let mut server = Self::over(output, input);
        match server.frame(Instant::now() + BOOT).await? {
            Some(Frame::Said(Said::Ready { ready })) if ready == version.as_str() => Ok(server),
            _ => Err(SandboxError::Protocol(format!("Odoo could not be imported: {}", server.complaints()))),
        }
    }

    fn over(
        output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static,
        input: Pin<Box<dyn AsyncWrite + Send>>,
    ) -> Self {
        let complaints = Arc::new(Mutex::new(String::new()));
        let heard = complaints.clone();
        let bytes = output.filter_map(move |chunk| {
            let bytes = match chunk {
                Ok(LogOutput::StdOut { message }) => Some(Ok(message)),
                Ok(other) => {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    heard.push_str(&String::from_utf8_lossy(&other.into_bytes()));
                    let cut = heard.ceil_char_boundary(heard.len().saturating_sub(COMPLAINT_BYTES));
                    heard.drain(..cut);
                    None
                }
                Err(error) => Some(Err(std::io::Error::other(error))),
            };
            std::future::ready(bytes)
        });
        let reader: Pin<Box<dyn AsyncRead + Send>> = Box::pin(StreamReader::new(bytes));
        let frames = LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES).new_read(reader);
        Self { input, frames, complaints, loaded: BTreeSet::new() }
    }

    /// The last that it complained about.
    fn complaints(&self) -> String {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).trim().to_owned()
    }

    /// Whether everything that it has imported is among these.
    pub(super) fn fits(&self, modules: &[String]) -> bool {
        self.loaded.iter().all(|loaded| modules.contains(loaded))
    }

    /// Whether it still listens.
    pub(super) async fn is_alive(&mut self) -> bool {
        // Nothing was asked, so the only thing that can come is the end.
        matches!(self.frame(Instant::now()).await, Ok(None))
    }

    /// Imports those addons of Odoo itself that are not imported yet.
    pub(super) async fn load(&mut self, modules: &[String]) -> Result<(), SandboxError> {
        let new: Vec<&str> = modules.iter().filter(|module| !self.loaded.contains(*module)).map(String::as_str).collect();
        if new.is_empty() { Ok(()) } else { self.import(&new).await }
    }

    /// Waits until what the last run left is taken away.
    pub(super) async fn settle(&mut self) -> Result<(), SandboxError> {
        self.import(&[]).await
    }

    async fn import(&mut self, new: &[&str]) -> Result<(), SandboxError> {
        self.send(&Command::Load { modules: new }).await;
        match self.frame(Instant::now() + BOOT).await? {
            Some(Frame::Said(Said::Loaded { loaded })) if loaded == new.len() => {
                self.loaded.extend(new.iter().map(|module| (*module).to_owned()));
                Ok(())
            }
            _ => Err(SandboxError::Protocol(format!("Odoo's addons could not be imported: {}", self.complaints()))),
        }
    }

    /// Runs to the end, and gives what the recorder saw of it, if it ran tests. `total` is our own clock, which holds if the one inside is tampered with. `heard` gets the log as it comes.
    pub(super) async fn run(
        &mut self,
        order: &Order<'_>,
        total: Duration,
        heard: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<(Output, Option<Box<Record>>), SandboxError> {
        let deadline = Instant::now() + total;
        self.send(&Command::Run(order)).await;
        let (mut bytes, mut recording, mut channel) = (Vec::new(), Box::<Recording>::default(), None);
        let stop = loop {
            match self.frame(deadline).await? {
                Some(Frame::Log(log)) => {
                    heard(&log);
                    bytes.extend_from_slice(&log);
                }
                Some(Frame::Record(message)) => recording.take(&message),
                Some(Frame::Said(Said::Done { done, code, record })) => {
                    channel = record;
                    break match done {
                        Ended::Exit => Stop::Exited(code),
                        Ended::Deadline => Stop::Deadline,
                        Ended::Idle => Stop::Idle,
                        Ended::Flood => Stop::TooMuch,
                    };
                }
                Some(Frame::Said(_) | Frame::End) => break Stop::Lost,
                None => break Stop::Deadline,
            }
        };
        let record = recording.finish(stop, channel).map(Box::new);
        Ok((Output { stop, bytes }, record))
    }

    /// One that does not listen any more shows in what it answers.
    async fn send(&mut self, command: &Command<'_>) {
        let mut line = serde_json::to_vec(command).unwrap_or_default();
        line.push(b'\n');
        let sent = async {
            self.input.write_all(&line).await?;
            self.input.flush().await
        };
        let _ = timeout(Duration::from_secs(10), sent).await;
    }

    /// The next frame; `None` if it does not come in time.
    async fn frame(&mut self, deadline: Instant) -> Result<Option<Frame>, SandboxError> {
        let Ok(next) = tokio::time::timeout_at(deadline, self.frames.next()).await else { return Ok(None) };
        let frame = match next {
            None => return Ok(Some(Frame::End)),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Err(SandboxError::EngineGone(error.to_string())),
        };
        let said =
            |text: &[u8]| serde_json::from_slice(text).map_err(|error| SandboxError::Protocol(format!("the fork server said: {error}")));
        match frame.split_first() {
            Some((b'L', log)) => Ok(Some(Frame::Log(log.to_vec()))),
            Some((b'R', message)) => Ok(Some(Frame::Record(message.to_vec()))),
            Some((b'J', text)) => Ok(Some(Frame::Said(said(text)?))),
            _ => Err(SandboxError::Protocol("the fork server sent a frame of no known kind".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn frame(kind: u8, payload: &str) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 1).unwrap();
        [&length.to_be_bytes()[..], &[kind], payload.as_bytes()].concat()
    }

    fn server(chunks: Vec<Vec<u8>>, ends: bool) -> ForkServer {
        let chunks = stream::iter(chunks.into_iter().map(|message| Ok(LogOutput::StdOut { message: message.into() })));
        let complaint = stream::iter([Ok(LogOutput::StdErr { message: "Traceback: no odoo".into() })]);
        let input = Box::pin(tokio::io::sink());
        if ends { ForkServer::over(complaint.chain(chunks), input) } else { ForkServer::over(chunks.chain(stream::pending()), input) }
    }

    async fn recorded(chunks: Vec<Vec<u8>>, ends: bool) -> Result<(Output, Option<Box<Record>>), SandboxError> {
        let limits = Limits::default();
        let order = Order { install: &["m"], ..Order::new(&limits, "d", "t") };
        server(chunks, ends).run(&order, Duration::from_millis(100), &mut |_| {}).await
    }

    async fn run(chunks: Vec<Vec<u8>>, ends: bool) -> Result<Output, SandboxError> {
        recorded(chunks, ends).await.map(|(output, _)| output)
    }

    #[tokio::test]
    async fn record_comes_beside_the_log() {
        let done = |record: &str| frame(b'J', &format!(r#"{{"done": "exit", "code": 0, "record": {record}}}"#));
        let said = [frame(b'R', r#"{"started": ["m"]}"#), frame(b'L', "log"), frame(b'R', r#"{"end": {"code": 0, "returned": true}}"#)];
        let (output, record) = recorded(vec![[&said.concat()[..], &done("\"whole\"")].concat()], true).await.unwrap();
        assert_eq!((output.text().as_str(), record.map(|record| record.complete)), ("log", Some(true)));
        let (_, record) = recorded(vec![[&said.concat()[..], &done("\"cut\"")].concat()], true).await.unwrap();
        assert_eq!(record.map(|record| record.complete), Some(false));
        let (_, record) = recorded(vec![done("null")], true).await.unwrap();
        assert_eq!(record, None);
    }

    #[tokio::test]
    async fn frames_survive_any_cut() {
        let whole = [frame(b'L', "some log\n"), frame(b'L', "more"), frame(b'J', r#"{"done": "exit", "code": 1}"#)].concat();
        for size in [1, 3, 7, 1000] {
            let output = run(whole.chunks(size).map(<[u8]>::to_vec).collect(), true).await.unwrap();
            assert_eq!((output.stop, output.text().as_str()), (Stop::Exited(1), "some log\nmore"));
        }
    }

    #[tokio::test]
    async fn every_end_is_told() {
        for (word, stop) in [("deadline", Stop::Deadline), ("idle", Stop::Idle), ("flood", Stop::TooMuch)] {
            let output = run(vec![frame(b'J', &format!(r#"{{"done": "{word}", "code": 137}}"#))], true).await.unwrap();
            assert_eq!(output.stop, stop);
        }
        assert_eq!(run(vec![frame(b'L', "cut off")], true).await.unwrap().stop, Stop::Lost);
        assert_eq!(run(vec![frame(b'L', "deaf")], false).await.unwrap().stop, Stop::Deadline);
    }

    #[tokio::test]
    async fn garbage_is_no_frame() {
        for garbage in [frame(b'J', "{}"), frame(b'J', "not json"), frame(b'X', ""), vec![0, 0, 0, 0], vec![255; 64]] {
            assert!(run(vec![garbage.clone()], true).await.is_err(), "{garbage:?}");
        }
    }

    #[tokio::test]
    async fn what_went_wrong_is_told() {
        let mut server = server(Vec::new(), true);
        let error = server.load(&["base".to_owned()]).await.unwrap_err();
        assert!(error.to_string().contains("Traceback: no odoo"), "{error}");
    }
}
