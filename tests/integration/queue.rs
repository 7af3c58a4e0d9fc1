//! The queue on a real nats-server.
#![expect(clippy::unwrap_used, reason = "the lint knows tests, but not their helpers")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use odoo_agent::domain::{EventId, Failure, FailureKind, Job, JobKind, Progress, RunId, TenantId};
use odoo_agent::queue::{Config, Queue, QueueError, StreamName, envelope};
use odoo_agent::stack::{self, Stack};
use serde_json::json;

const WAIT: Duration = Duration::from_secs(5);
const KIND: JobKind = JobKind::DebugError;

struct Server {
    stack: Stack,
    dir: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let runtime_dir = crate::support::runtime_dir();
        let config = stack::Config {
            data_dir: dir.path().to_owned(),
            runtime_dir,
            nats: true,
            postgres: false,
            sync: stack::SyncInterval::default(),
        };
        Self { stack: Stack::start(&config).await.unwrap(), dir }
    }

    fn config(&self) -> Config {
        const MIB: i64 = 1024 * 1024;
        Config {
            url: self.stack.nats_url().map(str::to_owned),
            ack_wait: Duration::from_secs(1),
            ingest_max_bytes: 32 * MIB,
            jobs_max_bytes: 32 * MIB,
            events_max_bytes: 32 * MIB,
            dead_max_bytes: 32 * MIB,
            ..Config::default()
        }
    }

    async fn queue(&self) -> Queue {
        let queue = Queue::connect(&self.config()).await.unwrap();
        queue.ensure_topology().await.unwrap();
        queue
    }

    fn signal(&self, signal: nix::sys::signal::Signal) -> nix::unistd::Pid {
        let text = std::fs::read_to_string(self.dir.path().join("run/nats.pid")).unwrap();
        let pid = nix::unistd::Pid::from_raw(text.trim().parse().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
        pid
    }
}

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn job() -> Job {
    Job { run_id: RunId::generate(), tenant: tenant(), kind: KIND, payload: json!({"log": "Traceback (most recent call last)"}) }
}

#[tokio::test]
async fn job_is_published_once() {
    let server = Server::start().await;
    let queue = server.queue().await;
    let job = job();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert!(!queue.publish_job(&job, Some(parent)).await.unwrap().duplicate);
    assert!(queue.publish_job(&job, None).await.unwrap().duplicate);
    let mut pull = queue.jobs(KIND);
    let delivery = pull.next(WAIT).await.unwrap().unwrap();
    assert_eq!(delivery.deliveries, 1);
    assert_eq!(delivery.message_id.as_deref(), Some(job.run_id.to_string().as_str()));
    assert_eq!(envelope::decode(&delivery.subject, &delivery.payload).unwrap(), (job, Some(parent.to_owned())));
    delivery.ack().await.unwrap();
    assert!(pull.next(Duration::from_secs(1)).await.unwrap().is_none());
    assert_eq!(queue.depth(StreamName::Jobs).await.unwrap().messages, 0);
}

#[tokio::test]
async fn idle_worker_starts_at_once() {
    let server = Server::start().await;
    let queue = server.queue().await;
    let mut pull = queue.jobs(KIND);
    let waiting = tokio::spawn(async move {
        pull.next(Duration::from_secs(30)).await.unwrap().unwrap().ack().await.unwrap();
        Instant::now()
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let published = Instant::now();
    queue.publish_job(&job(), None).await.unwrap();
    let waited = waiting.await.unwrap() - published;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn lost_delivery_comes_again() {
    let server = Server::start().await;
    let queue = server.queue().await;
    queue.publish_job(&job(), None).await.unwrap();
    let mut pull = queue.jobs(KIND);
    drop(pull.next(WAIT).await.unwrap().unwrap());
    let lost = Instant::now();
    let again = pull.next(WAIT).await.unwrap().unwrap();
    assert_eq!(again.deliveries, 2);
    assert!(lost.elapsed() >= Duration::from_millis(800), "{:?}", lost.elapsed());
    again.term().await.unwrap();
    assert!(pull.next(Duration::from_millis(1500)).await.unwrap().is_none());
}

#[tokio::test]
async fn handed_back_message_waits_its_time() {
    let server = Server::start().await;
    let queue = server.queue().await;
    queue.publish_job(&job(), None).await.unwrap();
    let mut pull = queue.jobs(KIND);
    pull.next(WAIT).await.unwrap().unwrap().nak(Duration::from_millis(2500)).await.unwrap();
    let back = Instant::now();
    let again = pull.next(Duration::from_secs(10)).await.unwrap().unwrap();
    assert_eq!(again.deliveries, 2);
    assert!(back.elapsed() >= Duration::from_millis(2300), "{:?}", back.elapsed());
    again.ack().await.unwrap();
}

#[tokio::test]
async fn progress_holds_a_message() {
    let server = Server::start().await;
    let queue = server.queue().await;
    queue.publish_job(&job(), None).await.unwrap();
    let mut pull = queue.jobs(KIND);
    let held = pull.next(WAIT).await.unwrap().unwrap();
    let mut other = queue.jobs(KIND);
    let taken = tokio::spawn(async move { other.next(Duration::from_secs(3)).await.unwrap().is_some() });
    for _ in 0..12 {
        held.progress().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(!taken.await.unwrap(), "it was delivered to another while it was held");
    held.ack().await.unwrap();
}

#[tokio::test]
async fn dropped_wait_loses_nothing() {
    let server = Server::start().await;
    let queue = server.queue().await;
    let mut pull = queue.jobs(KIND);
    assert!(tokio::time::timeout(Duration::from_millis(300), pull.next(Duration::from_secs(30))).await.is_err());
    queue.publish_job(&job(), None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let delivery = pull.next(WAIT).await.unwrap().unwrap();
    assert_eq!(delivery.deliveries, 1);
    delivery.ack().await.unwrap();

    // One that came for a puller that leaves goes to the next one at once.
    assert!(tokio::time::timeout(Duration::from_millis(300), pull.next(Duration::from_secs(30))).await.is_err());
    queue.publish_job(&job(), None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    pull.close().await;
    let left = Instant::now();
    queue.jobs(KIND).next(WAIT).await.unwrap().unwrap().ack().await.unwrap();
    assert!(left.elapsed() < Duration::from_millis(900), "{:?}", left.elapsed());
}

#[tokio::test]
async fn raw_events_come_once() {
    let server = Server::start().await;
    let queue = server.queue().await;
    let event = EventId::generate();
    let body = Bytes::from_static(b"{\"level\":\"ERROR\"}\xff\x00");
    assert!(!queue.publish_raw(&tenant(), "webhook", event, body.clone()).await.unwrap().duplicate);
    assert!(queue.publish_raw(&tenant(), "webhook", event, body.clone()).await.unwrap().duplicate);
    for _ in 0..6 {
        queue.publish_raw(&tenant(), "sentry", EventId::generate(), body.clone()).await.unwrap();
    }
    let mut pull = queue.raw_events();
    for number in 0..7 {
        let delivery = pull.next(WAIT).await.unwrap().unwrap();
        let subject = if number == 0 { "ingest.acme.webhook" } else { "ingest.acme.sentry" };
        assert_eq!((delivery.subject.as_str(), &delivery.payload), (subject, &body));
        delivery.ack().await.unwrap();
    }
    assert!(pull.next(Duration::from_secs(1)).await.unwrap().is_none());
    assert!(matches!(queue.publish_raw(&tenant(), "a.b", event, body).await, Err(QueueError::Subject(_))));
}

#[tokio::test]
async fn full_stream_keeps_what_is_not_triaged() {
    let server = Server::start().await;
    let queue = Queue::connect(&Config { ingest_max_bytes: 100_000, ..server.config() }).await.unwrap();
    queue.ensure_topology().await.unwrap();
    let body = Bytes::from(vec![b'x'; 20_000]);
    let mut accepted = 0;
    let error = loop {
        match queue.publish_raw(&tenant(), "webhook", EventId::generate(), body.clone()).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, QueueError::Full { .. }), "{error}");
    assert!(matches!(Failure::from(error).kind, FailureKind::Unavailable { retry_after: Some(_) }));
    assert_eq!(queue.depth(StreamName::Ingest).await.unwrap().messages, accepted);
    let mut pull = queue.raw_events();
    for _ in 0..2 {
        pull.next(WAIT).await.unwrap().unwrap().ack().await.unwrap();
    }
    queue.publish_raw(&tenant(), "webhook", EventId::generate(), body).await.unwrap();
    assert_eq!(queue.depth(StreamName::Ingest).await.unwrap().messages, accepted - 1);
}

#[tokio::test]
async fn dead_letter_keeps_message_and_reason() {
    let server = Server::start().await;
    let queue = server.queue().await;
    let job = job();
    queue.publish_job(&job, None).await.unwrap();
    let mut pull = queue.jobs(KIND);
    let delivery = pull.next(WAIT).await.unwrap().unwrap();
    assert!(!queue.dead_letter(&delivery, "the sandbox\nis away", 4).await.unwrap().duplicate);
    assert!(queue.dead_letter(&delivery, "the sandbox is away", 4).await.unwrap().duplicate);
    delivery.term().await.unwrap();

    let letters = queue.dead_letters(0, 10).await.unwrap();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((letter.subject.as_str(), letter.origin.as_str()), ("dead.debug_error.acme", "jobs.debug_error.acme"));
    assert_eq!((letter.reason.as_str(), letter.attempts, letter.cut), ("the sandbox is away", 4, false));
    assert_eq!(letter.payload, delivery.payload);

    // Within the duplicate window of the first publish, and yet delivered.
    assert!(!queue.replay(letter.sequence).await.unwrap().duplicate);
    let again = pull.next(WAIT).await.unwrap().unwrap();
    assert_eq!(envelope::decode(&again.subject, &again.payload).unwrap().0, job);
    again.ack().await.unwrap();
    assert!(matches!(queue.replay(letter.sequence).await, Err(QueueError::NoDeadLetter(_))));
    assert!(queue.dead_letters(0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn largest_message_still_becomes_a_dead_letter() {
    let server = Server::start().await;
    let queue = server.queue().await;
    let nearly = Bytes::from(vec![b'x'; 8 * 1024 * 1024 - 500]);
    queue.publish_raw(&tenant(), "webhook", EventId::generate(), nearly).await.unwrap();
    let delivery = queue.raw_events().next(WAIT).await.unwrap().unwrap();
    queue.dead_letter(&delivery, &"long ".repeat(2000), 1).await.unwrap();
    let letter = queue.dead_letters(0, 1).await.unwrap().remove(0);
    assert!(letter.cut);
    assert!(matches!(queue.replay(letter.sequence).await, Err(QueueError::NotReplayable { .. })));
    let too_large = Bytes::from(vec![b'x'; 9 * 1024 * 1024]);
    let refused = queue.publish_raw(&tenant(), "webhook", EventId::generate(), too_large).await;
    assert!(matches!(refused, Err(QueueError::TooLarge { .. })), "{refused:?}");
}

#[tokio::test]
async fn follow_ends_with_the_run() {
    let server = Server::start().await;
    let queue = server.queue().await;
    let run = RunId::generate();
    let step = |step: &str| Progress::new(step, format!("at {step}")).with(json!({"n": 1}));
    let first = queue.publish_progress(&tenant(), run, &step("queued")).await.unwrap();
    queue.publish_progress(&tenant(), RunId::generate(), &step("done")).await.unwrap();
    let followed = queue.follow(&tenant(), run, None).await.unwrap();
    let all = tokio::spawn(followed.map(Result::unwrap).collect::<Vec<_>>());
    tokio::time::sleep(Duration::from_millis(300)).await;
    queue.publish_progress(&tenant(), run, &step("verify")).await.unwrap();
    let last = queue.publish_progress(&tenant(), run, &step("done")).await.unwrap();
    let all = tokio::time::timeout(WAIT, all).await.unwrap().unwrap();
    assert_eq!(all.iter().map(|(_, progress)| progress.step.as_str()).collect::<Vec<_>>(), ["queued", "verify", "done"]);
    assert_eq!(all[0].1, step("queued"));

    let later: Vec<_> = queue.follow(&tenant(), run, Some(first)).await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!(later, all[1..]);
    let nothing = queue.follow(&tenant(), run, Some(last)).await.unwrap().collect::<Vec<_>>();
    assert!(tokio::time::timeout(WAIT, nothing).await.unwrap().is_empty());
    let other: TenantId = "globex".parse().unwrap();
    let foreign = queue.follow(&other, run, None).await.unwrap().into_future();
    assert!(tokio::time::timeout(Duration::from_secs(1), foreign).await.is_err(), "another tenant sees the run");
}

#[tokio::test]
async fn topology_is_set_up_once_and_migrated() {
    let server = Server::start().await;
    let queue = server.queue().await;
    queue.publish_job(&job(), None).await.unwrap();
    let client = crate::support::client_of(server.stack.nats_url().unwrap()).await.unwrap();
    let js = async_nats::jetstream::new(client);
    let before = js.get_stream("EVENTS").await.unwrap().cached_info().clone();
    queue.ensure_topology().await.unwrap();
    let after = js.get_stream("EVENTS").await.unwrap().cached_info().clone();
    assert_eq!((&before.config, before.created), (&after.config, after.created));

    let (age, wait) = (Duration::from_secs(24 * 3600), Duration::from_secs(7));
    let changed = Queue::connect(&Config { events_max_age: age, ack_wait: wait, ..server.config() }).await.unwrap();
    changed.ensure_topology().await.unwrap();
    let migrated = js.get_stream("EVENTS").await.unwrap().cached_info().clone();
    assert_eq!((migrated.config.max_age, migrated.created), (age, before.created));
    let jobs = js.get_stream("JOBS").await.unwrap();
    assert_eq!(jobs.consumer_info("debug_error").await.unwrap().config.ack_wait, wait);
    assert_eq!(jobs.cached_info().state.messages, 1, "the migration lost a job");
    let depth = changed.depth(StreamName::Jobs).await.unwrap();
    let mut consumers = depth.consumers;
    consumers.sort();
    let mut expected: Vec<_> = JobKind::ALL.iter().map(|kind| (kind.to_string(), u64::from(*kind == JobKind::DebugError), 0)).collect();
    expected.sort();
    assert_eq!((depth.messages, consumers), (1, expected));
}

#[tokio::test]
async fn prefixes_share_a_server() {
    let server = Server::start().await;
    let with = async |prefix: &str| {
        let queue = Queue::connect(&Config { prefix: prefix.to_owned(), ..server.config() }).await.unwrap();
        queue.ensure_topology().await.unwrap();
        queue
    };
    let (one, two) = (with("t1").await, with("t2").await);
    one.publish_job(&job(), None).await.unwrap();
    assert!(two.jobs(KIND).next(Duration::from_secs(1)).await.unwrap().is_none());
    let delivery = one.jobs(KIND).next(WAIT).await.unwrap().unwrap();
    assert_eq!(delivery.subject, "jobs.debug_error.acme");
    one.dead_letter(&delivery, "no", 1).await.unwrap();
    assert_eq!(one.dead_letters(0, 9).await.unwrap()[0].subject, "dead.debug_error.acme");
    assert!(two.dead_letters(0, 9).await.unwrap().is_empty());
    let refused = server.queue().await.depth(StreamName::Jobs).await.unwrap();
    assert_eq!(refused.messages, 0);
}

#[tokio::test]
async fn pull_survives_a_killed_server() {
    let server = Server::start().await;
    let queue = server.queue().await;
    let mut pull = queue.jobs(KIND);
    for round in 0..3 {
        let waiting = async {
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                if let Ok(Some(delivery)) = pull.next(Duration::from_secs(20)).await {
                    return delivery;
                }
                assert!(Instant::now() < deadline, "the pull went stale in round {round}");
            }
        };
        let publishing = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.signal(nix::sys::signal::Signal::SIGKILL);
            let job = job();
            while queue.publish_job(&job, None).await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let killed = Instant::now();
        let (delivery, ()) = tokio::join!(waiting, publishing);
        assert!(killed.elapsed() < Duration::from_secs(12), "round {round} took {:?}", killed.elapsed());
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn deleted_consumer_is_made_again() {
    let server = Server::start().await;
    let queue = server.queue().await;
    let client = crate::support::client_of(server.stack.nats_url().unwrap()).await.unwrap();
    let js = async_nats::jetstream::new(client);
    let mut pull = queue.jobs(KIND);
    assert!(pull.next(Duration::from_secs(1)).await.unwrap().is_none());
    js.get_stream("JOBS").await.unwrap().delete_consumer("debug_error").await.unwrap();
    queue.publish_job(&job(), None).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let delivery = loop {
        match pull.next(Duration::from_secs(2)).await {
            Ok(Some(delivery)) => break delivery,
            _ => assert!(Instant::now() < deadline, "the consumer did not come back"),
        }
    };
    delivery.ack().await.unwrap();
}

/// Whether every thread of a process stands still: a signal is delivered to one after the other.
fn is_stopped(pid: i32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut stats = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default());
    stats.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
}

#[tokio::test]
async fn publish_fails_in_time_while_nats_is_away() {
    let server = Server::start().await;
    let queue = server.queue().await;
    // Stopped, not killed: the connection looks sound, only nobody answers.
    let pid = server.signal(nix::sys::signal::Signal::SIGSTOP);
    crate::support::until("every thread of the server to stand still", async || is_stopped(pid.as_raw()).then_some(())).await;
    let began = Instant::now();
    let error = queue.publish_raw(&tenant(), "webhook", EventId::generate(), Bytes::from_static(b"x")).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert!(matches!(Failure::from(error).kind, FailureKind::Unavailable { .. }));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while queue.publish_job(&job(), None).await.is_err() {
        assert!(Instant::now() < deadline, "publishing does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn unreachable_server_is_named_without_its_token() {
    let config = Config { url: Some("nats://s3cret@127.0.0.1:1".to_owned()), ..Config::default() };
    let error = Queue::connect(&config).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1") && !text.contains("s3cret"), "{text}");
    assert!(matches!(Failure::from(error).kind, FailureKind::Unavailable { .. }));
    assert!(matches!(Queue::connect(&Config::default()).await, Err(QueueError::Config(_))));
}
