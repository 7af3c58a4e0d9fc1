//! Programs that publish straight to NATS: each may publish for its tenant, hear of its runs, and nothing else.

use std::time::Duration;

use futures::StreamExt;
use odoo_agent::queue::{Config, Queue, StreamName};
use odoo_agent::stack::{self, Producer, Stack, SyncInterval, producers};

use crate::support;

const MIB: i64 = 1024 * 1024;

struct Server {
    stack: Stack,
    config: stack::Config,
    dir: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = support::temp_dir();
        let config = stack::Config {
            data_dir: dir.path().to_owned(),
            runtime_dir: support::runtime_dir(),
            nats: true,
            postgres: false,
            sync: SyncInterval::default(),
        };
        Self { stack: Stack::start(&config).await.unwrap(), config, dir }
    }

    async fn queue(&self) -> Queue {
        let config = Config {
            url: self.stack.nats_url().map(str::to_owned),
            ingest_max_bytes: 16 * MIB,
            jobs_max_bytes: 16 * MIB,
            events_max_bytes: 16 * MIB,
            dead_max_bytes: 16 * MIB,
            ..Config::default()
        };
        let queue = Queue::connect(&config).await.unwrap();
        queue.ensure_topology().await.unwrap();
        queue
    }

    /// Lets a producer in; gives its client, which waits for its first connection.
    async fn producer(&self, name: &str, tenant: &str) -> (Producer, String) {
        let pair = nkeys::KeyPair::new_user();
        let producer = Producer { name: name.to_owned(), tenant: tenant.to_owned(), prefix: String::new(), public_key: pair.public_key() };
        assert!(producers::add(&self.config, producer.clone()).await.unwrap());
        (producer, pair.seed().unwrap())
    }

    async fn connect(&self, producer: &Producer, seed: &str) -> Option<async_nats::Client> {
        let address = self.stack.nats_url().unwrap().split_once('@').unwrap().1;
        async_nats::ConnectOptions::with_nkey(seed.to_owned())
            .custom_inbox_prefix(producer.inbox())
            .request_timeout(Some(Duration::from_secs(2)))
            .connect(address)
            .await
            .ok()
    }
}

#[tokio::test]
async fn producer_reaches_its_tenant_and_no_other() {
    let server = Server::start().await;
    let queue = server.queue().await;
    let (erp, seed) = server.producer("erp", "acme").await;
    let client = support::until("the server to know it", async || server.connect(&erp, &seed).await).await;
    let js = async_nats::jetstream::new(client.clone());
    js.publish("ingest.acme.odoo-text", "x".into()).await.unwrap().await.unwrap();
    js.publish("jobs.search_knowledge.acme", "x".into()).await.unwrap().await.unwrap();
    for foreign in ["ingest.other.odoo-text", "jobs.search_knowledge.other", "events.acme.x", "dead.x.acme", "probe.ready", "$JS.API.INFO"]
    {
        let refused = match js.publish(foreign, "x".into()).await {
            Ok(acknowledged) => acknowledged.await.is_err(),
            Err(_) => true,
        };
        assert!(refused, "{foreign}");
    }
    let messages = async |stream| queue.depth(stream).await.unwrap().messages;
    assert_eq!((messages(StreamName::Ingest).await, messages(StreamName::Jobs).await), (1, 1));
    assert_eq!((messages(StreamName::Events).await, messages(StreamName::Dead).await), (0, 0));

    // It hears of its own runs, and neither of another tenant's nor of the answers to others.
    let mut own = client.subscribe("events.acme.*").await.unwrap();
    let mut foreign = Vec::new();
    for subject in ["events.other.*", "events.>", "_INBOX.>", "ingest.>"] {
        foreign.push(client.subscribe(subject).await.unwrap());
    }
    client.flush().await.unwrap();
    let progress = odoo_agent::domain::Progress::new("done", "x");
    for tenant in ["other", "acme"] {
        queue.publish_progress(&support::tenant(tenant), odoo_agent::domain::RunId::generate(), &progress).await.unwrap();
    }
    assert!(tokio::time::timeout(Duration::from_secs(10), own.next()).await.unwrap().is_some());
    for mut subscription in foreign {
        assert!(futures::FutureExt::now_or_never(subscription.next()).is_none_or(|message| message.is_none()));
    }
}

#[tokio::test]
async fn producer_is_known_after_a_restart_and_shut_out_when_removed() {
    let server = Server::start().await;
    let (erp, seed) = server.producer("erp", "acme").await;
    assert!(!producers::add(&server.config, erp.clone()).await.unwrap(), "there is one of this name");
    let Server { stack, config, dir } = server;
    stack.stop(Duration::from_secs(5)).await;
    let server = Server { stack: Stack::start(&config).await.unwrap(), config, dir };
    assert!(server.connect(&erp, &seed).await.is_some());
    assert_eq!(producers::list(&server.config).await.unwrap(), std::slice::from_ref(&erp));
    assert!(producers::remove(&server.config, "acme", "erp").await.unwrap());
    support::until("the server to refuse it", async || server.connect(&erp, &seed).await.is_none().then_some(())).await;
    assert!(!producers::remove(&server.config, "acme", "erp").await.unwrap());
    let text = std::fs::read_to_string(server.dir.path().join("nats/nats.conf")).unwrap();
    assert!(!text.contains(&seed) && !text.contains(&erp.public_key));
}

#[tokio::test(flavor = "multi_thread")]
async fn command_says_what_a_server_elsewhere_needs() {
    let test = support::app(&[], |_| {}).await;
    let run = |args: &'static [&'static str]| {
        let mut command = test.command(args);
        async move { tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap() }
    };
    let made = support::json(&run(&["producer", "add", "erp", "--tenant", "acme", "--json"]).await);
    assert!(made["seed"].as_str().unwrap().starts_with("SU"), "{made}");
    let entry = made["server_entry"].as_str().unwrap();
    let prefix = &test.app.config.queue.prefix;
    assert!(entry.contains(&format!("\"{prefix}.jobs.*.acme\"")) && entry.contains(made["public_key"].as_str().unwrap()), "{entry}");
    let nobody = run(&["producer", "add", "erp", "--tenant", "nobody"]).await;
    assert_eq!(nobody.status.code(), Some(2), "{}", String::from_utf8_lossy(&nobody.stderr));
    assert_eq!(run(&["producer", "list", "--tenant", "acme"]).await.status.code(), Some(2));
    let mut tx = test.app.db.tenant(&support::tenant("acme")).await.unwrap();
    let seeds: i64 = sqlx::query_scalar("select count(*) from audit where action = 'producer.added' and detail::text not like '%SU%'")
        .fetch_one(tx.conn())
        .await
        .unwrap();
    assert_eq!(seeds, 1, "the audit knows of it and holds no seed");
}
