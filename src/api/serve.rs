//! The loop that accepts connections, within bounds of time and number.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::{Connection, Connections};
use crate::app::App;

/// Time that open connections may go on after the program was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Time without accepting where the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);
/// The most bytes of headers, and of a body ahead of whoever reads it, that one connection holds.
const MAX_BUFFER: usize = 64 * 1024;

/// Serves on a listener until `shutdown` is done.
pub async fn serve(app: App, listener: TcpListener, shutdown: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    let most = app.most_connections();
    tracing::info!(%address, most, "the API listens");
    let connections = Connections::new(most);
    let header_timeout = Duration::from_secs(app.config.api.header_timeout);
    let router = super::router(app);
    let (open, stopping) = (TaskTracker::new(), CancellationToken::new());
    let mut shutdown = pin!(shutdown);
    loop {
        // A place first: what has none waits in the system's queue.
        let connection = tokio::select! {
            biased;
            () = &mut shutdown => break,
            placed = connections.place() => placed?,
        };
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connection.arrived();
                let router = router.clone();
                open.spawn(converse(stream, connection, router, header_timeout, stopping.clone()));
            }
            Err(error) => {
                drop(connection);
                refused(&error, &connections).await;
            }
        }
    }
    stopping.cancel();
    open.close();
    open.wait().await;
    Ok(())
}

/// An error of one connection is its client's. Any other means that the system has no room: something has to go, and then it goes on.
async fn refused(error: &io::Error, connections: &Connections) {
    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused) {
        return;
    }
    tracing::error!(%error, "a connection could not be accepted; the one that has waited longest is cut");
    connections.cut_longest_waiting();
    tokio::time::sleep(NO_ROOM).await;
}

/// Answers the requests of one connection until it ends, is cut, or the program stops.
async fn converse(stream: TcpStream, connection: Connection, router: Router, header_timeout: Duration, stopping: CancellationToken) {
    // An answer is written at once, not once more of it has come together.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(router);
    let with = connection.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(with.clone());
        routes.call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(MAX_BUFFER);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let stopped = async {
        stopping.cancelled().await;
    };
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = connection.cut() => return,
        () = stopped => {
            serving.as_mut().graceful_shutdown();
            // Whoever follows a run that has not begun would hold up the end of the program until it has.
            match tokio::time::timeout(GRACE, serving.as_mut()).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
