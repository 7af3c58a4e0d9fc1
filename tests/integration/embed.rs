//! The embedders: the local one with its real weights, the remote ones against a server that speaks their protocol.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::post;
use futures::future::BoxFuture;
use odoo_agent::domain::{Cost, Failure, FailureKind, TenantId};
use odoo_agent::knowledge::embed::{Config, EmbedError, Embedder, Kind};
use odoo_agent::knowledge::index::Origin;
use odoo_agent::knowledge::{Knowledge, Payer, Purpose};
use serde_json::{Value, json};

/// Made with a reference of its own in float64 over the same weights; the published examples show the same numbers.
const KNOWN: [f32; 8] = [0.067_656_9, 0.063_495_9, 0.048_713_1, 0.079_305, 0.037_448_1, 0.002_652_8, 0.039_375, -0.007_098_5];
const PAIRS: [(&str, &str, f32); 4] = [
    ("The invoice has no customer", "account move without partner", 0.240_562),
    ("compute the tax of a sale order line", "sale order line: _compute_tax_id", 0.809_263),
    ("compute the tax of a sale order line", "send an email to the followers", 0.077_041),
    ("", "x", 0.538_857),
];

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The local embedder of this machine. Without its weights a test that needs it fails.
fn local() -> Embedder {
    let embedder = Embedder::open(&Config::default(), &crate::support::runtime_dir()).unwrap();
    assert!(matches!(embedder, Embedder::Local(_)), "the local embedder is not installed: run `make setup`");
    embedder
}

async fn one(embedder: &Embedder, text: &str) -> Vec<f32> {
    embedder.query(text).await.unwrap().0
}

#[tokio::test]
async fn local_vectors_are_the_published_ones() {
    let embedder = local();
    assert_eq!((embedder.name(), embedder.dims()), ("minilm-l6@1", 384));
    let first = one(&embedder, "This is an example sentence").await;
    for (x, known) in first.iter().zip(KNOWN) {
        assert!((x - known).abs() < 2e-5, "{:?}", &first[..8]);
    }
    for (a, b, known) in PAIRS {
        let found = cosine(&one(&embedder, a).await, &one(&embedder, b).await);
        assert!((found - known).abs() < 1e-4, "{a:?} and {b:?}: {found}");
    }
}

#[tokio::test]
async fn a_text_does_not_depend_on_its_neighbours() {
    let embedder = local();
    let long = "sale order line ".repeat(400);
    let texts: Vec<String> = (0..150).map(|n| if n % 7 == 0 { long.clone() } else { format!("{} {n}", &long[..n]) }).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = embedder.documents(&texts).await.unwrap().vectors;
    assert_eq!(together.len(), texts.len());
    for index in [0, 1, 20, 77, 149] {
        assert_eq!(together[index], one(&embedder, texts[index]).await, "text {index}");
    }
}

#[tokio::test]
async fn every_text_has_a_local_vector() {
    let embedder = local();
    let large = "x\u{1f600}\0 ".repeat(200_000);
    let texts = ["", " \n\t", "\0", "\0\u{1}\u{7f}", "🦀👩‍👩‍👧", "مرحبا 你好", "\u{202e}\u{feff}\u{e000}", &"a".repeat(1_000_000), &large];
    let vectors = embedder.documents(&texts).await.unwrap().vectors;
    assert_eq!(vectors.len(), texts.len());
    for (text, vector) in texts.iter().zip(&vectors) {
        assert_eq!(vector.len(), 384);
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-4, "{:?}", text.chars().take(20).collect::<String>());
    }
    assert!(embedder.documents(&[]).await.unwrap().vectors.is_empty());
}

#[tokio::test]
async fn other_weights_need_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let installed = Config::default().folder(&crate::support::runtime_dir());
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(installed.join(file), folder.path().join(file)).expect("the local embedder is not installed: run `make setup`");
    }
    let weights = folder.path().join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let config = Config { folder: Some(folder.path().to_owned()), ..Config::default() };
    let same_name = Embedder::open(&config, folder.path()).unwrap();
    let error = same_name.query("x").await.unwrap_err().to_string();
    assert!(error.contains("name"), "{error}");
    let own_name = Embedder::open(&Config { name: Some("mine@1".to_owned()), ..config }, folder.path()).unwrap();
    assert_eq!((own_name.name(), one(&own_name, "x").await.len()), ("mine@1", 384));
}

pub type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

#[derive(Default)]
pub struct Far {
    pub script: Mutex<VecDeque<Answer>>,
    pub seen: Mutex<Vec<(HeaderMap, Value)>>,
}

/// A server that answers what it is told, and then vectors of two numbers.
pub async fn far(script: Vec<Answer>) -> (Arc<Far>, Config) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let far = Arc::new(Far { script: Mutex::new(script.into()), ..Far::default() });
    let router = Router::new().route("/v1/embeddings", post(answer)).with_state(Arc::clone(&far));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let config = Config {
        kind: Kind::Voyage,
        base_url: Some(base_url),
        voyage_api_key: Some("pa-test".into()),
        dims: Some(2),
        batch: 2,
        usd_per_million_tokens: Some(1.0),
        timeout_seconds: 1,
        max_retries: 2,
        ..Config::default()
    };
    (far, config)
}

async fn answer(State(far): State<Arc<Far>>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let texts = body["input"].as_array().unwrap().len();
    far.seen.lock().unwrap().push((headers, body));
    let scripted = far.script.lock().unwrap().pop_front();
    let (status, headers, bytes) = scripted.unwrap_or_else(|| (200, Vec::new(), vectors(texts, 2, 10)));
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let mut response = (StatusCode::from_u16(status).unwrap(), bytes).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

pub fn vectors(count: usize, dims: usize, tokens: u64) -> Vec<u8> {
    let data: Vec<Value> = (0..count).map(|index| json!({"object": "embedding", "index": index, "embedding": vec![2.0; dims]})).collect();
    json!({"object": "list", "data": data, "usage": {"total_tokens": tokens}}).to_string().into_bytes()
}

async fn ask(config: &Config, texts: &[&str]) -> Result<odoo_agent::knowledge::Embedded, EmbedError> {
    Embedder::open(config, std::path::Path::new("/nowhere")).unwrap().documents(texts).await
}

#[tokio::test]
async fn busy_server_is_asked_again() {
    let (far, config) =
        far(vec![(429, vec![("retry-after", "0".to_owned())], b"{}".to_vec()), (503, Vec::new(), b"<html>".to_vec())]).await;
    let embedded = ask(&config, &["a", "b", ""]).await.unwrap();
    assert_eq!((embedded.vectors.len(), embedded.cost.input_tokens), (3, 20));
    assert!((embedded.cost.usd - 20e-6).abs() < 1e-12 && (cosine(&embedded.vectors[0], &embedded.vectors[2]) - 1.0).abs() < 1e-6);
    let seen = far.seen.lock().unwrap();
    assert_eq!(seen.len(), 4, "two tries of no use, two batches");
    let (headers, body) = &seen[3];
    assert_eq!(headers["authorization"], "Bearer pa-test");
    assert_eq!(body["input"], json!(["-"]), "an empty text is refused by the API");
    assert_eq!((&body["input_type"], &body["output_dimension"]), (&json!("document"), &json!(2)));
}

#[tokio::test]
async fn query_is_told_apart() {
    let (far, config) = far(Vec::new()).await;
    let embedder = Embedder::open(&config, std::path::Path::new("/nowhere")).unwrap();
    assert_eq!(embedder.query("which?").await.unwrap().1.input_tokens, 10);
    assert_eq!(far.seen.lock().unwrap()[0].1["input_type"], "query");
}

#[tokio::test]
async fn unusable_answer_is_an_error_that_counts() {
    let wrong = [
        ("count", vectors(1, 2, 10)),
        ("dims", vectors(2, 3, 10)),
        ("garbage", vec![0xff; 500]),
        ("garbage", b"{\"data\": ".to_vec()),
        ("too large", vec![b' '; 4_000_000]),
    ];
    for (what, bytes) in wrong {
        let (far, config) = far(vec![(200, Vec::new(), bytes)]).await;
        let error = ask(&config, &["aaa", "bbb"]).await.unwrap_err();
        assert!(matches!(error, EmbedError::Unreadable { .. }) && error.cost().input_tokens > 0, "{what}: {error}");
        assert_eq!(far.seen.lock().unwrap().len(), 1, "{what}: it was billed, so it is not asked again");
    }
}

#[tokio::test]
async fn failure_after_a_batch_keeps_its_cost() {
    let (_far, config) = far(vec![(200, Vec::new(), vectors(2, 2, 7)), (400, Vec::new(), br#"{"detail": "no"}"#.to_vec())]).await;
    let error = ask(&config, &["a", "b", "c"]).await.unwrap_err();
    assert_eq!((error.cost().input_tokens, error.to_string().contains("status 400: no")), (7, true), "{error}");
    assert_eq!(Failure::from(error).kind, FailureKind::BadInput);
}

#[tokio::test]
async fn refused_key_is_a_setting() {
    let (far, config) = far(vec![(401, Vec::new(), b"{}".to_vec())]).await;
    let error = ask(&config, &["a"]).await.unwrap_err();
    assert!(matches!(error, EmbedError::Config(_)) && !error.to_string().contains("pa-test"), "{error}");
    assert_eq!(far.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn silent_server_is_given_up() {
    let (far, config) = far(vec![(0, Vec::new(), Vec::new())]).await;
    let error = ask(&Config { max_retries: 0, ..config }, &["a"]).await.unwrap_err();
    assert!(matches!(error, EmbedError::Timeout { seconds: 1 }), "{error}");
    assert_eq!(Failure::from(error).kind, FailureKind::Unavailable { retry_after: None });
    assert_eq!(far.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn long_wait_goes_back_to_the_queue() {
    let (_far, config) = far(vec![(429, vec![("retry-after", "600".to_owned())], Vec::new())]).await;
    let failure = Failure::from(ask(&config, &["a"]).await.unwrap_err());
    assert_eq!(failure.kind, FailureKind::Unavailable { retry_after: Some(Duration::from_secs(600)) });
}

/// Pays until its money is gone.
#[derive(Debug)]
pub struct Purse {
    pub left: Mutex<f64>,
    pub payments: Mutex<Vec<f64>>,
}

impl Purse {
    pub fn with(usd: f64) -> Arc<Self> {
        Arc::new(Self { left: Mutex::new(usd), payments: Mutex::default() })
    }
}

impl Payer for Purse {
    fn may<'a>(&'a self, _: &'a TenantId, usd: f64) -> BoxFuture<'a, Result<(), Failure>> {
        let refused = usd > *self.left.lock().unwrap();
        Box::pin(async move { if refused { Err(Failure::new(FailureKind::Budget, anyhow::anyhow!("no money"))) } else { Ok(()) } })
    }

    fn paid<'a>(&'a self, _: &'a TenantId, _: Purpose, cost: Cost) -> BoxFuture<'a, Result<(), Failure>> {
        *self.left.lock().unwrap() -= cost.usd;
        self.payments.lock().unwrap().push(cost.usd);
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn indexing_ends_where_the_money_does() {
    let database = crate::support::database().await;
    let tenant = crate::support::tenant("default");
    odoo_agent::tenants::ensure(&database.db, &tenant).await.unwrap();
    let (_far, config) = far(Vec::new()).await;
    let embedder = Embedder::open(&Config { batch: 1_000, ..config }, std::path::Path::new("/nowhere")).unwrap();
    let knowledge = Knowledge::new(database.db.clone(), embedder);
    let dir = crate::support::temp_dir();
    std::fs::create_dir_all(dir.path().join("addons/shop")).unwrap();
    std::fs::write(dir.path().join("addons/shop/__manifest__.py"), "{'name': 'Shop'}").unwrap();
    // More texts than are embedded at a time, no two alike.
    let methods: String = (0..600).map(|n| format!("    def close_{n}(self):\n        return {n}\n\n")).collect();
    std::fs::write(dir.path().join("addons/shop/m.py"), format!("class Desk(models.Model):\n    _name = 'shop.desk'\n\n{methods}"))
        .unwrap();
    let tree = crate::support::tree(dir.path(), Origin::Custom);
    let run = async |purse: &Arc<Purse>| knowledge.clone().paid_by(Arc::clone(purse) as _).index(&tree, &tenant, Arc::new(|_| {})).await;
    let poor = Purse::with(15e-6);
    let ended = Failure::from(run(&poor).await.unwrap_err());
    assert_eq!(ended.kind, FailureKind::Budget, "{ended:?}");
    assert_eq!(poor.payments.lock().unwrap().len(), 1, "the second batch was not asked for");
    let broke = Purse::with(-1e-9);
    assert_eq!(Failure::from(run(&broke).await.unwrap_err()).kind, FailureKind::Budget);
    assert!(broke.payments.lock().unwrap().is_empty(), "who has nothing left does not pay for a first batch either");
    let rich = Purse::with(1.0);
    let report = run(&rich).await.unwrap();
    assert_eq!((report.chunks, rich.payments.lock().unwrap().len()), (0, 2), "what was embedded stays");
    assert!((report.usd - 20e-6).abs() < 1e-12, "{}", report.usd);
}
