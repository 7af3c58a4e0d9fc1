//! Logs, traces and metrics: tracing to standard error, spans and counters to an OpenTelemetry collector, trace context to and from
//! `traceparent`.
//!
//! It never writes to standard output, which belongs to what a command prints for programs.

pub mod files;

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write};
use std::pin::pin;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Handle, Runtime};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::odoo;

const FLUSH_LIMIT: Duration = Duration::from_secs(5);
const EXPORT_LIMIT: Duration = Duration::from_secs(10);

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What is logged, and where spans and metrics go.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How log lines look.
    pub format: Format,
    /// Directives as in `RUST_LOG`: `info,odoo_agent=debug`.
    pub filter: String,
    /// Base address of an OTLP collector over HTTP, such as `http://127.0.0.1:4318`.
    pub otlp_endpoint: Option<String>,
    /// The name that spans and metrics carry.
    pub service_name: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            format: Format::Pretty,
            filter: "warn,odoo_agent=info".to_owned(),
            otlp_endpoint: None,
            service_name: "odoo-agent".to_owned(),
        }
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("the log filter {filter:?} is not valid: {source}. Use directives such as info,odoo_agent=debug")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The exporter could not be made.
    #[error("spans and metrics cannot be sent to {endpoint}: {reason}")]
    Exporter {
        /// Where they should have gone.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// Something else in this process logs already.
    #[error("logging is set up twice: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps telemetry running; dropping it sends what was not sent yet.
#[must_use = "dropping the guard ends the export of spans and metrics"]
pub struct Guard {
    provider: SdkTracerProvider,
    meters: SdkMeterProvider,
    runtime: Option<Runtime>,
}

/// Sets up logs, traces and metrics for the whole process. To be called once, first thing in `main`: a counter that was made before counts
/// for nobody.
pub fn init(config: &Config) -> Result<Guard, TelemetryError> {
    let (guard, subscriber) = build(config, || Masked(std::io::stderr()))?;
    subscriber.try_init()?;
    opentelemetry::global::set_meter_provider(guard.meters.clone());
    if config.otlp_endpoint.is_some() {
        // The library reports an error for each gauge that nobody reads.
        files::observe(&opentelemetry::global::meter("odoo-agent"));
    }
    Ok(guard)
}

fn build<W>(config: &Config, writer: W) -> Result<(Guard, impl tracing::Subscriber + Send + Sync + use<W>), TelemetryError>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|source| TelemetryError::Filter { filter: config.filter.chars().take(200).collect(), source })?;
    let resource = Resource::builder().with_service_name(config.service_name.clone()).build();
    // Without an exporter too: a trace that came in with a message must go on with the messages that follow from it.
    let mut provider = SdkTracerProvider::builder().with_resource(resource.clone());
    let mut meters = SdkMeterProvider::builder().with_resource(resource);
    let mut runtime = None;
    if let Some(endpoint) = &config.otlp_endpoint {
        let Exporters { spans, metrics, runtime: own } = exporters(endpoint)?;
        provider = provider.with_batch_exporter(spans);
        meters = meters.with_reader(PeriodicReader::builder(metrics).build());
        runtime = Some(own);
    }
    let (provider, meters) = (provider.build(), meters.build());
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("odoo-agent"));
    let lines = match config.format {
        Format::Json => fmt::layer().with_writer(writer).with_ansi(false).json().flatten_event(true).boxed(),
        Format::Pretty => fmt::layer().with_writer(writer).with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(lines).with(spans);
    Ok((Guard { provider, meters, runtime }, subscriber))
}

/// Standard error, with the secrets masked that a line of log may quote. One line is one write.
struct Masked<W>(W);

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(&odoo::mask_bytes(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// What sends to a collector, and the runtime that it runs on.
struct Exporters {
    spans: InRuntime<opentelemetry_otlp::SpanExporter>,
    metrics: InRuntime<opentelemetry_otlp::MetricExporter>,
    runtime: Runtime,
}

fn exporters(endpoint: &str) -> Result<Exporters, TelemetryError> {
    let failed = |reason: String| TelemetryError::Exporter { endpoint: endpoint.to_owned(), reason };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("telemetry")
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let client = reqwest::Client::builder().timeout(EXPORT_LIMIT).build().map_err(|error| failed(error.to_string()))?;
    let address = |signal: &str| format!("{}/v1/{signal}", endpoint.trim_end_matches('/'));
    let spans = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client.clone())
        .with_endpoint(address("traces"))
        .with_timeout(EXPORT_LIMIT)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let metrics = opentelemetry_otlp::MetricExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(address("metrics"))
        .with_timeout(EXPORT_LIMIT)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let handle = runtime.handle().clone();
    Ok(Exporters { spans: InRuntime { inner: spans, handle: handle.clone() }, metrics: InRuntime { inner: metrics, handle }, runtime })
}

/// The batch processor polls its exporter on a bare thread, where an HTTP client finds no reactor; this lends it ours. Not the
/// program's own runtime: a flush from a single-threaded one would wait for itself.
#[derive(Debug)]
struct InRuntime<E> {
    inner: E,
    handle: Handle,
}

impl<E> InRuntime<E> {
    async fn run(&self, export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        let mut export = pin!(export);
        std::future::poll_fn(|context| {
            let _entered = self.handle.enter();
            export.as_mut().poll(context)
        })
        .await
    }
}

impl PushMetricExporter for InRuntime<opentelemetry_otlp::MetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.run(self.inner.export(metrics)).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(limit)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

impl SpanExporter for InRuntime<opentelemetry_otlp::SpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.run(self.inner.export(batch)).await
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(limit)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_LIMIT) {
            tracing::warn!(%error, "the last spans were not sent");
        }
        if let Err(error) = self.meters.shutdown_with_timeout(FLUSH_LIMIT) {
            tracing::warn!(%error, "the last metrics were not sent");
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Makes `span` a child of the span that `traceparent` names. What is not valid is ignored, as the W3C asks.
pub fn set_parent(span: &Span, traceparent: &str) {
    let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract(&headers);
    if opentelemetry::trace::TraceContextExt::has_active_span(&parent) {
        // It fails where no tracing is set up, as in a test; then there is nothing to link.
        let _ = span.set_parent(parent);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::sync::{Arc, Mutex};

    use opentelemetry::metrics::MeterProvider as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// The current span as a W3C `traceparent`.
    fn current_traceparent() -> Option<String> {
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject_context(&Span::current().context(), &mut headers);
        headers.remove("traceparent")
    }

    #[test]
    fn trace_goes_through() {
        let (_guard, subscriber) = build(&Config::default(), std::io::sink).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            assert_eq!(current_traceparent(), None);
            let span = tracing::info_span!("attempt");
            set_parent(&span, PARENT);
            let inside = span.in_scope(current_traceparent).unwrap();
            assert_eq!(inside[..36], PARENT[..36]);
            assert_ne!(inside, PARENT);
        });
    }

    #[test]
    fn garbage_is_no_parent() {
        let (_guard, subscriber) = build(&Config::default(), std::io::sink).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            for bad in ["", "x", "00-0-0-0", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "\u{0}\u{ff}", &"a".repeat(10_000)]
            {
                let span = tracing::info_span!("attempt");
                set_parent(&span, bad);
                assert!(span.in_scope(current_traceparent).is_some(), "{bad:?}");
            }
        });
    }

    #[test]
    fn secrets_are_masked_in_lines_of_either_format() {
        for format in [Format::Json, Format::Pretty] {
            let lines = Lines::default();
            let writer = lines.clone();
            let config = Config { format, filter: "warn".to_owned(), ..Config::default() };
            let (_guard, subscriber) = build(&config, move || Masked(writer.clone())).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(error = "postgres://odoo:Xa81hs72@db", "the log says password=Xa81hs72");
            });
            let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            assert!(text.contains("the log says password=***") && !text.contains("Xa81hs72") && text.ends_with('\n'), "{text}");
        }
    }

    #[test]
    fn json_lines_are_json() {
        let lines = Lines::default();
        let writer = lines.clone();
        let config = Config { format: Format::Json, filter: "warn".to_owned(), ..Config::default() };
        let (_guard, subscriber) = build(&config, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("not wanted");
            tracing::warn!(run = "r1", "watch\nout");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((line["message"].as_str(), line["run"].as_str()), (Some("watch\nout"), Some("r1")));
    }

    #[test]
    fn wrong_filter_is_refused() {
        let config = Config { filter: "odoo_agent=loudest".to_owned(), ..Config::default() };
        assert!(matches!(build(&config, std::io::sink), Err(TelemetryError::Filter { .. })));
    }

    /// A collector for one request that holds `word`: its address, and the first line of the request in the end.
    fn collector(word: &'static [u8]) -> (String, std::thread::JoinHandle<String>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let collector = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            while !request.windows(word.len()).any(|part| part == word) {
                let read = socket.read(&mut chunk).unwrap();
                assert!(read > 0, "the request ended without what was to be sent");
                request.extend_from_slice(&chunk[..read]);
            }
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned()
        });
        (endpoint, collector)
    }

    #[test]
    fn spans_reach_the_collector_by_the_flush() {
        let (endpoint, collector) = collector(b"attempt");
        let config = Config { otlp_endpoint: Some(endpoint), ..Config::default() };
        let (guard, subscriber) = build(&config, std::io::sink).unwrap();
        tracing::subscriber::with_default(subscriber, || tracing::info_span!("attempt").in_scope(|| ()));
        drop(guard);
        assert_eq!(collector.join().unwrap(), "POST /v1/traces HTTP/1.1");
    }

    #[test]
    fn counters_reach_the_collector_by_the_flush() {
        let (endpoint, collector) = collector(b"searches");
        let config = Config { otlp_endpoint: Some(endpoint), ..Config::default() };
        let (guard, _subscriber) = build(&config, std::io::sink).unwrap();
        guard.meters.meter("odoo-agent").u64_counter("searches").build().add(1, &[]);
        drop(guard);
        assert_eq!(collector.join().unwrap(), "POST /v1/metrics HTTP/1.1");
    }
}
