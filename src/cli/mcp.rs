//! `odoo-agent mcp`: the tools for Claude over standard input and output.

use std::io::Read as _;
use std::time::Duration;

use futures::stream;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;
use tokio_util::io::StreamReader;

use super::Exit;
use super::connect::connect;
use super::up::on_signal;
use crate::config::Config;
use crate::domain::TenantId;
use crate::mcp;

/// How long the end waits for others that use the servers which this process started: whoever called it waits for its end.
const GRACE: Duration = Duration::from_secs(10);
/// The bytes that are read at once.
const CHUNK: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose knowledge is searched beside what everybody may see.
    #[arg(long, default_value = "default")]
    tenant: TenantId,
    /// Let the tools have a fix written. Without it they read and run only; no tool of this version writes.
    #[arg(long)]
    allow_apply: bool,
}

/// Serves until standard input ends, or a signal says so. Standard output holds the protocol and nothing else.
pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let connected = connect(config).await?;
    let scopes = mcp::scopes_of_streams(args.allow_apply);
    let served = mcp::over_streams(connected.app.clone(), args.tenant, scopes, stdin()?, tokio::io::stdout(), on_signal()?).await;
    connected.close_within(GRACE).await;
    served?;
    Ok(Exit::Done)
}

/// Standard input, read by a thread that nobody waits for: tokio's own would hold up the end of the process until the input ends.
fn stdin() -> std::io::Result<impl AsyncRead + Send + Unpin + 'static> {
    let (send, mut receive) = mpsc::channel::<std::io::Result<Bytes>>(1);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = match std::io::stdin().lock().read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => Ok(Bytes::copy_from_slice(&buffer[..read])),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let ended = read.is_err();
            if send.blocking_send(read).is_err() || ended {
                return;
            }
        }
    })?;
    Ok(StreamReader::new(stream::poll_fn(move |context| receive.poll_recv(context))))
}
